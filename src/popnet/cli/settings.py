"""Commands about settings: recipe, space, warm."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from popnet.cli.arguments import (
    Fix,
    Json,
    Quiet,
    Set,
)
from popnet.cli.interrupts import graceful_interrupt
from popnet.cli.streams import tell
from popnet.runtime import strict_json
from popnet.runtime.durations import seconds


def recipe(
    file: Annotated[Path | None, typer.Argument(help="A recipe to check and complete.")] = None,
) -> None:
    """Print all fields of a recipe as TOML, to uncomment what to keep and let fit search the rest; or check a file."""
    from popnet.spec.recipe import Recipe

    if file is not None:
        print(Recipe.load(file).to_toml(), end="")
        return
    print(
        "# Fields that fit --recipe finds here are kept in every net; it chooses the others' values, or searches them."
    )
    for text in Recipe().to_toml().splitlines():
        print(f"# {text}")


def space(
    images: Annotated[bool, typer.Option("--images", help="The space of images instead of that of a table.")] = False,
    rows: Annotated[int, typer.Option(help="Number of training rows, or images, that it is for.")] = 10_000,
    file: Annotated[Path | None, typer.Option("--space", help="TOML file of your own ranges.")] = None,
    set_: Set = None,
    fix: Fix = None,
    toml: Annotated[bool, typer.Option("--toml", help="Print it as a TOML file for fit --space.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Print what fit searches: each hyper-parameter, its default and range, when it is searched, the source."""
    from popnet.tuning.space import text, user_space

    kept = user_space.fix(None, user_space.settings(fix or (), "--fix"))
    found = text.space_of(images, rows, kept, user_space.merged(file, set_ or ()))
    if as_json:
        print(strict_json.dumps(text.record(found)))
    else:
        print(text.toml(found) if toml else text.table(found), end="")


def warm(
    time_limit: Annotated[str | None, typer.Option("--time-limit", help="Start no further compilation after this time, for example 5m.")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Compile the programs that tables of usual sizes need, so that their first fits begin to train at once."""
    from popnet.fitting.warming import warm as compile_all
    from popnet.runtime import cpu

    shows = not quiet and not as_json and sys.stderr.isatty()

    def count(done: int, total: int) -> None:
        if shows:
            tell(f"\r{done} of {total} structures compiled", end="")

    limit = None if time_limit is None else seconds(time_limit)
    with graceful_interrupt("stopping; what is compiled is kept") as stop:
        done = compile_all(limit, count, stop)
    if shows:
        tell("")
    if as_json:
        print(strict_json.dumps({**done._asdict(), "folder": str(cpu.cache_folder())}))
    elif not quiet:
        rest = "" if done.whole else " (the same command goes on with the rest)"
        print(
            f"structures compiled: {done.programs}, in {done.seconds:.0f} s{rest}\nprograms  {cpu.cache_folder()}"
        )
    if stop.is_set():
        raise typer.Exit(130)
