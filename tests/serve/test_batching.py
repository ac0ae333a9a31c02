"""The queue: order, fairness, errors of one, cancelled requests, limits. A model that answers when it is told."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from popnet.data.dataset import Features
from popnet.serve.batching import MAX_PASS_ROWS, SHARE_ROWS, Batcher, Busy, Job
from popnet.serve.folder_model import FolderModel
from popnet.serve.served import Asked, Predictions


class Doubling(FolderModel):
    """Predicts twice the number of each row; waits before each pass; fails on -1."""

    description = SimpleNamespace(targets=("y",))

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.begun, self.goon = threading.Semaphore(0), threading.Semaphore(0)

    def predict(self, features, asked) -> Predictions:
        values = features.numeric[:, 0].astype(int).tolist()
        self.passes.append(values)
        self.begun.release()
        assert self.goon.acquire(timeout=30)
        if -1 in values:
            raise ZeroDivisionError
        found = {"y": [2 * v for v in values]}
        return Predictions(found | {"p": [0.5] * len(values)} if asked.proba else found)


def rows(*values: int) -> Features:
    return Features.from_numeric(np.array(values, np.float32)[:, None])


@pytest.fixture
def model():
    return Doubling()


@pytest.fixture
def passes() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def batcher(model, passes):
    made = Batcher(20_000, lambda *p: passes.append(p), gathering=0.0)
    yield made
    model.goon.release(1000)
    made.close()


def submit(batcher: Batcher, model: Doubling, *values: int, asked: Asked = Asked()) -> Job:  # noqa: B008
    job = Job(model, rows(*values), asked)
    batcher.submit(job)
    return job


def answer(job: Job) -> list[int]:
    return job.answer.result(30).columns["y"]


def test_what_waits_is_answered_by_one_pass_in_order(batcher, model, passes):
    first = submit(batcher, model, 1)
    assert model.begun.acquire(timeout=30)
    others = [submit(batcher, model, *range(i, 2 * i)) for i in range(2, 6)]
    model.goon.release(2)
    assert answer(first) == [2]
    assert [answer(job) for job in others] == [
        [2 * v for v in range(i, 2 * i)] for i in range(2, 6)
    ]
    assert model.passes == [[1], [v for i in range(2, 6) for v in range(i, 2 * i)]]
    assert passes == [(1, 1), (14, 4)]


def test_an_error_is_that_requests_alone(batcher, model):
    first = submit(batcher, model, 1)
    assert model.begun.acquire(timeout=30)
    good, bad, other = (submit(batcher, model, *v) for v in ((5, 6), (-1,), (7,)))
    model.goon.release(10)
    assert answer(first) == [2]
    assert answer(good) == [10, 12]
    assert answer(other) == [14]
    assert isinstance(bad.answer.exception(30), ZeroDivisionError)
    assert answer(submit(batcher, model, 3)) == [6]


def test_a_large_request_delays_a_small_one_by_one_pass(batcher, model):
    large = submit(batcher, model, *range(3 * MAX_PASS_ROWS))
    assert model.begun.acquire(timeout=30)
    small = submit(batcher, model, 7)
    model.goon.release(2)
    assert answer(small) == [14]
    assert not large.answer.done()
    assert [len(p) for p in model.passes[:2]] == [MAX_PASS_ROWS, SHARE_ROWS + 1]
    model.goon.release(20)
    assert answer(large) == [2 * v for v in range(3 * MAX_PASS_ROWS)]


def test_large_requests_take_turns(batcher, model):
    first = submit(batcher, model, 0)
    assert model.begun.acquire(timeout=30)
    jobs = [submit(batcher, model, *range(2000)) for _ in range(3)]
    model.goon.release(20)
    assert answer(first) == [0]
    assert all(answer(job) == [2 * v for v in range(2000)] for job in jobs)
    assert len(model.passes[1]) == 3 * SHARE_ROWS


def test_options_that_differ_are_not_mixed_but_probabilities_are(batcher, model, passes):
    first = submit(batcher, model, 0)
    assert model.begun.acquire(timeout=30)
    plain = submit(batcher, model, 1)
    with_p = submit(batcher, model, 2, asked=Asked(proba=True))
    wide = submit(batcher, model, 3, asked=Asked(interval=0.9))
    model.goon.release(10)
    assert answer(first) == [0]
    assert list(plain.answer.result(30).columns) == ["y"]
    assert list(with_p.answer.result(30).columns) == ["y", "p"]
    assert answer(wide) == [6]
    assert passes == [(1, 1), (2, 2), (1, 1)]


def test_a_request_that_was_given_up_is_not_predicted(batcher, model):
    first = submit(batcher, model, 0)
    assert model.begun.acquire(timeout=30)
    gone, kept = submit(batcher, model, 1), submit(batcher, model, 2)
    assert gone.answer.cancel()
    model.goon.release(10)
    assert answer(first) == [0]
    assert answer(kept) == [4]
    assert model.passes == [[0], [2]]


def test_too_many_rows_are_refused(batcher, model):
    first = submit(batcher, model, 0)
    assert model.begun.acquire(timeout=30)
    submit(batcher, model, *range(19_999))
    assert batcher.waiting == 19_999
    submit(batcher, model, 1)
    with pytest.raises(Busy):
        submit(batcher, model, 1)
    model.goon.release(100)
    assert answer(first) == [0]


def test_what_waits_at_the_end_is_cancelled(model):
    batcher = Batcher(100)
    first = submit(batcher, model, 0)
    assert model.begun.acquire(timeout=30)
    late = submit(batcher, model, 1)
    closing = threading.Thread(target=batcher.close)
    closing.start()
    while not batcher._ended:
        pass
    model.goon.release()
    closing.join(30)
    assert answer(first) == [0]
    assert late.answer.cancelled()
    with pytest.raises(Busy):
        submit(batcher, model, 2)
