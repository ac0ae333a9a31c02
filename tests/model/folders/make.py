"""Write model folders that `test_old_folders.py` loads, with what they predict beside them:

    python tests/model/folders/make.py classes numbers --as 6652543

Only the command line is used, which every version has, so that an earlier popnet can write its own:

    git archive 36f7e3f src | tar x -C /tmp/then
    PYTHONPATH=/tmp/then/src python tests/model/folders/make.py classes numbers --as 36f7e3f

A folder is ``NAME-VERSION/``: ``model.json`` and ``weights.safetensors`` as they were written, ``rows.csv``
(or ``rows.npz``) and ``predictions.json``, what the version that wrote the folder predicts of these rows, by column.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROWS, MANY_ROWS, KEPT = 160, 1600, 12

RECIPE = """
depth = 1
width = 4
epochs = 4
batch_size = 32
{more}
"""

COMMON = ("--members", "2", "--folds", "2", "--seed", "3", "--ensemble", "average", "--quiet")

CASES: dict[str, dict[str, tuple[str, ...]]] = {
    "classes": {"fit": ("--target", "kind"), "predict": ("--proba",)},
    "decided": {"fit": ("--target", "rare", "--metric", "f1"), "predict": ("--proba",)},
    "numbers": {"fit": ("--target", "price"), "predict": ("--interval", "0.8", "--quantile", "0.2,0.7")},
    "points": {"fit": ("--target", "price"), "predict": ()},
    "interval": {"fit": ("--target", "price"), "predict": ("--interval", "0.8")},
    "two": {"fit": ("--target", "price", "--target", "cost"), "predict": ()},
    "trees": {"fit": ("--target", "step", "--trees", "hist", "--ensemble", "greedy"), "predict": ("--interval", "0.8")},
    "images": {"fit": (), "predict": ("--proba",)},
    "combined": {
        "fit": (
            "--target", "area", "--trees", "none", "--members", "1", "--folds", "1", "--drop", "town", "--drop", "day",
            "--drop", "ready", "--drop", "rooms",
        ),
        "predict": ("--interval", "0.8"),
    },
}  # fmt: skip
"""Options by case; those of a table leave out the other targets. Columns are only combined of many rows without a
recipe."""

TARGETS = ("kind", "rare", "price", "cost", "step", "area")


def write_table(path: Path, rows: int = ROWS) -> list[str]:
    """Write a table with columns of every kind, and missing values; return its features' names."""
    rng = np.random.default_rng(5)
    x, size = np.round(rng.standard_normal((2, rows)), 3)
    colour = rng.choice(["red", "green", "blue"], rows)
    town = rng.integers(0, 25, rows)
    signal = x + (colour == "red") + 0.1 * rng.standard_normal(rows)
    columns = {
        "x": [f"{v:.3f}" for v in x],
        "size": ["" if k % 9 == 0 else f"{v:.3f}" for k, v in enumerate(size)],
        "colour": colour.tolist(),
        "town": [f"town {k}" for k in town],
        "ready": rng.choice(["yes", "no"], rows).tolist(),
        "rooms": rng.integers(1, 5, rows).tolist(),
        "day": [f"2025-{1 + k % 12:02d}-{1 + k % 28:02d}" for k in rng.integers(0, 336, rows)],
        "kind": np.array(["a", "b", "c"])[np.digitize(signal, [-0.2, 0.8])].tolist(),
        "rare": np.where(signal > 1.3, "hit", "miss").tolist(),
        "price": [f"{v:.2f}" for v in 300 + 25 * signal],
        "cost": [f"{v:.2f}" for v in 5 - signal + 0.1 * size],
        "step": [
            f"{v:.2f}"
            for v in 4 * ((x > 0) ^ (colour == "red")) + 2 * x + 2 * rng.standard_normal(rows)
        ],
        "area": [f"{v:.3f}" for v in 5 * x * size + 0.1 * signal],
    }
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return [name for name in columns if name not in TARGETS]


def write_images(path: Path) -> None:
    """Write images of 8 times 8 pixels whose class is the brighter half."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, ROWS)
    pixels = rng.integers(0, 120, (ROWS, 8, 8))
    pixels[:, :, :4] += 110 * (labels == 0)[:, None, None]
    pixels[:, :, 4:] += 110 * (labels == 1)[:, None, None]
    np.savez_compressed(path, images=pixels.astype(np.uint8), labels=labels)


def popnet(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "popnet", *map(str, words)], check=True)


def as_json(path: Path) -> dict[str, list[float | str]]:
    """Return the columns of a file of predictions; numbers are numbers."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)

    def value(text: str) -> float | str:
        try:
            return float(text)
        except ValueError:
            return text

    return {name: [value(row[k]) for row in rows] for k, name in enumerate(header)}


def make(case: str, version: str, home: Path) -> None:
    """Fit, predict, and keep what was written."""
    images = case == "images"
    recipe, out, predicted = home / "recipe.toml", home / "model.popnet", home / "predicted.csv"
    recipe.write_text(RECIPE.format(more='kind = "conv"\nstages = 2' if images else ""))
    options = [*CASES[case]["fit"]]
    if images:
        data, rows = home / "data.npz", home / "rows.npz"
        write_images(data)
        with np.load(data) as every:
            np.savez_compressed(rows, images=every["images"][:KEPT])
        options += ["--augment", "none"]
    else:
        data, rows = home / "data.csv", home / "rows.csv"
        combined = case == "combined"
        names = write_table(data, MANY_ROWS if combined else ROWS)
        targets = [options[k + 1] for k, word in enumerate(options) if word == "--target"]
        for name in TARGETS:
            options += [] if name in targets else ["--drop", name]
        with data.open(newline="") as file, rows.open("w", newline="") as to:
            writer = csv.DictWriter(to, names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(row for row, _ in zip(csv.DictReader(file), range(KEPT), strict=False))
    if out.exists():
        shutil.rmtree(out)
    fixed = () if case == "combined" else ("--recipe", recipe)
    popnet("fit", data, "--out", out, *fixed, *COMMON, *options)
    popnet("predict", out, rows, "--out", predicted, "--quiet", *CASES[case]["predict"])
    place = HERE / f"{case}-{version}"
    place.mkdir(exist_ok=True)
    for path in (out / "model.json", out / "weights.safetensors", rows):
        shutil.copy(path, place / path.name)
    (place / "predictions.json").write_text(json.dumps(as_json(predicted), indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--as", dest="version", required=True, help="what the version is called")
    asked = parser.parse_args()
    for case in asked.cases:
        with tempfile.TemporaryDirectory() as home:
            make(case, asked.version, Path(home))


if __name__ == "__main__":
    main()
