"""What MLflow loads a logged model by: the model folder, as an object with ``predict``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from popnet.model.model import Model


class Predictor:
    """A model as MLflow's pyfuncs are.

    Args:
        model: it.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, rows: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return a pandas frame of predictions, as ``popnet predict`` writes them.

        Args:
            rows: a pandas frame with the model's columns; of images what
                `popnet.data.images.read.read_images` takes, such as an array.
            params: ``proba`` (a column for each class's probability) and ``interval`` (their coverage, 0 for none).
        """
        asked = params or {}
        proba, interval = bool(asked.get("proba", False)), asked.get("interval") or None
        image = self.model.encoder.image
        if image is None:
            found = self.model.predict_frame(rows, proba=proba, interval=interval)
        else:
            found = self.model.predict_pictures(image.read(rows), proba=proba, interval=interval)
        pandas: Any = importlib.import_module("pandas")
        return pandas.DataFrame({column.name: column.to_list() for column in found})


def _load_pyfunc(path: str) -> Predictor:  # pyright: ignore[reportUnusedFunction] - MLflow calls it
    """Return the model of a folder."""
    return Predictor(Model.load(path))
