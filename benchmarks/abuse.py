"""What requests that are made to harm do to a server: its answers, its memory, and whether it goes on answering."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psutil

from benchmarks.table import markdown

CONNECTIONS = 1000
PATIENCE = 60.0
"""Seconds after which an answer is missing."""

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


def head(kind: str, *lines: str) -> bytes:
    """Return the head of a request for predictions."""
    return "\r\n".join(
        ("POST /predict HTTP/1.1", "Host: popnet", f"Content-Type: {kind}", *lines, "", "")
    ).encode()


def whole(kind: str, body: bytes) -> bytes:
    """Return a request for predictions."""
    return head(kind, f"Content-Length: {len(body)}") + body


async def status(reader: Reader) -> str:
    """Return an answer's status, or what became of the connection."""
    try:
        async with asyncio.timeout(PATIENCE):
            top = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"content-length: (\d+)", top, re.IGNORECASE)
            await reader.readexactly(int(found[1]) if found else 0)
            return top.split(b" ", 2)[1].decode()
    except TimeoutError:
        return "no answer"
    except (ConnectionError, asyncio.IncompleteReadError):
        return "closed"


class Abuse:
    """A server that is abused.

    Args:
        port: of the server, on this machine.
        row: that it takes.
    """

    def __init__(self, port: int, row: dict[str, Any]) -> None:
        self.port = port
        self.usual = whole("application/json", json.dumps({"rows": [row]}).encode())

    async def open(self, count: int) -> list[tuple[Reader, Writer]]:
        """Open connections at once."""
        opened = (asyncio.open_connection("127.0.0.1", self.port) for _ in range(count))
        return list(await asyncio.gather(*opened))

    async def ask(self, *pieces: bytes, count: int = 1) -> str:
        """Send a request on some connections at once; return the statuses and how often each came."""

        async def one() -> str:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            except ConnectionError:
                pass
            found = await status(reader)
            writer.close()
            return found

        found = Counter(await asyncio.gather(*(one() for _ in range(count))))
        return ", ".join(f"{name} ({n:,} times)" if n > 1 else name for name, n in found.items())

    async def killed(self) -> str:
        """Reset connections at every point of a request."""
        for cut in range(100):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(self.usual[: cut * len(self.usual) // 99])
            writer.transport.abort()
        return "-"

    async def streamed(self) -> str:
        """Send a gigabyte without saying how much it will be."""
        piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        return await self.ask(
            head("application/json", "Transfer-Encoding: chunked"), *[piece] * 1000
        )

    async def idle(self) -> str:
        """Open connections and send nothing, or half of a first line; ask as usual beside them."""
        opened = await self.open(CONNECTIONS - 50)
        for _, writer in opened[::2]:
            writer.write(b"POST /pred")
        beside = await self.ask(self.usual)
        ended = await asyncio.gather(*(status(reader) for reader, _ in opened))
        for _, writer in opened:
            writer.close()
        left = sum(found == "no answer" for found in ended)
        return f"{beside} beside them; {left} of them left after {PATIENCE:g} s"

    async def slow(self) -> str:
        """Send most of large bodies, and then nothing; ask as usual beside them."""
        opened = await self.open(100)
        for _, writer in opened:
            writer.write(head("application/json", "Content-Length: 9000000") + b" " * 8_000_000)
        beside = await self.ask(self.usual)
        found = Counter(await asyncio.gather(*(status(reader) for reader, _ in opened)))
        for _, writer in opened:
            writer.close()
        return f"{beside} beside them; " + ", ".join(f"{s} ({n} times)" for s, n in found.items())

    def attacks(self) -> Sequence[tuple[str, Callable[[], Awaitable[str]]]]:
        """Return what is done, in words, and how."""
        bomb = gzip.compress(b"\n" * 1_000_000_000, 9)
        deep = b"[" * 5_000_000
        return (
            ("100 requests killed in their middle", self.killed),
            ("a body of 1 GB, as declared", lambda: self.ask(head("application/json", f"Content-Length: {10**9}"))),
            ("a body of 1 GB, streamed without a length", self.streamed),
            ("950 connections with nothing, or half a line", self.idle),
            ("1,000 requests at once", lambda: self.ask(self.usual, count=CONNECTIONS)),
            ("100 bodies of 9 MB that stop at 8 MB", self.slow),
            ("a CSV file of 1 GB in 1 MB of gzip", lambda: self.ask(whole("text/csv", bomb))),
            ("a CSV file of 9 million columns", lambda: self.ask(whole("text/csv", b"," * 9_000_000 + b"\n1\n"))),
            ("a CSV file of 9 million rows", lambda: self.ask(whole("text/csv", b"a\n" + b"1\n" * 4_500_000))),
            ("JSON of 5 million brackets", lambda: self.ask(whole("application/json", deep))),
            ("bytes that are no HTTP", lambda: self.ask(b"\x16\x03\x01" * 1000 + b"\r\n\r\n")),
        )  # fmt: skip

    async def table(self, process: psutil.Process) -> str:
        """Do it all; return a table of answers, memory in MB and the status of a usual request after each."""
        rows: list[list[str]] = []
        memory = process.memory_info
        await self.ask(self.usual)
        rows.append(["(before)", "-", f"{memory().rss / 1e6:.0f}", await self.ask(self.usual)])
        for name, attack in self.attacks():
            said = await attack()
            rows.append([name, said, f"{memory().rss / 1e6:.0f}", await self.ask(self.usual)])
        return markdown(["attack", "answers", "memory, MB", "a usual request after it"], rows)
