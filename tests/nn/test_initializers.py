"""Initial weights: distributions, orthogonality."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from popnet.nn.initializers import INITIALIZERS, weights
from popnet.runtime import keys

SIZES = [(400, 100), (100, 400)]
VARIANCES = {
    "he": lambda i, o: 2 / i,
    "xavier": lambda i, o: 2 / (i + o),
    "lecun": lambda i, o: 1 / i,
}
SPREAD = sorted(set(INITIALIZERS) - {"orthogonal"})


def draw(name, fan_in, fan_out, scale=1.0):
    return weights(keys.generator(0, name), name, fan_in, fan_out, scale)


@pytest.mark.parametrize("name", SPREAD)
@pytest.mark.parametrize("size", SIZES)
def test_distribution_and_variance(name, size):
    kind, form = name.split("_")
    w = draw(name, *size).reshape(-1)
    std = np.sqrt(VARIANCES[kind](*size))
    # 40,000 numbers: a variance off by a tenth, or the other distribution, would show.
    law = stats.norm(0, std) if form == "normal" else stats.uniform(-std * 3**0.5, 2 * std * 3**0.5)
    assert stats.kstest(w, law.cdf).pvalue > 1e-3
    assert abs(w.std() / std - 1) < 0.02


@pytest.mark.parametrize("size", [*SIZES, (64, 64), (3, 1), (1, 3)])
def test_orthogonal_keeps_lengths(size):
    w = np.float64(draw("orthogonal", *size))
    short = w if size[0] < size[1] else w.T
    np.testing.assert_allclose(short @ short.T, np.eye(min(size)), atol=1e-5)


def test_orthogonal_is_uniform():
    # An element of a uniform rotation of the plane is the cosine of a uniform angle.
    rng = np.random.default_rng(0)
    elements = [weights(rng, "orthogonal", 2, 2)[0, 0] for _ in range(2000)]
    assert stats.kstest(np.arccos(elements), stats.uniform(0, np.pi).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", INITIALIZERS)
def test_scale_is_a_factor_and_the_type_is_float32(name):
    w = draw(name, 20, 30)
    assert w.dtype == np.float32
    np.testing.assert_allclose(draw(name, 20, 30, 2.5), 2.5 * w, rtol=1e-6)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_no_inputs_no_weights(name):
    assert draw(name, 0, 5).shape == (0, 5)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_against_torch(name):
    torch = pytest.importorskip("torch")
    w = torch.empty(300, 400)  # outputs x inputs
    torch.manual_seed(0)
    {
        "he_normal": lambda: torch.nn.init.kaiming_normal_(w, nonlinearity="relu"),
        "he_uniform": lambda: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu"),
        "xavier_normal": lambda: torch.nn.init.xavier_normal_(w),
        "xavier_uniform": lambda: torch.nn.init.xavier_uniform_(w),
        "lecun_normal": lambda: torch.nn.init.kaiming_normal_(w, nonlinearity="linear"),
        "lecun_uniform": lambda: torch.nn.init.kaiming_uniform_(w, nonlinearity="linear"),
        "orthogonal": lambda: torch.nn.init.orthogonal_(w),
    }[name]()
    ours = draw(name, 400, 300)
    assert stats.ks_2samp(ours.reshape(-1), w.numpy().reshape(-1)).pvalue > 1e-3
