"""What is to be predicted: the task, found from the target's values, and its classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from popnet.data.tables.cast import RowNumbers, refuse, show, to_numbers
from popnet.data.tables.kinds import numbers_rows
from popnet.errors import InputError, closest
from popnet.types import Task

Label = bool | int | float | str

FEW_CLASSES, ROWS_PER_CLASS = 20, 5
"""Whole numbers 0..d-1 or 1..d are classes up to this many, with this many rows each on average."""
MANY_CLASSES, EVEN_SHARE = 100, 0.25
"""... or up to this many if the rarest has at least this share of the mean count."""
IDENTIFIER_SHARE, IDENTIFIER_ROWS = 0.5, 20
"""A target of text with more classes than this share of its rows is an identifier."""
LARGEST = 1e30
"""Largest magnitude of a regression target: squares of float32 must stay finite after scaling."""


class Target(BaseModel):
    """The columns to predict.

    Attributes:
        names: one column, or several for a regression with several targets.
        task: binary, multiclass or regression.
        classes: labels in the order of their class numbers (sorted); empty for regression. They
            have the type they had in the table.
        detected: the task was found from the values, not given.
        numbering: those of the names whose values look like a numbering of the rows.
        whole_numbers: how many different values a detected regression target has, if they are whole numbers and few:
            they might be classes; else 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    names: tuple[str, ...]
    task: Literal["binary", "multiclass", "regression"]
    classes: tuple[Label, ...] = ()
    detected: bool = True
    numbering: tuple[str, ...] = ()
    whole_numbers: int = 0

    @property
    def found(self) -> str:
        """How the task was found, with the option that overrules it where another one is near."""
        if not self.detected:
            return "as asked"
        if self.whole_numbers:
            return (
                f"its {self.whole_numbers} different whole numbers are taken as numbers; --task multiclass takes "
                "them as classes"
            )
        numbers = all(isinstance(c, int | float) and not isinstance(c, bool) for c in self.classes)
        if self.task == "multiclass" and numbers:
            return "its whole numbers are taken as classes; --task regression takes them as numbers"
        return "found from its values"


def infer_target(
    frame: pl.DataFrame,
    names: Sequence[str],
    task: str | None = None,
    *,
    single_rows: bool = False,
) -> Target:
    """Find the task and the classes.

    Without ``task``: truth values and text are classes (text that is all numbers counts as
    numbers if it has more than 20 values); several targets, and numbers with a fraction, are a
    regression. Whole numbers are classes if there are two of them, or if they run without a gap
    from 0 or 1 (or are -1, 0, 1), and are at most 20 with 5 rows each on average, or at most 100
    whose rarest has a quarter of the mean count (26 letters in equal numbers are classes, 29 ages
    are not). A score from 3 to 9 is therefore a regression; ``task`` overrules.

    Args:
        frame: the table.
        names: target columns.
        task: "binary", "multiclass", "regression", or "classification" for one of the first two.
        single_rows: whether a class may have one row only.

    Raises:
        InputError: no such column, a name twice, all values missing, an unknown task; one class, a
            class with one row, more than half as many classes as rows (an identifier) if no task
            is given, not two classes for "binary", several targets for a classification; text,
            infinite or huge values, or a single value for a regression.
    """
    check_task(task)
    _check_names(frame, names)
    present = frame.select(names).drop_nulls()
    if present.height == 0:
        if len(names) > 1:
            raise InputError(f"no row has all the targets {_quote(names)}; give complete rows.")
        raise InputError(f"all values of the target column {_quote(names)} are missing; fill it.")
    detected = task is None
    if task is None:
        task = "regression" if len(names) > 1 else _detect(present[names[0]])
    if task == "regression":
        numbering = _check_regression(frame, names)
        return Target(
            names=tuple(names),
            task="regression",
            detected=detected,
            numbering=numbering,
            whole_numbers=_few_whole_numbers(present, names) if detected else 0,
        )
    if len(names) > 1:
        raise InputError(
            f"several targets ({_quote(names)}) can only be a regression; give one target for a "
            "classification."
        )
    classes = _find_classes(present[names[0]], single_rows, detected)
    if task == "binary" and len(classes) != 2:
        raise InputError(
            f"the target column '{names[0]}' has {len(classes)} classes, a binary task has 2; use "
            "task multiclass."
        )
    kind: Task = "binary" if len(classes) == 2 and task != "multiclass" else "multiclass"
    return Target(names=tuple(names), task=kind, classes=classes, detected=detected)


def check_task(task: str | None) -> None:
    """Raise an InputError if ``task`` is not a known one."""
    known = ("binary", "multiclass", "classification", "regression")
    if task is not None and task not in known:
        raise InputError(
            f"unknown task '{task}'; use one of {', '.join(known)}.{closest(task, known)}"
        )


def _quote(names: Sequence[str]) -> str:
    return ", ".join(f"'{n}'" for n in names)


def _check_names(frame: pl.DataFrame, names: Sequence[str]) -> None:
    if not names:
        raise InputError("no target is given; name the column to predict.")
    for i, name in enumerate(names):
        if name not in frame.columns:
            raise InputError(
                f"there is no target column '{name}'; the table has {frame.width} columns: "
                f"{_some(frame.columns)}.{closest(name, frame.columns)}"
            )
        if name in names[:i]:
            raise InputError(f"the target '{name}' is given twice; name each target once.")


def _some(names: Sequence[str]) -> str:
    return _quote(names[:12]) + (", …" if len(names) > 12 else "")


def _detect(values: pl.Series) -> str:
    """Return "classification" or "regression" for one target without missing values."""
    if values.dtype == pl.Boolean:
        return "classification"
    if values.dtype == pl.String:
        numbers, bad = to_numbers(values)
        as_numbers = not bad.any() and numbers.n_unique() > FEW_CLASSES
        return "regression" if as_numbers else "classification"
    if not values.dtype.is_numeric():
        return "classification"
    distinct = values.n_unique()
    if distinct <= 2:
        return "classification"
    if distinct > MANY_CLASSES or not _runs_without_gap(values.unique().sort().to_numpy()):
        return "regression"
    rows = len(values) / distinct
    if rows < ROWS_PER_CLASS:
        return "regression"
    rarest = int(values.value_counts()["count"].min())  # type: ignore[arg-type]
    few = distinct <= FEW_CLASSES or rarest >= EVEN_SHARE * rows
    return "classification" if few else "regression"


def _runs_without_gap(levels: np.ndarray) -> bool:
    if levels[0] not in (0, 1) and levels.tolist() != [-1, 0, 1]:
        return False
    return bool(np.array_equal(levels, levels[0] + np.arange(len(levels))))


def _find_classes(values: pl.Series, single_rows: bool, detected: bool) -> tuple[Label, ...]:
    name, n = values.name, len(values)
    if not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.String)):
        raise InputError(
            f"the target column '{name}' holds dates; predict a number or a class made of it."
        )
    counts = values.value_counts().sort(name)
    d = counts.height
    if d == 1:
        raise InputError(
            f"the target column '{name}' has one class, {show(counts[name][0])}, in all {n} rows; "
            "there is nothing to learn: give rows of a second class."
        )
    # Numbers of so many values are never taken for classes, unless the caller gave the task.
    if detected and n >= IDENTIFIER_ROWS and d > IDENTIFIER_SHARE * n:
        raise InputError(
            f"the target column '{name}' has {d} classes in {n} rows, so it looks like an "
            "identifier; choose another target, or give the task multiclass."
        )
    single = counts.filter(pl.col("count") == 1)[name].to_list()
    if single and not single_rows:
        listed = ", ".join(show(v) for v in single[:5]) + (", …" if len(single) > 5 else "")
        many = "classes" if len(single) > 1 else "class"
        each = "one row each" if len(single) > 1 else "one row only"
        instead = ", or use task regression" if values.dtype.is_numeric() else ""
        raise InputError(
            f"the target column '{name}' has {many} {listed} with {each}, and a split needs 2; "
            f"drop such rows or merge the class into another{instead}."
        )
    if values.dtype.is_float() and not np.isfinite(counts[name].to_numpy()).all():
        raise InputError(f"the target column '{name}' has infinite values; correct or drop them.")
    return tuple(counts[name].to_list())


def _check_regression(frame: pl.DataFrame, names: Sequence[str]) -> tuple[str, ...]:
    """Refuse what is no regression target; return the names of those that number the rows."""
    numbering = []
    for name in names:
        column = frame[name]
        numbers, bad = to_numbers(column)
        if bad.any():
            row = bad.arg_max()
            assert row is not None
            raise InputError(
                f"the target column '{name}' holds {show(column[row])} (row {row + 1}), but a "
                "regression needs numbers; choose another target or another task."
            )
        check_magnitude(name, column, numbers)
        if numbers.drop_nulls().n_unique() == 1:
            raise InputError(
                f"the target column '{name}' has one value, {numbers.drop_nulls()[0]:g}, in all "
                "rows; there is nothing to learn: choose another target."
            )
        if numbers_rows(numbers.drop_nulls()):
            numbering.append(name)
    return tuple(numbering)


def _few_whole_numbers(present: pl.DataFrame, names: Sequence[str]) -> int:
    """Return how many different whole numbers a single target has; 0 if it has others, or more than `FEW_CLASSES`."""
    if len(names) > 1 or not present[names[0]].dtype.is_numeric():
        return 0
    values = present[names[0]].unique()
    whole = bool((values == values.round()).all())
    return len(values) if whole and len(values) <= FEW_CLASSES else 0


def check_magnitude(name: str, column: pl.Series, numbers: pl.Series, rows: RowNumbers = 1) -> None:
    """Raise an InputError for an infinite or huge target value, with its row."""
    wanted = f"a number that a regression can use (finite, below {LARGEST:g})"
    refuse(name, column, (numbers.abs() > LARGEST).fill_null(False), wanted, rows)
