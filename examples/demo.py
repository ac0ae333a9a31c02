"""Fit popnet to real images that scikit-learn bundles, and say where model, report and predictions are.

Run by ``make demo``; takes about a minute. The images are 1,797 handwritten digits of 8 x 8 pixels (UCI), written as
PNG files first, a folder for each class, as users have them. A linear model and boosted trees are fitted to the same
rows, for comparison.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TIME_LIMIT = "45s"
TEST_SIZE = 0.25


def write(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Write images ``(N, 8, 8)`` of values 0 to 16 as PNG files, each in its class's folder."""
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 255 / 16).astype(np.uint8)).save(place / f"{k:04}.png")


def main() -> None:
    """Write the images, fit them, score the model on images that it never saw, and predict those."""
    folder = Path("popnet-demo")
    X, y = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        X, y, test_size=TEST_SIZE, random_state=0, stratify=y
    )
    for name, rows, labels in (("train", train, train_labels), ("test", test, test_labels)):
        write(rows.reshape(-1, 8, 8), labels, folder / name)
    model = folder / "model"
    popnet = [sys.executable, "-m", "popnet"]
    fit = [*popnet, "fit", str(folder / "train"), "--out", str(model)]
    print(f"$ popnet fit {folder / 'train'} --time-limit {TIME_LIMIT}")
    subprocess.run([*fit, "--time-limit", TIME_LIMIT, "--overwrite"], check=True)
    scored = subprocess.run(
        [*popnet, "evaluate", str(model), str(folder / "test"), "--json"],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    predictions = folder / "predictions.csv"
    subprocess.run(
        [
            *popnet,
            "predict",
            str(model),
            str(folder / "test"),
            "--out",
            str(predictions),
            "--quiet",
        ],
        check=True,
    )
    print(f"\nAccuracy on {len(test)} images that no model saw:")
    print(f"  popnet                  {json.loads(scored.stdout)['metrics']['accuracy']:.3f}")
    others = {
        "boosted trees": HistGradientBoostingClassifier(random_state=0),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
    for name, other in others.items():
        began = time.perf_counter()
        score = other.fit(train, train_labels).score(test, test_labels)
        print(f"  {name:<22}  {score:.3f}  ({time.perf_counter() - began:.0f} s)")
    print("\nWhat you have now:")
    print(f"  model        {model.resolve()}")
    print(f"  report       {(model / 'report.html').resolve()}")
    print(f"  predictions  {predictions.resolve()}")


if __name__ == "__main__":
    main()
