"""What columns made of two others are worth to boosted trees (`popnet.fitting.combined_columns`).

    python -m benchmarks.combinations [--tables california,phoneme,...] [--splits 3] [--markdown FILE]

On each split of a table the training rows alone say whether combinations are added and which; then trees with them and
without are fitted on four fifths of the training rows, early-stopped by the rest, and their losses on the test rows are
compared: log-loss, or root mean squared error. The best candidates of the training rows are tried where the fit would
refuse them, too, which shows whether it is right to.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.accuracy import LEFT_OUT
from benchmarks.table import publish
from benchmarks.tables import Table, known, load

TABLES = (
    "california,phoneme,bike_sharing,diamonds,protein,abalone,wine_quality,cpu_act,churn,adult,default_credit,bank,"
    "sylvine,jasmine"
)
HEAD = (
    "table (training rows)",
    "found by the fit",
    "its gain, %",
    "gain on test rows, %",
    "of all candidates, %",
)


def measure(table: Table, splits: int) -> list[str]:
    """Return a line of the table."""
    found, gains, tested, forced = 0, list[float](), list[float](), list[float]()
    for seed in range(splits):
        one = _Split(table, seed)
        own, all_of_them = one.found(), one.candidates()
        found += own is not None
        gains += [] if own is None else [100 * own.gain]
        before = one.loss(())
        forced.append(100 * (1 - one.loss(all_of_them) / before))
        tested.append(0.0 if own is None else 100 * (1 - one.loss(own.combinations) / before))
    return [
        f"{table.name} ({one.rows:,})", f"{found} of {splits}", " ".join(f"{g:.1f}" for g in gains) or "-",
        f"{np.mean(tested):+.1f} ({min(tested):+.1f} to {max(tested):+.1f})",
        f"{np.mean(forced):+.1f} ({min(forced):+.1f} to {max(forced):+.1f})",
    ]  # fmt: skip


class _Split:
    """A split of a table: what the training rows say, and trees' losses on the test rows."""

    def __init__(self, table: Table, seed: int) -> None:
        from popnet.options import Options
        from popnet.prepare.table import prepare_table

        train, test = load(table, seed)
        whole = pd.concat([train, test], ignore_index=True)
        whole = whole.drop(columns=list(LEFT_OUT.get(table.name, ())))
        task = "classification" if table.classes else "regression"
        options = Options(test_size=0.0, task=task)
        fitted = prepare_table(whole.iloc[: len(train)], table.target, options)
        encoder = fitted.encoder
        frame = pl.from_pandas(whole)
        target, keep = encoder.encode_target(frame)
        assert keep.all(), "rows without a target"
        features = encoder.transform(frame)
        self._table, self._seed, self.rows = fitted, seed, len(train)
        self._data = replace(fitted.data, features=features, target=target, weights=None)
        order = np.random.default_rng(seed).permutation(len(train))
        cut = len(train) // 5
        self._parts = np.sort(order[cut:]), np.sort(order[:cut]), np.arange(len(train), len(whole))

    def found(self):
        """Return what a fit of the training rows finds."""
        from popnet.fitting.combined_columns import find

        return find(self._table, self._seed)

    def candidates(self):
        """Return the combinations that tell most of the training rows, whether or not they are of use."""
        from popnet.fitting.combined_columns import best_candidates

        return best_candidates(self._table, self._seed)

    def loss(self, combinations) -> float:
        """Return the loss on the test rows of trees that are given some combinations."""
        from popnet.predictions.ensemble import softmax
        from popnet.trees.boosting import Boosting
        from popnet.trees.grown import Setting

        encoder = self._table.encoder.model_copy(update={"combinations": tuple(combinations)})
        data = replace(self._data, features=encoder.combine(self._data.features))
        train, valid, test = self._parts
        forest = Boosting(data, Setting(), self._seed).fit(train, valid)
        assert forest is not None
        outputs = forest.predict(data.features, test)
        if data.task == "classification":
            chance = softmax(outputs)[np.arange(len(test)), data.target[test]]
            return float(-np.log(np.maximum(chance, 1e-9)).mean())
        return float(np.sqrt(np.square(outputs - data.target[test]).mean()))


def main() -> None:
    """Measure the tables and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default=TABLES)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--markdown", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    rows: list[list[str]] = []
    for table in known(options.tables):
        rows.append(measure(table, options.splits))
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    publish(HEAD, rows, "benchmarks.combinations", options.markdown)


if __name__ == "__main__":
    main()
