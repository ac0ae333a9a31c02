"""Models of tables with columns of every kind, of nets with drawn weights and of trees that were boosted a little."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import polars as pl

from popnet import Model, Recipe
from popnet.data.tables.reading import ReadingChoices
from popnet.export.inputs import as_inputs
from popnet.export.run import as_bytes, run, session
from popnet.fitting.run import Options, prepare
from popnet.model.saving import net_shape
from popnet.nn.net import init
from popnet.nn.norm import Statistics
from popnet.population.predict import Net
from popnet.predictions.conformal import Conformal, Size
from popnet.prepare.prepared import Prepared
from popnet.trees.boosting import Boosting
from popnet.trees.grown import Setting

ROWS = 400
TARGETS: dict[str, str | list[str]] = {
    "two": "two", "five": "five", "number": "number", "numbers": ["number", "other"], "amount": "amount",
}  # fmt: skip


def make_frame(rows: int = ROWS, seed: int = 0, new: bool = False) -> pl.DataFrame:
    """Return a table with columns of every kind and all targets.

    Args:
        rows: N.
        seed: of its values.
        new: whether there are levels, numbers and missing values that other rows do not have.
    """
    rng = np.random.default_rng(seed)

    def with_nulls(values: Any, share: float = 0.1, dtype: Any = None) -> pl.Series:
        gone = rng.random(rows) < share
        return pl.Series(
            [None if g else v for v, g in zip(np.asarray(values).tolist(), gone, strict=True)],
            dtype=dtype,
        )

    plain = rng.standard_normal(rows) * (1e3 if new else 1)
    skewed = np.exp(2 * rng.standard_normal(rows))
    words = np.array(["red", "green", "blue", "NA", "unknown"])[rng.integers(0, 5, rows)]
    if new:
        words[::7] = "violet"
    many = np.array([f"town {k}" for k in rng.integers(0, 30 + 5 * new, rows)])
    start = datetime.datetime(1969 if new else 2011, 1, 1)
    times = [
        start + datetime.timedelta(days=int(d), minutes=int(m))
        for d, m in zip(rng.integers(0, 40_000 if new else 900, rows), rng.integers(0, 1440, rows), strict=True)
    ]  # fmt: skip
    signal = plain / (1e3 if new else 1) + (words == "red") + 0.1 * rng.standard_normal(rows)
    return pl.DataFrame({
        "plain": plain,
        "gaps": with_nulls(skewed),
        "few": rng.integers(0, 6 + 3 * new, rows).astype(float),
        "few gaps": with_nulls(rng.integers(0, 5, rows)),
        "spiked": np.where(rng.random(rows) < 0.9, 0.0, rng.standard_normal(rows)),
        "yes": rng.choice(["yes", "no"], rows),
        "flag": with_nulls(rng.integers(0, 2 + new, rows)),
        "truth": rng.random(rows) < 0.4,
        "colour": words,
        "colour gaps": with_nulls(words, dtype=pl.String),
        "town": many,
        "code": with_nulls(rng.integers(100, 130 + 3 * new, rows)),
        "euro": [f"{v:.2f} €".replace(".", ",") for v in skewed],
        "when": with_nulls(times, dtype=pl.Datetime("us")) if not new else pl.Series(times),
        "day": [f"{t.day:02d}.{t.month:02d}.{t.year}" for t in times],
        "two": np.where(signal > 0.3, "good", "bad"),
        "five": np.digitize(signal, [-1.0, 0.0, 0.5, 1.5]),
        "number": 1e6 + 300 * signal,
        "other": -signal,
        "amount": np.exp(signal),
    })  # fmt: skip


FRAME = make_frame()
NEW = make_frame(150, 1, new=True)


def prepared(
    target: str, *, metric: str | None = None, columns: Sequence[str] | None = None
) -> Prepared:
    """Return the table encoded for a target of `TARGETS`, with all its columns or some."""
    names = TARGETS[target]
    kept = [names] if isinstance(names, str) else names
    frame = FRAME if columns is None else FRAME.select(*columns, *kept)
    others = {"two", "five", "number", "other", "amount"} - set(kept)
    options = Options(
        drop=sorted(others & set(frame.columns)),
        reading=ReadingChoices(categorical=("code",) if "code" in frame.columns else ()),
        metric=metric,
        task="classification" if target == "five" else None,
    )
    return prepare(frame, names, options)


def draw(recipe: Recipe, table: Prepared, seed: int) -> Net:
    """Return a net whose parameters and running statistics are all drawn: none is 0 or 1, as at the start."""
    shape = net_shape(recipe, table.encoder)
    parameters, running = init(recipe, shape, seed)
    rng = np.random.default_rng(seed)

    def moved(x: np.ndarray) -> np.ndarray:
        return (x + 0.2 * rng.standard_normal(x.shape)).astype(np.float32)

    def statistics(s: Statistics) -> Statistics:
        var = rng.uniform(0.3, 3, s.var.shape).astype(np.float32)
        return Statistics(moved(s.mean), var)

    drawn = jax.tree.map(moved, parameters)
    if "periodic" in parameters:
        drawn["periodic"] = parameters["periodic"]
    return Net(
        recipe,
        shape,
        drawn,
        jax.tree.map(statistics, running, is_leaf=lambda t: isinstance(t, Statistics)),
    )


def boosted(table: Prepared, rounds: int = 15) -> list[Any]:
    """Return a forest for each fold."""
    setting = Setting(max_iter=rounds, min_samples_leaf=3, learning_rate=0.3)
    boosting = Boosting(table.data, setting, 0)
    return [boosting.fit(f.train, f.valid) for f in table.folds[:2]]


def model_of(
    table: Prepared, recipes: Sequence[Recipe], trees: Sequence[Any] = (), weights: Any = None, **fields: Any
) -> Model:  # fmt: skip
    """Return a model of drawn nets, two for each recipe, and of trees.

    Args:
        table: that it is of.
        recipes: of its nets.
        trees: forests.
        weights: of its members; default unequal ones.
        fields: of the model.
    """
    nets = tuple(draw(r, table, 10 * i + s) for i, r in enumerate(recipes) for s in range(2))
    count = len(nets) + len(trees)
    w = np.arange(1.0, count + 1) if weights is None else np.asarray(weights, np.float64)
    fields = {"method": "greedy", "metric": "accuracy", **fields}
    return Model(
        schema=table.schema,
        encoder=table.encoder,
        nets=nets,
        weights=w / w.sum(),
        trees=tuple(trees),
        **fields,
    )


def with_errors(model: Model, folds: int = 3, rows: int = 300) -> Model:
    """Return a regression's model with held-out errors, from which intervals are made."""
    rng = np.random.default_rng(5)
    targets = model.encoder.n_outputs
    sizes = tuple(Size([-1.0, 0.2, 1.5], [-2.0, -1.0, -0.5], 0.4 + t, 0.02) for t in range(targets))
    errors = np.sort(rng.standard_normal((rows, targets)), axis=0).astype(np.float32)
    members = len(model.nets) + len(model.trees)
    conformal = Conformal(tuple(np.arange(members) % folds), sizes, errors)
    return replace(model, conformal=conformal)


def exported(model: Model, frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return what onnxruntime says of a table's rows, by the names of the outputs."""
    data, record = as_bytes(model)
    return run(session(data, 1), as_inputs(model.encoder, frame), record["outputs"])


def assert_same(model: Model, frame: pl.DataFrame, within: float = 1e-5) -> None:
    """Compare probabilities, or numbers in standard deviations, and labels with the model's own."""
    found = exported(model, frame)
    features = model.encoder.transform(frame)
    if model.is_classifier:
        scores = model.scores(features)
        np.testing.assert_allclose(found["probabilities"], scores, rtol=0, atol=within)
        own = model.predict_frame(frame).to_series().to_list()
        ordered = np.sort(model.decided(scores), 1)
        clear = ordered[:, -1] - ordered[:, -2] > 1e-4
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(
            np.array(own, object)[clear], found["label"].astype(object)[clear]
        )
        return
    value = found["value"].reshape(len(frame), -1)
    own = model.predict_frame(frame).to_numpy()
    scale = [s.std for s in model.encoder.scales]
    logs = any(s.log for s in model.encoder.scales)
    standard = scale * (1 + own) if logs else np.array(scale)
    assert np.ptp(own / standard, axis=0).min() > 0.01
    np.testing.assert_allclose(value / standard, own / standard, rtol=0, atol=within)
