"""What nets take: the columns of a table, or images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import jax.numpy as jnp

from popnet.types import Array


class Columns(NamedTuple):
    """Rows of a table: ``(N, F)`` float32, ``(N, G)`` uint8, ``(N, C)`` int32; and the knots of bins, ``(F, K)``."""

    numeric: Array
    flags: Array
    codes: Array
    knots: Array

    def map_rows(self, function: Callable[[Array], Array]) -> Self:
        """Return what a function makes of each array of rows."""
        numeric, flags, codes = map(function, (self.numeric, self.flags, self.codes))
        return self._replace(numeric=numeric, flags=flags, codes=codes)

    def take(self, index: Array) -> Self:
        """Return the rows of an index set, which must lie inside the data."""
        return self.map_rows(lambda x: x.at[index].get(mode="promise_in_bounds"))


class Pixels(NamedTuple):
    """Images: ``pixels`` ``(N, H, W, C)`` uint8; what `popnet.dataset.Images` says of mean, std and background."""

    pixels: Array
    mean: Array
    std: Array
    background: Array

    def map_rows(self, function: Callable[[Array], Array]) -> Self:
        """Return what a function makes of the images."""
        return self._replace(pixels=function(self.pixels))

    def take(self, index: Array) -> Self:
        """Return the images of an index set, which must lie inside the data."""
        return self.map_rows(lambda x: x.at[index].get(mode="promise_in_bounds"))

    def standardised(self, values: Array | None = None) -> Array:
        """Return images (or ``values``, changed ones in units of the pixels) as nets take them, float32."""
        values = self.pixels if values is None else values
        assert values is not None
        return (values.astype(jnp.float32) - self.mean) * (1 / self.std)


Inputs = Columns | Pixels
