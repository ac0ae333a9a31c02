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

from popnet import Recipe, keys
from popnet.nn import net
from popnet.nn.inputs import Columns
from popnet.population import epoch, reference
from popnet.population.program import class_weight
from popnet.recipe import choices
from popnet.shape import Numbers, Shape

BASE = Recipe(depth=2, width=8, batch_size=32, dropout=0)
KEY = keys.key(4, "step")
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
    balance = class_weight(data, np.arange(len(data))).astype(np.float64) ** recipe.class_balance
    loss, gradient, statistics = reference.differentiate(
        parameters, shape, recipe, data, ROWS[:COUNT], balance, KEY
    )
    penalty, pull = reference.penalise(parameters, recipe)
    return loss, penalty, jax.tree.map(np.add, gradient, pull), statistics


objective = jax.jit(epoch.objective, static_argnames="shape")


def compiled(parameters, recipe: Recipe, data, rows=ROWS) -> epoch.Objective:
    shape = Shape.of(recipe, data)
    f = data.features
    weights = np.ones(len(data), np.float32) if data.weights is None else data.weights
    inputs = Columns(f.numeric, f.flags, f.codes, f.knots).map_rows(lambda x: x[rows])
    batch = epoch.Rows(inputs, data.target[rows], weights[rows])
    share = np.where(np.arange(32) < COUNT, np.float32(1 / COUNT), np.float32(0))
    return objective(
        net.layouts(shape)[0].join(parameters),
        shape=shape,
        n=Numbers.of(recipe),
        batch=batch,
        share=share,
        class_weight=class_weight(data, np.arange(len(data))),
        key=KEY,
    )


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
    shape, parameters = start(recipe, data)
    got = compiled(parameters, recipe, data)
    loss, penalty, gradient, statistics = plain(jax.tree.map(np.float64, parameters), recipe, data)
    np.testing.assert_allclose(got.loss, loss, rtol=1e-5)
    np.testing.assert_allclose(got.penalty, penalty, rtol=1e-5)
    parameters_layout, running_layout = net.layouts(shape)
    difference = jax.tree.map(
        lambda a, b: np.abs(a - b).max(initial=0) / max(np.abs(b).max(initial=0), 1e-3),
        parameters_layout.split(np.asarray(got.gradient)),
        gradient,
    )
    assert max(jax.tree.leaves(difference)) < 1e-4, difference
    if recipe.norm == "batch":
        seen = running_layout.split(np.asarray(got.statistics))
        for a, b in zip(seen, statistics, strict=True):
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
    bounds = [
        tuple(map(int, epoch.batch_bounds(np.int32(i), np.int32(n), np.int32(steps))))
        for i in {*range(min(steps, 8)), *range(max(0, steps - 8), steps)}
    ]
    counts = {c for _, c in bounds}
    assert max(counts) <= batch_size
    assert max(counts) - min(counts) <= 1
    assert bounds[0][0] == 0
    bounds.sort()
    for (i, c), (j, _) in itertools.pairwise(bounds[: min(steps, 8)]):
        assert i + c == j
    assert sum(bounds[-1]) == n
