"""A model of classes, one of numbers and one of images, and a client of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from served_table import TABLE

from popnet import Model, Recipe
from popnet.fitting.run import fit
from popnet.model.folder import write_folder
from popnet.options import Options
from popnet.serve.app import make_app
from popnet.serve.explaining import Explaining
from popnet.serve.limits import Limits
from popnet.serve.reload import ServedModel

RECIPE = Recipe(depth=1, width=8, batch_size=32, epochs=2)


def fitted(target: str) -> Model:
    drop = ("price",) if target == "bought" else ("bought",)
    options = Options(members=2, folds=2, recipe=RECIPE, drop=drop, ensemble="average")
    return fit(TABLE, target, options).model


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Folders of models, by what they predict."""
    place = tmp_path_factory.mktemp("served")
    for target in ("bought", "price"):
        write_folder(place / target, fitted(target))
    return {target: place / target for target in ("bought", "price")}


Client = Callable[..., TestClient]


@pytest.fixture
def serve(folders) -> Iterator[Client]:
    """Make a client of a model, by its target, with limits."""
    open_: list[TestClient] = []

    def make(
        target: str = "bought",
        folder: Path | None = None,
        explained: bool = False,
        **limits: object,
    ) -> TestClient:
        served = ServedModel(folder or folders[target], seconds=None)
        explaining = Explaining(served.model.model, TABLE) if explained else None
        client = TestClient(make_app(served, limits=Limits(**limits), explaining=explaining))
        open_.append(client.__enter__())
        return client

    yield make
    for client in open_:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def models(folders) -> dict[str, Model]:
    return {target: Model.load(folder) for target, folder in folders.items()}
