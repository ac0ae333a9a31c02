"""The server's process: a socket, the model, and an end that lets running requests finish."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from popnet.errors import InputError
from popnet.serve.app import make_app
from popnet.serve.limits import Limits
from popnet.serve.metrics import Metrics
from popnet.serve.reload import ServedModel

if TYPE_CHECKING:
    from collections.abc import Generator

    from popnet.serve.served import Explains

MAX_CONNECTIONS = 1000
"""Connections and requests at a time; others are answered with status 503."""

IDLE_SECONDS = 30
"""That a connection is kept after an answer."""

HEAD_SECONDS = 10.0
"""Within which the first line and the headers of a request have to come, twice as long at most: uvicorn waits for ever,
and connections that send nothing would soon be all that there may be."""

TICK_SECONDS = 0.1
"""Between two calls of uvicorn's ``on_tick``."""

MAX_FILES = 65_536
"""Files and connections that the process may have open, as far as the system lets it raise its own limit."""


class Server(uvicorn.Server):
    """uvicorn's server; what signals do is left to the caller.

    Args:
        config: of uvicorn.
        ready: called once it takes requests.
        head_seconds: see `HEAD_SECONDS`.
    """

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], head_seconds: float = HEAD_SECONDS
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._ticks = max(1, round(head_seconds / TICK_SECONDS))
        self._idle: dict[Any, Any] = {}

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone (uvicorn 0.29 and later)."""
        yield

    def install_signal_handlers(self) -> None:
        """Leave signals alone (uvicorn before 0.29)."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Now and then, close connections on which no request has begun since the last time."""
        if counter % self._ticks == 0:
            self._close_idle()
        return await super().on_tick(counter)

    def _close_idle(self) -> None:
        idle: dict[Any, Any] = {}
        for connection in list[Any](self.server_state.connections):
            request = getattr(connection, "cycle", None)
            if request is not None and not request.response_complete:
                continue
            if connection in self._idle and self._idle[connection] is request:
                # After an answer, uvicorn's own timer ends it; but not if half of a request has come.
                if request is None or connection.timeout_keep_alive_task is None:
                    connection.transport.close()
            else:
                idle[connection] = request
        self._idle = idle

    def end(self) -> None:
        """Take no new requests and end when those at work are answered; asked again, end at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        InputError: there is no such address, or it is taken.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port must be from 0 (any that is free) to 65535; got {port}.")
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.create_server(address[:2], family=family, backlog=2048)
        # Connections inherit it. asyncio sets it on sockets of its own only; without it an answer in two parts waits
        # 40 ms for the client's acknowledgement of the first.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such host"
        raise InputError(
            f"the address {host}:{port} cannot be used ({reason}); give another --host or --port."
        ) from None


def _raise_file_limit() -> None:
    """Let the process have as many connections as it may: 1,024 files are a usual limit, which a stranger reaches."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def make_server(
    path: Path, host: str, port: int, limits: Limits, ready: Callable[[str], None], background: str | None = None
) -> tuple[Server, socket.socket]:  # fmt: skip
    """Return a server with its model loaded and warm, and its socket.

    Args:
        path: of the model's folder, or of an ONNX file.
        host, port: to listen on; port 0 takes one that is free.
        limits: of a request.
        ready: gets the address when it takes requests.
        background: table of the rows that answers are explained by; None: they are not explained.

    Raises:
        InputError: the model, the address, a limit or the background cannot be used.
    """
    limits.check()
    _raise_file_limit()
    listening = listen(host, port)
    try:
        metrics = Metrics()
        served = ServedModel(path, metrics.loaded)
        explaining = None if background is None else _explaining(served, background)
    except BaseException:
        listening.close()
        raise
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        make_app(served, metrics, limits, explaining), log_level="warning", access_log=False, server_header=False,
        ws="none", limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=math.ceil(limits.seconds),
    )  # fmt: skip
    return Server(config, lambda: ready(address)), listening


def _explaining(served: ServedModel, background: str) -> Explains:
    """Return what explains the answers of a model folder by a table.

    Raises:
        InputError: the model is an exported file, or the table cannot be used.
    """
    if served.exported:
        raise InputError(
            "the answers of an exported file cannot be explained; serve the model folder, or leave --background out."
        )
    from popnet.serve.explaining import explaining  # needs what an exported file does without

    return explaining(served.model, background)
