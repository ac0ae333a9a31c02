"""Made-up rows: between rows of the table, columns that belong together kept together, neighbours by brute force."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from popnet.data.dataset import Features
from popnet.distillation import made_up_rows
from popnet.distillation.made_up_rows import joined, made_up, neighbours


def test_a_near_row_is_the_nearest_one_by_brute_force(monkeypatch):
    monkeypatch.setattr(made_up_rows, "NEAR", 1)
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (200, 3)).astype(np.float32)
    reference = np.sort(rng.choice(200, 120, replace=False))
    found = neighbours(Features.from_numeric(points), np.arange(200), reference, rng)
    apart = np.linalg.norm(points[:, None] - points[reference][None], axis=2)
    apart[np.arange(200)[:, None] == reference] = np.inf
    assert (found == reference[apart.argmin(1)]).all()


def test_equal_levels_are_nearer_than_others(monkeypatch):
    monkeypatch.setattr(made_up_rows, "NEAR", 1)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 40, (400, 2)).astype(np.int32)
    none = np.zeros((400, 0))
    features = Features(none.astype(np.float32), none.astype(np.uint8), codes, (40, 40))
    found = neighbours(features, np.arange(400), np.arange(400), rng)
    shared = (codes[found] == codes).sum(1)
    best = (codes[:, None] == codes[None]).sum(2)
    np.fill_diagonal(best, 0)
    assert (shared == best.max(1)).mean() > 0.9


@pytest.mark.parametrize("rows", [0, 1, 700])
def test_made_up_rows_lie_between_rows_of_the_table(classes, rows):
    model = classes.model
    features = model.encoder.transform(pl.read_csv(classes.table))
    names = model.encoder.names
    made, base = made_up(features, names, rows, np.random.default_rng(1))
    assert len(made) == len(base) == rows
    counts = np.bincount(base, minlength=len(features))
    assert counts.max() - counts.min() <= 1

    def of_column(some: Features, source: str) -> list[tuple[float, ...]]:
        """Return what a table's column became, all its parts together."""
        parts = zip(
            (some.numeric, some.flags, some.codes),
            (names.numeric_sources, names.flag_sources, names.code_sources),
            strict=True,
        )
        own = [v[:, [s == source for s in sources]].astype(float) for v, sources in parts]
        return [tuple(row) for row in np.concatenate(own, 1).tolist()]

    changed = 0
    for source in ("gaps", "colour"):
        known, new = of_column(features, source), of_column(made, source)
        assert set(new) <= set(known)
        changed += sum(new[i] != known[k] for i, k in enumerate(base))
    if rows > 100:  # half of these have the near row's value, which may be the same
        assert 0.05 < changed / (2 * rows) < 0.5
    own, moved = features.numeric[base, 0], made.numeric[:, 0]
    low, high = features.numeric[:, 0].min(), features.numeric[:, 0].max()
    assert ((moved >= low) & (moved <= high)).all()
    if rows > 100:  # to rows that are near
        assert (moved != own).mean() > 0.9
        assert np.abs(moved - own).mean() < 0.5 * np.abs(own[:, None] - own).mean()


def test_the_same_seed_makes_the_same_rows(classes):
    features = classes.model.encoder.transform(pl.read_csv(classes.table))
    names = classes.model.encoder.names
    first, second = (made_up(features, names, 50, np.random.default_rng(4))[0] for _ in range(2))
    both = joined([first, second])
    for part in ("numeric", "flags", "codes"):
        values = getattr(both, part)
        np.testing.assert_array_equal(values[:50], values[50:])
