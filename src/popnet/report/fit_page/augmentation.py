"""Which transformations of images keep the class: what the twins say about each, and which are used."""

from __future__ import annotations

from typing import Any, NamedTuple

from popnet.report import format
from popnet.report.charts import axes
from popnet.report.charts.axes import Axis
from popnet.report.fit_page.facts import Augmentation, Facts, Transformation
from popnet.report.format import is_number

VERDICTS = ("helps", "harms", "no effect", "not decided")
CONFUSED_SHOWN = 3
REACH = 3.0
"""Quartile distances beyond which a value is not drawn in full, so that one great harm does not hide the rest."""


class Place(NamedTuple):
    """A row of the picture, in per cent; ``beyond`` is -1 or 1 where the dot itself lies outside."""

    at: float | None
    low: float | None
    high: float | None
    beyond: int


def show(facts: Facts) -> dict[str, Any] | None:
    """Return the section's rows, best first, and how they were measured; None where no twins were trained."""
    check = facts.get("augmentation")
    if not check or not check["transformations"]:
        return None
    classes = facts["target"]["task"] != "regression"
    unit = 100 if classes else 1  # percentage points of wrong answers, or the squared error itself
    tried = sorted(check["transformations"], key=_gain, reverse=True)
    ends = [unit * v for t in tried for k in ("gain", "low", "high") if is_number(v := t[k])]
    axis = axes.axis([0.0, *(axes.robust_limits(ends, REACH) if ends else ())], about=5)
    places = max((format.decimals(unit * v) for t in tried if is_number(v := t["gain"])), default=2)
    places = 2 if classes else places
    used = used_names(facts, check)
    rows = [
        {
            "name": t["words"],
            **_place(t, unit, axis)._asdict(),
            "gain": format.signed(_times(t["gain"], unit), places),
            "interval": [format.signed(_times(t[k], unit), places) for k in ("low", "high")],
            "sort": _gain(t) * unit if is_number(t["gain"]) else "",
            "verdict": t["verdict"],
            "tone": {"helps": "good", "harms": "bad"}.get(t["verdict"], ""),
            "confused": [
                (str(c["true"]), str(c["taken_for"]), c["more"])
                for c in t["confused"][:CONFUSED_SHOWN]
            ]
            if t["verdict"] == "harms"
            else [],
            "used": t["name"] in used,
        }
        for t in tried
    ]
    return {
        "axis": axis,
        "zero": axis.at(0.0),
        "rows": rows,
        "beyond": any(r["beyond"] for r in rows),
        "classes": classes,
        "summary": [
            (sum(t["verdict"] == v for t in tried), v)
            for v in VERDICTS
            if any(t["verdict"] == v for t in tried)
        ],
        "harmful": [t["words"] for t in tried if t["verdict"] == "harms"],
        "by_chance": round(0.05 * len(tried)),
        "used": sum(r["used"] for r in rows),
        "pairs": check["pairs"],
        "train": check["train"],
        "valid": check["valid"],
        "error": format.percent(check["error"]) if classes else format.number(check["error"]),
    }


def used_names(facts: Facts, check: Augmentation) -> set[str]:
    """Return the fields of the transformations that the nets use: the user's recipe may overrule the twins."""
    known = [r["recipe"] for r in facts["recipes"]]
    names = {t["name"] for t in check["transformations"]}
    if not any(names & r.keys() for r in known):
        return names & check["policy"].keys()
    return {n for n in names if any(r.get(n) for r in known)}


def _gain(t: Transformation) -> float:
    gain = t["gain"]
    return gain if is_number(gain) else float("-inf")


def _times(value: object, unit: float) -> float | None:
    return unit * value if is_number(value) else None


def _place(t: Transformation, unit: float, axis: Axis) -> Place:
    """Return a row's places; those outside the picture are put at its edge."""
    places = [axis.at(unit * v) if is_number(v) else None for v in (t["gain"], t["low"], t["high"])]
    at, low, high = (None if p is None else min(max(p, 0.0), 100.0) for p in places)
    beyond = 0 if places[0] is None else (places[0] > 100) - (places[0] < 0)
    both = low is not None and high is not None
    return Place(at, low if both else None, high if both else None, beyond)
