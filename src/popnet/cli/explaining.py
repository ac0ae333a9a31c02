"""The commands that say which columns matter, and why a model answers as it does: importance and explain."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from popnet.cli.arguments import Json, ModelFolder, Overwrite, Quiet, Seed, TimeLimit, Workers
from popnet.cli.console import check_page
from popnet.cli.interrupts import graceful_interrupt, on_interrupt, unwind
from popnet.cli.streams import made, tell
from popnet.errors import InputError
from popnet.runtime import strict_json
from popnet.runtime.durations import seconds


def importance(
    model: ModelFolder,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table with the target, of rows that the model was not trained on; with --retrain the table that it was fitted to.")],
    columns: Annotated[list[str] | None, typer.Option("--column", metavar="COLUMN", help="Column to measure (repeatable). [default: all that the model reads; with --retrain the first of them]")] = None,
    metric: Annotated[str | None, typer.Option(help="Metric whose loss is measured; of classes log_loss tells more than accuracy. [default: the model's]")] = None,
    rows: Annotated[int | None, typer.Option(min=2, help="Rows that are predicted at most. [default: 5000]")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="How often each column's values are exchanged among the rows. [default: 5]")] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train nets anew without each column, and compare them with nets that have it.")] = False,
    time_limit: TimeLimit = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Say which columns matter to a model: by how much it predicts worse without what a column says."""
    from popnet.explanation import importance as permuted
    from popnet.model.model import Model
    from popnet.report.fit_page.importance import lines

    loaded = Model.load(model)
    interrupted = False
    if retrain:
        if metric or repeats:
            raise InputError("--metric and --repeats are not for --retrain; leave them out.")
        from popnet.cli.status_line import Watcher
        from popnet.explanation.retrained import retrained_importance

        limit = None if time_limit is None else seconds(time_limit)
        with (
            Watcher(quiet or as_json) as watch,
            graceful_interrupt("interrupted; comparing the nets trained so far") as stop,
        ):
            found = retrained_importance(
                loaded, data, columns=columns, rows=rows, seed=seed, workers=workers, time_limit=limit,
                on_progress=watch, stop=stop,
            )  # fmt: skip
            interrupted = stop.is_set()
    else:
        if time_limit or workers:
            raise InputError(
                "--time-limit and --workers are for --retrain; give that, too, or leave them out."
            )
        found = permuted.importance(
            loaded, data, columns=columns, metric=metric, rows=rows, repeats=repeats or permuted.REPEATS, seed=seed,
        )  # fmt: skip
    if as_json:
        print(strict_json.dumps(found.to_dict()))
    elif not quiet:
        print("\n".join(lines(found)))
    if interrupted:
        raise typer.Exit(130)


def explain(
    model: ModelFolder,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Table with the rows to explain: CSV, also gzipped, Parquet, Arrow/Feather or JSON lines.")],
    rows: Annotated[str, typer.Option(help="Rows to explain, counted from 0: numbers, and slices as in Python, for example 3,17,20:25.")] = "0:10",
    background: Annotated[str | None, typer.Option(metavar="DATA", help="Table of rows to compare with, as a rule the training table. [default: the rows of TABLE]")] = None,
    of_class: Annotated[str | None, typer.Option("--class", metavar="LABEL", help="Class whose probability is explained. [default: the predicted class of each row]")] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Target that is explained, of a model with several. [default: the first]")] = None,
    fixed: Annotated[str | None, typer.Option(metavar="COLUMNS", help="Columns that must stay as they are when the smallest change that makes another answer is searched for, for example age,sex.")] = None,
    samples: Annotated[int | None, typer.Option(metavar="N", help="Pairs of orders of the columns from which Shapley values are estimated; four times as many halve the standard errors. [default: as many as 2,000 evaluations of the model allow for each row]")] = None,
    nearest: Annotated[int, typer.Option(metavar="N", help="Number of nearest background rows to give.")] = 5,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Page to write, a file that ends in .html.")] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Explain answers for rows of a table: what each column adds, what would change the answer, and rows like it."""
    if out is not None:
        check_page(out, overwrite, read=[table, background])
    from popnet.cli.status_line import Watcher
    from popnet.explanation.run import explain as run

    columns = [name.strip() for name in (fixed or "").split(",") if name.strip()]
    with Watcher(quiet) as watch, on_interrupt(unwind):
        found = run(
            model, table, rows=rows, background=background, of_class=of_class, target=target, fixed=columns,
            samples=samples, nearest=nearest, seed=seed, on_progress=watch,
        )  # fmt: skip
    if out is not None:
        from popnet.report.html import write_document

        write_document(found.document("popnet " + shlex.join(sys.argv[1:])), out)
    with made("nothing else was to be done" if out is None else f"the page is in {out}"):
        if as_json:
            page = {} if out is None else {"page": str(out)}
            print(strict_json.dumps({"model": str(model), **page, **found.record()}))
        elif not quiet:
            for note in found.notes:
                tell(f"popnet: {note}")
            print("\n".join(found.lines()).rstrip())
            if out is not None:
                print(f"page    {out}")
