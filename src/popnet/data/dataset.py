"""The arrays that a population trains on: what is left of a table once it is encoded.

Knows nothing of files, columns' names or frames; made by ``data/tables/encode.py`` or by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from popnet.data.row_file import RowFile
from popnet.errors import InputError
from popnet.types import Array, Task


@dataclass(frozen=True)
class Features:
    """The inputs of N rows, by the way a net takes them.

    Attributes:
        numeric: ``(N, F)`` float32, continuous columns, centred and scaled; these may be embedded.
        flags: ``(N, G)`` uint8, columns of 0 and 1 (booleans, missing indicators), taken as they are.
        codes: ``(N, C)`` int32, levels of categorical columns, each in ``[0, levels[c])``; code 0 is
            "other": a level that is rare, or that training did not see.
        levels: number of levels of each coded column.
        knots: ``(F, K)`` float32, ascending values of each continuous column in the training rows, quantiles for
            example, between which piecewise-linear embeddings have their bins; a row of equal numbers for a column
            that is not embedded. None: nothing is known.
    """

    numeric: Array
    flags: Array
    codes: Array
    levels: tuple[int, ...] = ()
    knots: Array | None = None

    def __post_init__(self) -> None:
        rows = {self.numeric.shape[0], self.flags.shape[0], self.codes.shape[0]}
        if len(rows) != 1:
            raise InputError(f"numeric, flags and codes have different numbers of rows: {rows}.")
        if self.codes.shape[1] != len(self.levels):
            raise InputError(
                f"codes has {self.codes.shape[1]} columns but levels names {len(self.levels)}."
            )
        if self.knots is not None and len(self.knots) != self.numeric.shape[1]:
            raise InputError(
                f"knots are of {len(self.knots)} columns but numeric has {self.numeric.shape[1]}."
            )

    def __len__(self) -> int:
        return int(self.numeric.shape[0])

    def take(self, rows: Array) -> Features:
        """Return some rows."""
        return replace(
            self, numeric=self.numeric[rows], flags=self.flags[rows], codes=self.codes[rows]
        )

    @classmethod
    def from_numeric(cls, X: Array) -> Features:
        """Wrap a plain ``(N, F)`` array of numbers; no scaling is done, and no quantiles are taken."""
        X = np.ascontiguousarray(X, dtype=np.float32)
        n = X.shape[0]
        return cls(X, np.zeros((n, 0), np.uint8), np.zeros((n, 0), np.int32))


class StoredFeatures(Features):
    """The inputs of very many rows, which lie in a file: only `take` gives them; ``numeric`` and the others are empty.

    Args:
        file: of `stored_type`.
        levels: number of levels of each coded column.
        knots: see `Features`.
    """

    _file: RowFile

    def __init__(self, file: RowFile, levels: tuple[int, ...], knots: Array | None) -> None:
        nothing = np.empty(0, file.dtype)
        super().__init__(nothing["numeric"], nothing["flags"], nothing["codes"], levels, knots)
        object.__setattr__(self, "_file", file)

    def __len__(self) -> int:
        return len(self._file)

    def take(self, rows: Array) -> Features:
        """Return some rows, in memory."""
        found = self._file.read(rows)
        numeric, flags, codes = (
            np.ascontiguousarray(found[part]) for part in ("numeric", "flags", "codes")
        )
        return Features(numeric, flags, codes, self.levels, self.knots)

    def digest(self) -> bytes:
        """Return what tells these rows from others."""
        return self._file.digest()

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process gets all rows: it may be on another machine.
        whole = self.take(np.arange(len(self)))
        return Features, (whole.numeric, whole.flags, whole.codes, self.levels, self.knots)


def stored_type(numeric: int, flags: int, codes: int) -> np.dtype:
    """Return the type of a row of so many columns in the file of `StoredFeatures`."""
    fields = [
        ("numeric", np.float32, numeric),
        ("codes", np.int32, codes),
        ("flags", np.uint8, flags),
    ]
    return np.dtype([(name, kind, (count,)) for name, kind, count in fields])


@dataclass(frozen=True)
class Images:
    """The inputs of N rows that are images.

    Attributes:
        pixels: ``(N, H, W, C)`` uint8, C 1 (grey) or 3 (red, green, blue).
        mean: ``(C,)`` float32, what nets take off each channel, in units of the pixels.
        std: ``(C,)`` float32, what nets divide each channel by.
        background: ``(C,)`` float32, the colour beyond an image's border, in units of the pixels.
    """

    pixels: Array
    mean: Array
    std: Array
    background: Array

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.dtype != np.uint8:
            raise InputError(
                f"images must be (N, height, width, channels) of uint8; got "
                f"{self.pixels.shape} of {self.pixels.dtype}."
            )

    def __len__(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return tuple(map(int, self.pixels.shape[1:]))  # pyright: ignore[reportReturnType]

    def take(self, rows: Array) -> Images:
        """Return some rows."""
        return replace(self, pixels=self.pixels[rows])

    @classmethod
    def measured(cls, pixels: Array, rows: Array | None = None) -> Images:
        """Wrap pixels ``(N, H, W, C)`` uint8, with mean, deviation and background of some rows (default all)."""
        pixels = np.asarray(pixels)
        some = pixels if rows is None else pixels[rows]
        values = np.arange(256.0)
        channels = range(pixels.shape[3] if pixels.ndim == 4 else 0)
        counts = np.stack([np.bincount(some[..., c].ravel(), minlength=256) for c in channels])
        mean = counts @ values / counts.sum(1)
        var = counts @ values**2 / counts.sum(1) - mean**2
        return cls(
            pixels,
            mean.astype(np.float32),
            np.sqrt(np.maximum(var, 1.0)).astype(np.float32),
            border_colour(some),
        )


def border_colour(images: Array) -> np.ndarray:
    """Return the median colour of the outer lines of images ``(N, H, W, C)``, ``(C,)`` float32."""
    lines = [images[:, [0, -1]], images[:, :, [0, -1]]]
    border = np.concatenate([line.reshape(-1, images.shape[3]) for line in lines])
    return np.median(border, axis=0).astype(np.float32)


@dataclass(frozen=True)
class Dataset:
    """Inputs, targets and row weights.

    Attributes:
        features: inputs of N rows.
        target: ``(N,)`` int32 class numbers in ``[0, n_outputs)``; or ``(N, O)`` float32: probabilities of the classes
            (soft targets), or the targets of a regression, which should have mean 0 and standard deviation near 1.
        task: ``"classification"`` or ``"regression"``: which loss is trained.
        n_outputs: O, number of classes or of targets.
        weights: ``(N,)`` float32 row weights with mean 1, or None for equal weights.
    """

    features: Features | Images
    target: Array
    task: Literal["classification", "regression"]
    n_outputs: int
    weights: Array | None = field(default=None)

    def __post_init__(self) -> None:
        if self.target.shape[0] != len(self.features):
            raise InputError(
                f"the target has {self.target.shape[0]} rows, the inputs {len(self.features)}."
            )

    def __len__(self) -> int:
        return len(self.features)

    @property
    def soft(self) -> bool:
        """Whether the target is probabilities of classes."""
        return self.task == "classification" and self.target.ndim == 2

    @classmethod
    def from_arrays(
        cls,
        X: Array,
        y: Array,
        task: Task | Literal["classification"],
        weights: Array | None = None,
    ) -> Dataset:
        """Make a data set of plain arrays: ``X`` ``(N, F)`` numbers, ``y`` classes 0..O-1 or targets."""
        features = Features.from_numeric(X)
        if task == "regression":
            y = np.asarray(y, np.float32)
            y = y[:, None] if y.ndim == 1 else y
            return cls(features, y, "regression", y.shape[1], weights)
        y = np.asarray(y, np.int32)
        return cls(features, y, "classification", max(int(y.max()) + 1, 2), weights)
