"""What a study found: effects, interactions, and how they were measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from popnet.ablation.intervals import Interval
from popnet.ablation.verdicts import EffectVerdict, PairPlan
from popnet.spec.recipe import Recipe


@dataclass(frozen=True)
class Effect:
    """What one level of a factor does, against the base.

    Attributes:
        factor, base, level: labels.
        share: of the training rows.
        gain: reduction of the error; positive is better with the level.
        p: corrected for all comparisons of the study.
        verdict: what is concluded of it.
        error: mean error with the level, ``base_error`` without, the mean of the base's nets; they differ by the gain.
        wrong: mean change of the share of wrong classes; NaN of a regression.
        gap: mean change of test minus training error; negative over-fits less.
        calibration: mean change of the expected calibration error; NaN of a regression.
        time: seconds of training over the base's.
        diverged: pairs in which the level's nets diverged.
        pairs: compared.
        values: ``(pairs,)``, the gains themselves.
        rows_needed: the rows without which no number of pairs is enough; 0 but where it is ``not detectable``.
    """

    factor: str
    base: str
    level: str
    share: float
    gain: Interval
    p: float
    verdict: EffectVerdict
    error: float
    base_error: float
    wrong: Interval
    gap: Interval
    calibration: Interval
    time: float
    diverged: int
    pairs: int
    values: np.ndarray = field(repr=False)
    rows_needed: int = 0


@dataclass(frozen=True)
class Interaction:
    """What two levels do together beyond the sum of both: positive if they help each other."""

    first: str
    second: str
    extra: Interval
    p: float
    both: float


@dataclass(frozen=True)
class StudyResults:
    """A study's results.

    Attributes:
        base: recipe of the base.
        metric: what ``error`` is, see `popnet.ablation.losses.losses_of`.
        detect: smallest effect that matters.
        pairs: compared.
        asked: pairs that were planned.
        effects: at all training rows, in the order of the factors.
        curves: effects at smaller shares of the training rows, and the base's error there.
        interactions: of pairs of levels.
        base_error: mean and interval of the base's error at each share.
        rows: training rows of a pair at each share.
        test_rows: of a pair.
        repeats: how often a row is tested, see `popnet.ablation.row_overlap.RowOverlap`.
        nets: trained.
        base_nets: nets of the base in a pair, see `popnet.ablation.control_variate`.
    """

    base: Recipe
    metric: str
    detect: float
    pairs: int
    asked: int
    effects: list[Effect]
    curves: list[Effect]
    interactions: list[Interaction]
    base_error: dict[float, Interval]
    rows: dict[float, int]
    test_rows: int
    repeats: float
    nets: int
    base_nets: int

    @property
    def comparisons(self) -> int:
        """Differences that were tested, which their p-values are corrected for."""
        return len(self.effects) + len(self.curves) + len(self.interactions)


@dataclass(frozen=True)
class StudyFacts:
    """A study's results, and what they were found on.

    Attributes:
        found: effects, curves, interactions.
        plan: the effects that the study's pairs can detect.
        source: what the data is called.
        task: ``classification`` or ``regression``.
        rows: of the study.
        remarks: lines for people about the data and the run.
        seconds: the study took.
        seed: of every random choice.
    """

    found: StudyResults
    plan: PairPlan
    source: str
    task: str
    rows: int
    remarks: tuple[str, ...]
    seconds: float
    seed: int
