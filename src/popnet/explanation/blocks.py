"""Where each column of a table lies among the encoded inputs, and inputs in which some columns are exchanged.

An encoder turns every cell into numbers without a look at the others of its row. So to give a row another row's value
of a column is to give it what that value is encoded to: nothing has to be encoded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from popnet.data.dataset import Features
from popnet.data.tables.encode import Encoder
from popnet.types import Array

PARTS = ("numeric", "flags", "codes")
"""The arrays of `Features`."""


@dataclass(frozen=True)
class Block:
    """What one column of a table fills.

    Attributes:
        name: of the column.
        kind: of its encoder's record: ``numeric``, ``discrete``, ``boolean``, ``categorical`` or ``datetime``.
        numeric, flags, codes: its columns of these arrays.
    """

    name: str
    kind: str
    numeric: slice
    flags: slice
    codes: slice


def blocks_of(encoder: Encoder) -> list[Block]:
    """Return the block of each column that an encoder reads, in its order."""
    found: list[Block] = []
    at = dict.fromkeys(PARTS, 0)
    for record in encoder.columns:
        slots = record.slots
        ends = {part: at[part] + len(getattr(slots, part)) for part in PARTS}
        found.append(
            Block(record.name, record.kind, *(slice(at[part], ends[part]) for part in PARTS))
        )
        at = ends
    return found


def exchanged(
    features: Features, blocks: Sequence[Block], donors: Features, rows: Array
) -> Features:
    """Return inputs of which some columns are those of other rows.

    Args:
        features: N rows.
        blocks: the columns.
        donors: rows of the same encoder.
        rows: ``(N,)``, which row of ``donors`` each row takes these columns from.
    """
    parts = {part: np.array(getattr(features, part)) for part in PARTS}
    for block in blocks:
        for part in PARTS:
            own: slice = getattr(block, part)
            parts[part][:, own] = getattr(donors, part)[rows, own]
    return replace(features, **parts)


def without(features: Features, blocks: Sequence[Block]) -> Features:
    """Return inputs of which some columns say nothing: numbers at their centre, flags 0, levels "other"."""
    parts = {part: np.array(getattr(features, part)) for part in PARTS}
    for block in blocks:
        for part in PARTS:
            parts[part][:, getattr(block, part)] = 0
    return replace(features, **parts)


def identities(features: Features, block: Block) -> np.ndarray:
    """Return numbers ``(N,)`` that are equal for rows with the same value of a column, 0, 1, ... without a gap."""
    cells = np.concatenate(
        [np.asarray(getattr(features, part)[:, getattr(block, part)], np.float64) for part in PARTS], 1
    )  # fmt: skip
    _, found = np.unique(cells, axis=0, return_inverse=True)
    return found.reshape(-1)


def ordered(features: Features, block: Block) -> np.ndarray | None:
    """Return numbers ``(N,)`` in the order of a column's values, missing ones below all; None for categories."""
    numeric, flags = features.numeric[:, block.numeric], features.flags[:, block.flags]
    if block.kind == "boolean":
        values = np.asarray(flags[:, 0], np.float64)
        return np.where(flags[:, -1] > 0, -1.0, values) if flags.shape[1] > 1 else values
    if not numeric.shape[1]:
        return None
    values = np.asarray(numeric[:, 0], np.float64)
    return np.where(flags[:, -1] > 0, values.min() - 1, values) if flags.shape[1] else values
