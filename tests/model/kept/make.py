"""Write the model folder that `test_kept_folder.py` loads; run once, when the format gains something:

    python tests/model/kept/make.py

It says which version of popnet wrote it. What it predicts is written beside it, by the version that made it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from popnet import Recipe
from popnet.fitting.run import fit
from popnet.options import Options

HERE = Path(__file__).parent
ROWS = 120


def table() -> pl.DataFrame:
    """Return rows with columns of every kind, and missing values."""
    rng = np.random.default_rng(7)
    x = np.round(rng.standard_normal((ROWS, 2)), 3)
    colour = rng.choice(["red", "green", "blue"], ROWS)
    y = np.where(x[:, 0] + (colour == "red") + 0.3 * rng.standard_normal(ROWS) > 0.3, "yes", "no")
    size = np.where(rng.random(ROWS) < 0.1, np.nan, x[:, 1])
    day = pl.date_range(pl.date(2025, 1, 1), pl.date(2025, 4, 30), eager=True)[:ROWS]
    frame = pl.DataFrame({"x": x[:, 0], "size": size, "colour": colour, "day": day, "y": y})
    return frame.with_columns(pl.col("size").fill_nan(None), member=rng.random(ROWS) < 0.5)


def main() -> None:
    """Fit, save, predict."""
    recipe = Recipe(depth=1, width=8, epochs=12, batch_size=32)
    fitted = fit(
        table(),
        "y",
        Options(recipe=recipe, members=4, folds=2, ensemble="average", seed=1, workers=1),
    )
    fitted.model.save(HERE)
    found = fitted.model.predict_frame(table().drop("y"), proba=True)
    found.write_csv(HERE / "predictions.csv")


if __name__ == "__main__":
    main()
