"""The process of the command line: ``popnet``, or ``python -m popnet``."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any


def main() -> None:
    """Run the command line, and end the process at once.

    Python's own end would wait for a compilation that outlasted the time limit and for imports that run ahead, and take
    JAX's programs apart: a second or more. All files are closed by then. Ray's processes end with Python's own end.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    from popnet.cli import app  # takes a while, in which Ctrl-C may come already

    try:
        app.main()
    except SystemExit as end:
        if "ray" in sys.modules or not isinstance(end.code, int):
            raise
        os._exit(end.code)


def _leave(number: int, frame: Any) -> None:
    """End the process on Ctrl-C: nothing is begun yet, and an exception would break imports off half-way."""
    with suppress(OSError):
        os.write(2, b"popnet: interrupted; nothing was written\n")
    os._exit(130)


if __name__ == "__main__":
    main()
