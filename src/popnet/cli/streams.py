"""The output streams of a command: whatever becomes of them, the command does its work and keeps what it made.

A stream may be closed from the start (``>&-``), take no other characters than ASCII, lose its reader on the way
(``| head``) or its disk's room. What is told to people is written as well as can be.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TextIO, cast


def open_streams() -> None:
    """Give this process an stdout and an stderr that take any text; what they lack is shown as a question mark."""
    # A file that is opened later must not get the number of a closed stream: libraries write to that.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdout = _open(sys.stdout, 1)
    sys.stderr = _open(sys.stderr, 2)


def _open(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        return open(number, "w", encoding="utf-8", errors="replace", closefd=False)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return cast("TextIO", stream)


def tell(text: str, end: str = "\n") -> None:
    """Write a message to stderr; that it cannot be written is no reason to end."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        drop(sys.stderr)


@contextmanager
def made(what: str) -> Generator[None]:
    """Print what was found, on stdout, in this block: that it cannot be printed does not make a command fail.

    Args:
        what: is there by now, for the message: "the model is in m".
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        drop(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            tell(f"popnet: the output cannot be written ({error.strerror or error}); {what}")


def drop(stream: TextIO) -> None:
    """Let what is still to be written to a stream go nowhere, so that leaving cannot fail on it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
