"""What all tests share: compiled programs on disk, reproducible examples, small data sets."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from popnet import Dataset, Features
from popnet.cli import app, console, distillation, evidence, models

# JAX starts later. Compiled programs are kept beside the sources, for the next run.
os.environ.setdefault("POPNET_CACHE", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# The same examples in every run; no limit of time, for the first example compiles.
settings.register_profile("popnet", deadline=None, derandomize=True)
settings.load_profile("popnet")

ROWS = 240


@pytest.fixture(scope="session")
def features() -> Features:
    """Columns of every kind: 4 numbers, 2 flags, one code that is one-hot and one with learned vectors."""
    rng = np.random.default_rng(1)
    codes = [rng.integers(0, n, ROWS) for n in (3, 30)]
    numeric = rng.standard_normal((ROWS, 4)).astype(np.float32)
    return Features(
        numeric,
        (rng.random((ROWS, 2)) < 0.4).astype(np.uint8),
        np.stack(codes, axis=1).astype(np.int32),
        (3, 30),
        np.quantile(numeric, np.linspace(0, 1, 13), axis=0).T.astype(np.float32),
    )


def signal(features: Features) -> np.ndarray:
    """Return something that can be learned, ``(ROWS, 2)``."""
    x, f, c = features.numeric, features.flags, features.codes
    return np.stack([x[:, 0] + f[:, 0] - (c[:, 0] == 1), np.sin(2 * x[:, 1]) + c[:, 1] / 15 - 1], 1)


@pytest.fixture(scope="session")
def table(features: Features) -> Dataset:
    """Three classes of unequal size, and rows of unequal weight."""
    rng = np.random.default_rng(2)
    s = signal(features) + 0.3 * rng.standard_normal((ROWS, 2))
    target = np.where(s[:, 0] > 0.8, 0, np.where(s[:, 1] > 0, 1, 2)).astype(np.int32)
    weights = rng.uniform(0.5, 1.5, ROWS).astype(np.float32)
    return Dataset(features, target, "classification", 3, weights)


@pytest.fixture(scope="session")
def regression(features: Features) -> Dataset:
    """Two targets with mean 0 and standard deviation 1."""
    target = signal(features)
    target = (target - target.mean(0)) / target.std(0)
    return Dataset(features, target.astype(np.float32), "regression", 2)


@pytest.fixture(scope="session")
def folds() -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Two folds of unequal size, whose batches of 32 are not full and not equal."""
    order = np.random.default_rng(3).permutation(ROWS)
    return [(order[:171], order[171:]), (order[63:], order[:63])]


class Run:
    """Runs a command in this process and returns its status, stdout and stderr."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, *words: object, fails: int = 0) -> tuple[str, str]:
        self._monkeypatch.setattr(sys, "argv", ["popnet", *map(str, words)])
        for module in (
            console,
            distillation,
            evidence,
            models,
        ):  # a command begins now, and not with this process
            self._monkeypatch.setattr(module, "BEGAN", time.monotonic())
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            app.main()
        out, err = self._capfd.readouterr()
        assert (end.value.code or 0) == fails, err
        return out, err


@pytest.fixture
def run(monkeypatch, capfd) -> Run:
    return Run(monkeypatch, capfd)
