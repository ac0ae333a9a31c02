"""One net's hyper-parameters, all of them, typed.

A field is either *structure* (it fixes array shapes, so nets that differ in it need another compiled
program) or a *number* (it travels into the program as a value). `Recipe.structure_fields` names the former.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from popnet.errors import InputError, RecipeError, closest

Activation = Literal[
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "prelu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "maxout",
]
Norm = Literal["none", "batch", "layer"]
Optimizer = Literal["sgd", "adam", "adamw", "rmsprop", "muon"]
Schedule = Literal[
    "constant", "cosine", "warmup_cosine", "coslog", "one_cycle", "step", "flat_cosine",
]  # fmt: skip
DecaySchedule = Literal["constant", "cosine", "coslog", "flat_cosine"]
Initializer = Literal[
    "he_normal", "he_uniform", "xavier_normal", "xavier_uniform", "lecun_normal", "lecun_uniform",
    "orthogonal",
]  # fmt: skip

Fill = Literal["constant", "edge", "reflect"]

FieldValue = str | float | bool
"""What a field of a recipe can be; whole numbers are floats to a type checker."""

Fields = dict[str, FieldValue]
"""Some fields of a recipe with their values."""

MAX_EPOCHS = 1_000_000

GEOMETRY = (
    "translation", "crop", "rotation", "quarter_turn", "half_turn", "reflection",
    "vertical_reflection", "scaling", "zoomed_crop", "shear", "elastic_alpha",
)  # fmt: skip
COLOUR = ("brightness", "contrast", "saturation")
"""Fields that say how strongly images are bent, and their colours changed; 0 is off."""

Rate = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Structure = Field(json_schema_extra={"structure": True})


class Recipe(BaseModel):
    """Every hyper-parameter of one net.

    Immutable; unknown keys and impossible values are refused with a :class:`RecipeError` that names the
    field. ``Recipe()`` has the default of each field; a fit starts from values that suit the data
    (``popnet space``). Read and write with :meth:`load`, :meth:`to_toml`, :meth:`to_json`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    # --- structure ----------------------------------------------------------------------------------
    kind: Annotated[Literal["mlp", "conv", "residual"], Structure] = "mlp"
    """Kind of net. ``mlp``: fully connected layers, for tables and for images. For images also ``conv``: stages of
    convolutions with pooling between them (LeCun et al. 1998), and ``residual``: the same with shortcuts around pairs
    of convolutions (He et al. 2016, arXiv:1512.03385). Default ``mlp``; a fit of images chooses ``residual``."""

    depth: Annotated[int, Field(ge=0, le=100), Structure] = 3
    """Number of hidden layers of an ``mlp``, usual range 1 to 4 (0 is a linear model; up to 20 to see gradients
    vanish). In each stage of a ``conv`` net: its convolutions; of a ``residual`` net: one convolution and ``depth - 1``
    pairs with a shortcut; usual range 1 to 3. Default 3. Gorishniy et al. 2021, arXiv:2106.11959."""

    width: Annotated[int, Field(ge=1, le=16384), Structure] = 128
    """Units in each hidden layer of an ``mlp``, usual range 64 to 512; channels of the first stage of a ``conv`` or
    ``residual`` net, doubled at each further stage, usual range 8 to 64. Default 128. Gorishniy et al. 2021,
    arXiv:2106.11959; Simonyan and Zisserman 2015, arXiv:1409.1556."""

    stages: Annotated[int, Field(ge=1, le=8), Structure] = 3
    """Stages of a ``conv`` or ``residual`` net: each halves height and width but the first. Default 3, usual range 2 to
    5. Simonyan and Zisserman 2015, arXiv:1409.1556."""

    patch: Annotated[int, Field(ge=1, le=16), Structure] = 1
    """Side of the squares of pixels that the first layer of a ``conv`` or ``residual`` net takes as one, in pixels:
    its resolution is 1/patch of the image's. Default 1, usual range 1 to 4. Dosovitskiy et al. 2021, arXiv:2010.11929;
    Liu et al. 2022, arXiv:2201.03545."""

    batch_size: Annotated[int, Field(ge=1, le=1_000_000), Structure] = 256
    """Rows in a batch, at most; an epoch's batches are equal up to one row. Default 256, usual range 32 to 1024.
    Keskar et al. 2017, arXiv:1609.04836."""

    maxout_pieces: Annotated[int, Field(ge=2, le=16), Structure] = 2
    """Linear maps of which a maxout unit takes the maximum (only with ``activation = "maxout"``). Default 2, usual
    range 2 to 5. Goodfellow et al. 2013, arXiv:1302.4389."""

    numeric_embedding: Annotated[Literal["none", "periodic", "piecewise"], Structure] = "none"
    """What is done to a continuous column before the first layer. ``periodic`` appends cos(2 pi (w x + b)) with
    learned w and b per column, ``piecewise`` how far the value has passed through each bin between quantiles.
    Default ``none``. Gorishniy et al. 2022, arXiv:2203.05556."""

    embedding_size: Annotated[int, Field(ge=1, le=256), Structure] = 8
    """Features per continuous column: frequencies, or most bins (only with ``numeric_embedding``). Default 8, usual
    range 8 to 48. Gorishniy et al. 2022, arXiv:2203.05556."""

    heads: Annotated[int, Field(ge=1, le=256), Structure] = 1
    """Nets in one that share all weights but a scaling of the first layer's inputs and the output layer, of an
    ``mlp``; each learns for itself, and their mean predicts. A step takes as many times as long. Default 1, usual range
    4 to 32. Gorishniy et al. 2024, arXiv:2410.24210 (TabM-mini); Wen et al. 2020, arXiv:2002.06715 (BatchEnsemble)."""

    # --- activation -----------------------------------------------------------------------------------
    activation: Activation = "relu"
    """Non-linearity of the hidden units. Default ``relu``. ``maxout`` has weights of another shape: its own program.
    Glorot et al. 2011 (relu); Maas et al. 2013 (leaky_relu); Clevert et al. 2016, arXiv:1511.07289 (elu); He et al.
    2015, arXiv:1502.01852 (prelu); Klambauer et al. 2017, arXiv:1706.02515 (selu); Hendrycks and Gimpel 2016,
    arXiv:1606.08415 (gelu, silu); Misra 2019, arXiv:1908.08681 (mish); Goodfellow et al. 2013 (maxout)."""

    leaky_slope: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Slope of ``leaky_relu`` below zero, and the first value of ``prelu``'s learned slopes. Default 0.01, usual range
    0.01 to 0.3. Maas et al. 2013."""

    elu_alpha: Positive = 1.0
    """``elu`` tends to minus this value. Default 1, usual range 0.1 to 2. Clevert et al. 2016, arXiv:1511.07289."""

    # --- normalization --------------------------------------------------------------------------------
    norm: Norm = "batch"
    """Normalization of every hidden layer. ``batch``: Ioffe and Szegedy 2015, arXiv:1502.03167; ``layer``: Ba et al.
    2016, arXiv:1607.06450. Default ``batch``."""

    norm_position: Annotated[Literal["before", "after"], Structure] = "before"
    """Whether normalization stands before the activation (as in the paper) or after it. Default ``before``."""

    norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the newest batch in the running mean and variance that evaluation uses (1 - Keras' momentum); with
    ``ema`` at most ``1 - ema``, so that statistics and weights are averages of the same steps. Default 0.1, usual range
    0.01 to 0.1."""

    norm_epsilon: Positive = 1e-5
    """Added to the variance under the root. Default 1e-5, usual range 1e-5 to 1e-3."""

    # --- regularization -------------------------------------------------------------------------------
    l1: NonNegative = 0.0
    """Penalty ``l1 * sum |w|`` over the layers' weights (no biases, no normalization), a term of the objective.
    Default 0, usual range 1e-6 to 1e-3. Tibshirani 1996."""

    l2: NonNegative = 0.0
    """Penalty ``l2 * sum w^2`` over the layers' weights, a term of the objective. Default 0, usual range 1e-6 to 1e-2.
    Hoerl and Kennard 1970; Krogh and Hertz 1992."""

    weight_decay: NonNegative = 0.01
    """Decoupled decay: each step takes ``learning_rate * weight_decay * w`` off the layers' weights. Default 0.01,
    usual range 1e-4 to 0.3. Loshchilov and Hutter 2019, arXiv:1711.05101."""

    dropout: Rate = 0.1
    """Probability that a hidden unit is set to 0 in training; the others are scaled by 1/(1-p). Identity at
    evaluation. Default 0.1, usual range 0 to 0.5. Srivastava et al. 2014."""

    input_dropout: Rate = 0.0
    """Dropout of the first layer's inputs. Default 0, usual range 0 to 0.2. Srivastava et al. 2014."""

    dropout_schedule: DecaySchedule = "constant"
    """Course of both dropouts over ``epochs``, as ``schedule`` is that of the learning rate. Default ``constant``.
    Holzmueller et al. 2024, arXiv:2407.04491 (``flat_cosine``)."""

    decay_schedule: DecaySchedule = "constant"
    """Course of ``weight_decay`` over ``epochs``, beside that of the learning rate that it is multiplied by.
    Default ``constant``. Holzmueller et al. 2024, arXiv:2407.04491 (``flat_cosine``)."""

    label_smoothing: Rate = 0.0
    """Share of the target probability spread evenly over all classes (classification). Default 0, usual range 0 to
    0.1. Szegedy et al. 2016, arXiv:1512.00567."""

    mixup: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Alpha of the Beta(alpha, alpha) distribution by which rows of a batch are mixed in pairs; 0 is off. Default 0,
    usual range 0.1 to 0.4. Zhang et al. 2018, arXiv:1710.09412."""

    input_noise: NonNegative = 0.0
    """Standard deviation of Gaussian noise added to continuous columns, or to pixels, in training, in units of
    the scaled column or pixel. Default 0, usual range 0.01 to 0.3. Bishop 1995."""

    cutmix: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Alpha of the Beta(alpha, alpha) distribution of the share of an image that stays when a rectangle of its partner
    in the batch is pasted into it (images); 0 is off. Default 0, usual range 0.2 to 1. Yun et al. 2019,
    arXiv:1905.04899."""

    class_balance: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Exponent of the class weights (n / (classes * n_class)) ** class_balance in the training loss: 0 leaves classes
    as they are, 1 gives every class the same total weight. Default 0. King and Zeng 2001."""

    ema: Rate = 0.0
    """Decay per step of the moving average of the weights that is evaluated and kept; 0 keeps the newest. Default 0,
    usual range 0.99 to 0.9999. Polyak and Juditsky 1992."""

    # --- augmentation of images -------------------------------------------------------------------------
    translation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest shift in either direction, as a share of the image's side; drawn uniformly. Default 0, usual range 0.05
    to 0.15. LeCun et al. 1998; Krizhevsky et al. 2012."""

    crop: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Padding, as a share of the side, that is added on all sides before a crop of the image's size is taken at random:
    a shift by whole pixels. Default 0, usual range 0.06 to 0.15 (4 of 32 pixels). He et al. 2016, arXiv:1512.03385."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest angle about the centre in either direction, in degrees; drawn uniformly. Default 0, usual range 5 to 30.
    Simard et al. 2003."""

    quarter_turn: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of a turn by 90 degrees, left or right. Default 0; 0.5 for images without an up and down. Cohen and
    Welling 2016, arXiv:1602.07576."""

    half_turn: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of a turn by 180 degrees. Default 0; 0.5 for images without an up and down. Cohen and Welling 2016,
    arXiv:1602.07576."""

    reflection: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that left and right are exchanged. Default 0, usual value 0.5 where a class keeps its features.
    Krizhevsky et al. 2012."""

    vertical_reflection: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that top and bottom are exchanged. Default 0; 0.5 for images without an up and down."""

    scaling: Annotated[float, Field(ge=0, le=3)] = 0.0
    """Largest enlargement or reduction about the centre: the factor is drawn log-uniformly from 1/(1+s) to 1+s.
    Default 0, usual range 0.05 to 0.3. LeCun et al. 1998."""

    zoomed_crop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the area that a crop, enlarged to the whole size, may leave out: the area is drawn uniformly from 1 -
    z to 1, its height-to-width ratio log-uniformly within a factor 1 + z/3. Default 0, usual range 0.2 to 0.9.
    Szegedy et al. 2015, arXiv:1409.4842."""

    shear: Annotated[float, Field(ge=0, le=60)] = 0.0
    """Largest angle by which the vertical lines are slanted, in degrees; drawn uniformly. Default 0, usual range 5 to
    20. LeCun et al. 1998."""

    elastic_alpha: NonNegative = 0.0
    """Strength of nonlinear morphing, in pixels: white noise, uniform in -1 to 1, smoothed by a Gaussian and multiplied
    by alpha is each pixel's shift. 0 is off. Default 0, usual range 10 to 40 (34 in the paper). Simard et al. 2003."""

    elastic_sigma: Annotated[float, Field(gt=0, le=1000)] = 4.0
    """Standard deviation of that Gaussian, in pixels: small values crumple, large ones shift. Default 4, usual range 3
    to 8. Simard et al. 2003."""

    brightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest relative change of all values: the factor is drawn from 1 - b to 1 + b. Default 0, usual range 0.1 to
    0.4. Krizhevsky et al. 2012."""

    contrast: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest relative change of the values' distance to the image's mean. Default 0, usual range 0.1 to 0.4."""

    saturation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest relative change of the colours' distance to grey (colour images). Default 0, usual range 0.1 to 0.4."""

    erasing: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest side, as a share of the image's, of a rectangle that is set to the background. Default 0, usual range 0.2
    to 0.5. DeVries and Taylor 2017, arXiv:1708.04552; Zhong et al. 2020, arXiv:1708.04896."""

    fill: Fill = "constant"
    """What stands beyond an image's border when it is shifted or turned: ``constant`` (the background: the median
    colour of the training images' borders), ``edge`` (the nearest pixel) or ``reflect`` (the image mirrored).
    Default ``constant``."""

    # --- stopping -------------------------------------------------------------------------------------
    epochs: Annotated[int, Field(ge=1, le=MAX_EPOCHS)] = 100
    """Passes over the training rows, at most; the schedule's length. Of more than 131,072 rows `fit` makes each pass
    several epochs, validated one by one. Default 100, usual range 20 to 500."""

    patience: Annotated[int, Field(ge=1, le=MAX_EPOCHS)] = 16
    """Training stops after this many epochs without a better validation score; the best epoch's weights are kept.
    Default 16, usual range 3 to 50; where nobody sets it and the schedule is ``cosine``, `fit` takes half of the epochs
    of a table's net, from 5 to 16. Prechelt 1998."""

    min_delta: NonNegative = 0.0
    """How much better a score must be to count, in the score's unit. Default 0. Prechelt 1998."""

    monitor: Literal["loss", "error"] = "loss"
    """Validation score that early stopping watches: ``loss`` (log-loss, or mean squared error of scaled targets), or
    ``error`` (1 - accuracy, or mean absolute error of scaled targets). Default ``loss``."""

    # --- optimization ---------------------------------------------------------------------------------
    optimizer: Optimizer = "adamw"
    """``sgd`` (with momentum), ``adam``, ``adamw`` (Adam with decoupled decay), ``rmsprop``, or ``muon``, which makes
    the steps of the hidden layers' weights orthogonal and leaves the rest to AdamW: its own program. Default ``adamw``;
    a fit of a table takes ``muon`` where a fold has 1,500 training rows or more. Kingma and Ba 2015, arXiv:1412.6980;
    Loshchilov and Hutter 2019; Tieleman and Hinton 2012 (rmsprop); Jordan et al. 2024, Liu et al. 2025,
    arXiv:2502.16982 (muon)."""

    parametrization: Annotated[Literal["standard", "ntk"], Structure] = "standard"
    """How the learning rate of a layer's weights depends on how many inputs it has: ``standard``: it does not; ``ntk``:
    as if all inputs were divided by the root of their number and the weights were so much larger, which trains a layer
    of n inputs at ``sqrt(128 / n)`` times the rate (with SGD ``128 / n``), one of 128 as it is. Decay keeps the plain
    rate; penalties and ``gradient_clip`` are of the weights as they are.
    Default ``standard``. Jacot et al. 2018, arXiv:1806.07572; Holzmueller et al. 2024, arXiv:2407.04491 (for tables).
    """

    learning_rate: Positive = 2e-3
    """Peak of the schedule. Default 2e-3, usual range 1e-4 to 1e-2 (Adam), 3e-3 to 6e-2 (Muon), 1e-3 to 1 (SGD).
    Bengio 2012, arXiv:1206.5533."""

    momentum: Rate = 0.9
    """Momentum of ``sgd``. Default 0.9, usual range 0.5 to 0.99. Sutskever et al. 2013."""

    nesterov: bool = True
    """Whether ``sgd`` looks ahead (Nesterov's momentum). Default true. Sutskever et al. 2013."""

    beta1: Rate = 0.9
    """Decay of the gradient's mean, of Adam and Muon. Default 0.9, usual range 0.8 to 0.95."""

    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """Decay of the squared gradient's mean, of Adam and RMSProp. Default 0.99, usual range 0.95 to 0.999.
    Holzmueller et al. 2024, arXiv:2407.04491 (0.95 for tables)."""

    optimizer_epsilon: Positive = 1e-8
    """Added to the root of the squared gradient's mean. Default 1e-8, usual range 1e-10 to 1e-4."""

    gradient_clip: NonNegative = 0.0
    """Largest norm of the whole gradient, beyond which it is scaled down; 0 is off. Default 0, usual range 0.5 to 10.
    Pascanu et al. 2013, arXiv:1211.5063."""

    schedule: Schedule = "cosine"
    """Course of the learning rate over ``epochs``: ``constant``; ``cosine`` to 0 (Loshchilov and Hutter 2017,
    arXiv:1608.03983); ``warmup_cosine``; ``coslog`` (four cycles that lengthen, Holzmueller et al. 2024);
    ``one_cycle`` (Smith and Topin 2019, arXiv:1708.07120); ``step``; ``flat_cosine`` (flat for half of the time, then a
    cosine to 0, Holzmueller et al. 2024). Default ``cosine``."""

    warmup: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    """Share of training over which ``warmup_cosine`` and ``one_cycle`` rise to the peak. Default 0.1, usual range 0.02
    to 0.3. Goyal et al. 2017, arXiv:1706.02677."""

    step_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor by which ``step`` lowers the rate each time. Default 0.1."""

    steps: Annotated[int, Field(ge=1, le=1000)] = 2
    """How many times ``step`` lowers the rate, at equal distances. Default 2."""

    # --- initialisation -------------------------------------------------------------------------------
    init: Initializer = "he_normal"
    """Distribution of the initial weights. He et al. 2015, arXiv:1502.01852; Glorot and Bengio 2010 (xavier); LeCun et
    al. 1998 (lecun); Saxe et al. 2014, arXiv:1312.6120 (orthogonal). Default ``he_normal``."""

    init_scale: Positive = 1.0
    """Factor on all initial layer weights, to study bad initialisation. Default 1, usual range 0.01 to 10."""

    input_scale: NonNegative = 0.0
    """Learning rate of a learned scale of each of the first layer's inputs, of an ``mlp``, relative to the other
    weights' (with SGD its square): inputs that matter grow. 0: there is no such scale. Default 0, usual value 6; a fit
    of a table takes 6. Holzmueller et al. 2024, arXiv:2407.04491."""

    embedding_scale: Positive = 1.0
    """Standard deviation of the initial frequencies of periodic embeddings, in periods per unit of the scaled column.
    Default 1, usual range 0.01 to 10. Gorishniy et al. 2022, arXiv:2203.05556."""

    embedding_spread: Annotated[float, Field(ge=0, le=4)] = 1.0
    """Decades over which each frequency's own scale is spread, log-uniformly, to either side of ``embedding_scale``:
    columns differ in how fine their structure is. Default 1; 0 gives all the same scale, as in the paper."""

    embedding_quantiles: bool = False
    """Whether periodic embeddings are of a value's place among the training values, as a quantile of the normal
    distribution, instead of the value: dense regions, as towns among coordinates, get as many periods as wide empty
    ones. Default false. Gorishniy et al. 2021, arXiv:2106.11959 (quantile transformation of the inputs)."""

    structure_fields: ClassVar[tuple[str, ...]] = (
        "kind", "depth", "width", "stages", "patch", "batch_size", "maxout_pieces", "numeric_embedding",
        "embedding_size", "heads", "norm_position", "parametrization",
    )  # fmt: skip

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise RecipeError(_sentences(error, type(self))) from None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.optimizer == "adam":
            if self.weight_decay > 0 and "weight_decay" in self.model_fields_set:
                raise ValueError(
                    "weight_decay: decoupled decay with Adam is AdamW; set optimizer = 'adamw', or use l2"
                )
            # The default is meant for the others; written and read again, it must not be refused.
            object.__setattr__(self, "weight_decay", 0.0)
        return self

    @property
    def decay(self) -> float:
        """Return the decoupled decay that is applied: `weight_decay`, but 0 for ``adam``, which has none."""
        return 0.0 if self.optimizer == "adam" else self.weight_decay

    def replace(self, **changes: Any) -> Recipe:
        """Return a recipe with some fields changed; raises `RecipeError` as the constructor does."""
        return Recipe(**{**self.model_dump(exclude_unset=True), **changes})

    def to_json(self) -> str:
        """Return all fields as one JSON object."""
        return self.model_dump_json(indent=2)

    def to_toml(self) -> str:
        """Return all fields as TOML."""
        return "".join(f"{k} = {json.dumps(v)}\n" for k, v in self.model_dump().items())

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Recipe:
        """Make a recipe of a mapping; raises `RecipeError` that names unknown or impossible fields."""
        return cls(**dict(values))

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a recipe from a ``.toml`` or ``.json`` file.

        Raises:
            InputError: the file is missing or cannot be read as TOML or JSON.
            RecipeError: a field is unknown or has an impossible value.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            values = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
        except OSError as error:
            raise InputError(
                f"The recipe {path} cannot be read: {error.strerror or error}."
            ) from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"The recipe {path} is not valid TOML or JSON: {error}.") from None
        if not isinstance(values, dict):
            raise InputError(f"The recipe {path} must be a table of fields, as in 'depth = 2'.")
        try:
            return cls(**values)
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from None


NEEDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "leaky_slope": {"activation": ("leaky_relu", "prelu")},
    "elu_alpha": {"activation": ("elu",)},
    "maxout_pieces": {"activation": ("maxout",)},
    "norm_momentum": {"norm": ("batch",)},
    "norm_position": {"norm": ("batch", "layer")},
    "norm_epsilon": {"norm": ("batch", "layer")},
    "embedding_size": {"numeric_embedding": ("periodic", "piecewise")},
    "embedding_scale": {"numeric_embedding": ("periodic",)},
    "embedding_spread": {"numeric_embedding": ("periodic",)},
    "embedding_quantiles": {"numeric_embedding": ("periodic",)},
    "weight_decay": {"optimizer": ("sgd", "adamw", "rmsprop", "muon")},
    "momentum": {"optimizer": ("sgd",)},
    "nesterov": {"optimizer": ("sgd",)},
    "beta1": {"optimizer": ("adam", "adamw", "muon")},
    "beta2": {"optimizer": ("adam", "adamw", "rmsprop", "muon")},
    "heads": {"kind": ("mlp",)},
    "input_scale": {"kind": ("mlp",)},
    "decay_schedule": {"optimizer": ("sgd", "adamw", "rmsprop", "muon")},
    "warmup": {"schedule": ("warmup_cosine", "one_cycle")},
    "step_factor": {"schedule": ("step",)},
    "steps": {"schedule": ("step",)},
    "stages": {"kind": ("conv", "residual")},
    "patch": {"kind": ("conv", "residual")},
}
"""Fields that have an effect only if another field has one of some values."""


def choices(field: str) -> tuple[str, ...]:
    """Return the allowed values of a recipe's choice field, in the order of their numbers in a program."""
    annotation = {
        "activation": Activation, "norm": Norm, "optimizer": Optimizer, "schedule": Schedule,
        "dropout_schedule": DecaySchedule, "decay_schedule": DecaySchedule, "init": Initializer, "fill": Fill,
    }[field]  # fmt: skip
    return get_args(annotation)


def _sentences(error: ValidationError, cls: type[BaseModel]) -> str:
    """Put pydantic's findings into one line each: field, rule, value received, nearest name."""
    parts: list[str] = []
    for e in error.errors():
        name = ".".join(str(p) for p in e["loc"]) or ""
        if e["type"] == "extra_forbidden":
            parts.append(f"'{name}' is not a field of a recipe.{closest(name, cls.model_fields)}")
        elif e["type"] == "value_error":
            parts.append(f"{str(e['ctx']['error']) if 'ctx' in e else e['msg']}.")
        else:
            rule = e["msg"][0].lower() + e["msg"][1:]
            parts.append(f"'{name}': {rule}; got {e['input']!r}.")
    return "Recipe: " + " ".join(parts)
