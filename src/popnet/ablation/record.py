"""A study as plain JSON and as lines of a table."""

from __future__ import annotations

import csv
import io
import math

from popnet.ablation.intervals import Interval
from popnet.ablation.results import Effect, StudyFacts, StudyResults
from popnet.ablation.words import Unit, detectable


def notes(facts: StudyFacts) -> list[str]:
    """Return the lines for people about a study: about its data, and what its pairs can detect."""
    found = facts.found
    unit = Unit.of(facts.task, found.metric)
    seen = detectable(facts.plan, found.detect, found.base_error[1.0].mean, unit)
    return [*facts.remarks, f"with {found.pairs} pairs {seen}"]


def record(facts: StudyFacts) -> dict[str, object]:
    """Return a study as plain JSON."""
    found = facts.found
    return {
        "source": facts.source, "rows": facts.rows, "seed": facts.seed, "seconds": round(facts.seconds, 3),
        "notes": notes(facts),
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


def table(found: StudyResults) -> str:
    """Return a line for each level and share of the rows, as CSV."""
    rows = [
        {
            "factor": e.factor, "base": e.base, "level": e.level, "train_rows": found.rows[e.share],
            "verdict": e.verdict, "gain": e.gain.mean, "low": e.gain.low, "high": e.gain.high, "p_holm": e.p,
            "error": e.error, "base_error": e.base_error, "gap_change": e.gap.mean, "gap_low": e.gap.low,
            "gap_high": e.gap.high, "calibration_change": e.calibration.mean, "wrong_change": e.wrong.mean,
            "time_ratio": e.time, "diverged": e.diverged, "pairs": e.pairs,
        }
        for e in (*found.effects, *found.curves)
    ]  # fmt: skip
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _interval(i: Interval) -> dict[str, float | None]:
    """Return an interval; of what a regression has not, None."""
    return {
        k: v if math.isfinite(v) else None
        for k, v in zip(("mean", "low", "high"), i[:3], strict=True)
    }


def _effect(e: Effect) -> dict[str, object]:
    return {
        "factor": e.factor, "base": e.base, "level": e.level, "share": e.share, "verdict": e.verdict,
        "gain": _interval(e.gain), "bound": e.gain.bound, "rows_needed": e.rows_needed, "wrong": _interval(e.wrong),
        "p": e.p, "error": e.error, "base_error": e.base_error, "gap": _interval(e.gap),
        "calibration": _interval(e.calibration),
        "time": e.time, "diverged": e.diverged, "pairs": e.pairs,
    }  # fmt: skip
