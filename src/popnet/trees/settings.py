"""Which boosted trees are fitted in the time that there is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from popnet.data.dataset import Dataset, Features
from popnet.trees import inputs
from popnet.trees.grown import Setting

SETTINGS = (
    Setting(max_features=0.5),
    Setting(max_leaf_nodes=63, min_samples_leaf=5, max_features=0.3),
    Setting(max_leaf_nodes=8, max_features=0.3),
)
"""In the order in which they are fitted. Out of fold (4 folds, rate .06) their losses beside scikit-learn's defaults of
leaves, rows and columns were: RMSE of wine_quality (standardised) .740, .720 and .765 beside .745, of ames_housing
.281, .283 and .277 beside .294; log-loss of phoneme .259, .255 and .274 beside .264, of churn .333, .335 and .330
beside .334, of default_credit .436, .438 and .436 beside .437, of bank .203, .205 and .203 beside .203. Means of two of
them were as good as the better one."""

ENOUGH = 12.0
"""Learning rate times the rounds that there should be time for: with .06 most tables are done within 200 rounds."""

MAX_RATE, MIN_ROUNDS = 0.3, 40
"""The highest rate, and rounds below which trees of all folds are worth less than more rounds of the first one."""

TREE_SECONDS, CELL_SECONDS = 3e-3, 8e-9
"""What a tree takes on one core, and a value of its training rows (from 5e-9 on otto to 2e-8 on bank)."""


@dataclass(frozen=True)
class Plan:
    """What there is time for.

    Attributes:
        settings: with their learning rate, the most useful first.
        folds: how many of the folds.
    """

    settings: tuple[Setting, ...]
    folds: int


def round_seconds(data: Dataset, rows: int) -> float:
    """Return about how long a round of boosting takes on so many rows, on one core that has nothing else to do."""
    assert isinstance(data.features, Features)
    trees = data.n_outputs if data.task == "regression" or data.n_outputs > 2 else 1
    return trees * (TREE_SECONDS + CELL_SECONDS * rows * inputs.count(data.features))


def plan(seconds: float, round_seconds: float, folds: int) -> Plan:
    """Return what there is time for; the same for the same numbers.

    Args:
        seconds: for all, on one core.
        round_seconds: that a round takes.
        folds: that there are.
    """
    rounds = seconds / (folds * round_seconds)
    used = folds if rounds >= MIN_ROUNDS else 1
    rate = ENOUGH * used * round_seconds / seconds
    count = int(np.clip(SETTINGS[0].learning_rate / rate, 1, len(SETTINGS)))
    rate = float(np.clip(rate, SETTINGS[0].learning_rate, MAX_RATE))
    return Plan(tuple(replace(s, learning_rate=rate) for s in SETTINGS[:count]), used)
