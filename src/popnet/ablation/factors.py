"""Factors of a study: what may differ between twins, with their levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from popnet.ablation.transformations.catalogue import transformations
from popnet.errors import InputError, closest
from popnet.spec.recipe import NEEDS, Recipe
from popnet.tuning.space import ranges, user_space
from popnet.tuning.space.table_space import scales, with_optimizer

MAX_LEVELS = 12

ANOTHER = 1000
"""Seed of the level that does nothing else: none of an ensemble's or of the base's other nets."""


@dataclass(frozen=True)
class Level:
    """One level of a factor.

    Attributes:
        label: for people, as ``dropout 0.5``.
        fields: of the recipe that it changes.
        seeds: which nets of the twin's seed are trained, and averaged: ``(0,)`` is the base's own; ``(1000,)`` another;
            ``(0, 1, 2)`` an ensemble of three.
    """

    label: str
    fields: Mapping[str, object] = field(default_factory=dict[str, object])
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Factor:
    """What is varied.

    Attributes:
        name: a recipe's field, ``ensemble``, ``seed`` or the name of a transformation.
        base: label of what the base has.
        levels: the others.
    """

    name: str
    base: str
    levels: tuple[Level, ...]


def classic(base: Recipe, classification: bool, image: tuple[int, int, int] | None) -> list[Factor]:
    """Return the factors of the default study: the techniques of a first course.

    Args:
        base: recipe that twins differ from.
        classification: whether the target has classes.
        image: size of the images, or None for a table.
    """
    _, decay = scales(base.optimizer)
    wanted: dict[str, Sequence[object]] = {
        "activation": ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "maxout"),
        "norm": ("none", "batch", "layer"),
        "norm_position": ("after",),
        "dropout": (0.0, 0.25, 0.5),
        "l2": (0.0, 1e-3),
        "l1": (0.0, 1e-4),
        "weight_decay": (0.0, 0.03 * decay, 0.3 * decay),
        "patience": (1, 5, base.epochs),
        "init_scale": (0.1, 1.0, 3.0),
        "learning_rate": (base.learning_rate / 4, base.learning_rate * 4),
        "width": (max(1, base.width // 4), base.width * 2),
        "input_noise": (0.0, 0.1),
        "mixup": (0.0, 0.2),
    }
    if classification:
        wanted["label_smoothing"] = (0.0, 0.1)
    made = [of_field(name, values, base) for name, values in wanted.items() if _acts(name, base)]
    if image is not None:
        made += [
            Factor(t.name, "without", (Level(t.words, t.fields),)) for t in transformations(image)
        ]
    return [*(f for f in made if f.levels), named("ensemble", base)]


def _acts(name: str, base: Recipe) -> bool:
    """Return whether a field has an effect beside the base's other fields."""
    return all(getattr(base, on) in values for on, values in NEEDS.get(name, {}).items())


def of_field(name: str, values: Sequence[object], base: Recipe) -> Factor:
    """Return the factor of a recipe's field; the base's own value is no level.

    Another optimizer comes with the learning rate and the decay that suit it (`popnet.tuning.space.table_space`): with
    the base's own, it would be these that are compared.
    """
    own_value = getattr(base, name)
    levels: list[Level] = []
    for value in dict.fromkeys(values):
        if value != own_value:
            level = _level(name, value, base)
            base.replace(**level.fields)  # refuses impossible values
            levels.append(level)
    return Factor(name, _text(own_value), tuple(levels))


def _level(name: str, value: object, base: Recipe) -> Level:
    if name != "optimizer":
        return Level(f"{name} {_text(value)}", {name: value})
    changes = with_optimizer(base, str(value))
    return Level(f"{name} {value} at {_text(changes['learning_rate'])}", changes)


def named(name: str, base: Recipe) -> Factor:
    """Return a factor that is no field: ``ensemble``, of several initial values, or ``seed``, which does nothing."""
    if name == "ensemble":
        return Factor(
            name,
            "one net",
            (
                Level("mean of 2 nets", seeds=(0, 1)),
                Level("mean of 4 nets", seeds=(0, 1, 2, 3)),
            ),
        )
    return Factor("seed", "this seed", (Level("another seed", seeds=(ANOTHER,)),))


def parse(text: str, base: Recipe, classification: bool, image: tuple[int, int, int] | None) -> Factor:  # fmt: skip
    """Return the factor that a user wrote: ``dropout``, ``dropout=0,0.3``, ``activation=relu,elu``, ``ensemble``.

    Args:
        text: as written.
        base, classification, image: as of `classic`.

    Raises:
        InputError: there is no such factor, or no level that differs from the base's.
    """
    name, sign, rest = text.partition("=")
    name = name.strip()
    known = {f.name: f for f in classic(base, classification, image)}
    if name in ("ensemble", "seed"):
        if sign:
            raise InputError(f"the factor '{name}' takes no values; write --factor {name}.")
        return named(name, base)
    by_transformation = {} if image is None else {t.name: t for t in transformations(image)}
    if not sign:
        if name in known:
            return known[name]
        if name in by_transformation:
            t = by_transformation[name]
            return Factor(name, "without", (Level(t.words, t.fields),))
        if name in Recipe.model_fields:
            raise InputError(
                f"the factor '{name}' needs values, as in --factor {name}={_example(name, base)}."
            )
    if name not in Recipe.model_fields:
        every = [*Recipe.model_fields, "ensemble", "seed", *by_transformation]
        raise InputError(f"there is no factor '{name}'.{closest(name, every)}")
    values = [ranges.value(part) for part in rest.split(",") if part.strip()]
    user_space.dimension(name, values)  # refuses values that the field cannot have
    factor = of_field(name, values, base)
    if not factor.levels:
        raise InputError(
            f"{factor.base} is the baseline's {name} already; give --factor {name} another value."
        )
    if len(factor.levels) > MAX_LEVELS:
        raise InputError(f"the factor '{name}' has more than {MAX_LEVELS} values.")
    return factor


def _example(name: str, base: Recipe) -> str:
    value = getattr(base, name)
    if isinstance(value, bool):
        return "true,false"
    return f"{_text(value)},…"


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
