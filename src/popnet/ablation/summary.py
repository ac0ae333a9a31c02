"""What a study found, in short: which changes helped, harmed or made no difference, and how that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from popnet.ablation.record import notes
from popnet.ablation.results import Effect, StudyFacts
from popnet.ablation.verdicts import ALPHA, ALPHA_SMALL, EFFECT_VERDICTS, EffectVerdict
from popnet.ablation.words import Unit, change_of, sentence
from popnet.report import format

COUNTED: dict[EffectVerdict, tuple[str, str]] = {
    "helps": ("helped", "helped"),
    "harms": ("harmed", "harmed"),
    "no effect": ("made no difference that matters", "made no difference that matters"),
    "not decided": ("is not decided", "are not decided"),
    "not detectable": ("cannot be decided with so few rows", "cannot be decided with so few rows"),
}
"""What is said of one change with a verdict, and of several."""


def unit_of(facts: StudyFacts) -> Unit:
    """Return how a study's errors are written."""
    return Unit.of(facts.task, facts.found.metric)


def opening(facts: StudyFacts) -> str:
    """Return what was tried, and how many changes helped, harmed or made no difference."""
    found = facts.found
    counts = [
        f"{len(effects)} {COUNTED[verdict][len(effects) > 1]}"
        for verdict, effects in by_verdict(found.effects).items()
    ]
    error = unit_of(facts).level(found.base_error[1.0].mean)
    return (
        f"On {facts.source} ({facts.rows:,} rows) the baseline net has {error}. Of "
        f"{format.count(len(found.effects), 'change')} to it, tried one at a time, {format.enumeration(counts)}."
    )  # fmt: skip


def by_verdict(effects: Sequence[Effect]) -> dict[EffectVerdict, list[Effect]]:
    """Return the effects of each verdict that there is: the largest first, or what is nearest to being decided."""
    groups: dict[EffectVerdict, list[Effect]] = {}
    for verdict in EFFECT_VERDICTS:
        found = [e for e in effects if e.verdict == verdict]
        if verdict in ("helps", "harms"):
            groups[verdict] = sorted(found, key=lambda e: -abs(e.gain.mean))
        else:
            groups[verdict] = sorted(found, key=lambda e: e.gain.p)
    return {verdict: found for verdict, found in groups.items() if found}


def heading(verdict: EffectVerdict, facts: StudyFacts) -> str:
    """Return what is said above the changes with a verdict."""
    if verdict == "no effect":
        least = unit_of(facts).difference(facts.found.detect)
        return f"Made no difference that matters (less than {least})"
    if verdict == "not decided":
        return "Not decided (more pairs may tell: raise --time-limit or --pairs, or name fewer changes by --factor)"
    if verdict == "not detectable":
        return "Cannot be decided with so few rows, however many pairs"
    return format.capital(COUNTED[verdict][0])


def told(facts: StudyFacts) -> tuple[str, ...]:
    """Return the lines for a terminal: results first, then how they were measured."""
    found, unit = facts.found, unit_of(facts)
    lines = [opening(facts)]
    for verdict, effects in by_verdict(found.effects).items():
        lines.append(f"{heading(verdict, facts)}:")
        lines += [f"  {change_of(e)}: {sentence(e, unit, found.comparisons)}" for e in effects]
    if found.interactions:
        lines += ["Together:", *(f"  {text}" for text in interactions(facts))]
    measured = (*method(facts)[:2], *(f"{format.capital(n)}." for n in notes(facts)))
    return (*lines, "How this was measured:", *(f"  {text}" for text in measured))


def interactions(facts: StudyFacts) -> tuple[str, ...]:
    """Return what pairs of changes do together beyond what each does alone, where that is clear."""
    unit = unit_of(facts)
    return tuple(
        f"{i.first} with {i.second}: {unit.name} {'lower' if i.extra.mean > 0 else 'higher'} by "
        f"{unit.difference(i.extra.mean)} than by what each does alone (95 % interval: {unit.change(i.extra)})"
        for i in facts.found.interactions
        if i.p < ALPHA
    ) or ("No two changes do clearly more or less together than each of them alone.",)


def method(facts: StudyFacts) -> tuple[str, ...]:
    """Return how a study was measured, paragraph by paragraph; the first two are enough for a terminal."""
    found, unit = facts.found, unit_of(facts)
    least = unit.difference(found.detect)
    design = (
        f"{found.pairs} pairs of nets for each change, {found.nets:,} nets in all. The nets of a pair have the same "
        "seed, initial weights, batches and rows and differ in the one change. They are compared on rows that were "
        "used neither for training nor for early stopping: each pair on a fold of a repeated cross-validation."
    )  # fmt: skip
    tests = (
        "Intervals are 95 % confidence intervals, Student's t over the pairs. \"Helped\" and \"harmed\" are "
        f"significant at 5 % after Holm's correction for {format.count(found.comparisons, 'comparison')}."
    )  # fmt: skip
    verdicts = (
        f"Changes of the {unit.name} below {least} are taken not to matter (set by --detect). A change makes no "
        "difference that matters if its interval lies within that, unless its corrected p-value is below "
        f"{ALPHA_SMALL}. It cannot be decided if so few rows would leave the interval too wide with any number of "
        "pairs; everything else is not decided."
    )  # fmt: skip
    overlap = (
        "Repeats of the cross-validation train and test on the same rows, which more pairs do not make up for: the "
        "part of the variance that belongs to the rows is estimated and kept (two crossed random effects, Searle et "
        "al. 1992), and no interval is narrower than the test rows alone make it."
    )
    luck = (
        f"The baseline has {found.base_nets} nets in each pair, with other seeds; what an effect owes to the luck of "
        "the pair's own seed is removed by regression on their mean (control variates, Lavenberg and Welch 1981)."
    )  # fmt: skip
    gap = (
        "Over-fitting is the error on test rows minus that on training rows; its change is negative where a change "
        "over-fits less. Training time is relative to the baseline's."
    )
    baseline = "The baseline is the net that popnet fit starts from, with the fields of --recipe and --fix."
    return (
        design, tests, verdicts, overlap, *((luck,) if found.base_nets > 1 else ()), gap, baseline
    )  # fmt: skip
