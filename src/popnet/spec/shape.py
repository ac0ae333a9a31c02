"""A recipe in two parts: `Shape`, which a compiled program is built for, and `Numbers`, which it is given.

Members that share a shape share a program (a bucket), whatever their numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from popnet.data.dataset import Dataset, Images
from popnet.errors import RecipeError
from popnet.spec import bins
from popnet.spec.bins import Bounds
from popnet.spec.recipe import Recipe, choices

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True)
class Structure:
    """What fixes array shapes and control flow, whatever the columns of a table: common to `Shape` and `Form`.

    Attributes:
        kind: of the net.
        depth: hidden layers, or those of a stage.
        width: units of a hidden layer, or channels of the first stage.
        stages: of a convolutional net; 0 of others.
        patch: side in pixels of what a convolutional net's first layer takes as one; 1 of others.
        batch_size: rows of a batch.
        pieces: linear maps of a maxout unit; 1 for every other activation.
        norm: place of the normalization in its table, of a convolutional net: its programs hold one kind each, since
            holding all would multiply the time of compiling many layers; None: a number chooses (see `specialised`).
        activation: place of the activation, likewise.
        after: whether a normalization stands after the activation. It would cost every net a pass over each layer and
            a sixth of its compilation to leave that open.
        muon: whether the steps of the hidden layers' weights are made orthogonal, instead of a choice of the other
            optimizers by number: it takes as long as the rest of a step.
        ntk: whether the rate of a layer's weights depends on the number of its inputs.
        heads: nets that share their weights (see `popnet.nn.heads`); 1 of convolutional nets.
        scaled: whether the first layer's inputs have learned scales.
        image: height, width and channels of images; None for tables.
        n_outputs: O, classes or targets.
        task: which loss.
    """

    kind: Literal["mlp", "conv", "residual"]
    depth: int
    width: int
    stages: int
    patch: int
    batch_size: int
    pieces: int
    norm: int | None
    activation: int | None
    after: bool
    muon: bool
    ntk: bool
    heads: int
    scaled: bool
    image: tuple[int, int, int] | None
    n_outputs: int
    task: Literal["classification", "regression"]


@dataclass(frozen=True)
class Shape(Structure):
    """What fixes array shapes and control flow: part of the recipe, and the kinds of the data's columns.

    Attributes:
        frequencies: periodic features per continuous column; 0 without embedding.
        bounds: knots that bound the bins of each continuous column; empty without piecewise-linear embedding.
        n_numeric: F, continuous columns.
        n_flags: G, 0/1 columns.
        levels: levels of each coded column.
    """

    frequencies: int
    bounds: tuple[Bounds, ...]
    n_numeric: int
    n_flags: int
    levels: tuple[int, ...]

    @classmethod
    def make(
        cls,
        recipe: Recipe,
        *,
        n_numeric: int = 0,
        n_flags: int = 0,
        levels: tuple[int, ...] = (),
        image: tuple[int, int, int] | None = None,
        knots: np.ndarray | None = None,
        n_outputs: int,
        task: Literal["classification", "regression"],
    ) -> Shape:
        """Return the shape of a recipe's net for columns (with quantiles ``knots``) and outputs of these numbers.

        Raises:
            RecipeError: a convolutional net for a table, without layers, or whose stages leave nothing of an image; or
                an embedding by quantiles of columns whose quantiles are not known.
        """
        convolutional = recipe.kind != "mlp"
        if convolutional:
            _check_image(recipe, image)
        if image is not None and not convolutional:
            n_numeric = math.prod(image)
        embedding = recipe.numeric_embedding if n_numeric and image is None else "none"
        bounds = ()
        if embedding == "piecewise":
            if knots is None:
                raise RecipeError(
                    "numeric_embedding = 'piecewise' needs the quantiles of the columns, which these arrays lack; "
                    "give knots to Features, or use 'periodic'."
                )
            bounds = bins.bounds(knots, recipe.embedding_size)
        elif embedding == "periodic" and recipe.embedding_quantiles and knots is None:
            raise RecipeError(
                "embedding_quantiles needs the quantiles of the columns, which these arrays lack; give knots to "
                "Features."
            )
        return cls(
            kind=recipe.kind,
            depth=recipe.depth,
            width=recipe.width if recipe.depth else 0,
            stages=recipe.stages if convolutional else 0,
            patch=recipe.patch if convolutional else 1,
            batch_size=recipe.batch_size,
            norm=choices("norm").index(recipe.norm) if convolutional else None,
            activation=_place(recipe) if convolutional else None,
            pieces=recipe.maxout_pieces if recipe.activation == "maxout" and recipe.depth else 1,
            after=recipe.norm_position == "after" and recipe.norm != "none" and recipe.depth > 0,
            muon=recipe.optimizer == "muon" and recipe.depth > 0,
            ntk=recipe.parametrization == "ntk",
            heads=1 if convolutional else recipe.heads,
            scaled=recipe.input_scale > 0 and not convolutional,
            frequencies=recipe.embedding_size if embedding == "periodic" else 0,
            bounds=bounds,
            n_numeric=n_numeric,
            n_flags=n_flags,
            levels=levels,
            image=image,
            n_outputs=n_outputs,
            task=task,
        )

    @classmethod
    def of(cls, recipe: Recipe, data: Dataset) -> Shape:
        """Return the shape of a recipe's net on a data set."""
        if isinstance(data.features, Images):
            return cls.make(
                recipe, image=data.features.size, n_outputs=data.n_outputs, task=data.task
            )
        return cls.make(
            recipe,
            n_numeric=data.features.numeric.shape[1],
            n_flags=data.features.flags.shape[1],
            levels=tuple(data.features.levels),
            knots=data.features.knots,
            n_outputs=data.n_outputs,
            task=data.task,
        )

    def specialised(self, recipe: Recipe) -> Shape:
        """Return the shape of a program that holds a recipe's normalization and activation alone.

        It gives the same weights bit for bit, and takes a third less time to compile.
        """
        return replace(self, norm=choices("norm").index(recipe.norm), activation=_place(recipe))


ONE_HOT_LEVELS = 24
"""Columns with at most this many levels are one-hot; those with more have learned vectors."""


def embedding_size(levels: int) -> int:
    """Return the length of the learned vectors of a column with so many levels (fastai's rule, at most 32)."""
    return min(32, round(1.6 * levels**0.56))


def split_levels(levels: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Return the places of the one-hot columns and of the columns with learned vectors."""
    one_hot = [c for c, n in enumerate(levels) if n <= ONE_HOT_LEVELS]
    return one_hot, [c for c, n in enumerate(levels) if n > ONE_HOT_LEVELS]


def size_class(n: int, smallest: int = 32, parts: int | None = None) -> int:
    """Return a size rounded up to one of a few; 0 stays 0. Tables whose sizes are of equal classes share programs.

    Args:
        n: the size.
        smallest: class.
        parts: of an octave; None for one up to 64, two up to 256, four from there on: 32, 64, 96, 128, 192, 256, 320,
            384, ... so that the first layer of a net, and with it a step, has little padding.
    """
    if n == 0:
        return 0
    octave = max(smallest, 1 << max(0, n.bit_length() - 1))
    step = octave // (parts or (1 if octave < 64 else 2 if octave < 256 else 4))
    return max(smallest, -(-n // step) * step)


def output_class(n: int, task: str) -> int:
    """Return the number of outputs of a program for so many: of regressions the same, of classes 8, 16, 32, ..."""
    if task == "regression":
        return n
    size = 8
    while size < n:
        size *= 2
    return size


@dataclass(frozen=True)
class Form(Structure):
    """What a program is compiled for: a `Shape` whose sizes by the data are rounded up, so that tables share programs.

    Nets are padded with zeros that stay zero, so that padding changes no result but by rounding (`popnet.nn.net.pad`).
    The fields of a `Shape` mean the same here.

    Attributes:
        columns: R, raw columns of a table's rows: numbers, their quantiles (where some are periodic), flags and codes.
        plain: inputs of the first layer that are one column's value, bin or level each; or pixels.
        waves: periodic inputs.
        vectors: inputs that are elements of learned vectors.
        entries: elements of all learned vectors.
    """

    columns: int
    plain: int
    waves: int
    vectors: int
    entries: int

    @property
    def inputs(self) -> int:
        """Return the number of inputs of the first layer."""
        return self.plain + self.waves + self.vectors

    @classmethod
    def of(cls, shape: Shape) -> Form:
        """Return the form of the program that trains and evaluates nets of a shape."""
        same = {f.name: getattr(shape, f.name) for f in fields(Structure)}
        same["n_outputs"] = output_class(shape.n_outputs, shape.task)
        if shape.image is not None:
            plain = math.prod(shape.image) if shape.kind == "mlp" else 0
            return cls(**same, columns=0, plain=plain, waves=0, vectors=0, entries=0)
        one_hot, learned = ([shape.levels[c] for c in some] for some in split_levels(shape.levels))
        sizes = [embedding_size(n) for n in learned]
        entries = sum(n * e for n, e in zip(learned, sizes, strict=True))
        plain = shape.n_numeric + bins.count(shape.bounds) + shape.n_flags + sum(one_hot)
        raw = shape.n_numeric * (2 if shape.frequencies else 1) + shape.n_flags + len(shape.levels)
        return cls(
            **same,
            # Raw columns and elements of vectors are copied and not multiplied: padding hardly counts.
            columns=size_class(raw, parts=1),
            plain=size_class(plain),
            waves=size_class(shape.n_numeric * shape.frequencies),
            vectors=size_class(sum(sizes), parts=1),
            # One more, which is 0: what inputs are made of that there are not.
            entries=size_class(entries + 1, 4096, parts=1) if entries else 0,
        )


CHOICES = {
    "norm": "norm", "optimizer": "optimizer", "schedule": "schedule", "dropout_schedule": "schedule",
    "decay_schedule": "schedule", "fill": "fill",
}  # fmt: skip
"""Fields whose number is a place in a table, and the field whose choices are the table."""


class Numbers(NamedTuple):
    """The part of a recipe that travels into a program as scalars (choices as int32 places in their tables)."""

    activation: Array
    leaky_slope: Array
    elu_alpha: Array
    norm: Array
    norm_momentum: Array
    norm_epsilon: Array
    l1: Array
    l2: Array
    decay: Array
    dropout: Array
    input_dropout: Array
    dropout_schedule: Array
    decay_schedule: Array
    label_smoothing: Array
    mixup: Array
    cutmix: Array
    input_noise: Array
    translation: Array
    crop: Array
    rotation: Array
    quarter_turn: Array
    half_turn: Array
    reflection: Array
    vertical_reflection: Array
    scaling: Array
    zoomed_crop: Array
    shear: Array
    elastic_alpha: Array
    elastic_sigma: Array
    brightness: Array
    contrast: Array
    saturation: Array
    erasing: Array
    fill: Array
    class_balance: Array
    ema: Array
    epochs: Array
    patience: Array
    min_delta: Array
    monitor_error: Array
    optimizer: Array
    learning_rate: Array
    momentum: Array
    nesterov: Array
    beta1: Array
    beta2: Array
    optimizer_epsilon: Array
    gradient_clip: Array
    schedule: Array
    warmup: Array
    step_factor: Array
    steps: Array
    embedding_quantiles: Array
    input_scale: Array

    @classmethod
    def of(cls, recipe: Recipe) -> Numbers:
        """Return a recipe's numbers as NumPy scalars (float32, int32, or bool)."""
        special = {
            "activation": _place(recipe),
            "decay": recipe.decay,
            "monitor_error": recipe.monitor == "error",
            **{f: choices(of).index(getattr(recipe, f)) for f, of in CHOICES.items()},
        }
        return cls._make(
            _scalar(special[f] if f in special else getattr(recipe, f)) for f in cls._fields
        )


def _place(recipe: Recipe) -> int:
    """Return an activation's place in the table; maxout is a matter of shape, and its place is never looked up."""
    return choices("activation").index(recipe.activation) % (len(choices("activation")) - 1)


def _check_image(recipe: Recipe, image: tuple[int, int, int] | None) -> None:
    if image is None:
        raise RecipeError(f"kind = '{recipe.kind}' is for images; use kind = 'mlp' for a table.")
    if recipe.depth == 0:
        raise RecipeError(f"kind = '{recipe.kind}' needs a depth of at least 1; got 0.")
    smallest = min(image[:2]) // recipe.patch >> (recipe.stages - 1)
    if smallest < 1:
        raise RecipeError(
            f"images of {image[0]} x {image[1]} pixels are too small for patch = {recipe.patch} and "
            f"stages = {recipe.stages}: nothing is left after the last pooling; use fewer stages."
        )


def _scalar(value: float | bool) -> np.generic:
    if isinstance(value, bool):
        return np.bool_(value)
    return np.int32(value) if isinstance(value, int) else np.float32(value)
