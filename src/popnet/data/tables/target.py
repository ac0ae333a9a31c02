"""What is to be predicted: the task, found from the target's values, and its classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from popnet.data.tables import number_format
from popnet.data.tables.cast import (
    RowNumbers,
    has_leading_zeros,
    like_thousands,
    refuse,
    show,
    to_numbers,
)
from popnet.data.tables.formats import is_known
from popnet.data.tables.kinds import MAX_SPELLINGS, numbers_rows, other_number
from popnet.data.tables.markers import (
    NULL_TOKENS,
    RARE_SHARE,
    is_marker,
    truth_pair,
)
from popnet.data.tables.reading import GUESSED, ReadingChoices
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
        classes: labels in the order of their class numbers: sorted, but of two the positive one is last; empty for
            regression. They have the type they had in the table.
        detected: the task was found from the values, not given.
        numbering: those of the names whose values look like a numbering of the rows.
        whole_numbers: how many different values a detected regression target has, if they are whole numbers and few:
            they might be classes; else 0.
        formats: how the text of each column writes numbers, see `popnet.data.tables.number_format`; empty if none is
            text that is read as numbers.
        nulls: words that mean "missing" in a target of text.
        guesses: what was taken in one of two ways that fit, with the option that takes it the other way.
        positive_guessed: whether the positive one of two words is so for being rarer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    names: tuple[str, ...]
    task: Literal["binary", "multiclass", "regression"]
    classes: tuple[Label, ...] = ()
    detected: bool = True
    numbering: tuple[str, ...] = ()
    whole_numbers: int = 0
    formats: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    guesses: tuple[str, ...] = ()
    positive_guessed: bool = False

    def check(self) -> None:
        """Raise ValueError if the classes of a target that was read from a file do not fit its task."""
        classes = len(self.classes)
        fits = {"regression": classes == 0, "binary": classes == 2, "multiclass": classes >= 2}
        guessed = self.positive_guessed and self.task != "binary"
        if not self.names or not fits[self.task] or guessed or (classes and len(self.names) > 1):
            raise ValueError("the target's classes do not fit its task")
        if not all(map(is_known, self.formats)):
            raise ValueError("a format of the target is not known")
        if len(set(self.names)) < len(self.names) or len(set(map(repr, self.classes))) < classes:
            raise ValueError("a target or a class is there twice")

    @property
    def positive(self) -> Label | None:
        """The positive class: of precision, recall, F1 and the areas under curves; None but of a binary task."""
        return self.classes[-1] if self.task == "binary" else None

    @property
    def found(self) -> str:
        """How the task was found."""
        return "found from its values" if self.detected else "as asked"

    @property
    def rivals(self) -> tuple[str, ...]:
        """What else the target might be, a sentence each with the option that takes it so."""
        name = self.names[0]
        said: list[str] = []
        numbers = all(isinstance(c, int | float) and not isinstance(c, bool) for c in self.classes)
        if self.detected and self.whole_numbers:
            said.append(
                f"the target '{name}': its {self.whole_numbers} different whole numbers are taken as numbers; "
                "--task multiclass takes them as classes"
            )
        elif self.detected and self.task == "multiclass" and numbers:
            said.append(
                f"the target '{name}': its whole numbers are taken as classes; --task regression takes them as numbers"
            )
        if self.positive_guessed:
            said.append(
                f"the positive class of '{name}' is {show(self.classes[-1])}, not the more frequent one; "
                f"--positive {show(self.classes[0])} takes the other"
            )
        return (*said, *self.guesses)


def infer_target(
    frame: pl.DataFrame,
    names: Sequence[str],
    task: str | None = None,
    *,
    single_rows: bool = False,
    reading: ReadingChoices = GUESSED,
    likely_decimal: str = "",
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
        reading: what the user says about how values are read.
        likely_decimal: the decimal sign of other columns.

    Raises:
        InputError: no such column, a name twice, all values missing, an unknown task; one class, a
            class with one row, more than half as many classes as rows (an identifier) if no task
            is given, not two classes for "binary", several targets for a classification; text,
            infinite or huge values, or a single value for a regression.
    """
    check_task(task)
    _check_names(frame, names)
    written = [_as_written(frame[name], task, reading, likely_decimal) for name in names]
    formats = tuple(w.format or "" for w in written) if any(w.format is not None for w in written) else ()  # fmt: skip
    nulls = tuple(dict.fromkeys(n for w in written for n in w.nulls))
    guesses = tuple(g for w in written for g in w.guesses)
    frame = frame.with_columns(w.values for w in written)
    present = frame.select(names).drop_nulls()
    if present.height == 0:
        if len(names) > 1:
            raise InputError(f"no row has all the targets {_quote(names)}; give complete rows.")
        raise InputError(f"all values of the target column {_quote(names)} are missing; fill it.")
    detected = task is None
    if task is None:
        task = "regression" if len(names) > 1 else _detect(present[names[0]], reading)
    if task == "regression":
        numbering = _check_regression(frame, names)
        return Target(
            names=tuple(names),
            task="regression",
            detected=detected,
            numbering=numbering,
            whole_numbers=_few_whole_numbers(present, names) if detected else 0,
            formats=formats,
            nulls=nulls,
            guesses=guesses,
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
    guessed = False
    if kind == "binary":
        counts = present[names[0]].value_counts(name="rows")
        rows = dict(zip(counts[names[0]].to_list(), counts["rows"].to_list(), strict=True))
        classes, guessed = _positive_last(classes, rows, reading.positive)
    elif reading.positive is not None:
        raise InputError(
            f"positive names one of two classes, but the target column '{names[0]}' has {len(classes)}."
        )
    return Target(
        names=tuple(names),
        task=kind,
        classes=classes,
        detected=detected,
        positive_guessed=guessed,
        formats=formats,
        nulls=nulls,
        guesses=guesses,
    )


class _Written(NamedTuple):
    """A target as it is to be taken: its values, and how text was read (None: it was not read as numbers)."""

    values: pl.Series
    format: str | None = None
    nulls: tuple[str, ...] = ()
    guesses: tuple[str, ...] = ()


def _as_written(
    column: pl.Series, task: str | None, reading: ReadingChoices, likely_decimal: str
) -> _Written:
    """Read a target of text: numbers in whatever format, classes, and words for "missing".

    Raises:
        InputError: a null token may be a class or mean "missing".
    """
    if column.dtype != pl.String:
        return _Written(column)
    text = column.str.strip_chars()
    nulls: tuple[str, ...] = ()
    if reading.na_values is not None:
        nulls = reading.na_values
        text = text.set(text.is_in(list(nulls)), None)
    counts = text.drop_nulls().value_counts(name="rows")
    words = counts[column.name]
    marked = is_marker(words)
    real = words.filter(~marked)
    numbers = number_format.find(real, reading.decimal, reading.thousands, likely_decimal)
    if task in ("binary", "multiclass", "classification") or column.name in reading.categorical:
        numbers = None
    if numbers is not None and (task == "regression" or not has_leading_zeros(words)):
        values = number_format.parse(real, numbers.name)
        # 2WD and 4WD, 5K and 10K, 09:00 and 17:00 are labels; 1,5 and 2,25 are numbers, as 1.5 and 2.25 are.
        signs = not real.str.contains(r"[^\d.,' +-]").any()
        fractions = real.str.contains(".", literal=True).any() and like_thousands(real)
        written = signs and (numbers.name != "" or fractions)
        many = values.n_unique() > FEW_CLASSES or task == "regression" or written
        if many and not values.null_count():
            markers = tuple(words.filter(marked).sort().to_list())
            read, _ = to_numbers(text, markers, form=numbers.name)
            guess = other_number(column.name, real, numbers)
            return _Written(read, numbers.name, (*nulls, *markers), (guess,) if guess else ())
    tokens = counts.filter(words.is_in(NULL_TOKENS))
    if reading.na_values is not None or not tokens.height:
        return _Written(text, None, nulls)
    others = words.filter(~words.is_in(NULL_TOKENS)).head(MAX_SPELLINGS + 1)
    plain = number_format.find(real) is not None and not number_format.parse(real, "").null_count()
    if plain or truth_pair(others):
        listed = tuple(tokens[column.name].to_list())
        return _Written(text.set(text.is_in(listed), None), None, listed)
    return _class_or_missing(text, tokens)


def _class_or_missing(text: pl.Series, tokens: pl.DataFrame) -> _Written:
    """Keep null tokens that many rows of a target have as classes, and ask about rare ones."""
    rare = tokens.filter(pl.col("rows") < max(2, RARE_SHARE * len(text)))
    for word, rows in rare.iter_rows():
        raise InputError(
            f"the target column '{text.name}' is {word!r} in {rows} row{'s' if rows > 1 else ''}: if that means "
            f'"missing", give --na-values {word!r}, and if it is a class, --na-values "".'
        )
    guesses = tuple(
        f"the target '{text.name}': {word!r} is taken as a class ({rows:,} rows); --na-values {word!r} takes it as "
        "missing"
        for word, rows in tokens.iter_rows()
    )
    return _Written(text, None, (), guesses)


def _positive_last(
    classes: tuple[Label, ...], rows: dict[Label, int], positive: str | None
) -> tuple[tuple[Label, ...], bool]:
    """Order two classes so that the positive one is last; also return whether that is a guess.

    It is the one that the user names, else the greater number, the word for "true", or the rarer one of two words.
    """
    first, second = classes
    if positive is not None:
        names = [_named(c) for c in classes]
        if positive.lower() not in names:
            raise InputError(
                f"there is no class {positive!r} to be the positive one; there are {show(first)} and {show(second)}."
            )
        return (classes, False) if positive.lower() == names[1] else ((second, first), False)
    words = [c.lower() for c in classes if isinstance(c, str)]
    if len(words) < 2 or number_format.parse(pl.Series(words), "").null_count() == 0:
        return classes, False
    if pair := truth_pair(words):
        return (classes, False) if words[1] == pair[1] else ((second, first), False)
    return ((second, first) if rows[first] < rows[second] else classes), True


def _named(label: Label) -> str:
    """Return a class as a user names it, in lower case: 1 and 1.0 are "1"."""
    whole = isinstance(label, float) and label.is_integer()
    return str(int(label) if whole else label).lower()


def conform_target(frame: pl.DataFrame, target: Target) -> pl.DataFrame:
    """Return a table whose targets are as `infer_target` took them: text as numbers, words for "missing" null."""
    return frame.with_columns(
        read_target(frame[name], target, i)
        for i, name in enumerate(target.names)
        if name in frame.columns
    )


def read_target(column: pl.Series, target: Target, i: int = 0) -> pl.Series:
    """Return a target's column as `infer_target` took it.

    Args:
        column: ``(N,)``, of any rows.
        target: what was found.
        i: which of the target's columns it is.
    """
    if column.dtype != pl.String:
        return column
    text = column.str.strip_chars()
    if target.task == "regression" or any(not isinstance(c, str) for c in target.classes):
        text = text.set(is_marker(text).fill_null(False), None)
    if target.formats:
        numbers, bad = to_numbers(text, target.nulls, form=target.formats[i])
        # What is no number stays as it is, for whoever reads it to refuse it by name.
        return text if bad.any() else numbers
    return text.set(text.is_in(list(target.nulls)), None) if target.nulls else text


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
            numbers = pl.Series(frame.columns, dtype=pl.String).cast(pl.Float64, strict=False)
            missing = numbers.is_not_null().sum() > frame.width // 2
            hint = " (is the header line missing?)" if missing else ""
            raise InputError(
                f"there is no target column '{name}'; the table has {frame.width} columns: "
                f"{_some(frame.columns)}{hint}.{closest(name, frame.columns)}"
            )
        if name in names[:i]:
            raise InputError(f"the target '{name}' is given twice; name each target once.")


def _some(names: Sequence[str]) -> str:
    return _quote(names[:12]) + (", …" if len(names) > 12 else "")


def _detect(values: pl.Series, reading: ReadingChoices) -> str:
    """Return "classification" or "regression" for one target without missing values."""
    if values.dtype == pl.Boolean or values.name in reading.categorical:
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
    numbering: list[str] = []
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
