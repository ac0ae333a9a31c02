"""Whatever a user brings, made ready: a table or images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from popnet.data.images.pictures import Pictures
from popnet.data.images.read import is_image_source
from popnet.data.tables.read import read_table
from popnet.errors import InputError
from popnet.options import Options
from popnet.prepare.images import prepare_images
from popnet.prepare.large import is_large, prepare_large
from popnet.prepare.prepared import Prepared
from popnet.prepare.table import prepare_table
from popnet.runtime.memory import Memory


def prepare_source(
    source: Any,
    target: str | Sequence[str] | None,
    options: Options,
    on_reading: Callable[[str, int, int], None] = lambda what, done, total: None,
    memory: Memory | None = None,
) -> Prepared:
    """Read, check, split and encode a table or images.

    Args:
        source: as `popnet.fitting.run.fit` takes it.
        target: column to predict, or several; None for images in class folders.
        options: of reading and splitting.
        on_reading: called with "images" or "rows" (of a large table), how many are read and how many there are.
        memory: the memory limit, which decides what a large table is; default that of the options.

    Raises:
        InputError: the data cannot be used, or a table comes without a target.
    """
    if not isinstance(source, Pictures) and not is_image_source(source):
        if target is None:
            columns = read_table(source).columns
            some = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
            raise InputError(f"which column is to be predicted? Give --target; there are {some}.")
        memory = memory or Memory(options.memory_limit)
        if is_large(source, memory):
            return prepare_large(source, target, options, memory, partial(on_reading, "rows"))
        return prepare_table(source, target, options)
    if target is not None and not isinstance(target, str):
        if len(target) > 1:
            raise InputError("images have one target; give --target once, or leave it out.")
        target = target[0]
    return prepare_images(source, target, options, partial(on_reading, "images"))
