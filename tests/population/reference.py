"""One member trained by a plain loop: it exists to be compared with.

Formulas stand as in the papers, gradients are written by hand, everything is in double precision
and NumPy: batches have their true length, nothing is compiled, nothing is one long vector. Only the
random bits, the order of the rows and the initial weights are the engine's own (`keys`,
``net.init``), so that both train the very same member.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from scipy import stats

from popnet.data.dataset import Dataset, Features
from popnet.nn import embeddings, net, table_map
from popnet.nn.norm import Statistics
from popnet.population import optim
from popnet.population.members import CURVES, Member, Result
from popnet.population.timetable import mixing_shares, row_order
from popnet.runtime import keys
from popnet.runtime.keys import StepKeys
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Form, Shape, split_levels
from popnet.types import Array, Tree

Back = Callable[[Array], Any]
"""Takes the gradient by a part's output; returns that by its input (and by its parameters)."""

# Random bits come from the package's one source of them; compiled, for they run for each batch.
_keep = jax.jit(keys.keep, static_argnames="shape")
_normal = jax.jit(keys.normal, static_argnames="shape")


def train_member(
    member: Member, train: Dataset, valid: Dataset, train_rows: Array, valid_rows: Array,
    epoch_rows: int | None = None,
) -> Result:  # fmt: skip
    """Train one member, slowly.

    Args:
        member: which; its fold is not looked at.
        train: data set with the training rows.
        valid: data set with the validation rows.
        train_rows: row numbers into ``train``, n of them.
        valid_rows: row numbers into ``valid``.
        epoch_rows: of an epoch at most, see `popnet.population.feed.Arrays`.

    Returns:
        What ``train_population`` returns for the member, in double precision. Running statistics
        that are not used keep their first values.
    """
    recipe, shape = member.recipe, Shape.of(member.recipe, train)
    parameters, running = jax.tree.map(np.float64, net.init(recipe, shape, member.seed))
    ratio = parametrization(parameters, recipe)
    average = parameters
    parameters = jax.tree.map(np.divide, parameters, ratio)
    first = second = jax.tree.map(np.zeros_like, parameters)
    balance = class_weights(train, train_rows) ** recipe.class_balance
    n = len(train_rows)
    equal = math.ceil(n / math.ceil(n / (epoch_rows or n)))
    steps = math.ceil(equal / recipe.batch_size)
    parts = -(-n // (steps * recipe.batch_size))
    member_key = keys.key(member.seed, "training")

    best = (np.inf, 0, parameters, running)
    reference, waited, done, status = np.inf, 0, 0, "running"
    curves: list[list[float]] = []
    for epoch in range(recipe.epochs):
        epoch_keys = np.repeat(keys.fold_in(member_key, epoch), steps)
        every_key = StepKeys.of(epoch_keys, steps, net.dropouts(Form.of(shape)))
        mixing = mixing_shares(recipe.mixup, member.seed, epoch, steps)
        over, part = divmod(epoch, parts)
        order = np.array_split(row_order(member.seed, over, n), parts)[part]
        mean_loss = mean_penalty = rate = 0.0
        for i, places in enumerate(np.array_split(order, steps)):
            batch = train_rows[places]
            t = done / (steps * recipe.epochs)
            drop = course(recipe, recipe.dropout_schedule, t)
            now = recipe.replace(
                dropout=recipe.dropout * drop, input_dropout=recipe.input_dropout * drop
            )
            weights = jax.tree.map(np.multiply, parameters, ratio)
            step_keys = StepKeys(*(k[i] for k in every_key))
            loss, gradient, statistics = differentiate(
                weights, shape, now, train, batch, balance, step_keys, mixing[i]
            )
            penalty, pull = penalise(weights, recipe)
            gradient = clip(jax.tree.map(np.add, gradient, pull), recipe.gradient_clip)
            gradient = jax.tree.map(np.multiply, gradient, ratio)
            rate = recipe.learning_rate * course(recipe, recipe.schedule, t)
            decay = recipe.decay * course(recipe, recipe.decay_schedule, t)
            done += 1
            direction, first, second = optimize(gradient, first, second, recipe, done)
            parameters = step(parameters, direction, rate, decay)
            memory = min(recipe.ema, done / (done + 20))
            weights = jax.tree.map(np.multiply, parameters, ratio)
            average = jax.tree.map(lambda a, p, m=memory: m * a + (1 - m) * p, average, weights)
            share = min(recipe.norm_momentum, 1 - memory)
            running = follow(running, statistics, shape.heads * len(batch), share)
            mean_loss += loss * len(batch) / len(order)
            mean_penalty += penalty * len(batch) / len(order)

        valid_loss, valid_error = score(average, running, shape, recipe, valid, valid_rows)
        curves.append([mean_loss, mean_penalty, valid_loss, valid_error, rate])
        monitored = valid_error if recipe.monitor == "error" else valid_loss
        if not np.isfinite(mean_loss + mean_penalty) or not np.isfinite(valid_loss):
            status = "diverged"
            break
        if monitored < best[0]:
            best = (monitored, epoch + 1, average, running)
        waited += 1
        if monitored < reference - recipe.min_delta:
            reference, waited = monitored, 0
        if waited >= recipe.patience:
            status = "stopped"
            break
    else:
        status = "finished"
    columns: dict[str, Any] = dict(zip(CURVES, np.array(curves).T, strict=True))
    return Result(member, shape, status, len(curves), best[1], best[0], best[2], best[3], columns)


def parametrization(parameters: Tree, recipe: Recipe) -> Tree:
    """Return what a layer's weights are a multiple of: what is trained, times this."""

    def of_leaf(path: tuple, w: Array) -> float:
        fan_in = w.shape[-2] if recipe.parametrization == "ntk" and is_weight(path) else 128
        return (128 / fan_in) ** 0.5

    return jax.tree_util.tree_map_with_path(of_leaf, parameters)


# --- the objective and its gradient --------------------------------------------------------------


def differentiate(
    parameters: Tree,
    shape: Shape,
    recipe: Recipe,
    data: Dataset,
    batch: Array,
    balance: Array,
    step_keys: StepKeys,
    share: float = 1.0,
) -> tuple[float, Tree, list[dict[str, Statistics | None]]]:
    """Return a batch's loss, its gradient, and the batch statistics of each hidden layer.

    Args:
        parameters: as ``net.init`` gives them.
        shape: the net's.
        recipe: the member's.
        data: where the rows are.
        batch: row numbers, N of them.
        balance: ``(O,)``, weight of each class.
        step_keys: the step's.
        share: what a row keeps of itself, by mixup.
    """
    size = len(batch)
    noise = np.zeros((size, 2 * shape.n_numeric))  # of numbers, and of their quantiles
    if recipe.input_noise:
        drawn = _normal(step_keys.noise, shape=noise.shape)
        noise = recipe.input_noise * np.asarray(drawn, np.float64)

    # Forward, noting how to come back.
    h, back_dense = dense(parameters, recipe, shape, data, batch, noise)
    h, back_mix = mix(h, share)
    h, back_scale = scale(h, parameters, recipe)
    h, back_heads = spread(h, parameters)
    form = Form.of(shape)
    h, back_input = dropout(
        h,
        step_keys.dropout[0],
        recipe.input_dropout,
        shape,
        table_map.places(shape, form),
        form.inputs,
    )
    layers, statistics = [], []
    before, after = norms(recipe)
    for i, p in enumerate(parameters["hidden"]):
        h, back_linear = linear(h, p["w"], p["b"])
        h, back_before, s_before = normalize(before, h, p["before"], recipe.norm_epsilon)
        h, back_activation = activate(h, shape, recipe, p["slope"])
        h, back_after, s_after = normalize(after, h, p["after"], recipe.norm_epsilon)
        h, back_dropout = dropout(h, step_keys.dropout[i + 1], recipe.dropout, shape)
        layers.append((back_linear, back_before, back_activation, back_after, back_dropout))
        statistics.append({"before": s_before, "after": s_after})
    outputs, back_output = of_heads(h, parameters["output"]["w"], parameters["output"]["b"])

    # The loss of each row, and its gradient by the outputs.
    weight = np.ones(size) if data.weights is None else np.asarray(data.weights, np.float64)[batch]
    target = np.asarray(data.target)[batch]
    if shape.task == "regression":
        target, _ = mix(np.asarray(target, np.float64), share)
        target = np.tile(target, (shape.heads, 1))
        rows = ((outputs - target) ** 2).mean(1)
        g = 2 * (outputs - target) / outputs.shape[1]
    else:
        weight = weight * balance[target]
        target, _ = mix(np.eye(shape.n_outputs)[target], share)
        target = (1 - recipe.label_smoothing) * target + recipe.label_smoothing / shape.n_outputs
        target = np.tile(target, (shape.heads, 1))
        rows = cross_entropy(outputs, target)
        g = softmax(outputs) - target
    weight = np.tile(weight, shape.heads)
    loss = (weight * rows).sum() / len(rows)
    g = g * weight[:, None] / len(rows)

    # Backward.
    g, d_output = back_output(g)
    d_hidden = []
    for back_linear, back_before, back_activation, back_after, back_dropout in reversed(layers):
        g = back_dropout(g)
        g, d_after = back_after(g)
        g, d_slope = back_activation(g)
        g, d_before = back_before(g)
        g, d_linear = back_linear(g)
        d_hidden.append({**d_linear, "before": d_before, "after": d_after, "slope": d_slope})
    g, d_heads = back_heads(back_input(g))
    g, d_scale = back_scale(g)
    d_first = {**back_dense(back_mix(g)), **d_heads, **d_scale}
    return loss, {"hidden": d_hidden[::-1], "output": d_output, **d_first}, statistics


def penalise(parameters: Tree, recipe: Recipe) -> tuple[float, Tree]:
    """Return ``l1 sum |w| + l2 sum w^2`` over the layers' weights, and its gradient."""
    value = 0.0

    def pull(path: tuple, w: Array) -> Array:
        nonlocal value
        if not is_weight(path):
            return np.zeros_like(w)
        value += recipe.l1 * np.abs(w).sum() + recipe.l2 * (w**2).sum()
        return recipe.l1 * np.sign(w) + 2 * recipe.l2 * w

    gradient = jax.tree_util.tree_map_with_path(pull, parameters)
    return value, gradient


def is_weight(path: tuple) -> bool:
    """Return whether a parameter is a layer's weight matrix, by its path in the tree."""
    return path[-1] == jax.tree_util.DictKey("w")


def class_weights(data: Dataset, rows: Array) -> Array:
    """Return rows / (classes * rows of the class), ``(O,)``; 1 for absent classes."""
    if data.task == "regression":
        return np.ones(data.n_outputs)
    target = np.asarray(data.target)[rows]
    counts = [(target == c).sum() for c in range(data.n_outputs)]
    return np.array([len(rows) / (data.n_outputs * c) if c else 1.0 for c in counts])


def softmax(logits: Array) -> Array:
    """Return ``exp(z) / sum exp(z)`` of each row."""
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def cross_entropy(logits: Array, target: Array) -> Array:
    """Return ``-sum p log q`` of each row, for target probabilities p."""
    shifted = logits - logits.max(1, keepdims=True)
    return -(target * (shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))).sum(1)


# --- parts of the net: each returns its output and the way back ----------------------------------


def dense(
    parameters: Tree, recipe: Recipe, shape: Shape, data: Dataset, rows: Array, noise: Array
) -> tuple[Array, Back]:
    """Return the first layer's inputs ``(N, D)``: numbers, periodic or piecewise, flags, codes."""
    assert isinstance(data.features, Features)  # it is the plain loop of tables
    clean = np.asarray(np.asarray(data.features.numeric)[rows], np.float64)
    x = clean + noise[:, : shape.n_numeric]
    codes = np.asarray(data.features.codes)[rows]
    one_hot, embedded = split_levels(shape.levels)
    parts = [x]
    angle = np.zeros((len(x), shape.n_numeric, 0))  # (N, F, k)
    values = x
    if shape.frequencies:
        p = parameters["periodic"]
        if recipe.embedding_quantiles:
            assert data.features.knots is not None
            values = normal_quantiles(clean, np.asarray(data.features.knots, np.float64))
            values = values + noise[:, shape.n_numeric :]
        angle = 2 * np.pi * (values[:, :, None] * p["frequency"] + p["phase"])
        parts.append(np.cos(angle).reshape(len(x), -1))
    for f, bounds in enumerate(shape.bounds):
        assert data.features.knots is not None
        knots = np.asarray(data.features.knots[f], np.float64)
        for low, high in itertools.pairwise(bounds):
            parts.append(np.interp(x[:, f], knots[[low, high]], [0, 1])[:, None])
    parts.append(np.asarray(np.asarray(data.features.flags)[rows], np.float64))
    parts += [np.eye(shape.levels[c])[codes[:, c]] for c in one_hot]
    parts += [t[codes[:, c]] for t, c in zip(parameters.get("tables", []), embedded, strict=True)]

    def back(g: Array) -> dict[str, Tree]:
        pieces = np.split(g, np.cumsum([part.shape[1] for part in parts])[:-1], axis=1)
        out: dict[str, Tree] = {}
        if shape.frequencies:
            d_angle = pieces[1].reshape(angle.shape) * -np.sin(angle) * 2 * np.pi
            out["periodic"] = {
                "frequency": (d_angle * values[:, :, None]).sum(0),
                "phase": d_angle.sum(0),
            }
        if embedded:
            out["tables"] = [np.zeros_like(t) for t in parameters["tables"]]
            for table, c, piece in zip(
                out["tables"], embedded, pieces[-len(embedded) :], strict=True
            ):
                np.add.at(table, codes[:, c], piece)
        return out

    return np.concatenate(parts, axis=1), back


def normal_quantiles(x: Array, knots: Array) -> Array:
    """Return the quantile of the normal distribution of each value's place between its column's knots."""
    out = x.copy()
    for f, column in enumerate(knots):
        if column[0] == column[-1]:
            continue
        places = np.linspace(0, 1, len(column))
        values, counts = np.unique(column, return_counts=True)
        last = np.searchsorted(column, values, side="right") - 1
        first = last - counts + 1
        # What lies at a value of several knots is in the middle of them, what lies beside it before or after all.
        for i, v in enumerate(x[:, f]):
            k = np.searchsorted(values, v)
            if k < len(values) and values[k] == v:
                place = (places[first[k]] + places[last[k]]) / 2
            elif k == 0 or k == len(values):
                place = float(k > 0)
            else:
                part = (v - values[k - 1]) / (values[k] - values[k - 1])
                place = places[last[k - 1]] + part * (places[first[k]] - places[last[k - 1]])
            out[i, f] = stats.norm.ppf(
                np.clip(place, embeddings.OUTERMOST, 1 - embeddings.OUTERMOST)
            )
    return out


def mix(x: Array, share: float) -> tuple[Array, Back]:
    """Mix each row with its mirror image in the batch."""

    def mixed(a: Array) -> Array:
        return share * a + (1 - share) * a[::-1]

    return mixed(x), mixed


def scale(x: Array, parameters: Tree, recipe: Recipe) -> tuple[Array, Back]:
    """Multiply inputs by ``1 + input_scale * s``, if there are scales s."""
    if "scale" not in parameters:
        return x, lambda g: (g, {})
    factor = 1 + recipe.input_scale * parameters["scale"]
    return x * factor, lambda g: (g * factor, {"scale": recipe.input_scale * (g * x).sum(0)})


def spread(x: Array, parameters: Tree) -> tuple[Array, Back]:
    """Put rows under each other once for each head, times its adapter, if there are several."""
    if "adapters" not in parameters:
        return x, lambda g: (g, {})
    adapters = parameters["adapters"]

    def back(g: Array) -> tuple[Array, dict[str, Array]]:
        each = np.split(g, len(adapters))
        d_adapters = np.stack([(part * x).sum(0) for part in each])
        return sum(a * part for a, part in zip(adapters, each, strict=True)), {"adapters": d_adapters}  # type: ignore[return-value]  # fmt: skip

    return np.concatenate([a * x for a in adapters]), back


def of_heads(h: Array, w: Array, b: Array) -> tuple[Array, Back]:
    """Return each head's rows through its own output layer; of one head, `linear`."""
    if w.ndim == 2:
        return linear(h, w, b)
    each = [linear(*parts) for parts in zip(np.split(h, len(w)), w, b, strict=True)]

    def back(g: Array) -> tuple[Array, dict[str, Array]]:
        found = [way(part) for (_, way), part in zip(each, np.split(g, len(w)), strict=True)]
        stacked = {name: np.stack([d[name] for _, d in found]) for name in ("w", "b")}
        return np.concatenate([back for back, _ in found]), stacked

    return np.concatenate([outputs for outputs, _ in each]), back


def dropout(
    x: Array, key: Array, rate: float, shape: Shape, places: Array | None = None, width: int | None = None
) -> tuple[Array, Back]:  # fmt: skip
    """Set elements to 0 with probability ``rate`` and scale the others up.

    The engine's batches are padded to the same length, those of each head, and its inputs stand at ``places`` among
    ``width``: only what is drawn for real ones counts.
    """
    drawn = _keep(
        key, shape=(shape.heads * shape.batch_size, width or x.shape[1]), rate=np.float32(rate)
    )
    each = np.asarray(drawn).reshape(shape.heads, shape.batch_size, -1)
    if places is not None:
        each = each[:, :, places]
    factor = each[:, : len(x) // shape.heads].reshape(x.shape) / (1 - rate)
    return x * factor, lambda g: g * factor


def linear(x: Array, w: Array, b: Array) -> tuple[Array, Back]:
    """Return ``x w + b``."""
    return x @ w + b, lambda g: (g @ w.T, {"w": x.T @ g, "b": g.sum(0)})


def norms(recipe: Recipe) -> tuple[str, str]:
    """Return the normalization before and after the activation."""
    return (recipe.norm, "none") if recipe.norm_position == "before" else ("none", recipe.norm)


def normalize(
    kind: str, x: Array, p: Tree, epsilon: float
) -> tuple[Array, Back, Statistics | None]:
    """Centre and scale over the batch or over each row's units; returns batch statistics too."""
    if kind == "none":
        zeros = {name: np.zeros_like(a) for name, a in p.items()}
        return x, lambda g: (g, zeros), None
    axis = 0 if kind == "batch" else 1
    n = x.shape[axis]
    mean, var = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
    std = np.sqrt(var + epsilon)
    normal = (x - mean) / std

    def back(g: Array) -> tuple[Array, dict[str, Array]]:
        # Ioffe and Szegedy 2015, section 3, line by line.
        d_normal = g * p["gamma"]
        d_var = (d_normal * (x - mean)).sum(axis, keepdims=True) * -0.5 * std**-3
        d_mean = -(d_normal / std).sum(axis, keepdims=True)
        d_x = d_normal / std + d_var * 2 * (x - mean) / n + d_mean / n
        return d_x, {"gamma": (g * normal).sum(0), "beta": g.sum(0)}

    statistics = Statistics(mean[0], var[0]) if kind == "batch" else None
    return normal * p["gamma"] + p["beta"], back, statistics


def activate(z: Array, shape: Shape, recipe: Recipe, slope: Array) -> tuple[Array, Back]:
    """Apply the activation; the way back gives the gradient by its input and by PReLU's slopes."""
    no_slope = np.zeros_like(slope)
    if shape.pieces > 1:
        maps = z.reshape(len(z), shape.pieces, shape.width)
        largest = maps == maps.max(1, keepdims=True)
        return maps.max(1), lambda g: ((g[:, None] * largest).reshape(z.shape), no_slope)
    if recipe.activation == "prelu":
        below = z <= 0
        return np.where(below, slope * z, z), lambda g: (
            g * np.where(below, slope, 1),
            (g * below * z).sum(0),
        )
    value, derivative = activation(z, recipe)
    return value, lambda g: (g * derivative, no_slope)


def activation(z: Array, recipe: Recipe) -> tuple[Array, Array]:
    """Return an activation without parameters and its derivative, elementwise."""
    sigmoid = np.where(z > 0, 1 / (1 + np.exp(-np.abs(z))), 1 - 1 / (1 + np.exp(-np.abs(z))))
    exp = np.exp(np.minimum(z, 0))
    match recipe.activation:
        case "sigmoid":
            return sigmoid, sigmoid * (1 - sigmoid)
        case "tanh":
            return np.tanh(z), 1 - np.tanh(z) ** 2
        case "relu":
            return np.maximum(z, 0), np.where(z > 0, 1.0, 0.0)
        case "leaky_relu":
            return np.where(z > 0, z, recipe.leaky_slope * z), np.where(
                z > 0, 1.0, recipe.leaky_slope
            )
        case "elu":
            alpha = recipe.elu_alpha
            return np.where(z > 0, z, alpha * (exp - 1)), np.where(z > 0, 1.0, alpha * exp)
        case "selu":
            alpha, scale = 1.6732632423543772848, 1.0507009873554804934
            return (
                scale * np.where(z > 0, z, alpha * (exp - 1)),
                scale * np.where(z > 0, 1.0, alpha * exp),
            )
        case "gelu":
            c = np.sqrt(2 / np.pi)
            t = np.tanh(c * (z + 0.044715 * z**3))
            inner = c * (1 + 3 * 0.044715 * z**2)
            return 0.5 * z * (1 + t), 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * inner
        case "silu":
            return z * sigmoid, sigmoid + z * sigmoid * (1 - sigmoid)
        case "mish":
            t = np.tanh(np.logaddexp(0, z))
            return z * t, t + z * (1 - t**2) * sigmoid
        case other:
            raise ValueError(f"no activation {other!r}")


# --- a step --------------------------------------------------------------------------------------


def clip(gradient: Tree, limit: float) -> Tree:
    """Scale a gradient down to the norm ``limit`` if it is longer; 0 leaves it."""
    length = np.sqrt(sum((g**2).sum() for g in jax.tree.leaves(gradient)))
    factor = limit / length if limit and length > limit else 1.0
    return jax.tree.map(lambda g: g * factor, gradient)


def optimize(
    gradient: Tree, first: Tree, second: Tree, recipe: Recipe, t: int
) -> tuple[Tree, Tree, Tree]:
    """Return the direction of the t-th step (from 1) and the new moments."""
    r = recipe
    trees = jax.tree.map
    if r.optimizer == "sgd":
        first = trees(lambda v, g: r.momentum * v + g, first, gradient)
        ahead = trees(lambda v, g: r.momentum * v + g, first, gradient)
        return (ahead if r.nesterov else first), first, second
    second = trees(lambda v, g: r.beta2 * v + (1 - r.beta2) * g**2, second, gradient)
    if r.optimizer == "rmsprop":
        direction = trees(lambda g, v: g / (np.sqrt(v) + r.optimizer_epsilon), gradient, second)
        return direction, first, second
    first = trees(lambda m, g: r.beta1 * m + (1 - r.beta1) * g, first, gradient)

    def adam(m: Array, v: Array) -> Array:
        return m / (1 - r.beta1**t) / (np.sqrt(v / (1 - r.beta2**t)) + r.optimizer_epsilon)

    direction = trees(adam, first, second)
    if r.optimizer == "muon":
        momentum = trees(lambda m, g: r.beta1 * m + (1 - r.beta1) * g, first, gradient)

        def of_leaf(path: tuple, direction: Array, momentum: Array) -> Array:
            hidden = is_weight(path) and path[0] != jax.tree_util.DictKey("output")
            return orthogonal_step(momentum) if hidden else direction

        direction = jax.tree_util.tree_map_with_path(of_leaf, direction, momentum)
    return direction, first, second


def orthogonal_step(momentum: Array) -> Array:
    """Return Muon's direction: every singular value of the momentum through three polynomials."""
    matrix = momentum.reshape(-1, momentum.shape[-1])
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values = values / (np.sqrt((values**2).sum()) + 1e-8)
    for a, b, c in optim.NEWTON_SCHULZ:
        values = a * values + b * values**3 + c * values**5
    scale = 0.2 * np.sqrt(max(matrix.shape))
    return (scale * (left * values) @ right).reshape(momentum.shape)


def step(parameters: Tree, direction: Tree, rate: float, decay: float) -> Tree:
    """Go against the direction, and let the layers' weights decay."""
    return jax.tree_util.tree_map_with_path(
        lambda path, w, d: w - rate * (d + (decay * w if is_weight(path) else 0)),
        parameters,
        direction,
    )


def course(recipe: Recipe, schedule: str, t: float) -> float:
    """Return what a schedule multiplies a rate by when a share t of the training is behind."""
    w = recipe.warmup
    falling = 0.5 * (1 + np.cos(np.pi * (t - w) / (1 - w)))
    match schedule:
        case "cosine":
            return 0.5 * (1 + np.cos(np.pi * t))
        case "warmup_cosine":
            return t / w if t < w else falling
        case "coslog":
            return 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t)))
        case "one_cycle":
            return 0.04 + 0.96 * 0.5 * (1 - np.cos(np.pi * t / w)) if t < w else falling
        case "step":
            return recipe.step_factor ** np.floor(t * (recipe.steps + 1) + 1e-6)
        case "flat_cosine":
            return 1.0 if t < 0.5 else 0.5 * (1 + np.cos(2 * np.pi * (t - 0.5)))
        case _:
            return 1.0


def follow(
    running: Tree, statistics: list[dict[str, Statistics | None]], n: int, momentum: float
) -> Tree:
    """Move running statistics towards a batch's of n rows, with unbiased variances."""

    def moved(old: Statistics, new: Statistics | None) -> Statistics:
        if new is None:
            return old
        unbiased = new.var * n / max(n - 1, 1)
        return Statistics(
            (1 - momentum) * old.mean + momentum * new.mean,
            (1 - momentum) * old.var + momentum * unbiased,
        )

    return [
        {place: moved(old[place], new[place]) for place in ("before", "after")}
        for old, new in zip(running, statistics, strict=True)
    ]


# --- evaluation ----------------------------------------------------------------------------------


def evaluate(
    parameters: Tree, running: Tree, shape: Shape, recipe: Recipe, data: Dataset, rows: Array
) -> Array:
    """Return outputs ``(N, O)`` at evaluation: running statistics, no dropout, no noise."""
    h, _ = dense(parameters, recipe, shape, data, rows, np.zeros((len(rows), 2 * shape.n_numeric)))
    h, _ = scale(h, parameters, recipe)
    h, _ = spread(h, parameters)
    before, after = norms(recipe)

    def normalized(kind: str, x: Array, p: Tree, s: Statistics) -> Array:
        if kind == "batch":
            return (x - s.mean) / np.sqrt(s.var + recipe.norm_epsilon) * p["gamma"] + p["beta"]
        return normalize(kind, x, p, recipe.norm_epsilon)[0]

    for p, r in zip(parameters["hidden"], running, strict=True):
        h = normalized(before, h @ p["w"] + p["b"], p["before"], r["before"])
        h, _ = activate(h, shape, recipe, p["slope"])
        h = normalized(after, h, p["after"], r["after"])
    outputs, _ = of_heads(h, parameters["output"]["w"], parameters["output"]["b"])
    if shape.heads == 1:
        return outputs
    each = np.array(np.split(outputs, shape.heads))
    if shape.task == "regression":
        return each.mean(0)
    return np.log(np.mean([softmax(logits) for logits in each], 0))


def score(
    parameters: Tree, running: Tree, shape: Shape, recipe: Recipe, data: Dataset, rows: Array
) -> tuple[float, float]:
    """Return loss and error over some rows, weighted means."""
    outputs = evaluate(parameters, running, shape, recipe, data, rows)
    target = np.asarray(data.target)[rows]
    weight = (
        np.ones(len(rows)) if data.weights is None else np.asarray(data.weights, np.float64)[rows]
    )
    if shape.task == "regression":
        loss = ((outputs - target) ** 2).mean(1)
        error = np.abs(outputs - target).mean(1)
    else:
        loss = cross_entropy(outputs, np.eye(shape.n_outputs)[target])
        error = np.asarray(outputs.argmax(1) != target, np.float64)
    return float(np.average(loss, weights=weight)), float(np.average(error, weights=weight))
