"""What the rules about nets measure: each check looks at one training and says where it is beyond a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from popnet.population.members import Result
from popnet.spec.recipe import Recipe

SMALLEST_LOSS = 1e-9
"""Losses below count as this one where something is divided by them: those of nets that were given the target."""


@dataclass(frozen=True)
class ProbedTraining:
    """One training of a net with its probes, which the rules look at.

    Attributes:
        result: of a trainer that probes.
        chance: training loss of the best constant prediction: the entropy of the classes, or 1 for scaled targets.
        classes: number of classes; 0 for a regression.
        rows: trained on.
        convolutional: whether the net is one for images.
    """

    result: Result
    chance: float
    classes: int
    rows: int
    convolutional: bool = False

    @property
    def recipe(self) -> Recipe:
        """Its recipe."""
        return self.result.member.recipe

    def layer(self, name: str) -> np.ndarray:
        """Return a probe of all layers, ``(E, L)``; the last column is the output layer."""
        assert self.result.probes is not None
        return self.result.probes.layers[name]

    def net(self, name: str) -> np.ndarray:
        """Return a probe of the whole net, ``(E,)``."""
        assert self.result.probes is not None
        return self.result.probes.net[name]

    @property
    def probed(self) -> np.ndarray:
        """Epochs with a probe; 0 is before training."""
        assert self.result.probes is not None
        return self.result.probes.epochs

    def curve(self, name: str) -> np.ndarray:
        """Return a curve, ``(epochs,)``."""
        return self.result.curves[name]

    @property
    def hidden(self) -> int:
        """Number of hidden layers."""
        return self.layer("gradient").shape[1] - 1

    def at_best(self) -> int:
        """Return the place among the probes that is nearest to the best epoch."""
        return int(np.abs(self.probed - self.result.best_epoch).argmin())


class Measurement(NamedTuple):
    """What a rule measured when it fired."""

    value: float
    where: str
    measured: str


def _layer_name(t: ProbedTraining, i: int) -> str:
    return "output layer" if i == t.hidden else f"hidden layer {i + 1} of {t.hidden}"


# --- gradients and signals ------------------------------------------------------------------------


def vanishing(t: ProbedTraining, threshold: float) -> Measurement | None:
    """The first layer's gradient is a tiny share of the output layer's, before training and after an epoch."""
    if t.hidden < 2:
        return None
    early = t.layer("gradient")[t.probed <= 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = early[:, 0] / early[:, -1]
    worst = float(np.nanmax(ratio)) if np.isfinite(ratio).any() else np.inf
    if not worst < threshold:
        return None
    return Measurement(
        worst, "hidden layer 1, before training and after epoch 1",
        f"the gradient of a weight in the first layer is {worst:.2g} times that in the output layer",
    )  # fmt: skip


def exploding(t: ProbedTraining, threshold: float) -> Measurement | None:
    """Before training the whole gradient is huge, or a hidden layer's is many times the output layer's."""
    gradient, whole = t.layer("gradient")[0], float(t.net("gradient")[0])
    if not np.isfinite(gradient).all() or not np.isfinite(whole):
        return Measurement(float("inf"), "all layers, before training", "the gradient overflows")
    if whole > threshold:
        i = int(gradient.argmax())
        return Measurement(
            whole, f"all layers, most in the {_layer_name(t, i)}, before training",
            f"the gradient's norm is {whole:.3g}; healthy nets have about 1",
        )  # fmt: skip
    ratio = gradient[:-1] / max(float(gradient[-1]), 1e-12)
    if len(ratio) == 0 or ratio.max() <= threshold:
        return None
    i = int(ratio.argmax())
    return Measurement(
        float(ratio[i]), f"{_layer_name(t, i)}, before training",
        f"the gradient of its weights is {ratio[i]:.2g} times that of the output layer",
    )  # fmt: skip


def saturated(t: ProbedTraining, threshold: float) -> Measurement | None:
    """A layer of sigmoid or tanh units is flat for most values, after the first epochs."""
    if t.recipe.activation not in ("sigmoid", "tanh") or t.hidden < 1:
        return None
    share = np.nan_to_num(t.layer("saturated")[t.at_best() :, :-1]).mean(0)
    i = int(share.argmax())
    if not share[i] > threshold:
        return None
    return Measurement(
        float(share[i]), f"{_layer_name(t, i)}, epoch {t.probed[t.at_best()]} and later",
        f"{100 * share[i]:.0f} % of its outputs lie where {t.recipe.activation} is flat",
    )  # fmt: skip


def dead(t: ProbedTraining, threshold: float) -> Measurement | None:
    """Many units of a layer are 0 for every row."""
    if t.hidden < 1:
        return None
    share = t.layer("dead")[-1, :-1]
    i = int(np.nan_to_num(share).argmax())
    if not share[i] > threshold:
        return None
    return Measurement(
        float(share[i]), f"{_layer_name(t, i)}, epoch {t.probed[-1]}",
        f"{100 * share[i]:.0f} % of its units are 0 for every row that was checked",
    )  # fmt: skip


def initialisation(t: ProbedTraining, threshold: float) -> Measurement | None:
    """Before training the signal shrinks or grows from layer to layer, or the outputs are far too large."""
    signal = t.layer("signal")[0, :-1]
    if t.hidden >= 2 and signal[0] > 0:
        ratio = float(signal[-1] / signal[0])
        if not 1 / threshold < ratio < threshold:
            how = "shrinks to" if ratio < 1 else "grows to"
            return Measurement(
                ratio, f"hidden layers 1 to {t.hidden}, before training",
                f"the signal {how} {ratio:.2g} times its size from the first to the last hidden layer",
            )  # fmt: skip
    loss = float(t.net("loss")[0]) / t.chance
    if loss > threshold:
        return Measurement(
            loss, "outputs, before training",
            f"the untrained net's loss is {loss:.2g} times that of predicting the shares of the classes"
            if t.classes
            else f"the untrained net's error is {loss:.2g} times that of predicting the mean",
        )  # fmt: skip
    spread = t.layer("spread")[0, :-1]
    if t.recipe.norm == "none" and t.hidden and float(spread.min()) < 1 / threshold:
        i = int(spread.argmin())
        return Measurement(
            float(spread[i]), f"{_layer_name(t, i)}, before training",
            f"the inputs of its activations have a standard deviation of only {spread[i]:.2g} (it should be about 1)",
        )  # fmt: skip
    return None


# --- steps ------------------------------------------------------------------------------------------


def _updates(t: ProbedTraining) -> np.ndarray:
    """Return the relative size of steps in the first half of training, the median over layers at each probe."""
    early = (t.probed >= 1) & (t.probed <= max(1, t.result.epochs // 2))
    return np.median(t.layer("update")[early], axis=1) if early.any() else np.zeros(0)


def rate_too_large(t: ProbedTraining, threshold: float) -> Measurement | None:
    """The first step changes most of the weights' size, or later ones still change a good part of it."""
    first = float(np.median(t.layer("update")[0]))
    if first > threshold:
        return Measurement(
            first, "all layers, the first step",
            f"the first step changes the weights by {100 * first:.0f} % of their size",
        )  # fmt: skip
    steps = _updates(t)
    size = float(np.median(steps)) if len(steps) and np.isfinite(steps).all() else 0.0
    return Measurement(
        size, "all layers, first half of training",
        f"a step changes the weights by {100 * size:.0f} % of their size",
    ) if size > threshold else None  # fmt: skip


def rate_too_small(t: ProbedTraining, threshold: float) -> Measurement | None:
    """Steps are tiny against the weights, and little was learned by them."""
    steps = _updates(t)
    loss = t.curve("loss")
    if not len(steps) or not len(loss) or not np.isfinite(loss).all():
        return None
    size = float(np.median(steps))
    if size >= threshold or t.net("gradient")[0] < 1e-6:
        return None
    return Measurement(
        size, "all layers, first half of training",
        f"a step changes the weights by {size:.1g} of their size, and in {t.result.epochs} epochs the training loss "
        f"went from {t.net('loss')[0]:.3g} to {loss[-1]:.3g}",
    )  # fmt: skip


def diverged(t: ProbedTraining, threshold: float) -> Measurement | None:
    """The loss is not finite, or ends far above a constant's, and above where it was before training.

    (A net whose first weights are far too large begins there, and comes down: that is no divergence.)
    """
    loss = t.curve("loss")
    if t.result.status == "diverged":
        return Measurement(
            float("inf"), f"epoch {t.result.epochs}", "the loss is no longer a finite number"
        )
    ratio = float(loss[-1] / t.chance) if len(loss) else 0.0
    if ratio > threshold and loss[-1] > t.net("loss")[0]:
        return Measurement(
            ratio, f"epoch {len(loss)}", f"the final training loss is {ratio:.3g} times that of a constant prediction"
        )  # fmt: skip
    return None


def loss_stays(t: ProbedTraining, threshold: float) -> Measurement | None:
    """The net learns nothing: its training loss is hardly below a constant's."""
    if not t.result.usable:
        return None
    best = float(np.nanmin(t.net("loss"))) / t.chance
    return Measurement(
        best, "training rows, best epoch",
        f"the lowest training loss is {100 * best:.0f} % of that of a constant prediction",
    ) if best > threshold else None  # fmt: skip


# --- generalisation ---------------------------------------------------------------------------------


def over_fitting(t: ProbedTraining, threshold: float) -> Measurement | None:
    """The validation loss is a multiple of the training loss, and rises while training goes on."""
    valid = t.curve("valid_loss")
    if not t.result.usable or len(valid) < 3:
        return None
    train = float(t.net("loss")[-1])
    best, last = float(valid.min()), float(valid[-1])
    ratio = max(best, SMALLEST_LOSS) / max(train, SMALLEST_LOSS)
    rise = last / max(best, SMALLEST_LOSS)
    if not (ratio > threshold and rise > OVER_FITTING_RISE):
        return None
    return Measurement(
        ratio, f"epochs {t.result.best_epoch} to {t.result.epochs}",
        f"the validation loss is {ratio:.2g} times the training loss at the end, and rose by {100 * (rise - 1):.0f} % "
        f"after epoch {t.result.best_epoch}",
    )  # fmt: skip


OVER_FITTING_RISE = 1.15
"""By so much the validation loss must have risen after its best epoch."""


def under_fitting(t: ProbedTraining, threshold: float) -> Measurement | None:
    """Training rows are fitted no better than others: the net may be too small or held back too much."""
    valid = t.curve("valid_loss")
    if not t.result.usable or not len(valid):
        return None
    train = float(t.net("loss")[t.at_best()])
    best = float(t.result.best_score) if t.recipe.monitor == "loss" else float(valid.min())
    ratio = train / max(best, SMALLEST_LOSS)
    return Measurement(
        ratio, f"epoch {t.result.best_epoch}",
        f"the training loss, {train:.3g}, is {100 * ratio:.0f} % of the validation loss",
    ) if ratio > threshold else None  # fmt: skip


def covariate_shift(t: ProbedTraining, threshold: float) -> Measurement | None:
    """A layer's inputs move by a good part of their spread each epoch, after the first ones."""
    if t.hidden < 1:
        return None
    later = (t.probed >= 2) & (t.probed <= max(4, t.result.epochs // 3))
    drift = t.layer("drift")[later, :-1]
    if not np.isfinite(drift).any():
        return None
    each = np.nanmean(drift, axis=0)
    i = int(np.nanargmax(each))
    return Measurement(
        float(each[i]), f"{_layer_name(t, i)}, epochs 2 to {int(t.probed[later][-1])}",
        f"the mean of its units' inputs moves by {each[i]:.2g} standard deviations per epoch",
    ) if each[i] > threshold else None  # fmt: skip


def batch_too_small(t: ProbedTraining, threshold: float) -> Measurement | None:
    """Batch normalization is taken over few rows; for convolutions every pixel counts as a row."""
    if t.recipe.norm != "batch" or t.convolutional or t.hidden < 1:
        return None
    rows = min(t.recipe.batch_size, t.rows)
    return Measurement(
        float(rows), "every hidden layer", f"means and variances are taken over {rows} rows"
    ) if rows < threshold else None  # fmt: skip


def dropout_and_norm(t: ProbedTraining, threshold: float) -> Measurement | None:
    """With dropout the variances that batch normalization learned are not those of evaluation (Li et al. 2019)."""
    if t.recipe.norm != "batch" or t.recipe.dropout == 0 or t.hidden < 2:
        return None
    spread = t.layer("batch_spread")[t.at_best(), 1:-1]  # the first layer's inputs are not dropped
    i = int(np.nan_to_num(spread).argmax())
    return Measurement(
        float(spread[i]), f"{_layer_name(t, i + 1)}, epoch {t.probed[t.at_best()]}",
        f"standard deviations without dropout differ by {100 * (np.exp(spread[i]) - 1):.0f} % from those that batch "
        "normalization uses at evaluation",
    ) if spread[i] > threshold else None  # fmt: skip


def penalty_swamps(t: ProbedTraining, threshold: float) -> Measurement | None:
    """The penalties are larger than the loss, or decay has taken most of the weights away."""
    loss, penalty = t.curve("loss"), t.curve("penalty")
    if not len(loss) or not np.isfinite(loss).all():
        return None
    half = len(loss) // 2
    ratio = float(np.median(penalty[half:] / np.maximum(loss[half:], SMALLEST_LOSS)))
    if ratio > threshold:
        return Measurement(
            ratio, f"epochs {half + 1} to {len(loss)}", f"the penalty is {ratio:.2g} times the loss"
        )
    weight = t.layer("weight")
    # Weights that began far too large are mended by what decay takes.
    left = weight[-1] / np.maximum(weight[0] / max(1.0, t.recipe.init_scale), 1e-12)
    i = int(left.argmin())
    if t.recipe.decay > 0 and left[i] < DECAYED:
        return Measurement(
            float(1 / max(left[i], 1e-9)), f"{_layer_name(t, i)}, epoch {t.probed[-1]}",
            f"weight decay has left {100 * left[i]:.1f} % of the size of its weights",
        )  # fmt: skip
    return None


DECAYED = 0.05


def impatient(t: ProbedTraining, threshold: float) -> Measurement | None:
    """Early stopping ended the training after very few epochs without progress."""
    if t.result.status != "stopped" or t.recipe.patience >= threshold:
        return None
    return Measurement(
        float(t.recipe.patience), f"epoch {t.result.epochs} of {t.recipe.epochs}",
        f"training stopped after {t.recipe.patience} epochs without a better validation score",
    )  # fmt: skip


def too_few_epochs(t: ProbedTraining, threshold: float) -> Measurement | None:
    """The validation score was still improving when the epochs were over: patience was never used."""
    valid = t.curve("valid_loss")
    if t.result.status != "finished" or len(valid) < 2 or t.result.best_epoch < len(valid):
        return None
    before = valid[: -max(1, len(valid) // 5)].min()
    gain = float((before - valid.min()) / max(before, SMALLEST_LOSS))
    return Measurement(
        gain, f"epoch {len(valid)}, the last",
        f"the validation loss still fell by {100 * gain:.1f} % in the last fifth of the epochs",
    ) if gain > threshold else None  # fmt: skip
