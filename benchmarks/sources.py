"""Where tables come from: the folder of the data sets, zipped collections, and tables made or drawn from them."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd


def folder() -> Path:
    """Return the folder of the data sets, or end with a sentence."""
    found = Path(os.environ.get("POPNET_DATA") or "../shared/data")
    if not (found / "tables").is_dir():
        sys.exit(f"No data in {found.resolve()}: set POPNET_DATA to the folder that holds tables/.")
    return found / "tables"


class Collection:
    """A zip file whose names begin with its own."""

    def __init__(self, name: str) -> None:
        path = folder().parent / "collections" / f"{name}.zip"
        if not path.exists():
            sys.exit(f"There is no {path}.")
        self.name, self.zip = name, zipfile.ZipFile(path)

    def text(self, path: str) -> str:
        """Return a file's text."""
        return self.zip.read(f"{self.name}/{path}").decode()

    def numbers(self, path: str) -> np.ndarray:
        """Return a file's numbers."""
        return np.atleast_1d(np.loadtxt(io.StringIO(self.text(path))))


def classification_rows(source: Collection, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features and classes of a file of the collection of Fernandez-Delgado et al. 2014."""
    frame = pd.read_csv(io.StringIO(source.text(path)), sep="\t", index_col=0)
    return frame.drop(columns="clase").to_numpy(float), frame["clase"].to_numpy(int)


def regression_rows(source: Collection, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features and targets of a set of the collection of Hernandez-Lobato and Adams 2015."""
    rows = source.numbers(f"{name}/data/data.txt")
    features, target = (
        source.numbers(f"{name}/data/index_{what}.txt").astype(int)
        for what in ("features", "target")
    )
    return rows[:, features], rows[:, target[0]]


# --- tables that are no file of their own -------------------------------------------------------------


def _frame(X: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    """Return columns ``x0``, ``x1`` ... and a column ``target``."""
    return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]).assign(target=y)


def covertype_60k() -> pd.DataFrame:
    """Return 60,000 rows of covertype, always the same."""
    whole = pd.read_csv(folder() / "covertype" / "data.csv.gz")
    return whole.sample(60_000, random_state=0).reset_index(drop=True)


def nursery() -> pd.DataFrame:
    """Return nursery: eight columns of categories whose product decides five classes (one, of two rows, is left out).

    The collection has standardised codes in place of the categories; they become categories again, as
    ``b`` for the second value of a column.
    """
    X, y = classification_rows(Collection("uci121_delgado"), "nursery/nursery_R.dat")
    codes = np.stack([np.unique(column, return_inverse=True)[1] for column in X.T], axis=1)
    often = np.bincount(y)[y] > 2
    names = np.array(["not_recom", "recommend", "very_recom", "priority", "spec_prior"], object)
    return _frame(np.array(list("abcde"), object)[codes[often]], names[y[often]])


def chess_krvk() -> pd.DataFrame:
    """Return places of two kings and a rook, and in how many moves White wins (18 classes): a rough function."""
    return _frame(*classification_rows(Collection("uci121_delgado"), "chess-krvk/chess-krvk_R.dat"))


def protein() -> pd.DataFrame:
    """Return physicochemical properties of proteins' structures: 45,730 rows, 9 columns, a rough numeric target."""
    return _frame(*regression_rows(Collection("uci_regression_gal"), "protein-tertiary-structure"))


def steps(rows: int = 12_000, seed: int = 0) -> pd.DataFrame:
    """Return a made table: ten uniform columns, and a sum of 30 boxes in three of them each, with noise.

    The target is constant but for jumps at the boxes' faces, which is what trees are made for. The noise has a
    fifth of the variance of the sum.
    """
    rng = np.random.default_rng(seed)
    X = rng.random((rows, 10))
    signal = np.zeros(rows)
    for _ in range(30):
        columns, low = rng.choice(10, 3, replace=False), rng.uniform(0, 0.5, 3)
        inside = ((X[:, columns] > low) & (X[:, columns] < low + 0.5)).all(1)
        signal += rng.normal() * inside
    noise = rng.normal(0, signal.std() * np.sqrt(0.2), rows)
    return _frame(X.round(4), signal + noise)


SOURCES: dict[str, Callable[[], pd.DataFrame]] = {
    f.__name__: f for f in (covertype_60k, nursery, chess_krvk, protein, steps)
}
"""Functions that return a table, by its name."""
