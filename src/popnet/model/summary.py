"""A model in one line, and in the few lines that a notebook shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from popnet.model.model import Model


NO_PROBABILITIES = "Probabilities are for classification; this model predicts numbers."


def number(value: float | None) -> str:
    """Return a score for people: five digits, thousands apart, a dash if there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.5g}"


def members(model: Model) -> str:
    """Return what an ensemble is made of: ``4 nets and 1 model of boosted trees, greedy``."""
    nets, trees = len(model.nets), len(model.trees)
    parts = [f"{nets} net{'s' * (nets != 1)}"] if nets or not trees else []
    parts += [f"{trees} model{'s' * (trees != 1)} of boosted trees"] if trees else []
    return f"{' and '.join(parts)}, {model.method}"


def score(model: Model) -> str | None:
    """Return a model's score, its interval and the rows it is of; None if that is not known."""
    if model.facts is None:
        return None
    scores = model.facts.scores
    low, high = scores.interval
    return (
        f"{scores.metric} {number(scores.score)} (95 % interval {number(low)} to {number(high)}) {scores.scored_on}"
    ).strip()


def one_line(model: Model) -> str:
    """Return what a model predicts, how well, and from what."""
    target = model.encoder.target
    known = [f"{', '.join(target.names)} ({target.task})", score(model), members(model)]
    return f"<popnet.Model of {'; '.join(part for part in known if part)}>"


def lines(model: Model) -> list[tuple[str, str]]:
    """Return names and texts: target, task, score, simple models on the same rows, what the ensemble is made of."""
    target = model.encoder.target
    found = [("target", ", ".join(target.names)), ("task", target.task)]
    if target.classes:
        shown = ", ".join(map(str, target.classes[:6]))
        found.append(("classes", shown + (", …" if len(target.classes) > 6 else "")))
    if (text := score(model)) is not None and model.facts is not None:
        found.append(("score", text))
        scores = model.facts.scores
        found += [
            (f"{name} model", number(values.get(scores.metric)))
            for name, values in scores.baselines.items()
        ]
    found.append(("ensemble", members(model)))
    if model.trees and model.nets:
        share = float(model.tree_weights.sum())
        found.append(("weight of trees", f"{100 * share:.0f} %"))
    return found
