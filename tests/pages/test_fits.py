"""What a fit keeps for its page, against what was scored: it needs no browser."""

from __future__ import annotations

import numpy as np
import pytest


def test_a_fit_of_classes_counts_its_test_rows(fits):
    page = fits["bought"]
    seen, scored = page.facts.evidence, page.scored
    assert seen.rows == page.facts.data.test_rows == len(scored.true)
    place = seen.thresholds.thresholds.index(seen.threshold)
    found, mistaken = seen.thresholds.found[place], seen.thresholds.mistaken[place]
    assert page.facts.confusion == [
        [seen.thresholds.negatives - mistaken, mistaken],
        [seen.thresholds.positives - found, found],
    ]
    assert sum(b.rows for b in seen.reliability) == seen.rows
    mean = sum(b.rows * b.happened for b in seen.reliability) / seen.rows
    assert mean == pytest.approx(np.mean(scored.true == 1))


@pytest.mark.parametrize("target", ["bought", "price"])
def test_the_noisy_group_is_found(fits, target):
    worse = fits[target].facts.evidence.worse
    assert ("place", "far") in [(s.column, s.label) for s in worse.slices.found]
    assert worse.slices.looked > 10
    assert worse.slices.rows == fits[target].facts.data.test_rows


def test_a_fit_of_numbers_counts_what_its_intervals_contain(fits):
    seen, facts = fits["price"].facts.evidence, fits["price"].facts
    assert [c.promised for c in seen.coverage] == [0.5, 0.8, 0.9, 0.95]
    reported = seen.coverage[2]
    assert reported.share == pytest.approx(facts.metrics["coverage_90"])
    assert reported.width == pytest.approx(facts.metrics["width_90"], rel=1e-6)
    errors = (fits["price"].scored.true - fits["price"].scored.predicted)[:, 0]
    mean = sum(b.rows * b.mean for b in seen.errors) / seen.rows
    assert mean == pytest.approx(errors.mean())
    assert seen.thresholds is None
