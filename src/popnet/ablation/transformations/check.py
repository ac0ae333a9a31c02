"""Which transformations of images keep the class: twins with and without each of them.

A small net is trained on a sample of the images, once without any transformation and once with each, everything else
equal (seed, initial weights, batches, rows). What is compared is their errors on images that are not transformed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from popnet.ablation.control_variate import Difference
from popnet.ablation.intervals import Interval, twins_interval
from popnet.ablation.losses import losses_of
from popnet.ablation.row_overlap import RowOverlap
from popnet.ablation.transformations.catalogue import (
    BENDING,
    FREE,
    GENTLE,
    MANY,
    MAX_LOSS,
    ImageTransformation,
    transformations,
)
from popnet.ablation.transformations.small_images import shrunk
from popnet.ablation.verdicts import EffectVerdict, effect_that_matters, verdict_of
from popnet.data.dataset import Dataset, Images
from popnet.errors import InputError, closest
from popnet.population.feed import Arrays
from popnet.population.members import Member
from popnet.population.predict import Net, predict
from popnet.population.train import Trainer
from popnet.report.fit_page.facts import (
    AugmentationFacts,
    ConfusedFacts,
    PolicyFacts,
    TransformationFacts,
)
from popnet.runtime import keys
from popnet.runtime.memory import Memory
from popnet.spec.recipe import Recipe
from popnet.types import Array

MAX_TRAIN, MAX_VALID = 600, 1500

STEPS = 800
"""Few images for many steps: what a transformation is worth shows where a net would learn its images by heart."""

PRIOR_PAIRS = 4
"""Pairs whose weight the spread of the other transformations has where it is decided which are used."""

CONFUSIONS = 3
MIN_PAIRS = 2
"""Of one pair nobody knows how far chance goes."""


TwinRows = tuple[np.ndarray, np.ndarray]
"""Rows that a pair of twins trains on, and others that it is compared on."""


class NetOutputs(NamedTuple):
    """What a net says of its pair's test images.

    Attributes:
        losses: ``(N,)``, the error of each.
        classes: ``(N,)``, the class that each is taken for; zeros of a regression.
    """

    losses: np.ndarray
    classes: np.ndarray


class Confusion(NamedTuple):
    """Images of the class number ``true`` that are taken for another one, ``more`` of them than without."""

    true: int
    taken_for: int
    more: int


@dataclass(frozen=True)
class TransformationEffect:
    """What a transformation, or several at once, do.

    Attributes:
        transformation: which.
        gain: reduction of the error, the share of wrong classes (or the squared error of scaled targets); positive is
            better with it.
        verdict: what is concluded of it; each transformation is tested by itself.
        confused: classes that it makes harder to tell apart.
    """

    transformation: ImageTransformation
    gain: Interval
    verdict: EffectVerdict
    confused: tuple[Confusion, ...] = ()


@dataclass(frozen=True)
class Check:
    """What was found, and how.

    Attributes:
        effects: one for each transformation.
        error: of the twins without any.
        pairs: twins of each transformation.
        train, valid: images of a twin.
        recipe: of the twins without any.
        images: that the sample was taken from.
        together: effect of the whole policy; None if there was no time, or there is no policy.
    """

    effects: tuple[TransformationEffect, ...]
    error: float
    pairs: int
    train: int
    valid: int
    recipe: Recipe
    images: int = 0
    together: TransformationEffect | None = None

    def policy(self) -> dict[str, float]:
        """Return the fields of the transformations that keep the class and are worth using."""
        kept = [e.transformation for e in self.effects if self._used(e)]
        # Together they are to bend an image about as much as two of them.
        together = sum(t.name in BENDING for t in kept)
        share = min(1.0, (2 / max(together, 1)) ** 0.5)
        fields: dict[str, float] = {}
        for t in kept:
            fields |= t.fields
            if t.name in BENDING:
                fields[t.name] = round(t.fields[t.name] * share, 4)
        return fields

    def _used(self, effect: TransformationEffect) -> bool:
        name = effect.transformation.name
        if effect.verdict in ("helps", "harms"):
            return effect.verdict == "helps"
        low, high = self._decided_by(effect.gain)
        if low > 0 or high < 0:
            return low > 0
        if name in FREE:
            return low > -MAX_LOSS * self.error
        return name in GENTLE and effect.gain.mean >= 0 and self.images < MANY

    def _decided_by(self, gain: Interval) -> tuple[float, float]:
        """Return the interval that a transformation is used by: the spread of its pairs moderated by the others'.

        With two pairs its own interval is 9 times as wide as its standard error, and hardly anything would be decided,
        while the usual spread of all transformations is well known. The variance is the mean of both, with
        `PRIOR_PAIRS` pairs' weight on the others' (Smyth 2004, Statistical Applications in Genetics 3: moderated t).
        """
        own = max(self.pairs - 1, 1)
        every = np.array([e.gain.error for e in self.effects])
        # The median, for some transformations vary far more than most; so many times that of a chi-square's mean.
        usual = float(np.median(every**2)) * own / float(stats.chi2.ppf(0.5, own))
        variance = (PRIOR_PAIRS * usual + own * gain.error**2) / (PRIOR_PAIRS + own)
        half = float(stats.t.ppf(0.975, PRIOR_PAIRS + own)) * float(np.sqrt(variance))
        return gain.mean - half, gain.mean + half


def check(
    data: Dataset,
    rows: Array,
    *,
    seed: int = 0,
    pairs: int = 4,
    only: Sequence[str] = (),
    steps: int | None = None,
    train: int | None = None,
    deadline: float | None = None,
    workers: int | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    memory: Memory | None = None,
) -> Check | None:
    """Train twins and compare them.

    Args:
        data: whose features are images.
        rows: ``(n,)``, which of them may be used, in training and in comparing.
        seed: of the sample and of the twins.
        pairs: twins of each transformation, each on rows of its own.
        only: names of the transformations that are tried; none for all. Names joined by ``+``, as
            ``reflection+zoomed_crop``, are tried at once, as one.
        steps: of a twin's training; None for `STEPS`. What only helps against over-fitting needs many.
        train: images of a twin; None for `MAX_TRAIN`.
        deadline: moment of ``time.monotonic()`` at which training ends.
        workers: threads.
        stop: when set, training ends as at the deadline.
        on_progress: called with the members trained and their number.
        memory: the limit at which training ends; None for the default one.

    Returns:
        What was found, of the pairs that were through; None if fewer than two were.

    Raises:
        InputError: there is no such transformation of these images.
    """
    assert isinstance(data.features, Images)
    small, folds = _sample(data, np.asarray(rows), pairs, seed, train or MAX_TRAIN)
    image = small.features.size if isinstance(small.features, Images) else (1, 1, 1)
    base = twin_recipe(image, len(folds[0][0]), steps or STEPS)
    tried = transformations(image)
    if only:
        tried = [_joined(tried, name) for name in dict.fromkeys(only)]
    recipes = [base, *(base.replace(**t.fields) for t in tried)]
    # A pair's members come one after another, so that a deadline cuts off complete pairs.
    members = [
        Member(r, int(keys.key(seed, "twin", k)), k) for k in range(len(folds)) for r in recipes
    ]
    trainer = Trainer(Arrays(small, small, folds), deadline, workers, stop, memory)

    def trained(members: list[Member], before: int, total: int) -> dict[int, NetOutputs]:
        found: dict[int, NetOutputs] = {}
        for done, (i, result) in enumerate(trainer.run(enumerate(members)), before + 1):
            if on_progress is not None:
                on_progress(done, total)
            if result.usable and result.status in ("finished", "stopped"):
                net = Net.of(result)
                found[i] = _outputs(small, net, folds[result.member.fold][1], workers)
        return found

    total = len(members) + len(folds)
    outputs = trained(members, 0, total)
    found = _compare(small, folds, tried, outputs, base)
    if found is None:
        return None
    found = replace(found, images=len(rows))
    policy = found.policy()
    if not policy:
        return found
    if policy == tried[0].fields:  # that was tried already
        return replace(found, together=found.effects[0])
    # All that keep the class at once, against none of them.
    composed = trained(
        [replace(m, recipe=base.replace(**policy)) for m in members[:: len(recipes)]],
        len(members),
        total,
    )
    without = {k: outputs[k * len(recipes)] for k in composed if k * len(recipes) in outputs}
    if len(without) < MIN_PAIRS:
        return found
    everything = ImageTransformation("together", "all that are used, together", policy)
    return replace(
        found, together=_effect(everything, small, folds, without, composed, found.error)
    )


def _joined(known: Sequence[ImageTransformation], name: str) -> ImageTransformation:
    """Return a transformation by its name, or several at once by names joined with ``+``."""
    by_name = {t.name: t for t in known}
    for part in name.split("+"):
        if part not in by_name:
            raise InputError(f"there is no transformation '{part}'.{closest(part, by_name)}")
    parts = [by_name[part] for part in name.split("+")]
    fields = {f: value for t in parts for f, value in t.fields.items()}
    return ImageTransformation(name, " and ".join(t.words for t in parts), fields)


def twin_recipe(image: tuple[int, int, int], rows: int, steps: int = STEPS) -> Recipe:
    """Return the twins' recipe: a small net, trained for some steps without dropout or decay worth naming."""
    stages = max(1, min(3, int(np.log2(max(min(image[:2]), 4) / 4)) + 1))
    batch = 32
    epochs = int(np.clip(round(steps * batch / max(rows, 1)), 6, 120 * max(1.0, steps / STEPS)))
    return Recipe(
        kind="conv", depth=1, width=12, stages=stages, batch_size=batch, epochs=epochs, patience=epochs,
        dropout=0.0, learning_rate=4e-3, schedule="one_cycle", warmup=0.2, weight_decay=0.03, fill="edge",
    )  # fmt: skip


def _sample(
    data: Dataset, rows: np.ndarray, pairs: int, seed: int, most_train: int = MAX_TRAIN
) -> tuple[Dataset, list[TwinRows]]:
    """Return a smaller data set of images about `MAX_SIDE` pixels large, and validation rows for each pair."""
    assert isinstance(data.features, Images)
    rng = keys.generator(seed, "check")
    rows = rng.permutation(rows)
    n_valid = int(min(MAX_VALID, len(rows) // (pairs + 1)))
    n_train = int(min(most_train, len(rows) - n_valid))
    used = np.unique(rows[: n_train + pairs * n_valid])
    rows = rows[: n_train + pairs * n_valid]
    features = shrunk(data.features.take(used))
    small = Dataset(features, data.target[used], data.task, data.n_outputs)
    place = {row: k for k, row in enumerate(used.tolist())}
    at = np.array([place[row] for row in rows.tolist()])
    folds: list[TwinRows] = []
    for k in range(pairs):
        valid = at[k * n_valid : (k + 1) * n_valid]
        rest = np.concatenate([at[: k * n_valid], at[(k + 1) * n_valid :]])
        folds.append((np.sort(np.roll(rest, -k * n_valid)[:n_train]), np.sort(valid)))
    return small, folds


def _outputs(data: Dataset, net: Net, rows: Array, workers: int | None) -> NetOutputs:
    """Return what a net says of some images."""
    outputs = predict([net], data.features, rows, workers)[0]
    classes = data.task == "classification"
    taken = outputs.argmax(1) if classes else np.zeros(len(rows), int)
    return NetOutputs(losses_of(outputs, data.target[rows], data.task, "error"), taken)


def _compare(
    data: Dataset,
    folds: Sequence[TwinRows],
    tried: Sequence[ImageTransformation],
    outputs: Mapping[int, NetOutputs],
    base: Recipe,
) -> Check | None:
    """Return what the pairs show whose nets are all trained; None if these are too few.

    Args:
        data: all images.
        folds: of each pair.
        tried: the transformations.
        outputs: of the nets by their number: pair after pair, first without, then with each transformation.
        base: recipe without any.
    """
    each = len(tried) + 1
    whole = [k for k in range(len(folds)) if all(k * each + j in outputs for j in range(each))]
    if len(whole) < MIN_PAIRS:
        return None
    without, *with_each = ({k: outputs[k * each + j] for k in whole} for j in range(each))
    error = float(np.mean(np.concatenate([o.losses for o in without.values()])))
    effects = tuple(
        _effect(t, data, folds, without, found, error)
        for t, found in zip(tried, with_each, strict=True)
    )
    return Check(effects, error, len(whole), len(folds[0][0]), len(folds[0][1]), base)


def _effect(
    transformation: ImageTransformation,
    data: Dataset,
    folds: Sequence[TwinRows],
    without: Mapping[int, NetOutputs],
    found: Mapping[int, NetOutputs],
    error: float,
) -> TransformationEffect:
    """Return the effect of a transformation by the nets of some pairs, without and with it."""
    gains = [without[k].losses - found[k].losses for k in without]
    gain = gain_of(gains, [folds[k][1] for k in without])
    more = np.zeros((data.n_outputs, data.n_outputs), int)
    if data.task == "classification":
        for k in without:
            true = data.target[folds[k][1]]
            np.add.at(more, (true, found[k].classes), 1)
            np.subtract.at(more, (true, without[k].classes), 1)
    said = verdict_of(gain, gain.p, effect_that_matters(error), floor=0.0)
    return TransformationEffect(transformation, gain, said, _confused(more))


def gain_of(gains: Sequence[Array], rows: Sequence[Array]) -> Interval:
    """Return the mean gain of some pairs of twins with its interval.

    Args:
        gains: of each pair ``(N,)``, the loss of the twin without a transformation minus that of the one with it.
        rows: of each pair ``(N,)``, which rows these are.
    """
    every = [np.asarray(g, float) for g in gains]
    means = np.array([g.mean() for g in every])
    return twins_interval(Difference(means, np.concatenate(every)), RowOverlap.of(rows))


def _confused(more: np.ndarray) -> tuple[Confusion, ...]:
    """Return the confusions that increased most, at least by two images."""
    np.fill_diagonal(more, 0)
    order = np.argsort(more, axis=None)[::-1][:CONFUSIONS]
    pairs = [divmod(int(i), len(more)) for i in order]
    return tuple(Confusion(a, b, int(more[a, b])) for a, b in pairs if more[a, b] >= 2)


def facts(check: Check, classes: Sequence[Any]) -> AugmentationFacts:
    """Return what a check found, for reports and ``--json``, with the names of the classes."""
    together = check.together
    return AugmentationFacts(
        error=check.error,
        pairs=check.pairs,
        train=check.train,
        valid=check.valid,
        transformations=[
            TransformationFacts(
                e.transformation.name, e.transformation.words, e.transformation.fields,
                e.gain.mean, e.gain.low, e.gain.high, e.verdict,
                [
                    ConfusedFacts(classes[c.true], classes[c.taken_for], c.more)
                    for c in e.confused
                    if classes
                ],
            )
            for e in check.effects
        ],
        policy=check.policy(),
        together=None if together is None else PolicyFacts(
            together.gain.mean, together.gain.low, together.gain.high, together.verdict
        ),
    )  # fmt: skip
