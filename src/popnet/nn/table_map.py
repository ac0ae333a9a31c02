"""How the raw columns of a table become the first layer's inputs, as arrays that a compiled program is given.

A program knows only how many inputs there are of each of three kinds, rounded up (`popnet.spec.shape.Form`), so that it
serves any table of about that size:

* *plain*: one column's value, how far it has passed through one bin (piecewise-linear, Gorishniy et al. 2022), or
  whether it is one level (one-hot). All are ``clip(rise * (x - low), minimum, maximum)``, or ``1 - |x - low|`` for
  levels;
* *waves*: a cosine of a column's value, or of its quantile, with learned frequency and phase;
* *vectors*: an element of the learned vector of a column's level.

Inputs beyond the table's own are zeros.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from popnet.data.dataset import Features
from popnet.nn import embeddings
from popnet.runtime import typed_jax
from popnet.spec import bins
from popnet.spec.shape import Form, Shape, embedding_size, split_levels
from popnet.types import Tree


class TableMap(NamedTuple):
    """Where each input comes from, ``(D,)`` each, D the number of inputs of its kind.

    Attributes:
        column: raw column of a plain input, int32.
        low: what is taken off it.
        rise: what the rest is multiplied by; 0 for one-hot levels.
        minimum, maximum: bounds of the product.
        wave: raw column of a periodic input, int32.
        vector: raw column whose level chooses a learned vector, int32.
        start, stride: the element taken is ``start + stride * level`` of all learned vectors, int32.
        noisy: ``(R,)`` float32, 1 for raw columns that input noise is added to.
    """

    column: Array
    low: Array
    rise: Array
    minimum: Array
    maximum: Array
    wave: Array
    vector: Array
    start: Array
    stride: Array
    noisy: Array


def raw_columns(shape: Shape) -> int:
    """Return the number of a table's raw columns: numbers, their quantiles if some are periodic, flags, codes."""
    numbers = shape.n_numeric * (2 if shape.frequencies else 1)
    return numbers + shape.n_flags + len(shape.levels)


def fill_raw(
    out: np.ndarray, features: Features, quantiles: np.ndarray | None, rows: np.ndarray | slice
) -> None:
    """Write the raw columns of some rows.

    Args:
        out: ``(N, R)`` float32, R at least `raw_columns`; columns beyond those stay as they are.
        features: of the table.
        quantiles: ``(all rows, F)`` float32, of `embeddings.quantiles`, or the numbers themselves; None for a net
            without periodic inputs.
        rows: ``(N,)`` row numbers, or a slice.
    """
    place = 0
    for part in (features.numeric, quantiles, features.flags, features.codes):
        if part is not None and part.shape[1]:
            out[:, place : place + part.shape[1]] = part[rows]
            place += part.shape[1]


def table_map(shape: Shape, form: Form, knots: np.ndarray | None, quantiles: bool) -> TableMap:
    """Return the map of a shape's inputs, padded to a form.

    Args:
        shape: of the net.
        form: of its program.
        knots: ``(F, K)``, ascending values of each continuous column; needed with bins.
        quantiles: whether periodic inputs are of the columns' quantiles.
    """
    numbers = np.arange(shape.n_numeric)
    flags = raw_columns(shape) - len(shape.levels) - shape.n_flags
    codes = flags + shape.n_flags
    one_hot, learned = split_levels(shape.levels)
    infinite = np.float32(np.inf)
    plain = [(int(c), 0.0, 1.0, -infinite, infinite) for c in numbers]
    for f, bound in enumerate(shape.bounds):
        assert knots is not None
        ends = np.asarray(knots, np.float32)[f][list(bound)]
        plain += [(f, float(a), float(1 / (b - a)), 0.0, 1.0) for a, b in pairwise(ends)]
    plain += [(flags + c, 0.0, 1.0, -infinite, infinite) for c in range(shape.n_flags)]
    plain += [(codes + c, float(k), 0.0, 0.0, 1.0) for c in one_hot for k in range(shape.levels[c])]
    column, low, rise, minimum, maximum = np.array(plain, np.float64).reshape(-1, 5).T
    wave = np.repeat(numbers + (shape.n_numeric if quantiles else 0), shape.frequencies)
    vector: list[int] = []
    start: list[int] = []
    stride: list[int] = []
    begun = 0
    for c in learned:
        size = embedding_size(shape.levels[c])
        vector += [codes + c] * size
        start += range(begun, begun + size)
        stride += [size] * size
        begun += size * shape.levels[c]

    def padded(values: Any, size: int, dtype: npt.DTypeLike = np.int32, other: int = 0) -> Any:
        out = np.full(size, other, dtype)
        out[: len(values)] = values
        return out

    return TableMap(
        column=padded(column, form.plain),
        low=padded(low, form.plain, np.float32),
        rise=padded(rise, form.plain, np.float32),
        minimum=padded(
            minimum, form.plain, np.float32
        ),  # a padded input's bounds are 0, and so is the input
        maximum=padded(maximum, form.plain, np.float32),
        wave=padded(wave, form.waves),
        vector=padded(np.array(vector), form.vectors),
        start=padded(np.array(start), form.vectors, other=form.entries - 1),
        stride=padded(np.array(stride), form.vectors),
        noisy=padded(np.arange(form.columns) < flags, form.columns, np.float32),
    )


def inputs(parameters: Tree, x: Array, m: TableMap) -> Array:
    """Return the first layer's inputs ``(N, D)`` of raw columns ``(N, R)``: plain ones, waves, vectors."""
    # Columns are picked as rows of the transposed array: whole stretches of memory instead of single numbers, which
    # takes a fifth off the step of a wide table. Raw columns are data: no gradient goes back into them.
    columns = typed_jax.optimization_barrier(jax.lax.stop_gradient(x).T)
    parts: list[Array] = []
    if m.column.shape[0]:
        low, rise, minimum, maximum = (v[:, None] for v in (m.low, m.rise, m.minimum, m.maximum))
        off = _picked(columns, m.column) - low
        # (A padded input's rise is 0, too; its bounds are 0.)
        parts.append(jnp.clip(jnp.where(rise == 0, 1 - jnp.abs(off), off * rise), minimum, maximum))
    if m.wave.shape[0]:
        frequency, phase = (parameters["periodic"][k][:, None] for k in ("frequency", "phase"))
        parts.append(embeddings.periodic(_picked(columns, m.wave), frequency, phase))
    if m.vector.shape[0]:
        level = _picked(columns, m.vector).astype(jnp.int32)
        place = m.start[:, None] + m.stride[:, None] * level
        parts.append(parameters["vectors"].at[place].get(mode="promise_in_bounds"))
    return (jnp.concatenate(parts) if len(parts) > 1 else parts[0]).T


def _picked(columns: Array, which: Array) -> Array:
    """Return some columns ``(D, N)`` of all ``(R, N)``."""
    # (Indexing as NumPy does would first look for negative places.)
    dimensions = jax.lax.GatherDimensionNumbers(
        offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,)
    )
    return jax.lax.gather(
        columns, which[:, None], dimensions, slice_sizes=(1, columns.shape[1]),
        mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )  # fmt: skip


def places(shape: Shape, form: Form) -> np.ndarray:
    """Return where each input of a shape's own weights stands among a form's inputs, ``(D,)``.

    Own weights (and so saved models) have numbers first, then waves, bins, flags, one-hot levels and vectors.
    """
    waves = shape.n_numeric * shape.frequencies
    one_hot, learned = split_levels(shape.levels)
    rest = bins.count(shape.bounds) + shape.n_flags + sum(shape.levels[c] for c in one_hot)
    vectors = sum(embedding_size(shape.levels[c]) for c in learned)
    plain = np.arange(shape.n_numeric + rest)
    return np.concatenate([
        plain[: shape.n_numeric],
        form.plain + np.arange(waves),
        plain[shape.n_numeric :],
        form.plain + form.waves + np.arange(vectors),
    ])  # fmt: skip
