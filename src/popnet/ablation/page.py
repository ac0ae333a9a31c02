"""The page of a study: what helped and harmed, a picture for each factor, and how it was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from popnet.ablation.intervals import Interval
from popnet.ablation.record import notes
from popnet.ablation.results import Effect, StudyFacts, StudyResults
from popnet.ablation.summary import (
    by_verdict,
    heading,
    interactions,
    method,
    opening,
    told,
    unit_of,
)
from popnet.ablation.verdicts import ALPHA, EffectVerdict
from popnet.ablation.words import Unit, change_of, sentence, value_of
from popnet.report import format
from popnet.report.document import (
    Document,
    Dot,
    Dots,
    Line,
    Lines,
    Picture,
    Section,
    Table,
    Tone,
)

TONES: dict[EffectVerdict, Tone] = {"helps": "good", "harms": "bad"}

MAX_NAMED = 8
"""Changes that are named at the top of the page among those that neither help nor harm."""

MAX_BADGE = 48
"""Letters of a badge that names levels; a longer one counts them."""


def document(facts: StudyFacts, command: str, version: str, created: str) -> Document:
    """Return the page of a study."""
    found, unit = facts.found, unit_of(facts)
    lead = (
        opening(facts),
        *(
            f"{heading(verdict, facts)}: {_told(effects, unit, found)}."
            for verdict, effects in by_verdict(found.effects).items()
        ),
    )
    sections = [
        _factor(name, list(effects), facts, unit)
        for name, effects in groupby(found.effects, key=lambda e: e.factor)
    ]
    if found.interactions:
        sections.append(_interactions(facts, unit))
    overview = Table(
        (
            "factor", "level", "instead of", "verdict", f"change: {unit.axis}", "95 % interval",
            "wrong classes, points", "over-fitting", "training time",
        ),
        tuple(
            (
                e.factor, value_of(e), e.base, e.verdict, unit.number(-e.gain.mean, True), unit.range(e.gain, -1),
                _wrong(e), unit.number(e.gap.mean, True), f"x {e.time:.2f}",
            )
            for e in found.effects
        ),
    )  # fmt: skip
    measured = (*method(facts), *(f"{format.capital(n)}." for n in notes(facts)))
    return Document(
        "popnet study", f"What each technique does on {facts.source}", lead, overview, tuple(sections), command,
        version, created, method=measured, told=told(facts),
    )  # fmt: skip


def _told(effects: Sequence[Effect], unit: Unit, found: StudyResults) -> str:
    """Return the changes with a verdict: all with their sizes that help or harm, the names of some of the others."""
    if effects[0].verdict in ("helps", "harms"):
        return "; ".join(
            f"{change_of(e)} ({sentence(e, unit, found.comparisons)})" for e in effects
        )
    names = "; ".join(change_of(e) for e in effects[:MAX_NAMED])
    more = len(effects) - MAX_NAMED
    return f"{names}; and {more} more, see the overview" if more > 0 else names


def _factor(name: str, effects: Sequence[Effect], facts: StudyFacts, unit: Unit) -> Section:
    found, base = facts.found, effects[0].base
    dots = tuple(
        Dot(
            value_of(e), -unit.scale * e.gain.mean, -unit.scale * e.gain.high, -unit.scale * e.gain.low,
            f"{unit.number(-e.gain.mean, True)}", TONES.get(e.verdict, "neutral"),
        )
        for e in effects
    )  # fmt: skip
    pictures: list[Picture] = [
        Dots(dots, f"change of the {unit.axis} against {name} {base}; left is better")
    ]
    curves = [e for e in found.curves if e.factor == name]
    if curves:
        pictures.append(_curve(effects, curves, found, unit))
    paragraphs = tuple(_paragraph(e, unit, found.comparisons) for e in effects)
    title = change_of(effects[0]) if len(effects) == 1 else f"{name} (baseline: {base})"
    return Section(name, title, *badge(effects), paragraphs, tuple(pictures))


def badge(effects: Sequence[Effect]) -> tuple[str, Tone]:
    """Return what the levels of a factor do in a few words, which name the levels if there are several."""
    if len(effects) == 1:
        return effects[0].verdict, TONES.get(effects[0].verdict, "neutral")
    helps, harms = ([value_of(e) for e in effects if e.verdict == v] for v in ("helps", "harms"))
    clear = [(names, verb) for names, verb in ((helps, "help"), (harms, "harm")) if names]
    if not clear:
        verdicts = {e.verdict for e in effects}
        return effects[0].verdict if len(verdicts) == 1 else "no clear effect", "neutral"
    tone: Tone = "neutral" if len(clear) == 2 else "good" if helps else "bad"
    named = "; ".join(
        f"{format.enumeration(names)} {verb}{'s' if len(names) == 1 else ''}"
        for names, verb in clear
    )
    if len(named) <= MAX_BADGE:
        return named, tone
    counted = ", ".join(
        f"{len(names)} {verb}{'s' if len(names) == 1 else ''}" for names, verb in clear
    )
    return f"of {len(effects)} levels {counted}", tone


def _paragraph(e: Effect, unit: Unit, comparisons: int) -> str:
    """Return all that was measured of a change."""
    wrong = math.isfinite(e.wrong.mean) and unit.name != "error rate"
    return (
        f"{format.capital(change_of(e))}: {sentence(e, unit, comparisons)}. Over-fitting {_gap(e.gap, unit)}; training "
        f"takes {e.time:.2f} times as long"
        + (f"; the error rate changes by {_wrong(e)} percentage points" if wrong else "")
        + _calibration(e)
        + (f"; {e.diverged} of {e.pairs} trainings diverged" if e.diverged else "")
        + "."
    )  # fmt: skip


def _wrong(e: Effect) -> str:
    """Return the change of the share of wrong classes, in points."""
    return format.signed(100 * e.wrong.mean, 2) if math.isfinite(e.wrong.mean) else format.MISSING


def _calibration(e: Effect) -> str:
    found = e.calibration
    if not (found.low > 0 or found.high < 0):
        return ""
    how = "better" if found.mean < 0 else "worse"
    size = format.fixed(100 * abs(found.mean), 1)
    return f"; probabilities are {how} calibrated (expected calibration error, {size} points)"


def _gap(gap: Interval, unit: Unit) -> str:
    ends = f"({unit.range(gap)})"
    if gap.low > 0:
        return f"grows by {unit.difference(gap.mean)} {ends}"
    if gap.high < 0:
        return f"falls by {unit.difference(gap.mean)} {ends}"
    return f"does not change measurably {ends}"


def _curve(
    effects: Sequence[Effect], curves: Sequence[Effect], found: StudyResults, unit: Unit
) -> Lines:
    """Return the error against the number of training rows, of the base and of each level."""
    shares = sorted(found.rows)
    xs = [float(found.rows[s]) for s in shares]
    base = [found.base_error[s] for s in shares]
    means, lows, highs = (
        [unit.scale * v for v in values]
        for values in ([b.mean for b in base], [b.low for b in base], [b.high for b in base])
    )
    drawn = [Line(effects[0].base, xs, means, lows, highs)]
    for e in effects:
        each = {c.share: c.error for c in curves if c.level == e.level} | {1.0: e.error}
        drawn.append(Line(value_of(e), xs, [unit.scale * each.get(s, math.nan) for s in shares]))
    return Lines(tuple(drawn), "training rows", unit.axis, log_x=True)


def _interactions(facts: StudyFacts, unit: Unit) -> Section:
    found = facts.found.interactions
    dots: list[Dot] = []
    for i in found:
        tone: Tone = "neutral" if i.p >= ALPHA else "good" if i.extra.mean > 0 else "bad"
        dots.append(
            Dot(
                f"{i.first} and {i.second}", -unit.scale * i.extra.mean, -unit.scale * i.extra.high,
                -unit.scale * i.extra.low, unit.number(-i.extra.mean, True), tone,
            )
        )  # fmt: skip
    clear = sum(i.p < ALPHA for i in found)
    paragraphs = tuple(f"{format.capital(text.rstrip('.'))}." for text in interactions(facts))
    axis = f"{unit.axis} beyond the sum of both effects; left: they help each other"
    return Section(
        "interactions", "Do techniques help each other?", f"{clear} of {len(dots)} clear", "neutral", paragraphs,
        (Dots(tuple(dots), axis),),
    )  # fmt: skip
