"""Requests per second and latencies of `popnet serve`, and what it does under abuse.

    python -m benchmarks.serving MODEL [--seconds 5] [--clients 1,16,64] [--rows 1,1000]
    python -m benchmarks.serving MODEL --abuse

MODEL is a model folder of a table; its example row is sent again and again. The server is a process of its own on the
same machine, so that the clients' share of the processors is a part of what is measured. Prints one JSON object a line;
with ``--abuse`` a table of what requests that are made to harm do to it, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil

from benchmarks.abuse import Abuse

WARM_SECONDS = 0.5
"""Before counting begins."""


@contextmanager
def server(model: str, *options: str) -> Iterator[tuple[int, int]]:
    """Serve a model; give its port and its process' number."""
    command = [sys.executable, "-m", "popnet", "serve", model, "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"ready on http://[^:]+:(\d+)", line)
        if found is None:
            raise SystemExit(line + process.stderr.read())
        yield int(found[1]), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def request(path: str, body: bytes | None = None) -> bytes:
    """Return a request as HTTP writes it."""
    if body is None:
        return f"GET {path} HTTP/1.1\r\nHost: popnet\r\n\r\n".encode()
    head = f"POST {path} HTTP/1.1\r\nHost: popnet\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read an answer's status and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    body = await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split(b" ", 2)[1]), body


async def once(port: int, asked: bytes) -> tuple[int, bytes]:
    """Ask on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked)
    try:
        return await answer(reader)
    finally:
        writer.close()


async def load(port: int, asked: bytes, clients: int, seconds: float) -> dict[str, Any]:
    """Let clients ask as fast as they are answered."""
    found: list[tuple[float, float, int]] = []
    begin = time.perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (start := time.perf_counter()) < begin + WARM_SECONDS + seconds:
            writer.write(asked)
            status, _ = await answer(reader)
            found.append((start, time.perf_counter() - start, status))
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    counted = [(t, s) for start, t, s in found if start >= begin + WARM_SECONDS]
    times = np.array([t for t, _ in counted])
    return {
        "requests_per_second": round(len(counted) / seconds, 1),
        "p50_ms": round(1e3 * float(np.quantile(times, 0.5)), 1),
        "p99_ms": round(1e3 * float(np.quantile(times, 0.99)), 1),
        "statuses": dict(Counter(s for _, s in counted)),
    }


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model")
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--clients", default="1,16,64")
    options.add_argument("--rows", default="1,1000")
    options.add_argument("--abuse", action="store_true")
    given = options.parse_args()
    with server(given.model) as (port, pid):
        _, schema = asyncio.run(once(port, request("/schema")))
        row = json.loads(schema)["example"]
        if given.abuse:
            print(asyncio.run(Abuse(port, row).table(psutil.Process(pid))))
            return
        for rows in map(int, given.rows.split(",")):
            asked = request("/predict", json.dumps({"rows": [row] * rows}).encode())
            for clients in map(int, given.clients.split(",")):
                found = asyncio.run(load(port, asked, clients, given.seconds))
                print(json.dumps({"rows": rows, "clients": clients, **found}), flush=True)


if __name__ == "__main__":
    main()
