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


TaskOption = Annotated[Task | None, typer.Option(help="Override the inferred task.")]


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


Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the page if it exists already.")
]


Seed = Annotated[int, typer.Option(help="Random seed.")]


Workers = Annotated[
    int | None, typer.Option(help="Threads, or actors of a cluster. [default: one a core]")
]


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
    keep: list[str] | None, image_size: str | None, **others: Any,
) -> Options:  # fmt: skip
    """Return options, of which some come as a user writes them and others as they are."""
    from popnet.options import Options

    return Options(
        task=task.value if task else None,
        time_limit=None if time_limit is None else seconds(time_limit),
        memory_limit=None if memory_limit is None else bytes_of(memory_limit),
        drop=tuple(drop or ()), keep=tuple(keep or ()), image_size=image_size_of(image_size), **others,
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
