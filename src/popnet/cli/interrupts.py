"""What Ctrl-C does: it always ends in one line and exit status 130.

Handlers print that line themselves, for the command line's library makes a silent exit of a KeyboardInterrupt.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from popnet.cli.streams import tell

NOTHING_WRITTEN = "popnet: interrupted; nothing was written"


def end_at_once(*_: Any) -> NoReturn:
    """End the process at Ctrl-C, as long as no file is being written.

    A KeyboardInterrupt could be lost: JAX has Python called by the garbage collector, where exceptions are ignored.
    """
    tell(NOTHING_WRITTEN)
    os._exit(130)


def end_with(what: str) -> Callable[..., NoReturn]:
    """Return a handler that ends the process at once, and says what is there by then."""

    def end(*_: Any) -> NoReturn:
        tell(f"popnet: interrupted; {what}")
        os._exit(130)

    return end


def unwind(*_: Any) -> NoReturn:
    """End the process at Ctrl-C, and remove files that are half written."""
    tell(NOTHING_WRITTEN)
    raise KeyboardInterrupt


class on_interrupt:  # noqa: N801 - used like contextlib.suppress
    """Let a function handle Ctrl-C while this is open.

    Args:
        handler: such as `end_at_once` or `unwind`.
    """

    def __init__(self, handler: Callable[..., None]) -> None:
        self._handler = handler

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, self._handler)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


class graceful_interrupt:  # noqa: N801
    """Turn the first Ctrl-C into a flag that ends the work; a second one ends the process.

    Args:
        message: that is printed at the first one; none if empty.
        ready: whether there is anything yet to end the work with; if not, the first Ctrl-C ends the process.
    """

    def __init__(
        self,
        message: str = "interrupted; building the model from the nets trained so far (press Ctrl-C again to stop at once)",
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._handling = on_interrupt(self._first)
        self._message, self._ready = message, ready
        self._flag = threading.Event()

    def __enter__(self) -> threading.Event:
        self._handling.__enter__()
        return self._flag

    def __exit__(self, *_: object) -> None:
        self._handling.__exit__()

    def _first(self, *_: Any) -> None:
        if not self._ready():
            end_at_once()
        if self._flag.is_set():
            unwind()
        self._flag.set()
        if self._message:
            tell(f"popnet: {self._message}")
