"""Activations as a graph, each as `popnet.nn.activations` has it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from popnet.export.graph import Graph, f32, i64
from popnet.nn.activations import SELU_ALPHA, SELU_SCALE


class Numbers(NamedTuple):
    """What activations of M nets need beside their input.

    Attributes:
        slope: ``(M, 1, 1, 1)``, leaky ReLU's.
        alpha: ``(M, 1, 1, 1)``, ELU's.
        learned: ``(M, 1, 1, W)`` or, of images, ``(1, W, 1, 1)``, PReLU's.
    """

    slope: np.ndarray
    alpha: np.ndarray
    learned: np.ndarray


def _one(kind: str) -> Callable[[Graph, str, Numbers], str]:
    return lambda g, z, n: g.op(kind, z)


def _elu(g: Graph, z: str, n: Numbers) -> str:
    below = g.op("Mul", g.op("Elu", z), n.alpha)
    return g.op("Where", g.op("Greater", z, f32(0)), z, below)


def _gelu(g: Graph, z: str, n: Numbers) -> str:
    cube = g.op("Mul", g.op("Mul", z, z), z)
    inner = g.op("Add", z, g.op("Mul", cube, f32(0.044715)))
    tanh = g.op("Tanh", g.op("Mul", inner, f32(np.sqrt(2 / np.pi))))
    return g.op("Mul", z, g.op("Mul", g.op("Add", tanh, f32(1)), f32(0.5)))


def _mish(g: Graph, z: str, n: Numbers) -> str:
    e = g.op("Exp", g.op("Min", z, f32(20)))
    m = g.op("Mul", e, g.op("Add", e, f32(2)))
    return g.op("Mul", z, g.op("Div", m, g.op("Add", m, f32(2))))


ACTIVATIONS: dict[str, Callable[[Graph, str, Numbers], str]] = {
    "sigmoid": _one("Sigmoid"),
    "tanh": _one("Tanh"),
    "relu": _one("Relu"),
    "leaky_relu": lambda g, z, n: g.op("PRelu", z, n.slope),
    "elu": _elu,
    "prelu": lambda g, z, n: g.op("PRelu", z, n.learned),
    "selu": lambda g, z, n: g.op("Selu", z, alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "gelu": _gelu,
    "silu": lambda g, z, n: g.op("Mul", z, g.op("Sigmoid", z)),
    "mish": _mish,
}


def maxout(g: Graph, z: str, pieces: int, width: int, axis: int) -> str:
    """Return the maximum over k linear maps of some width, which lie side by side along an axis."""
    ends = i64(range(0, (pieces + 1) * width, width))
    parts = [g.op("Slice", z, a, b, i64([axis])) for a, b in pairwise(ends[:, None])]
    return g.op("Max", *parts)
