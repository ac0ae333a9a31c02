"""How a model takes images: what reading and standardising them needs, saved with the model."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from popnet.data.dataset import Images
from popnet.data.images.pictures import LARGEST_SIDE, Pictures, Progress
from popnet.types import Array


class ImageFormat(BaseModel):
    """The one form that all images of a model have.

    Attributes:
        height, width: in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        fit: how images of another shape are brought to this one, see `read_images`.
        value_range: what the pixels' 0 and 255 stand for in arrays.
        file_range: what they stand for in image files of more than 8 bits; None if it was fitted to none, or by a
            popnet that took each by its type.
        mean, std, background: of each channel, see `popnet.data.dataset.Images`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(ge=1, le=LARGEST_SIDE)
    width: int = Field(ge=1, le=LARGEST_SIDE)
    channels: Literal[1, 3]
    fit: Literal["pad", "crop", "stretch"] = "pad"
    value_range: tuple[float, float] = (0.0, 255.0)
    file_range: tuple[float, float] | None = None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    background: tuple[float, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        numbers = (
            *self.mean,
            *self.std,
            *self.background,
            *self.value_range,
            *(self.file_range or ()),
        )
        lengths = {len(self.mean), len(self.std), len(self.background)}
        if lengths != {self.channels} or not np.isfinite(numbers).all() or min(self.std) <= 0:
            raise ValueError("mean, std and background are not numbers of each channel")
        if any(low >= high for low, high in (self.value_range, self.file_range or (0, 1))):
            raise ValueError("black is not darker than white")
        return self

    @model_serializer(mode="wrap")
    def _saved(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what most models do not have: earlier popnets read those still."""
        fields = write(self)
        if self.file_range is None:
            del fields["file_range"]
        return fields

    @classmethod
    def of(cls, pictures: Pictures, rows: Array, fit: str = "pad") -> ImageFormat:
        """Return the format of pictures; mean, deviation and background are those of some rows."""
        measured = Images.measured(pictures.pixels, rows)
        height, width, channels = measured.size
        return cls.model_validate(
            {
                "height": height, "width": width, "channels": channels, "fit": fit,
                "value_range": tuple(map(float, pictures.value_range)),
                "file_range": pictures.file_range,
                "mean": tuple(map(float, measured.mean)),
                "std": tuple(map(float, measured.std)),
                "background": tuple(map(float, measured.background)),
            }
        )  # fmt: skip

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels

    def images(self, pixels: Array) -> Images:
        """Return pixels ``(N, height, width, channels)`` uint8 as nets take them."""
        mean, std, background = (
            np.array(v, np.float32) for v in (self.mean, self.std, self.background)
        )
        return Images(pixels, mean, std, background)

    def read(
        self,
        source: Any,
        *,
        target: str | None = None,
        labels: bool = False,
        strict: bool = False,
        on_progress: Progress | None = None,
    ) -> Pictures:
        """Read images of any size and mode in this format; see `read_images`."""
        from popnet.data.images.read import read_images  # loads Pillow, which tables do not need

        # Fitted to arrays of more than 8 bits, it takes files of more than 8 bits for the same.
        deep = self.value_range if self.value_range[1] > 255 else None
        return read_images(
            source, size=(self.height, self.width), fit=self.fit, channels=self.channels,
            value_range=self.value_range, target=target, need_labels=labels,
            strict=strict, on_progress=on_progress, file_range=self.file_range or deep,
        )  # fmt: skip
