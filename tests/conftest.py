"""What all tests share: where compiled programs are kept, and how strict JAX is."""

from __future__ import annotations

import os
from pathlib import Path

# Set before JAX or popnet start. Compiled programs are kept beside the sources for the next run.
os.environ.setdefault("POPNET_CACHE", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PLATFORMS", "cpu")
