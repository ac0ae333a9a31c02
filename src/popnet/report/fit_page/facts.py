"""What the report of a fit is made of: typed records, which a fit fills (`gather`) and every section reads.

A number that does not exist is None or NaN, and is shown as a dash. `to_json` and `from_json` are the only ways to JSON
and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, TypeAdapter

from popnet.model.effects import EffectsOfColumns
from popnet.model.facts import ColumnImportance, Score, Seconds, TruePredicted
from popnet.population.members import Status
from popnet.predictions.ensemble import Method
from popnet.predictions.reliability import Coverage, ErrorBin, ReliabilityBin
from popnet.predictions.slices import Slices
from popnet.predictions.thresholds import ThresholdCounts
from popnet.types import Task

RecipeValues = dict[str, object]
"""A recipe's fields and their values."""


@dataclass(frozen=True)
class ColumnFacts:
    """A feature column of the table; ``reason`` says why it is left out (or anything worth knowing)."""

    name: str
    kind: str
    used: bool
    reason: str
    missing: int
    distinct: int


@dataclass(frozen=True)
class DataFacts:
    """The table, or images (one column of the kind "image"), and its parts.

    ``split`` is "random", "stratified", "grouped", "time-ordered", or "given" where the data came with its own.
    ``guesses`` says what was read in one of several ways that fit, with the options that read it otherwise, ``doubts``
    are the ``notes`` on what may flatter the score: columns that give the target away, an order in time.
    """

    source: str
    rows: int
    rows_without_target: int
    train_rows: int
    test_rows: int
    split: str
    folds: int
    columns: list[ColumnFacts]
    notes: list[str]
    guesses: list[str] = field(default_factory=list[str])
    doubts: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class TargetFacts:
    """What is predicted; ``detected``: popnet found the task itself. Classes and counts: classification."""

    names: list[str]
    task: Task
    classes: list[object]
    detected: bool = False
    class_counts: list[int] = field(default_factory=list[int])


@dataclass(frozen=True)
class MetricFacts:
    """The metric that members are compared by."""

    name: str
    greater_is_better: bool


@dataclass(frozen=True)
class BaselineFacts:
    """A simple model's metrics on the test part.

    ``gain``: by how much the ensemble is better (positive: better), and the ends of that difference's 95 % interval
    on resamples of the same rows. Without it the page does not say whether a difference is more than chance.
    """

    name: str
    metrics: dict[str, Score]
    gain: tuple[Score, Score, Score] | None = None


@dataclass(frozen=True)
class EnsembleFacts:
    """The ensemble's score on ``on``, beside those of its candidates.

    ``path`` is the score after each greedy step. ``best_member`` and ``mean_member`` are of the candidates: recipes,
    each scored over all folds, and the linear model where it was one. ``best_corrected`` is the best recipe's score
    less what it owes to being the best of many, about. ``late`` is the share of the weight that nets have as they were
    after their last epochs, beside their best ones; ``temperature`` is that of the probabilities
    (`popnet.predictions.calibration`). ``trees`` is the share of boosted trees; ``nets_alone`` the score of an ensemble
    that is chosen without them, None where they have no share, or where that is not known.
    """

    method: Method
    score: Score
    best_member: Score
    mean_member: Score
    on: str
    path: list[Score] = field(default_factory=list[Score])
    temperature: float = 1.0
    best_corrected: Score = None
    late: float = 0.0
    trees: float = 0.0
    nets_alone: Score = None


@dataclass(frozen=True)
class LinearFacts:
    """The linear model as a candidate of the ensemble: its score over all folds and its share of the weight."""

    score: Score
    weight: float


@dataclass(frozen=True)
class TreesFacts:
    """Boosted trees as candidates of the ensemble: the best setting's score over all folds, and their shares together.

    ``settings`` is the number of settings that were fitted.
    """

    score: Score
    weight: float
    settings: int


@dataclass(frozen=True)
class CurveFacts:
    """One value an epoch."""

    loss: list[Score] = field(default_factory=list[Score])
    penalty: list[Score] = field(default_factory=list[Score])
    valid_loss: list[Score] = field(default_factory=list[Score])
    valid_error: list[Score] = field(default_factory=list[Score])
    learning_rate: list[Score] = field(default_factory=list[Score])


@dataclass(frozen=True)
class MemberFacts:
    """One net.

    ``score`` is the fit's metric on its held-out rows, ``monitored`` the loss that early stopping watched, ``weight``
    its share of the ensemble.
    """

    id: int
    recipe_id: int
    recipe: RecipeValues
    seed: int
    fold: int
    status: Status
    epochs: int
    best_epoch: int
    score: Score
    seconds: float
    weight: float
    curves: CurveFacts
    monitored: Score = None


@dataclass(frozen=True)
class RecipeFacts:
    """A recipe and how its members did.

    ``score`` is the metric on the held-out rows of all folds together: None until a member of every fold has ended.
    """

    id: int
    name: str
    recipe: RecipeValues
    folds: int
    score: Score
    weight: float


TwinsVerdict = Annotated[
    Literal["helps", "harms", "no effect", "not decided", "not detectable"],
    # Earlier versions did not tell the last two apart.
    BeforeValidator(lambda word: "not decided" if word == "nothing measurable" else word),
]


@dataclass(frozen=True)
class ConfusedFacts:
    """Images of a class that are taken for another, more of them than without a transformation."""

    true: object
    taken_for: object
    more: int


@dataclass(frozen=True)
class TransformationFacts:
    """What twins with and without a transformation of images say about it.

    ``name`` and ``fields`` are the recipe's, ``words`` are for people. ``gain`` is by how much the error is smaller
    with it (negative: larger), with the ends of its 95 % interval.
    """

    name: str
    words: str
    fields: dict[str, float]
    gain: Score
    low: Score
    high: Score
    verdict: TwinsVerdict
    confused: list[ConfusedFacts]


@dataclass(frozen=True)
class PolicyFacts:
    """What twins say about all transformations together that keep the class; see `TransformationFacts`."""

    gain: Score
    low: Score
    high: Score
    verdict: TwinsVerdict


@dataclass(frozen=True)
class AugmentationFacts:
    """Which transformations of images keep the class, see `popnet.ablation.transformations.check.facts`.

    ``error`` is that of the twins without any, ``pairs`` their number, ``train`` and ``valid`` the images of a twin,
    ``policy`` the recipe's fields of the transformations that are used.
    """

    error: Score
    pairs: int
    train: int
    valid: int
    transformations: list[TransformationFacts]
    policy: dict[str, float]
    together: PolicyFacts | None = None


LossName = Literal["wrong", "absolute", "scaled"]
"""What groups of rows are compared by: wrong predictions; absolute errors; their mean over targets of unit spread."""


@dataclass(frozen=True)
class SliceFacts:
    """For which groups of rows the model is worse, by which loss of a row."""

    loss: LossName
    slices: Slices


@dataclass(frozen=True)
class PictureFacts:
    """A held-out image as a ``data:`` URL, its class, the predicted one, and the probabilities of both.

    ``looks`` is the image again with the parts coloured that the predicted class depends on; "" where that is unknown.
    """

    image: str
    true: str
    predicted: str
    probability: Score
    probability_of_true: Score
    looks: str = ""


@dataclass(frozen=True)
class GalleryFacts:
    """Images that are wrong by the most, the worst first, those that are right and surest, and how many are wrong."""

    wrong: list[PictureFacts]
    sure: list[PictureFacts]
    wrong_rows: int


@dataclass(frozen=True)
class Evidence:
    """What predictions of rows that the nets were not trained on show beside the metrics.

    ``thresholds`` and ``threshold``, by which the second of two classes is told from the first, are of two classes;
    ``reliability`` compares probabilities (of the second of two classes, or of the predicted one of several) with what
    happened; ``errors`` and ``coverage`` are of a single number; ``gallery`` is of images. ``rows`` is the number of
    rows.
    """

    rows: int
    thresholds: ThresholdCounts | None = None
    threshold: Score = None
    reliability: list[ReliabilityBin] = field(default_factory=list[ReliabilityBin])
    errors: list[ErrorBin] = field(default_factory=list[ErrorBin])
    coverage: list[Coverage] = field(default_factory=list[Coverage])
    worse: SliceFacts | None = None
    gallery: GalleryFacts | None = None


@dataclass(frozen=True)
class RefitFacts:
    """Nets of the chosen recipes that were trained once more.

    ``rows`` is ``train`` or ``all``, ``trained_on`` their number. ``nets`` of ``recipes`` were trained, ``kept``
    recipes kept the nets of their folds, as boosted ``trees`` do if there are any. ``measured`` says whether the fit's
    score is of the new nets; ``expected`` is the score of the folds' nets, on the rows that ``expected_on`` names.
    """

    rows: str
    trained_on: int
    nets: int
    recipes: int
    kept: int
    trees: bool
    measured: bool
    expected: Score
    expected_on: str


@dataclass(frozen=True)
class FitFacts:
    """Everything that the page shows.

    ``score``, ``interval``, ``metrics``, ``confusion`` and ``predictions`` are of the test part, unless
    ``data.test_rows`` is 0: then ``scored_on`` says of which rows, and the page calls them optimistic.
    ``linear`` is None if the linear model was no candidate of the ensemble, ``trees`` if there were no boosted trees,
    ``ensemble`` if nothing is known of what it gained. ``wanted_epochs`` are those of a member without a time limit.
    ``refit`` is None where no net was trained again, ``augmentation`` where no twins were trained, ``evidence`` where
    there are no rows to see it on. ``importance`` is the share of the scores' variance that each field of the recipes
    explains. ``columns`` says which columns matter, ``effects`` how predictions depend on the first of them; None where
    that was not measured.
    """

    title: str
    version: str
    created: str
    command: str
    seed: int
    data: DataFacts
    target: TargetFacts
    metric: MetricFacts
    score: Score
    interval: tuple[Score, Score] | None
    metrics: dict[str, Score]
    baselines: list[BaselineFacts]
    ensemble: EnsembleFacts | None
    members: list[MemberFacts]
    recipes: list[RecipeFacts]
    seconds: Seconds
    time_limit: float | None
    scored_on: str = ""
    linear: LinearFacts | None = None
    trees: TreesFacts | None = None
    wanted_epochs: int | None = None
    confusion: list[list[int]] | None = None
    predictions: TruePredicted | None = None
    warnings: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    importance: dict[str, float] = field(default_factory=dict[str, float])
    augmentation: AugmentationFacts | None = None
    refit: RefitFacts | None = None
    columns: ColumnImportance | None = None
    effects: EffectsOfColumns | None = None
    evidence: Evidence | None = None


_FACTS, _AUGMENTATION = TypeAdapter(FitFacts), TypeAdapter(AugmentationFacts)


def to_json(facts: FitFacts | AugmentationFacts) -> dict[str, Any]:
    """Return facts as plain JSON; what is absent is null."""
    return asdict(facts)


def from_json(content: Mapping[str, Any]) -> FitFacts:
    """Return the facts that `to_json` gave, also those of an earlier version.

    Raises:
        pydantic.ValidationError: something that every version has written is missing or is of another type.
    """
    # Where nothing was known of the ensemble, earlier versions wrote an empty object.
    return _FACTS.validate_python({**content, "ensemble": content.get("ensemble") or None})


def augmentation_from_json(content: Mapping[str, Any]) -> AugmentationFacts:
    """Return the facts of a check of transformations that `to_json` gave."""
    return _AUGMENTATION.validate_python(content)
