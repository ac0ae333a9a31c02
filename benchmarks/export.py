"""Exported models beside popnet itself and LightGBM: are the predictions the same, how large is a file, how fast is it?

    python -m benchmarks.export [--tables adult,bank,...] [--images digits,mnist,...] [--limit 60s] [--quick]
        [--write FILE]

Each model is fitted for a few epochs, so that nets of several recipes and trees share in it, and exported, and both
predict the rows that were held out: the largest difference of a probability, or of a number in standard deviations of
the target, and the share of equal labels. Times are medians of five calls (of 1 and of 10,000 rows, the held-out ones
over again) after a first one: of onnxruntime with its inputs ready, in blocks, of ``Model.predict_frame`` (which also
reads the frame) or of ``Model.predict`` of images, and of LightGBM, fitted to the same rows with early stopping, with
its categories ready.

``--write docs/benchmarks/export.md`` puts the result in the place of the table and the conditions that the file has,
and leaves the text before them. ``--quick`` measures one table and one set of images, and fits least.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.sources import folder
from benchmarks.table import conditions, markdown, replace_table
from benchmarks.tables import boosted, known, load

TABLES = (
    "adult,bank,california,diamonds,bike_sharing,titanic,credit_g,churn,letter,segmentation,cpu_act,mercedes,"
    "ames_housing,otto"
)
IMAGES = "digits,mnist,flowers5"
FITTED, FITTED_IMAGES = 5_000, 1_500
"""Training rows, at most: what is measured does not depend on their number."""

SIDE = 32
"""Pixels of the side of photographs."""

ROWS = 10_000
CALLS = 5


class Effort(NamedTuple):
    """How much is trained and measured.

    Attributes:
        limit: of a fit's time, as popnet takes it.
        members, epochs: of a fit.
        rows: of the larger call.
    """

    limit: str
    members: int = 6
    epochs: int = 3
    rows: int = ROWS

    def options(self, **fields: Any) -> Any:
        """Return a fit's options."""
        from popnet.options import Options
        from popnet.runtime import durations
        from popnet.spec.recipe import Recipe

        return Options(
            time_limit=durations.seconds(self.limit), members=self.members, recipe=Recipe(epochs=self.epochs),
            ensemble="average", **fields,
        )  # fmt: skip


def milliseconds(call: Callable[[], Any]) -> str:
    """Return the median time of some calls, after a first one."""
    call()
    taken: list[float] = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return f"{1000 * float(np.median(taken)):.3g}"


def of_table(name: str, effort: Effort, place: Path) -> list[str]:
    """Return a table's row of the result."""
    import polars as pl

    from popnet.data.tables.read import read_table
    from popnet.export.inputs import as_inputs
    from popnet.fitting.run import fit

    (table,) = known(name)
    train, test = load(table)
    train = train.head(FITTED)
    model = fit(train, table.target, effort.options(trees="hist")).model
    held_out = read_table(test)
    many = pl.concat([held_out] * (-(-effort.rows // held_out.height))).head(effort.rows)
    peer, X = boosted(train, test, table, 0)
    X_many = pd.concat([X] * (-(-effort.rows // len(X)))).head(effort.rows)
    predict = peer.predict_proba if table.classes else peer.predict

    def calls(rows: int) -> list[Callable[[], Any]]:
        frame, given = many.head(rows), as_inputs(model.encoder, many.head(rows))
        X_some = X_many.head(rows)
        return [lambda: given, lambda: model.predict_frame(frame), lambda: predict(X_some)]

    size = f"{len(peer.booster_.model_to_string()) / 1e6:.2f}"
    return compared(name, model, held_out, calls, effort, place, size)


def of_images(name: str, effort: Effort, place: Path) -> list[str]:
    """Return a set of images' row of the result."""
    from popnet.data.images.pictures import Pictures
    from popnet.fitting.run import fit

    pixels, labels = pictures(name)
    order = np.random.default_rng(0).permutation(len(pixels))
    train, test = order[:FITTED_IMAGES], order[FITTED_IMAGES : 2 * FITTED_IMAGES]
    shown = Pictures(pixels[train], [labels[i] for i in train])
    model = fit(shown, None, effort.options(augment="standard", tta=2)).model
    many = pixels[np.resize(test, effort.rows)]

    def calls(rows: int) -> list[Callable[[], Any]]:
        return [lambda: {"image": many[:rows]}, lambda: model.predict(many[:rows])]

    size = "x".join(map(str, pixels.shape[1:]))
    return compared(f"{name} ({size})", model, Pictures(pixels[test]), calls, effort, place, "")


def pictures(name: str) -> tuple[np.ndarray, list[Any]]:
    """Return pixels ``(N, H, W, C)`` and labels of a set of images."""
    if name == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        return (x.reshape(-1, 8, 8, 1) * 15.9).astype(np.uint8), y.tolist()
    from popnet.data.images.read import read_images

    size = (SIDE, SIDE) if name == "flowers5" else None
    found = read_images(str(folder().parent / "images" / name), size=size)
    assert found.labels is not None
    return found.pixels, found.labels


def compared(
    name: str, model: Any, held_out: Any, calls: Callable[[int], list[Callable[[], Any]]], effort: Effort,
    place: Path, peer_size: str,
) -> list[str]:  # fmt: skip
    """Return a row of the result.

    Args:
        name: of the data.
        model: fitted to them.
        held_out: rows that both predict.
        calls: gives of so many rows the graph's inputs, and what predicts them otherwise: popnet, and perhaps LightGBM.
        effort: how many rows the larger call has.
        place: of the file.
        peer_size: megabytes of LightGBM's model.
    """
    from popnet.export import run

    exported = run.export(model, place / "model.onnx")
    found = run.check(model, exported, held_out)
    session = run.session(exported.path)
    times: list[str] = []
    for rows in (1, effort.rows):
        given, *others = calls(rows)
        inputs = given()
        times.append(milliseconds(lambda i=inputs: run.run(session, i, exported.outputs)))
        times += [milliseconds(call) for call in others]
        times += [""] * (2 - len(others))
    groups = len(
        {(n.recipe.kind, n.recipe.depth, n.recipe.width, n.recipe.activation) for n in model.nets}
    )
    labels = "" if found.equal_labels is None else f"{100 * found.equal_labels:.6g} %"
    return [
        name, f"{found.rows:,}", f"{len(model.nets)} ({groups})", str(len(model.trees)), f"{found.largest:.1e}",
        labels, f"{exported.bytes / 1e6:.2f}", peer_size, *times,
    ]  # fmt: skip


def head(rows: int) -> list[str]:
    """Return the names of the columns, where the larger call has so many rows."""
    systems = ("onnxruntime", "popnet", "LightGBM")
    return [
        "data", "rows", "nets (structures)", "forests", "largest difference", "equal labels", "file, MB",
        "LightGBM's, MB",
        *(f"{what}, {system}, ms" for what in ("1 row", f"{rows:,} rows") for system in systems),
    ]  # fmt: skip


def main() -> None:
    """Measure tables and images, and print or write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default=TABLES)
    parser.add_argument("--images", default=IMAGES)
    parser.add_argument("--limit", default="60s")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    effort = Effort(options.limit)
    tables, images = (
        [n for n in names.split(",") if n] for names in (options.tables, options.images)
    )
    if options.quick:
        effort, tables, images = Effort(options.limit, 2, 1, 500), tables[:1], images[:1]
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as place:
        for measure, names in ((of_table, tables), (of_images, images)):
            for name in names:
                rows.append(measure(name, effort, Path(place)))
                print(*rows[-1], flush=True)
    table = markdown(head(effort.rows), rows)
    text = "\n".join([table, "", *(f"- {c}" for c in conditions("benchmarks.export"))])
    print(text)
    if options.write:
        replace_table(options.write, text)


if __name__ == "__main__":
    main()
