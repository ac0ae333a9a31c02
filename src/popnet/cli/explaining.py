"""The command that says which columns matter: importance."""

from __future__ import annotations

from typing import Annotated

import typer

from popnet.cli.arguments import Json, ModelFolder, Quiet, Seed, TimeLimit, Workers
from popnet.cli.interrupts import graceful_interrupt
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
