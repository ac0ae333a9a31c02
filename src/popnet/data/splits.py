"""Which rows train and which are held out: index arrays only, int32, ascending.

``stratify``, ``groups`` and ``time`` are arrays over all rows of the table. All splits are
determined by their seed.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from popnet.errors import InputError
from popnet.runtime import keys

VALID_SHARE = 0.2
"""Share of rows that is held out when one fold is asked for."""


class Fold(NamedTuple):
    """Row numbers to train on and row numbers held out.

    Attributes:
        train: ``(n,)`` int32, ascending.
        valid: ``(m,)`` int32, ascending.
    """

    train: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class SplitKeys:
    """What decides which rows may be parted, of all rows of a table.

    Attributes:
        stratify: ``(N,)`` classes, each of which has its share in every part; None for none.
        groups: ``(N,)``: no group is on both sides of a split; None for none.
        time: ``(N,)`` numbers: the latest rows are held out; None for no order.
    """

    stratify: np.ndarray | None = None
    groups: np.ndarray | None = None
    time: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> SplitKeys:
        """Return the keys of some rows."""
        return SplitKeys(*(None if v is None else v[rows] for v in self._values()))

    def holdout(self, n: int, fraction: float, seed: int) -> Fold:
        """Return a part of n rows and the rest; see `holdout`."""
        stratify, groups, time = self._values()
        return holdout(n, fraction, seed, stratify=stratify, groups=groups, time=time)

    def folds(self, rows: np.ndarray, k: int, seed: int) -> list[Fold]:
        """Return k folds of rows; see `folds`."""
        stratify, groups, time = self._values()
        return folds(rows, k, seed, stratify=stratify, groups=groups, time=time)

    def max_folds(self, rows: np.ndarray) -> int:
        """Return the most folds of rows that there can be; see `max_folds`."""
        return max_folds(rows, self.groups, self.time)

    def _values(self) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        return self.stratify, self.groups, self.time


def holdout(
    n: int,
    fraction: float,
    seed: int,
    *,
    stratify: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    time: np.ndarray | None = None,
) -> Fold:
    """Hold out a part of the rows 0..n-1.

    Args:
        n: number of rows, at least 2.
        fraction: share to hold out, in (0, 1); at least one row is held out and one is left.
        seed: determines the choice; without meaning for ``time``.
        stratify: ``(n,)`` classes: each has its share in both parts, to one row; a class of two
            rows or more keeps one to train on if ``fraction`` is 0.5 or less.
        groups: ``(n,)``: no group is in both parts; the share is met as nearly as whole groups
            allow. classes have their shares as nearly, too.
        time: ``(n,)`` numbers: the latest rows are held out; rows of one time stay together.

    Raises:
        InputError: too few rows, groups or times to split, ``fraction`` out of range, or both
            groups and time.
    """
    rng = keys.generator(seed, "holdout")
    return _split(np.arange(n), fraction, rng, stratify, groups, time)


def capped(fold: Fold, most: int, seed: int, *, back: bool = True) -> Fold:
    """Return a fold that holds out at most so many rows: more would cost time each epoch and say nothing new.

    Args:
        fold: to cap.
        most: rows held out.
        seed: determines which stay.
        back: whether what is over goes back to training; groups and times would be torn by that.
    """
    rows, valid = fold
    if len(valid) <= most:
        return fold
    picked = keys.generator(seed, "validation").permutation(len(valid))
    if back:
        rows = np.sort(np.concatenate([rows, valid[picked[most:]]]))
    return Fold(rows, np.sort(valid[picked[:most]]))


def folds(
    rows: np.ndarray,
    k: int,
    seed: int,
    *,
    stratify: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    time: np.ndarray | None = None,
) -> list[Fold]:
    """Make K folds of the given rows.

    The held-out parts are a partition of ``rows``, equal in size to one row (with ``groups``: as
    nearly as whole groups allow). With ``time`` the window expands instead: rows are cut into
    k + 1 blocks by time, fold i trains on blocks 0..i and holds out block i + 1.

    Args:
        rows: row numbers.
        k: number of folds; 1 gives one fold that holds out 20 %.
        seed: determines the choice.
        stratify: classes of all rows of the table; each class is spread over the folds as evenly
            as whole rows allow, also one with fewer rows than folds.
        groups: groups of all rows; no group is on both sides of a fold.
        time: times of all rows.

    Raises:
        InputError: fewer rows, groups or distinct times than folds; or both groups and time.
    """
    rows = np.asarray(rows)
    if k < 1:
        raise InputError(f"the number of folds must be at least 1, got {k}.")
    if len(rows) < max(k, 2):
        raise InputError(
            f"{len(rows)} rows cannot be split into {k} folds; give more rows or ask for fewer "
            "folds."
        )
    check_one_order(groups, time)
    rng = keys.generator(seed, "folds")
    if k == 1:
        return [_split(rows, VALID_SHARE, rng, stratify, groups, time)]
    if time is not None:
        return _expanding(rows, np.asarray(time)[rows], k)
    if groups is not None:
        classes = None if stratify is None else np.asarray(stratify)[rows]
        part = _deal_groups(np.asarray(groups)[rows], k, rng, classes)
    else:
        part = np.empty(len(rows), np.int64)
        part[_order(rows, stratify, rng)] = np.arange(len(rows)) % k
    return [_fold(rows, part == i) for i in range(k)]


def max_folds(
    rows: np.ndarray, groups: np.ndarray | None = None, time: np.ndarray | None = None
) -> int:
    """Return the largest number of folds that `folds` can make of the given rows, at least 1.

    Args:
        rows: row numbers.
        groups: groups of all rows of the table: no more folds than groups.
        time: times of all rows: one fold fewer than distinct times, as the first only trains.

    Raises:
        InputError: both groups and time.
    """
    rows = np.asarray(rows)
    check_one_order(groups, time)
    if groups is not None:
        most = len(np.unique(np.asarray(groups)[rows]))
    elif time is not None:
        most = len(np.unique(np.asarray(time)[rows])) - 1
    else:
        most = len(rows)
    # Not 0: one fold of rows that cannot be split is refused by `folds`, with the reason.
    return max(most, 1)


def _fold(rows: np.ndarray, held: np.ndarray) -> Fold:
    train, valid = np.sort(rows[~held]), np.sort(rows[held])
    return Fold(train.astype(np.int32), valid.astype(np.int32))


def check_one_order(groups: object, time: object) -> None:
    """Refuse to split by groups and by time at once."""
    if groups is not None and time is not None:
        raise InputError("rows cannot be split by group and by time at once; give one of them.")


def _split(
    rows: np.ndarray,
    fraction: float,
    rng: np.random.Generator,
    stratify: np.ndarray | None,
    groups: np.ndarray | None,
    time: np.ndarray | None,
) -> Fold:
    n = len(rows)
    if not 0 < fraction < 1:
        raise InputError(f"the share to hold out must lie between 0 and 1, got {fraction}.")
    if n < 2:
        raise InputError(f"{n} rows cannot be split in two; give more rows.")
    check_one_order(groups, time)
    if time is not None:
        return _latest(rows, np.asarray(time)[rows], fraction)
    held = np.zeros(n, bool)
    if groups is not None:
        classes = None if stratify is None else np.asarray(stratify)[rows]
        held = _some_groups(np.asarray(groups)[rows], fraction, rng, classes)
    else:
        # Every 1/fraction-th row of the order: with rows of a class side by side each class has its
        # share to one row. The random start keeps the first class from being favoured.
        steps = np.floor((np.arange(n + 1)) * fraction + rng.random())
        held[_order(rows, stratify, rng)] = np.diff(steps) > 0
        if not held.any() or held.all():
            held[rng.integers(n)] ^= True
    return _fold(rows, held)


def _order(rows: np.ndarray, stratify: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Return positions in random order; rows of one class side by side if ``stratify`` is given."""
    order = rng.permutation(len(rows))
    if stratify is None:
        return order
    classes = np.asarray(stratify)[rows]
    return order[np.argsort(classes[order], kind="stable")]


def _some_groups(
    groups: np.ndarray, fraction: float, rng: np.random.Generator, classes: np.ndarray | None
) -> np.ndarray:
    """Return ``(n,)`` bool: groups in random order until their rows, and those of each class, are nearest to the share.

    Args:
        groups: of each row.
        fraction: the share.
        rng: makes the order.
        classes: of each row; None: only the number of rows counts.
    """
    number, sizes = _count_groups(groups)
    if len(sizes) < 2:
        raise InputError("all rows are of one group, so none can be held out; give more groups.")
    order = rng.permutation(len(sizes))
    chosen = np.zeros(len(sizes), bool)
    if classes is None:
        total = np.cumsum(sizes[order])[:-1]
        cut = int(np.argmin(np.abs(total - fraction * len(groups)))) + 1
        chosen[order[:cut]] = True
        return chosen[number]
    shares = _class_shares(number, classes)
    missing = np.full(shares.shape[1], float(fraction))
    for group in order:
        # Taken if that brings the classes' held-out shares nearer to what they should be.
        if np.square(missing - shares[group]).sum() < np.square(missing).sum():
            missing -= shares[group]
            chosen[group] = True
    if not chosen.any():
        chosen[order[int(np.argmin(sizes[order]))]] = True
    if chosen.all():
        chosen[order[-1]] = False
    return chosen[number]


def _deal_groups(
    groups: np.ndarray, k: int, rng: np.random.Generator, classes: np.ndarray | None
) -> np.ndarray:
    """Return ``(n,)`` part numbers: the largest groups first, each to the part that has least of what it brings.

    Without classes that is the smallest part so far; with them the part with the smallest shares of the group's
    classes, much as `sklearn.model_selection.StratifiedGroupKFold` does.
    """
    number, sizes = _count_groups(groups)
    if len(sizes) < k:
        raise InputError(
            f"{len(sizes)} groups cannot be split into {k} folds; give more groups or ask for "
            "fewer folds."
        )
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    part = np.empty(len(sizes), np.int64)
    if classes is not None:
        shares = _class_shares(number, classes)
        held, rows = np.zeros((k, shares.shape[1])), np.zeros(k)
        for place, group in enumerate(order):
            # The first groups open the parts, so that none stays empty; of equal parts the one with fewer rows.
            cost = held @ shares[group] if place >= k else np.where(rows > 0, np.inf, 0.0)
            i = int(np.lexsort((rows, cost))[0])
            part[group] = i
            held[i] += shares[group]
            rows[i] += sizes[group]
        return part[number]
    heap = [(0, i) for i in range(k)]
    for group in order:
        size, i = heapq.heappop(heap)
        part[group] = i
        heapq.heappush(heap, (size + int(sizes[group]), i))
    return part[number]


def _class_shares(number: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return which share of each class's rows each group has, ``(groups, classes)``."""
    _, of_class = np.unique(classes, return_inverse=True)
    counts = np.zeros((number.max() + 1, of_class.max() + 1))
    np.add.at(counts, (number, of_class), 1)
    return counts / counts.sum(0)


def _count_groups(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the group number of each row, and the groups' sizes."""
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return number, sizes


def _cuts(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Move cuts of ascending times to the nearest change, so that equal times stay together."""
    left = np.searchsorted(times, times[wanted], side="left")
    right = np.searchsorted(times, times[wanted], side="right")
    back = (wanted - left <= right - wanted) & (left > 0)
    return np.where(back | (right == len(times)), left, right)


def _latest(rows: np.ndarray, times: np.ndarray, fraction: float) -> Fold:
    order = _by_time(times)
    n = len(rows)
    wanted = n - min(max(round(fraction * n), 1), n - 1)
    cut = int(_cuts(times[order], np.array([wanted]))[0])
    if not 0 < cut < n:
        raise InputError("all rows have the same time, so none are the latest; give other times.")
    held = np.zeros(n, bool)
    held[order[cut:]] = True
    return _fold(rows, held)


def _expanding(rows: np.ndarray, times: np.ndarray, k: int) -> list[Fold]:
    order = _by_time(times)
    n = len(rows)
    distinct = len(np.unique(times))
    if distinct < k + 1:
        raise InputError(
            f"{n} rows with {distinct} distinct times cannot be cut into {k} folds by time; ask "
            "for fewer folds."
        )
    times = times[order]
    changes = np.flatnonzero(times[1:] != times[:-1]) + 1
    cuts = _cuts(times, np.arange(1, k + 1) * n // (k + 1))
    # Cuts moved onto one change part again: each is after the one before, and leaves changes for
    # those that follow.
    place, step = np.searchsorted(changes, cuts), np.arange(k)
    place = np.maximum.accumulate(place - step) + step
    cuts = changes[np.minimum(place, len(changes) - k + step)]
    ends = [*cuts[1:], n]
    result: list[Fold] = []
    for cut, end in zip(cuts, ends, strict=True):
        train, valid = np.sort(rows[order[:cut]]), np.sort(rows[order[cut:end]])
        result.append(Fold(train.astype(np.int32), valid.astype(np.int32)))
    return result


def latest(times: np.ndarray, tested: int, validated: int) -> tuple[np.ndarray, np.ndarray]:
    """Hold out the latest rows, and validate on those before them, without sorting all of very many rows.

    Args:
        times: ``(N,)`` float64, without NaN.
        tested: about how many rows to hold out; rows of one time stay together.
        validated: the same of rows to validate on.

    Returns:
        Numbers of the rows held out and of those to validate on, ascending.

    Raises:
        InputError: too many rows have the same time.
    """
    n = len(times)
    first, second = max(n - tested - validated, 1), max(n - tested, 1)
    found = np.partition(times, [first - 1, second - 1])
    begin, end = found[first - 1], found[second - 1] if tested else np.inf
    valid = np.flatnonzero((times > begin) & (times <= end))
    test = np.flatnonzero(times > end)
    if not len(valid) or (tested and not len(test)):
        raise InputError(
            "too many rows have the same time, so none are the latest; give other times."
        )
    return test, valid


def _by_time(times: np.ndarray) -> np.ndarray:
    if times.dtype.kind == "f" and np.isnan(times).any():
        row = int(np.argmax(np.isnan(times)))
        raise InputError(f"row {row + 1} has no time; fill it or drop the row.")
    return np.argsort(times, kind="stable")
