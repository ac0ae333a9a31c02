"""Exported models beside popnet itself: are the predictions the same, how large is a file, how fast is it?

    python -m benchmarks.export [--tables adult,bank,...] [--limit 60s] [--markdown FILE]

Each table's model is fitted for a few epochs, so that nets of several recipes and trees share in it, and exported, and
both predict the rows that were held out: the largest difference of a probability, or of a number in standard deviations
of the target, and the share of equal labels. Times are medians of five calls (of 1 and of 10,000 rows, the held-out
ones over again) after a first one, of onnxruntime with its inputs ready, in blocks of 1,000 rows, and of
``Model.predict_frame``, which also reads the frame.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import conditions, markdown
from benchmarks.tables import known, load

TABLES = (
    "adult,bank,california,diamonds,bike_sharing,titanic,credit_g,churn,letter,segmentation,cpu_act,mercedes,"
    "ames_housing,otto"
)
FITTED = 5_000
"""Training rows, at most: what is measured does not depend on their number."""

ROWS = 10_000
CALLS = 5


def seconds(call: Callable[[], Any]) -> float:
    """Return the median time of some calls, after a first one."""
    call()
    taken: list[float] = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def measure(name: str, limit: str, folder: Path) -> list[str]:
    """Return a table's row of the result."""
    import polars as pl

    from popnet.data.tables.read import read_table
    from popnet.export import run
    from popnet.export.inputs import as_inputs
    from popnet.fitting.run import fit
    from popnet.options import Options
    from popnet.runtime import durations
    from popnet.spec.recipe import Recipe

    (table,) = known(name)
    train, test = load(table)
    options = Options(
        time_limit=durations.seconds(limit), members=6, recipe=Recipe(epochs=3), trees="hist", ensemble="average"
    )  # fmt: skip
    model = fit(train.head(FITTED), table.target, options).model
    held_out = read_table(test)
    exported = run.export(model, folder / f"{name}.onnx")
    found = run.check(model, exported, held_out)
    many = pl.concat([held_out] * (-(-ROWS // held_out.height))).head(ROWS)
    session = run.session(exported.path)
    times: list[str] = []
    for rows in (1, ROWS):
        frame = many.head(rows)
        given = as_inputs(model.encoder, frame)
        for call in (
            lambda given=given: run.run(session, given, exported.outputs),
            lambda frame=frame: model.predict_frame(frame),
        ):
            times.append(f"{1000 * seconds(call):.3g}")
    groups = len({(n.recipe.depth, n.recipe.width, n.recipe.activation) for n in model.nets})
    labels = "" if found.equal_labels is None else f"{100 * found.equal_labels:.6g} %"
    return [
        name, f"{found.rows:,}", f"{len(model.nets)} ({groups})", str(len(model.trees)), f"{found.largest:.1e}",
        labels, f"{exported.bytes / 1e6:.2f}", *times,
    ]  # fmt: skip


HEAD = [
    "table", "rows", "nets (structures)", "forests", "largest difference", "equal labels", "file, MB",
    "1 row, onnxruntime, ms", "1 row, popnet, ms", "10,000 rows, onnxruntime, ms", "10,000 rows, popnet, ms",
]  # fmt: skip


def main() -> None:
    """Measure the tables and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default=TABLES)
    parser.add_argument("--limit", default="60s")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.tables.split(","):
            rows.append(measure(name, options.limit, Path(folder)))
            print(*rows[-1], flush=True)
    text = "\n".join([markdown(HEAD, rows), "", *(f"- {c}" for c in conditions("benchmarks.export"))])  # fmt: skip
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
