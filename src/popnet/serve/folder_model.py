"""A model folder, served by popnet itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from popnet.data.dataset import Features, Images
from popnet.errors import InputError
from popnet.export.description import Description
from popnet.model import saving
from popnet.model.model import Model
from popnet.model.summary import NO_PROBABILITIES
from popnet.serve import body as bodies
from popnet.serve import rows
from popnet.serve.limits import Limits
from popnet.serve.served import CSV, JSON, PARQUET, Asked, Predictions, Rows

Inputs = Features | Images


@dataclass(frozen=True)
class FolderModel:
    """See `popnet.serve.served.Served`."""

    model: Model

    @classmethod
    def load(cls, folder: Path) -> FolderModel:
        """Read a model folder; raise a `ModelError` if that cannot be done."""
        return cls(Model.load(folder))

    @property
    def description(self) -> Description:
        """What it takes and gives."""
        return self._description

    @cached_property
    def _description(self) -> Description:
        return Description.of(self.model).model_copy(update={"digest": saving.digest(self.model)})

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of bodies that it takes."""
        return JSON, CSV, *PARQUET

    def check(self, asked: Asked) -> None:
        """Raise an `InputError` if it does not have what is asked for."""
        if asked.proba and not self.model.is_classifier:
            raise InputError(NO_PROBABILITIES)
        if asked.interval is not None or asked.quantiles:
            self.model.intervals(asked.interval, asked.quantiles)

    def read(self, kind: str, body: bytes, limits: Limits) -> Rows:
        """Return the rows of a body."""
        if kind == JSON:
            return rows.read_json(body, self.model, self.description, limits)
        ending = ".csv" if kind == CSV else ".parquet"
        return rows.read_file(body, ending, self.model, self.description, limits)

    def read_images(self, files: Sequence[tuple[str, bytes]], limits: Limits) -> Rows:
        """Return images."""
        form = self.model.encoder.image
        assert form is not None

        def read(path: Path) -> np.ndarray:
            return np.asarray(form.read(str(path), strict=True).pixels)

        return Rows(form.images(bodies.read_images(files, read, limits)))

    def take(self, features: Inputs, start: int, stop: int) -> Inputs:
        """Return some rows."""
        if isinstance(features, Images):
            return replace(features, pixels=features.pixels[start:stop])
        return features.take(np.arange(start, stop))

    def join(self, parts: Sequence[Inputs]) -> Inputs:
        """Return the rows of several requests."""
        first = parts[0]
        if isinstance(first, Images):
            images = [p.pixels for p in parts if isinstance(p, Images)]
            return replace(first, pixels=np.concatenate(images))
        tables = [p for p in parts if isinstance(p, Features)]
        joined = {
            name: np.concatenate([getattr(t, name) for t in tables])
            for name in ("numeric", "flags", "codes")
        }
        return replace(first, **joined)

    def predict(self, features: Inputs, asked: Asked) -> Predictions:
        """Predict rows."""
        frame = self.model.predict_features(
            features, proba=asked.proba, interval=asked.interval, quantiles=asked.quantiles
        )
        return Predictions({column.name: column.to_list() for column in frame})

    def warm(self) -> None:
        """Predict one row, so that all programs are compiled; batches are padded, so that no other is needed."""
        self.model.predict_features(empty_row(self.model))


def empty_row(model: Model) -> Inputs:
    """Return one encoded row with nothing in it."""
    encoder = model.encoder
    if encoder.image is not None:
        return encoder.image.images(np.zeros((1, *encoder.image.size), np.uint8))
    numeric, flags, codes, *_ = encoder.names
    return Features(
        np.zeros((1, len(numeric)), np.float32),
        np.zeros((1, len(flags)), np.uint8),
        np.zeros((1, len(codes)), np.int32),
        encoder.levels,
        encoder.knots,
    )
