"""Find what is wrong with data or with training, and test what helps: `popnet doctor`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from popnet.data.tables.schema import Schema, conform
from popnet.diagnosis import page
from popnet.diagnosis.findings import DoctorFinding, Proof, sorted_by_severity
from popnet.diagnosis.limits import Limits
from popnet.diagnosis.nets import probed_runs
from popnet.diagnosis.nets.checks import ProbedTraining
from popnet.diagnosis.nets.probed_runs import Symptom
from popnet.diagnosis.nets.rules import RULES, unexplained
from popnet.diagnosis.tables import columns, labels
from popnet.diagnosis.tables import shift as shifts
from popnet.errors import InputError
from popnet.model.model import Model
from popnet.options import DEFAULTS, Options
from popnet.prepare.as_fitted import as_fitted
from popnet.prepare.source import prepare_source
from popnet.prepare.table import read_as_written, usable_rows
from popnet.report import format
from popnet.report.document import Document
from popnet.runtime import keys, notebook
from popnet.runtime.memory import Memory
from popnet.runtime.progress import Progress
from popnet.spec.recipe import Recipe

DATA_RULES = (
    "target leakage", "columns that make up the target", "identifiers as features", "constant columns",
    "duplicate columns", "rows in both parts", "class imbalance", "order in time",
    "time drift", "label noise",
)  # fmt: skip
"""The rules about data."""

PAIRS = 10
"""Pairs of twins by which a remedy is tested."""

LABEL_FOLDS, LABEL_EPOCHS = 5, 30
"""Of the cross-validation by which wrong labels are searched for."""


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        findings: the worst first.
        source: name of the data.
        recipe: of the nets that were checked; None if none was trained.
        trainings: of those nets.
        shift: how new data differs from the training data; None if no new data was given.
        notes: remarks on the data and the run.
        seconds: the run took.
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

    def __repr__(self) -> str:
        found = ", ".join(f.title for f in self.findings) or "nothing wrong"
        return f"<popnet.Diagnosis of {self.source}: {found}>"

    def _repr_html_(self) -> str:
        lines = [
            (f"{f.severity}: {f.title}", f"{f.measured} {f.remedy.words}") for f in self.findings
        ]
        if self.shift is not None:
            lines.insert(0, ("new data", self.shift.verdict))
        return notebook.table(
            f"popnet doctor of {self.source}", lines or [("found", "nothing wrong")]
        )

    def record(self) -> dict[str, Any]:
        """Return the diagnosis as plain JSON."""
        found: dict[str, Any] = {
            "source": self.source, "seed": self.seed, "seconds": round(self.seconds, 3), "notes": self.notes,
            "findings": [asdict(f) for f in self.findings],
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
        looked = ["covariate shift"] if self.shift else [*(r.title for r in RULES), *DATA_RULES]
        first = page.headline(self.findings, len(looked))
        if self.shift is not None:
            first = f"{format.capital(self.shift.verdict)}."
        notes = [f"{format.capital(n)}." for n in self.notes]
        lead = (first, *(n for n in notes if n != first))
        return page.document(
            f"Diagnosis of {self.source}", lead, self.findings, self.trainings, looked, command, __version__, created
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
    Where a change of the recipe may help, twins are trained with and without it, and the gain is reported.

    Args:
        source: a table or images, as `popnet.fitting.run.fit` takes them, or the folder of a model: then its best
            net's recipe and its training data are checked.
        target: column to predict; of a model it is known.
        options: ``recipe`` is the net that is checked (default: the default net of a fit); reading, splitting, seed,
            time limit, workers.
        against: new data. Nets learn to tell it from the training data, and nothing else is done (Lopez-Paz and Oquab
            2017).
        data: the training data of a model, if it has been moved.
        rows: of the data that nets are trained on; None for at most 10,000 rows or 2,000 images.
        prove: whether remedies are tested by twins. Without it suspicions are not reported.
        on_progress: called now and then.
        stop: when set, training ends and what was found is returned.
        began: moment of ``time.monotonic()`` from which the time limit counts; default now.

    Raises:
        InputError: the data or an option cannot be used, or the time limit was reached before a net was trained.
    """
    began = time.monotonic() if began is None else began
    options.check()
    deadline = None if options.time_limit is None else began + options.time_limit
    limits = Limits(deadline, options.workers, stop, Memory(options.memory_limit))
    report = _Report(on_progress, deadline)
    model = _model(source)
    if model is not None:
        if target is not None:
            raise InputError("a model knows its target; leave --target out.")
        target = list(model.schema.target.names)
        source = _training_data(model, data)
        options = _as_in_model(options, model)
    name = format.name_of(source)
    if against is not None:
        shift = _against(source, target, against, options, limits, model, report.note)
        found, recipe, trained = shifts.finding(shift), None, []
        found = [found] if found else []
        name = f"{format.name_of(against)} against {name}"
    else:
        shift = None
        found, recipe, trained = _examine(source, target, options, rows, prove, limits, report)
    seconds = time.monotonic() - began
    return Diagnosis(found, name, recipe, trained, shift, report.notes, seconds, options.seed)


class _Report:
    """Tells how far a diagnosis is, and keeps its notes."""

    def __init__(self, on_progress: Callable[[Progress], None], deadline: float | None) -> None:
        self.notes: list[str] = []
        self._on_progress, self._deadline, self._nets = on_progress, deadline, 0

    def note(self, text: str) -> None:
        """Keep and tell a remark."""
        self.notes.append(text)
        self._on_progress(Progress("doctor", note=text))

    def net(self) -> None:
        """Tell that one more net has ended."""
        self._nets += 1
        left = None if self._deadline is None else self._deadline - time.monotonic()
        self._on_progress(Progress("doctor", self._nets, None, left))


def _examine(
    source: Any, target: Any, options: Options, rows: int | None, prove: bool, limits: Limits, report: _Report
) -> tuple[list[DoctorFinding], Recipe | None, list[ProbedTraining]]:  # fmt: skip
    """Apply all rules to data and to nets that are trained on it; return also the nets' recipe and trainings."""
    frame = None
    if not is_image_source(source) and target is not None:
        frame, reading = read_as_written(source, target, options)
        source, options = frame, replace(options, reading=reading)
    prepared = prepare_source(source, target, options)
    for note in prepared.notes:
        report.note(note)
    findings: list[DoctorFinding] = []
    if frame is not None:
        frame = conform(frame, prepared.schema)
        usable = frame.filter(usable_rows(frame, prepared.schema, []))
        findings += columns.find(
            usable, prepared.schema, prepared.train, prepared.test, seed=options.seed, limits=limits
        )
    small, picked, lines = sample(prepared, rows, options.seed)
    for line in lines:
        report.note(line)
    recipe = base_recipe(small, len(picked), options.recipe)
    pairs = design(picked, PAIRS, options.seed, prepared.split_keys)
    trained = probed_runs.trainings(
        small, recipe, pairs[: probed_runs.TRAININGS], limits, report.net
    )
    if not trained:
        if not limits.interrupted:
            raise InputError(
                "the time limit was reached before a net was trained; give a longer one."
            )
        report.note("interrupted before a net was trained: only the table was checked")
        return sorted_by_severity(findings), None, []
    seen = probed_runs.symptoms(trained)
    proofs: dict[str, Proof] = {}
    if prove:
        proofs = probed_runs.proven(
            small, recipe, [s.finding for s in seen], pairs, limits, report.net, trained
        )
    nets = _reported(seen, proofs)
    # Who brings a recipe asks about it first.
    findings = [*nets, *findings] if options.recipe is not None else [*findings, *nets]
    findings += _labels(
        small, picked, prepared.schema, prepared.split_keys, options, limits, report.net
    )
    if limits.interrupted:
        report.note("interrupted before all rules were applied and all remedies tested")
    elif prove and len(proofs) < sum(bool(s.finding.remedy.fields) for s in seen):
        report.note("the time limit was reached before all remedies were tested")
    return sorted_by_severity(findings), recipe, trained


def _reported(seen: list[Symptom], proofs: dict[str, Proof]) -> list[DoctorFinding]:
    """Return findings about nets with their proofs: no suspicion without one, nothing that another one explains."""
    found: list[DoctorFinding] = []
    for finding, fired in seen:
        proof = proofs.get(finding.rule)
        if not fired.rule.suspicion or (proof is not None and proof.verdict == "helps"):
            found.append(replace(finding, proof=proof))
    names = unexplained([f.rule for f in found])
    return [f for f in found if f.rule in names]


def _model(source: Any) -> Model | None:
    """Return the model of a folder that holds one, else None."""
    if isinstance(source, str | Path) and (Path(source) / "model.json").is_file():
        return Model.load(source)
    return None


def _as_in_model(options: Options, model: Model) -> Options:
    """Return options with the recipe of a model's best net, and with its reading of the data."""
    if not model.nets:
        raise InputError("The model has no net to diagnose: it is made of boosted trees alone.")
    best = model.nets[int(np.argmax(model.weights[: len(model.nets)]))]
    image = model.encoder.image
    size = None if image is None else (image.height, image.width)
    return as_fitted(replace(options, recipe=options.recipe or best.recipe), model.schema, size)


def _training_data(model: Model, given: Any) -> Any:
    if given is not None:
        return given
    known = "" if model.facts is None else model.facts.fit.source
    if known and Path(known).exists():
        return known
    raise InputError(
        f"the model was fitted on {known or 'data in memory'}, which is no longer there; give it with --data."
    )


def _against(
    source: Any, target: Any, against: Any, options: Options, limits: Limits, model: Model | None,
    tell: Callable[[str], None],
) -> shifts.CovariateShift:  # fmt: skip
    """Compare new data with the training data."""
    if is_image_source(source) or is_image_source(against):
        raise InputError("--against compares tables; it cannot compare images.")
    schema = prepare_source(source, target, options).schema if model is None else model.schema
    as_written = schema.reading.as_written(schema.target.names)
    old, new = (read_table(table, as_written) for table in (source, against))
    targets = schema.target.names
    if model is not None and all(t in new.columns for t in targets):
        _, metrics = model.evaluate(iter([new]))
        before = None if model.facts is None else model.facts.scores.score
        if model.metric in metrics and before is not None:
            tell(
                f"the model's {model.metric} was {before:.4g} on its test part, and is "
                f"{metrics[model.metric]:.4g} on the new data"
            )
    old, new = conform(old, schema), conform(new, schema)
    found = shifts.shift(old, new, schema, seed=options.seed, limits=limits)
    tell(found.verdict)
    return found


def _labels(
    data: Dataset, rows: np.ndarray, schema: Schema, split_keys: SplitKeys, options: Options, limits: Limits,
    on_net: Callable[[], None],
) -> list[DoctorFinding]:  # fmt: skip
    """Look for labels that all nets which have not seen them contradict; the nets are default ones, not faulty ones."""
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
