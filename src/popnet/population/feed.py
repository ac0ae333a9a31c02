"""Rows on their way into compiled programs: gathered by the host into blocks of a fixed size.

So no program depends on how many rows a table has.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from popnet.data.dataset import Dataset, Features, Images, StoredFeatures
from popnet.errors import InputError
from popnet.nn import embeddings
from popnet.nn.inputs import Columns, Inputs, Pixels
from popnet.nn.table_map import fill_raw, table_map
from popnet.population.epoch import Rows
from popnet.population.timetable import batch_counts
from popnet.runtime.compiled import empty
from popnet.runtime.typed_jax import on_host
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Shape

WHOLE_BYTES = 2**26
"""Raw columns of a whole table are put side by side once, where they are fewer bytes: rows are then gathered in one
pass."""

BLOCK_BYTES = 2**23
"""Aimed size of a block: a call then takes so long that its overhead does not count."""

MAX_BATCHES = 64
"""Batches of a block, at most."""

EVALUATED_ROWS = 512
"""Rows of one evaluation pass: their activations stay in a core's cache."""

EVALUATED_IMAGES = 64
"""Images of one evaluation pass."""

EVALUATED_BATCHES = 8
"""Passes of one call, at most."""

Waves = Literal["none", "values", "quantiles"]
"""What a net's periodic inputs are of: it has none, the columns' values, or their quantiles."""


def row_bytes(form: Form) -> int:
    """Return the bytes of one row in a block."""
    return math.prod(form.image) if form.image is not None else 4 * max(form.columns, 1)


def block_batches(form: Form) -> int:
    """Return how many batches a block of a form's rows has: a power of two."""
    batches = 1
    while batches < MAX_BATCHES and 2 * batches * form.batch_size * row_bytes(form) <= BLOCK_BYTES:
        batches *= 2
    return batches


def evaluated_rows(form: Form) -> int:
    """Return the rows of one evaluation pass."""
    return EVALUATED_ROWS if form.image is None else EVALUATED_IMAGES


class Feed:
    """The inputs of a data set as programs take them: gathers rows, and holds what does not change.

    Args:
        features: of all rows.
    """

    def __init__(self, features: Features | Images) -> None:
        self.features = features
        self._maps: dict[Any, Any] = {}
        self._wholes: dict[Any, np.ndarray] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, features: Features | Images) -> Feed:
        """Return the feed of some features, the same each time: what it has prepared is kept as long as they are."""
        return features.__dict__.setdefault("_feed", cls(features))

    def __reduce__(self) -> tuple[type[Feed], tuple[Features | Images]]:
        return Feed, (self.features,)  # what was prepared does not travel to other processes

    @cached_property
    def _quantiles(self) -> np.ndarray:
        assert isinstance(self.features, Features)
        assert self.features.knots is not None
        return embeddings.quantiles(self.features.numeric, self.features.knots)

    def shaped(self, shape: Shape, form: Form, recipe: Recipe, batches: tuple[int, ...]) -> Shaped:
        """Return where rows of a net are gathered into: blocks of ``(*batches, rows)``; one for each thread."""
        f = self.features
        if isinstance(f, Images):
            pixels = empty((*batches, *f.size), np.uint8)
            of_rows = Pixels(*map(on_host, (pixels, f.mean, f.std, f.background)))
            return Shaped(self, of_rows, "none", f.pixels)
        quantiles = recipe.embedding_quantiles and shape.frequencies > 0
        key = (shape, form, quantiles)
        with self._lock:
            if key not in self._maps:
                self._maps[key] = table_map(shape, form, f.knots, quantiles)
            waves = "quantiles" if quantiles else "values" if shape.frequencies else "none"
            whole = self._whole(waves, form.columns)
        raw = empty((*batches, form.columns), np.float32)
        raw[:] = 0
        return Shaped(self, Columns(on_host(raw), self._maps[key]), waves, whole)

    def fill(self, out: np.ndarray, waves: Waves, rows: np.ndarray | slice) -> None:
        """Write the raw columns of some rows of a table, see `fill_raw`; slices of what lies in a file cannot be."""
        f = self.features
        assert isinstance(f, Features)
        stored = isinstance(f, StoredFeatures)
        if stored:
            assert not isinstance(rows, slice)
            f, rows = f.take(rows), slice(None)
        periodic = None
        if waves == "values":
            periodic = f.numeric
        elif waves == "quantiles":
            assert f.knots is not None
            periodic = embeddings.quantiles(f.numeric, f.knots) if stored else self._quantiles
        fill_raw(out, f, periodic, rows)

    def _whole(self, waves: Waves, columns: int) -> np.ndarray | None:
        """Return the raw columns of all rows, ``(N, R)``; None if they take too much memory."""
        f, key = self.features, (waves, columns)
        if isinstance(f, StoredFeatures) or len(f) * columns * 4 > WHOLE_BYTES:
            return None
        if key not in self._wholes:
            whole = empty((len(f), columns), np.float32)
            whole[:] = 0
            self.fill(whole, waves, slice(None))
            self._wholes[key] = whole
        return self._wholes[key]


class Shaped(NamedTuple):
    """A thread's place for the inputs of some rows.

    Attributes:
        feed: whose rows.
        inputs: the block that is written and handed out.
        waves: what periodic inputs are of.
        whole: what the block has of all rows; None if that is gathered column by column.
    """

    feed: Feed
    inputs: Inputs
    waves: Waves
    whole: np.ndarray | None

    def take(self, index: np.ndarray) -> Inputs:
        """Return some rows, in the block; what was returned before is overwritten.

        Args:
            index: row numbers, of the shape of the block.
        """
        flat = index.reshape(-1)
        rows = np.asarray(self.inputs.rows)  # the block itself, not a copy
        if self.whole is not None:
            # (With the mode that checks places NumPy would write to another array first.)
            out = rows.reshape(len(flat), *self.whole.shape[1:])
            np.take(self.whole, flat, axis=0, out=out, mode="clip")
        else:
            self.feed.fill(rows.reshape(len(flat), -1), self.waves, flat)
        return self.inputs


class Arrays:
    """A run's data: training and validation rows and the folds.

    Args:
        train: rows to train on.
        valid: rows to validate on; the same object with cross-validation.
        folds: ``(train, valid)`` row numbers of each fold.
        epoch_rows: of an epoch at most: with more training rows it is a part of a pass over them, so that even a short
            training of very many rows is validated and has a whole schedule; None for a pass.

    Raises:
        InputError: a fold without rows, or with rows outside the data.
    """

    def __init__(
        self, train: Dataset, valid: Dataset, folds: Sequence[tuple[np.ndarray, np.ndarray]],
        epoch_rows: int | None = None,
    ) -> None:  # fmt: skip
        self.train, self.valid, self.folds, self.epoch_rows = train, valid, folds, epoch_rows
        for i, (train_rows, valid_rows) in enumerate(folds):
            if not len(train_rows) or not len(valid_rows):
                raise InputError(
                    f"fold {i} has {len(train_rows)} training and {len(valid_rows)} validation rows."
                )
            for name, index, data in (
                ("training", train_rows, train),
                ("validation", valid_rows, valid),
            ):
                if np.min(index) < 0 or np.max(index) >= len(data):
                    raise InputError(
                        f"fold {i}: its {name} rows reach outside the {len(data)} rows."
                    )
        self.train_feed, self.valid_feed = Feed.of(train.features), Feed.of(valid.features)

    def steps(self, fold: int, shape: Shape | Form) -> int:
        """Return the number of batches of an epoch."""
        rows = len(self.folds[fold][0])
        parts = math.ceil(rows / (self.epoch_rows or rows))
        return math.ceil(math.ceil(rows / parts) / shape.batch_size)

    def parts(self, fold: int, shape: Shape | Form) -> int:
        """Return the number of epochs that are a pass over the training rows."""
        room = self.steps(fold, shape) * shape.batch_size
        return -(-len(self.folds[fold][0]) // room)


def class_weight(data: Dataset, index: np.ndarray) -> np.ndarray:
    """Return ``(O,)`` float32: rows / (classes * rows of the class) over some rows; 1 for absent classes."""
    if data.task == "regression":
        return np.ones(data.n_outputs, np.float32)
    target = np.asarray(data.target)[index]
    counts = target.sum(0) if data.soft else np.bincount(target, minlength=data.n_outputs)
    present = np.where(counts > 0, counts, 1)
    return np.where(counts > 0, len(index) / (data.n_outputs * present), 1.0).astype(np.float32)


def row_weights(data: Dataset, fold: np.ndarray, class_balance: float) -> np.ndarray | None:
    """Return each row's weight in the loss of a fold, ``(N,)`` float32, before it is divided by a batch's rows; None
    for equal weights."""
    weights = None if data.weights is None else np.asarray(data.weights, np.float32)
    if class_balance and data.task == "classification":
        of_class = class_weight(data, fold) ** np.float32(class_balance)
        balance = data.target @ of_class if data.soft else of_class[data.target]
        return balance if weights is None else weights * balance
    return weights


class Cut(NamedTuple):
    """How the rows of an epoch are cut into batches of B places, some of them padding.

    Attributes:
        counts: ``(S,)``, rows of each batch.
        places: ``(S, B)``, of the rows in the epoch's order; padding repeats a batch's first row.
        shares: ``(S, B)`` float32, ``1 / count`` for rows, 0 for padding.
    """

    counts: np.ndarray
    places: np.ndarray
    shares: np.ndarray


@lru_cache(maxsize=16)  # members of a fold share it
def cut_of(n: int, steps: int, batch_size: int) -> Cut:
    """Return how n rows are cut into ``steps`` equal batches of at most ``batch_size``."""
    counts = batch_counts(n, steps)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(batch_size)
    real = place < counts[:, None]
    places = starts[:, None] + np.where(real, place, 0)
    return Cut(counts, places, (real / counts[:, None]).astype(np.float32))


def block_of(
    shaped: Shaped, data: Dataset, index: np.ndarray, shares: np.ndarray, weights: np.ndarray | None
) -> Rows:
    """Return batches to train on.

    Args:
        shaped: where inputs go.
        data: training rows.
        index: ``(T, B)`` row numbers.
        shares: ``(T, B)``, of `Cut`.
        weights: ``(N,)`` of `row_weights`, or None.
    """
    target = np.asarray(data.target)[index]
    weight = shares if weights is None else shares * weights[index]
    return Rows(shaped.take(index), *map(on_host, (target, shares, weight)))
