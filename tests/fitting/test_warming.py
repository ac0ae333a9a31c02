"""Programs that are compiled ahead are those that fits of other tables need."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from popnet import Dataset
from popnet.fitting import warming
from popnet.population.feed import Arrays
from popnet.population.members import Member
from popnet.population.train import Trainer
from popnet.runtime import compiled
from popnet.tuning.space.table_space import default_space


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(warming, "ROWS", (1_000,))
    monkeypatch.setattr(warming, "COLUMNS", ((4, ()),))
    monkeypatch.setattr(warming, "TASKS", (("classification", 2),))
    monkeypatch.setattr(warming, "STRUCTURES", 1)


def test_a_table_of_a_usual_size_finds_its_program(few, monkeypatch):
    told = []
    done = warming.warm(tell=lambda *counts: told.append(counts))
    assert (done.programs, done.whole) == (1, True)
    assert told == [(0, 1), (1, 1)]
    monkeypatch.setattr(
        compiled.CompiledCache, "_compiled", None
    )  # nothing more is compiled or loaded
    # The structure that a fit chooses for a table of four numbers whose quantiles are known.
    made = warming.made(4, (), "classification", 2)
    recipe = default_space(made, 1_000).base.replace(epochs=1)
    features = made.features
    data = Dataset(features, np.arange(len(features), dtype=np.int32) % 5, "classification", 5)
    rows = np.arange(len(features))
    trainer = Trainer(Arrays(data, data, [(rows[:40], rows[40:])]), workers=1)
    trainer.specialised = True
    ((_, result),) = trainer.run([(0, Member(recipe))])
    assert result.status == "finished"


def test_usual_structures_differ_and_the_first_are_for_the_most_usual_tables():
    forms = [form for form, *_ in warming.structures()]
    assert len(forms) == len(set(forms)) > 50
    assert forms[0].task == "classification"


def test_it_ends_with_the_time_and_when_it_is_stopped(few):
    assert warming.warm(limit=-1.0)[:2] == (0, False)
    stop = threading.Event()
    stop.set()
    assert warming.warm(stop=stop)[:2] == (0, False)


def test_the_command(run, few):
    out, _ = run("warm", "--json")
    found = json.loads(out)
    assert found["programs"] == 1
    assert found["whole"] is True
    assert "jax-" in found["folder"]
    out, _ = run("warm")
    assert out.startswith("structures compiled: 1")
    _, err = run("warm", "--time-limit", "soon", fails=2)
    assert "is no time limit" in err
