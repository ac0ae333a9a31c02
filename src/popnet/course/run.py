"""Test what courses claim about neural nets, on bundled data or a user's own: `popnet claims`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from popnet._version import __version__
from popnet.course import material, page
from popnet.course.base import CheckedClaim, Claim
from popnet.course.lab import REPEATS, Bench
from popnet.course.registry import chosen
from popnet.course.schedule import run
from popnet.options import DEFAULTS, Options
from popnet.prepare.source import prepare_source
from popnet.report import format
from popnet.report.document import Document
from popnet.runtime.memory import Memory
from popnet.runtime.progress import Progress

LIMIT = 1200.0
"""Seconds for all claims, if no time limit is given."""

FINISHING = 2.0
"""Seconds of a time limit that are kept for the page."""


@dataclass(frozen=True)
class Claims:
    """What testing the claims found.

    Attributes:
        found: claims and their outcomes, in the order of the course.
        source: name of the data.
        notes: remarks on the data.
        seconds: the run took.
        seed: of every random choice.
    """

    found: list[CheckedClaim]
    source: str
    notes: list[str]
    seconds: float
    seed: int

    def record(self) -> dict[str, Any]:
        """Return the claims as plain JSON."""
        return {
            "source": self.source, "seed": self.seed, "seconds": round(self.seconds, 3), "notes": self.notes,
            "claims": page.record(self.found),
        }  # fmt: skip

    def document(self, command: str = "", created: str | None = None) -> Document:
        """Return the claims as a page.

        Args:
            command: that makes it again.
            created: date and time to show; None for now.
        """
        created = created or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return page.document(self.found, self.source, self.notes, command, __version__, created)


def claims(
    source: Any = None,
    target: str | Sequence[str] | None = None,
    options: Options = DEFAULTS,
    *,
    only: Sequence[str] = (),
    repeats: int = REPEATS,
    effort: float = 1.0,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
    began: float | None = None,
) -> Claims:
    """Test what courses say about neural nets: 17 claims, each with a verdict, an interval and a picture.

    Args:
        source: a table or images, as `popnet.fitting.run.fit` takes them; None for scikit-learn's handwritten digits.
        target: column to predict, or several for a regression; None for images in class folders.
        options: of reading, seed, time limit (None for 20 minutes), workers.
        only: keys or numbers of claims; all by default.
        repeats: of each experiment.
        effort: factor of all numbers of training steps.
        on_progress: called now and then.
        stop: when set, training ends; the remaining claims are not decided.
        began: moment of ``time.monotonic()`` from which the time limit counts; default now.

    Raises:
        InputError: the data cannot be used, or there is no such claim.
    """
    began = time.monotonic() if began is None else began
    options.check()
    wanted = chosen(only)
    deadline = began + (options.time_limit or LIMIT) - FINISHING
    bundled = material.digits(repeats, options.seed)
    table, images, notes, name = bundled[0], bundled[1], [], "scikit-learn's digits"
    if source is not None:
        # A third is held out to judge by, unless asked otherwise.
        options = replace(options, test_size=options.test_size or material.TEST_SHARE)
        prepared = prepare_source(
            source, target, options,
            lambda what, done, total: on_progress(Progress(f"reading {what}", done, total)),
        )  # fmt: skip
        name = format.name_of(source)
        table, own_images = material.user_material(name, prepared, repeats, options.seed)
        images = own_images or images
        notes = [*prepared.notes, *_notes(table, own_images is not None)]
        for note in notes:
            on_progress(Progress("reading", note=note))
    memory = Memory(options.memory_limit)
    bench = Bench(
        table, images, options.seed, effort, workers=options.workers, stop=stop or threading.Event(), memory=memory
    )  # fmt: skip
    at = [0, len(wanted), ""]

    def tell(note: str = "") -> None:
        left = max(0.0, deadline - time.monotonic())
        on_progress(Progress("claims", int(at[0]), int(at[1]), left, note=note))

    def on_claim(done: int, total: int, claim: Claim) -> None:
        at[0] = done
        tell()
        tell(f"{claim.number}. {claim.title}")

    bench.on_progress = lambda done, total: tell()
    found = run(bench, only, deadline=deadline, on_claim=on_claim)
    return Claims(found, name, notes, time.monotonic() - began, options.seed)


def _notes(table: material.Material, own_images: bool) -> list[str]:
    notes = [
        f"{len(table.pool):,} training rows, {table.rows():,} of them in each repetition, and {len(table.test):,} "
        "test rows"
    ]
    if not own_images:
        notes.append("the data are not images, so augmentation is tested on scikit-learn's digits")
    return notes
