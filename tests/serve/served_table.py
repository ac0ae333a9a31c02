"""The table that models are served of, and rows of it as clients write them."""

from __future__ import annotations

import numpy as np
import polars as pl


def make_table(rows: int = 160) -> pl.DataFrame:
    """A table with every kind of column."""
    rng = np.random.default_rng(0)
    size, age = rng.standard_normal((2, rows)).round(3)
    colour = rng.choice(["red", "green", '<b> "blue"'], rows)
    score = size + (colour == "red")
    day = np.datetime64("2024-01-01") + rng.integers(0, 700, rows)
    return pl.DataFrame(
        {
            "size": [None if x < -1.8 else x for x in size],
            "age": age,
            "colour": colour,
            "member": rng.choice([True, False], rows),
            "joined": day.astype("datetime64[us]"),
            "rooms": rng.integers(1, 5, rows),
            "bought": np.where(score > 0.3, "yes", "no"),
            "price": 100 + 5 * score,
        }
    )


TABLE = make_table()
NEW = make_table(200).tail(40)


def as_json(frame: pl.DataFrame) -> list[dict]:
    """Return rows as a client writes them."""
    return frame.with_columns(pl.col(pl.Datetime).dt.to_string("iso:strict")).to_dicts()
