"""What a search's scores depended on, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from popnet.tuning.importance import MIN_RECIPES, importance


def drawn(count: int = 80, seed: int = 0) -> tuple[list[dict], np.ndarray]:
    """Recipes whose loss is mostly the logarithm of the rate, a bit the activation, and not at all the rest."""
    rng = np.random.default_rng(seed)
    recipes = [
        {
            "learning_rate": 10 ** rng.uniform(-4, -1), "activation": rng.choice(["relu", "tanh"]).item(),
            "dropout": rng.uniform(0, 0.5), "epochs": 7, "nesterov": bool(rng.integers(2)),
        }
        for _ in range(count)
    ]  # fmt: skip
    loss = [
        abs(np.log10(r["learning_rate"]) + 2.5) + 0.2 * (r["activation"] == "tanh") for r in recipes
    ]
    return recipes, np.array(loss) + 0.02 * rng.standard_normal(count)


def test_what_the_score_depends_on_comes_first():
    found = importance(*drawn())
    assert list(found)[:2] == ["learning_rate", "activation"]
    assert found["learning_rate"] > 0.7
    assert set(found) == {"learning_rate", "activation", "dropout", "nesterov"}
    assert sum(found.values()) == pytest.approx(1)
    assert found == importance(*drawn())


def test_nothing_is_said_of_few_recipes_equal_ones_or_equal_losses():
    recipes, loss = drawn(MIN_RECIPES)
    assert importance(recipes, loss)
    assert importance(recipes[1:], loss[1:]) == {}
    assert importance(recipes, [np.inf, *loss[1:]]) == {}
    assert importance(recipes, np.ones(MIN_RECIPES)) == {}
    assert importance([recipes[0]] * MIN_RECIPES, loss) == {}
