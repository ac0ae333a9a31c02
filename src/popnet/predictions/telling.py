"""Which predictions of classes people should look at: those that are wrong by the most, and those that are surest."""

from __future__ import annotations

import numpy as np

from popnet.types import Array


def most_wrong(true: Array, decided: Array, probabilities: Array, count: int) -> np.ndarray:
    """Return the rows whose class is predicted wrongly and was thought least likely, the worst first.

    Args:
        true: ``(N,)`` class numbers.
        decided: ``(N,)`` predicted ones.
        probabilities: ``(N, C)``.
        count: of rows, at most.
    """
    wrong = np.flatnonzero(decided != true)
    of_true = probabilities[wrong, true[wrong]]
    return wrong[np.argsort(of_true, kind="stable")[:count]]


def surest(true: Array, decided: Array, probabilities: Array, count: int) -> np.ndarray:
    """Return rows that are predicted rightly with the largest probability, of each class in turn, the surest first.

    Args:
        true: ``(N,)`` class numbers.
        decided: ``(N,)`` predicted ones.
        probabilities: ``(N, C)``.
        count: of rows, at most.
    """
    right = np.flatnonzero(decided == true)
    own = probabilities[right, true[right]]
    order = right[np.argsort(-own, kind="stable")]
    turn = np.empty(len(order), np.intp)
    for c in np.unique(true[order]):
        places = np.flatnonzero(true[order] == c)
        turn[places] = np.arange(len(places))
    return order[np.argsort(turn, kind="stable")[:count]]
