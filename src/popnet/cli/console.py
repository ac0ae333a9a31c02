"""What commands print, how they stop, and where they may write."""

from __future__ import annotations

import shlex
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from popnet.cli.interrupts import NOTHING_WRITTEN, graceful_interrupt
from popnet.cli.streams import made, tell
from popnet.errors import InputError
from popnet.runtime import strict_json
from popnet.runtime.atomic_file import check_output_file

if TYPE_CHECKING:
    from popnet.ablation.run import Study
    from popnet.cli.status_line import Watcher
    from popnet.course.run import Claims
    from popnet.diagnosis.run import Diagnosis
    from popnet.fitting.run import Fitted
    from popnet.report.document import Document
    from popnet.report.fit_page.facts import AugmentationFacts, FitFacts
    from popnet.tracking.run import Tracked

Found = TypeVar("Found", bound="Study | Diagnosis | Claims")

BEGAN = time.monotonic()
"""When the command began: time limits count from here."""


def print_fit(
    fitted: Fitted, folder: Path, as_json: bool, quiet: bool, tracked: Sequence[Tracked] = ()
) -> None:
    """Print what a fit has found, in short or as JSON, and where it was logged."""
    for each in tracked:
        if each.problem is not None:
            tell(f"popnet: {each} The model is in {folder}.")
    with made(f"the model is in {folder}"):
        _print_fit(fitted, folder, as_json, quiet, tracked)


def _print_fit(
    fitted: Fitted, folder: Path, as_json: bool, quiet: bool, tracked: Sequence[Tracked]
) -> None:

    from popnet.model.summary import number
    from popnet.report.fit_page.facts import to_json

    facts, metric = fitted.facts, fitted.facts.metric.name
    if as_json:
        print(
            strict_json.dumps(
                {
                    "model": str(folder),
                    "task": facts.target.task,
                    "metric": metric,
                    "score": facts.score,
                    "interval": facts.interval,
                    "metrics": facts.metrics,
                    "baselines": {b.name: b.metrics for b in facts.baselines},
                    "members": len(facts.members),
                    **_of_trees(facts),
                    "seconds": round(time.monotonic() - BEGAN, 3),
                    "interrupted": fitted.interrupted,
                    "warnings": facts.warnings,
                    "notes": facts.notes,
                    "guesses": facts.data.guesses,
                    **({"tracking": [asdict(each) for each in tracked]} if tracked else {}),
                    **({"refit": asdict(facts.refit)} if facts.refit else {}),
                    **({"importance": facts.columns.to_dict()} if facts.columns else {}),
                    **({"augmentation": to_json(facts.augmentation)} if facts.augmentation else {}),
                }
            )
        )
        return
    if quiet:
        return
    if not sys.stderr.isatty():  # there they were shown while it ran
        for text in facts.notes:
            print(f"  {text}")
    low, high = facts.interval or (None, None)
    print(
        f"{metric} {number(facts.score)} (95 % interval {number(low)} to {number(high)}) {facts.scored_on}"
    )
    for b in facts.baselines:
        print(f"  {b.name:<9} {number(b.metrics.get(metric))}")
    if facts.trees:
        print(f"  {_trees_line(facts)}")
    if facts.columns:
        from popnet.report.fit_page.importance import line

        print(f"  {line(facts.columns)}")
    if facts.augmentation:
        from popnet.ablation.transformations.summary import short
        from popnet.report.fit_page.augmentation import used_names

        print(f"  {short(facts.augmentation, used_names(facts, facts.augmentation))}")
    for text in facts.warnings:
        print(f"  note: {text}")
    print(f"{len(facts.members)} nets trained in {time.monotonic() - BEGAN:.0f} s")
    print(f"model   {folder}")
    print(f"report  {folder / 'report.html'}")
    for each in tracked:
        if each.problem is None:
            print(f"logged  {each}")


def _of_trees(facts: FitFacts) -> dict[str, float | None]:
    """Return the boosted trees' share of the weight, and the score of nets alone on held-out rows, for --json."""
    if facts.trees is None:
        return {}
    alone = None if facts.ensemble is None else facts.ensemble.nets_alone
    return {"trees_share": facts.trees.weight, "nets_alone": alone}


def _trees_line(facts: FitFacts) -> str:
    """Return what trees contribute, in a line."""
    from popnet.model.summary import number
    from popnet.report.format import percent

    assert facts.trees is not None
    if not facts.trees.weight:
        return "boosted trees were fitted as well; the ensemble has none of them"
    text = f"boosted trees have {percent(facts.trees.weight)} of the ensemble's weight"
    e = facts.ensemble
    if e is None or e.nets_alone is None:
        return text
    return f"{text}; nets alone reach {number(e.nets_alone)}, both {number(e.score)} on {e.on}"


def print_check(check: AugmentationFacts, classes: bool) -> None:
    """Print what was found about transformations of images, see `popnet.ablation.transformations.summary.lines`."""
    from popnet.ablation.transformations.summary import lines

    print("\n".join(lines(check, classes)))


PAGE_ENDINGS = (".html", ".htm")


def check_page(
    out: Path, overwrite: bool, beside: Sequence[Path] = (), read: Sequence[str | None] = ()
) -> None:
    """Refuse a page that could not be written, or that is there already, before the work.

    Args:
        out: the page.
        overwrite: whether files that are there may be replaced.
        beside: other files that will be written.
        read: the files that the command reads, none of which may be replaced.

    Raises:
        InputError: see `popnet.runtime.atomic_file.check_output_file`; or a file is there and ``overwrite`` is not given,
            or is one that the command reads.
    """
    check_output_file("--out", out, PAGE_ENDINGS)
    sources = {Path(source).resolve() for source in read if source is not None}
    for path in (out, *beside):
        if path.resolve() in sources:
            raise InputError(f"{path} is the data itself; choose another --out.")
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists already; choose another --out, or give --overwrite.")


def write_page(
    work: Callable[[Watcher, threading.Event], Found], out: Path, as_json: bool, quiet: bool,
    others: Callable[[Found], Mapping[Path, str]] = lambda _: {},
) -> None:  # fmt: skip
    """Do the work of a command, write the page of what it found, and print it in short.

    The first Ctrl-C ends the work, and the page shows what was found until then; if that is nothing yet, or after a
    second Ctrl-C, nothing is written. Either way one line says so, and the exit status is 130.

    Args:
        work: finds something; it is given where to report progress, and what is set when it should end.
        out: the page.
        as_json: print the record as JSON instead.
        quiet: print nothing.
        others: further files, by what was found.

    Raises:
        InputError: the work refuses its input.
        typer.Exit: it was interrupted.
    """
    from popnet.cli.status_line import Watcher

    writing = threading.Event()
    with (
        Watcher(quiet) as watch,
        graceful_interrupt("", ready=lambda: watch.trained > 0 or writing.is_set()) as stop,
    ):
        try:
            found = work(watch, stop)
        except InputError:
            if not stop.is_set():
                raise
            tell(NOTHING_WRITTEN)  # too little was found for a page
            raise typer.Exit(130) from None
        writing.set()
        document = found.document("popnet " + shlex.join(sys.argv[1:]))
        write_found(document, out, others(found))
    with made(f"the page is in {out}"):
        if as_json:
            print(strict_json.dumps({"page": str(out), **found.record()}))
        elif not quiet:
            print_found(document, out)
    if stop.is_set():
        raise typer.Exit(fail(f"interrupted; {out} shows what was found until then", 130))


def write_found(document: Document, out: Path, others: Mapping[Path, str]) -> None:
    """Write the page of what was found, and other files."""
    from popnet.report.html import write_document, write_text

    for path, text in others.items():
        write_text(text, path)
    write_document(document, out)


def print_found(document: Document, out: Path) -> None:
    """Print what was found in short."""
    if document.told:
        print("\n".join((*document.told, f"page    {out}")))
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
