"""The schema of a table: what each column holds, what is used, and what is to be predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

import polars as pl
from pydantic import BaseModel, ConfigDict

from popnet.data.tables import number_format
from popnet.data.tables.cast import to_numbers, to_times
from popnet.data.tables.kinds import (
    SAMPLE_ROWS,
    USED_KINDS,
    Finding,
    Kind,
    find_duplicates,
    find_kind,
)
from popnet.data.tables.reading import GUESSED, ReadingChoices
from popnet.data.tables.target import Target, conform_target, infer_target
from popnet.errors import InputError, closest

MIN_ROWS = 10
"""Rows with a target that a table must have: fewer cannot be split and scored."""


GUESSED_HEADING = "Guessed, and how to say otherwise:"

KEEPABLE = ("identifier", "text")
"""Kinds that are left out although they may say something."""

ASKED = "left out as asked"
"""The reason of a column that the user left out."""


class Column(BaseModel):
    """One column that is not a target.

    Attributes:
        name: as in the table.
        kind: see `popnet.data.tables.kinds.find_kind` for the rules.
        used: whether it is a feature.
        reason: why it is left out, or what is peculiar; "" if nothing is.
        missing: number of missing values.
        distinct: number of distinct values that are not missing.
        format: how text, or compact dates, write dates or numbers; see `popnet.data.tables.kinds.Finding`.
        nulls: words that count as missing.
        guess: what was read in one of two ways that fit, with the option that reads the other; "" if nothing was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    used: bool
    reason: str = ""
    missing: int
    distinct: int
    format: str = ""
    nulls: tuple[str, ...] = ()
    guess: str = ""


class Schema(BaseModel):
    """A table's columns, its target and the roles of special columns.

    Attributes:
        columns: all columns but the targets, in the table's order.
        target: what is to be predicted.
        rows: number of rows.
        rows_without_target: number of rows whose target (one of the targets) is missing.
        weight: column of row weights, no feature.
        group: column whose equal values must not be split, no feature.
        time: column that orders the rows; stays a feature.
        reading: what the user said about how values are read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]
    target: Target
    rows: int
    rows_without_target: int
    weight: str | None = None
    group: str | None = None
    time: str | None = None
    reading: ReadingChoices = GUESSED

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that are used."""
        return tuple(c for c in self.columns if c.used)

    def column(self, name: str) -> Column:
        """Return the column of that name; InputError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        known = [c.name for c in self.columns]
        raise InputError(f"there is no column '{name}'.{closest(name, known)}")

    @property
    def guesses(self) -> tuple[str, ...]:
        """What was taken in one of several ways that fit, a sentence each with the option that takes it otherwise."""
        said = [*self.target.rivals, *(c.guess for c in self.columns if c.guess)]
        for reason, names in self._left_out(KEEPABLE).items():
            verb, keep = ("is", names[0]) if len(names) == 1 else ("are", "NAME")
            said.append(f"{_listed(names)} {verb} left out ({reason}); --keep {keep} takes it in")
        return tuple(said)

    def _left_out(self, kinds: Sequence[str]) -> dict[str, list[str]]:
        """Return columns of some kinds that are left out, but not for being asked to, by reason."""
        found: dict[str, list[str]] = {}
        for c in self.columns:
            if not c.used and c.kind in kinds and c.reason != ASKED:
                found.setdefault(c.reason, []).append(c.name)
        return found

    def describe(self) -> list[str]:
        """Return short lines for people: rows, target, features by kind, what was left out."""
        target = self.target
        names = ", ".join(target.names)
        lines = [f"{self.rows:,} rows, {len(self.columns) + len(target.names)} columns"]
        line = f"target {names}: {target.task} ({target.found})"
        if target.classes:
            shown = ", ".join(str(c) for c in target.classes[:6])
            more = ", …" if len(target.classes) > 6 else ""
            line += f", {len(target.classes)} classes: {shown}{more}"
        if target.positive is not None:
            line += f"; the positive class is {target.positive}"
        lines.append(line)
        lines += [
            f"the target '{name}' numbers the rows: its values are different whole numbers without "
            "large gaps; if it is no measurement, choose another target"
            for name in target.numbering
        ]
        if self.rows_without_target:
            n = self.rows_without_target
            which = "1 row without a target is" if n == 1 else f"{n:,} rows without a target are"
            lines.append(f"{which} left out")
        if any(c.kind == "image" for c in self.columns):
            return [f"{self.rows:,} images", *lines[1:]]
        kinds = Counter(c.kind for c in self.features)
        counts = ", ".join(f"{kinds[k]} {k}" for k in USED_KINDS if kinds[k])
        lines.append(f"{len(self.features)} features: {counts}")
        holes = [c for c in self.features if c.missing]
        if holes:
            worst = max(holes, key=lambda c: c.missing)
            share = 100 * worst.missing / max(self.rows, 1)
            lines.append(
                f"features with missing values: {len(holes)}, most in {worst.name} ({share:.0f} %)"
            )
        lines += [f"{c.name}: {c.reason}" for c in self.features if c.reason]
        others = [k for k in get_args(Kind) if k not in KEEPABLE]
        lines += [
            f"left out: {_listed(n)} ({reason})" for reason, n in self._left_out(others).items()
        ]
        asked = [c.name for c in self.columns if not c.used and c.reason == ASKED]
        lines += [f"left out: {_listed(asked)} (as asked)"] if asked else []
        if guesses := self.guesses:
            lines += [GUESSED_HEADING, *(f"  {guess}" for guess in guesses)]
        return lines


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def infer_schema(
    frame: pl.DataFrame,
    target: str | Sequence[str],
    task: str | None = None,
    weight: str | None = None,
    group: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    fewest_rows: int = MIN_ROWS,
    single_rows: bool = False,
    reading: ReadingChoices = GUESSED,
) -> Schema:
    """Find what each column of a table holds, and the task.

    Args:
        frame: a table as `read_table` returns it.
        target: the column to predict, or several for a regression.
        task: see `popnet.data.tables.target.infer_target`; None: found from the values.
        weight: column of row weights.
        group: column whose equal values must not be split.
        time: column that orders the rows.
        drop: columns to leave out.
        keep: columns to use even if they look like identifiers, free text or duplicates.
        fewest_rows: rows with a target that must be there.
        single_rows: whether a class may have one row only.
        reading: what the user says about how values are read.

    Raises:
        InputError: a named column is not there, or has two roles; too few rows with a
            target; no column is left to learn from; and what `infer_target` raises.
    """
    names = (target,) if isinstance(target, str) else tuple(target)
    if isinstance(drop, str) or isinstance(keep, str):
        raise InputError("drop and keep take lists of columns, not one name.")
    _check_roles(frame, names, weight, group, time, drop, keep)
    _check_categorical(frame, reading)
    reading.check()
    likely = number_format.decimal_sign(_samples(frame))
    found_target = infer_target(
        frame, names, task, single_rows=single_rows, reading=reading, likely_decimal=likely
    )
    frame = conform_target(frame, found_target)
    without = frame.height - frame.select(names).drop_nulls().height
    if frame.height - without < fewest_rows:
        raise InputError(
            f"the table has {frame.height - without} rows with a target, at least {fewest_rows} "
            "are needed; give more rows."
        )
    spared = {*keep, *([time] if time else [])}
    out = dict.fromkeys(drop, ASKED)
    out |= {name: role for name, role in ((weight, "row weights"), (group, "groups")) if name}
    found: dict[str, Finding] = {}
    rest = [c for c in frame.columns if c not in names]
    for name in rest:
        found[name] = find_kind(frame[name], name in spared, reading, likely)
    usable = [n for n in rest if n not in out and found[n].kind in USED_KINDS]
    # A spared column goes first: if two are the same, the other is the duplicate.
    usable.sort(key=lambda n: n not in spared)
    for name, other in find_duplicates([frame[n] for n in usable]).items():
        if name not in spared:
            found[name] = found[name]._replace(kind="duplicate", reason=f"the same as '{other}'")
    columns = tuple(
        Column(
            name=name,
            kind=f.kind,
            used=name not in out and f.kind in USED_KINDS,
            reason=out.get(name, f.reason),
            missing=f.missing,
            distinct=f.distinct,
            format=f.format,
            nulls=f.nulls,
            guess=f.guess if name not in out else "",
        )
        for name, f in found.items()
    )
    if not any(c.used for c in columns):
        listed = "; ".join(f"'{c.name}' ({c.reason})" for c in columns[:8]) or "no other column"
        more = "; …" if len(columns) > 8 else ""
        raise InputError(
            f"no column is left to learn from: {listed}{more}; add columns that say something "
            "about the target."
        )
    return Schema(
        columns=columns,
        target=found_target,
        rows=frame.height,
        rows_without_target=without,
        weight=weight,
        group=group,
        time=time,
        reading=reading,
    )


def conform(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return a table with numbers and dates where its schema found them written as text, and words for "missing" null.

    Args:
        frame: the table that the schema was inferred from, or more rows of it.
        schema: of the table.
    """
    columns: list[pl.Series] = []
    types = frame.schema
    for column in schema.columns:
        if types.get(column.name) != pl.String:
            continue
        values = frame[column.name]
        if column.kind == "datetime":
            read, bad = to_times(values, column.format, column.nulls)
        elif column.kind in ("numeric", "discrete", "boolean"):
            words = column.kind == "boolean"
            read, bad = to_numbers(values, column.nulls, words, column.format)
        elif column.nulls:
            read, bad = values.set(values.is_in(column.nulls), None), None
        else:
            continue
        # What does not fit stays text, for whoever reads it to count it or to refuse it by its row.
        if bad is None or not bad.any():
            columns.append(read.alias(column.name))
    return conform_target(frame.with_columns(columns), schema.target)


def _check_categorical(frame: pl.DataFrame, reading: ReadingChoices) -> None:
    for name in reading.categorical:
        if name not in frame.columns:
            raise InputError(
                f"there is no column '{name}' (given as categorical).{closest(name, frame.columns)}"
            )


def _samples(frame: pl.DataFrame) -> list[pl.Series]:
    """Return some values of each column of text."""
    step = max(frame.height // SAMPLE_ROWS, 1)
    text = (c for c in frame if c.dtype == pl.String)
    return [c.gather_every(step).drop_nulls() for c in text]


def _check_roles(
    frame: pl.DataFrame,
    targets: Sequence[str],
    weight: str | None,
    group: str | None,
    time: str | None,
    drop: Sequence[str],
    keep: Sequence[str],
) -> None:
    """Check that all named columns exist and none has two roles that exclude each other."""
    roles = [("target", n) for n in targets]
    roles += [(role, n) for role, n in (("weight", weight), ("group", group), ("time", time)) if n]
    roles += [("drop", n) for n in drop] + [("keep", n) for n in keep]
    held: dict[str, str] = {}
    for role, name in roles:
        if role != "target" and name not in frame.columns:
            raise InputError(
                f"there is no column '{name}' (given as {role}).{closest(name, frame.columns)}"
            )
        if name in held and held[name] != role and {held[name], role} != {"time", "keep"}:
            raise InputError(
                f"the column '{name}' is given as {held[name]} and as {role}; give it one role."
            )
        held[name] = role


__all__ = ["Column", "Finding", "Schema", "Target", "infer_schema"]
