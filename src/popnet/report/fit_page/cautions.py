"""What a reader should watch out for: what is known of a fit that makes its score, or its use, less than it seems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from popnet.predictions.conformal import REPORTED
from popnet.report import format
from popnet.report.fit_page.curves import shortened
from popnet.report.fit_page.facts import FitFacts
from popnet.report.fit_page.fields import of_images
from popnet.report.fit_page.headline import SMALL_TEST
from popnet.report.fit_page.scores import Scores
from popnet.report.format import is_number

RARE_CLASS = 50
"""With fewer rows of a class the page says that it is rare."""


@dataclass(frozen=True)
class Caution:
    """A sentence, and the section that says more; "" for none."""

    text: str
    anchor: str = ""


def show(facts: FitFacts, scores: Scores) -> list[Caution]:
    """Return what to watch out for, the gravest first."""
    return [
        *(Caution(format.capital(text)) for text in facts.warnings),
        *(Caution(format.capital(text), "data") for text in facts.data.doubts),
        *_few_rows(facts, scores),
        *_promises(facts),
        *_groups(facts),
        *_short(facts),
    ]


def _few_rows(facts: FitFacts, scores: Scores) -> Iterator[Caution]:
    tested, item = facts.data.test_rows, "image" if of_images(facts) else "row"
    if is_number(facts.score) and not tested:
        yield Caution(
            f"No {item}s were kept for a test, so the score is optimistic: new {item}s may do worse.",
            "test",
        )
    elif 0 < tested < SMALL_TEST:
        low, high = facts.interval or (None, None)
        where = (
            f"; with another sample it could be anything from {scores.text(low)} to {scores.text(high)}"
            if is_number(low) and is_number(high)
            else ""
        )
        yield Caution(
            f"There are only {format.count(tested, f'test {item}')}: the score is a rough one{where}.",
            "test",
        )
    rare = sorted(
        (n, str(name))
        for name, n in zip(facts.target.classes, facts.target.class_counts, strict=False)
        if n < RARE_CLASS
    )
    if rare:
        n, name = rare[0]
        more = f" (and {len(rare) - 1} more classes are rare)" if len(rare) > 1 else ""
        yield Caution(
            f"Only {format.count(n, item)} {'is' if n == 1 else 'are'} of the class {format.short(name, 40)}{more}: "
            "what the model says of it rests on few examples.",
            "data",
        )


def _promises(facts: FitFacts) -> Iterator[Caution]:
    """Yield what probabilities, intervals and predictions promise and do not keep."""
    seen, item = facts.evidence, "image" if of_images(facts) else "row"
    if seen is None:
        return
    off = [b for b in seen.reliability if b.off]
    if off:
        worst = max(off, key=lambda b: abs(b.predicted - b.happened))
        yield Caution(
            f"Probabilities are not all right: where the model says about {format.percent(worst.predicted)}, it "
            f"happens in {format.percent(worst.happened)} of the {item}s.",
            "calibration",
        )
    errors = [b for b in seen.errors if b.off]
    if errors:
        worst = max(errors, key=lambda b: abs(b.mean))
        yield Caution(
            f"Predictions around {format.number(worst.predicted, 3)} are too {'low' if worst.off > 0 else 'high'} by "
            f"{format.number(abs(worst.mean), 3)} on average.",
            "calibration",
        )
    for c in seen.coverage:
        if c.promised == REPORTED and not c.low <= c.promised <= c.high:
            yield Caution(
                f"Intervals of {format.percent(c.promised)} contain {format.percent(c.share)} of the true values: they "
                f"are too {'narrow' if c.share < c.promised else 'wide'}.",
                "calibration",
            )


def _groups(facts: FitFacts) -> Iterator[Caution]:
    worse = facts.evidence.worse.slices if facts.evidence and facts.evidence.worse else None
    if worse is None or not worse.found:
        return
    first = worse.found[0]
    if worse.total == 1:
        text = f"The model is worse for one group of rows: {_named(first.column, first.label)}."
    else:
        text = (
            f"The model is worse for {worse.total} groups of rows than for the others, most of all where "
            f"{_named(first.column, first.label)}."
        )
    yield Caution(text, "slices")


def _named(column: str, label: str) -> str:
    return f"{format.short(column, 40)} is {format.short(label, 40)}"


def _short(facts: FitFacts) -> Iterator[Caution]:
    cut = shortened(facts)
    if cut and cut.most:
        yield Caution(
            "The time limit ended the training of most nets while they were still improving: a longer --time-limit "
            "should help.",
            "curves",
        )
