"""The command that answers requests: serve."""

from __future__ import annotations

import importlib.util
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from popnet.cli.interrupts import on_interrupt
from popnet.cli.streams import tell
from popnet.errors import InputError
from popnet.runtime.durations import seconds
from popnet.runtime.sizes import bytes_of

LIBRARIES = ("fastapi", "uvicorn", "python_multipart")
"""What the extra ``serve`` brings."""


def serve(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder that fit has written, or an ONNX file that export has.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one of this machine. There is no authentication.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes one that is free.")] = 8080,
    max_rows: Annotated[int, typer.Option(help="Most rows of a request.")] = 10_000,
    max_bytes: Annotated[str, typer.Option(help="Most bytes of a request, for example 500KB or 10MB.")] = "10MB",
    timeout: Annotated[str, typer.Option(help="Longest time that a request may take, for example 10s or 1m.")] = "30s",
    background: Annotated[str | None, typer.Option(metavar="DATA", help="Table, as a rule the training table, that answers are explained by at /explain: single values of its columns may be sent, never a row. [default: nothing is explained]")] = None,
) -> None:  # fmt: skip
    """Answer requests for predictions over HTTP, with a page to try it on; a model that is replaced is taken over."""
    if lacking := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"popnet serve needs {', '.join(lacking)}, which this environment lacks: pip install 'popnet[serve]'."
        )
    from popnet.serve.limits import Limits
    from popnet.serve.server import make_server

    limits = Limits(max_rows, int(bytes_of(max_bytes)), seconds(timeout))
    server, listening = make_server(
        model, host, port, limits, lambda address: tell(f"popnet: ready on {address} (Ctrl-C ends)"), background
    )  # fmt: skip
    interrupted = False

    def end(number: int, frame: Any) -> None:
        nonlocal interrupted
        interrupted = interrupted or number == signal.SIGINT
        server.end()

    before = signal.signal(signal.SIGTERM, end)
    try:
        with on_interrupt(end):
            server.run([listening])
    finally:
        signal.signal(signal.SIGTERM, before)
    if interrupted:
        tell("popnet: interrupted")
        raise typer.Exit(130)
