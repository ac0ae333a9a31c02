"""`popnet.load`: a model folder as a model."""

from __future__ import annotations

from pathlib import Path

from popnet.model.model import Model


def load(path: str | Path) -> Model:
    """Read a model folder, as `popnet fit` and estimators' ``save`` write them.

    Raises:
        ModelError: it is missing, of a newer format, altered or cut short; one sentence says which.
    """
    return Model.load(path)
