"""The saved model: encoder, nets, ensemble weights. Predict, save, load; nothing here runs code from a file.

A model folder holds ``model.json`` (all but the arrays), ``weights.safetensors``, and beside them, for people,
``report.html`` and ``population.parquet``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from popnet.data.dataset import Features, Images
from popnet.data.images.pictures import TEST, Pictures
from popnet.data.tables.encode import Encoder
from popnet.data.tables.read import read_table
from popnet.data.tables.records import frame_of
from popnet.data.tables.schema import Schema
from popnet.errors import InputError
from popnet.model import saving, summary
from popnet.model.answers import columns_of
from popnet.model.facts import ModelFacts
from popnet.model.members import Predictor, outputs
from popnet.model.summary import NO_PROBABILITIES
from popnet.population.predict import Evaluation, Net
from popnet.predictions import ensemble, metrics
from popnet.predictions.calibration import tempered
from popnet.predictions.conformal import (
    REPORTED,
    Conformal,
    check_coverage,
    check_level,
    coverage_and_width,
    ends,
)
from popnet.predictions.decisions import Decision, quantile_sentence, sentence
from popnet.runtime import notebook
from popnet.runtime.fork import begin_threads
from popnet.trees.forest import Forest
from popnet.types import Array

BLOCK_ROWS = 16_384
"""Rows that all nets predict before the next are encoded: bounds the memory of an ensemble's predictions."""


@dataclass(frozen=True)
class Model:
    """A trained ensemble with everything that turns rows of a table into predictions.

    Attributes:
        schema: the table that it was trained on.
        encoder: turns its rows into arrays and outputs back into labels.
        nets: members of the ensemble.
        weights: ``(len(nets) + len(trees),)``, sum 1.
        method: how they are combined (`popnet.predictions.ensemble.Method`).
        metric: name of the metric that it was chosen for.
        facts: scores, baselines and how it was made; None if that is not known.
        views: of each image that a prediction is the mean of, see `popnet.population.predict.predict`.
        conformal: what intervals are made from; None for classes, and where there were no held-out errors.
        decision: how classes are taken; None for the most probable one.
        temperature: of the probabilities (`popnet.predictions.calibration`).
        trees: boosted trees that are members, too, after the nets.
    """

    schema: Schema
    encoder: Encoder
    nets: tuple[Net, ...]
    weights: np.ndarray
    method: ensemble.Method
    metric: str
    facts: ModelFacts | None = None
    views: int = 1
    conformal: Conformal | None = None
    decision: Decision | None = None
    temperature: float = 1.0
    trees: tuple[Forest, ...] = ()

    def __repr__(self) -> str:
        return summary.one_line(self)

    def _repr_html_(self) -> str:
        return notebook.table("popnet.Model", summary.lines(self))

    @cached_property
    def _evaluation(self) -> Evaluation:
        """The nets as their programs take them, kept from the first prediction on."""
        return Evaluation(self.nets)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is only kept for speed."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def members(self) -> tuple[Predictor, ...]:
        """All members, in the order of their weights."""
        return *self.nets, *self.trees

    @property
    def tree_weights(self) -> np.ndarray:
        """The weights of the trees, ``(len(trees),)``."""
        return self.weights[len(self.nets) :]

    @property
    def is_classifier(self) -> bool:
        """Whether it predicts classes."""
        return self.encoder.target.task != "regression"

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels, in the order of the columns of `predict_proba`."""
        return self.encoder.target.classes

    @property
    def level(self) -> float | None:
        """Of the quantile that it predicts: that of the pinball loss that it was chosen for; None for the mean."""
        metric = metrics.named(self.metric)
        level = None if metric is None else metric.level
        if level is None or self.conformal is None or not self.conformal.has(level):
            return None
        return level

    @property
    def decision_sentence(self) -> str | None:
        """What it predicts instead of the most probable class, or of the mean, in a sentence; None if it does not."""
        if self.level is not None:
            return quantile_sentence(self.level, self.encoder.target.names)
        if self.decision is not None:
            return sentence(self.decision, self.metric, self.classes)
        return None

    def scores(self, features: Features | Images) -> np.ndarray:
        """Return probabilities ``(N, O)``, or standardised targets, of encoded rows."""
        out = np.empty((len(features), self.encoder.n_outputs))
        for rows, found in self.member_outputs(features):
            if self.is_classifier:
                found = ensemble.softmax(found)
            out[rows] = ensemble.combine(found, self.weights, self.method)
        return tempered(out, self.temperature) if self.is_classifier else out

    def bounds(
        self, features: Features | Images, coverage: float | None, levels: Sequence[float] = ()
    ) -> np.ndarray:
        """Return standardised predictions of encoded rows, the low and high ends of their intervals, and quantiles.

        Args:
            features: N rows.
            coverage: of the intervals; None for none.
            levels: of the quantiles.

        Returns:
            ``(1 or 3, and len(levels), N, T)``.

        Raises:
            InputError: the model has no intervals, or none of this coverage or level (see
                `popnet.predictions.conformal`).
        """
        conformal = self.intervals(coverage, levels)
        every = (*(() if coverage is None else ends(coverage)), *levels)
        out = np.empty((1 + len(every), len(features), self.encoder.n_outputs))
        for rows, found in self.member_outputs(features):
            out[0, rows] = ensemble.combine(found, self.weights, self.method)
            out[1:, rows] = conformal.quantiles(found, self.weights, every)
        return out

    def predict_point(self, features: Features | Images) -> np.ndarray:
        """Return standardised numbers to predict, ``(N, T)``, of encoded rows: means, or quantiles of the `level`."""
        if self.level is None:
            return self.scores(features)
        return self.bounds(features, None, (self.level,))[1]

    def deviations(self, features: Features | Images) -> tuple[np.ndarray, np.ndarray]:
        """Return standardised predictions of encoded rows and their standard deviations, ``(N, T)`` each.

        Raises:
            InputError: the model predicts classes, or has no held-out errors.
        """
        conformal = self.intervals(None)
        out = np.empty((2, len(features), self.encoder.n_outputs))
        for rows, found in self.member_outputs(features):
            out[0, rows] = ensemble.combine(found, self.weights, self.method)
            out[1, rows] = conformal.deviations(found, self.weights)
        return out[0], out[1]

    def intervals(self, coverage: float | None, levels: Sequence[float] = ()) -> Conformal:
        """Return what intervals of a coverage, and quantiles, are made from.

        Raises:
            InputError: the model has no intervals, or none of this coverage or level.
        """
        if coverage is not None:
            check_coverage(coverage)
        if not hasattr(levels, "__len__") or isinstance(levels, str):
            raise InputError(f"quantiles must be a list of levels, as [0.1, 0.9]; got {levels!r}.")
        for level in levels:
            check_level(level)
        if self.is_classifier:
            raise InputError(
                "Intervals and quantiles are for regression; this model predicts classes."
            )
        if self.conformal is None:
            raise InputError(
                "The model has no held-out errors to make intervals from: an older popnet fitted it, or no net was "
                "trained in its time; fit it again."
            )
        if coverage is not None:
            self.conformal.rank(coverage)
        for level in levels:
            self.conformal.place(level)
        return self.conformal

    def member_outputs(
        self, features: Features | Images
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield row numbers and all members' outputs ``(M, n, O)``, block by block; numbers within the range seen."""
        features = self.encoder.combine(features)
        for start in range(0, len(features), BLOCK_ROWS):
            rows = np.arange(start, min(start + BLOCK_ROWS, len(features)))
            found = outputs(
                self.members, features, rows, views=self.views, of_nets=self._evaluation
            )
            yield rows, found if self.is_classifier else self.encoder.within_range(found)

    def decided(self, scores: Array) -> Array:
        """Return what the class that is predicted is the largest of, ``(N, O)``, of scores likewise."""
        return scores if self.decision is None else self.decision(scores)

    def with_views(self, views: int | None) -> Model:
        """Return the model with another number of views; None leaves it.

        Raises:
            InputError: several views are asked of a table's model.
        """
        if views is None:
            return self
        if views > 1 and self.encoder.image is None:
            raise InputError("--tta is for images; the model takes a table.")
        return replace(self, views=views)

    def predict(self, rows: Any) -> np.ndarray:
        """Predict rows; as an estimator of scikit-learn does, see `predict_frame` for a frame with more in it.

        Args:
            rows: N rows: a pandas or polars frame, a dictionary of columns, one dictionary (a row), a list of
                dictionaries, or rows without names whose columns are the model's in their order (a NumPy array, a list
                of lists). Columns that the model does not read are ignored. Of images what
                `popnet.data.images.read.read_images` takes.

        Returns:
            ``(N,)`` labels, or numbers; ``(N, T)`` numbers of several targets.

        Raises:
            InputError: a column or key is missing (its name is said), or a value cannot be taken as its column's kind.
        """
        features = self._encoded(rows)
        if self.is_classifier:
            return np.asarray(self.classes)[self.decided(self.scores(features)).argmax(1)]
        values = self.encoder.decode_target(self.predict_point(features))
        return values[:, 0] if len(self.encoder.target.names) == 1 else values

    def predict_proba(self, rows: Any) -> np.ndarray:
        """Return probabilities of rows as `predict` takes them, ``(N, C)``, columns as in `classes`.

        Raises:
            InputError: as of `predict`, or the model predicts numbers.
        """
        if not self.is_classifier:
            raise InputError(NO_PROBABILITIES)
        return self.scores(self._encoded(rows))

    def _encoded(self, rows: Any) -> Features | Images:
        if (image := self.encoder.image) is not None:
            return image.images(image.read(rows).pixels)
        begin_threads()
        needed = [column.name for column in self.encoder.columns]
        known = [column.name for column in self.schema.columns]
        return self.encoder.transform(frame_of(rows, needed, known))

    def predict_frame(
        self,
        frame: Any,
        *,
        proba: bool = False,
        interval: float | None = None,
        quantiles: Sequence[float] = (),
        report: list[str] | None = None,
        first_row: int = 1,
    ) -> pl.DataFrame:
        """Predict the rows of a frame.

        Args:
            frame: has the columns that the model was trained on; others are ignored. A polars or pandas frame, or what
                else `popnet.data.tables.read.read_table` takes.
            proba: also give a column ``probability_<class>`` for each class.
            interval: coverage of intervals, as 0.9: also give columns ``<target>_low`` and ``<target>_high``, between
                which the true values of that share of new rows lie (see `popnet.predictions.conformal`).
            quantiles: levels, as 0.9: also give a column ``<target>_q90`` each, which true values are below so often.
            report: receives what was noticed (columns ignored, levels not seen in training).
            first_row: number of the frame's first row, for messages.

        Returns:
            A column named like each target, and the probabilities, intervals or quantiles.

        Raises:
            InputError: a column is missing, a value cannot be taken as its column's kind, or the model has no such
                probabilities, intervals or quantiles.
            ForkError: this process was forked from one that had predicted or fitted.
        """
        if self.encoder.image is not None:
            raise InputError(
                "the model takes images, not a table; give a folder or files of images."
            )
        if interval is not None or not hasattr(quantiles, "__len__") or len(quantiles):
            self.intervals(interval, quantiles)  # before the rows are read
        if not isinstance(frame, pl.DataFrame):
            frame = read_table(frame)
        features = self.encoder.transform(frame, report=report, first_row=first_row)
        return self.predict_features(features, proba=proba, interval=interval, quantiles=quantiles)

    def predict_features(
        self,
        features: Features | Images,
        *,
        proba: bool = False,
        interval: float | None = None,
        quantiles: Sequence[float] = (),
    ) -> pl.DataFrame:
        """Predict rows that are encoded already (`encoder.transform`); see `predict_frame`."""
        return pl.DataFrame(columns_of(self, features, proba, interval, quantiles))

    def predict_pictures(
        self,
        pictures: Pictures,
        *,
        proba: bool = False,
        interval: float | None = None,
        quantiles: Sequence[float] = (),
    ) -> pl.DataFrame:
        """Predict images that were read in the model's format (`popnet.data.images.format.ImageFormat.read`).

        Args:
            pictures: the images.
            proba, interval, quantiles: see `predict_frame`.

        Returns:
            A column ``image`` with the files' names (or numbers from 1), one named like the target, and the
            probabilities, intervals or quantiles.
        """
        assert self.encoder.image is not None
        names = pictures.names or list(range(1, len(pictures.pixels) + 1))
        images = self.encoder.image.images(pictures.pixels)
        columns = columns_of(self, images, proba, interval, quantiles)
        taken = {c.name for c in columns}
        return pl.DataFrame(
            [pl.Series("image" if "image" not in taken else "file", names), *columns]
        )

    def evaluate_pictures(self, pictures: Pictures) -> tuple[int, dict[str, float]]:
        """Return the number of images and every metric on them; of images with parts, on their test part.

        Raises:
            InputError: there are no labels, or one is of a class that the model does not know.
        """
        assert self.encoder.image is not None
        if pictures.labels is None:
            raise InputError("The images have no labels, so there is nothing to evaluate.")
        rows = np.arange(len(pictures.labels))
        if pictures.parts is not None and (pictures.parts == TEST).any():
            rows = rows[pictures.parts == TEST]
        name = self.encoder.target.names[0]
        frame = pl.DataFrame({name: [pictures.labels[i] for i in rows]})
        y, _ = self.encoder.encode_target(frame)
        return len(rows), self.score_outputs(
            y, self.evaluation_outputs(self.encoder.image.images(pictures.pixels[rows]))
        )

    def predict_batches(
        self,
        batches: Iterator[pl.DataFrame],
        *,
        proba: bool = False,
        interval: float | None = None,
        quantiles: Sequence[float] = (),
        report: list[str] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Predict a table batch by batch, for tables larger than memory; see `predict_frame`."""
        row = 1
        for batch in batches:
            yield self.predict_frame(
                batch, proba=proba, interval=interval, quantiles=quantiles, report=report, first_row=row,
            )  # fmt: skip
            row += batch.height

    def evaluate(self, batches: Iterator[pl.DataFrame]) -> tuple[int, dict[str, float]]:
        """Return the number of rows with a target, and every metric on them.

        Raises:
            InputError: the target is not there, or no row has one, or a class is unknown.
        """
        true: list[np.ndarray] = []
        predicted: list[np.ndarray] = []
        keeps: list[np.ndarray] = []
        weights: list[pl.DataFrame] = []
        row = 1
        for batch in batches:
            y, keep = self.encoder.encode_target(batch, first_row=row)
            true.append(y[keep])
            predicted.append(
                self.evaluation_outputs(self.encoder.transform(batch, first_row=row))[:, keep]
            )
            keeps.append(keep)
            if self.schema.weight in batch.columns:
                weights.append(batch.select(self.schema.weight))
            row += batch.height
        if not sum(map(len, true)):
            raise InputError("The table has no row with a target, so there is nothing to evaluate.")
        w = None
        if weights:  # of all batches at once: weights are relative to their mean
            found = self.encoder.weights(pl.concat(weights, how="vertical_relaxed"))
            w = None if found is None else found[np.concatenate(keeps)]
        y = np.concatenate(true)
        return len(y), self.score_outputs(y, np.concatenate(predicted, 1), w)

    def evaluation_outputs(self, features: Features | Images) -> np.ndarray:
        """Return what `score_outputs` takes of encoded rows: scores, ends of intervals and the quantile, if any."""
        reported = (
            REPORTED if self.conformal is not None and self.conformal.gives(REPORTED) else None
        )
        own = () if self.level is None else (self.level,)
        if reported is None and not own:
            return self.scores(features)[None]
        return self.bounds(features, reported, own)

    def score_outputs(
        self, true: Array, outputs: Array, weights: Array | None = None
    ) -> dict[str, float]:
        """Return every metric, and of intervals the share of rows within them and their width.

        Args:
            true: ``(N,)`` class numbers or ``(N, T)`` standardised targets.
            outputs: ``(1, N, O)`` or more: scores; the low and high ends of intervals, if any; the quantile, if the
                metric wants one.
            weights: ``(N,)`` row weights.
        """
        y, scores = self.encoder.in_units(true, outputs[0])
        asked = metrics.named(self.metric)
        values = metrics.all_of(
            self.encoder.target.task, y, scores, weights, self.decision_outputs(outputs), asked
        )
        if len(outputs) > 2:
            low, high = map(self.encoder.decode_target, outputs[1:3])
            values |= coverage_and_width(y, low, high, weights)
        return values

    def decision_outputs(self, outputs: Array) -> np.ndarray:
        """Return what metrics that look at decisions take (`Metric.uses_decision_rule`), ``(N, O)``, in target units.

        Args:
            outputs: see `score_outputs`.
        """
        if self.is_classifier:
            return self.decided(outputs[0])
        return self.encoder.decode_target(outputs[0 if self.level is None else -1])

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``weights.safetensors`` into a folder that exists.

        Raises:
            OSError: they cannot be written; earlier ones stay.
        """
        saving.save(self, folder)

    def export(self, path: str | Path, *, opset: int | None = None) -> None:
        """Write an ONNX file that predicts without popnet, from columns or images; see `popnet.export.run.export`.

        Args:
            path: of the file, which ends in .onnx.
            opset: version of ONNX's operators, from 18 on; default 18.

        Raises:
            InputError: onnx is not installed, a column cannot be an input, or the file cannot be written.
        """
        from popnet.export.run import export

        export(self, path, opset=opset)

    @classmethod
    def load(cls, folder: str | Path) -> Model:
        """Read a model folder.

        Raises:
            ModelError: it is missing, of a newer format, altered or cut short; one sentence says which.
        """
        return saving.load(cls, folder)
