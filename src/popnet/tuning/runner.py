"""Train what a strategy proposes, and tell it the results."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace

from popnet.population.members import Member, Result, TrainingSegment
from popnet.population.train import Trainer
from popnet.tuning.journal import Journal
from popnet.tuning.strategies.base import Run, Strategy


@dataclass
class SearchRunner:
    """A search in training: its members are numbered in the order in which they began.

    Args:
        strategy: proposes runs.
        trainer: trains them.
        member: gives a run that begins its member; None ends the search.
        journal: what was trained before is taken from, and what is trained is noted in; None for none.

    Attributes:
        runs: by member, the newest.
        results: by member; after `finish` none is ``paused``.
    """

    strategy: Strategy
    trainer: Trainer
    member: Callable[[Run], Member | None]
    journal: Journal | None = None
    runs: dict[int, Run] = field(default_factory=dict[int, Run])
    results: dict[int, Result] = field(default_factory=dict[int, Result])
    _members: dict[tuple[int, int], tuple[int, Member]] = field(
        default_factory=dict[tuple[int, int], tuple[int, Member]]
    )
    _recalled: deque[tuple[int, Result]] = field(default_factory=deque[tuple[int, Result]])

    def __post_init__(self) -> None:
        self._before = {} if self.journal is None else self.journal.members()

    def train(self) -> Generator[tuple[int, Result], None, None]:
        """Train until the strategy or the time is at its end; yield members' numbers and results, also pauses.

        Closing the generator ends the training, too.
        """
        for batch in self.strategy.batches():
            told = False
            segments = self._segments(batch)
            # What was trained before is recalled first, also if there is no time left to train more.
            first = next(segments, None)
            while first is not None and self.trainer.over() and self._missing():
                first = next(segments, None)
            waiting = () if first is None else itertools.chain([first], segments)
            for i, result in self.trainer.run(waiting):
                told = True
                self.strategy.tell(self.runs[i], result)
                self.results[i] = result
                if self.journal is not None:
                    self.journal.note(self.runs[i], result)
                yield i, result
                while self._recalled:
                    yield self._recalled.popleft()
            while self._recalled:
                told = True
                yield self._recalled.popleft()
            if not told or self.trainer.over():
                break

    def _missing(self) -> bool:
        """Say whether a member that was trained before has not been recalled yet."""
        return any(key not in self._members for key in self._before)

    def finish(self) -> None:
        """Mark members that paused and were not resumed as dropped or interrupted, and sort all by their numbers."""
        dropped = self.strategy.dropped()
        for i, result in self.results.items():
            if result.status == "paused":
                status = "dropped" if self.runs[i].recipe_id in dropped else "interrupted"
                self.results[i] = replace(result, status=status, pause=None)
        self.results = {i: self.results[i] for i in sorted(self.results)}
        self.runs = {i: self.runs[i] for i in self.results}

    def _segments(self, batch: Iterable[Run]) -> Iterator[tuple[int, TrainingSegment]]:
        """Yield runs as segments of numbered members; drawn from as workers become free."""
        for run in batch:
            key = run.recipe_id, run.fold
            if key not in self._members:
                member = self._before.get(key) or self.member(run)
                if member is None:
                    return
                self._members[key] = len(self._members), member
            i, member = self._members[key]
            self.runs[i] = run
            if self.journal is not None and key in self._before:
                result = self.journal.recall(run, member, self.trainer.arrays.train)
                if result is not None:
                    self.strategy.tell(run, result)
                    self.results[i] = result
                    self._recalled.append((i, result))
                    continue
            before = self.results.get(i)
            yield i, TrainingSegment(member, run.until, None if before is None else before.pause)
