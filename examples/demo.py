"""Fit popnet to a real table that scikit-learn bundles, and say where model and report are.

Run by ``make demo``; takes about a minute. The table is the Wisconsin breast cancer set (569 rows, 30 columns,
binary), written as a CSV first, so that the whole way of a user's table is gone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer


def main() -> None:
    """Write the table, fit it, evaluate and predict with the model."""
    folder = Path("popnet-demo")
    folder.mkdir(exist_ok=True)
    table = folder / "breast_cancer.csv"
    frame = load_breast_cancer(as_frame=True).frame
    frame["diagnosis"] = frame.pop("target").map({0: "malignant", 1: "benign"})
    frame.to_csv(table, index=False)
    model = folder / "model"
    popnet = [sys.executable, "-m", "popnet"]
    fit = [*popnet, "fit", str(table), "--target", "diagnosis", "--out", str(model)]
    subprocess.run([*fit, "--time-limit", "45s", "--overwrite"], check=True)
    predictions = folder / "predictions.csv"
    subprocess.run(
        [*popnet, "predict", str(model), str(table), "--out", str(predictions)], check=True
    )
    print("\nWhat you have now:")
    print(f"  model        {model.resolve()}")
    print(f"  report       {(model / 'report.html').resolve()}")
    print(f"  predictions  {predictions.resolve()}")


if __name__ == "__main__":
    main()
