"""What programs take as inputs: raw columns of a table, or images."""

from __future__ import annotations

from typing import NamedTuple, Self

import jax.numpy as jnp
from jax import Array

from popnet.nn.table_map import TableMap


class Columns(NamedTuple):
    """Rows of a table: raw columns ``(N, R)`` float32, and how they become inputs of the first layer."""

    raw: Array
    map: TableMap

    @property
    def rows(self) -> Array:
        """Return the raw columns, ``(N, R)``."""
        return self.raw

    def with_rows(self, rows: Array) -> Self:
        """Return other rows of the same table."""
        return self._replace(raw=rows)


class Pixels(NamedTuple):
    """Images: ``pixels`` ``(N, H, W, C)`` uint8; what `popnet.data.dataset.Images` says of mean, std and background."""

    pixels: Array
    mean: Array
    std: Array
    background: Array

    @property
    def rows(self) -> Array:
        """Return the images, ``(N, H, W, C)``."""
        return self.pixels

    def with_rows(self, rows: Array) -> Self:
        """Return other images of the same data set."""
        return self._replace(pixels=rows)

    def standardised(self, values: Array | None = None) -> Array:
        """Return images (or ``values``, changed ones in units of the pixels) as nets take them, float32."""
        values = self.pixels if values is None else values
        assert values is not None
        return (values.astype(jnp.float32) - self.mean) * (1 / self.std)


Inputs = Columns | Pixels
