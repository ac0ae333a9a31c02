"""The command line: parse, call, print. No logic, and nothing heavy is imported before a command runs."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from popnet._version import __version__
from popnet.errors import InputError, PopnetError
from popnet.runtime import strict_json
from popnet.runtime.durations import seconds
from popnet.runtime.sizes import bytes_of

if TYPE_CHECKING:
    from popnet.ablation.run import Study
    from popnet.course.run import Claims
    from popnet.diagnosis.run import Diagnosis
    from popnet.fitting.run import Fitted
    from popnet.options import Options

BEGAN = time.monotonic()

app = typer.Typer(
    name="popnet",
    help="Train a population of neural nets on your table or images: search, ensemble and honest score in one run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Task(StrEnum):
    """What is predicted."""

    binary = "binary"
    multiclass = "multiclass"
    regression = "regression"


class Augment(StrEnum):
    """How the transformations of images are chosen."""

    auto = "auto"
    none = "none"
    standard = "standard"


class Ensemble(StrEnum):
    """How members are combined."""

    greedy = "greedy"
    average = "average"
    vote = "vote"


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
]
ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model folder that fit has written.")
]
Table = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A table (CSV, .gz too, Parquet, Arrow/Feather, JSON lines), or images: a folder with a subfolder "
        "for each class, a table of their paths, .npz, IDX.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=RANGE",
        help="Range to search, as learning_rate=log:1e-4:1e-1, dropout=0:0.5, activation=relu,elu (repeatable).",
    ),
]
Fix = Annotated[
    list[str] | None,
    typer.Option(
        "--fix", metavar="FIELD=VALUE", help="Value to keep, as activation=relu (repeatable)."
    ),
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        help="Size of all images, as 64 or 48x64 (height x width). [default: by the data]"
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse images of which a file cannot be read.")
]


Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target", "-t", help="Column to predict (repeat for several numbers); class folders need none."
    ),
]  # fmt: skip
MemoryLimit = Annotated[
    str | None,
    typer.Option(help="For example 2GB, of the whole command. [default: 80 % of what is free]"),
]
RecipeFile = Annotated[
    Path | None, typer.Option(help="TOML or JSON file: fields in it replace the default net's.")
]
TaskOption = Annotated[Task | None, typer.Option(help="Overrules the task found from the target.")]
Weight = Annotated[str | None, typer.Option(help="Column of row weights.")]
Group = Annotated[
    str | None, typer.Option(help="Column whose equal values stay on one side of every split.")
]
TimeColumn = Annotated[
    str | None, typer.Option("--time", help="Column that orders rows: the latest are held out.")
]
Drop = Annotated[list[str] | None, typer.Option(help="Column to leave out (repeatable).")]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="Column to use even if it looks like an identifier, text or a duplicate (repeatable)."),
]  # fmt: skip
Seed = Annotated[int, typer.Option(help="Of every random choice.")]
Workers = Annotated[
    int | None, typer.Option(help="Threads, or actors of a cluster. [default: one a core]")
]


@app.command()
def fit(
    table: Table,
    target: Targets = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Model folder to write. [default: DATA's name + .popnet]")] = None,
    time_limit: Annotated[str | None, typer.Option(help="For example 90s, 5m, 1h; counts from the command's start.")] = None,
    memory_limit: MemoryLimit = None,
    members: Annotated[int | None, typer.Option(help="Nets to train, whole recipes of a net a fold. [default: 40, of images 10, or what the time allows]")] = None,
    search: Annotated[str | None, typer.Option(help="How recipes are chosen: portfolio (known ones, then a race), halving (a race), random, sobol, grid, tpe, or optuna:SAMPLER. [default: portfolio; random with --members and for images]")] = None,
    search_patience: Annotated[int | None, typer.Option(help="End the search when so many recipes have not made the ensemble better; without --members and --time-limit nothing else ends it.")] = None,
    storage: Annotated[str | None, typer.Option(help="Optuna storage that keeps the study of tpe or a sampler, as sqlite:///study.db.")] = None,
    folds: Annotated[int | None, typer.Option(help="Cross-validation folds; 1 holds out a fifth, or fewer of very many rows. [default: by rows]")] = None,
    metric: Annotated[str | None, typer.Option(help="What the ensemble is chosen for: accuracy, balanced_accuracy, f1 (these by log-loss; with the last two a class is predicted from the probability on that suits them), log_loss, roc_auc, average_precision; rmse, mae, rmsle, r2, or a pinball loss as pinball_90: then the quantile is predicted that 90 % of true values are below. [default: accuracy, rmse, or r2 of several targets]")] = None,
    ensemble: Annotated[Ensemble, typer.Option(help="How members are combined: greedy (weights chosen by held-out rows), average, or vote (of classes).")] = Ensemble.greedy,
    task: TaskOption = None,
    recipe: Annotated[Path | None, typer.Option(help="TOML or JSON file: fields in it are kept in every net, the others chosen or searched.")] = None,
    space: Annotated[Path | None, typer.Option(help="TOML file of ranges to search, in place of the default ones; known recipes are left out then.")] = None,
    set_: Set = None,
    fix: Fix = None,
    test_size: Annotated[float | None, typer.Option(help="Share of rows for the honest score. [default: by rows]")] = None,
    weight: Weight = None,
    group: Group = None,
    time_column: TimeColumn = None,
    drop: Drop = None,
    keep: Keep = None,
    image_size: ImageSize = None,
    strict: Strict = False,
    augment: Annotated[Augment, typer.Option(help="Transformations of images: found by twins, none, or a mild standard set.")] = Augment.auto,
    tta: Annotated[int | None, typer.Option(help="Views of each image that a prediction is the mean of. [default: 1; 2, with the mirror image, where nets learn from mirrored images]")] = None,
    seed: Seed = 0,
    workers: Workers = None,
    engine: Annotated[str, typer.Option(help="Where nets are trained: local, ray (processes on this machine) or ray:HOST:PORT (a cluster).")] = "local",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is in the output folder, and forget a run that was killed.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was killed: the same command with this.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
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
    from popnet.cli.status_line import Watcher
    from popnet.fitting.run import fit as run
    from popnet.report.folder import write_all
    from popnet.runtime.progress import Progress
    from popnet.tuning.journal import Journal
    from popnet.tuning.space import user_space

    options = _options(
        task, time_limit, memory_limit, drop, keep, image_size, folds=folds, members=members, search=search,
        search_patience=search_patience, storage=storage, ensemble=ensemble.value, metric=metric, recipe=user_space.recipe(recipe, fix or ()),
        ranges=user_space.merged(space, set_ or ()), test_size=test_size, weight=weight, group=group, time=time_column,
        strict=strict, augment=augment.value, tta=tta, seed=seed, workers=workers, engine=engine,
    )  # fmt: skip
    command = "popnet " + " ".join(sys.argv[1:])
    with Watcher(quiet) as watch, graceful_interrupt() as stop:
        options.check()
        journal = Journal(
            folder.with_name(folder.name + ".run"), resume, overwrite,
            warn=lambda text: watch(Progress("training", note=text)),
        )  # fmt: skip
        try:
            fitted = run(
                table, _target(target), options, on_progress=watch,
                began=BEGAN, stop=stop, command=command, journal=journal,
            )  # fmt: skip
            write_all(folder, fitted.model, fitted.facts)
            journal.done()
        finally:
            journal.close()
    _print_fit(fitted, folder, as_json, quiet)
    if fitted.interrupted:
        raise typer.Exit(130)


class graceful_interrupt:  # noqa: N801 - used like contextlib.suppress
    """Turn the first Ctrl-C into a flag that ends the work; a second one interrupts as usual.

    Args:
        first, second: what is said then.
    """

    def __init__(
        self,
        first: str = "stopping; the members that have ended become the model",
        second: str = "stopped at once; no model was written",
    ) -> None:
        self._first, self._second = first, second

    def __enter__(self) -> threading.Event:
        self._flag = threading.Event()

        def handle_sigint(number: int, frame: Any) -> None:
            if self._flag.is_set():
                print(f"popnet: {self._second}", file=sys.stderr)
                raise KeyboardInterrupt
            self._flag.set()
            print(f"popnet: {self._first}", file=sys.stderr)

        self._before = signal.signal(signal.SIGINT, handle_sigint)
        return self._flag

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def _size(text: str | None) -> tuple[int, int] | None:
    """Read an image size: ``64`` or ``48x64``."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+)(?:\s*[x×]\s*(\d+))?\s*", text)
    if not found:
        raise InputError(f"--image-size {text!r} is no size; give 64 or 48x64 (height x width).")
    height = int(found[1])
    return height, int(found[2] or height)


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
        _print_check(facts["augmentation"])
    for text in facts["warnings"]:
        print(f"  note: {text}")
    print(f"{len(facts['members'])} members in {time.monotonic() - BEGAN:.0f} s")
    print(f"model   {folder}")
    print(f"report  {folder / 'report.html'}")


def _print_check(check: dict[str, Any]) -> None:
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


@app.command()
def augment(
    folder: Annotated[str, typer.Argument(metavar="IMAGES", help="Images with classes, as fit takes them.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="PNG file for a contact sheet of the transformations.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Train twins with and without each transformation: which keep the class?")] = False,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Label column of a table of paths.")] = None,
    pairs: Annotated[int, typer.Option(min=2, help="Pairs of twins for each transformation.")] = 4,
    only: Annotated[list[str] | None, typer.Option(help="Transformation to check, as reflection, or several at once, as reflection+zoomed_crop (repeatable). [default: all]")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of a twin's training; what helps against over-fitting needs many. [default: 800]")] = None,
    train: Annotated[int | None, typer.Option(min=2, help="Images that a twin trains on. [default: 600]")] = None,
    time_limit: Annotated[str | None, typer.Option(help="Of the check, for example 5m.")] = None,
    image_size: ImageSize = None,
    strict: Strict = False,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Show transformations of images (--out), or find which of them keep the class (--check)."""
    if out is None and not check:
        raise InputError(
            "augment needs --out FILE.png for a contact sheet, --check for the twins, or both."
        )
    if out is not None and out.suffix.lower() != ".png":
        raise InputError(f"--out {out} must end in .png.")
    from popnet.ablation.transformations.run import examine
    from popnet.cli.status_line import Watcher

    options = _options(
        None, time_limit, None, None, None, image_size, strict=strict, seed=seed, workers=workers
    )
    with Watcher(quiet) as watch, graceful_interrupt() as stop:
        found = examine(folder, target, options, check=check, sheet=out is not None, pairs=pairs, only=only or (), steps=steps, train=train, on_progress=watch, stop=stop)  # fmt: skip
    if out is not None and found.sheet is not None:
        out.write_bytes(found.sheet)
    if as_json:
        print(
            strict_json.dumps(
                {
                    "check": found.check,
                    "sheet": None if out is None else str(out),
                    "notes": found.notes,
                }
            )
        )
    elif not quiet:
        if found.check is not None:
            _print_check(found.check)
        if out is not None:
            print(f"sheet   {out}")


@app.command()
def study(
    table: Table,
    target: Targets = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Page to write; a .csv of the same name goes beside it.")] = Path("study.html"),
    factor: Annotated[list[str] | None, typer.Option("--factor", "-f", help="What to vary, as dropout, activation=relu,elu, l2=0,1e-3, ensemble (repeatable). [default: all classic techniques]")] = None,
    pairs: Annotated[int | None, typer.Option(help="Pairs of twins. [default: planned from a pilot, so that --detect can be seen]")] = None,
    detect: Annotated[str | None, typer.Option(help="Smallest effect that matters, in the metric, as 0.5% or 0.005. [default: a twentieth of the base's]")] = None,
    interactions: Annotated[bool, typer.Option("--interactions", help="Also levels of different factors together.")] = False,
    sizes: Annotated[str | None, typer.Option(help="Shares of the training rows to compare at, as 0.1,0.3,1.0.")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows to use at most. [default: 10,000, or 2,000 images]")] = None,
    metric: Annotated[str, typer.Option(help="What is decided by: log_loss, which sees smaller effects, or error (wrong classes). A regression: the variance unexplained.")] = "log_loss",
    time_limit: Annotated[str | None, typer.Option(help="For example 90s, 5m; the pairs that are whole are compared.")] = None,
    memory_limit: MemoryLimit = None,
    recipe: RecipeFile = None,
    fix: Fix = None,
    task: TaskOption = None,
    weight: Weight = None,
    group: Group = None,
    time_column: TimeColumn = None,
    drop: Drop = None,
    keep: Keep = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Find what each technique buys on your data: twins that differ in one factor, with intervals; writes a page."""
    _check_page(out)
    from popnet.ablation.run import study as run
    from popnet.cli.status_line import Watcher
    from popnet.tuning.space import user_space

    options = _options(
        task, time_limit, memory_limit, drop, keep, image_size, recipe=user_space.recipe(recipe, fix or ()), weight=weight,
        group=group, time=time_column, seed=seed, workers=workers,
    )  # fmt: skip
    with Watcher(quiet) as watch, graceful_interrupt() as stop:
        found = run(
            table, _target(target), options, factor=factor or (), pairs=pairs, detect=_share("--detect", detect),
            interactions=interactions, sizes=[_share("--sizes", s) or 0.0 for s in (sizes or "").split(",") if s.strip()],
            rows=rows, metric=metric, on_progress=watch, stop=stop,
        )  # fmt: skip
    _tell(found, out, as_json, quiet, {out.with_suffix(".csv"): found.csv()})


@app.command()
def doctor(
    table: Annotated[str, typer.Argument(metavar="DATA|MODEL", help="A table or images as fit takes them, or a model folder.")],
    target: Targets = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Page to write.")] = Path("doctor.html"),
    against: Annotated[str | None, typer.Option(help="New data: is it like the training data? Nothing else is looked at then.")] = None,
    data: Annotated[str | None, typer.Option(help="Training data of the model, if it is not where it was.")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows to train on at most. [default: 10,000, or 2,000 images]")] = None,
    prove: Annotated[bool, typer.Option("--prove/--no-prove", help="Train remedies as twins.")] = True,
    time_limit: Annotated[str | None, typer.Option(help="For example 90s, 5m.")] = None,
    memory_limit: MemoryLimit = None,
    recipe: RecipeFile = None,
    fix: Fix = None,
    task: TaskOption = None,
    weight: Weight = None,
    group: Group = None,
    time_column: TimeColumn = None,
    drop: Drop = None,
    keep: Keep = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Find what is wrong with data, a net's training, or new data of a model, and prove the remedy; writes a page."""
    _check_page(out)
    from popnet.cli.status_line import Watcher
    from popnet.diagnosis.run import doctor as run
    from popnet.tuning.space import user_space

    options = _options(
        task, time_limit, memory_limit, drop, keep, image_size, recipe=user_space.recipe(recipe, fix or ()), weight=weight,
        group=group, time=time_column, seed=seed, workers=workers,
    )  # fmt: skip
    with Watcher(quiet) as watch, graceful_interrupt() as stop:
        found = run(
            table, _target(target), options, against=against, data=data, rows=rows, prove=prove, on_progress=watch,
            stop=stop,
        )  # fmt: skip
    _tell(found, out, as_json, quiet)


@app.command()
def claims(
    table: Annotated[str | None, typer.Argument(metavar="[DATA]", help="A table or images as fit takes them. [default: handwritten digits that scikit-learn bundles]")] = None,
    target: Targets = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Page to write.")] = Path("claims.html"),
    only: Annotated[list[str] | None, typer.Option(help="Number or key of a claim (repeatable). [default: all 17]")] = None,
    time_limit: Annotated[str | None, typer.Option(help="For example 5m; claims that are left are not decided. [default: 20m]")] = None,
    memory_limit: MemoryLimit = None,
    task: TaskOption = None,
    weight: Weight = None,
    group: Group = None,
    time_column: TimeColumn = None,
    drop: Drop = None,
    keep: Keep = None,
    image_size: ImageSize = None,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Run the course as experiments: 17 claims about deep nets, each with a verdict and an interval; writes a page."""
    _check_page(out)
    from popnet.cli.status_line import Watcher
    from popnet.course.run import claims as run

    options = _options(
        task, time_limit, memory_limit, drop, keep, image_size, weight=weight, group=group, time=time_column, seed=seed,
        workers=workers,
    )  # fmt: skip
    with Watcher(quiet) as watch, graceful_interrupt() as stop:
        found = run(table, _target(target), options, only=only or (), on_progress=watch, stop=stop)
    _tell(found, out, as_json, quiet)


def _options(
    task: Task | None, time_limit: str | None, memory_limit: str | None, drop: list[str] | None,
    keep: list[str] | None, image_size: str | None, **others: Any,
) -> Options:  # fmt: skip
    """Return options, of which some come as a user writes them and others as they are."""
    from popnet.options import Options

    return Options(
        task=task.value if task else None,
        time_limit=None if time_limit is None else seconds(time_limit),
        memory_limit=None if memory_limit is None else bytes_of(memory_limit),
        drop=tuple(drop or ()), keep=tuple(keep or ()), image_size=_size(image_size), **others,
    )  # fmt: skip


def _target(given: list[str] | None) -> str | list[str] | None:
    """Return one target by its name, several as a list."""
    return given[0] if given and len(given) == 1 else given


def _share(option: str, text: str | None) -> float | None:
    """Read a share that may not be given."""
    return None if text is None else _number(option, text)


def _number(option: str, text: str) -> float:
    """Read a share: ``0.5%`` or ``0.005``."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        return float(number) / (100 if percent else 1)
    except ValueError:
        raise InputError(f"{option} takes a number, as 0.5% or 0.005; got {text!r}.") from None


def _check_page(out: Path) -> None:
    """Refuse a page that could not be written, before anything is trained."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {out} must end in .html.")
    if not out.resolve().parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first.")


def _tell(
    found: Study | Diagnosis | Claims, out: Path, as_json: bool, quiet: bool, others: Mapping[Path, str] | None = None
) -> None:  # fmt: skip
    """Write the page of what was found, and other files; print it in short, or its record."""
    from popnet.report.html import write_document, write_text

    document = found.document("popnet " + shlex.join(sys.argv[1:]))
    for path, text in (others or {}).items():
        write_text(text, path)
    write_document(document, out)
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


@app.command()
def predict(
    model: ModelFolder,
    table: Table,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write: .csv, .csv.gz, .parquet or .jsonl. [default: stdout, CSV]")] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Also a column of probabilities for each class.")] = False,
    interval: Annotated[str | None, typer.Option(metavar="COVERAGE", help="Also columns TARGET_low and TARGET_high, for example 0.9: between them are the true values of 90 % of new rows.")] = None,
    quantile: Annotated[str | None, typer.Option(metavar="LEVELS", help="Also a column for each quantile, for example 0.1,0.5,0.9: TARGET_q10, which the true values of 10 % of new rows are below, and so on.")] = None,
    tta: Annotated[int | None, typer.Option(min=1, help="Views of each image that a prediction is the mean of. [default: as fitted]")] = None,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Predict a table, batch by batch: it may be larger than memory; or images."""
    from popnet.data.tables.read import read_batches
    from popnet.data.tables.write import write_batches
    from popnet.model.model import Model

    if out is not None and out.resolve() == Path(table).resolve():
        raise InputError(f"--out {out} is the table itself; give another file.")
    if out is not None and out.resolve().parent == model.resolve():
        raise InputError(f"--out {out} lies in the model's folder; give another place.")
    coverage = _share("--interval", interval)
    levels = [] if quantile is None else [_number("--quantile", q) for q in quantile.split(",")]
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
    rows = write_batches(batches, out)
    if not quiet:
        for text in dict.fromkeys(notes):
            print(f"popnet: {text}", file=sys.stderr)
        if out is not None:
            print(f"popnet: {rows:,} predictions in {out}", file=sys.stderr)


@app.command()
def evaluate(
    model: ModelFolder,
    table: Table,
    tta: Annotated[int | None, typer.Option(min=1, help="Views of each image that a prediction is the mean of. [default: as fitted]")] = None,
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


@app.command()
def show(model: ModelFolder, as_json: Json = False) -> None:
    """Describe a model: task, score, members, data."""
    from popnet.model.model import Model
    from popnet.report.describe import describe

    loaded = Model.load(model)
    if as_json:
        print(strict_json.dumps({
            "target": loaded.schema.target.model_dump(mode="json"), "method": loaded.method,
            "facts": dict(loaded.facts),
            "nets": [{"weight": float(w), "recipe": n.recipe.model_dump()} for w, n in zip(loaded.weights, loaded.nets, strict=True)],
        }))  # fmt: skip
    else:
        print("\n".join(describe(loaded)))


@app.command()
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


@app.command()
def space(
    images: Annotated[bool, typer.Option("--images", help="Of images; else of a table.")] = False,
    rows: Annotated[int, typer.Option(help="Training rows or images that it is for.")] = 10_000,
    file: Annotated[Path | None, typer.Option("--space", help="TOML file of your own ranges.")] = None,
    set_: Set = None,
    fix: Fix = None,
    toml: Annotated[bool, typer.Option("--toml", help="Print it as a file for fit --space.")] = False,
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


@app.command()
def warm(
    time_limit: Annotated[str | None, typer.Option("--time-limit", help="Begin no more after so long, for example 5m.")] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Compile the programs that tables of usual sizes need, so that their first fits begin to train at once."""
    from popnet.fitting.warming import warm as compile_all
    from popnet.runtime import cpu

    shows = not quiet and not as_json and sys.stderr.isatty()

    def tell(done: int, total: int) -> None:
        if shows:
            print(f"\r{done} of {total} structures compiled", end="", file=sys.stderr, flush=True)

    limit = None if time_limit is None else seconds(time_limit)
    with graceful_interrupt("stopping; what is compiled is kept", "stopped at once") as stop:
        done = compile_all(limit, tell, stop)
    if shows:
        print(file=sys.stderr)
    if as_json:
        print(strict_json.dumps({**done._asdict(), "folder": str(cpu.cache_folder())}))
    elif not quiet:
        rest = "" if done.whole else " (the same command goes on with the rest)"
        print(
            f"structures compiled: {done.programs}, in {done.seconds:.0f} s{rest}\nprograms  {cpu.cache_folder()}"
        )


def _version(value: bool) -> None:
    if value:
        print(f"popnet {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:  # fmt: skip
    """Train a population of neural nets on your table or images."""


def main() -> None:
    """Run the command line; users' mistakes end in one sentence and exit status 2."""
    status: Any = 0
    try:
        status = app(standalone_mode=False)
    except PopnetError as error:
        status = _say(str(error), 2)
    except KeyboardInterrupt:
        status = _say("interrupted; nothing was written", 130)
    except SystemExit as error:  # what typer makes of a reader that went away, as with `| head`
        status = 0 if isinstance(error.__context__, BrokenPipeError) else error.code
    except BrokenPipeError:
        _drop_stdout()
        status = 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _drop_stdout()
        status = _say("no space is left where the output goes; free some, or give another --out", 1)
    except typer.Abort:  # what some versions of typer make of Ctrl-C
        status = _say("interrupted; nothing was written", 130)
    except MemoryError:
        status = _say("out of memory; use fewer rows, or fewer workers (--workers 1)", 1)
    except typer.Exit as error:
        status = error.exit_code
    except Exception as error:  # usage errors carry their own text and exit status
        if not hasattr(error, "format_message"):
            raise
        status = _usage(error)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status or 0)


def _usage(error: Any) -> int:
    """Say what is wrong with the command line; a command alone gets its help."""
    text = error.format_message().strip().replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        print(text, file=sys.stderr)
        return 2
    where = context.command_path if context is not None else "popnet"
    return _say(f"{text.rstrip('.')}. See {where} --help.", 2)


def _drop_stdout() -> None:
    """Let what is still to be written go nowhere, so that leaving cannot fail on it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str, status: int) -> int:
    print(f"popnet: {' '.join(text.split())}", file=sys.stderr)
    return status
