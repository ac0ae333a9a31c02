"""The nets' parts are tested with JAX at its strictest: no silent promotion between types."""

from __future__ import annotations

import jax
import pytest


@pytest.fixture(autouse=True)
def _strict_types():
    with jax.numpy_dtype_promotion("strict"):
        yield
