"""The objective of one batch and its gradient; how an epoch is cut into batches.

The chain of truth: finite differences check the gradients that the reference writes by hand, and the reference
checks the compiled objective.
"""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popnet import Recipe
from popnet.nn import net
from popnet.population import epoch, feed
from popnet.population.timetable import Step, batch_counts, mixing_shares
from popnet.runtime import keys
from popnet.spec.recipe import choices
from popnet.spec.shape import Form, Numbers, Shape
from population import reference

BASE = Recipe(depth=2, width=8, batch_size=32, dropout=0)
STEP_KEYS = keys.StepKeys(*(k[0] for k in keys.StepKeys.of(np.array([4], np.uint32), 1, 3)))
COUNT = 29  # real rows; 3 fill up
ROWS = np.random.default_rng(5).permutation(240)[:32]

PLACES = [
    BASE.replace(activation=a, norm=n, norm_position=p, leaky_slope=0.2, elu_alpha=0.7)
    for a, n, p in itertools.product(choices("activation"), choices("norm"), ("before", "after"))
    if (n, p) != ("none", "after")
]
TERMS = [
    BASE.replace(dropout=0.4),
    BASE.replace(input_dropout=0.3),
    BASE.replace(dropout=0.3, input_dropout=0.2, norm="layer", activation="gelu"),
    BASE.replace(input_noise=0.5),
    BASE.replace(mixup=0.8),
    BASE.replace(mixup=0.8, class_balance=0.5, label_smoothing=0.1),
    BASE.replace(label_smoothing=0.2),
    BASE.replace(class_balance=1.0),
    BASE.replace(l1=1e-2),
    BASE.replace(l2=1e-1, norm="none"),
    BASE.replace(l1=1e-3, l2=1e-2, dropout=0.1),
]
OTHER_SHAPES = [
    BASE.replace(numeric_embedding="periodic", embedding_size=4, input_noise=0.1, mixup=0.3),
    BASE.replace(numeric_embedding="periodic", embedding_size=4, embedding_quantiles=True),
    BASE.replace(numeric_embedding="piecewise", embedding_size=5, input_noise=0.1),
    BASE.replace(depth=0, l1=1e-2),
]


def identity(recipe: Recipe) -> str:
    changed = {k: v for k, v in recipe.model_dump().items() if v != getattr(BASE, k)}
    return "-".join(map(str, changed.values())) or "base"


def start(recipe: Recipe, data):
    """Return a shape and parameters in which no array is all zeros or ones."""
    rng = np.random.default_rng(1)
    shape = Shape.of(recipe, data)
    parameters, _ = net.init(recipe, shape, 0)
    return shape, jax.tree.map(
        lambda x: x + 0.2 * rng.standard_normal(x.shape).astype(np.float32), parameters
    )


def plain(parameters, recipe: Recipe, data):
    """Return loss, penalty, gradient of their sum, statistics."""
    shape = Shape.of(recipe, data)
    every = np.arange(len(data))
    balance = feed.class_weight(data, every).astype(np.float64) ** recipe.class_balance
    loss, gradient, statistics = reference.differentiate(
        parameters, shape, recipe, data, ROWS[:COUNT], balance, STEP_KEYS, share(recipe)
    )
    penalty, pull = reference.penalise(parameters, recipe)
    return loss, penalty, jax.tree.map(np.add, gradient, pull), statistics


def share(recipe: Recipe) -> float:
    """Return what a row keeps of itself, by mixup."""
    return float(np.float32(mixing_shares(recipe.mixup, 4, 0, 1)[0]))


objective = jax.jit(epoch.objective, static_argnames="form")


def compiled(parameters, recipe: Recipe, data, rows=ROWS) -> epoch.Objective:
    """Return what the program finds, its gradient and statistics as a net's own trees."""
    shape = Shape.of(recipe, data)
    form = Form.of(shape)
    running = net.init(recipe, shape, 0)[1]
    weights, _ = net.pad(jax.tree.map(np.float32, parameters), running, shape, form)
    shares = np.where(np.arange(32) < COUNT, np.float32(1 / COUNT), np.float32(0))
    shaped = feed.Feed(data.features).shaped(shape, form, recipe, (1, 32))
    of_rows = feed.row_weights(data, np.arange(len(data)), recipe.class_balance)
    block = feed.block_of(shaped, data, rows[None], shares[None], of_rows)
    inputs = block.inputs.with_rows(block.inputs.rows[0])
    batch = epoch.Rows(inputs, *(x[0] for x in block[1:]))
    step = Step(*(np.float32(0) for _ in Step._fields))
    step = step._replace(mixing=np.float32(share(recipe)), rows=np.float32(COUNT))
    numbers, sizes = Numbers.of(recipe), net.NetSizes.of(shape)
    found = objective(
        weights, form=form, n=numbers, sizes=sizes, batch=batch, step=step, step_keys=STEP_KEYS
    )
    # A padded output's bias has no gradient, as its class has no probability.
    gradient, statistics = net.unpad(found.gradient, found.statistics, shape, form)
    return found._replace(gradient=gradient, statistics=statistics)


# --- the reference is right ----------------------------------------------------------------------


def check_by_differences(recipe, data):
    """Compare the gradient with differences along a random direction in each array."""
    _, parameters = start(recipe, data)
    parameters = jax.tree.map(np.float64, parameters)
    _, _, gradient, _ = plain(parameters, recipe, data)
    leaves, treedef = jax.tree.flatten(parameters)
    rng = np.random.default_rng(0)
    for i, g in enumerate(jax.tree.leaves(gradient)):
        direction = rng.standard_normal(g.shape)
        ends = []
        for step in (1e-6, -1e-6):
            moved = [x + step * direction if j == i else x for j, x in enumerate(leaves)]
            ends.append(sum(plain(jax.tree.unflatten(treedef, moved), recipe, data)[:2]))
        slope = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose((g * direction).sum(), slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("recipe", [*PLACES, *TERMS, *OTHER_SHAPES], ids=identity)
def test_the_references_gradient_by_differences(table, recipe):
    check_by_differences(recipe, table)


@pytest.mark.parametrize("recipe", [BASE, TERMS[2], TERMS[4]], ids=identity)
def test_the_references_gradient_by_differences_for_regression(regression, recipe):
    check_by_differences(recipe, regression)


# --- the compiled objective equals the reference -------------------------------------------------


def check_with_reference(recipe, data):
    _, parameters = start(recipe, data)
    got = compiled(parameters, recipe, data)
    loss, penalty, gradient, statistics = plain(jax.tree.map(np.float64, parameters), recipe, data)
    np.testing.assert_allclose(got.loss.sum(), loss, rtol=1e-5)
    np.testing.assert_allclose(got.penalty.sum(), penalty, rtol=1e-5)
    difference = jax.tree.map(
        lambda a, b: np.abs(a - b).max(initial=0) / max(np.abs(b).max(initial=0), 1e-3),
        got.gradient,
        gradient,
    )
    assert max(jax.tree.leaves(difference)) < 1e-4, difference
    if recipe.norm == "batch":
        for a, b in zip(got.statistics, statistics, strict=True):
            expected = b[recipe.norm_position]
            # Engine's nets have no bias there, the reference's have.
            bias = recipe.norm_position == "before"
            np.testing.assert_allclose(a[recipe.norm_position].var, expected.var, rtol=1e-4)
            if not bias:
                mean = a[recipe.norm_position].mean
                np.testing.assert_allclose(mean, expected.mean, rtol=1e-4, atol=1e-5)


# Other shapes are compared in test_reference.py, over whole trainings.
@pytest.mark.parametrize(
    "recipe", [r for r in [*PLACES, *TERMS] if r.activation != "maxout"], ids=identity
)
def test_the_objective_is_the_references(table, recipe):
    check_with_reference(recipe, table)


@pytest.mark.parametrize("recipe", [BASE, TERMS[2], TERMS[5]], ids=identity)
def test_rows_that_fill_up_a_batch_do_not_matter_to_the_bit(table, recipe):
    _, parameters = start(recipe, table)
    others = np.r_[ROWS[:COUNT], 7, 7, 99]
    a, b = (compiled(parameters, recipe, table, rows) for rows in (ROWS, others))
    jax.tree.map(np.testing.assert_array_equal, a, b)


# --- batches -------------------------------------------------------------------------------------


@given(st.integers(1, 10_000), st.integers(1, 512))
def test_batches_are_equal_up_to_one_row_and_cover_all(n, batch_size):
    steps = -(-n // batch_size)
    counts = batch_counts(n, steps)
    assert counts.sum() == n
    assert counts.max() <= batch_size
    assert counts.max() - counts.min() <= 1
    cut = feed.cut_of(n, steps, batch_size)
    real = cut.shares > 0
    np.testing.assert_array_equal(cut.places[real], np.arange(n))  # each row once, in order
    np.testing.assert_array_equal(real.sum(1), counts)
    np.testing.assert_allclose(cut.shares.sum(1), 1, rtol=1e-5)
    # What is beyond them repeats a row of the batch.
    first = np.broadcast_to(cut.places[:, :1], real.shape)
    np.testing.assert_array_equal(cut.places[~real], first[~real])
