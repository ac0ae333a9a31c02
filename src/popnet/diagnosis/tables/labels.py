"""Label noise: rows whose class every net that has not seen them contradicts.

Rows are found by confident learning (Northcutt et al. 2021, arXiv:1911.00068). Whether there is anything to be found is
decided by the rows that the nets are surest of. Where classes merely overlap, labels contradict predictions the less
often the surer these are; wrong labels do not depend on how easy a row is, so their share stays the same (the anchor
points of Liu and Tao 2016, arXiv:1411.7718). A label that is wrong cannot be told from an outcome that was luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from popnet.diagnosis.findings import DoctorFinding, Remedy
from popnet.predictions.intervals import share_interval
from popnet.types import Array

SUREST, HALF = 0.125, 0.5
"""Shares of each predicted class's rows, the surest first, that are compared. Conventions."""

NOISE = 0.02
"""Share of contradicted labels among the surest quarter from which the rule fires: the low end of its 95 % interval
must be above. Benchmark sets have 3.4 % of wrong labels on average (Northcutt et al. 2021, arXiv:2103.14749)."""

EVEN = 0.8
"""... and the share among the surest eighth must be this large a part of that among the surest half. A convention: on
nine real tables as they are it is 0.0 to 0.67, where 5 % of the labels were exchanged 0.5 to 1.4, 10 %: 0.67 to 1.0."""

MAX_ROWS = 50
"""Rows that are listed."""

MIN_ROWS = 200
"""With fewer rows there are too few sure ones to count."""


class Suspects(NamedTuple):
    """What was found.

    Attributes:
        rows: places of the suspects, the most contradicted first.
        share: of labels that the mean prediction contradicts, among the surest quarter: about that of wrong labels.
        low, high: ends of its 95 % interval.
        even: share among the surest eighth over that among the surest half; near 1 for wrong labels.
        overall: share of all rows that the mean prediction contradicts.
        joint: share of wrong labels by confident learning, which takes overlapping classes for noise too.
    """

    rows: np.ndarray
    share: float
    low: float
    high: float
    even: float
    overall: float
    joint: float


def label_noise(
    probabilities: Array,
    target: Array,
    classes: Sequence[object] = (),
    rows: Array | None = None,
) -> DoctorFinding | None:
    """Return rows whose label is probably wrong, if the table has a share of such rows; None if not.

    Args:
        probabilities: ``(M, N, C)`` predictions of M members for rows that they have not seen; NaN where a member
            has none for a row.
        target: ``(N,)`` class numbers.
        classes: the classes' labels, for the text.
        rows: ``(N,)`` numbers of the rows in the table; default 0, 1, ...
    """
    found = suspects(probabilities, target)
    if found is None or found.low < NOISE or found.even < EVEN:
        return None
    numbers = np.arange(len(target)) if rows is None else np.asarray(rows)
    listed = tuple(int(numbers[r]) for r in found.rows[:MAX_ROWS])
    mean = _mean(probabilities)
    example = ""
    if len(found.rows):
        r = found.rows[0]
        labels = list(classes) or list(range(mean.shape[1]))
        example = (
            f" Row {listed[0]} is labelled {labels[int(target[r])]}; the nets give "
            f"{labels[int(mean[r].argmax())]} a probability of {mean[r].max():.2f}."
        )
    return DoctorFinding(
        rule="label_noise",
        title="labels that every net contradicts",
        severity="warning",
        where=f"{len(found.rows):,} rows" + (f", {len(listed)} of them listed" if listed else ""),
        measured=(
            f"In the quarter of the rows that the nets are surest of, {100 * found.share:.1f} % of the labels "
            f"(95 % interval {100 * found.low:.1f} to {100 * found.high:.1f} %) differ from the prediction, and being "
            f"surer hardly lowers that (the share in the surest eighth is {found.even:.2f} times that in the surest "
            f"half). In all rows it is {100 * found.overall:.1f} %; confident learning estimates "
            f"{100 * found.joint:.1f} % of wrong labels.{example}"
        ),
        value=found.share,
        threshold=NOISE,
        source="Northcutt et al. 2021, arXiv:1911.00068; Liu and Tao 2016, arXiv:1411.7718",
        meaning=(
            "Labels that contradict predictions of which the nets are sure are probably wrong: nets memorize "
            "them, and the score counts right predictions as errors."
        ),
        remedy=Remedy(
            "Look at the listed rows and correct their labels; until then, use label smoothing.",
            {"label_smoothing": float(np.clip(round(found.share, 2), 0.02, 0.2))},
        ),
        rows=listed,
    )


def suspects(probabilities: Array, target: Array) -> Suspects | None:
    """Find suspects; arguments as `label_noise`. None if there is too little to judge by.

    A row is a suspect if the class that it is confidently counted to is not its own, and every member that has not
    seen it prefers another class to its label.
    """
    p, y = _mean(probabilities), np.asarray(target)
    known = np.isfinite(p).all(1)
    if known.sum() < MIN_ROWS:
        return None
    n = p.shape[1]
    place = np.flatnonzero(known)
    p, y = p[known], y[known]
    own = p[np.arange(len(y)), y]
    taken = p.argmax(1)
    # Confident learning: a row counts for a class if it is at least as sure of it as the class's rows are on average.
    sure = np.array([p[y == c, c].mean() if (y == c).any() else np.inf for c in range(n)])
    confident = np.where(p >= sure, p, -1.0)
    counted = confident.argmax(1)
    inside = confident.max(1) >= 0
    joint = np.zeros((n, n))
    np.add.at(joint, (y[inside], counted[inside]), 1.0)
    totals = joint.sum(1, keepdims=True)
    shares = np.bincount(y, minlength=n)[:, None] / len(y)
    joint = np.where(totals > 0, joint / np.maximum(totals, 1) * shares, np.diag(shares[:, 0]))
    off = float(1 - np.trace(joint) / joint.sum())
    members = np.asarray(probabilities)[:, known]
    contradicts = np.where(np.isfinite(members).all(2), members.argmax(2) != y, True).all(0)
    wrong = inside & (counted != y) & contradicts
    order = np.flatnonzero(wrong)
    order = order[np.argsort(own[order] - p[order].max(1), kind="stable")]
    quarter = _among_surest(p, y, taken, 2 * SUREST)
    share = quarter.share
    low, high = share_interval(quarter.wrong, quarter.rows)
    half = _among_surest(p, y, taken, HALF).share
    even = _among_surest(p, y, taken, SUREST).share / half if half > 0 else 0.0
    return Suspects(place[order], share, low, high, even, float((taken != y).mean()), off)


class Contradicted(NamedTuple):
    """How many of some rows have a label that the mean prediction contradicts."""

    wrong: int
    rows: int

    @property
    def share(self) -> float:
        """Of the rows."""
        return self.wrong / self.rows


def _among_surest(p: Array, y: Array, taken: Array, part: float) -> Contradicted:
    """Return the contradicted labels among the surest part of each predicted class."""
    top = np.sort(p, axis=1)
    margin = top[:, -1] - top[:, -2]
    wrong = rows = 0
    for c in np.unique(taken):
        own = np.flatnonzero(taken == c)
        surest = own[np.argsort(-margin[own], kind="stable")][: max(1, round(part * len(own)))]
        wrong += int(np.sum(y[surest] != c))
        rows += len(surest)
    return Contradicted(wrong, rows)


def _mean(probabilities: Array) -> np.ndarray:
    """Return the mean over the members that have a prediction, ``(N, C)``; NaN where none has."""
    p = np.asarray(probabilities, np.float64)
    there = np.isfinite(p).all(2, keepdims=True)
    count = there.sum(0)
    total = np.where(there, p, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
