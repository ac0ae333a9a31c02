"""A model in a few lines for people."""

from __future__ import annotations

from popnet.model.model import Model
from popnet.model.summary import members, number, score
from popnet.report.fit_page.importance import brief
from popnet.spec.recipe import Recipe

RECIPES_SHOWN = 5
"""Recipes that `describe` names, those with the largest shares of the ensemble."""


def describe(model: Model) -> list[str]:
    """Return lines for people about a model: task, score, members, features."""
    target = model.encoder.target
    lines = [f"target     {', '.join(target.names)} ({target.task})"]
    if model.facts is not None:
        scores = model.facts.scores
        lines.append(f"score      {score(model)}")
        for name, values in scores.baselines.items():
            lines.append(f"           {name} model: {number(values.get(scores.metric))}")
        if model.facts.importance is not None:
            lines.append(f"matter     {brief(model.facts.importance)}")
    if model.decision_sentence is not None:
        lines.append(f"decision   {model.decision_sentence}")
    lines.append(f"ensemble   {members(model)}")
    shares: dict[Recipe, float] = {}
    for net, weight in zip(model.nets, model.weights, strict=False):
        shares[net.recipe] = shares.get(net.recipe, 0.0) + float(weight)
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    for r, share in ranked[:RECIPES_SHOWN]:
        what = (
            f"depth {r.depth}, width {r.width}, {r.activation}, norm {r.norm}, dropout {r.dropout:.2f}, "
            f"learning rate {r.learning_rate:.2g}"
        )
        lines.append(f"           {share:.3f}  {what if r.depth else 'the linear model'}")
    if len(ranked) > RECIPES_SHOWN:
        lines.append(f"           and {len(ranked) - RECIPES_SHOWN} more recipes")
    if model.trees:
        lines.append(f"           {model.tree_weights.sum():.3f}  boosted trees")
    return lines + [f"data       {line}" for line in model.schema.describe()]
