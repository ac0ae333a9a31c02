"""The training of a fit's population: planned, searched, journaled, within its limits of time and memory."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from popnet.fitting import explanation, pacing
from popnet.fitting.boosted_trees import BoostedTrees
from popnet.fitting.candidates import PILOT_ID, TREES_ID, Candidates, is_net
from popnet.fitting.plan import FitPlan, seed_of
from popnet.fitting.plan_images import pilot_fold, plan_images
from popnet.fitting.plan_table import ONE_KIND, plan_table
from popnet.fitting.preview import ensemble_score
from popnet.fitting.search_patience import SearchEarlyStopping
from popnet.model import baselines
from popnet.options import Options
from popnet.population import engines
from popnet.population.feed import Arrays
from popnet.population.members import Member, Result
from popnet.population.predict import Net
from popnet.prepare.prepared import Prepared
from popnet.runtime.clock import Clock, Finish, finishing_seconds, finite
from popnet.runtime.memory import Memory, used
from popnet.runtime.progress import Progress, TrainingState
from popnet.spec.recipe import MAX_EPOCHS, Recipe
from popnet.tuning.journal import Journal
from popnet.tuning.runner import SearchRunner
from popnet.tuning.space.table_space import SMALL_TABLE_ROWS
from popnet.tuning.strategies import factory
from popnet.tuning.strategies.base import Run
from popnet.tuning.strategies.halving import Halving

LINEAR_MEMBER_ROWS = 20_000
"""Up to so many training rows the linear model is also trained on each fold and may join the ensemble."""

LINEAR_SHARE = 0.04
"""Of a time limit that the linear model may take; it is no candidate if it takes more."""

MIN_CANDIDATES = 10
"""Recipes that are kept, too, when memory is short."""

MAX_UNFINISHED = 4
"""Members that are taken, if none was trained to its end."""

IMPORTS_AFTER = 1.5
"""Seconds of planning after which a program is traced, and is compiled without Python: the imports for the
end may begin."""

MIN_PATIENCE = 5
"""Epochs without a better score, at least, after which a net ends whose patience nobody chose."""

EPOCH_ROWS = 131_072
"""Of an epoch of a table, at most; see `Arrays`. With whole passes 500,000 rows had no net in 20 s and 2,000,000 none
in 30 s, so that the linear model stood in (accuracy .65); now they have .836, 500,000 in 10 s .835."""

MARGIN = 0.1
"""Memory is short when less than this share of its limit is left."""

REFIT_SHARE = 0.25
"""Of a time limit that is kept for training the chosen recipes again: an ensemble has about a quarter of the nets."""

MAX_CANDIDATES = 100
"""Recipes that are kept for the ensemble, the best by score; the others' weights and predictions are dropped."""


class FitTraining:
    """One fit's training: members are trained, and become candidates.

    Args:
        candidates: which they are added to.
        options: the user's.
        clock: the time limit.
        memory: the memory limit.
        tell: receives how far it is.
        stop: when set, training ends.
        journal: notes what is trained, and gives what was trained before; None for none.

    Attributes:
        finish: the time that is kept for what comes after.
        trainer: deals members to workers; `close` it.
        trees: boosted trees, which are fitted beside the nets.
        results: by member's number; in the order of the recipes when training has ended.
        runs: likewise, what the strategy asked for.
        seconds: that training took.
        refitting: seconds that are kept for training the chosen recipes again.
        settling: whether the ensemble still improves, if that is to end the search.
        plan: what is trained; None until that is known.
    """

    def __init__(
        self, candidates: Candidates, options: Options, clock: Clock, memory: Memory,
        tell: Callable[[Progress], None], stop: threading.Event, journal: Journal | None = None,
    ) -> None:  # fmt: skip
        self.candidates, self.options, self.clock = candidates, options, clock
        self.memory, self.tell, self.stop, self.journal = memory, tell, stop, journal
        self.table = table = candidates.table
        self._linear = _linear_seconds(table, options.time_limit)
        kept = finishing_seconds(
            options.time_limit, len(table.test), explanation.seconds(options, table) or 0.0
        )
        self.finish = Finish(clock, kept + (self._linear or 0.0))
        share = 0.0 if options.refit is None or options.time_limit is None else REFIT_SHARE
        self.refitting = share * (options.time_limit or 0.0)
        pilot = [pilot_fold(table)] if table.encoder.image is not None else []
        self.trainer = engines.make(
            options.engine,
            Arrays(
                table.data,
                table.data,
                [*table.folds, *pilot],
                EPOCH_ROWS if table.encoder.image is None else None,
            ),
            deadline=clock.training_deadline(self.finish.seconds + self.refitting),
            workers=options.workers,
            stop=stop,
            memory=memory,
        )
        self.trees = BoostedTrees(table, options, clock, memory, stop)
        self.results: dict[int, Result] = {}
        self.runs: dict[int, Run] = {}
        self.seconds = 0.0
        self._pilots: list[Result] = []
        self.settling: SearchEarlyStopping | None = None
        self.plan: FitPlan | None = None

    def train(self) -> None:
        """Train members until they or the time are over, predicting each one's held-out rows as it ends."""
        began = self.clock.elapsed()
        folds = len(self.table.folds)
        self.trees.start()
        planned = threading.Event()
        threading.Thread(target=_import_early, args=(planned,), name="imports").start()
        if self.journal is None:
            plan, known = self._plan(), {}
        else:
            plan = FitPlan.from_json(self.journal.plan(lambda: self._plan().to_json()))
            known = {recipe_id: m.recipe for (recipe_id, _), m in self.journal.members().items()}
        self.plan = plan
        self.trainer.specialised = plan.space.fixes(*ONE_KIND)  # a run that goes on has not planned
        self.candidates.specialised = self.trainer.specialised
        planned.set()
        self.candidates.views = self.options.tta or (2 if plan.space.base.reflection else 1)
        name = self.options.strategy(images=self.table.encoder.image is not None)
        strategy = factory.make(
            name, plan.space, self.options.seed, folds, plan.recipes,
            last=lambda recipe: _planned(recipe, plan), storage=self.options.storage, known=known,
            trainings=plan.trainings,
        )  # fmt: skip
        racing = isinstance(strategy, Halving)
        total = None if plan.recipes is None or racing else plan.recipes * folds
        running = SearchRunner(
            strategy, self.trainer, lambda run: self._member(run, plan), self.journal
        )
        self.results, self.runs = running.results, running.runs
        patience, settling = self.options.search_patience, None
        if patience is not None:
            # With a time limit who comes so far depends on the clock anyway.
            in_order = self.options.time_limit is None
            settling = SearchEarlyStopping(self.candidates, patience, self.options.seed, in_order)
            self.settling = settling
        with contextlib.closing(running.train()) as training:
            for i, result in training:
                late = self._too_late()
                if result.status != "paused" and result.usable and not late:
                    self._add(i, result)
                self._report(total, began)
                whole = result.status not in ("paused", "interrupted")
                if settling is not None and whole and not late:
                    settling.note(self.runs[i].recipe_id, strategy.dropped())
                self._let_go()
                if settling is not None and settling.last is not None:
                    break
        running.finish()
        self.results, self.runs = running.results, running.runs
        if settling is not None and settling.last is not None:
            self._forget_later(settling)
        if self.trees.busy:
            self.tell(Progress("fitting boosted trees", done=len(self.results)))
        for setting, fold, forest in self.trees.join():
            self.candidates.add(TREES_ID - setting, fold, -1, forest)
        if not any(is_net(i) for i in self.candidates.by_id):
            self._unfinished()
        if (
            not any(is_net(i) for i in self.candidates.by_id)
            and self.table.fold_rows >= SMALL_TABLE_ROWS
        ):
            self._of_pilots()
        self.seconds = self.clock.elapsed() - began
        self._linear_members()
        self._in_order()

    def close(self) -> None:
        """Let go of the workers."""
        self.trainer.close()

    def _plan(self) -> FitPlan:
        members, left = self.options.members, finite(self.clock.left())
        metric = self.candidates.metric.name
        self.tell(Progress("compiling", total=members, left=left, metric=metric))
        if self.table.encoder.image is None:
            return plan_table(
                self.table, self.options, self.trainer, self.tell, self._pilots.append
            )
        return plan_images(self.table, self.options, self.clock, self.trainer, self.tell, self.stop)

    def _member(self, run: Run, plan: FitPlan) -> Member | None:
        """Return the member of a run that begins; None if the time that is left has no room for it."""
        recipe, folds = run.recipe, len(self.table.folds)
        if run.until is None and plan.paced:
            seconds = self.trainer.epoch_seconds(recipe, run.fold)
            if seconds is not None:
                epochs = pacing.paced_epochs(
                    plan.epochs, seconds, self.trainer.remaining(),
                    self.trainer.workers, folds, folds - run.fold,
                )  # fmt: skip
                if not epochs:
                    return None
                recipe = _lasting(recipe, epochs)
        return Member(recipe, seed_of(self.options, run.recipe_id), run.fold)

    def _add(self, member: int, result: Result) -> None:
        """Make a trained member a candidate, or a part of one."""
        recipe_id, fold = self.runs[member].recipe_id, result.member.fold
        self.candidates.add(recipe_id, fold, member, Net.of(result), Net.at_last(result))

    def _unfinished(self) -> None:
        """Take the best of the members that successive halving has paused, if the search ended before any of them."""
        usable = [i for i, r in self.results.items() if r.usable]
        for i in sorted(usable, key=lambda i: (self.results[i].best_score, i))[:MAX_UNFINISHED]:
            self._add(i, self.results[i])

    def _of_pilots(self) -> None:
        """Take the nets that timed an epoch, where there is nothing else.

        The linear model of more than a few rows predicts worse, and would be trained when the time is over.
        """
        for k, result in enumerate(r for r in self._pilots if r.usable):
            net = Net.of(result)
            self.candidates.add(PILOT_ID - k, result.member.fold, -1, net)

    def _forget_later(self, settling: SearchEarlyStopping) -> None:
        """Let go of what was trained beyond the recipe at which the ensemble settled: who came so far is chance."""
        settling.forget_later()
        self.runs = {i: r for i, r in self.runs.items() if not settling.forgets(r.recipe_id)}
        self.results = {i: self.results[i] for i in self.runs}

    def _let_go(self) -> None:
        """Forget the worst recipe's weights and predictions if there are very many recipes, or memory is short."""
        count = len(self.candidates.scored())
        short = count > MIN_CANDIDATES and not self.memory.room_for(MARGIN * self.memory.limit)
        if count <= MAX_CANDIDATES and not short:
            return
        for i in self.candidates.drop_worst().ids.values():
            if i >= 0:
                self.results[i] = replace(self.results[i], parameters={}, running={}, last=None)

    def _linear_members(self) -> None:
        """Train the linear model on every fold, as one more candidate, where that is cheap."""
        if self._linear is None or not self.candidates.by_id:
            return
        most, began = np.inf, self.clock.elapsed()
        if self.options.time_limit is not None:
            most = LINEAR_SHARE * self.options.time_limit
        for k, fold in enumerate(self.table.folds):
            if self.clock.elapsed() - began > most:  # slower than it was thought to be
                self.candidates.by_id.pop(baselines.LINEAR_ID, None)
                return
            net = baselines.linear(self.table.data, fold.train, self.options.seed)
            self.candidates.add(baselines.LINEAR_ID, k, -1, net)

    def _in_order(self) -> None:
        """Put what came in the order of ending into the order of the recipes, which the seed determines."""
        place = {i: k for k, i in enumerate(sorted(self.results))}
        self.results = {place[i]: self.results[i] for i in sorted(self.results)}
        self.runs = {place[i]: run for i, run in sorted(self.runs.items()) if i in place}
        self.candidates.renumber(place)

    def _too_late(self) -> bool:
        """Return whether there is no time left to predict more members before finishing."""
        return not self.finish.has_left(0.5)

    def _report(self, total: int | None, began: float) -> None:
        done = sum(r.status != "paused" for r in list(self.results.values()))
        left = self.clock.left()
        if total is not None:
            passed = self.clock.elapsed() - began
            left = min(left, passed / done * (total - done))
        best, metric = self.candidates.best_score(), self.candidates.metric.name
        state = TrainingState(
            Counter(r.status for r in list(self.results.values())), len(self.candidates.scores), used(),
            self.memory.limit, lambda: ensemble_score(self.candidates, self.options.seed),
        )  # fmt: skip
        self.tell(Progress("training", done, total, finite(left), best, metric, state=state))


def _import_early(planned: threading.Event) -> None:
    """Import what the end of a fit needs: it takes seconds, in which no core need be idle while nets train.

    It begins when the fit is planned, or `IMPORTS_AFTER` seconds after it began to be.
    """
    planned.wait(IMPORTS_AFTER)
    for name in ("sklearn.linear_model", "scipy.stats", "optuna.importance"):
        importlib.import_module(name)


def _linear_seconds(table: Prepared, limit: float | None) -> float | None:
    """Return how long the linear model takes on all folds; None if it is to be no candidate."""
    if table.encoder.image is not None or len(table.train) > LINEAR_MEMBER_ROWS:
        return None
    seconds = sum(baselines.linear_seconds(table.data, len(f.train)) for f in table.folds)
    return None if limit is not None and seconds > LINEAR_SHARE * limit else seconds


def _planned(recipe: Recipe, plan: FitPlan) -> Recipe:
    """Return a recipe of the plan's space with the plan's epochs; one that has fewer of its own keeps them."""
    own = recipe.epochs != plan.space.base.epochs
    epochs = min(plan.epochs, recipe.epochs * plan.parts) if own else plan.epochs
    return _lasting(recipe, epochs, plan.parts)


def _lasting(recipe: Recipe, epochs: int, parts: int = 1) -> Recipe:
    """Return a recipe for so many epochs; patience that was never to end a training does not end a longer one.

    Patience that nobody chose is half of the epochs at most, where the rate only falls: a net that over-fits leaves its
    time to others. Its last epoch may be worth more than its best to an ensemble (`popnet.fitting.selection`): with a
    quarter of them those of wine_quality and phoneme had 1 and 4 % more of RMSE and log-loss.
    """
    if "patience" not in recipe.model_fields_set and recipe.schedule == "cosine":
        patience = max(MIN_PATIENCE, -(-epochs // 2))
        return recipe.replace(epochs=epochs, patience=min(patience, parts * recipe.patience))
    if epochs == recipe.epochs and parts == 1:
        return recipe
    endless = recipe.patience >= recipe.epochs
    return recipe.replace(
        epochs=epochs,
        patience=max(epochs, recipe.patience)
        if endless
        else min(parts * recipe.patience, MAX_EPOCHS),
    )
