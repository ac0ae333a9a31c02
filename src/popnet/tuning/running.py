"""Train what a strategy proposes, and tell it the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from popnet.population.members import Leg, Member, Result
from popnet.population.train import Trainer
from popnet.tuning.strategies import Run, Strategy


@dataclass
class Running:
    """A search in training: its members are numbered in the order in which they began.

    Args:
        strategy: proposes runs.
        trainer: trains them.
        member: gives a run that begins its member; None ends the search.

    Attributes:
        runs: by member, the newest.
        results: by member; after `finish` none is ``paused``.
    """

    strategy: Strategy
    trainer: Trainer
    member: Callable[[Run], Member | None]
    runs: dict[int, Run] = field(default_factory=dict)
    results: dict[int, Result] = field(default_factory=dict)
    _members: dict[tuple[int, int], tuple[int, Member]] = field(default_factory=dict)

    def train(self) -> Iterator[tuple[int, Result]]:
        """Train until the strategy or the time is at its end; yield members' numbers and results, also pauses."""
        for batch in self.strategy.batches():
            told = False
            for i, result in self.trainer.run(self._legs(batch)):
                told = True
                self.strategy.tell(self.runs[i], result)
                self.results[i] = result
                yield i, result
            if not told or self.trainer.over():
                break

    def finish(self) -> None:
        """Give members that paused and were not trained on their end, and bring all into the order of their numbers."""
        dropped = self.strategy.dropped()
        for i, result in self.results.items():
            if result.status == "paused":
                status = "dropped" if self.runs[i].recipe_id in dropped else "interrupted"
                self.results[i] = replace(result, status=status, pause=None)
        self.results = {i: self.results[i] for i in sorted(self.results)}
        self.runs = {i: self.runs[i] for i in self.results}

    def _legs(self, batch: Iterable[Run]) -> Iterator[tuple[int, Leg]]:
        """Yield runs as legs of numbered members; drawn from as workers become free."""
        for run in batch:
            key = run.recipe_id, run.fold
            if key not in self._members:
                member = self.member(run)
                if member is None:
                    return
                self._members[key] = len(self._members), member
            i, member = self._members[key]
            self.runs[i] = run
            before = self.results.get(i)
            yield i, Leg(member, run.until, None if before is None else before.pause)
