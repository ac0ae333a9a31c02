"""Images that the tests of augmentation share."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def images() -> np.ndarray:
    """Six colour images, higher than wide, that are no mirror images of themselves."""
    return np.random.default_rng(5).integers(0, 256, (6, 13, 10, 3), dtype=np.uint8)
