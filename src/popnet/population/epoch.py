"""The training of ONE member, some steps at a time, and its evaluation: pure functions of arrays.

Everything that varies between members of a bucket, or between tables, is an argument. A member's result does not depend
on how its steps are cut into calls, nor on who trains beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from popnet.augment import rows as row_augment
from popnet.nn import heads, net, norm
from popnet.nn.inputs import Inputs, Pixels
from popnet.nn.net import NetSizes
from popnet.population import augmented, losses, optim, penalties
from popnet.population.timetable import Step, Timetable, columns
from popnet.runtime import typed_jax
from popnet.runtime.keys import StepKeys
from popnet.runtime.typed_jax import on_host
from popnet.spec.shape import Form, Numbers
from popnet.types import Tree


class Rows(NamedTuple):
    """Rows to train on.

    Attributes:
        inputs: of N rows.
        target: ``(N,)`` int32 class numbers, or ``(N, O)`` float32: numbers, or probabilities of classes.
        share: ``(N,)``, 1/n for the n real rows of a batch, 0 for padding.
        weight: ``(N,)``, each row's weight in the loss, 0 for padding.
    """

    inputs: Inputs
    target: Array
    share: Array
    weight: Array

    def batch(self, i: Array) -> Rows:
        """Return the i-th batch of a block, whose arrays have batches as their first axis."""

        def at(x: Array) -> Array:
            return typed_jax.dynamic_index_in_dim(x, i)

        inputs = self.inputs.with_rows(at(self.inputs.rows))
        return Rows(inputs, at(self.target), at(self.share), at(self.weight))


class State(NamedTuple):
    """What a program changes of a member.

    Attributes:
        parameters: ``(P,)``, weights that are trained.
        average: ``(P,)``, moving average of the weights, which is evaluated (the newest weights with ``ema = 0``).
        running: ``(R,)``, running statistics of the normalization.
        moments: of the gradient.
        loss: ``(heads * B,)``, whose sum is the mean loss of the epoch's steps so far.
        penalty: ``(optim.SUMMED,)``, likewise.
    """

    parameters: Array
    average: Array
    running: Array
    moments: optim.GradientMoments
    loss: Array
    penalty: Array


def init(parameters: np.ndarray, running: np.ndarray, form: Form) -> State:
    """Return the state before training, on the host, of padded parameters and running statistics."""
    weights, average, statistics = map(on_host, (parameters, parameters.copy(), running))
    sums = map(on_host, no_loss(form))
    return State(weights, average, statistics, optim.init(parameters.size), *sums)


def no_loss(form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Return ``loss`` and ``penalty`` of a state at the start of an epoch."""
    return np.zeros(form.heads * form.batch_size, np.float32), np.zeros(optim.SUMMED, np.float32)


def batch_loss(
    parameters: Tree, form: Form, n: Numbers, sizes: NetSizes, batch: Rows, step: Step, step_keys: StepKeys
) -> tuple[Array, tuple[Array, Tree]]:  # fmt: skip
    """Return the loss of a batch, a scalar, and its terms ``(heads * N,)`` with the batch's statistics.

    Args:
        parameters: the net's, a padded tree.
        form: of the program.
        n: the recipe's numbers, with this step's dropout rates.
        sizes: of the net.
        batch: N rows.
        step: this step's numbers.
        step_keys: its keys.
    """
    if isinstance(batch.inputs, Pixels):
        count = step.rows.astype(jnp.int32)
        x, pairs = augmented.batch(n, batch.inputs, count, step_keys.augment)
    else:
        x = batch.inputs
        count = step.rows.astype(jnp.int32)
        pairs = row_augment.reversed_pairs(step.mixing, count, form.batch_size)
    outputs, statistics = net.train(parameters, form, n, x, batch.share, pairs, step_keys)
    if form.task == "regression":
        target = row_augment.mix(batch.target, pairs)
        of_rows = losses.squared_error
    else:
        classes = losses.probabilities(batch.target, form.n_outputs)
        target = losses.smooth(row_augment.mix(classes, pairs), n.label_smoothing, sizes.classes)
        of_rows = losses.cross_entropy
    weight, target = (heads.repeated(x, form.heads) for x in (batch.weight, target))
    terms = weight * of_rows(outputs, target) / form.heads
    return terms.sum(), (terms, statistics)


class Objective(NamedTuple):
    """A batch's objective, ``loss + penalty``: gradient ``(P,)``, terms of the loss ``(heads * N,)`` and of the penalty
    ``(optim.SUMMED,)``, whose sums they are, and the batch's statistics ``(R,)``."""

    gradient: Array
    loss: Array
    penalty: Array
    statistics: Array


def objective(
    parameters: Array, form: Form, n: Numbers, sizes: NetSizes, batch: Rows, step: Step, step_keys: StepKeys
) -> Objective:  # fmt: skip
    """Differentiate a batch's objective at ``parameters`` ``(P,)``; the other arguments are `batch_loss`'s."""
    layout, running_layout = net.form_layouts(form)
    gradient, (terms, statistics) = typed_jax.grad_with_aux(batch_loss)(
        layout.split(parameters), form, n, sizes, batch, step, step_keys
    )
    penalty = penalties.penalty(parameters, layout.n_first, n.l1, n.l2)
    pull = penalties.pull(parameters, layout.n_first, n.l1, n.l2)
    return Objective(layout.join(gradient) + pull, terms, penalty, running_layout.join(statistics))


def with_dropout(n: Numbers, step: Step) -> Numbers:
    """Return a recipe's numbers with the dropouts of a step."""
    return n._replace(dropout=step.dropout, input_dropout=step.input_dropout)


def direction(
    gradient: Array,
    moments: optim.GradientMoments,
    rule: optim.StepRule,
    form: Form,
    n: Numbers,
    sizes: NetSizes,
) -> tuple[Array, optim.GradientMoments]:
    """Return the direction of a step against the gradient of an objective, both ``(P,)``, and the new moments."""
    gradient = gradient * optim.clip_factor(gradient, n.gradient_clip)
    matrices = net.muon_matrices(form)
    out, moments = optim.direction(gradient, moments, rule, n, matrices, sizes.fan_in)
    if form.ntk:
        out = optim.reparametrized(out, net.ntk_factors(form, sizes), n)
    return out, moments


def train_steps(
    state: State, n: Numbers, sizes: NetSizes, timetable: Timetable, block: Rows, count: Array, form: Form
) -> State:  # fmt: skip
    """Train a member for some steps.

    Args:
        state: of the member.
        n: its recipe's numbers.
        sizes: of its net.
        timetable: of T steps.
        block: T batches.
        count: scalar int32, steps to take, at most T.
        form: of the program.
    """
    n_weights = net.form_layouts(form)[0].n_first
    variances = on_host(net.variances(form))

    def body(i: Array, state: State) -> State:
        def at(x: Array) -> Array:
            return typed_jax.dynamic_index_in_dim(x, i)

        step, rule = columns(at(timetable.numbers))
        step_keys = StepKeys(*(at(k) for k in timetable.keys))
        found = objective(
            state.parameters, form, with_dropout(n, step), sizes, block.batch(i), step, step_keys
        )
        way, moments = direction(found.gradient, state.moments, rule, form, n, sizes)
        parameters = optim.step(state.parameters, way, n_weights, step.rate, step.decay)
        return State(
            parameters,
            step.memory * state.average + (1 - step.memory) * parameters,
            norm.update_running(
                state.running, found.statistics, variances, step.unbias, step.momentum
            ),
            moments,
            state.loss + step.part * found.loss,
            state.penalty + step.part * found.penalty,
        )

    return typed_jax.fori_loop(0, count, body, state)


def evaluate(
    weights: Array, running: Array, n: Numbers, inputs: Inputs, count: Array, view: Array | None, form: Form
) -> Array:  # fmt: skip
    """Return a net's outputs of some batches of rows, ``(T, N, O)``.

    Args:
        weights: ``(P,)``, padded.
        running: ``(R,)``.
        n: the recipe's numbers.
        inputs: T batches of N rows each.
        count: scalar int32, batches to evaluate; the outputs of others are zeros.
        view: number of another view of the images (`augmented.view`); None for rows as they are.
        form: of the program.
    """
    layout, running_layout = net.form_layouts(form)
    batches, rows = inputs.rows.shape[:2]

    def body(i: Array, out: Array) -> Array:
        # Behind a barrier, or each small array of the weights would be a program of its own before the loop.
        flat, statistics, i = typed_jax.optimization_barrier((weights, running, i))
        batch = inputs.with_rows(typed_jax.dynamic_index_in_dim(inputs.rows, i))
        if view is not None:
            assert isinstance(batch, Pixels)
            batch = augmented.view(n, batch, view)
        outputs = net.evaluate(layout.split(flat), running_layout.split(statistics), form, n, batch)
        return typed_jax.dynamic_update_index_in_dim(out, outputs, i)

    none = jnp.zeros((batches, rows, form.n_outputs), jnp.float32)
    return typed_jax.fori_loop(0, count, body, none)
