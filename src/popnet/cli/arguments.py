"""What commands take: their arguments and options, and how texts become values."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from popnet.errors import InputError
from popnet.runtime.durations import seconds
from popnet.runtime.sizes import bytes_of

if TYPE_CHECKING:
    from popnet.options import Options


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


class Trees(StrEnum):
    """Which boosted trees join the nets of a table."""

    auto = "auto"
    none = "none"
    hist = "hist"
    lightgbm = "lightgbm"


class Part(StrEnum):
    """What a fit can do without."""

    trees = "trees"
    combinations = "combinations"
    importance = "importance"


class Refit(StrEnum):
    """Which rows the chosen recipes are trained on again."""

    train = "train"
    all = "all"


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
        help="A table (CSV, also gzipped, Parquet, Arrow/Feather or JSON lines), or images (a folder with a subfolder "
        "for each class, a table of image paths, .npz or IDX files).",
    ),
]


Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=RANGE",
        help="Range to search, for example learning_rate=log:1e-4:1e-1, dropout=0:0.5 or activation=relu,elu (repeatable).",
    ),
]


Fix = Annotated[
    list[str] | None,
    typer.Option(
        "--fix",
        metavar="FIELD=VALUE",
        help="Value to keep fixed, for example activation=relu (repeatable).",
    ),
]


ImageSize = Annotated[
    str | None,
    typer.Option(
        help="Resize all images to this size: 64, or 48x64 (height x width). [default: chosen from the data]"
    ),
]


Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Stop with an error if an image file cannot be read, instead of leaving it out.",
    ),
]


Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target", "-t", help="Column to predict (repeat it to predict several numbers); not needed for a folder of classes."
    ),
]  # fmt: skip


MemoryLimit = Annotated[
    str | None,
    typer.Option(
        help="Memory limit of the whole command, for example 2GB. [default: 80 % of the free memory]"
    ),
]


RecipeFile = Annotated[
    Path | None,
    typer.Option(help="TOML or JSON file whose fields replace those of the default net."),
]


TaskOption = Annotated[Task | None, typer.Option(help="Override the inferred task.")]


Weight = Annotated[str | None, typer.Option(help="Column of row weights.")]


Group = Annotated[
    str | None,
    typer.Option(
        help="Column of groups: rows with the same value stay on the same side of every split."
    ),
]


TimeColumn = Annotated[
    str | None,
    typer.Option(
        "--time", help="Column that orders the rows in time: the latest rows are held out."
    ),
]


Drop = Annotated[list[str] | None, typer.Option(help="Column to leave out (repeatable).")]


Keep = Annotated[
    list[str] | None,
    typer.Option(help="Column to use even if it looks like an identifier, text or a duplicate (repeatable)."),
]  # fmt: skip


Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the page if it exists already.")
]


Seed = Annotated[int, typer.Option(help="Random seed.")]


Workers = Annotated[
    int | None,
    typer.Option(
        help="Number of nets to train in parallel: threads, or actors of a Ray cluster. [default: one per core]"
    ),
]


TimeLimit = Annotated[
    str | None,
    typer.Option(help="For example 90s, 5m or 1h, counted from the start of the command."),
]


Page = Annotated[Path, typer.Option("--out", "-o", help="Page to write.")]


Views = Annotated[
    int | None,
    typer.Option(min=1, help="Views of each image that a prediction is averaged over. [default: as in the fit]"),
]  # fmt: skip


Decimal = Annotated[
    str | None, typer.Option(help="Decimal sign of the table's numbers: . or , [default: found]")
]


Thousands = Annotated[
    str | None,
    typer.Option(help="Sign between groups of three digits: , . ' _ or a blank. [default: found]"),
]


DayFirst = Annotated[
    bool | None,
    typer.Option("--day-first/--month-first", help="Whether 03/04/2025 is 3 April. [default: as the column's other dates show; if all fit both, month first, which is said]"),
]  # fmt: skip


NaValues = Annotated[
    list[str] | None,
    typer.Option(help='Text that means "missing" in columns of text and in the target; only these do then (repeatable; "" for none). [default: NA, None, null and the like where they are rare, and ?]'),
]  # fmt: skip


Categorical = Annotated[
    list[str] | None,
    typer.Option(help="Column whose values are categories, also if they are numbers (repeatable)."),
]


Positive = Annotated[
    str | None,
    typer.Option(help="The class of interest of two, for precision, recall, F1 and the like. [default: the greater number, yes, true, or the rarer of two words]"),
]  # fmt: skip


def image_size_of(text: str | None) -> tuple[int, int] | None:
    """Read an image size: ``64`` or ``48x64``."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+)(?:\s*[x×]\s*(\d+))?\s*", text)
    if not found:
        raise InputError(f"--image-size {text!r} is no size; give 64 or 48x64 (height x width).")
    height = int(found[1])
    return height, int(found[2] or height)


def options_of(
    task: Task | None, time_limit: str | None, memory_limit: str | None, drop: list[str] | None,
    keep: list[str] | None, image_size: str | None, *, decimal: str | None = None, thousands: str | None = None,
    day_first: bool | None = None, na_values: list[str] | None = None, categorical: list[str] | None = None,
    positive: str | None = None, **others: Any,
) -> Options:  # fmt: skip
    """Return options, of which some come as a user writes them and others as they are."""
    from popnet.data.tables.reading import ReadingChoices
    from popnet.options import Options

    reading = ReadingChoices(
        decimal=decimal, thousands=thousands, day_first=day_first, positive=positive,
        na_values=None if na_values is None else tuple(word for word in na_values if word),
        categorical=tuple(categorical or ()),
    )  # fmt: skip
    return Options(
        task=task.value if task else None,
        time_limit=None if time_limit is None else seconds(time_limit),
        memory_limit=None if memory_limit is None else bytes_of(memory_limit),
        drop=tuple(drop or ()), keep=tuple(keep or ()), image_size=image_size_of(image_size), reading=reading, **others,
    )  # fmt: skip


def target_of(given: list[str] | None) -> str | list[str] | None:
    """Return one target by its name, several as a list."""
    return given[0] if given and len(given) == 1 else given


def share_of(option: str, text: str | None) -> float | None:
    """Read a share that may not be given."""
    return None if text is None else number_of(option, text)


def number_of(option: str, text: str) -> float:
    """Read a share: ``0.5%`` or ``0.005``."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        return float(number) / (100 if percent else 1)
    except ValueError:
        raise InputError(f"{option} takes a number, as 0.5% or 0.005; got {text!r}.") from None
