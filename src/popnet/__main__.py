"""The process of the command line: ``popnet``, or ``python -m popnet``."""

from __future__ import annotations

import os
import sys

from popnet.cli import app


def main() -> None:
    """Run the command line, and end the process at once.

    Python's own end would wait for a compilation that outlasted the time limit and for imports that run ahead, and take
    JAX's programs apart: a second or more. All files are closed by then. Ray's processes end with Python's own end.
    """
    try:
        app.main()
    except SystemExit as end:
        if "ray" in sys.modules or not isinstance(end.code, int):
            raise
        os._exit(end.code)


if __name__ == "__main__":
    main()
