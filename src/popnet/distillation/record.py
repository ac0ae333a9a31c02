"""What distilling found, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from popnet.distillation.comparison import Comparison
from popnet.errors import InputError
from popnet.model.folder import check_output, write_folder
from popnet.model.model import Model
from popnet.model.summary import number
from popnet.report.format import count, percent
from popnet.runtime import notebook


@dataclass(frozen=True)
class Cost:
    """What a model takes: bytes of its folder, and seconds for the prediction of one row on this machine."""

    bytes: int
    row_seconds: float


@dataclass(frozen=True)
class Distilled:
    """A student, and how it does beside its ensemble.

    Attributes:
        model: the student, a model of one net.
        ensemble: what the ensemble is made of, in words.
        comparison: of their scores.
        student_cost, ensemble_cost: what each takes.
        students: nets that were trained.
        taught_rows: of the table, that the student learned from.
        made_up_rows: that it learned from beside them; 0 where a student was better without.
        seconds: that it took.
        interrupted: whether training was.
        notes: what else there is to be said.
    """

    model: Model
    ensemble: str
    comparison: Comparison
    student_cost: Cost
    ensemble_cost: Cost
    students: int
    taught_rows: int
    made_up_rows: int
    seconds: float
    interrupted: bool
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<popnet.Distilled {self.lines()[0]}>"

    def _repr_html_(self) -> str:
        rows = [tuple(line.split(maxsplit=1)) for line in self.lines()]
        return notebook.table("popnet distil", [(r[0], r[1]) for r in rows if len(r) == 2])

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the student as a model folder.

        Args:
            path: of the folder.
            overwrite: whether a model that is there may be replaced.

        Raises:
            InputError: the folder cannot be written, or holds a model or other files.
        """
        check_output(Path(path), overwrite)
        write_folder(Path(path), self.model)

    def record(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        c, recipe = self.comparison, self.model.nets[0].recipe
        return {
            "task": self.model.encoder.target.task,
            "metric": c.metric,
            "score": c.student[c.metric],
            "interval": list(c.interval),
            "metrics": c.student,
            "ensemble": {
                "score": c.ensemble[c.metric],
                "metrics": c.ensemble,
                "members": self.ensemble,
            },
            "lost": c.lost,
            "lost_interval": [c.low, c.high],
            "agreement": c.agreement,
            "scored_on": c.where,
            "scored_rows": c.rows,
            "bytes": {"student": self.student_cost.bytes, "ensemble": self.ensemble_cost.bytes},
            "row_seconds": {
                "student": self.student_cost.row_seconds,
                "ensemble": self.ensemble_cost.row_seconds,
            },
            "recipe": recipe.model_dump(),
            "students": self.students,
            "rows": self.taught_rows,
            "made_up_rows": self.made_up_rows,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Return it in a few lines for people."""
        c, recipe = self.comparison, self.model.nets[0].recipe
        own, theirs = self.student_cost, self.ensemble_cost
        bounds = " to ".join(map(number, c.interval))
        alike = (
            f"the same class for {percent(c.agreement)} of these rows"
            if self.model.is_classifier
            else f"R² {number(c.agreement)} to the ensemble's predictions of these rows"
        )
        return [
            f"student   {c.metric} {number(c.student[c.metric])} (95 % interval {bounds}) {c.where}",
            f"ensemble  {c.metric} {number(c.ensemble[c.metric])} ({self.ensemble})",
            f"lost      {number(c.lost)} (95 % interval {number(c.low)} to {number(c.high)}); {alike}",
            f"size      {_size(own.bytes)} instead of {_size(theirs.bytes)}",
            f"one row   {_milliseconds(own.row_seconds)} instead of {_milliseconds(theirs.row_seconds)}",
            f"net       depth {recipe.depth}, width {recipe.width}, {recipe.activation}, inputs: "
            f"{_INPUTS[recipe.numeric_embedding]}",
            f"learned   from {self.taught_rows:,} rows and {self.made_up_rows:,} made-up ones; "
            f"{count(self.students, 'training')} in {self.seconds:.0f} s",
            *(f"note      {text}" for text in self.notes),
        ]


_INPUTS = {"none": "plain numbers", "piecewise": "bins", "periodic": "periods"}


def check_place(out: Path, model: str | Path, overwrite: bool) -> None:
    """Refuse a folder for the student before any work is done.

    Raises:
        InputError: it is the ensemble's own, or `popnet.model.folder.check_output` refuses it.
    """
    if out.resolve() == Path(model).resolve():
        raise InputError(f"--out {out} is the ensemble's own folder; give the name of a new one.")
    check_output(out, overwrite)


def _size(bytes_: int) -> str:
    return f"{bytes_ / 1e6:.2g} MB" if bytes_ >= 1e6 else f"{bytes_ / 1e3:,.0f} kB"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2g} ms"
