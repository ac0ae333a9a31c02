"""A process that was forked answers: with predictions, or with a sentence that says how to start it; it never waits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from popnet import ForkError

KEPT = Path(__file__).parent / "kept"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

BEGIN = f"""
import datetime, os, signal, warnings
from multiprocessing import get_context
import numpy as np
import pandas
import polars
import popnet
warnings.simplefilter("ignore")  # JAX and polars warn of forks, too
# A frame that is made so starts no threads of polars.
table = polars.DataFrame({{
    "x": np.linspace(-2, 2, 40), "size": np.linspace(1, -1, 40), "colour": ["red", "green"] * 20,
    "day": [datetime.date(2025, 1, 1)] * 40, "member": [True] * 40, "y": ["no"] * 20 + ["yes"] * 20,
}})
pandas = pandas.DataFrame(table.to_dict(as_series=False))
model = popnet.Model.load({str(KEPT)!r})
X, y = np.random.default_rng(0).random((40, 3)), np.arange(40) % 2
recipe = popnet.Recipe(depth=1, width=4, epochs=1, batch_size=16)
estimator = popnet.Classifier(members=2, folds=2, recipe=recipe, workers=1)
data = popnet.Dataset(popnet.Features.from_numeric(X), y.astype(np.int32), "classification", 2)

def predict(_=None):
    return model.predict_frame(table).height

def predict_pandas():
    return model.predict_frame(pandas).height

def evaluate():
    return model.evaluate(iter([table]))[0]

def load_and_predict():
    return popnet.Model.load({str(KEPT)!r}).predict_frame(table).height

def fit():
    return len(estimator.fit(X, y).predict(X))

def train():
    folds = [(np.arange(30), np.arange(30, 40))]
    return len(popnet.train_population(data, None, [recipe], folds=folds, workers=1).results)

def own_polars():
    import io
    polars.read_csv(io.BytesIO(b"a,b\\n1,2\\n")).select(polars.all().sum())

def own_jax():
    import jax
    jax.numpy.ones(3).sum().block_until_ready()

def nothing():
    pass

def forked(work):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(100)  # ends a process that waits
        try:
            said = repr(work())
        except BaseException as error:
            said = f"{{type(error).__name__}}: {{error}}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    return os.read(read, 65536).decode() or "nothing: it waited"
"""


def said(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def is_refusal(text: str) -> bool:
    return text.startswith("ForkError: ") and "'spawn'" in text and "'loky'" in text


@pytest.mark.parametrize(
    ("before", "works"),
    [
        ("predict", ("predict", "evaluate", "load_and_predict", "fit", "train")),
        ("fit", ("predict", "fit")),
        ("train", ("predict", "train")),
        ("own_polars", ("predict", "predict_pandas")),
        ("own_jax", ("predict", "train")),
    ],
)
def test_a_process_forked_after_threads_began_is_refused_in_a_sentence(before, works):
    if before.startswith("own") and not Path("/proc/self/task").is_dir():
        pytest.skip("this system does not tell the names of threads")
    lines = said(f"{before}()\nfor work in ({', '.join(works)},):\n    print(forked(work))")
    assert lines
    for work, line in zip(works, lines.splitlines(), strict=True):
        assert is_refusal(line), (work, line)


@pytest.mark.parametrize("work", ["predict", "fit"])
def test_a_process_forked_before_computes_and_so_does_the_one_that_forked_it(work):
    first, second, third = said(
        f"print(forked({work}))\nprint({work}())\nprint(forked({work}))"
    ).splitlines()
    assert first == second
    assert int(first) > 0
    assert is_refusal(third)


def test_a_process_forked_from_a_refused_one_is_refused():
    assert is_refusal(said("predict()\nprint(forked(lambda: forked(predict)))").strip("'\""))


def test_the_parent_hears_of_it_through_pools():
    lines = said(
        "predict()\n"
        "signal.alarm(200)  # the children, too\n"
        "from joblib import Parallel, delayed, parallel_backend\n"
        "def tell(call):\n"
        "    try: call()\n"
        "    except Exception as error: print(f'{type(error).__name__}: {error}')\n"
        "with get_context('fork').Pool(2) as pool:\n"
        "    tell(lambda: pool.map(predict, range(2)))\n"
        "with parallel_backend('multiprocessing', n_jobs=2):\n"
        "    tell(lambda: Parallel()(delayed(predict)(i) for i in range(2)))\n"
        "with parallel_backend('threading', n_jobs=2):\n"
        "    print(Parallel()(delayed(predict)(i) for i in range(2)))\n"
    ).splitlines()
    assert is_refusal(lines[0])
    assert is_refusal(lines[1])
    assert lines[2:] == ["[40, 40]"]


def test_the_error_is_one_of_popnets():
    assert issubclass(ForkError, RuntimeError)
    assert "ForkError" in __import__("popnet").__all__
