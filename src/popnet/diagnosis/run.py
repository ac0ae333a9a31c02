"""What is wrong with a training or its data, and what mends it: findings with proofs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from popnet._version import __version__
from popnet.ablation.design import Pair, design, nested
from popnet.ablation.sample import base_recipe, sample
from popnet.data.dataset import Dataset
from popnet.data.images.read import is_image_source
from popnet.data.splits import SplitKeys
from popnet.data.tables.read import read_table
from popnet.data.tables.schema import Schema
from popnet.diagnosis import page
from popnet.diagnosis.findings import DoctorFinding, Proof, sorted_by_severity
from popnet.diagnosis.nets import probed_runs
from popnet.diagnosis.nets.checks import ProbedTraining
from popnet.diagnosis.nets.probed_runs import Limits
from popnet.diagnosis.nets.rules import RULES, FiredRule, unexplained
from popnet.diagnosis.tables import columns, labels
from popnet.diagnosis.tables import shift as shifts
from popnet.errors import InputError
from popnet.model.model import Model
from popnet.options import DEFAULTS, Options
from popnet.prepare.as_fitted import as_fitted
from popnet.prepare.source import prepare_source
from popnet.prepare.table import usable_rows
from popnet.report import format
from popnet.report.document import Document
from popnet.runtime import keys
from popnet.runtime.memory import Memory
from popnet.runtime.progress import Progress
from popnet.spec.recipe import Recipe

DATA_RULES = (
    "target leakage", "columns that make up the target", "identifiers as features", "constant columns",
    "duplicate columns", "rows in both parts", "class imbalance", "time drift", "label noise",
)  # fmt: skip
"""Titles of the rules about data."""

PAIRS = 10
"""Pairs of twins of a proof."""

LABEL_FOLDS, LABEL_EPOCHS = 5, 30
"""Of the nets that wrong labels are searched with."""


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        findings: the worst first.
        source: what the data is called.
        recipe: of the nets that were looked at; None if none was trained.
        trainings: those nets.
        shift: what tells new data from the training data; None if no new data was given.
        notes: lines for people.
        seconds: it took.
        seed: of every random choice.
    """

    findings: list[DoctorFinding]
    source: str
    recipe: Recipe | None
    trainings: list[ProbedTraining] = field(repr=False)
    shift: shifts.CovariateShift | None
    notes: list[str]
    seconds: float
    seed: int

    def record(self) -> dict[str, Any]:
        """Return the diagnosis as plain JSON."""
        found: dict[str, Any] = {
            "source": self.source, "seed": self.seed, "seconds": round(self.seconds, 3), "notes": self.notes,
            "findings": [f.record() for f in self.findings],
            "recipe": None if self.recipe is None else self.recipe.model_dump(),
        }  # fmt: skip
        if self.shift is not None:
            found["shift"] = {
                "auc": self.shift.auc, "low": self.shift.low, "high": self.shift.high, "shifted": self.shift.shifted,
                "verdict": self.shift.verdict,
                "columns": [c.name for c in self.shift.columns[:10]],
            }  # fmt: skip
        return found

    def document(self, command: str = "", created: str | None = None) -> Document:
        """Return the diagnosis as a page; see `popnet.ablation.run.Study.document`."""
        created = created or datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        looked = [*(r.title for r in RULES), *DATA_RULES] if self.recipe else ["covariate shift"]
        return page.document(
            f"Diagnosis of {self.source}", self.findings, self.trainings, self.notes, looked, command, __version__,
            created,
        )  # fmt: skip


def doctor(
    source: Any,
    target: str | Sequence[str] | None = None,
    options: Options = DEFAULTS,
    *,
    against: Any = None,
    data: Any = None,
    rows: int | None = None,
    prove: bool = True,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
    began: float | None = None,
) -> Diagnosis:
    """Look for what is wrong with data, with a net that is trained on it, or with new data of a model.

    Rules about the table are applied, then a few nets are trained with probes in every layer, and rules look at them.
    What can be mended by a recipe is trained as twins with and without the remedy, and its gain is told.

    Args:
        source: a table or images, as `popnet.fitting.run.fit` takes them, or the folder of a model: then its best
            net's recipe and its training data are looked at.
        target: column to predict; of a model it is known.
        options: ``recipe`` is the net that is looked at (default: the default net of a fit); reading, splitting, seed,
            time limit, workers.
        against: new data. Nets are told to tell it from the training data, and nothing else is done (Lopez-Paz and
            Oquab 2017).
        data: the training data of a model, if it is not any more where it was.
        rows: of the data that nets are trained on; None for at most 10,000 rows or 2,000 images.
        prove: whether remedies are trained as twins. Without it suspicions are not reported.
        on_progress: called now and then.
        stop: when set, training ends and what was found is returned.
        began: moment of ``time.monotonic()`` from which the time limit counts; default now.

    Raises:
        InputError: the data or an option cannot be used.
    """
    began = time.monotonic() if began is None else began
    options.check()
    deadline = None if options.time_limit is None else began + options.time_limit
    limits = Limits(deadline, options.workers, stop, Memory(options.memory_limit))
    notes: list[str] = []

    def tell(text: str) -> None:
        notes.append(text)
        on_progress(Progress("doctor", note=text))

    model = _model(source)
    if model is not None:
        if target is not None:
            raise InputError("a model knows its target; leave --target out.")
        target = list(model.schema.target.names)
        source = _training_data(model, data)
        best = model.nets[int(np.argmax(model.weights))]
        image = model.encoder.image
        size = None if image is None else (image.height, image.width)
        options = as_fitted(
            replace(options, recipe=options.recipe or best.recipe), model.schema, size
        )
    name = format.name_of(source)
    if against is not None:
        found, shift = _against(source, target, against, options, limits, model, tell)
        return Diagnosis(
            found, f"{format.name_of(against)} against {name}", None, [], shift,
            notes, time.monotonic() - began, options.seed,
        )  # fmt: skip
    count = [0]

    def on_net() -> None:
        count[0] += 1
        left = None if deadline is None else deadline - time.monotonic()
        on_progress(Progress("doctor", count[0], None, left))

    frame = None if is_image_source(source) else read_table(source)
    prepared = prepare_source(source if frame is None else frame, target, options)
    for note in prepared.notes:
        tell(note)
    findings: list[DoctorFinding] = []
    if frame is not None:
        usable = frame.filter(usable_rows(frame, prepared.schema, []))
        findings += columns.find(
            usable, prepared.schema, prepared.train, prepared.test, seed=options.seed, workers=options.workers,
            deadline=deadline,
        )  # fmt: skip
    small, picked, lines = sample(prepared, rows, options.seed)
    for line in lines:
        tell(line)
    recipe = base_recipe(small, len(picked), options.recipe)
    pairs = design(picked, PAIRS, options.seed, prepared.split_keys)
    trained = probed_runs.trainings(small, recipe, pairs[: probed_runs.TRAININGS], limits, on_net)
    if not trained:
        raise InputError("the time limit was reached before a net was trained; give more time.")
    seen = probed_runs.symptoms(trained)
    proofs = {}
    if prove:
        proofs = probed_runs.proven(
            small, recipe, [f for f, _ in seen], pairs, limits, on_net, trained
        )  # fmt: skip
    nets = _told(seen, proofs)
    # Who brings a recipe asks about it first.
    findings = [*nets, *findings] if options.recipe is not None else [*findings, *nets]
    findings += _labels(
        small, picked, prepared.schema, prepared.split_keys, options, limits, on_net
    )
    if prove and len(proofs) < sum(bool(f.remedy.fields) for f, _ in seen):
        tell("the time limit was reached before all remedies were tested")
    return Diagnosis(
        sorted_by_severity(findings),
        name,
        recipe,
        trained,
        None,
        notes,
        time.monotonic() - began,
        options.seed,
    )


def _told(
    seen: list[tuple[DoctorFinding, FiredRule]], proofs: dict[str, Proof]
) -> list[DoctorFinding]:
    """Return findings about nets with their proofs: no suspicion without one, nothing that another one explains."""
    told = []
    for finding, fired in seen:
        proof = proofs.get(finding.rule)
        if not fired.rule.suspicion or (proof is not None and proof.verdict == "helps"):
            told.append(replace(finding, proof=proof))
    names = unexplained([f.rule for f in told])
    return [f for f in told if f.rule in names]


def _model(source: Any) -> Model | None:
    """Return the model of a folder that holds one, else None."""
    if isinstance(source, str | Path) and (Path(source) / "model.json").is_file():
        return Model.load(source)
    return None


def _training_data(model: Model, given: Any) -> Any:
    if given is not None:
        return given
    known = model.facts.get("source", "")
    if known and Path(known).exists():
        return known
    raise InputError(
        f"the model was fitted on {known or 'data in memory'}, which is not there; give it with --data."
    )


def _against(
    source: Any, target: Any, against: Any, options: Options, limits: Limits, model: Model | None,
    tell: Callable[[str], None],
) -> tuple[list[DoctorFinding], shifts.CovariateShift]:  # fmt: skip
    """Compare new data with the training data."""
    if is_image_source(source) or is_image_source(against):
        raise InputError("--against compares tables; for images there is no such comparison yet.")
    old, new = read_table(source), read_table(against)
    schema = prepare_source(old, target, options).schema if model is None else model.schema
    targets = schema.target.names
    if model is not None and all(t in new.columns for t in targets):
        _, metrics = model.evaluate(iter([new]))
        name, before = model.facts.get("metric"), model.facts.get("score")
        if name in metrics and before is not None:
            tell(
                f"the model's {name} was {before:.4g} on its test part, and is {metrics[name]:.4g} "
                "on the new data"
            )
    found = shifts.shift(
        old, new, schema, seed=options.seed, workers=limits.workers, deadline=limits.deadline
    )
    tell(found.verdict)
    finding = shifts.finding(found)
    return ([] if finding is None else [finding]), found


def _labels(
    data: Dataset, rows: np.ndarray, schema: Schema, split_keys: SplitKeys, options: Options, limits: Limits,
    on_net: Callable[[], None],
) -> list[DoctorFinding]:  # fmt: skip
    """Look for labels that all nets that did not see them contradict; with the default net, not with a sick one."""
    if data.task == "regression" or split_keys.time is not None:
        return []
    recipe = base_recipe(data, len(rows), None)

    def folds(repeat: int) -> list[Pair]:
        seed = int(keys.key(options.seed, "labels", repeat))
        most = split_keys.max_folds(rows)
        found = split_keys.folds(rows, max(2, min(LABEL_FOLDS, most)), seed)
        return [nested(f, seed, seed, split_keys) for f in found]

    recipe = recipe.replace(epochs=min(recipe.epochs, LABEL_EPOCHS))
    probabilities = probed_runs.out_of_fold_probabilities(data, recipe, rows, limits, on_net, folds)
    if probabilities is None:
        return []
    finding = labels.label_noise(probabilities, data.target[rows], schema.target.classes, rows)
    return [] if finding is None else [finding]
