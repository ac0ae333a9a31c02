"""Tables with a column of image paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import polars as pl

from popnet.data.images.files import is_image_name
from popnet.data.images.load import load_files
from popnet.data.images.pictures import (
    PART_NAMES,
    Pictures,
    ReadOptions,
    check_number,
    counted,
    own_parts,
)
from popnet.data.tables.read import FORMATS, first_rows, read_table
from popnet.errors import InputError, closest

_LOOKED_AT = 20
"""So many values of a column tell whether it holds image paths."""
_SPLIT_NAMES = ("split", "part", "subset")


def is_image_table(path: str | PathLike[str]) -> bool:
    """Whether a table's first rows have image paths in a column of text; False if unreadable."""
    if not any(suffix.lower() in FORMATS for suffix in Path(path).suffixes[-2:]):
        return False
    try:
        frame = first_rows(path)
    except InputError:
        return False
    return frame is not None and _path_column(frame) is not None


def read_image_table(path: Path, wish: ReadOptions) -> Pictures:
    """Read the images that a table names, relative to its folder.

    Raises:
        InputError: no column of image paths, no or several columns that could be the target, no
            file found, fewer than 10 images; see `popnet.data.tables.read.read_table`.
    """
    frame = read_table(path)
    column = _path_column(frame)
    if column is None:
        raise InputError(
            f"{path} has no column of image paths (text that ends with .png, .jpg, ...); its "
            f"columns are {_quote(frame.columns)}: add one."
        )
    split = _split_column(frame)
    target = _target(frame, column, split, wish.target, path) if wish.need_labels else None
    notes = []
    whole = frame.drop_nulls(column)
    if whole.height < frame.height:
        lost = counted(frame.height - whole.height, "row")
        notes.append(f"{lost} without an image path, left out")
    if target is not None:
        labelled = whole.drop_nulls(target)
        if labelled.height < whole.height:
            lost = counted(whole.height - labelled.height, "row")
            notes.append(f"{lost} without a value of '{target}', left out")
        whole = labelled
    if whole.height == 0:
        raise InputError(f"no row of {path} has an image path and a label; fill them.")
    names = whole[column].to_list()
    files = [_locate(path.parent, name) for name in names]
    if not any(file.is_file() for file in files):
        raise InputError(
            f"none of the {len(names):,} image files of {path} is there: the first, '{names[0]}', "
            f"was looked for in {path.parent.absolute()}; give paths relative to the table's "
            "folder, or absolute ones."
        )
    loaded = load_files(files, names, wish, path)
    pictures = replace(loaded.pictures, notes=loaded.pictures.notes + notes)
    if split is not None:
        codes = [PART_NAMES[value.lower()] for value in whole[split].gather(loaded.kept)]
        pictures = replace(pictures, parts=own_parts(np.asarray(codes, np.int8)))
    if target is None:
        return pictures
    labels = whole[target].gather(loaded.kept).to_list()
    check_number(len(labels), path)
    return replace(pictures, labels=labels, label_name=target)


def _path_column(frame: pl.DataFrame) -> str | None:
    for column in frame:
        if column.dtype == pl.String:
            first = column.drop_nulls().head(_LOOKED_AT).to_list()
            if first and all(is_image_name(value) for value in first):
                return column.name
    return None


def _split_column(frame: pl.DataFrame) -> str | None:
    for column in frame:
        if column.name.lower() in _SPLIT_NAMES and column.dtype == pl.String:
            values = column.unique().to_list()
            if all(value is not None and value.lower() in PART_NAMES for value in values):
                return column.name
    return None


def _target(
    frame: pl.DataFrame, column: str, split: str | None, target: str | None, path: Path
) -> str:
    others = [name for name in frame.columns if name not in (column, split)]
    if target is None:
        if len(others) == 1:
            return others[0]
        what = f"{len(others)} columns" if others else "no column"
        raise InputError(
            f"{path} has {what} beside the image paths of '{column}'; name the target, one of its "
            f"columns {_quote(frame.columns)}."
        )
    if target not in frame.columns:
        raise InputError(
            f"there is no target column '{target}' in {path}; its columns are "
            f"{_quote(frame.columns)}.{closest(target, frame.columns)}"
        )
    if target == column:
        raise InputError(
            f"the target column '{target}' of {path} holds the image paths; name another column."
        )
    return target


def _locate(folder: Path, name: str) -> Path:
    path = folder / name
    if "\\" in name and not path.exists():  # written on Windows
        return folder / name.replace("\\", "/")
    return path


def _quote(names: Sequence[str]) -> str:
    return ", ".join(f"'{n}'" for n in names[:12]) + (", …" if len(names) > 12 else "")
