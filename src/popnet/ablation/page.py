"""What a study found, as a record, as lines of a table, and as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from popnet.ablation.intervals import Interval
from popnet.ablation.results import Effect, StudyResults
from popnet.ablation.verdicts import ALPHA
from popnet.report import format
from popnet.report.document import Document, Dot, Dots, Line, Lines, Section, Table, Tone

TONES: dict[str, Tone] = {"helps": "good", "harms": "bad"}

INTERVALS = (
    "Intervals are 95 %: Student's over the pairs, with the rows' part of the variance that repeats of the "
    "cross-validation do not lessen, as they test and train on the same rows (two crossed random effects, Searle et "
    "al. 1992). An effect is said to be none if its interval lies within what is taken not to matter and 0 is not "
    "surely outside (p at least 0.001)."
)
GAP_METHOD = (
    "Over-fitting is the error on test rows minus that on training rows; its change is negative where a technique "
    "over-fits less."
)


class Unit(NamedTuple):
    """How errors are written.

    Attributes:
        scale: factor of what is shown.
        noun: what is counted, as in "points of error".
        name: what is lower where a technique helps, as in "error".
        unit: of a difference, "" for a pure number.
        short: the unit of a table's head.
    """

    scale: float
    noun: str
    short: str
    name: str
    unit: str

    @classmethod
    def of(cls, task: str, metric: str) -> Unit:
        """Return the unit of a task's metric."""
        if metric == "log_loss":
            return cls(1.0, "of log-loss", "log-loss", "log-loss", "")
        if task == "regression":
            return cls(
                100.0,
                "points of unexplained variance",
                "% of the variance",
                "unexplained variance",
                " points",
            )
        return cls(100.0, "points of error", "% wrong classes", "error", " points")

    def number(self, value: float, signed: bool = False) -> str:
        """Return a value in the unit, without its name."""
        decimals = 2 if self.scale == 100 else 4
        text = format.signed if signed else format.fixed
        return text(self.scale * value, decimals)

    def write(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{self.number(value)} {self.noun}"

    def range(self, found: Interval, sign: float = 1.0) -> str:
        """Return an interval as ``-0.3 to 1.2``."""
        ends = sorted((sign * found.low, sign * found.high))
        return f"{self.number(ends[0], True)} to {self.number(ends[1], True)}"


def sentence(effect: Effect, unit: Unit) -> str:
    """Return what an effect is, for people."""
    size = unit.number(abs(effect.gain.mean))
    noun = unit.noun
    ends = unit.range(effect.gain, -1)
    if effect.verdict == "helps":
        return f"helps: {unit.name} lower by {size}{unit.unit} (change {ends})"
    if effect.verdict == "harms":
        return f"harms: {unit.name} higher by {size}{unit.unit} (change {ends})"
    if effect.verdict == "no effect":
        return f"no effect larger than {unit.number(effect.gain.bound)} {noun} (change {ends})"
    if effect.verdict == "not detectable":
        return f"not detectable with this many rows, at least {effect.rows_needed:,} would be needed (change {ends})"
    low, high = ends.split(" to ")
    return f"not decided by {effect.pairs} pairs: between {low} and {high} {noun}"


def record(found: StudyResults) -> dict[str, Any]:
    """Return a study's results as plain JSON."""
    return {
        "metric": found.metric, "detect": found.detect, "pairs": found.pairs, "asked": found.asked,
        "nets": found.nets, "base_nets": found.base_nets, "rows_trained": {f"{s:g}": n for s, n in found.rows.items()},
        "test_rows": found.test_rows, "repeats": round(found.repeats, 3), "base": found.base.model_dump(),
        "base_error": {f"{s:g}": _interval(i) for s, i in found.base_error.items()},
        "effects": [_effect(e) for e in found.effects],
        "curves": [_effect(e) for e in found.curves],
        "interactions": [
            {"first": i.first, "second": i.second, "extra": _interval(i.extra), "p": i.p, "both": i.both}
            for i in found.interactions
        ],
    }  # fmt: skip


def _interval(i: Interval) -> dict[str, float | None]:
    """Return an interval; of what a regression has not, None."""
    return {
        k: v if math.isfinite(v) else None
        for k, v in zip(("mean", "low", "high"), i[:3], strict=True)
    }


def _effect(e: Effect) -> dict[str, Any]:
    return {
        "factor": e.factor, "base": e.base, "level": e.level, "share": e.share, "verdict": e.verdict,
        "gain": _interval(e.gain), "bound": e.gain.bound, "rows_needed": e.rows_needed, "wrong": _interval(e.wrong),
        "p": e.p, "error": e.error, "base_error": e.base_error, "gap": _interval(e.gap),
        "calibration": _interval(e.calibration),
        "time": e.time, "diverged": e.diverged, "pairs": e.pairs,
    }  # fmt: skip


def lines(found: StudyResults) -> list[dict[str, Any]]:
    """Return a flat line for each level and share of the rows."""
    flat = []
    for e in (*found.effects, *found.curves):
        flat.append({
            "factor": e.factor, "base": e.base, "level": e.level, "train_rows": found.rows[e.share],
            "verdict": e.verdict, "gain": e.gain.mean, "low": e.gain.low, "high": e.gain.high, "p_holm": e.p,
            "error": e.error, "base_error": e.base_error, "gap_change": e.gap.mean, "gap_low": e.gap.low,
            "gap_high": e.gap.high, "calibration_change": e.calibration.mean, "wrong_change": e.wrong.mean,
            "time_ratio": e.time, "diverged": e.diverged, "pairs": e.pairs,
        })  # fmt: skip
    return flat


def document(
    found: StudyResults,
    unit: Unit,
    source: str,
    rows: int,
    notes: Sequence[str],
    command: str,
    version: str,
    created: str,
) -> Document:
    """Return the page of a study."""
    base_error = found.base_error[1.0]
    luck = (
        f" The base has {found.base_nets} nets in each pair, with other seeds; what an effect owes to the luck of the "
        "twin's seed is taken off by regression on their mean (control variates, Lavenberg and Welch 1981)."
        if found.base_nets > 1
        else ""
    )
    lead = (
        f"{found.pairs} pairs of twins for each of {len(found.effects)} levels, {found.nets:,} nets, on {rows:,} rows. "
        f"Twins have the same seed, initial weights, batches and rows, and differ in one factor. The base has "
        f"{unit.write(base_error.mean)}.",
        "Differences are measured on rows that neither training nor early stopping saw, a fold of a repeated "
        f"cross-validation for each pair.{luck} {INTERVALS} A verdict also stands after correction for all comparisons "
        f"(Holm 1979). Effects below {unit.write(found.detect)} are taken not to matter.",
        *(f"{format.capital(n)}." for n in notes),
    )
    sections = [
        _factor(name, list(effects), found, unit)
        for name, effects in groupby(found.effects, key=lambda e: e.factor)
    ]
    if found.interactions:
        sections.append(_interactions(found, unit))
    overview = Table(
        (
            "factor", "level", "instead of", "verdict", f"change, {unit.short}", "95 % interval", "wrong classes",
            "over-fitting", "time",
        ),
        tuple(
            (
                e.factor, e.level, e.base, e.verdict, unit.number(-e.gain.mean, True), unit.range(e.gain, -1),
                _wrong(e), unit.number(e.gap.mean, True), f"x {e.time:.2f}",
            )
            for e in found.effects
        ),
    )  # fmt: skip
    return Document(
        "popnet study", f"What each technique buys: {source}", lead, overview, tuple(sections), command, version,
        created,
    )  # fmt: skip


def _factor(name: str, effects: list[Effect], found: StudyResults, unit: Unit) -> Section:
    dots = tuple(
        Dot(
            e.level, -unit.scale * e.gain.mean, -unit.scale * e.gain.high, -unit.scale * e.gain.low,
            f"{unit.number(-e.gain.mean, True)}", TONES.get(e.verdict, "neutral"),
        )
        for e in effects
    )  # fmt: skip
    axis = f"change of the error ({unit.short}) against {name} {effects[0].base}; left is better"
    pictures: list[Any] = [Dots(dots, axis)]
    curves = [e for e in found.curves if e.factor == name]
    if curves:
        pictures.append(_curve(effects, curves, found, unit))
    said = {e.verdict for e in effects}
    summary: tuple[str, Tone]
    if {"helps", "harms"} <= said:
        summary = "depends on the level", "neutral"
    elif "helps" in said:
        summary = "helps", "good"
    elif "harms" in said:
        summary = "harms", "bad"
    else:
        summary = effects[0].said if len(said) == 1 else "no clear effect", "neutral"
    paragraphs = tuple(
        f"{format.capital(e.level)}: {sentence(e, unit)}. Over-fitting {_change(e.gap, unit)}; training "
        f"takes {e.time:.2f} times as long"
        + (f"; wrong classes change by {_wrong(e)} points" if math.isfinite(e.wrong.mean) else "")
        + _calibration(e)
        + (f"; {e.diverged} of {e.pairs} trainings diverged" if e.diverged else "")
        + "."
        for e in effects
    )
    key = f"factor-{name}".replace("_", "-")
    told = tuple(f"{e.level}: {sentence(e, unit)}" for e in effects)
    return Section(key, name, *summary, (*paragraphs, GAP_METHOD), tuple(pictures), told=told)


def _wrong(e: Effect) -> str:
    """Return the change of the share of wrong classes, in points."""
    return format.signed(100 * e.wrong.mean, 2) if math.isfinite(e.wrong.mean) else format.MISSING


def _calibration(e: Effect) -> str:
    found = e.calibration
    if not (found.low > 0 or found.high < 0):
        return ""
    how = "better" if found.mean < 0 else "worse"
    return (
        f"; probabilities are {how} calibrated, by {format.fixed(100 * abs(found.mean), 1)} points"
    )


def _change(gap: Interval, unit: Unit) -> str:
    ends = f"({unit.range(gap)})"
    if gap.low > 0:
        return f"grows by {unit.number(gap.mean)} {unit.noun} {ends}"
    if gap.high < 0:
        return f"falls by {unit.number(-gap.mean)} {unit.noun} {ends}"
    return f"does not change measurably {ends}"


def _curve(effects: list[Effect], curves: list[Effect], found: StudyResults, unit: Unit) -> Lines:
    """Return the error against the number of training rows, of the base and of each level."""
    shares = sorted(found.rows)
    xs = [float(found.rows[s]) for s in shares]

    def band(values: Sequence[float]) -> list[float]:
        return [unit.scale * v for v in values]

    base = [found.base_error[s] for s in shares]
    means, lows, highs = (band([getattr(b, end) for b in base]) for end in ("mean", "low", "high"))
    drawn = [Line(effects[0].base, xs, means, lows, highs)]
    for e in effects:
        each = {c.share: c.error for c in curves if c.level == e.level} | {1.0: e.error}
        drawn.append(Line(e.level, xs, band([each.get(s, math.nan) for s in shares])))
    return Lines(tuple(drawn), "training rows", f"error ({unit.short})", log_x=True)


def _interactions(found: StudyResults, unit: Unit) -> Section:
    dots = []
    for i in found.interactions:
        tone: Tone = "neutral" if i.p >= ALPHA else "good" if i.extra.mean > 0 else "bad"
        dots.append(
            Dot(
                f"{i.first} and {i.second}", -unit.scale * i.extra.mean, -unit.scale * i.extra.high,
                -unit.scale * i.extra.low, unit.number(-i.extra.mean, True), tone,
            )
        )  # fmt: skip
    clear = [i for i in found.interactions if i.p < ALPHA]
    told = tuple(
        f"{format.capital(i.first)} and {i.second} together have {unit.number(abs(i.extra.mean))} {unit.noun} "
        f"{'fewer' if i.extra.mean > 0 else 'more'} than the sum of what each does alone "
        f"({unit.range(i.extra, -1)})."
        for i in clear
    ) or (
        "No two levels do more or less together than each of them alone, as far as these pairs show.",
    )
    return Section(
        "interactions", "Do techniques help each other?", f"{len(clear)} of {len(dots)} clear", "neutral", told,
        (Dots(tuple(dots), f"error beyond the sum of both effects ({unit.short}); left: they help each other"),),
    )  # fmt: skip
