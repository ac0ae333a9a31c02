"""Commands that make models and use them: fit, predict, evaluate, show."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from popnet.cli.arguments import (
    Augment,
    Categorical,
    DayFirst,
    Decimal,
    Drop,
    Ensemble,
    Fix,
    Group,
    ImageSize,
    Json,
    Keep,
    MemoryLimit,
    ModelFolder,
    NaValues,
    Part,
    Positive,
    Quiet,
    Refit,
    Seed,
    Set,
    Strict,
    Table,
    Targets,
    TaskOption,
    Thousands,
    TimeColumn,
    TimeLimit,
    Trees,
    Views,
    Weight,
    Workers,
    number_of,
    options_of,
    share_of,
    target_of,
)
from popnet.cli.console import BEGAN, print_fit
from popnet.cli.interrupts import end_with, graceful_interrupt, on_interrupt, unwind
from popnet.cli.streams import tell
from popnet.errors import InputError
from popnet.runtime import strict_json
from popnet.runtime.atomic_file import check_output_file


def fit(
    table: Table,
    target: Targets = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Model folder to write. [default: DATA's name + .popnet]")] = None,
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    members: Annotated[int | None, typer.Option(help="Number of nets to train, rounded up to whole recipes (a net for each fold). [default: 40, 10 for images, or as many as --time-limit allows]")] = None,
    search: Annotated[str | None, typer.Option(help="How recipes are chosen: portfolio (recipes that are known to be good, then successive halving), halving, random, sobol, grid, tpe, or optuna:SAMPLER. [default: portfolio; random with --members and for images]")] = None,
    search_patience: Annotated[int | None, typer.Option(help="End the search after so many recipes that have not improved the ensemble; without --members and --time-limit nothing else ends it.")] = None,
    storage: Annotated[str | None, typer.Option(help="Optuna storage for the study of tpe or an Optuna sampler, for example sqlite:///study.db.")] = None,
    folds: Annotated[int | None, typer.Option(help="Cross-validation folds; 1 holds out a fifth of the rows, or less of very large tables. [default: by the number of rows]")] = None,
    metric: Annotated[str | None, typer.Option(help="Metric to optimise. Classes: accuracy, balanced_accuracy, f1 (for these three the ensemble is chosen by log-loss; for the last two class thresholds are tuned), log_loss, roc_auc, average_precision. Numbers: rmse, mae, rmsle, r2, or a pinball loss such as pinball_90, with which the 90 % quantile is predicted. [default: accuracy, rmse, or r2 of several targets]")] = None,
    ensemble: Annotated[Ensemble, typer.Option(help="How nets are combined: greedy (weights chosen on held-out rows), average, or vote (classes only).")] = Ensemble.greedy,
    trees: Annotated[Trees, typer.Option(help="Boosted trees that are fitted to a table beside the nets, as a baseline and as members of the ensemble: hist (scikit-learn's), lightgbm (if that is installed), none, or auto (hist, unless --recipe or --fix is given).")] = Trees.auto,
    without: Annotated[list[Part] | None, typer.Option(help="Leave out a part (repeatable): trees (the ensemble is made of nets alone, as with --trees none), combinations (columns made of two others are not sought), or importance (which columns matter is not measured).")] = None,
    refit: Annotated[Refit | None, typer.Option(help="Train the recipes of the ensemble once more, on no folds: on all training rows (train), which the test part then scores, or on the test part as well (all), after which no rows are left to score them.")] = None,
    task: TaskOption = None,
    recipe: Annotated[Path | None, typer.Option(help="TOML or JSON file whose fields are fixed in every net; the others are chosen or searched.")] = None,
    space: Annotated[Path | None, typer.Option(help="TOML file of ranges to search instead of the default ones; the portfolio's known recipes are then left out.")] = None,
    set_: Set = None,
    fix: Fix = None,
    test_size: Annotated[float | None, typer.Option(help="Share of the rows that is held out to score the model. [default: by the number of rows]")] = None,
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
    strict: Strict = False,
    augment: Annotated[Augment, typer.Option(help="Transformations of training images: auto (those that help in trainings with and without them), none, or standard (a mild fixed set).")] = Augment.auto,
    tta: Annotated[int | None, typer.Option(help="Views of each image that a prediction is averaged over. [default: 1, or 2 (with the mirror image) if nets are trained on mirrored images]")] = None,
    seed: Seed = 0,
    workers: Workers = None,
    engine: Annotated[str, typer.Option(help="Where nets are trained: local, ray (processes on this machine) or ray:HOST:PORT (a cluster).")] = "local",
    track: Annotated[list[str] | None, typer.Option(metavar="TRACKER", help="Log the finished fit to a tracker: mlflow, mlflow:URI (a server or database) or tensorboard:DIR. Repeat it for several.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model in the output folder, and discard a run that was killed.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was killed: repeat its command with this option.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    live: Annotated[bool, typer.Option("--watch", help="Show the population while it trains, on a terminal: the ensemble's score so far, the best recipe, what became of the nets, memory.")] = False,
) -> None:  # fmt: skip
    """Fit an ensemble of nets to a table or to images; writes a model folder with its report."""
    folder = out or Path(
        re.sub(
            r"(\.(csv|tsv|parquet|arrow|feather|ipc|jsonl|ndjson|gz|npz))+$",
            "",
            Path(table).resolve().name,
        )
        + ".popnet"
    )
    from popnet.model.folder import check_output

    check_output(folder, overwrite)
    from popnet.cli.live_view import LiveView
    from popnet.cli.status_line import Watcher
    from popnet.fitting.run import fit as run
    from popnet.report.folder import write_all
    from popnet.runtime.progress import Progress
    from popnet.tracking.run import Tracking
    from popnet.tuning.journal import Journal
    from popnet.tuning.space import user_space

    options = options_of(
        task, time_limit, memory_limit, drop, keep, image_size, categorical=categorical, positive=positive,
        na_values=na_values, decimal=decimal, thousands=thousands, day_first=day_first, folds=folds, members=members, search=search,
        search_patience=search_patience, storage=storage, ensemble=ensemble.value, metric=metric, recipe=user_space.recipe(recipe, fix or ()),
        ranges=user_space.merged(space, set_ or ()), refit=None if refit is None else refit.value, test_size=test_size, weight=weight, group=group, time=time_column,
        trees="none" if Part.trees in (without or ()) else trees.value, combinations=Part.combinations not in (without or ()), importance=Part.importance not in (without or ()), strict=strict, augment=augment.value, tta=tta, seed=seed, workers=workers, engine=engine,
    )  # fmt: skip
    command = "popnet " + " ".join(sys.argv[1:])
    tracking = Tracking.of(track)
    with (LiveView if live else Watcher)(quiet) as watch, graceful_interrupt() as stop:
        options.check()
        journal = Journal(
            folder.with_name(folder.name + ".run"), resume, overwrite,
            warn=lambda text: watch(Progress("training", note=text)),
        )  # fmt: skip
        try:
            fitted = run(
                table, target_of(target), options, on_progress=watch,
                began=BEGAN, stop=stop, command=command, journal=journal,
            )  # fmt: skip
            write_all(folder, fitted.model, fitted.facts)
            journal.done()
        finally:
            journal.close()
    with on_interrupt(end_with(f"the model is in {folder}")):
        tracked = tracking.log(fitted.facts, options, folder)
    print_fit(fitted, folder, as_json, quiet, tracked)
    if fitted.interrupted:
        raise typer.Exit(130)


def predict(
    model: ModelFolder,
    table: Table,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write: .csv, .csv.gz, .parquet or .jsonl. [default: CSV on stdout]")] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Also write a column of probabilities for each class.")] = False,
    interval: Annotated[str | None, typer.Option(metavar="COVERAGE", help="Also write prediction intervals of this coverage, as columns TARGET_low and TARGET_high: with 0.9, they hold the true values of 90 % of new rows.")] = None,
    quantile: Annotated[str | None, typer.Option(metavar="LEVELS", help="Also write a column for each of these quantiles: 0.1,0.5,0.9 gives TARGET_q10, TARGET_q50 and TARGET_q90.")] = None,
    tta: Views = None,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Predict the rows of a table (batch by batch: it may be larger than memory), or images."""
    from popnet.data.tables.read import read_batches
    from popnet.data.tables.write import write_batches
    from popnet.model.model import Model

    if out is not None and out.resolve() == Path(table).resolve():
        raise InputError(f"--out {out} is the table itself; give another file.")
    if out is not None and out.resolve().parent == model.resolve():
        raise InputError(f"--out {out} lies in the model's folder; give another place.")
    if out is not None:
        check_output_file("--out", out, (".csv", ".csv.gz", ".jsonl", ".ndjson", ".parquet"))
    coverage = share_of("--interval", interval)
    levels = [] if quantile is None else [number_of("--quantile", q) for q in quantile.split(",")]
    loaded = Model.load(model).with_views(tta)
    if coverage is not None or levels:
        loaded.intervals(coverage, levels)
    notes: list[str] = []
    if loaded.encoder.image is not None:
        from popnet.cli.status_line import Watcher
        from popnet.runtime.progress import Progress

        with Watcher(quiet) as watch:
            pictures = loaded.encoder.image.read(
                table,
                strict=strict,
                on_progress=lambda d, n: watch(Progress("reading images", d, n)),
            )
        notes = pictures.notes
        batches = iter([
            loaded.predict_pictures(pictures, proba=proba, interval=coverage, quantiles=levels)
        ])  # fmt: skip
    else:
        batches = loaded.predict_batches(
            read_batches(table), proba=proba, interval=coverage, quantiles=levels, report=notes
        )
    with on_interrupt(unwind):
        rows = write_batches(batches, out)
    if not quiet:
        for text in dict.fromkeys(notes):
            tell(f"popnet: {text}")
        if out is not None:
            tell(f"popnet: {rows:,} predictions in {out}")


def evaluate(
    model: ModelFolder,
    table: Table,
    tta: Views = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Score a model on a table that has the target, or on images (on their test part, if they have one)."""
    from popnet.data.tables.read import read_batches
    from popnet.model.model import Model

    loaded = Model.load(model).with_views(tta)
    if (form := loaded.encoder.image) is not None:
        name = loaded.encoder.target.names[0]
        rows, values = loaded.evaluate_pictures(form.read(table, target=name, labels=True))
    else:
        rows, values = loaded.evaluate(read_batches(table))
    if as_json:
        print(strict_json.dumps({"rows": rows, "metrics": values}))
    elif not quiet:
        print(f"{rows:,} rows")
        for name, value in values.items():
            print(f"  {name:<18} {value:.5g}")


def show(model: ModelFolder, as_json: Json = False) -> None:
    """Describe a model: task, score, nets, data."""
    from popnet.model import facts
    from popnet.model.model import Model
    from popnet.report.describe import describe

    loaded = Model.load(model)
    if as_json:
        print(strict_json.dumps({
            "target": loaded.schema.target.model_dump(mode="json"), "method": loaded.method,
            "facts": facts.to_json(loaded.facts),
            "nets": [{"weight": float(w), "recipe": n.recipe.model_dump()} for w, n in zip(loaded.weights, loaded.nets, strict=False)],
            "trees": [{"weight": float(w)} for w in loaded.tree_weights],
        }))  # fmt: skip
    else:
        print("\n".join(describe(loaded)))
