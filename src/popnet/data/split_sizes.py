"""How many rows are held out, and in how many folds."""

from __future__ import annotations

import numpy as np

MAX_TEST_ROWS = 20_000


MAX_VALIDATION_ROWS = 50_000


def test_fraction(rows: int) -> float:
    """Return the share of rows held out for the honest score: a fifth, less of many rows."""
    share = 0.2 if rows < 10_000 else 0.1
    return min(share, MAX_TEST_ROWS / max(rows, 1))


def fold_count(rows: int, members: int | None = None) -> int:
    """Return the number of folds: 5, fewer on many rows, where one held-out part says enough; at most ``members``."""
    folds = 5 if rows <= 50_000 else 3 if rows <= 150_000 else 1
    return max(1, min(folds, members or folds))


def image_fold_count(rows: int, members: int | None = None) -> int:
    """Return the number of folds of images: 6, or one held-out part where that says enough; at most ``members``.

    Nets of images take long and gain by each image more, so many are not held out again and again; 6 nets keep 2 or 3
    cores busy to the end.
    """
    folds = 6 if rows <= 10_000 else 1
    return max(1, min(folds, members or folds))


def validation_images(rows: int) -> int:
    """Return how many images one held-out part has at most."""
    return int(np.clip(rows / 10, 1000, 5000))
