"""The result in plain words and against the baselines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from popnet.report import format, vocabulary
from popnet.report.fit_page.facts import BaselineFacts, FitFacts
from popnet.report.fit_page.fields import of_images
from popnet.report.fit_page.ranking import best_baselines
from popnet.report.fit_page.scores import DotChart, Scores, dot_chart
from popnet.report.fit_page.shares import made_of
from popnet.report.format import is_number

NAMED_CLASSES = 4
"""Classes that the first paragraph names, at most."""

SMALL_TEST = 200
"""With fewer test rows the page says that the score is rough."""

BASELINE_TITLES = {
    "constant": "Constant prediction",
    "linear": "Linear model",
    "trees": "Boosted trees",
}
BASELINE_WORDS = {
    "constant": "the constant prediction",
    "linear": "the linear model",
    "trees": "boosted trees alone",
}

Comparison = Literal["", "better", "level", "worse", "higher", "not_higher"]
"""Against the best baseline; the last two where the difference has no interval."""


@dataclass(frozen=True)
class Headline:
    """The score, what the model is made of, and how it compares with the best baseline.

    Attributes:
        usable: whether there is a score.
        nets: whether a net is in the ensemble.
        made_of: the parts of the ensemble, in words.
        source: what the data is called.
        kinds: how many of the columns that are used are of each kind, in words.
        classes: which classes there are and how frequent they are, in words; "" of a regression.
        sentence: how good the model is, in words that need no metric; "" if the metric has none.
        interval, low, high: whether the score has an interval, and its ends.
        score: as text.
        chart: the score and the baselines'.
        verdict: how it compares with the best baseline.
        gain: the difference and the ends of its interval.
        alike: whether both are as good on every resample, so that there is no difference.
        best, best_score: the best baseline in words, and its score.
        several: whether there are more.
        cut: by how much the error is smaller, and what that is a share of.
        honest: whether the score is of a test part.
        out_of_fold: whether it is of out-of-fold predictions, if not.
        scored_on: of which rows it is.
        small: whether these are few.
        what: what is predicted.
        columns: that are used.
        members: that were trained.
    """

    usable: bool
    nets: bool
    made_of: str
    source: str
    kinds: str
    classes: str
    sentence: str
    interval: bool
    low: str
    high: str
    score: str
    chart: DotChart
    verdict: Comparison
    gain: tuple[str, str, str] | None
    alike: bool
    best: str
    best_score: str
    several: bool
    cut: tuple[str, str] | None
    honest: bool
    out_of_fold: bool
    scored_on: str
    small: bool
    what: str
    columns: int
    members: int


def show(facts: FitFacts, scores: Scores) -> Headline:
    """Return what the page begins with."""
    low, high = facts.interval or (None, None)
    usable = is_number(facts.score)
    baselines = best_baselines(facts, scores)
    chosen = [m for m in facts.members if m.weight > 0]
    rows: list[tuple[str, object, bool]] = []
    if usable:
        rows.append(("Ensemble" if chosen else "The kept model", facts.score, True))
    rows += [
        (BASELINE_TITLES.get(b.name, b.name), b.metrics.get(scores.name), False) for b in baselines
    ]
    best = next((b for b in baselines if is_number(b.metrics.get(scores.name))), None)
    base = best.metrics.get(scores.name) if best else None
    verdict: Comparison = ""
    gain, cut = None, None
    if best and usable and chosen:
        gain = _paired(best)
        verdict = _compare(gain, scores.gain(facts.score, base))
        if verdict in ("better", "higher"):
            cut = _cut(facts.score, base, scores)
    target, tested = facts.target, facts.data.test_rows
    return Headline(
        usable=usable,
        nets=bool(chosen),
        made_of=made_of(facts),
        source=format.name_of(facts.data.source),
        kinds=_kinds(facts),
        classes=_classes(facts),
        sentence=_sentence(facts, scores) if usable else "",
        interval=is_number(low) and is_number(high),
        low=scores.text(low),
        high=scores.text(high),
        score=scores.text(facts.score),
        chart=dot_chart(rows, facts.interval, scores),
        verdict=verdict,
        gain=gain and _texts(gain, scores),
        alike=gain is not None and not any(gain),
        best=BASELINE_WORDS.get(best.name, f"the baseline “{best.name}”") if best else "",
        best_score=scores.text(base) if best else "",
        several=len(baselines) > 1,
        cut=cut,
        honest=tested > 0,
        out_of_fold=facts.ensemble is not None,
        scored_on=facts.scored_on or "on rows that it was trained on: optimistic",
        small=0 < tested < SMALL_TEST,
        what=what(target.task, len(target.classes), len(target.names)),
        columns=sum(c.used for c in facts.data.columns),
        members=len(facts.members),
    )


def what(task: str, classes: int, targets: int) -> str:
    """Return what is predicted, in words."""
    if task == "multiclass" and classes:
        return f"one of {format.count(classes, 'class', 'classes')}"
    if task == "regression" and targets > 1:
        return format.count(targets, "number")
    return "one of two classes" if task == "binary" else vocabulary.TASKS.get(task, task)


def _kinds(facts: FitFacts) -> str:
    """Return how many of the used columns are of each kind: ``8 categorical and 6 numeric``."""
    kinds = Counter(c.kind for c in facts.data.columns if c.used)
    return format.enumeration([f"{n} {kind}" for kind, n in kinds.most_common()])


def _classes(facts: FitFacts) -> str:
    """Return the classes and their shares of the rows, the most frequent ones first."""
    counts = facts.target.class_counts
    total = sum(counts)
    if facts.target.task == "regression" or not total:
        return ""
    ranked = sorted(zip(counts, map(str, facts.target.classes), strict=False), key=lambda c: -c[0])
    named = [
        f"{format.short(name, 30)} ({format.percent(n / total)} of the {'images' if of_images(facts) else 'rows'})"
        for n, name in ranked[:NAMED_CLASSES]
    ]
    if rest := len(ranked) - len(named):
        named.append(f"{rest} more")
    return f"The classes are {format.enumeration(named)}."


def _sentence(facts: FitFacts, scores: Scores) -> str:
    """Return how good the model is beside a constant, in plain words; "" where the metric has none."""
    constant = next((b for b in facts.baselines if b.name == "constant"), None)
    score, base = facts.score, constant.metrics.get(scores.name) if constant else None
    if not is_number(score):
        return ""
    rows = "rows" if not of_images(facts) else "images"
    seen = "it had never seen" if facts.data.test_rows else "that it is measured on"
    if scores.name == "accuracy":
        said = f"It is right for {_share(score)} of the {rows} {seen}"
        other = "always predicting the most frequent class would be right for {}"
        return f"{said}; {other.format(_share(base))}." if is_number(base) else f"{said}."
    if scores.name in ("rmse", "mae") and len(facts.target.names) == 1:
        how = "typically" if scores.name == "rmse" else "on average"
        said = f"Its predictions for {rows} {seen} are {how} off by {scores.text(score)}"
        other = "always predicting the mean would be off by {}"
        return f"{said}; {other.format(scores.text(base))}." if is_number(base) else f"{said}."
    return ""


def _share(value: float) -> str:
    """Return a share as per cent with one decimal."""
    return f"{format.fixed(100 * value, 1)}{format.NARROW}%"


def _paired(baseline: BaselineFacts) -> tuple[float, float, float] | None:
    """Return the difference to a baseline and the ends of its interval, if all three are known."""
    gain, low, high = baseline.gain or (None, None, None)
    if is_number(gain) and is_number(low) and is_number(high):
        return gain, low, high
    return None


def _texts(gain: tuple[float, float, float], scores: Scores) -> tuple[str, str, str]:
    """Return a difference and the ends of its interval with the same number of decimals."""
    mean, low, high = (scores.difference(v, *gain) for v in gain)
    return mean, low, high


def _compare(paired: tuple[float, float, float] | None, gain: float | None) -> Comparison:
    """Return what can be said: of a difference without an interval only which way it goes.

    The ensemble's own interval says nothing about a difference: both models are scored on the same rows.
    """
    if paired:
        _, low, high = paired
        return "better" if low > 0 else "worse" if high < 0 else "level"
    return "higher" if gain and gain > 0 else "not_higher"


def _cut(score: object, base: object, scores: Scores) -> tuple[str, str] | None:
    """Return (share, of what): how much smaller the error is than the baseline's."""
    if not (is_number(score) and is_number(base)):
        return None
    if scores.name == "accuracy":
        score, base, of = 1 - score, 1 - base, "fewer wrong predictions"
    elif scores.name == "r2":
        score, base, of = 1 - score, 1 - base, "less unexplained variance"
    elif scores.words.greater is False:
        of = f"lower {scores.title}"
    else:
        return None
    return (format.percent((base - score) / base), of) if base > 0 else None
