"""What one request may ask for, and how a refusal is said."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from popnet.errors import InputError

MAX_PROBLEMS = 100
"""Fields that a refusal lists; a table whose every row is wrong would be sent back whole otherwise."""

MAX_NOTES = 50
"""Remarks that an answer holds."""


@dataclass(frozen=True)
class Limits:
    """Of a request.

    Attributes:
        rows: most rows of one.
        bytes: most bytes of its body, counted while it is read.
        seconds: from its first byte to its answer.
        depth: brackets within brackets of JSON; rows need three.
        waiting: rows of all requests that may wait to be predicted, in requests of the most rows; beyond, a request is
            refused at once and may be sent again.
        bodies: bytes of all bodies that may be held at a time, in bodies of the most bytes; beyond, likewise.
    """

    rows: int = 10_000
    bytes: int = 10_000_000
    seconds: float = 30.0
    depth: int = 8
    waiting: int = 8
    bodies: int = 32

    def check(self) -> None:
        """Raise `InputError` if nothing could be answered within these."""
        for option, value in (("--max-rows", self.rows), ("--max-bytes", self.bytes)):
            if value < 1:
                raise InputError(f"{option} must be at least 1; got {value}.")
        if not 0 < self.seconds < float("inf"):
            raise InputError(f"--timeout must be above 0 s; got {self.seconds:g} s.")


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field of a request.

    Attributes:
        row: its number, from 1; None where it is not about one row.
        field: the column's name, or the query parameter's; None for the row as a whole.
        problem: a sentence.
    """

    row: int | None
    field: str | None
    problem: str


class Refused(Exception):  # noqa: N818 - an answer, not an error of the program
    """A request cannot be answered.

    Args:
        status: of HTTP.
        sentence: that says what is wrong and what to do; nothing of this machine is in it.
        problems: of single fields.
        ignored: columns of the request that the model does not read.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        problems: list[Problem] | None = None,
        ignored: tuple[str, ...] = (),
    ) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
        self.problems, self.ignored = problems or [], ignored

    def content(self) -> dict[str, Any]:
        """Return what the answer says."""
        found: dict[str, Any] = {"error": self.sentence}
        if self.problems:
            found["problems"] = [asdict(p) for p in self.problems[:MAX_PROBLEMS]]
            if len(self.problems) > MAX_PROBLEMS:
                found["more_problems"] = len(self.problems) - MAX_PROBLEMS
        if self.ignored:
            found["ignored"] = list(self.ignored)
        return found


class Bodies:
    """The bytes of all bodies that are held: many requests at once, each within its limit, must not fill the memory.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0

    @contextmanager
    def one(self) -> Generator[Body]:
        """Count a body until the request is done with."""
        body = Body(self)
        try:
            yield body
        finally:
            self._held -= body.size

    def take(self, count: int) -> None:
        """Count some bytes more; raise `Refused` if there is no room for them."""
        if self._held + count > self._most:
            raise Refused(503, "Too many large bodies are sent at once; try again in a moment.")
        self._held += count


class Body:
    """What has come of a body.

    Attributes:
        size: its bytes.
    """

    def __init__(self, bodies: Bodies) -> None:
        self._bodies, self.size = bodies, 0

    def take(self, count: int) -> None:
        """Count some bytes more; see `Bodies.take`."""
        self._bodies.take(count)
        self.size += count
