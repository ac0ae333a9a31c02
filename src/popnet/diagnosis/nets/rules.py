"""The rules about nets: one table. A rule fires if its check does on most trainings of a recipe.

A *suspicion* is a rule that a threshold alone cannot decide: it is reported only if twins show that the remedy helps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from popnet.diagnosis.findings import RecipeChanges, Severity
from popnet.diagnosis.nets import checks
from popnet.diagnosis.nets.checks import Measurement, ProbedTraining
from popnet.spec.recipe import Recipe


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: of the finding.
        title: of the finding.
        severity: how bad it is.
        threshold: with which its value is compared.
        source: of the threshold.
        meaning: one sentence for someone who took one course.
        remedy: what to do.
        fields: returns the new values of a recipe's fields.
        check: looks at one training.
        suspicion: whether it counts only if its remedy helps.
    """

    name: str
    title: str
    severity: Severity
    threshold: float
    source: str
    meaning: str
    remedy: str
    fields: Callable[[Recipe], RecipeChanges]
    check: Callable[[ProbedTraining, float], Measurement | None]
    suspicion: bool = False


def _usual_rate(recipe: Recipe) -> float:
    """Return a learning rate that trains most nets with the recipe's optimizer."""
    return {"sgd": 0.05, "muon": 0.02}.get(recipe.optimizer, 2e-3)


def _decayed(recipe: Recipe) -> RecipeChanges:
    """Return fields of a strong decoupled decay; nets of images have a tenth of the others' from the start."""
    decay = max(recipe.decay, 0.5 if recipe.kind == "mlp" else 0.2)
    optimizer = "adamw" if recipe.optimizer == "adam" else recipe.optimizer
    return {"optimizer": optimizer, "weight_decay": decay}


RULES: tuple[Rule, ...] = (
    Rule(
        "exploding_gradient",
        "Exploding gradient",
        "error",
        1000.0,
        "Glorot and Bengio 2010; Pascanu et al. 2013",
        "The gradient grows in each layer on its way back, so steps are far too large for the first layers.",
        "use He's initial weights, batch normalization, and clip the gradient at norm 1",
        lambda r: {"norm": "batch", "init": "he_normal", "init_scale": 1.0, "gradient_clip": 1.0},
        checks.exploding,
    ),
    Rule(
        "divergence",
        "The training diverged",
        "error",
        3.0,
        "a convention: 1 would be the loss of a constant prediction, 3 leaves room for a slow start",
        "Each step overshoots further than the one before, until the numbers overflow.",
        "lower the learning rate and clip the gradient",
        lambda r: {
            "learning_rate": min(r.learning_rate / 30, _usual_rate(r)),
            "gradient_clip": 1.0,
        },
        checks.diverged,
    ),
    Rule(
        "penalty_swamps",
        "The penalty outweighs the loss",
        "error",
        1.0,
        "a convention: above 1 most of each step serves the penalty",
        "The net makes its weights small rather than fit the data.",
        "make the penalties ten thousand times smaller",
        lambda r: {
            "l1": r.l1 / 1e4,
            "l2": r.l2 / 1e4,
            **({"weight_decay": 0.01} if r.decay > 0.05 else {}),
        },
        checks.penalty_swamps,
    ),
    Rule(
        "vanishing_gradient",
        "Vanishing gradient",
        "error",
        1e-3,
        "Glorot and Bengio 2010: healthy nets keep gradients of all layers within about one order of magnitude",
        "The first layers hardly learn, because the gradient shrinks in each layer on its way back.",
        "use ReLU units with batch normalization and He's initial weights",
        lambda r: {"activation": "relu", "norm": "batch", "init": "he_normal", "init_scale": 1.0},
        checks.vanishing,
    ),
    Rule(
        "initialisation",
        "Poor initial weights",
        "error",
        20.0,
        "He et al. 2015: the signal's variance should be the same in all layers",
        "Signals are lost or blown up in the untrained net; the first epochs go into repairing that, if they can.",
        "use He's initial weights at scale 1",
        lambda r: {"init": "he_normal", "init_scale": 1.0},
        checks.initialisation,
    ),
    Rule(
        "rate_too_large",
        "Learning rate too large",
        "error",
        0.3,
        "Stanford's course CS231n wants about 0.001; Adam's first steps are about 0.02 in healthy nets",
        "Each step undoes a good part of what the weights have learned.",
        "divide the learning rate by 20",
        lambda r: {"learning_rate": r.learning_rate / 20},
        checks.rate_too_large,
    ),
    Rule(
        "saturated",
        "Saturated activations",
        "warning",
        0.5,
        "Glorot and Bengio 2010",
        "Where sigmoid and tanh are flat, units pass on hardly any gradient and stop learning.",
        "normalize before the activation (batch normalization), or use ReLU",
        lambda r: {
            "norm": "batch",
            "norm_position": "before",
            "activation": "relu",
            "init_scale": 1.0,
        },
        checks.saturated,
    ),
    Rule(
        "dead_units",
        "Dead units",
        "warning",
        0.4,
        "a convention; Maas et al. 2013 describe the effect; with batch normalization it is near 0",
        "A ReLU unit that is 0 for every row has no gradient and never recovers: the net is narrower than it looks.",
        "use leaky ReLU and a lower learning rate",
        lambda r: {
            "activation": "leaky_relu",
            "leaky_slope": 0.1,
            "learning_rate": r.learning_rate / 3,
            "norm": "batch",
        },
        checks.dead,
    ),
    Rule(
        "rate_too_small",
        "Learning rate too small",
        "warning",
        2e-4,
        "Stanford's course CS231n wants about 0.001",
        "The steps are so small that the epochs end before much is learned.",
        "use a usual learning rate (0.002 for Adam, 0.02 for Muon, 0.05 for SGD)",
        lambda r: {"learning_rate": _usual_rate(r)},
        checks.rate_too_small,
    ),
    Rule(
        "batch_too_small",
        "Batches too small for batch normalization",
        "warning",
        16.0,
        "Wu and He 2018, arXiv:1803.08494",
        "Means and variances of a few rows are noisy, and the output for a row depends on the rest of its batch.",
        "use batches of 64, or layer normalization",
        lambda r: {"batch_size": 64},
        checks.batch_too_small,
    ),
    Rule(
        "over_fitting",
        "Over-fitting",
        "warning",
        2.0,
        "Prechelt 1998: validation error that rises while the training error falls",
        "The net memorizes its training rows; what it learns there does not generalize.",
        "use dropout 0.5 and a strong weight decay, and a net of half the width",
        lambda r: {
            "dropout": max(r.dropout, 0.5),
            **_decayed(r),
            "width": max(8, r.width // 2),
        },
        checks.over_fitting,
        suspicion=True,
    ),
    Rule(
        "under_fitting",
        "Under-fitting",
        "warning",
        0.75,
        "Goodfellow et al. 2016, Deep Learning, chapter 5: training error close to the validation error and both high",
        "The net is too small, or too strongly regularized, to fit even its training rows.",
        "use at least two layers of 128 units, little dropout, and no penalties",
        lambda r: {
            "width": max(r.width * 2, 128),
            "depth": max(r.depth, 2),
            "dropout": min(r.dropout, 0.1),
            "l1": 0.0,
            "l2": 0.0,
        },
        checks.under_fitting,
        suspicion=True,
    ),
    Rule(
        "internal_covariate_shift",
        "Internal covariate shift",
        "note",
        0.25,
        "Ioffe and Szegedy 2015; the number is a convention",
        "Each layer learns from inputs whose distribution the layers before it keep changing.",
        "use batch normalization before each activation; if the net has that already, lower the learning rate",
        lambda r: (
            {"norm": "batch", "norm_position": "before"}
            if r.norm != "batch" or r.norm_position != "before"
            else {"learning_rate": r.learning_rate / 5}
        ),
        checks.covariate_shift,
    ),
    Rule(
        "dropout_and_norm",
        "Dropout disturbs batch normalization",
        "note",
        0.1,
        "Li et al. 2019, arXiv:1801.05134",
        "With dropout, batch normalization learns other variances than those at evaluation, and scales wrongly there.",
        "divide the dropout rate by four where there is batch normalization",
        lambda r: {"dropout": round(r.dropout / 4, 4)},
        checks.dropout_and_norm,
        suspicion=True,
    ),
    Rule(
        "impatient",
        "Early stopping too impatient",
        "warning",
        5.0,
        "Prechelt 1998: patience trades time for a better minimum",
        "Validation scores go up and down by chance; with a short patience the first bad epochs end the training.",
        "set the patience to 20 epochs",
        lambda r: {"patience": 20, "epochs": max(r.epochs, 60)},
        checks.impatient,
        suspicion=True,
    ),
    Rule(
        "too_few_epochs",
        "Too few epochs: early stopping never set in",
        "warning",
        0.02,
        "Prechelt 1998",
        "The training ended while the validation score was still improving.",
        "train three times as long",
        lambda r: {"epochs": 3 * r.epochs},
        checks.too_few_epochs,
        suspicion=True,
    ),
    Rule(
        "loss_stays",
        "The loss does not fall",
        "error",
        0.98,
        "a constant prediction reaches 1 without learning anything",
        "The net has learned nothing about the target from these columns.",
        "try the default net; if that learns nothing either, the columns may say nothing about the target",
        lambda r: {
            f: Recipe.model_fields[f].default
            for f in (
                "activation",
                "norm",
                "init",
                "init_scale",
                "learning_rate",
                "l1",
                "l2",
                "weight_decay",
                "optimizer",
                "parametrization",
            )
        },
        checks.loss_stays,
    ),
)
"""All rules about nets, in the order in which their findings are shown within a severity."""


EXPLAINS: dict[str, tuple[str, ...]] = {
    "divergence": (
        "rate_too_large",
        "loss_stays",
        "dead_units",
        "internal_covariate_shift",
        "penalty_swamps",
        "initialisation",
        "saturated",
        "under_fitting",
    ),
    "penalty_swamps": (
        "loss_stays",
        "dead_units",
        "under_fitting",
        "rate_too_small",
        "rate_too_large",
        "too_few_epochs",
    ),
    "vanishing_gradient": (  # known before training: decay then takes weights that nothing keeps
        "penalty_swamps",
        "loss_stays",
        "initialisation",
        "rate_too_small",
        "internal_covariate_shift",
        "under_fitting",
        "too_few_epochs",
    ),
    "exploding_gradient": (
        "divergence",
        "initialisation",
        "rate_too_large",
        "internal_covariate_shift",
        "loss_stays",
        "dead_units",
        "rate_too_small",
        "under_fitting",
    ),
    "rate_too_large": (
        "dead_units",
        "internal_covariate_shift",
        "loss_stays",
        "saturated",
        "under_fitting",
    ),
    "initialisation": (
        "rate_too_large",
        "internal_covariate_shift",
        "loss_stays",
        "saturated",
        "under_fitting",
        "rate_too_small",
    ),
    "saturated": ("internal_covariate_shift",),
    "dead_units": ("internal_covariate_shift",),
    "rate_too_small": (
        "loss_stays",
        "under_fitting",
        "too_few_epochs",
    ),
    "too_few_epochs": ("under_fitting",),
    "dropout_and_norm": ("under_fitting",),
}
"""Rules whose findings follow from another rule's, and are left out beside it."""


class FiredRule(NamedTuple):
    """A rule that fired on most of the trainings, with the measurement of the middle one."""

    rule: Rule
    hit: Measurement
    trainings: int


def examine(trainings: list[ProbedTraining]) -> list[FiredRule]:
    """Return the rules that fire on more than half of the trainings; what another rule explains is left out.

    Suspicions explain nothing yet: see `unexplained`.
    """
    fired: list[FiredRule] = []
    for rule in RULES:
        hits = [h for t in trainings if (h := rule.check(t, rule.threshold)) is not None]
        if 2 * len(hits) > len(trainings):
            hits.sort(key=lambda h: h.value)
            fired.append(FiredRule(rule, hits[len(hits) // 2], len(hits)))
    sure = unexplained([f.rule.name for f in fired if not f.rule.suspicion])
    explained = {name for s in sure for name in EXPLAINS.get(s, ())}
    return [f for f in fired if f.rule.name not in explained]


def unexplained(names: list[str]) -> list[str]:
    """Return the rules of a list that no other one of it explains, in their order."""
    explained = {name for n in names for name in EXPLAINS.get(n, ())}
    return [n for n in names if n not in explained]
