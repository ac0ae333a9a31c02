"""The command that makes small models of large ones: distil."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from popnet.cli.arguments import Json, ModelFolder, Quiet, Seed, Workers
from popnet.cli.console import BEGAN
from popnet.cli.interrupts import graceful_interrupt
from popnet.cli.streams import made
from popnet.runtime import strict_json
from popnet.runtime.durations import seconds
from popnet.runtime.sizes import bytes_of


def distil(
    model: ModelFolder,
    table: Annotated[str, typer.Argument(metavar="DATA", help="The table that the model was fitted on, or other rows with the target.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.", show_default=False)],
    width: Annotated[int | None, typer.Option(help="Units of a hidden layer. [default: 64, or what --latency and --size allow]")] = None,
    latency: Annotated[str | None, typer.Option(help="Longest time that the prediction of one row may take on this machine, for example 2ms.")] = None,
    size: Annotated[str | None, typer.Option(help="Largest size of the model folder, for example 200kB or 1MB.")] = None,
    test: Annotated[str | None, typer.Option(metavar="FILE", help="Table whose rows both are scored on. [default: the test part of the model's fit, or a part of DATA]")] = None,
    time_limit: Annotated[str, typer.Option(help="For example 90s, 5m or 1h, counted from the start of the command.")] = "60s",
    seed: Seed = 0,
    workers: Workers = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model in the output folder.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Teach one small net what a table's ensemble predicts; says what of the score is lost."""
    from popnet.cli.status_line import Watcher
    from popnet.distillation.record import check_place
    from popnet.distillation.run import distil as run

    check_place(out, model, overwrite)
    longest = None if latency is None else seconds(latency, "duration", "2ms")
    most = None if size is None else bytes_of(size, "size", "200kB or 1MB")
    limit = seconds(time_limit)
    with (
        Watcher(quiet or as_json) as watch,
        graceful_interrupt(
            "interrupted; the best student so far becomes the model (press Ctrl-C again to stop at once)"
        ) as stop,
    ):
        found = run(
            model, table, width=width, latency=longest, size=most, test=test, time_limit=limit, seed=seed,
            workers=workers, on_progress=watch, stop=stop, began=BEGAN,
        )  # fmt: skip
        found.save(out, overwrite=overwrite)
    with made(f"the model is in {out}"):
        if as_json:
            print(strict_json.dumps({"model": str(out), **found.record()}))
        elif not quiet:
            print("\n".join((*found.lines(), f"model     {out}")))
    if found.interrupted:
        raise typer.Exit(130)
