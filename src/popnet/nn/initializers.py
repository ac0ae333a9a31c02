"""Initial weights, drawn on the host: nothing to compile, the same on every platform."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from popnet.runtime import keys
from popnet.spec.recipe import Recipe
from popnet.types import Floats

Draw = Callable[[np.random.Generator, int, int, int], np.ndarray]


def _normal(variance: Callable[[int, int], float]) -> Draw:
    def draw(rng: np.random.Generator, fan_in: int, fan_out: int, receptive: int) -> np.ndarray:
        deviation = np.sqrt(variance(fan_in, fan_out * receptive))
        return rng.standard_normal((fan_in, fan_out)) * deviation

    return draw


def _uniform(variance: Callable[[int, int], float]) -> Draw:
    def draw(rng: np.random.Generator, fan_in: int, fan_out: int, receptive: int) -> np.ndarray:
        limit = np.sqrt(3 * variance(fan_in, fan_out * receptive))
        return rng.uniform(-limit, limit, (fan_in, fan_out))

    return draw


def _he(fan_in: int, fan_out: int) -> float:
    return 2 / fan_in


def _xavier(fan_in: int, fan_out: int) -> float:
    return 2 / (fan_in + fan_out)


def _lecun(fan_in: int, fan_out: int) -> float:
    return 1 / fan_in


def _orthogonal(rng: np.random.Generator, fan_in: int, fan_out: int, receptive: int) -> np.ndarray:
    a = rng.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out)))
    q, r = np.linalg.qr(a)
    # Signs of R's diagonal make the distribution uniform over orthogonal matrices (Mezzadri 2007).
    q = q * np.sign(np.diag(r))
    return q if fan_in >= fan_out else q.T


INITIALIZERS: dict[str, Draw] = {
    "he_normal": _normal(_he),
    "he_uniform": _uniform(_he),
    "xavier_normal": _normal(_xavier),
    "xavier_uniform": _uniform(_xavier),
    "lecun_normal": _normal(_lecun),
    "lecun_uniform": _uniform(_lecun),
    "orthogonal": _orthogonal,
}


def weights(
    rng: np.random.Generator,
    name: str,
    fan_in: int,
    fan_out: int,
    scale: float = 1.0,
    receptive: int = 1,
) -> Floats:
    """Draw a weight matrix.

    Args:
        rng: source of randomness.
        name: key of `INITIALIZERS`; variances are 2/fan_in (he), 2/(fan_in+fan_out) (xavier), 1/fan_in (lecun).
        fan_in: inputs; 0 gives an empty matrix.
        fan_out: outputs.
        scale: factor on all weights.
        receptive: pixels of a convolution's kernel; ``fan_in`` has this factor already, the number of outputs that a
            channel goes to has not.

    Returns:
        ``(fan_in, fan_out)`` float32.
    """
    if fan_in == 0:
        return np.zeros((0, fan_out), np.float32)
    return (INITIALIZERS[name](rng, fan_in, fan_out, receptive) * scale).astype(np.float32)


def layer(
    recipe: Recipe, seed: int, name: str, fan_in: int, fan_out: int, pieces: int = 1, receptive: int = 1
) -> Floats:  # fmt: skip
    """Draw the weights of a layer from a stream of its own, so that nets of one seed share what they have in common.

    Args:
        recipe: gives distribution and scale.
        seed: the member's.
        name: the layer's.
        fan_in, fan_out, receptive: see `weights`.
        pieces: matrices side by side, of a maxout layer.

    Returns:
        ``(fan_in, pieces * fan_out)`` float32.
    """
    rng = keys.generator(seed, "weights", name)
    scale = recipe.init_scale
    parts = [weights(rng, recipe.init, fan_in, fan_out, scale, receptive) for _ in range(pieces)]
    return np.concatenate(parts, axis=1)
