"""`--track`: from what a user writes to trackers, and a finished fit to each of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from popnet.errors import InputError, closest
from popnet.model.model import Model
from popnet.options import Options
from popnet.report.fit_page.facts import FitFacts
from popnet.report.folder import write_all
from popnet.tracking.mlflow_run import MLflow
from popnet.tracking.record import FitLog, fit_log
from popnet.tracking.tensorboard import TensorBoard
from popnet.tracking.tracker import Tracker, short

KNOWN = ("mlflow", "tensorboard")


@dataclass(frozen=True)
class Tracked:
    """What became of logging a fit.

    Attributes:
        to: the tracker, as the user wrote it.
        place: where the fit is; None if it could not be logged.
        problem: why not, in a line.
    """

    to: str
    place: str | None = None
    problem: str | None = None

    def __str__(self) -> str:
        name = self.to.split(":", 1)[0]
        if self.place is not None:
            return f"{name}: {self.place}"
        return f"the fit could not be logged to {name}: {self.problem}"


@dataclass(frozen=True)
class Tracking:
    """The trackers that a fit is logged to, by what the user wrote."""

    trackers: tuple[tuple[str, Tracker], ...] = ()

    @classmethod
    def of(cls, asked: str | Sequence[str] | None) -> Tracking:
        """Read what a user wrote, and check each tracker before the work.

        Args:
            asked: ``mlflow``, ``mlflow:URI``, ``tensorboard:DIR``, several of them, or None.

        Raises:
            InputError: an unknown tracker, a library that is missing, or a place that cannot be reached.
        """
        texts = () if asked is None else (asked,) if isinstance(asked, str) else tuple(asked)
        found = tuple((text, _tracker(text)) for text in dict.fromkeys(texts))
        for _, tracker in found:
            tracker.check()
        return cls(found)

    def log(self, facts: FitFacts, options: Options, folder: Path) -> list[Tracked]:
        """Log a fit whose model is in a folder; nothing that a tracker does is an error."""
        if not self.trackers:
            return []
        return self._log(fit_log(facts, options, folder))

    def log_unsaved(self, model: Model, facts: FitFacts, options: Options) -> list[Tracked]:
        """The same of a model that is in no folder yet."""
        if not self.trackers:
            return []
        try:
            with tempfile.TemporaryDirectory(prefix="popnet-track-") as home:
                folder = Path(home) / "model"
                write_all(folder, model, facts)
                return self._log(fit_log(facts, options, folder, " ".join(facts.target.names)))
        except (OSError, InputError) as error:  # no place for the folder
            return [Tracked(text, problem=short(error)) for text, _ in self.trackers]

    def _log(self, record: FitLog) -> list[Tracked]:
        found: list[Tracked] = []
        for text, tracker in self.trackers:
            try:
                found.append(Tracked(text, tracker.log(record)))
            except Exception as error:  # the fit has ended well, whatever a tracker raises
                found.append(Tracked(text, problem=short(error)))
        return found


def _tracker(text: str) -> Tracker:
    if not isinstance(text, str):
        raise InputError(f"track must be a text such as 'mlflow' or a list of them; got {text!r}.")
    name, _, place = text.partition(":")
    if name == "mlflow":
        return MLflow(place or None)
    if name == "tensorboard":
        if not place:
            raise InputError("--track tensorboard needs a folder: --track tensorboard:runs.")
        return TensorBoard(Path(place))
    raise InputError(
        f"--track {text}: there is no tracker '{name}', only {' and '.join(KNOWN)}.{closest(name, KNOWN)}"
    )
