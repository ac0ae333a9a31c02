"""The training of ONE member, an epoch at a time: a pure function from state to state.

Everything that varies between members of a bucket is an argument. A member's result does not depend on how
its epochs are cut into calls, nor on who trains beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from popnet import keys, losses, optim, penalties
from popnet.augment import rows as row_augment
from popnet.nn import heads, net, norm
from popnet.nn.inputs import Inputs, Pixels
from popnet.population import augmented, members, stopping
from popnet.recipe import Recipe
from popnet.shape import Numbers, Shape
from popnet.types import Array, Tree

EVALUATION_ROWS = 512
"""Rows of one evaluation pass: their activations stay in a core's cache."""

EVALUATION_IMAGES = 64
"""The same of images; divides `EVALUATION_ROWS`."""

CALL_EPOCHS = 64
"""Most epochs of one call: the length of the curves that it returns."""


class Rows(NamedTuple):
    """A data set on a device: inputs, targets ``(N,)`` int32 or ``(N, O)`` float32, weights ``(N,)`` float32."""

    inputs: Inputs
    target: Array
    weight: Array


class Folds(NamedTuple):
    """Which rows each fold trains on and is validated on: index sets, filled up to one length.

    Attributes:
        train: ``(K, >= n_train + batch_size)`` int32.
        n_train: ``(K,)`` int32.
        valid: ``(K, multiple of EVALUATION_ROWS)`` int32.
        n_valid: ``(K,)`` int32.
        class_weight: ``(K, O)`` float32, rows / (classes * rows of the class) in the training part, or ones.
    """

    train: Array
    n_train: Array
    valid: Array
    n_valid: Array
    class_weight: Array


class State(NamedTuple):
    """All that a member carries from one epoch to the next.

    Attributes:
        parameters: ``(P,)``, weights that are trained.
        average: ``(P,)``, moving average of the weights, which is evaluated (the newest weights with ``ema = 0``).
        running: ``(R,)``, running statistics of the normalization.
        optimizer: its moments.
        best: the best epoch so far, with its weights.
        epoch: scalar int32, epochs done.
        status: scalar int32, place in `members.STATUSES`.
        key: uint32, the member's own.
    """

    parameters: Array
    average: Array
    running: Array
    optimizer: optim.OptimizerState
    best: stopping.Best
    epoch: Array
    status: Array
    key: Array


def init(recipe: Recipe, shape: Shape, seed: int) -> State:
    """Return a member's state before its first epoch, as NumPy arrays on the host."""
    trees = net.init(recipe, shape, seed)
    parameters, running = (x.join(tree) for x, tree in zip(net.layouts(shape), trees, strict=True))
    return State(
        parameters,
        parameters.copy(),  # a program overwrites its state: each part has its own memory
        running,
        optim.init(parameters.size),
        stopping.init((parameters.copy(), running.copy())),
        np.int32(0),
        np.int32(members.RUNNING),
        keys.key(seed, "training"),
    )


def batch_bounds(i: Array, n: Array, steps: Array) -> tuple[Array, Array]:
    """Return start and count of the i-th of ``steps`` equal batches of n rows; counts differ by at most one.

    Equal batches, where others leave a short last one: none is so small that its statistics mean nothing.
    """
    size, extra = n // steps, n % steps
    return i * size + jnp.minimum(i, extra), size + (i < extra).astype(jnp.int32)


def take(rows: Rows, index: Array) -> Rows:
    """Return the rows of an index set ``(B,)``, which must lie inside the data."""
    target, weight = (x.at[index].get(mode="promise_in_bounds") for x in (rows.target, rows.weight))
    return Rows(rows.inputs.take(index), target, weight)


def batch_loss(
    parameters: Tree,
    shape: Shape,
    n: Numbers,
    batch: Rows,
    share: Array,
    class_weight: Array,
    key: Array,
) -> tuple[Array, Tree]:
    """Return the loss of a batch, a scalar, and its statistics, a tree like ``running``.

    Args:
        parameters: the net's, a tree.
        shape: the net's.
        n: the recipe's numbers.
        batch: B rows.
        share: ``(B,)``, 1/count for real rows, 0 for filling.
        class_weight: ``(O,)``.
        key: uint32, this step's.
    """
    count = jnp.sum((share > 0).astype(jnp.int32))
    if isinstance(batch.inputs, Pixels):
        x, pairs = augmented.batch(n, batch.inputs, count, key)
    else:
        x = batch.inputs
        pairs = row_augment.pairs(keys.fold(key, keys.MIXUP), n.mixup, count, shape.batch_size)
    outputs, statistics = net.train(parameters, shape, n, x, share, pairs, key)
    weight, of_rows = share * batch.weight, losses.squared_error
    if shape.task == "regression":
        target = row_augment.mix(batch.target, pairs)
    else:
        classes = losses.one_hot(jax.lax.optimization_barrier(batch.target), shape.n_outputs)
        weight = weight * (classes @ class_weight**n.class_balance)
        target = losses.smooth(row_augment.mix(classes, pairs), n.label_smoothing)
        of_rows = losses.cross_entropy
    weight, target = (heads.repeated(x, shape.heads) for x in (weight, target))
    return weight @ of_rows(outputs, target) / shape.heads, statistics


class Objective(NamedTuple):
    """A batch's objective, ``loss + penalty``: gradient ``(P,)``, terms, and the batch's statistics ``(R,)``."""

    gradient: Array
    loss: Array
    penalty: Array
    statistics: Array


def objective(
    parameters: Array,
    shape: Shape,
    n: Numbers,
    batch: Rows,
    share: Array,
    class_weight: Array,
    key: Array,
) -> Objective:
    """Differentiate a batch's objective at ``parameters`` ``(P,)``; the other arguments are `batch_loss`'s."""
    layout, running_layout = net.layouts(shape)
    (loss, statistics), gradient = jax.value_and_grad(batch_loss, has_aux=True)(
        layout.split(parameters), shape, n, batch, share, class_weight, key
    )
    penalty, pull = jax.value_and_grad(penalties.penalty)(
        parameters, net.penalised(shape), n.l1, n.l2
    )
    return Objective(layout.join(gradient) + pull, loss, penalty, running_layout.join(statistics))


def rates_of_step(done: Array, n: Numbers, steps: Array) -> optim.Rates:
    """Return the rates of a member's next step, after ``done`` of them, with ``steps`` to an epoch."""
    total = steps.astype(jnp.float32) * n.epochs.astype(jnp.float32)
    return optim.rates(done.astype(jnp.float32) / total, n)


def dropping(n: Numbers, rates: optim.Rates) -> Numbers:
    """Return a recipe's numbers with the dropouts of a step."""
    return n._replace(
        dropout=n.dropout * rates.dropout, input_dropout=n.input_dropout * rates.dropout
    )


def step(
    parameters: Array, direction: Array, shape: Shape, n: Numbers, rates: optim.Rates
) -> Array:
    """Take a step in a direction of `optim.direction`, both ``(P,)``."""
    if shape.ntk:
        direction = optim.reparametrized(direction, net.input_factors(shape), n)
    return optim.step(parameters, direction, net.penalised(shape), rates.learning, rates.decay)


def train_epoch(
    state: State, shape: Shape, n: Numbers, rows: Rows, folds: Folds, fold: Array, steps: Array
) -> tuple[State, Array, Array, Array]:
    """Train one epoch. Returns the state, mean loss, mean penalty, and the last learning rate.

    With fewer steps than the rows have batches an epoch is a part of a pass over them, the next epoch the next part.
    """
    rows_of_pass, room = folds.n_train[fold], steps * shape.batch_size
    parts = (rows_of_pass + room - 1) // room
    first, n_train = batch_bounds(state.epoch % parts, rows_of_pass, parts)
    key = keys.fold(state.key, state.epoch)
    shuffle = keys.fold(keys.fold(state.key, state.epoch // parts), keys.SHUFFLE)
    order = keys.permute(shuffle, rows_of_pass, folds.train.shape[1])
    class_weight = folds.class_weight[fold]
    place = jax.lax.iota(jnp.int32, shape.batch_size)

    def body(i: Array, carry: tuple) -> tuple:
        parameters, average, running, optimizer, loss, penalty, _ = carry
        start, count = batch_bounds(i, n_train, steps)
        index = folds.train.at[
            fold, jax.lax.dynamic_slice(order, (first + start,), (shape.batch_size,))
        ].get(mode="promise_in_bounds")
        rows_in_batch = count.astype(jnp.float32)
        share = jnp.where(place < count, 1 / rows_in_batch, 0.0)
        rates = rates_of_step(optimizer.count, n, steps)
        found = objective(
            parameters, shape, dropping(n, rates), take(rows, index), share, class_weight, keys.fold(key, i + 16),
        )  # fmt: skip
        direction, optimizer = optim.direction(
            optim.clip(found.gradient, n.gradient_clip), optimizer, n, net.muon_matrices(shape)
        )
        done = optimizer.count.astype(jnp.float32)  # counts this step already
        parameters = step(parameters, direction, shape, n, rates)
        # The average's memory is a twentieth of the steps so far at most, so that it forgets the initial weights.
        memory = jnp.minimum(n.ema, done / (done + 20))
        average = memory * average + (1 - memory) * parameters
        # Statistics of the same stretch of training as the weights that they are evaluated with.
        momentum = jnp.minimum(n.norm_momentum, 1 - memory)
        running = norm.update_running(
            running, found.statistics, net.variances(shape), shape.heads * rows_in_batch, momentum
        )
        part = rows_in_batch / n_train.astype(jnp.float32)
        return (
            parameters, average, running, optimizer,
            loss + part * found.loss, penalty + part * found.penalty, rates.learning,
        )  # fmt: skip

    zero = jnp.float32(0)
    carry = (state.parameters, state.average, state.running, state.optimizer, zero, zero, zero)
    parameters, average, running, optimizer, loss, penalty, rate = jax.lax.fori_loop(
        0, steps, body, carry
    )
    state = state._replace(
        parameters=parameters,
        average=average,
        running=running,
        optimizer=optimizer,
        epoch=state.epoch + 1,
    )
    return state, loss, penalty, rate


def score(
    weights: Array, running: Array, shape: Shape, n: Numbers, rows: Rows, folds: Folds, fold: Array
) -> tuple[Array, Array]:
    """Return loss and error of a fold's validation rows, weighted means (see `losses`)."""
    parameters_layout, running_layout = net.layouts(shape)
    weights_tree, running_tree = parameters_layout.split(weights), running_layout.split(running)
    n_valid = folds.n_valid[fold]
    size = EVALUATION_ROWS if shape.image is None else EVALUATION_IMAGES
    chunks = (n_valid + size - 1) // size
    place = jax.lax.iota(jnp.int32, size)

    def body(i: Array, sums: Array) -> Array:
        start = i * size
        index = jax.lax.dynamic_slice(folds.valid, (fold, start), (1, size))[0]
        batch = take(rows, index)
        outputs = net.evaluate(weights_tree, running_tree, shape, n, batch.inputs)
        if shape.task == "regression":
            loss = losses.squared_error(outputs, batch.target)
        else:
            loss = losses.cross_entropy(outputs, losses.one_hot(batch.target, shape.n_outputs))
        error = losses.error(outputs, batch.target, shape.task)
        weight = jnp.where(start + place < n_valid, batch.weight, 0.0)
        return sums + jnp.stack([weight @ loss, weight @ error, weight.sum()])

    sums = jax.lax.fori_loop(0, chunks, body, jnp.zeros(3, jnp.float32))
    return sums[0] / sums[2], sums[1] / sums[2]


def train_epochs(
    state: State,
    n: Numbers,
    fold: Array,
    shape: Shape,
    train: Rows,
    valid: Rows,
    folds: Folds,
    steps: Array,
    epochs: Array,
) -> tuple[State, Array]:
    """Train a member for some epochs, or until it stops.

    Args:
        state: of the member.
        n: its recipe's numbers.
        fold: scalar int32.
        shape: the bucket's.
        train: rows that ``folds.train`` points into.
        valid: rows that ``folds.valid`` points into (the same, with cross-validation).
        folds: index sets.
        steps: scalar int32, batches of an epoch.
        epochs: scalar int32, at most `CALL_EPOCHS`.

    Returns:
        The new state, and ``(CALL_EPOCHS, len(CURVES))`` float32: a row for each epoch of this call, then zeros.
    """
    first = state.epoch

    def running(carry: tuple[State, Array]) -> Array:
        state, _ = carry
        return (state.epoch - first < epochs) & (state.status == members.RUNNING)

    def body(carry: tuple[State, Array]) -> tuple[State, Array]:
        state, curves = carry
        place = state.epoch - first
        state, loss, penalty, rate = train_epoch(state, shape, n, train, folds, fold, steps)
        valid_loss, valid_error = score(state.average, state.running, shape, n, valid, folds, fold)
        healthy = jnp.isfinite(loss + penalty) & jnp.isfinite(valid_loss)
        monitored = jnp.where(n.monitor_error, valid_error, valid_loss)
        best, status = stopping.update(
            state.best, monitored, healthy, state.epoch, (state.average, state.running), n
        )
        row = jnp.stack([loss, penalty, valid_loss, valid_error, rate])
        return state._replace(best=best, status=status), curves.at[place].set(row)

    curves = jnp.zeros((CALL_EPOCHS, len(members.CURVES)), jnp.float32)
    return jax.lax.while_loop(running, body, (state, curves))
