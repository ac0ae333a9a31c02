"""What a report is made of: a plain dictionary of numbers and texts that JSON can hold.

`fit` fills it, `page.render` reads it; nothing else passes between them. A number that does not exist is
None or NaN. Keys marked ``NotRequired`` may be absent.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Score = float | None
"""A number that may be missing: None, NaN and infinities are shown as a dash."""


class Column(TypedDict):
    """A feature column of the table; ``reason`` says why it is left out (or anything worth knowing)."""

    name: str
    kind: str
    used: bool
    reason: str
    missing: int
    distinct: int


class Data(TypedDict):
    """The table, or images (one column of the kind "image"), and its parts; "given": the data came with its own."""

    source: str
    rows: int
    rows_without_target: int
    train_rows: int
    test_rows: int
    split: Literal["random", "stratified", "grouped", "time-ordered", "given"]
    folds: int
    columns: list[Column]
    notes: list[str]


class Target(TypedDict):
    """What is predicted; ``detected``: popnet found the task itself. Classes and counts: classification."""

    names: list[str]
    task: Literal["binary", "multiclass", "regression"]
    classes: list[Any]
    detected: NotRequired[bool]
    class_counts: NotRequired[list[int]]


class Metric(TypedDict):
    """The metric that members are compared by."""

    name: str
    greater_is_better: bool


class Baseline(TypedDict):
    """A simple model's metrics on the test part.

    ``gain``: by how much the ensemble is better (positive: better), and the ends of that difference's 95 % interval
    on resamples of the same rows. Without it the page does not say whether a difference is more than chance.
    """

    name: str
    metrics: dict[str, Score]
    gain: NotRequired[list[Score] | None]


class Ensemble(TypedDict):
    """Scores on ``on``; ``path``: the score after each greedy step. May be empty: no gain is known.

    ``best_member`` and ``mean_member`` are of the candidates: recipes, each scored over all folds, and the linear model
    where it was one. ``best_corrected`` is the best recipe's score less what it owes to being the best of many, about.
    ``late`` is the share of the weight that nets have as they were after their last epochs, beside their best ones;
    ``temperature`` is that of the probabilities (`popnet.predictions.calibration`).
    """

    method: Literal["greedy", "average", "vote"]
    score: Score
    best_member: Score
    mean_member: Score
    on: str
    path: NotRequired[list[Score]]
    best_corrected: NotRequired[Score]
    late: NotRequired[float]
    temperature: NotRequired[float]


class Linear(TypedDict):
    """The linear model as a candidate of the ensemble: its score over all folds and its share of the weight."""

    score: Score
    weight: float


class Curves(TypedDict, total=False):
    """One value an epoch."""

    loss: list[Score]
    penalty: list[Score]
    valid_loss: list[Score]
    valid_error: list[Score]
    learning_rate: list[Score]


class Member(TypedDict):
    """One net: ``score`` is its validation metric, ``weight`` its share of the ensemble."""

    id: int
    recipe_id: int
    recipe: dict[str, Any]
    seed: int
    fold: int
    status: Literal["finished", "stopped", "diverged", "interrupted", "dropped"]
    epochs: int
    best_epoch: int
    score: Score
    seconds: float
    weight: float
    curves: Curves


class Recipe(TypedDict):
    """A recipe and how its members did.

    ``score`` is the metric on the held-out rows of all folds together: None until a member of every fold has ended.
    """

    id: int
    name: str
    recipe: dict[str, Any]
    folds: int
    score: Score
    weight: float


class Seconds(TypedDict):
    """Where the time went."""

    total: float
    reading: float
    compiling: float
    training: float


class Predictions(TypedDict):
    """Some test rows of a regression: numbers, or one list of numbers a row where there are several targets."""

    true: list[Any]
    predicted: list[Any]


class Confused(TypedDict):
    """Images of a class that are taken for another, more of them than without a transformation."""

    true: Any
    taken_for: Any
    more: int


class Transformation(TypedDict):
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
    verdict: Literal["helps", "harms", "no effect", "not decided"]
    confused: list[Confused]


class Augmentation(TypedDict):
    """Which transformations of images keep the class, as `popnet.ablation.transformations.check.record` gives it.

    ``error`` is that of the twins without any, ``pairs`` their number, ``train`` and ``valid`` the images of a twin,
    ``policy`` the recipe's fields of the transformations that are used.
    """

    error: Score
    pairs: int
    train: int
    valid: int
    transformations: list[Transformation]
    policy: dict[str, float]


class Facts(TypedDict):
    """Everything that the page shows.

    ``score``, ``interval``, ``metrics``, ``confusion`` and ``predictions`` are of the test part, unless
    ``data["test_rows"]`` is 0: then ``scored_on`` says of which rows, and the page calls them optimistic.
    ``linear`` is None if the linear model was no candidate of the ensemble. ``wanted_epochs`` are those of a member
    without a time limit. ``augmentation`` is None where no twins were trained.
    """

    title: str
    version: str
    created: str
    command: str
    seed: int
    data: Data
    target: Target
    metric: Metric
    score: Score
    interval: list[Score] | None
    metrics: dict[str, Score]
    scored_on: NotRequired[str]
    baselines: list[Baseline]
    ensemble: Ensemble | None
    linear: NotRequired[Linear | None]
    members: list[Member]
    recipes: list[Recipe]
    seconds: Seconds
    time_limit: float | None
    wanted_epochs: NotRequired[int]
    confusion: NotRequired[list[list[int]] | None]
    predictions: NotRequired[Predictions | None]
    warnings: NotRequired[list[str]]
    augmentation: NotRequired[Augmentation | None]
    importance: NotRequired[dict[str, float]]
