"""Rows that pairs are compared on, more than once if a cross-validation is repeated: testing a row again makes no row.

A difference of pair ``j`` on row ``i`` is taken as ``mean + a_i + b_j + e_ij``: what the row has of its own, what the
pair has of its own (its seeds and training rows), and the rest; the model of two crossed random effects (Searle et al.
1992, Variance Components). Pairs that test the same rows have the same ``a_i``, which the spread of the pairs does not
show, and more of them do not lessen it.

Pairs of a cross-validation also share training rows, which makes them vary less than independent ones, by how much
cannot be told from them (Bengio and Grandvalet 2004, No unbiased estimator of the variance of K-fold cross-validation).
Nadeau and Bengio (2003) allow ``s^2 n_test/n_train`` for it, far more than twins of the same seeds need. A study takes
rows to add as much by being trained on as they do by being tested (`PARTS`): that is enough for intervals to hold
planted effects as often as they should (docs/benchmarks/studies.md), which the latter alone is not. Of a factor that
does nothing both are 0, whatever the rows: its gain is as likely to have either sign on each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from popnet.types import Array

PARTS = 2
"""What rows add to the variance of a mean, in units of what they add as test rows: once more as training rows."""


@dataclass(frozen=True)
class RowOverlap:
    """Which rows pairs are compared on.

    Attributes:
        pairs: J, at least two.
        ends: ``(J,)``, tests up to the end of each pair.
        place: ``(T,)``, the row number of each test, pair after pair.
        counts: tests of each row number, 0 of rows that are not tested.
    """

    pairs: int
    ends: np.ndarray
    place: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Array]) -> RowOverlap:
        """Return what is to be known of the rows that each pair is compared on."""
        place = np.concatenate([np.asarray(r, np.int64) for r in rows])
        return cls(len(rows), np.cumsum([len(r) for r in rows]), place, np.bincount(place))

    @property
    def repeats(self) -> float:
        """R, how often a test's row is tested: 1 for one cross-validation, J where all pairs are compared on the same
        rows. Its mean is over tests, so that rows which are tested more often count as often."""
        return float((self.counts.astype(float) ** 2).sum() / len(self.place))

    @property
    def rows(self) -> float:
        """Distinct rows; fewer if some are tested more often than others (Kish 1965: the effective sample size)."""
        return len(self.place) / self.repeats

    @property
    def weight(self) -> float:
        """What a variance of 1 between rows adds to that of the pairs' mean, beyond ``s^2/J``.

        The mean over tests varies by ``1/rows``. Of that the spread of the pairs shows ``s^2/J`` a part already: all if
        ``R = 1``, nothing if all pairs have the same rows. What is left is ``(1 - 1/R) J/(J-1) / rows``.
        """
        return (1 - 1 / self.repeats) * self.pairs / (self.pairs - 1) / self.rows

    @property
    def overlap(self) -> float:
        """The most that shared rows can add to the variance of the mean, as a share of ``s^2``: ``(R-1)/(J-R)``.

        It is so much if the pairs differ by their rows alone, and serves what is no mean over rows. Of a repeated
        cross-validation it is ``(1 - 1/R) n_test/n_train``, the correction of Nadeau and Bengio (2003) for what is
        repeated.
        """
        more = self.repeats - 1
        return more / (self.pairs - self.repeats) if more > 0 else 0.0

    def parts(self, values: Array) -> list[np.ndarray]:
        """Return the values of each pair's tests, of ``(T,)``."""
        return np.split(np.asarray(values, float), self.ends[:-1])

    def within(self, values: Array) -> float:
        """Return the variance that a pair's mean has by its rows alone, the mean over the pairs.

        Args:
            values: ``(T,)``, a difference of each test.
        """
        parts = self.parts(values)
        return float(np.mean([p.var(ddof=1) / len(p) if len(p) > 1 else 0.0 for p in parts]))

    def row_mean_variance(self, values: Array) -> float:
        """Return the variance between the means of rows, which is no less than that of what rows have of their own.

        Args:
            values: ``(T,)``, a difference of each test.
        """
        tested = self.counts > 0
        means = np.bincount(self.place, np.asarray(values, float))[tested] / self.counts[tested]
        return float(means.var(ddof=1)) if len(means) > 1 else 0.0

    def row_variance(self, values: Array, doubt: float = 0.0) -> float:
        """Return the variance of what rows have of their own: how much a row's differences agree when tested again.

        It is the mean product of two tests of one row, about the mean of all. 0 if no row is tested twice, as nothing
        is known of it then.

        Args:
            values: ``(T,)``, a difference of each test.
            doubt: standard errors of the estimate that are taken off, for what is to be sure of.
        """
        every = np.asarray(values, float)
        centred = every - every.mean()
        sums, squares = (np.bincount(self.place, x) for x in (centred, centred**2))
        products = sums**2 - squares  # of all couples of tests of each row
        couples = self.counts * (self.counts - 1.0)
        if not couples.any():
            return 0.0
        found = products.sum() / couples.sum()
        error = np.sqrt(((products - found * couples) ** 2).sum()) / couples.sum()
        return max(0.0, float(found - doubt * error))

    def common(self, values: Array) -> float:
        """Return the most that tests of the same rows add to the variance of the mean.

        It counts what a test has of its own among the rows' too, and serves tests of nets that share no training rows.

        Args:
            values: ``(T,)``, a difference of each test.
        """
        return self.weight * self.row_mean_variance(values)

    def repeated_variance(self, values: Array) -> float:
        """Return what rows that are tested again, and trained on again, add to the variance of the mean.

        Args:
            values: ``(T,)``, a difference of each test.
        """
        return PARTS * self.weight * self.row_variance(values)
