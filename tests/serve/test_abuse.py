"""Requests that are made to harm: over real sockets, and bodies that unpack to much more than they are."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import psutil
import pytest
import uvicorn
from PIL import Image
from served_table import NEW, as_json

from popnet.serve import server as serving
from popnet.serve.app import make_app
from popnet.serve.limits import Bodies, Limits, Refused
from popnet.serve.reload import ServedModel

BODY = json.dumps({"rows": as_json(NEW[:2])}).encode()
HEAD_SECONDS = 0.4
MANY = 300
"""Connections at once; `benchmarks/serving.py --abuse` opens more."""


def head(*lines: str, path: str = "/predict", kind: str = "application/json") -> bytes:
    return "\r\n".join(
        (f"POST {path} HTTP/1.1", "Host: a", f"Content-Type: {kind}", *lines, "", "")
    ).encode()


WHOLE = head(f"Content-Length: {len(BODY)}") + BODY


@pytest.fixture(scope="module")
def port(folders) -> Iterator[int]:
    """Serve a model on a free port, in a thread of this process."""
    limits = Limits(bytes=100_000, seconds=3.0, bodies=3)
    config = uvicorn.Config(
        make_app(ServedModel(folders["bought"], seconds=None), limits=limits),
        log_level="critical", access_log=False, ws="none", limit_concurrency=serving.MAX_CONNECTIONS,
    )  # fmt: skip
    listening = serving.listen("127.0.0.1", 0)
    ready = threading.Event()
    server = serving.Server(config, ready.set, HEAD_SECONDS)
    thread = threading.Thread(target=asyncio.run, args=(server.serve([listening]),))
    thread.start()
    assert ready.wait(60)
    yield listening.getsockname()[1]
    server.end()
    thread.join(60)
    assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as all_:
        yield [all_.enter_context(connect(port)) for _ in range(count)]


def answer(connection: socket.socket) -> tuple[int, dict]:
    """Read an answer whole."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += (piece := connection.recv(1 << 16))
        assert piece, "the connection was closed without an answer"
    top, _, body = found.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", top, re.IGNORECASE)[1])
    while len(body) < length:
        body += connection.recv(1 << 16)
    return int(top.split(b" ", 2)[1]), json.loads(body)


def answers(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(WHOLE)
        status, said = answer(connection)
        assert status == 200, said
        assert said["rows"] == 2


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1 << 16) == b""
    except ConnectionError:
        return True


def test_a_request_that_is_killed_in_its_middle(port):
    for cut in (5, 40, len(WHOLE) // 2, len(WHOLE) - 1, len(WHOLE)):
        connection = connect(port)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        connection.sendall(WHOLE[:cut])
        connection.close()
    answers(port)


def test_a_gigabyte_is_refused_by_its_length_and_the_connection_ends(port):
    with connect(port) as connection:
        connection.sendall(head("Content-Length: 1000000000"))
        status, said = answer(connection)
        assert (status, "100,000 bytes" in said["error"]) == (413, True)
        assert ended(connection)
    answers(port)


def test_a_body_without_a_length_is_refused_while_it_comes(port):
    before = psutil.Process().memory_info().rss
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0
    with connect(port) as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        try:
            while sent < 1000 * len(piece):
                connection.sendall(piece)
                sent += len(piece)
        except OSError:  # closed while we send
            pass
    assert sent < 400 * len(piece)  # what the buffers of both sides hold
    assert psutil.Process().memory_info().rss - before < 100e6
    answers(port)


def test_many_connections_at_once(port):
    with connections(port, MANY) as idle, connections(port, 20) as halves:
        for connection in halves:
            connection.sendall(b"POST /predict HTT")
        with connections(port, 20) as busy:
            for connection in busy:
                connection.sendall(WHOLE)
            assert {answer(connection)[0] for connection in busy} == {200}
        answers(port)
        # Neither nothing nor half of a request keeps a connection.
        assert all(map(ended, [*idle, *halves]))


def test_a_connection_that_is_used_stays(port):
    with connect(port) as connection:
        for _ in range(3):
            connection.sendall(WHOLE)
            assert answer(connection)[0] == 200
            time.sleep(0.7 * HEAD_SECONDS)


def test_slow_bodies_are_refused_and_let_others_through(port):
    with connections(port, 4) as slow:
        for connection in slow:
            connection.sendall(head("Content-Length: 100000") + b" " * 90_000)
        # Together they are more than may be held.
        refused, *_ = select.select(slow, [], [], 20)[0]
        assert answer(refused)[0] == 503
        answers(port)
        assert {answer(connection)[0] for connection in slow if connection is not refused} == {408}
        assert all(map(ended, slow))
    answers(port)  # all is given back


def test_what_bodies_take_is_given_back():
    bodies = Bodies(10)
    with bodies.one() as a:
        a.take(6)
        with bodies.one() as b, pytest.raises(Refused):
            b.take(5)
        with bodies.one() as b:
            b.take(4)
    with bodies.one() as a:
        a.take(10)


def test_bodies_that_unpack_are_not_unpacked(serve):
    bomb = gzip.compress(b"\n" * 10_000_000)
    said = serve().post("/predict", content=bomb, headers={"Content-Type": "text/csv"})
    assert (said.status_code, "gzip" in said.json()["error"]) == (415, True)


def test_a_line_of_commas_is_refused_before_it_is_cut(serve):
    commas = b"," * 5_000_000 + b"\n1\n"
    said = serve().post("/predict", content=commas, headers={"Content-Type": "text/csv"})
    assert (said.status_code, "5,000,001 columns" in said.json()["error"]) == (422, True)


def test_a_key_that_stands_twice(serve):
    row = json.dumps(as_json(NEW)[0])
    twice = '{"size": 1, ' + row[1:]
    said = serve().post("/predict", content=twice, headers={"Content-Type": "application/json"})
    assert (said.status_code, "'size' stands twice" in said.json()["error"]) == (400, True)


def test_images_have_a_limit_together(monkeypatch):
    from popnet.data.images import decode
    from popnet.serve import body

    monkeypatch.setattr(decode, "MAX_PIXELS", 700)
    out = io.BytesIO()
    Image.new("L", (30, 20)).save(out, "PNG")
    with pytest.raises(Refused, match="images have more than") as error:
        body.read_images(
            [("a.png", out.getvalue())] * 2, lambda path: np.zeros((1, 8, 8, 1), np.uint8), Limits()
        )
    assert error.value.status == 413


def test_the_limit_of_files_is_raised_before_connections_reach_it():
    resource = pytest.importorskip("resource")
    serving._raise_file_limit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(serving.MAX_CONNECTIONS + 100, hard if hard > 0 else serving.MAX_FILES)
    assert soft >= wanted
