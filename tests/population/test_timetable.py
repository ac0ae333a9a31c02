"""The order of very many rows, made part by part."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from popnet.population.timetable import STRETCH, batch_counts, epoch_order


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3_000), st.integers(1, 7), st.integers(0, 5))
def test_parts_of_a_pass_are_a_permutation(n, parts, pass_):
    sizes = batch_counts(n, min(parts, n))
    ends = np.cumsum(sizes)
    found = [
        epoch_order(1, pass_, n, end - size, end) for size, end in zip(sizes, ends, strict=True)
    ]
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.arange(n))
    again = epoch_order(1, pass_, n, 0, int(sizes[0]))
    np.testing.assert_array_equal(found[0], again)


def test_a_part_reads_few_stretches_and_mixes_them():
    n = 400 * STRETCH
    part = epoch_order(0, 0, n, 0, 40 * STRETCH)
    assert len(np.unique(part // STRETCH)) == 40
    assert len(np.unique(part[:STRETCH] // STRETCH)) > 20
    assert (epoch_order(0, 1, n, 0, 40 * STRETCH) != part).any()
    assert np.corrcoef(np.arange(len(part)), part)[0, 1] < 0.1
