"""Optimizers against PyTorch and the papers' formulas; schedules against closed forms and optax."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popnet import Recipe
from popnet.nn.flat import Matrix
from popnet.population import optim
from popnet.spec.recipe import choices
from popnet.spec.shape import Numbers
from population import reference

STEPS = 20
SIZE = 7
N_WEIGHTS = 4
"""The first of the weights, which decay."""

DECAYED = np.arange(SIZE) < N_WEIGHTS

RULES = [
    Recipe(optimizer="sgd", momentum=0.9, nesterov=True, learning_rate=0.05, weight_decay=0.1),
    Recipe(optimizer="sgd", momentum=0.8, nesterov=False, learning_rate=0.05, weight_decay=0),
    Recipe(optimizer="sgd", momentum=0, nesterov=False, learning_rate=0.05),
    Recipe(optimizer="adam", learning_rate=0.03, beta1=0.8, beta2=0.95),
    Recipe(optimizer="adamw", learning_rate=0.03, weight_decay=0.3),
    Recipe(optimizer="adamw", learning_rate=0.03, beta1=0, optimizer_epsilon=1e-3),
    Recipe(optimizer="rmsprop", learning_rate=0.01, beta2=0.9, weight_decay=0.2),
]
IDS = [f"{r.optimizer}{i}" for i, r in enumerate(RULES)]


clip = jax.jit(lambda g, limit: g * optim.clip_factor(g, limit))
muon = jax.jit(optim.direction, static_argnums=4)


@jax.jit
def one_step(w, gradient, state, rule, n):
    direction, state = optim.direction(gradient, state, rule, n)
    return optim.step(w, direction, N_WEIGHTS, n.learning_rate, n.decay), state


def rule_of(recipe: Recipe, step: int = 1) -> optim.StepRule:
    """Return the rule of one step, from 1, as programs take it."""
    return optim.StepRule(*(np.float32(x[0]) for x in optim.rule(recipe, np.array([step]))))


def problem():
    """Return first weights and the gradient of a curved function."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((SIZE, SIZE))
    return rng.standard_normal(SIZE), lambda w: a @ np.tanh(a.T @ w) + 0.1 * w


def path(recipe: Recipe) -> np.ndarray:
    """Return the weights after each step, ``(STEPS, SIZE)``."""
    w, gradient = problem()
    state, n = optim.init(SIZE), Numbers.of(recipe)
    w = np.float32(w)
    out = []
    for i in range(STEPS):
        rule = rule_of(recipe, i + 1)
        w, state = one_step(w, np.float32(gradient(np.float64(w))), state, rule, n)
        out.append(np.asarray(w))
    return np.array(out)


@pytest.mark.parametrize("recipe", RULES, ids=IDS)
def test_steps_are_those_of_the_papers(recipe):
    w, gradient = problem()
    first = second = np.zeros(SIZE)
    out = []
    for t in range(1, STEPS + 1):
        d, first, second = reference.optimize(gradient(w), first, second, recipe, t)
        w = w - recipe.learning_rate * (d + recipe.decay * DECAYED * w)
        out.append(w)
    np.testing.assert_allclose(path(recipe), out, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recipe", RULES, ids=IDS)
def test_steps_are_those_of_torch(recipe):
    torch = pytest.importorskip("torch")
    start, gradient = problem()
    parts = [torch.nn.Parameter(torch.tensor(start[d == DECAYED])) for d in (1, 0)]
    r, rate = recipe, recipe.learning_rate
    match r.optimizer:
        case "sgd":
            rule = torch.optim.SGD(parts, rate, momentum=r.momentum, nesterov=r.nesterov)
        case "adam":
            rule = torch.optim.Adam(parts, rate, (r.beta1, r.beta2), r.optimizer_epsilon)
        case "adamw":
            groups = [
                {"params": [parts[0]], "weight_decay": r.weight_decay},
                {"params": [parts[1]], "weight_decay": 0.0},
            ]
            rule = torch.optim.AdamW(groups, rate, (r.beta1, r.beta2), r.optimizer_epsilon)
        case "rmsprop":
            rule = torch.optim.RMSprop(parts, rate, r.beta2, r.optimizer_epsilon)
    out = []
    w = start.copy()
    for _ in range(STEPS):
        g = gradient(w)
        for part, d in zip(parts, (1, 0), strict=True):
            part.grad = torch.tensor(g[d == DECAYED])
        if r.optimizer in ("sgd", "rmsprop"):  # torch's own decay is not decoupled here
            with torch.no_grad():
                parts[0].mul_(1 - rate * r.decay)
        rule.step()
        for part, d in zip(parts, (1, 0), strict=True):
            w[d == DECAYED] = part.detach().numpy()
        out.append(w.copy())
    np.testing.assert_allclose(path(recipe), out, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recipe", RULES, ids=IDS)
def test_every_optimizer_goes_down(recipe):
    _, gradient = problem()
    start, end = (np.linalg.norm(gradient(w)) for w in (problem()[0], path(recipe)[-1]))
    assert end < 0.7 * start


def test_a_step_without_gradient_and_decay_changes_nothing():
    w = np.float32(problem()[0])
    for recipe in RULES:
        n = Numbers.of(recipe.replace(weight_decay=0))
        zeros = np.zeros(SIZE, np.float32)
        new, _ = one_step(w, zeros, optim.init(SIZE), rule_of(recipe), n)
        np.testing.assert_array_equal(new, w)


def test_decay_takes_its_share_of_the_masked_weights():
    w = np.float32(problem()[0])
    recipe = Recipe(learning_rate=0.5, weight_decay=0.2)
    n, zeros = Numbers.of(recipe), np.zeros(SIZE, np.float32)
    new, _ = one_step(w, zeros, optim.init(SIZE), rule_of(recipe), n)
    np.testing.assert_allclose(new, np.where(DECAYED, 0.9, 1) * w, rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (5, 5), (40, 3), (1, 4)])
def test_muon_is_torchs(shape):
    torch = pytest.importorskip("torch")
    rows, columns = shape
    size, rng = rows * columns, np.random.default_rng(1)
    w = rng.standard_normal(size + 4).astype(np.float32)  # two numbers on each side are Adam's
    recipe = Recipe(optimizer="muon", beta1=0.8)
    state, n = optim.init(size + 4), Numbers.of(recipe)
    adam = optim.init(size + 4)
    matrix = torch.nn.Parameter(torch.tensor(w[2:-2].reshape(shape)))
    rule = torch.optim.Muon(
        [matrix], 1.0, weight_decay=0.0, momentum=0.8, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )
    for i in range(5):
        g = rng.standard_normal(size + 4).astype(np.float32)
        now = rule_of(recipe, i + 1)
        found, state = muon(g, state, now, n, (Matrix(2, rows, columns),), np.float32(rows))
        others, adam = muon(g, adam, now, n, ())
        before = matrix.detach().numpy().copy()
        matrix.grad = torch.tensor(g[2:-2].reshape(shape))
        rule.step()
        wanted = before - matrix.detach().numpy()
        # torch has other polynomials, in bfloat16: the same singular vectors, and other values near one.
        parts = [
            np.linalg.svd(u, full_matrices=False) for u in (found[2:-2].reshape(shape), wanted)
        ]
        ours, torchs = (left @ right for left, _, right in parts)
        np.testing.assert_allclose(ours, torchs, atol=0.08)
        ratio = np.linalg.norm(parts[0][1]) / np.linalg.norm(parts[1][1])
        assert 0.6 < ratio < 1.95  # a single singular value is 1.27 here, 0.70 there
        np.testing.assert_array_equal(np.delete(found, np.s_[2:-2]), np.delete(others, np.s_[2:-2]))


def test_muons_first_step_is_optaxs():
    g = np.random.default_rng(2).standard_normal((7, 12)).astype(np.float32)
    rule = optax.contrib.scale_by_muon(
        ns_coeffs=optim.NEWTON_SCHULZ, ns_steps=len(optim.NEWTON_SCHULZ), beta=0.9
    )
    wanted, _ = rule.update(g, rule.init(g))
    recipe = Recipe(optimizer="muon", beta1=0.9)
    n, now = Numbers.of(recipe), rule_of(recipe)
    found, _ = muon(g.reshape(-1), optim.init(g.size), now, n, (Matrix(0, 7, 12),), np.float32(7))
    np.testing.assert_allclose(found.reshape(7, 12), 0.2 * 12**0.5 * wanted, atol=1e-4)


@settings(deadline=None)
@given(st.integers(0, 99), st.floats(-6, 6))
def test_an_orthogonal_matrix_keeps_directions_and_loses_sizes(seed, size):
    """A matrix with singular values that are not far apart; the iteration brings them near one."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((6, 4)))
    right, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    matrix = (10**size * (left * rng.uniform(0.2, 1, 4)) @ right).astype(np.float32)
    found = np.asarray(optim.orthogonal(matrix))
    values = np.linalg.svd(found, compute_uv=False)
    assert values.min() > 0.72
    assert values.max() < 1.28
    np.testing.assert_allclose(
        left.T @ found @ right.T, np.diag(np.diag(left.T @ found @ right.T)), atol=0.02
    )


@settings(deadline=None)
@given(st.just(0.0) | st.floats(1e-3, 20), st.integers(0, 99))
def test_clipping_keeps_the_direction_and_limits_the_length(limit, seed):
    g = np.random.default_rng(seed).standard_normal(SIZE).astype(np.float32) * 5
    length = np.linalg.norm(g)
    out = np.asarray(clip(g, np.float32(limit)))
    if limit == 0 or limit > length * 1.0001:
        np.testing.assert_array_equal(out, g)
    else:
        np.testing.assert_allclose(out, g * min(1, limit / length), rtol=1e-5, atol=1e-30)


def test_clipping_nothing_gives_nothing():
    assert not np.any(clip(np.zeros(3, np.float32), np.float32(1)))


@pytest.mark.parametrize("size", [1, 127, 128, 129, 1000])
def test_column_sums_are_parts_of_the_sum(size):
    x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    sums = optim.column_sums(jax.numpy.asarray(x))
    assert sums.shape == (optim.SUMMED,)
    np.testing.assert_allclose(sums.sum(), np.float64(x).sum(), rtol=1e-4, atol=1e-4)


def test_equal_matrices_side_by_side_are_made_orthogonal_each_by_itself():
    rng = np.random.default_rng(3)
    recipe = Recipe(optimizer="muon", beta1=0.9)
    n, now = Numbers.of(recipe), rule_of(recipe)
    sizes = [(6, 5), (5, 5), (5, 5), (5, 2)]
    starts = np.cumsum([0, *(r * c for r, c in sizes)])
    matrices = tuple(Matrix(int(s), r, c) for s, (r, c) in zip(starts, sizes, strict=False))
    g = rng.standard_normal(starts[-1] + 3).astype(np.float32)
    found, _ = muon(g, optim.init(g.size), now, n, matrices, np.float32(6))
    for m in matrices:
        alone, _ = muon(g, optim.init(g.size), now, n, (m,), np.float32(m.rows))
        np.testing.assert_allclose(found[m.start : m.stop], alone[m.start : m.stop], rtol=1e-5)


def test_rows_that_are_padding_change_no_step_of_muon():
    g = np.random.default_rng(4).standard_normal((7, 4)).astype(np.float32)
    recipe = Recipe(optimizer="muon", beta1=0.9)
    n, now = Numbers.of(recipe), rule_of(recipe)
    more = np.concatenate([g, np.zeros((5, 4), np.float32)])
    own, _ = muon(g.reshape(-1), optim.init(28), now, n, (Matrix(0, 7, 4),), np.float32(7))
    padded, _ = muon(more.reshape(-1), optim.init(48), now, n, (Matrix(0, 12, 4),), np.float32(7))
    np.testing.assert_allclose(padded[:28], own, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(padded[28:], 0)


# --- schedules -----------------------------------------------------------------------------------

TIMES = np.linspace(0, 1, 1001)


def course(**fields) -> np.ndarray:
    """Return a schedule's rates at `TIMES`, as shares of the peak."""
    recipe = Recipe(**fields)
    return optim.course(recipe, recipe.schedule, TIMES)


@pytest.mark.parametrize("schedule", choices("schedule"))
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.9])
def test_rates_are_the_closed_forms(schedule, warmup):
    recipe = Recipe(schedule=schedule, warmup=warmup, steps=3, step_factor=0.5, learning_rate=1)
    got = course(schedule=schedule, warmup=warmup, steps=3, step_factor=0.5)
    expected = np.array([reference.course(recipe, schedule, t) for t in np.float64(TIMES)])
    if schedule == "step":  # at the edges of steps the rounding of the time decides
        inside = np.abs(TIMES * 4 - np.round(TIMES * 4)) > 1e-3
        got, expected = got[inside], expected[inside]
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_rates_are_those_of_optax():
    n = 1000
    counts = np.arange(n + 1)
    halved = {250: 0.5, 500: 0.5, 750: 0.5}
    theirs = {
        "constant": lambda i: 1.0,
        "cosine": optax.cosine_decay_schedule(1.0, n),
        "warmup_cosine": optax.warmup_cosine_decay_schedule(0, 1, 200, n),
        "one_cycle": optax.cosine_onecycle_schedule(n, 1.0, 0.2, 25.0, 1e9),
        "step": lambda i: optax.piecewise_constant_schedule(1.0, halved)(i - 0.5),
    }
    for name, schedule in theirs.items():
        expected = np.array(jax.vmap(schedule)(counts))
        got = course(schedule=name, warmup=0.2, steps=3, step_factor=0.5)
        edges = np.isin(counts, [250, 500, 750, 1000]) & (name == "step")
        np.testing.assert_allclose(got[~edges], expected[~edges], atol=2e-5, err_msg=name)


@pytest.mark.parametrize("schedule", choices("schedule"))
def test_rates_stay_between_zero_and_the_peak_and_reach_it(schedule):
    rate = course(schedule=schedule)
    assert rate.min() >= 0
    assert 0.999 < rate.max() <= 1 + 1e-6


def test_flat_cosine_is_flat_for_half_of_the_time_and_ends_at_zero():
    rate = course(schedule="flat_cosine")
    np.testing.assert_array_equal(rate[TIMES <= 0.5], 1)
    assert rate[750] == pytest.approx(0.5, abs=1e-5)
    assert rate[-1] == pytest.approx(0, abs=1e-6)


def test_coslog_falls_to_zero_after_each_of_four_lengthening_cycles():
    ends = (2.0 ** np.arange(5) - 1) / 15
    recipe = Recipe(schedule="coslog")
    np.testing.assert_allclose(optim.course(recipe, "coslog", ends), 0, atol=1e-5)
    middles = (2 ** (np.arange(4) + 0.5) - 1) / 15
    np.testing.assert_allclose(optim.course(recipe, "coslog", middles), 1, atol=1e-5)
