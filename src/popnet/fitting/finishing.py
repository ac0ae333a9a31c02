"""The end of a fit: the ensemble is chosen, scored and explained, and what is known of it is gathered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from popnet.fitting import evidence, explanation, refit, selection
from popnet.fitting.candidates import Candidates, is_trees
from popnet.fitting.plan import epochs_note, wanted_epochs
from popnet.fitting.scoring import Scoring
from popnet.fitting.training import FitTraining
from popnet.model import summary
from popnet.model.facts import EnsembleScores, FitRecord, ModelFacts, Seconds
from popnet.model.members import as_members
from popnet.model.model import Model
from popnet.population.members import Result
from popnet.prepare.prepared import Prepared
from popnet.report.fit_page.facts import Evidence, FitFacts, RefitFacts, TreesFacts
from popnet.report.format import count, is_number, short
from popnet.runtime import notebook
from popnet.runtime.clock import finite
from popnet.runtime.progress import Progress
from popnet.runtime.sizes import words
from popnet.tuning.importance import importance


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves: the model, the facts for the report, and every member's result."""

    model: Model
    facts: FitFacts
    results: list[Result]
    interrupted: bool

    def __repr__(self) -> str:
        return f"<popnet fit of {self._nets}: {self.model!r}>"

    def _repr_html_(self) -> str:
        lines = [*summary.lines(self.model), ("trained", self._nets)]
        lines += [("warning", text) for text in self.facts.warnings]
        return notebook.table("popnet fit", lines)

    @property
    def _nets(self) -> str:
        return f"{count(len(self.results), 'net')}{', interrupted' if self.interrupted else ''}"


def finish(training: FitTraining, reading: float, source: str, command: str) -> Fitted:
    """Choose the ensemble, score it on the test part, and gather the facts.

    Args:
        training: that has ended.
        reading: seconds that it took to read the data.
        source: what the data is called.
        command: how the user called this.
    """
    candidates, trainer, options = training.candidates, training.trainer, training.options
    table, metric = candidates.table, candidates.metric
    results, runs = list(training.results.values()), list(training.runs.values())
    chosen = selection.choose(
        candidates, training.results, options, training.finish, trainer.interrupted
    )
    nets, trees, weights = as_members(chosen.members, chosen.weights)
    model = Model(
        table.schema, table.encoder, nets, weights, chosen.method, metric.name,
        views=candidates.views, conformal=selection.calibrated(candidates, [*nets, *trees], weights),
        decision=selection.decision(candidates, chosen), temperature=chosen.temperature, trees=trees,
    )  # fmt: skip
    end = _scored(training, chosen, model)
    seconds = Seconds(
        total=training.clock.elapsed(), reading=reading, compiling=trainer.compile_seconds,
        training=training.seconds,
    )  # fmt: skip
    fit = FitRecord(len(results), seconds, options.seed, source)
    known = ModelFacts(end.scores, fit, end.explained.importance)
    model = replace(end.model, facts=known)
    from popnet.report.fit_page import gather

    plan = training.plan
    assert plan is not None
    facts = gather.gather(
        table.schema, metric, known,
        gather.Parts(
            len(table.train), len(table.test), table.split, len(table.folds), table.notes, _class_counts(table),
            table.doubts,
        ),
        gather.Population(
            results, [run.recipe_id for run in runs], chosen.member_weight, candidates.member_scores,
            candidates.scores, _trees(candidates, model),
        ),
        chosen.gain,
        gather.Circumstances(
            command=command, time_limit=options.time_limit, wanted_epochs=wanted_epochs(plan.space, plan.parts),
            warnings=end.warnings,
            notes=[
                *described(model), *table.notes, *epochs_note(table.fold_rows, plan.parts), *plan.notes,
                *settled(training), *end.notes, *end.explained.notes,
            ],
            importance=_importance(training), augmentation=plan.check, effects=end.explained.effects,
        ),
        end.seen,
    )  # fmt: skip
    return Fitted(model, replace(facts, refit=end.refit), results, trainer.interrupted)


class _End(NamedTuple):
    """What is known of a model when a fit ends; see `popnet.report.fit_page.facts.FitFacts`."""

    model: Model
    scores: EnsembleScores
    seen: Evidence | None
    explained: explanation.Explained
    refit: RefitFacts | None
    warnings: list[str]
    notes: list[str]


def _scored(training: FitTraining, chosen: selection.Chosen, model: Model) -> _End:
    """Score and explain a model by held-out rows; its nets are trained again before, or, if no row is left, after."""
    options, candidates, finish = training.options, training.candidates, training.finish
    measured = options.refit is not None and refit.is_measured(candidates.table, options.refit)
    refitted = _again(training, chosen, 0.6) if measured else None
    if refitted is not None:
        model = refit.with_members(model, refitted)
    scoring = Scoring(model, candidates, chosen.held_out, finish, options.seed)
    scores = scoring.scores()
    seen, explained, problems = _shown(training, scoring, model)
    own = _warnings(training, scores, model.level is not None)
    warnings = [*chosen.warnings, *own, *problems]
    if options.refit is None:
        return _End(model, scores, seen, explained, None, warnings, [])
    if not measured:
        refitted = _again(training, chosen, 0.2)
    if refitted is None:
        warnings.append("nothing was trained again: there was no time, or no recipe that could be")
        return _End(model, scores, seen, explained, None, warnings, [])
    out_of_fold = None if chosen.gain is None else chosen.gain.score
    facts = refit.facts(refitted, candidates.table, options.refit, scores, out_of_fold)
    if not measured:
        model = refit.with_members(model, refitted)
        where = f"{scores.scored_on}, before the nets were trained again"
        scores = replace(scores, scored_on=where)
    said = [refit.sentence(facts, candidates.metric.name)]
    return _End(model, scores, seen, explained, facts, warnings, said)


def _shown(
    training: FitTraining, scoring: Scoring, model: Model
) -> tuple[Evidence | None, explanation.Explained, list[str]]:
    """Return what the page shows beside the scores, and a line on each thing that could not be found out.

    A model that took an hour is not lost to a fault in what is only shown of it.
    """
    seen, explained, problems = None, explanation.Explained(), list[str]()
    try:
        seen = evidence.find(scoring, training.finish)
    except Exception as error:
        problems.append(f"thresholds, calibration and groups of rows are not shown: {_what(error)}")
    try:
        if not training.stop.is_set():  # whoever presses Ctrl-C does not want to wait for more
            explained = explanation.explain(
                model, training.candidates, training.options, training.finish
            )
    except Exception as error:
        problems.append(f"which columns matter could not be measured: {_what(error)}")
    return seen, explained, problems


def _what(error: Exception) -> str:
    """Return what went wrong, in a line."""
    return short(" ".join(f"{type(error).__name__}: {error}".split()), 200)


def _again(training: FitTraining, chosen: selection.Chosen, share: float) -> refit.Refitted | None:
    """Train the chosen recipes once more if the user says so; None if no net was.

    Args:
        training: that has ended.
        chosen: the ensemble.
        share: of the time that is kept for the end, which must be left.
    """
    options, candidates = training.options, training.candidates
    if options.refit is None or training.trainer.interrupted:
        return None
    training.tell(Progress("training again", left=finite(training.clock.left())))
    found = refit.refit(
        candidates, training.results, chosen, refit.rows_of(candidates.table, options.refit), options.seed,
        training.finish.moment(share), options.workers, training.stop, training.memory,
    )  # fmt: skip
    return found if found is not None and found.trained else None


def _trees(candidates: Candidates, model: Model) -> TreesFacts | None:
    """Return how boosted trees did, None if there were none."""
    fitted = [i for i in candidates.by_id if is_trees(i)]
    if not fitted:
        return None
    best = candidates.best_trees()
    score = None if best is None else candidates.scores[best.recipe_id]
    return TreesFacts(score, float(model.tree_weights.sum()), len(fitted))


def settled(training: FitTraining) -> list[str]:
    """Return a sentence if the search ended by itself."""
    settling = training.settling
    if settling is None or settling.last is None:
        return []
    return [
        f"the search stopped early: the last {training.options.search_patience} of "
        f"{settling.seen} recipes did not improve the ensemble"
    ]


def _warnings(training: FitTraining, scores: EnsembleScores, quantile: bool) -> list[str]:
    """Return what there is to be said about how training ended, and about the score.

    Args:
        training: that has ended.
        scores: of the model.
        quantile: whether the model predicts one.
    """
    warnings: list[str] = []
    trainer, metric = training.trainer, training.candidates.metric
    if trainer.interrupted and training.candidates.by_id:
        warnings.append(
            "training was interrupted; the model is built from the nets trained until then"
        )
    if training.trees.problem is not None:
        warnings.append(training.trees.problem)
    if trainer.out_of_memory:
        warnings.append(
            f"training ended early, at the memory limit of {words(training.memory.limit)}; give a greater "
            "--memory-limit, or fewer --workers"
        )
    if metric.level is not None and not quantile:
        warnings.append(
            "there are too few held-out errors to make quantiles from, so that the model predicts means"
        )
    score, constant = scores.score, scores.baselines.get("constant", {}).get(metric.name)
    if (
        is_number(score)
        and is_number(constant)
        and metric.loss_of(score) >= metric.loss_of(constant)
    ):
        warnings.append(
            "the model predicts no better than a constant: the columns may say nothing about the target"
        )
    return warnings


def _importance(training: FitTraining) -> dict[str, float]:
    """Return how much each hyper-parameter explains of the recipes' scores; nothing if the time is over."""
    if not training.finish.has_left(0.3):
        return {}
    scores, loss_of = training.candidates.scores, training.candidates.metric.loss_of
    recipes = {run.recipe_id: run.recipe.model_dump() for run in training.runs.values()}
    known = [i for i in scores if i in recipes]
    return importance(
        [recipes[i] for i in known], [loss_of(scores[i]) for i in known], training.options.seed
    )


def _class_counts(table: Prepared) -> list[int]:
    if table.data.task == "regression":
        return []
    return np.bincount(table.data.target, minlength=table.data.n_outputs).tolist()


def described(model: Model) -> list[str]:
    """Return what there is to be said about a model's table, and about its decisions."""
    return [*model.schema.describe(), *decision_notes(model)]


def decision_notes(model: Model) -> list[str]:
    return [] if model.decision_sentence is None else [model.decision_sentence]
