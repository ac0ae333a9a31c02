"""What a server asks of a model, be it read from a folder (`folder_model`) or from an ONNX file (`onnx_model`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from popnet.export.description import Description
from popnet.serve.limits import Limits

if TYPE_CHECKING:
    from concurrent.futures import Future

JSON, CSV = "application/json", "text/csv"
PARQUET = ("application/vnd.apache.parquet", "application/x-parquet")

NO_BACKGROUND = "This server has no rows to compare with; it explains answers if it is started with --background DATA."


class Asked(NamedTuple):
    """What a request wants beside predictions; see `popnet.model.model.Model.predict_frame`."""

    proba: bool = False
    interval: float | None = None
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rows:
    """The rows of a request.

    Attributes:
        features: N rows as the model takes them; only the model looks into them.
        ignored: names of columns that the model does not read, nor its table had.
        notes: what was noticed, for people.
        frame: the rows of a table as they came, where the model may be explained.
    """

    features: Any
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    frame: Any = None


@dataclass(frozen=True)
class Predictions:
    """What is predicted of N rows.

    Attributes:
        columns: N plain values of Python each, by name.
    """

    columns: dict[str, list[Any]]

    @property
    def height(self) -> int:
        """Return N."""
        return len(next(iter(self.columns.values())))

    def slice(self, start: int, rows: int) -> Predictions:
        """Return some rows, in their order."""
        return Predictions({k: v[start : start + rows] for k, v in self.columns.items()})

    def select(self, names: Sequence[str]) -> Predictions:
        """Return some columns."""
        return Predictions({name: self.columns[name] for name in names})

    def finite(self) -> Predictions:
        """Return the same with None for each number that is not finite."""

        def plain(value: Any) -> Any:
            return None if isinstance(value, float) and not math.isfinite(value) else value

        return Predictions(
            {name: list(map(plain, values)) for name, values in self.columns.items()}
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return each row with the names of its values."""
        names = list(self.columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """Return the rows of some of the same columns."""
        names = parts[0].columns
        return cls({n: [v for part in parts for v in part.columns[n]] for n in names})


class Served(Protocol):
    """A model that is served. All but `predict` may be called by several threads at a time."""

    @property
    def description(self) -> Description:
        """What it takes and gives."""
        ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of bodies that a model of a table takes."""
        ...

    def check(self, asked: Asked) -> None:
        """Raise an `InputError` if it does not have what is asked for."""
        ...

    def read(self, kind: str, body: bytes, limits: Limits) -> Rows:
        """Return the rows of a body of one of `kinds`; raise `Refused` if they cannot be used."""
        ...

    def read_images(self, files: Sequence[tuple[str, bytes]], limits: Limits) -> Rows:
        """Return images, of names and contents, likewise."""
        ...

    def take(self, features: Any, start: int, stop: int) -> Any:
        """Return some rows."""
        ...

    def join(self, parts: Sequence[Any]) -> Any:
        """Return the rows of several requests."""
        ...

    def predict(self, features: Any, asked: Asked) -> Predictions:
        """Predict rows."""
        ...

    def warm(self) -> None:
        """Get ready, so that the first request is as fast as all others."""
        ...


class Explains(Protocol):
    """What explains answers, see `popnet.serve.explaining.Explaining`."""

    def submit(
        self,
        model: Served,
        read: Rows,
        of_class: str | None,
        target: str | None,
        fixed: tuple[str, ...],
    ) -> Future[dict[str, Any]]:
        """Return the explanations of a request's rows, as soon as they are there; raise `Refused` if there are none."""
        ...

    def close(self) -> None:
        """End."""
        ...
