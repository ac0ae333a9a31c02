"""What a model takes and gives, as plain records: an exported file carries them, and a server says them.

Nothing heavy is imported, so that an exported file can be served without the library that wrote it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from popnet.data.tables.scale import Scale
from popnet.model import summary
from popnet.predictions.conformal import REPORTED

if TYPE_CHECKING:
    from popnet.data.tables.columns import Record
    from popnet.model.model import Model

UNKNOWN_NUMBER = sys.float_info.max
"""What stands for text among categories that are numbers: a number that is none of them, and not missing."""

Kind = Literal["numeric", "discrete", "boolean", "categorical", "datetime"]


class Column(BaseModel):
    """A column that a model reads; see the records of `popnet.data.tables.columns`, whose fields these are.

    Attributes:
        name, kind: of the column.
        missing: whether training had missing values.
        nulls: words that count as missing.
        format: of numbers or dates that are text.
        levels: of categories, by descending frequency; the numbers of a discrete column that come again.
        numbers: whether categories are numbers.
        embedded: whether a discrete column's other numbers count, too.
        false, true: the two values of a boolean column.
        centre, spread: of the training rows: of numbers, or of seconds since 1970-01-01; None of a constant column.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    kind: Kind
    missing: bool
    nulls: tuple[str, ...] = ()
    format: str = ""
    levels: tuple[str | float, ...] = ()
    numbers: bool = False
    embedded: bool = False
    false: float = 0.0
    true: float = 1.0
    centre: float | None = None
    spread: float | None = None

    @classmethod
    def of(cls, record: Record) -> Self:
        """Return what an encoder's record says."""
        fields = {k: v for k, v in dict(record).items() if k in cls.model_fields and v is not None}
        scale = dict(record).get("seconds" if record.kind == "datetime" else "scale")
        if isinstance(scale, Scale):
            fields |= {"centre": scale.centre, "spread": scale.scale}
        return cls(**fields)


class Image(BaseModel):
    """The form of a model's images; see `popnet.data.images.format.ImageFormat`, whose fields these are."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    height: int
    width: int
    channels: Literal[1, 3]
    fit: Literal["pad", "crop", "stretch"]
    value_range: tuple[float, float]
    file_range: tuple[float, float] | None = None

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels

    @property
    def deep_range(self) -> tuple[float, float] | None:
        """What is black and white in files of more than 8 bits; None: by the type of each.

        A model that was fitted to arrays of more than 8 bits takes files of more than 8 bits for the same.
        """
        return self.file_range or (self.value_range if self.value_range[1] > 255 else None)


class Description(BaseModel):
    """What a model takes and gives.

    Attributes:
        task: classes or numbers.
        targets: names.
        classes: labels, in the order of their probabilities; none of numbers.
        columns: those that are read, none of images.
        others: columns of the training table that are not read.
        image: the form of images, None of a table.
        digest: SHA-256 of the model, as ``model.json`` of its folder has it; None if that is not known.
        headline: its score in a sentence, None if that is not known.
        intervals: whether numbers have intervals.
        reported: whether these have the usual coverage, `popnet.predictions.conformal.REPORTED`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: Literal["regression", "binary", "multiclass"]
    targets: tuple[str, ...]
    classes: tuple[Any, ...]
    columns: tuple[Column, ...] = ()
    others: tuple[str, ...] = ()
    image: Image | None = None
    digest: str | None = None
    headline: str | None = None
    intervals: bool = False
    reported: bool = False

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return a model's."""
        encoder, conformal = model.encoder, model.conformal
        return cls(
            task=encoder.target.task,
            targets=encoder.target.names,
            classes=tuple(model.classes),
            columns=tuple(Column.of(record) for record in encoder.columns),
            others=encoder.other,
            image=None if encoder.image is None else Image(**dict(encoder.image)),
            headline=summary.score(model),
            intervals=conformal is not None,
            reported=conformal is not None and conformal.gives(REPORTED),
        )

    @property
    def is_classifier(self) -> bool:
        """Whether classes are predicted."""
        return self.task != "regression"
