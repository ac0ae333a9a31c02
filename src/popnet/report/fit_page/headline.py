"""The result in plain words and against the baselines."""

from __future__ import annotations

from typing import Any

from popnet.report import format, vocabulary
from popnet.report.fit_page.facts import Facts
from popnet.report.fit_page.ranking import best_baselines, linear_share
from popnet.report.fit_page.scores import Scores, dot_chart
from popnet.report.format import is_number

SMALL_TEST = 200
"""With fewer test rows the page says that the score is rough."""

BASELINE_TITLES = {"constant": "Constant prediction", "linear": "Linear model"}
BASELINE_WORDS = {"constant": "the constant prediction", "linear": "the linear model"}


def show(facts: Facts, scores: Scores) -> dict[str, Any]:
    """Return the score, what the model is made of, and the verdict."""
    interval = facts.get("interval") or [None, None]
    low, high = interval
    usable = is_number(facts["score"])
    baselines = best_baselines(facts, scores)
    chosen = [m for m in facts["members"] if m["weight"] > 0]
    rows: list[tuple[str, object, bool]] = []
    if usable:
        rows.append(("Ensemble" if chosen else "The kept model", facts["score"], True))
    rows += [
        (BASELINE_TITLES.get(b["name"], b["name"]), b["metrics"].get(scores.name), False)
        for b in baselines
    ]
    best = next((b for b in baselines if is_number(b["metrics"].get(scores.name))), None)
    verdict, gain, cut, base = "", None, None, None
    if best and usable:
        base = best["metrics"].get(scores.name)
        if chosen:
            gain = _paired(best.get("gain"))
            verdict = _verdict(gain, scores.gain(facts["score"], base))
            if verdict in ("better", "higher"):
                cut = _cut(facts["score"], base, scores)
    linear = linear_share(facts)
    target = facts["target"]
    return {
        "usable": usable,
        "nets": bool(chosen),
        "chosen": len(chosen),
        "recipes": len({m["recipe_id"] for m in chosen}),
        "linear": format.percent(linear) if linear else "",
        "inside": format.percent(1 - linear),
        "warnings": facts.get("warnings") or [],
        "interval": is_number(low) and is_number(high),
        "low": scores.text(low),
        "high": scores.text(high),
        "score": scores.text(facts["score"]),
        "chart": dot_chart(rows, interval, scores),
        "verdict": verdict,
        "gain": gain and [scores.difference(v, *gain) for v in gain],
        "best": best and BASELINE_WORDS.get(best["name"], f"the baseline “{best['name']}”"),
        "best_score": best and scores.text(best["metrics"].get(scores.name)),
        "several": len(baselines) > 1,
        "cut": cut,
        "honest": facts["data"]["test_rows"] > 0,
        "out_of_fold": bool(facts.get("ensemble")),
        "scored_on": facts.get("scored_on") or "on rows that it was trained on: optimistic",
        "small": 0 < facts["data"]["test_rows"] < SMALL_TEST,
        "what": what(target["task"], len(target["classes"]), len(target["names"])),
        "columns": sum(c["used"] for c in facts["data"]["columns"]),
        "members": len(facts["members"]),
    }


def what(task: str, classes: int, targets: int) -> str:
    """Return what is predicted, in words."""
    if task == "multiclass" and classes:
        return f"one of {format.count(classes, 'class', 'classes')}"
    if task == "regression" and targets > 1:
        return format.count(targets, "number")
    return "one of two classes" if task == "binary" else vocabulary.TASKS.get(task, task)


def _paired(gain: object) -> list[float] | None:
    """Return a difference and the ends of its interval, if all three are known."""
    if isinstance(gain, (list, tuple)) and len(gain) == 3 and all(is_number(v) for v in gain):
        return list(gain)
    return None


def _verdict(paired: list[float] | None, gain: float | None) -> str:
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
        score, base, of = 1 - score, 1 - base, "fewer wrong answers"
    elif scores.name == "r2":
        score, base, of = 1 - score, 1 - base, "less variance left unexplained"
    elif scores.words.greater is False:
        of = f"lower {scores.title}"
    else:
        return None
    return (format.percent((base - score) / base), of) if base > 0 else None
