"""Exported files in onnxruntime; nothing else is imported, so that they can be used without what wrote them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from popnet.errors import InputError

ROWS = 1000
"""Rows that are predicted at once: of an ensemble of 40 nets of 256 units they take 200 MB."""

PIXELS = 2**18
"""Values of images that are predicted at once: a layer of 64 channels of two views takes 134 MB."""


def need(library: str) -> None:
    """Raise an InputError, with what to do, if a library of the extra is not installed."""
    if find_spec(library) is None:
        raise InputError(
            f"An ONNX file needs {library}, which is not installed; pip install 'popnet[export]'."
        )


def session(source: str | Path | bytes, threads: int = 0) -> Any:
    """Return an onnxruntime session of a file, or of its content, on the CPU.

    Args:
        source: the file.
        threads: most of them; 0 leaves it to onnxruntime.
    """
    need("onnxruntime")
    library: Any = import_module("onnxruntime")
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    content = source if isinstance(source, bytes) else str(source)
    return library.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(source: Any, inputs: dict[str, np.ndarray], outputs: list[str]) -> dict[str, np.ndarray]:
    """Return a session's outputs for N rows, block by block.

    Args:
        source: from `session`.
        inputs: ``(N, 1)`` each, as `popnet.export.inputs.as_inputs` gives them, or images ``(N, H, W, C)``.
        outputs: names.
    """
    first = next(iter(inputs.values()))
    rows = ROWS if first.ndim == 2 else max(1, min(ROWS, PIXELS // first[0].size))
    blocks = [
        source.run(outputs, {k: v[start : start + rows] for k, v in inputs.items()})
        for start in range(0, max(len(first), 1), rows)
    ]
    return {
        name: np.concatenate(parts)
        for name, parts in zip(outputs, zip(*blocks, strict=True), strict=True)
    }
