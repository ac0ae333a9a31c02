"""Intervals hold what they promise, also where errors are large in places, and say so where rows are too few."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from popnet.errors import InputError
from popnet.predictions import conformal

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]
EQUAL = np.full(4, 0.25)
FOLDS = (0, 0, 1, 1)


def draw(rng: np.random.Generator, rows: int, skewed: bool = False) -> Drawn:
    """Return true values, outputs of two nets of each of two folds ``(4, N, 1)``, and how large errors are.

    Errors are large where the prediction is large and where the nets disagree.
    """
    centre, doubt = rng.uniform(-2, 2, rows), rng.uniform(0.1, 1, rows)
    size = np.exp(centre) * doubt
    noise = rng.exponential(1, rows) - 1 if skewed else rng.standard_normal(rows)
    outputs = centre + np.array([1, -1, 1, -1])[:, None] * doubt
    return (centre + size * noise)[:, None], outputs[..., None], size


def learned(drawn: Drawn, weights: np.ndarray | None = None) -> conformal.Conformal:
    """Learn from rows of which the first half was held out by the first fold, the others by the second."""
    true, outputs, _ = drawn
    _, centres, spreads = conformal.by_fold(outputs, EQUAL, FOLDS)
    fold = (np.arange(len(true)) >= len(true) // 2).astype(int)
    rows = np.arange(len(true))
    found = conformal.calibrate(true, centres[fold, rows], spreads[fold, rows], FOLDS, weights)
    assert found is not None
    return found


def bounds(
    found: conformal.Conformal, outputs: np.ndarray, weights: np.ndarray, coverage: float
) -> np.ndarray:
    """Return the low and the high ends of intervals, as a model does."""
    found.rank(coverage)
    return found.quantiles(outputs, weights, conformal.ends(coverage))


def inside(found: conformal.Conformal, drawn: Drawn, coverage: float) -> np.ndarray:
    low, high = bounds(found, drawn[1], EQUAL, coverage)
    return ((low <= drawn[0]) & (drawn[0] <= high))[:, 0]


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.99])
def test_the_promised_share_lies_within_everywhere(coverage, skewed):
    rng = np.random.default_rng(0)
    found = learned(draw(rng, 4000, skewed))
    new = draw(rng, 20_000, skewed)
    hit = inside(found, new, coverage)
    assert hit.mean() == pytest.approx(coverage, abs=0.02)
    for part in np.array_split(np.argsort(new[2]), 5):  # from the smallest errors to the largest
        assert hit[part].mean() == pytest.approx(coverage, abs=0.06)
    low, high = bounds(found, new[1], EQUAL, coverage)
    width = (high - low)[:, 0]
    assert np.corrcoef(np.log(width), np.log(new[2]))[0, 1] > 0.95


def test_skewed_errors_have_the_longer_side_where_they_are():
    drawn = draw(np.random.default_rng(1), 4000, skewed=True)
    low, high = bounds(learned(drawn), drawn[1], EQUAL, 0.9)
    centre = drawn[1].mean(0)
    assert ((high - centre) > 1.5 * (centre - low)).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(3, 300), st.floats(0.05, 0.95))
def test_intervals_of_any_few_rows_are_nested_or_refused(seed, rows, coverage):
    found = learned(drawn := draw(np.random.default_rng(seed), rows))
    if not found.gives(coverage):
        with pytest.raises(InputError, match=rf"{rows} held-out rows are too few"):
            bounds(found, drawn[1], EQUAL, coverage)
        return
    low, high = bounds(found, drawn[1], EQUAL, coverage)
    narrow_low, narrow_high = bounds(found, drawn[1], EQUAL, coverage / 2)
    assert np.isfinite([low, high]).all()
    assert ((low <= narrow_low) & (narrow_low <= narrow_high) & (narrow_high <= high)).all()
    assert inside(found, drawn, coverage).mean() >= coverage - 0.1 - 2 / rows


def test_what_can_be_asked_of_few_rows_is_said_and_can_be():
    found = learned(drawn := draw(np.random.default_rng(2), 24))
    with pytest.raises(InputError, match=r"intervals of 95 %; ask for 92 % or less"):
        bounds(found, drawn[1], EQUAL, 0.95)
    low, high = bounds(found, drawn[1], EQUAL, 0.92)
    rounding = 1e-5  # of float32: the ends are the furthest rows
    assert ((low - rounding <= drawn[0]) & (drawn[0] <= high + rounding)).all()


def test_rows_of_no_weight_say_nothing_and_weights_count_like_repeated_rows():
    rng = np.random.default_rng(3)
    drawn = draw(rng, 600)
    times = np.repeat(rng.integers(0, 4, 300), 2)  # as many in both folds' halves
    weighted, plain = learned(drawn, times.astype(float)), learned(drawn)
    assert len(weighted.errors) == (times > 0).sum()
    wild = drawn[0] + np.where(times == 0, 1e3, 0.0)[:, None]
    assert learned((wild, *drawn[1:]), times.astype(float)).sizes == weighted.sizes
    heavy = np.where(drawn[0][:, 0] > drawn[1].mean(0)[:, 0], 10.0, 1.0)  # what lies above counts
    low, high = bounds(learned(drawn, heavy), drawn[1], EQUAL, 0.8)
    plain_low, plain_high = bounds(plain, drawn[1], EQUAL, 0.8)
    assert (low > plain_low).all()
    assert (high > plain_high).all()


def test_of_very_many_rows_quantiles_are_kept():
    rng = np.random.default_rng(4)
    found = learned(draw(rng, 30_000))
    assert found.errors.shape == (conformal.MAX_ERRORS, 1)
    assert (np.diff(found.errors[:, 0]) >= 0).all()
    assert inside(found, draw(rng, 20_000), 0.9).mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_predictions_that_are_all_alike_and_all_as_far_off(error):
    """Nothing tells rows apart, and nothing is divided by."""
    outputs = np.zeros((4, 50, 1))
    found = learned((np.full((50, 1), error), outputs, np.ones(50)))
    low, high = bounds(found, outputs, EQUAL, 0.9)
    np.testing.assert_allclose(low, error, atol=1e-4)
    np.testing.assert_allclose(high, error, atol=1e-4)


def test_no_held_out_row_no_intervals():
    nothing = np.full((5, 1), np.nan)
    assert conformal.calibrate(np.zeros((5, 1)), nothing, nothing, FOLDS) is None


def test_a_folds_nets_are_averaged_by_their_weights():
    outputs = np.array([[[0.0]], [[4.0]], [[7.0]], [[9.0]]])
    shares, centres, spreads = conformal.by_fold(outputs, np.array([0.3, 0.1, 0.6, 0.0]), FOLDS)
    np.testing.assert_allclose(shares, [0.4, 0.6])
    np.testing.assert_allclose(centres[:, 0, 0], [1.0, 7.0])
    np.testing.assert_allclose(spreads[:, 0, 0], [np.sqrt(0.75 * 1 + 0.25 * 9), 0.0])


def test_what_is_stored_is_what_was_learned():
    found = learned(drawn := draw(np.random.default_rng(5), 100))
    again = conformal.Conformal.from_json(found.to_json(), found.errors)
    np.testing.assert_array_equal(
        bounds(again, drawn[1], EQUAL, 0.9), bounds(found, drawn[1], EQUAL, 0.9)
    )
    for errors in (found.errors[:, :0], found.errors[:0], np.full((3, 1), np.nan)):
        with pytest.raises(ValueError, match="held-out errors"):
            conformal.Conformal.from_json(found.to_json(), errors)


@pytest.mark.parametrize("skewed", [False, True])
def test_as_many_true_values_as_promised_are_below_a_quantile(skewed):
    rng = np.random.default_rng(3)
    found = learned(draw(rng, 4000, skewed))
    true, outputs, _ = draw(rng, 20_000, skewed)
    levels = (0.02, 0.1, 0.3, 0.5, 0.8, 0.99)
    values = found.quantiles(outputs, EQUAL, levels)
    assert values.shape == (6, 20_000, 1)
    assert (np.diff(values, axis=0) >= 0).all()
    np.testing.assert_allclose((true < values).mean((1, 2)), levels, atol=0.02)
    with pytest.raises(InputError, match="between 0 and 1"):
        found.quantiles(outputs, EQUAL, (1.0,))


@settings(deadline=None)
@given(st.integers(2, 5000))
def test_the_quantiles_that_a_refusal_offers_can_be_had(rows):
    found = learned(draw(np.random.default_rng(0), rows))
    with pytest.raises(InputError, match="too few for a quantile") as refusal:
        found.place(1e-9)
    low, high = re.findall(r"between (\S+) and (\S+),", str(refusal.value))[0]
    assert (found.place(float(low)), found.place(float(high))) == (0, rows - 1)


def test_coverage_and_width_as_they_are_reported():
    true = np.array([[1.0], [2.0], [3.0], [4.0]])
    low = np.array([[0.0], [3.0], [2.0], [4.0]])
    high = np.array([[2.0], [4.0], [6.0], [4.0]])
    for weights, inside, width in ((None, 0.75, 1.75), (np.array([0.0, 1.0, 1.0, 0.0]), 0.5, 2.5)):
        assert conformal.coverage_and_width(true, low, high, weights) == pytest.approx({
            "coverage_90": inside, "width_90": width,
            "pinball_5": mean_pinball_loss(true, low, alpha=0.05, sample_weight=weights),
            "pinball_95": mean_pinball_loss(true, high, alpha=0.95, sample_weight=weights),
        })  # fmt: skip
    both = conformal.coverage_and_width(*(np.tile(v, 2) for v in (true, low, high)))
    assert both == {"coverage_90": 0.75}  # widths of two units have no mean


# The deviation of each fold's predictions about what is true; that of the target is 1.
@pytest.mark.parametrize("apart", [0.7, 1.2])
def test_the_mean_of_folds_that_differ_has_narrower_intervals_which_hold_what_they_promise(apart):
    rng = np.random.default_rng(0)
    folds, rows, noise = (0, 1, 2, 3, 4), 20_000, 1.0
    true = noise * rng.standard_normal((2 * rows, 1))
    outputs = apart * rng.standard_normal((5, 2 * rows, 1))
    seen, new = slice(rows), slice(rows, None)
    mine = np.arange(rows) % 5
    held_out, spread = outputs[mine, np.arange(rows)], np.zeros((rows, 1))
    found = conformal.calibrate(true[seen], held_out, spread, folds)
    assert found is not None
    low, high = bounds(found, outputs[:, new], np.full(5, 0.2), 0.9)
    one_fold = 2 * 1.645 * np.hypot(noise, apart)
    mean_of_folds = 2 * 1.645 * np.hypot(noise, apart / np.sqrt(5))
    assert 0.98 * mean_of_folds < (high - low).mean() < 0.96 * one_fold
    assert 0.895 < ((low <= true[new]) & (true[new] <= high)).mean() < 0.93


@pytest.mark.parametrize("skewed", [False, True])
def test_deviations_are_the_root_mean_square_of_errors_for_small_ones_and_large_ones(skewed):
    rng = np.random.default_rng(1)
    found = learned(draw(rng, 4000, skewed))
    true, outputs, size = draw(rng, 20_000, skewed)
    deviation = found.deviations(outputs, EQUAL)[:, 0]
    error = true[:, 0] - np.einsum("m,mnt->nt", EQUAL, outputs)[:, 0]
    for part in np.array_split(np.argsort(size), 4):
        assert np.sqrt((error[part] ** 2).mean() / (deviation[part] ** 2).mean()) == pytest.approx(
            1, abs=0.15
        )


def test_folds_that_are_each_unsure_how_large_errors_are_do_not_make_intervals_too_wide():
    rng = np.random.default_rng(2)
    folds, rows = tuple(np.repeat(np.arange(5), 2)), 20_000
    doubt = np.exp(0.8 * rng.standard_normal(2 * rows))
    true = doubt * rng.standard_normal(2 * rows)
    seems = doubt * np.exp(0.6 * rng.standard_normal((5, 2 * rows)))  # to each fold
    outputs = (seems[:, None] * np.array([1, -1])[None, :, None]).reshape(10, -1, 1)
    seen, new = slice(rows), slice(rows, None)
    own = seems[np.arange(rows) % 5, np.arange(rows)][:, None]
    found = conformal.calibrate(true[seen, None], np.zeros((rows, 1)), own, folds)
    assert found is not None
    for coverage in (0.8, 0.9, 0.95):
        low, high = bounds(found, outputs[:, new], np.full(10, 0.1), coverage)[..., 0]
        inside = (low <= true[new]) & (true[new] <= high)
        assert coverage - 0.005 < inside.mean() < coverage + 0.022
    deviation = found.deviations(outputs[:, new], np.full(10, 0.1))
    ratio = np.sqrt((true[new] ** 2).mean() / (deviation**2).mean())
    assert ratio == pytest.approx(1, abs=0.06)


def test_few_held_out_rows_give_intervals_that_hold_as_much_as_promised():
    rng = np.random.default_rng(4)
    inside = []
    for _ in range(80):
        found = learned(draw(rng, 200))
        new = draw(rng, 1000)
        low, high = bounds(found, new[1], EQUAL, 0.9)[..., 0]
        centre = np.einsum("m,mnt->n", EQUAL, new[1])
        # The true share, of errors that are normal with a known size.
        inside.append(
            (norm.cdf((high - centre) / new[2]) - norm.cdf((low - centre) / new[2])).mean()
        )
    assert np.mean(inside) == pytest.approx(0.9, abs=0.005)
