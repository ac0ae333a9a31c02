"""The small nets that claims are tried with: few shapes, because each costs a compilation."""

from __future__ import annotations

from popnet.spec.recipe import Activation, Initializer, Recipe

PLAIN = Recipe(
    depth=3, width=64, batch_size=32, activation="relu", norm="none", dropout=0.0, optimizer="sgd",
    momentum=0.9, nesterov=False, learning_rate=0.03, weight_decay=0.0, schedule="constant",
    patience=1_000_000,
)  # fmt: skip
"""Three layers, gradient descent with momentum and nothing else."""

DEEP = PLAIN.replace(depth=10, width=32)
"""Ten layers, in which gradients have a way to go."""

ADAM = PLAIN.replace(optimizer="adamw", learning_rate=3e-3, schedule="cosine")
"""Three layers, trained as one would today, without any regularization."""

SUITED: dict[Activation, Initializer] = {
    "sigmoid": "xavier_normal",
    "tanh": "xavier_normal",
    "relu": "he_normal",
    "leaky_relu": "he_normal",
    "elu": "he_normal",
    "maxout": "xavier_normal",
}
"""Initial weights that are recommended for an activation: Glorot and Bengio 2010, He et al. 2015."""


def with_activation(recipe: Recipe, activation: Activation) -> Recipe:
    """Return a recipe with an activation and the initial weights that suit it."""
    return recipe.replace(activation=activation, init=SUITED[activation])
