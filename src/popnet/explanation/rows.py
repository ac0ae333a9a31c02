"""Which rows are explained, as a person writes them: ``0:10``, ``3``, ``3,17,100:120``."""

from __future__ import annotations

import re

import numpy as np

from popnet.errors import InputError

_PART = re.compile(r"(-?\d+)|(-?\d+)?:(-?\d+)?")


def chosen(text: str, count: int) -> np.ndarray:
    """Return the numbers of the rows that are meant, in the order in which they are named, each once.

    Args:
        text: numbers, counted from 0, and slices as Python has them; negative ones count from the end.
        count: of rows that there are.

    Raises:
        InputError: it is no such text, a number is beyond the table, or no row is meant.
    """
    found: list[int] = []
    for part in text.split(","):
        read = _PART.fullmatch(part.strip())
        if read is None:
            raise InputError(
                f"--rows {text!r} is not understood; give numbers of rows, counted from 0, or slices of them, as 3,17 "
                "or 0:10."
            )
        if read[1] is not None:
            number = int(read[1])
            if not -count <= number < count:
                raise InputError(
                    f"--rows {text!r}: there is no row {number}; the table has {count:,} rows, 0 to {count - 1:,}."
                )
            found.append(number % count)
        else:
            first, last = (None if g is None else int(g) for g in read.group(2, 3))
            found += range(count)[first:last]
    if not found:
        raise InputError(f"--rows {text!r} means no row of the table, which has {count:,}.")
    return np.array(list(dict.fromkeys(found)))
