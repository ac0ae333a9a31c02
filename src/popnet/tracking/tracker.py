"""What a tracker is."""

from __future__ import annotations

import importlib.util
import socket
from typing import Protocol

from popnet.errors import InputError
from popnet.tracking.record import FitLog


class Tracker(Protocol):
    """A place where fits are logged."""

    def check(self) -> None:
        """Refuse, before the work, what could not be logged to.

        Raises:
            InputError: a library is missing, or the place cannot be reached; one sentence says which.
        """
        ...

    def log(self, record: FitLog) -> str:
        """Log a fit; return where it is, for people.

        Raises:
            Exception: whatever the library raises.
        """
        ...


def need(asked: str, *libraries: str) -> None:
    """Raise `InputError` if a library is not installed.

    Args:
        asked: the tracker, as it was asked for.
        libraries: that it needs, as they are imported.
    """
    lacking = [name for name in libraries if importlib.util.find_spec(name) is None]
    if lacking:
        raise InputError(
            f"--track {asked} needs {' and '.join(lacking)}: pip install 'popnet[track]'."
        )


def short(error: BaseException) -> str:
    """Return the first sentence of what an error says, in one line of bounded length; of the network what that says."""
    root = error
    while (inner := root.__cause__ or root.__context__) is not None:
        root = inner
    if isinstance(root, ConnectionError | TimeoutError | socket.gaierror) and root.strerror:
        return f"{root.strerror}."
    words = " ".join(str(error).split()) or type(error).__name__
    first = words.split(". ")[0].removesuffix(".")
    return f"{first}." if len(first) < 300 else f"{first[:299]}…"
