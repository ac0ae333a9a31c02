"""The folder that a model lies in: which files there are, and writing it so that a half-written one is never there."""

from __future__ import annotations

import os
import shutil
import stat
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from popnet.errors import InputError
from popnet.runtime.atomic_file import exchange, write_together

if TYPE_CHECKING:
    from popnet.model.model import Model

MODEL, WEIGHTS, REPORT, POPULATION = (
    "model.json",
    "weights.safetensors",
    "report.html",
    "population.parquet",
)


OWN_FILES = frozenset({MODEL, WEIGHTS, REPORT, POPULATION})


def check_output(folder: Path, overwrite: bool = False) -> None:
    """Refuse an output folder before any work is done.

    Raises:
        InputError: it holds a model (unless ``overwrite``) or anything else (always: only models are replaced), is the
            folder that one is in, cannot be written to, or holds a model that this user may not remove.
    """
    place = folder.resolve()
    try:
        if lost(folder) and not place.exists():
            _beside(place)[1].rename(place)
        if place.exists() and not place.is_dir():
            raise InputError(f"{folder} is a file; give --out the name of a folder.")
        if place in (Path.cwd(), *Path.cwd().parents):
            raise InputError(
                f"{folder} is the current folder, or contains it; give --out a new name."
            )
        held = {f.name for f in place.iterdir()} if place.is_dir() else set[str]()
        if others := sorted(held - OWN_FILES):
            raise InputError(
                f"{folder} holds other files ({others[0]}); give --out the name of a new folder."
            )
        if held and not overwrite:
            raise InputError(
                f"{folder} holds a model already; choose another --out, or give --overwrite."
            )
        if held and not _may_be_removed(place):
            raise InputError(
                f"{folder} holds a model that you may not remove; choose another --out, or change its permissions."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        probe = place.with_name(f".{place.name}.probe")
        try:
            probe.write_bytes(b"popnet")
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}.") from None


def write_folder(folder: Path, model: Model, files: Mapping[str, bytes] | None = None) -> None:
    """Write a model folder as a whole or not at all: beside its place first, then moved there.

    Args:
        folder: its place; a model that is there is replaced only once the new one is complete.
        model: to save.
        files: further files, name -> content.

    Raises:
        InputError: the disk is full or cannot be written, or the folder holds other files by now; nothing
            half-written is left.
    """
    check_output(folder, overwrite=True)
    place = folder.resolve()
    new, old = _beside(place)
    exchanged = False
    try:
        _remove(new)
        new.mkdir()
        model.save(new)
        write_together(new, files or {})
        if not place.exists():
            new.rename(place)
        elif not (exchanged := exchange(new, place)):
            _remove(old)
            place.rename(old)
            new.rename(place)
    except BaseException as error:  # an interrupt, too
        if not exchanged:
            _remove(new)
            if old.exists() and not place.exists():
                old.rename(place)
        if isinstance(error, OSError):
            raise InputError(f"{folder} cannot be written: {error.strerror or error}.") from None
        raise
    for left in (new, old):
        _remove(left)
        if left.exists():
            warnings.warn(
                f"{folder} is replaced, but the earlier model cannot be removed; it lies in {left}",
                stacklevel=2,
            )


def lost(folder: Path) -> str:
    """Return where the earlier model of a folder lies that is not there, "" if it lies nowhere.

    Where folders cannot change places in one step, a process that is killed between two leaves it there.
    """
    _, old = _beside(folder.resolve())
    if not (old / MODEL).is_file():
        return ""
    return f"replacing it was cut short, and the earlier model lies in {old}: rename that."


def _beside(place: Path) -> tuple[Path, Path]:
    """Return the places of the new and of the earlier model while a folder is replaced."""
    new, old = (place.with_name(f".{place.name}.{what}") for what in ("new", "old"))
    return new, old


def _may_be_removed(place: Path) -> bool:
    """Whether this user may move a folder away and remove it."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return True
    known, around = place.stat(), place.parent.stat()
    if known.st_uid == os.geteuid():  # its permissions can be changed
        return True
    sticky = around.st_mode & stat.S_ISVTX and around.st_uid != os.geteuid()
    return os.access(place, os.W_OK | os.X_OK) and not sticky


def _remove(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there, also where it is protected from writing."""
    with suppress(OSError):
        folder.chmod(0o700)
        for file in folder.iterdir():
            file.chmod(0o600)
    shutil.rmtree(folder, ignore_errors=True)
