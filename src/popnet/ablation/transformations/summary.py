"""What was found about transformations of images, in lines for a terminal."""

from __future__ import annotations

import math

from popnet.ablation.verdicts import EFFECT_VERDICTS
from popnet.model.facts import Score
from popnet.report.fit_page.facts import AugmentationFacts
from popnet.report.format import enumeration, fixed, signed


def lines(check: AugmentationFacts, classes: bool) -> list[str]:
    """Return a line for each transformation, the helpful ones first, and how they were compared.

    Args:
        check: see `popnet.ablation.transformations.check.facts`.
        classes: whether the error is the share of wrong classes; of a regression it is the share of the variance that
            is unexplained.
    """
    error = f"{fixed(100 * _number(check.error), 1)} %"
    without = (
        f"{error} of the images are misclassified"
        if classes
        else f"{error} of the variance is unexplained"
    )
    told = [
        f"Change of the {'error' if classes else 'unexplained variance'} by each transformation of the images, in "
        f"percentage points (without any, {without}):"
    ]  # fmt: skip
    tried = sorted(check.transformations, key=lambda t: -_number(t.gain))
    for t in sorted(tried, key=lambda t: EFFECT_VERDICTS.index(t.verdict)):
        line = _line(t.words, t.verdict, t.gain, t.low, t.high)
        if t.verdict == "harms" and t.confused:
            mistakes = [f"{c.true} taken for {c.taken_for}" for c in t.confused]
            line += f" ({', '.join(mistakes)})"
        told.append(line)
    if t := check.together:
        words = "those that are used, all at once"
        told.append(_line(words, t.verdict, t.gain, t.low, t.high))
    told.append(
        f"How this was measured: for each transformation {check.pairs} pairs of small nets, with it and without it "
        f"and otherwise equal, were trained on {check.train:,} images and compared on {check.valid:,} others. In "
        "brackets: 95 % confidence intervals (Student's t over the pairs), each transformation by itself; \"not "
        "decided\" means that more pairs (--pairs) could show a difference."
    )  # fmt: skip
    return told


def short(check: AugmentationFacts, names: set[str]) -> str:
    """Return which transformations nets were trained with, and which harm, in a sentence.

    Args:
        check: what was found.
        names: of the transformations that the nets use.
    """
    used = [t.words for t in check.transformations if t.name in names]
    harmful = [t.words for t in check.transformations if t.verdict == "harms"]
    told = f"nets were trained with {enumeration(used) if used else 'unchanged images'}"
    return f"{told}; harmful: {enumeration(harmful)}" if harmful else told


def _line(words: str, verdict: str, *found: Score) -> str:
    gain, low, high = map(_number, found)
    ends = f"[{signed(-100 * high, 2)}, {signed(-100 * low, 2)}]"
    return f"  {verdict:<12} {words:<34} {signed(-100 * gain, 2):>6}  {ends}"


def _number(score: Score) -> float:
    return math.nan if score is None else score
