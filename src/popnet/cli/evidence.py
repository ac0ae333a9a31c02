"""Commands that answer questions by twins: study, doctor, claims, augment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from popnet.cli.arguments import (
    Categorical,
    DayFirst,
    Decimal,
    Drop,
    Fix,
    Group,
    ImageSize,
    Json,
    Keep,
    MemoryLimit,
    NaValues,
    Overwrite,
    Page,
    Positive,
    Quiet,
    RecipeFile,
    Seed,
    Strict,
    Table,
    Targets,
    TaskOption,
    Thousands,
    TimeColumn,
    TimeLimit,
    Weight,
    Workers,
    options_of,
    share_of,
    target_of,
)
from popnet.cli.console import BEGAN, check_page, print_check, write_page
from popnet.cli.interrupts import NOTHING_WRITTEN, graceful_interrupt
from popnet.cli.streams import tell
from popnet.errors import InputError
from popnet.runtime import strict_json
from popnet.runtime.atomic_file import check_output_file, write_atomic


def augment(
    folder: Annotated[str, typer.Argument(metavar="IMAGES", help="Images with classes, as fit takes them.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="PNG file for a contact sheet of the transformations.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Train small nets with and without each transformation, to see which keep the class.")] = False,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Label column of a table of paths.")] = None,
    pairs: Annotated[int, typer.Option(min=2, help="Pairs of nets (with and without) for each transformation; more give narrower intervals.")] = 4,
    only: Annotated[list[str] | None, typer.Option(help="Transformation to check, for example reflection, or several at once, reflection+zoomed_crop (repeatable). [default: all]")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps of each net; a transformation that prevents over-fitting needs many. [default: 800]")] = None,
    train: Annotated[int | None, typer.Option(min=2, help="Training images of each net. [default: 600]")] = None,
    time_limit: Annotated[str | None, typer.Option(help="Time limit of the check, for example 5m, counted from the start of the command.")] = None,
    image_size: ImageSize = None,
    strict: Strict = False,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Show what transformations do to your images (--out), or measure which of them help and which harm (--check)."""
    if out is None and not check:
        raise InputError(
            "augment needs --out FILE.png (a contact sheet), --check (train nets with and without), or both."
        )
    if out is not None:
        check_output_file("--out", out, (".png",))
    from popnet.ablation.transformations.run import examine
    from popnet.cli.status_line import Watcher
    from popnet.report.fit_page.facts import to_json

    options = options_of(
        None, time_limit, None, None, None, image_size, strict=strict, seed=seed, workers=workers
    )
    message = "interrupted; showing what was found so far (press Ctrl-C again to stop at once)"
    with Watcher(quiet) as watch, graceful_interrupt(message) as stop:
        try:
            found = examine(folder, target, options, check=check, sheet=out is not None, pairs=pairs, only=only or (), steps=steps, train=train, on_progress=watch, began=BEGAN, stop=stop)  # fmt: skip
        except InputError:
            if not stop.is_set():
                raise
            tell(NOTHING_WRITTEN)
            raise typer.Exit(130) from None
    if out is not None and found.sheet is not None:
        write_atomic(out, found.sheet)
    if as_json:
        print(
            strict_json.dumps(
                {
                    "check": None if found.check is None else to_json(found.check),
                    "sheet": None if out is None else str(out),
                    "notes": found.notes,
                }
            )
        )
    elif not quiet:
        if found.check is not None:
            print_check(found.check, bool(found.classes))
        if out is not None:
            print(f"sheet   {out}")
    if stop.is_set():
        raise typer.Exit(130)


def study(
    table: Table,
    target: Targets = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Page to write; a .csv of the same name goes beside it.")] = Path("study.html"),
    factor: Annotated[list[str] | None, typer.Option("--factor", "-f", help="What to change: a field of the recipe, with values or without, for example dropout, activation=relu,elu, l2=0,1e-3; or ensemble; or seed, which changes nothing else (repeatable). [default: all classic techniques]")] = None,
    pairs: Annotated[int | None, typer.Option(help="Pairs of nets (baseline and changed) for each change. [default: as many as it takes to detect --detect, planned from the first 4]")] = None,
    detect: Annotated[str | None, typer.Option(help="Smallest change of the metric that matters, for example 0.005 or 0.5%. [default: 5 % of the baseline's]")] = None,
    interactions: Annotated[bool, typer.Option("--interactions", help="Also try changes of different factors two at a time.")] = False,
    sizes: Annotated[str | None, typer.Option(help="Also compare with fewer training rows: shares, for example 0.1,0.3.")] = None,
    rows: Annotated[int | None, typer.Option(help="Most rows to use. [default: 10,000, or 2,000 images]")] = None,
    metric: Annotated[str, typer.Option(help="Metric to compare by: log_loss, which detects smaller changes, or error (share of wrong classes). Regressions always use the unexplained share of the variance.")] = "log_loss",
    time_limit: Annotated[str | None, typer.Option(help="For example 90s or 5m, counted from the start of the command; what was trained by then is compared.")] = None,
    memory_limit: MemoryLimit = None,
    recipe: RecipeFile = None,
    fix: Fix = None,
    task: TaskOption = None,
    weight: Weight = None,
    group: Group = None,
    time_column: TimeColumn = None,
    drop: Drop = None,
    keep: Keep = None,
    categorical: Categorical = None,
    positive: Positive = None,
    na_values: NaValues = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    day_first: DayFirst = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    workers: Workers = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Measure which techniques help, harm or make no difference on your data, one change at a time; writes a page."""
    check_page(out, overwrite, [out.with_suffix(".csv")], [table])
    from popnet.ablation.run import study as run
    from popnet.tuning.space import user_space

    options = options_of(
        task, time_limit, memory_limit, drop, keep, image_size, categorical=categorical, positive=positive,
        na_values=na_values, decimal=decimal, thousands=thousands, day_first=day_first, recipe=user_space.recipe(recipe, fix or ()), weight=weight,
        group=group, time=time_column, seed=seed, workers=workers,
    )  # fmt: skip
    effect, shares = share_of("--detect", detect), [share_of("--sizes", s) or 0.0 for s in (sizes or "").split(",") if s.strip()]  # fmt: skip
    write_page(
        lambda watch, stop: run(
            table, target_of(target), options, factor=factor or (), pairs=pairs, detect=effect, interactions=interactions,
            sizes=shares, rows=rows, metric=metric, on_progress=watch, began=BEGAN, stop=stop,
        ),
        out, as_json, quiet, lambda found: {out.with_suffix(".csv"): found.csv()},
    )  # fmt: skip


def doctor(
    table: Annotated[str, typer.Argument(metavar="DATA|MODEL", help="A table or images, as fit takes them, or a model folder.")],
    target: Targets = None,
    out: Page = Path("doctor.html"),
    against: Annotated[str | None, typer.Option(help="Table of new data to compare with the training data; nothing else is checked then.")] = None,
    data: Annotated[str | None, typer.Option(help="Training data of the model, if it has been moved.")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows that nets are trained on, at most. [default: 10,000, or 2,000 images]")] = None,
    prove: Annotated[bool, typer.Option("--prove/--no-prove", help="Test each remedy by training nets with and without it.")] = True,
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    recipe: RecipeFile = None,
    fix: Fix = None,
    task: TaskOption = None,
    weight: Weight = None,
    group: Group = None,
    time_column: TimeColumn = None,
    drop: Drop = None,
    keep: Keep = None,
    categorical: Categorical = None,
    positive: Positive = None,
    na_values: NaValues = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    day_first: DayFirst = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    workers: Workers = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Find what is wrong with data, with training, or with new data of a model; test remedies; write a page."""
    check_page(out, overwrite, read=[table, data, against])
    from popnet.diagnosis.run import doctor as run
    from popnet.tuning.space import user_space

    options = options_of(
        task, time_limit, memory_limit, drop, keep, image_size, categorical=categorical, positive=positive,
        na_values=na_values, decimal=decimal, thousands=thousands, day_first=day_first, recipe=user_space.recipe(recipe, fix or ()), weight=weight,
        group=group, time=time_column, seed=seed, workers=workers,
    )  # fmt: skip
    write_page(
        lambda watch, stop: run(
            table, target_of(target), options, against=against, data=data, rows=rows, prove=prove, on_progress=watch, began=BEGAN,
            stop=stop,
        ),
        out, as_json, quiet,
    )  # fmt: skip


def claims(
    table: Annotated[str | None, typer.Argument(metavar="[DATA]", help="A table or images, as fit takes them. [default: scikit-learn's handwritten digits]")] = None,
    target: Targets = None,
    out: Page = Path("claims.html"),
    only: Annotated[list[str] | None, typer.Option(help="Number or key of a claim to test (repeatable). [default: all 17]")] = None,
    time_limit: Annotated[str | None, typer.Option(help="For example 5m, counted from the start of the command; claims that remain then are not decided. [default: 20m]")] = None,
    memory_limit: MemoryLimit = None,
    task: TaskOption = None,
    weight: Weight = None,
    group: Group = None,
    time_column: TimeColumn = None,
    drop: Drop = None,
    keep: Keep = None,
    categorical: Categorical = None,
    positive: Positive = None,
    na_values: NaValues = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    day_first: DayFirst = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    workers: Workers = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Test 17 claims that courses make about neural nets, each with a verdict and an interval; write a page."""
    check_page(out, overwrite, read=[table])
    from popnet.course.run import claims as run

    options = options_of(
        task, time_limit, memory_limit, drop, keep, image_size, categorical=categorical, positive=positive,
        na_values=na_values, decimal=decimal, thousands=thousands, day_first=day_first, weight=weight, group=group, time=time_column, seed=seed,
        workers=workers,
    )  # fmt: skip
    write_page(
        lambda watch, stop: run(
            table, target_of(target), options, only=only or (), on_progress=watch, began=BEGAN, stop=stop
        ),
        out, as_json, quiet,
    )  # fmt: skip
