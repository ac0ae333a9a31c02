"""What commands print, how they stop, and where they may write."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from popnet.cli.streams import made, tell
from popnet.runtime import strict_json

if TYPE_CHECKING:
    from popnet.ablation.run import Study
    from popnet.course.run import Claims
    from popnet.diagnosis.run import Diagnosis
    from popnet.fitting.run import Fitted
    from popnet.report.document import Document

BEGAN = time.monotonic()
"""When the command began: time limits count from here."""


class graceful_interrupt:  # noqa: N801 - used like contextlib.suppress
    """Turn the first Ctrl-C into a flag that ends the work; a second one interrupts as usual.

    Args:
        first, second: what is said then.
    """

    def __init__(
        self,
        first: str = "interrupted; building the model from the nets trained so far (press Ctrl-C again to stop at once)",
        second: str = "stopped; no model was written",
    ) -> None:
        self._first, self._second = first, second

    def __enter__(self) -> threading.Event:
        self._flag = threading.Event()

        def handle_sigint(number: int, frame: Any) -> None:
            if self._flag.is_set():
                tell(f"popnet: {self._second}")
                raise KeyboardInterrupt
            self._flag.set()
            tell(f"popnet: {self._first}")

        self._before = signal.signal(signal.SIGINT, handle_sigint)
        return self._flag

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def unwind_on_interrupt() -> None:
    """Let Ctrl-C take back what is half-written from here on; before, it ends the process at once."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def print_fit(fitted: Fitted, folder: Path, as_json: bool, quiet: bool) -> None:
    """Print what a fit has found, in short or as its record."""
    with made(f"the model is in {folder}"):
        _print_fit(fitted, folder, as_json, quiet)


def _print_fit(fitted: Fitted, folder: Path, as_json: bool, quiet: bool) -> None:
    facts = fitted.facts
    metric = facts["metric"]["name"]
    if as_json:
        print(
            strict_json.dumps(
                {
                    "model": str(folder),
                    "task": facts["target"]["task"],
                    "metric": metric,
                    "score": facts["score"],
                    "interval": facts["interval"],
                    "metrics": facts["metrics"],
                    "baselines": {b["name"]: b["metrics"] for b in facts["baselines"]},
                    "members": len(facts["members"]),
                    "seconds": round(time.monotonic() - BEGAN, 3),
                    "interrupted": fitted.interrupted,
                    "warnings": facts["warnings"],
                    "notes": facts["notes"],
                    **({"augmentation": facts["augmentation"]} if facts["augmentation"] else {}),
                }
            )
        )
        return
    if quiet:
        return
    from popnet.report.describe import number

    if not sys.stderr.isatty():  # there they were shown while it ran
        for text in facts["notes"]:
            print(f"  {text}")
    low, high = map(number, facts["interval"])
    print(f"{metric} {number(facts['score'])} (95 % interval {low} to {high}) {facts['scored_on']}")
    for b in facts["baselines"]:
        print(f"  {b['name']:<9} {number(b['metrics'][metric])}")
    if facts["augmentation"]:
        print_check(facts["augmentation"])
    for text in facts["warnings"]:
        print(f"  note: {text}")
    print(f"{len(facts['members'])} members in {time.monotonic() - BEGAN:.0f} s")
    print(f"model   {folder}")
    print(f"report  {folder / 'report.html'}")


def print_check(check: dict[str, Any]) -> None:
    """Print what was found about transformations of images: a line for each, with its interval in percentage points."""
    print(
        f"transformations, by {check['pairs']} pairs of twins each ({check['train']:,} images to train on, "
        f"error without any {100 * check['error']:.1f} %), change of the error in points:"
    )
    for t in check["transformations"]:
        low, high = -100 * t["high"], -100 * t["low"]
        line = f"  {t['words']:<34} {-100 * t['gain']:+6.2f}  [{low:+6.2f}, {high:+6.2f}]  {t['verdict']}"
        if t["verdict"] == "harms" and t["confused"]:
            line += (
                " ("
                + ", ".join(f"{c['true']} taken for {c['taken_for']}" for c in t["confused"])
                + ")"
            )
        print(line)
    if together := check["together"]:
        low, high = -100 * together["high"], -100 * together["low"]
        print(
            f"  {'all that keep the class, together':<34} {-100 * together['gain']:+6.2f}  [{low:+6.2f}, {high:+6.2f}]  {together['verdict']}"
        )


def show_found(
    found: Study | Diagnosis | Claims, out: Path, as_json: bool, quiet: bool, others: Mapping[Path, str] | None = None
) -> None:  # fmt: skip
    """Write the page of what was found, and other files; print it in short, or its record."""
    from popnet.report.html import write_document, write_text

    document = found.document("popnet " + shlex.join(sys.argv[1:]))
    for path, text in (others or {}).items():
        write_text(text, path)
    write_document(document, out)
    with made(f"the page is in {out}"):
        _print_found(found, document, out, as_json, quiet)


def _print_found(
    found: Study | Diagnosis | Claims, document: Document, out: Path, as_json: bool, quiet: bool
) -> None:
    if as_json:
        print(strict_json.dumps({"page": str(out), **found.record()}))
        return
    if quiet:
        return
    print(document.lead[0])
    if not sys.stderr.isatty():  # there they were shown while it ran
        for text in document.lead[1:]:
            print(f"  {text}")
    for section in document.sections:
        if section.badge:
            print(f"{section.badge.upper():<16} {section.title}")
            for text in section.told or section.paragraphs[:1]:
                print(f"    {text}")
    print(f"page    {out}")


def usage_error(error: Any) -> int:
    """Say what is wrong with the command line; a command alone gets its help."""
    text = error.format_message().strip().replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        tell(text)
        return 2
    where = context.command_path if context is not None else "popnet"
    return fail(f"{text.rstrip('.')}. See {where} --help.", 2)


def fail(text: str, status: int) -> int:
    tell(f"popnet: {' '.join(text.split())}")
    return status
