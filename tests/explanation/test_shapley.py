"""Shapley values against brute force, closed forms and the package shap."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popnet import Features
from popnet.explanation.input_columns import InputColumns
from popnet.explanation.shapley import Shapley, corrected, shapley


def make(rng: np.random.Generator, rows: int, columns: np.ndarray) -> Features:
    """Return rows of numbers, two flags and a code; values come again, so that rows are equal in some columns."""
    numeric = rng.integers(-2, 3, (rows, len(columns))) / 2
    return Features(
        numeric.astype(np.float32),
        rng.integers(0, 2, (rows, 2)).astype(np.uint8),
        rng.integers(0, 3, (rows, 1)).astype(np.int32),
        (3,),
    )


# Column 0 fills two numbers, 1 a number and a flag, 2 a flag, 3 a code.
BLOCKS = InputColumns(
    ("a", "b", "c", "d"), np.array([0, 0, 1], np.intp), np.array([1, 2], np.intp), np.array([3], np.intp)
)  # fmt: skip


def model(features: Features) -> np.ndarray:
    """Return two outputs that depend on all columns together."""
    x, f, c = (
        np.asarray(p, np.float64) for p in (features.numeric, features.flags, features.codes)
    )
    first = np.tanh(x[:, 0] * x[:, 2] + f[:, 0] - c[:, 0]) + f[:, 1] * x[:, 1]
    return np.stack([first, np.exp(-np.square(x).sum(1)) * (1 + c[:, 0]) * (f[:, 1] - 0.3)], 1)


def brute_force(
    answer: Callable[[Features], np.ndarray], rows: Features, background: Features, outputs, blocks: InputColumns
) -> np.ndarray:  # fmt: skip
    """Return Shapley values by their definition: the mean over all orders and all background rows."""
    d, n = len(blocks), len(background)
    values = np.zeros((len(rows), d))
    for r in range(len(rows)):
        worth = {}
        for size in range(d + 1):
            for subset in itertools.combinations(range(d), size):
                mixed = background.take(np.arange(n))
                for part, columns in (
                    ("numeric", blocks.numeric),
                    ("flags", blocks.flags),
                    ("codes", blocks.codes),
                ):
                    of = np.isin(columns, subset)
                    getattr(mixed, part)[:, of] = getattr(rows, part)[r, of]
                worth[subset] = answer(mixed)[:, outputs[r]].mean()
        orders = list(itertools.permutations(range(d)))
        for order in orders:
            for k, column in enumerate(order):
                before, after = (tuple(sorted(order[:j])) for j in (k, k + 1))
                values[r, column] += (worth[after] - worth[before]) / len(orders)
    return values


def explained(answer, rows, background, outputs, blocks=BLOCKS, seed=0, pairs=None) -> Shapley:
    rng = np.random.default_rng(seed)
    return shapley(answer, rows, background, answer(background), outputs, blocks, rng, pairs=pairs)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(7)
    rows, background = make(rng, 5, BLOCKS.numeric), make(rng, 60, BLOCKS.numeric)
    outputs = np.array([0, 1, 0, 1, 1])
    return rows, background, outputs, brute_force(model, rows, background, outputs, BLOCKS)


def test_all_subsets_are_brute_force(case):
    rows, background, outputs, true = case
    found = explained(model, rows, background, outputs, pairs=200)
    assert found.pairs == 0
    np.testing.assert_allclose(found.values, true, atol=1e-12)
    assert not found.errors.any()


# 30 pairs: some background rows, from strata; 50: some, one a pair; 130: all of them twice.
@pytest.mark.parametrize("pairs", [30, 50, 130])
def test_sampled_values_are_brute_force_within_their_standard_errors(case, pairs):
    rows, background, outputs, true = case
    off, errors = [], []
    for seed in range(40):
        found = explained(model, rows, background, outputs, seed=seed, pairs=pairs)
        assert found.pairs == (pairs if pairs < 60 else 120)
        np.testing.assert_allclose(found.values.sum(1), found.answers - found.base, atol=1e-12)
        off.append(found.values - true)
        errors.append(found.errors)
    off, errors = np.stack(off), np.stack(errors)
    assert np.abs(off.mean(0)).max() < 5 * np.sqrt(np.square(errors).mean(0) / 40).max()
    ratio = np.sqrt(np.square(off).mean() / np.square(errors).mean())
    # Strata, and draws without replacement from 60 rows, make errors smaller than they are said to be.
    assert (0.4 if pairs < 60 else 0.85) < ratio < 1.15


def test_an_additive_model_has_the_closed_form():
    rng = np.random.default_rng(3)
    weights = rng.standard_normal(40)
    blocks = InputColumns(
        tuple("abcdefghij"), np.arange(40) % 10, np.zeros(0, int), np.zeros(0, int)
    )
    rows, background = (Features.from_numeric(rng.standard_normal((n, 40))) for n in (3, 70))

    def additive(f: Features) -> np.ndarray:
        return (np.sin(np.asarray(f.numeric, np.float64)) @ weights)[:, None]

    found = explained(additive, rows, background, np.zeros(3, int), blocks, pairs=70)
    terms = np.sin(rows.numeric) - np.sin(background.numeric).mean(0)
    true = np.stack([(terms * weights)[:, blocks.numeric == c].sum(1) for c in range(10)], 1)
    assert found.pairs == 70  # every background row once: the orders do not matter
    np.testing.assert_allclose(found.values, true, atol=1e-5)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 90), st.integers(2, 40))
def test_values_sum_to_the_answer_less_the_mean_answer(seed, d, n, pairs):
    rng = np.random.default_rng(seed)
    inner, outer = rng.standard_normal((d, 5)), rng.standard_normal((5, 3))
    inner[0] = 0  # the first column does nothing
    rows, background = (
        Features.from_numeric(rng.integers(0, 3, (k, d)).astype(float)) for k in (4, n)
    )

    def net(f: Features) -> np.ndarray:
        return np.tanh(np.asarray(f.numeric, np.float64) @ inner) @ outer

    blocks = InputColumns(
        tuple(map(str, range(d))), np.arange(d), np.zeros(0, int), np.zeros(0, int)
    )
    outputs = rng.integers(0, 3, 4)
    found = explained(net, rows, background, outputs, blocks, seed, pairs)
    np.testing.assert_allclose(found.values.sum(1), found.answers - found.base, atol=1e-9)
    np.testing.assert_allclose(found.base, net(background).mean(0)[outputs])
    np.testing.assert_allclose(found.values[:, 0], 0, atol=1e-9)
    alone = explained(net, rows.take([2]), background, outputs[[2]], blocks, seed, pairs)
    np.testing.assert_allclose(alone.values[0], found.values[2], atol=1e-12)


def test_a_control_variate_corrects_a_mean_exactly_where_it_explains_all():
    rng = np.random.default_rng(0)
    there = rng.standard_normal((1, 30))
    added = np.stack([2 - 3 * there[0], 1 + 2 * there[0]], 1)[None]  # sums to 3 - there
    values, errors = corrected(added, there, np.array([0.25]))
    np.testing.assert_allclose(values, [[2 - 3 * 0.25, 1 + 2 * 0.25]])
    np.testing.assert_allclose(errors, 0, atol=1e-12)


def test_values_are_those_of_the_package_shap():
    shap = pytest.importorskip("shap")
    rng = np.random.default_rng(5)
    X, Z = rng.standard_normal((4, 6)), rng.standard_normal((90, 6))

    def smooth(x: np.ndarray) -> np.ndarray:
        return np.tanh(x[:, 0] * x[:, 1] - x[:, 2]) + x[:, 3] * np.maximum(x[:, 4], 0)

    def answer(f: Features) -> np.ndarray:
        return smooth(np.asarray(f.numeric, np.float64))[:, None]

    masker = shap.maskers.Independent(Z.astype(np.float32), max_samples=len(Z))
    true = shap.explainers.Exact(smooth, masker)(X.astype(np.float32)).values
    blocks = InputColumns(tuple("abcdef"), np.arange(6), np.zeros(0, int), np.zeros(0, int))
    rows, background = Features.from_numeric(X), Features.from_numeric(Z)
    every = explained(answer, rows, background, np.zeros(4, int), blocks, pairs=600)
    assert every.pairs == 0
    np.testing.assert_allclose(every.values, true, atol=1e-5)
    some = explained(answer, rows, background, np.zeros(4, int), blocks, pairs=270)
    assert some.pairs == 270
    assert np.abs(some.values - true).max() < 5 * some.errors.max()
