"""What a fit trains in the time that it has: the space, how many recipes, how many epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from popnet.options import Options
from popnet.report.fit_page.facts import AugmentationFacts, augmentation_from_json
from popnet.runtime import keys
from popnet.runtime.progress import clock as time_text
from popnet.spec.recipe import MAX_EPOCHS
from popnet.tuning.space.space import Space


@dataclass(frozen=True)
class FitPlan:
    """What is to be trained.

    Attributes:
        space: where recipes come from.
        recipes: how many, or None for as many as the time allows.
        epochs: of a member.
        trainings: whole ones that the time has room for, of so many epochs; None without a limit.
        paced: whether members that are begun later get the epochs that the time which is left then has room for.
        check: what was found about transformations of images; None if nothing was asked.
        parts: epochs that are a pass over the training rows; more than 1 with very many of them.
        notes: sentences on why, for people.
    """

    space: Space
    recipes: int | None
    epochs: int
    trainings: float | None = None
    paced: bool = False
    check: AugmentationFacts | None = None
    parts: int = 1
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON; see `from_json`."""
        return {
            "space": self.space.to_json(),
            "recipes": self.recipes,
            "epochs": self.epochs,
            "trainings": self.trainings,
            "paced": self.paced,
            "check": None if self.check is None else asdict(self.check),
            "parts": self.parts,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> FitPlan:
        """Return the plan that `to_json` wrote."""
        check = content["check"]
        return cls(
            space=Space.from_json(content["space"]),
            recipes=content["recipes"],
            epochs=content["epochs"],
            trainings=content["trainings"],
            paced=content["paced"],
            check=None if check is None else augmentation_from_json(check),
            parts=content["parts"],
            notes=tuple(content.get("notes", ())),
        )


def seed_of(options: Options, recipe_id: int) -> int:
    """Return a recipe's seed: one of its own, also among the runs of other seeds."""
    return int(keys.key(options.seed, "member", recipe_id))


def wanted_epochs(space: Space, parts: int) -> int:
    """Return the epochs that a member has without a time limit, if so many of them are a pass."""
    return min(space.base.epochs * parts, MAX_EPOCHS)


def epochs_note(rows: int, parts: int) -> list[str]:
    """Return a sentence on what an epoch is, where it is no pass over the training rows of a fold."""
    if parts == 1:
        return []
    return [
        f"an epoch is {rows // parts:,} of the {rows:,} training rows; {parts} epochs are a pass over all of them"
    ]


@dataclass(frozen=True)
class Grid:
    """A grid that is to be trained.

    Attributes:
        points: of the full factorial.
        beside: whether the default recipe, which is trained first, is none of them.
        recipes: to train, fewer if fewer members were asked for.
    """

    points: int
    beside: bool
    recipes: int

    @classmethod
    def of(cls, space: Space, options: Options, folds: int) -> Grid | None:
        """Return the grid of a space, None if another search was chosen."""
        if options.search != "grid":
            return None
        points = list(space.grid())
        beside = space.base not in points
        whole = len(points) + beside
        asked = whole if options.members is None else -(-options.members // folds)
        return cls(len(points), beside, min(whole, asked))

    def words(self, folds: int, seconds: float | None, workers: int) -> str:
        """Return how large it is and how long it takes, if a net takes so many seconds."""
        beside = ", beside the default one" if self.beside else ""
        nets = self.recipes * folds
        text = f"the grid has {self.points:,} recipes{beside}; {nets:,} nets are to be trained"
        if seconds is None:
            return text
        longest = time_text(nets * seconds / workers)
        return f"{text}, at most about {longest} if none stops early"
