"""Shapley values of columns: what each of them adds to a row's answer, compared with background rows.

The value of some columns is the mean answer over background rows into which the row's values of these columns are put
(interventional, as in Štrumbelj and Kononenko 2014 and in the samplers of the package ``shap``; Janzing et al. 2020
say why). A column's Shapley value is the mean of what it adds to the columns before it, over all orders of columns.

Orders are drawn in pairs, one and its reverse (Mitchell et al. 2022). Each order turns a background row into the
explained row, column by column, and what the columns add on the way sums to the row's answer less the background row's.
The latter is known for all background rows, so the mean over the drawn ones is corrected by a regression on it (a
control variate): the slopes of the columns sum to -1, whatever the model, and so the values sum to the row's answer
less the mean answer over all background rows. Most of the error comes from the background rows and not from the orders
(on adult 85 % of its square), so the two orders of a pair begin with different ones, which are drawn from strata of
equal size by answer: together that saves 37 % of the square of the error (adult, 12 rows, 20 seeds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import comb

import numpy as np

from popnet.data.dataset import Features
from popnet.explanation.input_columns import InputColumns
from popnet.types import Array

EVALUATIONS = 2000
"""Mixed rows by which a row is explained, about: on adult, 14 columns, the standard error of a row's largest value is
then 0.008 of a probability, and 0.004 in the median of all columns (100 rows)."""

MIN_PAIRS, MAX_PAIRS = 24, 1000
"""Pairs of orders of a row; the least of them for tables of many columns, where standard errors need some pairs."""

MAX_EXACT_COLUMNS = 12
"""Columns all of whose subsets may be gone through."""

CHUNK = 1 << 22
"""Entries of the largest array of a chunk of rows, about."""

Answer = Callable[[Features], np.ndarray]
"""From N encoded rows to answers ``(N, O)``."""


@dataclass(frozen=True)
class Shapley:
    """Shapley values of D columns for R rows.

    Attributes:
        base: ``(R,)`` mean answer over the background rows.
        answers: ``(R,)`` the rows' answers.
        values: ``(R, D)``; they sum to ``answers - base``.
        errors: ``(R, D)`` standard errors of the sampling, a little too large where strata help; zeros where every
            subset of columns was gone through.
        pairs: of orders that were drawn for each row; 0 where every subset was gone through.
    """

    base: np.ndarray
    answers: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    pairs: int


def shapley(
    answer: Answer,
    rows: Features,
    background: Features,
    known: Array,
    outputs: Array,
    blocks: InputColumns,
    rng: np.random.Generator,
    *,
    pairs: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Shapley:
    """Return Shapley values of the columns.

    All rows are explained by the same background rows and orders, so a row's values do not depend on the others.

    Args:
        answer: the model.
        rows: R rows to explain.
        background: N rows, at least one.
        known: ``(N, O)`` their answers.
        outputs: ``(R,)`` number of the output that is explained of each row.
        blocks: the columns.
        rng: of orders and background rows.
        pairs: of orders that are drawn; default as many as `EVALUATIONS` allow. Where it takes no more evaluations,
            all subsets of the columns are gone through instead.
        on_progress: is called with the rows that are done, and R.
    """
    n, d = len(background), len(blocks)
    if pairs is None:
        pairs = int(np.clip(EVALUATIONS // (2 * max(d - 1, 1)), MIN_PAIRS, MAX_PAIRS))
    here = answer(rows)[np.arange(len(rows)), outputs]
    base = known.mean(0)[outputs]
    exact = d <= MAX_EXACT_COLUMNS and n * (2**d - 2) <= pairs * 2 * (d - 1)
    work = _Work(answer, rows, background, known, outputs, blocks, here)
    if exact:
        values = np.concatenate(
            [_exact(work, r) for r in _chunks(len(rows), n * 2**d * d, on_progress)]
        )
        return Shapley(base, here, values, np.zeros_like(values), 0)
    plan = _Plan.drawn(rng, known, d, pairs)
    found = [
        _sampled(work, plan, r) for r in _chunks(len(rows), plan.pairs * 2 * d * d, on_progress)
    ]
    values, errors = (np.concatenate(part) for part in zip(*found, strict=True))
    return Shapley(base, here, values, errors, plan.pairs)


@dataclass(frozen=True)
class _Work:
    """What all chunks of rows share."""

    answer: Answer
    rows: Features
    background: Features
    known: Array
    outputs: Array
    blocks: InputColumns
    here: Array

    def evaluated(self, i: Array, j: Array, taken: Array) -> np.ndarray:
        """Return the answers ``(n,)`` of background rows j with columns taken from rows i."""
        if not len(i):
            return np.zeros(0)
        mixed = self.blocks.mixed(self.rows, i, self.background, j, taken)
        return self.answer(mixed)[np.arange(len(i)), self.outputs[i]]


@dataclass(frozen=True)
class _Plan:
    """Background rows and orders of columns, of P pairs.

    Attributes:
        background: ``(P, 2)`` numbers of background rows, one for each order; where there are too few of them, one for
            each pair, and all of them equally often, in turn.
        orders: ``(P, 2, D)``, each order and its reverse.
        rounds: how often every background row has a pair; 0 if only some have.
    """

    background: Array
    orders: Array
    rounds: int

    @property
    def pairs(self) -> int:
        """P."""
        return len(self.background)

    @classmethod
    def drawn(cls, rng: np.random.Generator, known: Array, d: int, pairs: int) -> _Plan:
        """Return a plan for background rows with answers ``(N, O)`` and d columns."""
        n = len(known)
        rounds = pairs // n
        if n >= 2 * pairs:
            by_answer = np.argsort(known[:, known.std(0).argmax()], kind="stable")
            strata = np.array_split(by_answer, 2 * pairs)
            one = np.array([stratum[rng.integers(len(stratum))] for stratum in strata])
            drawn = rng.permutation(one).reshape(pairs, 2)
        else:
            one = np.tile(np.arange(n), rounds) if rounds else rng.choice(n, pairs, replace=False)
            drawn = np.stack([one, one], 1)
        orders = rng.permuted(np.tile(np.arange(d), (len(drawn), 1)), axis=1)
        return cls(drawn, np.stack([orders, orders[:, ::-1]], 1), rounds)


def _sampled(work: _Work, plan: _Plan, chunk: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return values and standard errors ``(r, D)`` of some rows."""
    added = _added(work, plan, chunk)
    there = work.known[plan.background].mean(1)[:, work.outputs[chunk]].T
    if plan.rounds > 1:  # every background row is there: only the orders are a sample
        each = added.reshape(len(chunk), plan.rounds, -1, added.shape[2])
        variance = each.var(1, ddof=1).mean(1) / plan.pairs
        return added.mean(1), np.sqrt(variance)
    return corrected(added, there, work.known.mean(0)[work.outputs[chunk]])


def corrected(added: Array, there: Array, mean: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return means over draws that are corrected by a control variate, and their standard errors, ``(r, D)`` each.

    Args:
        added: ``(r, P, D)`` what the columns add in each draw.
        there: ``(r, P)`` mean answer of each draw's background rows; what is added sums to a constant less this.
        mean: ``(r,)`` its true mean.
    """
    _, p, d = added.shape
    about = there - there.mean(1, keepdims=True)
    centred = added - added.mean(1, keepdims=True)
    square = np.einsum("rp,rp->r", about, about)[:, None]
    product = np.einsum("rp,rpd->rd", about, centred)
    slope = np.divide(product, square, out=np.full_like(product, -1 / d), where=square > 0)
    off = (there.mean(1) - mean)[:, None]
    left = centred - slope[:, None, :] * about[:, :, None]
    variance = np.einsum("rpd,rpd->rd", left, left) / max(p - 2, 1)
    size = 1 / p + np.divide(off**2, square, out=np.zeros_like(square), where=square > 0)
    return added.mean(1) - slope * off, np.sqrt(variance * size)


def _added(work: _Work, plan: _Plan, chunk: Array) -> np.ndarray:
    """Return what each column adds on the way from each pair's background rows to each row, its mean, ``(r, P, D)``.

    A column in which both rows are equal adds nothing, so that step is not evaluated.
    """
    r, p, d = len(chunk), plan.pairs, len(work.blocks)
    i, j = np.repeat(chunk, 2 * p), np.tile(plan.background.ravel(), r)
    differ = work.blocks.differ(work.rows, i, work.background, j).reshape(r, p, 2, d)
    orders = np.broadcast_to(plan.orders, (r, p, 2, d))
    changes = np.take_along_axis(differ, orders, -1)
    count = changes.cumsum(-1)
    needed = changes & (count < count[..., -1:])  # the last change makes the explained row itself
    of_row, pair, way, step = np.nonzero(needed)
    rank = np.argsort(plan.orders, -1)  # the step at which a column is taken
    taken = rank[pair, way] <= step[:, None]
    states = np.empty((r, p, 2, d + 1))
    states[..., 0] = np.moveaxis(work.known[plan.background][..., work.outputs[chunk]], -1, 0)
    states[..., 1:] = work.here[chunk][:, None, None, None]
    states[of_row, pair, way, step + 1] = work.evaluated(
        chunk[of_row], plan.background[pair, way], taken
    )
    after: Array = np.arange(1, d + 1)
    latest = np.maximum.accumulate(np.where(changes, after, 0), -1)
    reached = np.concatenate(
        [states[..., :1], np.take_along_axis(states, latest, -1)], -1
    )  # steps that change nothing stay where the one before was
    added = np.empty((r, p, 2, d))
    np.put_along_axis(added, orders, np.diff(reached, axis=-1), -1)
    return added.mean(2)


def _exact(work: _Work, chunk: Array) -> np.ndarray:
    """Return the values ``(r, D)`` of some rows by all subsets of columns and all background rows."""
    r, n, d = len(chunk), len(work.background), len(work.blocks)
    count = 1 << d
    numbers: Array = np.arange(count)
    subsets: Array = (numbers[:, None] >> np.arange(d)) & 1 == 1
    means = np.empty((r, count))
    means[:, 0] = work.known.mean(0)[work.outputs[chunk]]
    means[:, -1] = work.here[chunk]
    inner: Array = numbers[1:-1]
    i = np.repeat(chunk, len(inner) * n)
    s = np.tile(np.repeat(inner, n), r)
    j = np.tile(np.arange(n), r * len(inner))
    means[:, 1:-1] = work.evaluated(i, j, subsets[s]).reshape(r, -1, n).mean(2)
    size: Array = subsets.sum(1)
    before = np.array([1 / (d * comb(d - 1, k)) for k in range(d)] + [0.0])
    weights = np.where(subsets, before[size - 1][:, None], -before[size][:, None])
    return means @ weights


def _chunks(
    rows: int, entries: int, on_progress: Callable[[int, int], None]
) -> Iterator[np.ndarray]:
    """Yield numbers of rows, as many at a time as `CHUNK` allows if each has so many entries."""
    size = max(1, CHUNK // entries)
    for start in range(0, rows, size):
        yield np.arange(start, min(start + size, rows))
        on_progress(min(start + size, rows), rows)
