"""The process of the command line: ``popnet``, or ``python -m popnet``."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line, and end the process at once.

    Python's own end would wait for a compilation that outlasted the time limit and for imports that run ahead, and take
    JAX's programs apart: a second or more. All files are closed by then. Ray's processes end with Python's own end.
    """
    try:
        from popnet.cli import app

        app.main()
    except KeyboardInterrupt:  # while it was still being imported
        print("popnet: interrupted; nothing was written", file=sys.stderr, flush=True)
        os._exit(130)
    except SystemExit as end:
        if "ray" in sys.modules or not isinstance(end.code, int):
            raise
        os._exit(end.code)


if __name__ == "__main__":
    main()
