"""What an ensemble is made of, in words: nets, boosted trees, the linear model, and their shares of the weight."""

from __future__ import annotations

from popnet.report import format
from popnet.report.fit_page.facts import FitFacts
from popnet.report.fit_page.ranking import linear_share, trees_share


def made_of(facts: FitFacts) -> str:
    """Return the parts of the ensemble with their shares, "" if it has none; nets alone have no share named."""
    chosen = [m for m in facts.members if m.weight > 0]
    nets = sum(m.weight for m in chosen)
    parts: list[tuple[str, float]] = []
    if chosen:
        recipes = len({m.recipe_id for m in chosen})
        count = format.count(len(chosen), "net")
        parts.append((f"{count} of {format.count(recipes, 'recipe')}", nets))
    if share := trees_share(facts):
        parts.append(("boosted trees", share))
    if share := linear_share(facts):
        parts.append(("the linear model", share))
    if not parts:
        return ""
    if len(parts) == 1:
        return parts[0][0]
    texts = [f"{name} ({format.percent(share)} of the weight)" for name, share in parts]
    return f"{', '.join(texts[:-1])} and {texts[-1]}"
