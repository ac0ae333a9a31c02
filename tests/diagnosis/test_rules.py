"""The rules about nets: planted faults are named first, healthy nets are left in peace, remedies are proven."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from popnet import InputError, Recipe
from popnet.ablation.design import Pair, design
from popnet.ablation.losses import chance
from popnet.data.dataset import Dataset
from popnet.data.splits import SplitKeys
from popnet.diagnosis.limits import Limits
from popnet.diagnosis.nets import probed_runs, rules
from popnet.diagnosis.nets.checks import ProbedTraining
from popnet.diagnosis.run import doctor
from popnet.options import Options

HEALTHY = Recipe(
    depth=2, width=32, batch_size=32, epochs=20, patience=20, activation="relu", norm="batch", dropout=0.1
)  # fmt: skip

SICK: dict[str, dict[str, Any]] = {
    "divergence": {"optimizer": "sgd", "learning_rate": 1e4, "norm": "none"},
    "penalty_swamps": {"l2": 3.0},
    "vanishing_gradient": {"depth": 6, "activation": "sigmoid", "norm": "none", "init": "xavier_normal"},
    "exploding_gradient": {"depth": 6, "norm": "none", "init_scale": 5.0},
    "initialisation": {"depth": 6, "norm": "none", "init_scale": 0.05},
    "rate_too_large": {"learning_rate": 1.0},
    "saturated": {"activation": "tanh", "norm": "none", "init_scale": 6.0, "weight_decay": 0.0},
    "rate_too_small": {"learning_rate": 1e-7},
    "batch_too_small": {"batch_size": 4, "epochs": 3},
}  # fmt: skip


def dataset(n: int = 600, noise: float = 0.3) -> Dataset:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6)).astype(np.float32)
    y = X[:, 0] * X[:, 1] + X[:, 2] + noise * rng.standard_normal(n) > 0
    return Dataset.from_arrays(X, y.astype(int), "binary")


def pairs_of(data: Dataset, count: int) -> list[Pair]:
    return design(np.arange(len(data)), count, 0, SplitKeys(data.target))


def trained(data: Dataset, recipe: Recipe, count: int = 2) -> list[ProbedTraining]:
    return probed_runs.trainings(
        data, recipe, pairs_of(data, count), Limits(workers=1), lambda: None
    )


def fired(recipe: Recipe, data: Dataset | None = None) -> list[rules.FiredRule]:
    return rules.examine(trained(data or dataset(), recipe))


@pytest.mark.parametrize("fault", SICK)
def test_a_planted_fault_is_named_first(fault):
    assert fired(HEALTHY.replace(**SICK[fault]))[0].rule.name == fault


def test_a_healthy_net_is_left_in_peace():
    found = [f.rule.name for f in fired(HEALTHY) if not f.rule.suspicion]
    assert found == []


def test_labels_that_say_nothing_are_told_from_a_bad_net():
    data = dataset(1500)
    noise = np.random.default_rng(1).integers(0, 2, len(data)).astype(np.int32)
    random = Dataset(data.features, noise, "classification", 2)
    still = HEALTHY.replace(weight_decay=0.9, dropout=0.9)
    assert "loss_stays" in [f.rule.name for f in fired(still, random)]
    assert "loss_stays" not in [f.rule.name for f in fired(still)]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "muon"])
@pytest.mark.parametrize("kind", ["mlp", "residual"])
@pytest.mark.parametrize("rule", rules.RULES, ids=lambda r: r.name)
def test_a_remedy_suits_every_recipe(rule, kind, optimizer):
    recipe = Recipe(optimizer=optimizer, kind=kind)
    changed = recipe.replace(**rule.fields(recipe))
    if rule.name == "over_fitting":
        assert changed.decay > recipe.decay


def test_chance_is_the_entropy_of_the_classes_or_the_variance():
    target = np.array([0, 0, 0, 1], np.int32)
    features = Dataset.from_arrays(np.zeros((4, 1)), target, "binary").features
    data = Dataset(features, target, "classification", 2)
    expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert chance(data, np.arange(4)) == pytest.approx(expected)
    values = np.array([[1.0], [3.0], [5.0], [7.0]], np.float32)
    regression = Dataset(features, values, "regression", 1)
    assert chance(regression, np.arange(4)) == pytest.approx(5.0)


@pytest.mark.parametrize("curve", [0.0, np.nan, 1e-30])
def test_rules_bear_losses_of_any_size(curve):
    """Nets that were given the target, or nothing to learn, have losses of 0 or none at all."""
    (one, *_) = trained(dataset(200), HEALTHY.replace(epochs=6))
    curves = {k: np.full_like(np.asarray(v), curve) for k, v in one.result.curves.items()}
    result = dataclasses.replace(one.result, curves=curves, best_score=curve)
    rules.examine([dataclasses.replace(one, result=result)] * 2)


def test_what_another_rule_explains_is_left_out():
    assert rules.unexplained(["vanishing_gradient", "loss_stays"]) == ["vanishing_gradient"]
    assert rules.unexplained(["loss_stays"]) == ["loss_stays"]
    names = {r.name for r in rules.RULES}
    assert set(rules.EXPLAINS) <= names
    assert {n for e in rules.EXPLAINS.values() for n in e} <= names
    # No circle: of two rules one must stay.
    for a, explained in rules.EXPLAINS.items():
        for b in explained:
            assert a not in rules.EXPLAINS.get(b, ())


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda r: r.name)
def test_every_remedy_is_a_possible_recipe_that_differs(rule):
    sick = HEALTHY.replace(**SICK.get(rule.name, {}))
    changed = sick.replace(**rule.fields(sick))
    if rule.name not in ("over_fitting", "loss_stays"):
        assert changed != sick


def test_a_remedy_is_proven_by_twins():
    data = dataset()
    sick = HEALTHY.replace(**SICK["rate_too_small"])
    findings = [f for f, _ in probed_runs.symptoms(trained(data, sick))]
    proofs = probed_runs.proven(
        data, sick, findings[:1], pairs_of(data, 4), Limits(workers=1), lambda: None
    )
    proof = proofs["rate_too_small"]
    assert proof.verdict == "helps"
    assert proof.low > 0
    assert proof.after < proof.before


def test_a_remedy_that_does_not_help_is_said_not_to():
    data = dataset()
    findings = [f for f, _ in probed_runs.symptoms(trained(data, HEALTHY.replace(batch_size=4, epochs=3)))]  # fmt: skip
    useless = type(findings[0].remedy)("change what is not used", {"step_factor": 0.7})
    finding = type(findings[0])(**{**findings[0].__dict__, "remedy": useless})
    proofs = probed_runs.proven(
        data, HEALTHY, [finding], pairs_of(data, 4), Limits(workers=1), lambda: None
    )
    assert proofs[finding.rule].verdict == "does not help"


def frame() -> pd.DataFrame:
    data = dataset(400)
    X = pd.DataFrame(np.asarray(data.features.numeric), columns=list("abcdef"))
    return X.assign(label=np.where(data.target == 1, "up", "down"))


def test_a_diagnosis_in_all_its_forms():
    recipe = HEALTHY.replace(numeric_embedding="none", **SICK["rate_too_small"])
    found = doctor(frame(), "label", Options(seed=1, workers=1, recipe=recipe))
    assert found.findings[0].rule == "rate_too_small"
    assert found.findings[0].proof is not None
    record = json.loads(json.dumps(found.record()))
    assert record["findings"][0]["proof"]["verdict"] == "helps"
    document = found.document("popnet doctor", "now")
    assert document.sections[0].badge == "warning"
    assert len(document.sections[0].pictures) == 2


def test_new_data_that_moved_is_told_from_data_that_did_not(tmp_path):
    table = frame()
    old, new = table.iloc[:200], table.iloc[200:]
    still = doctor(old, "label", Options(workers=1), against=new)
    moved = doctor(old, "label", Options(workers=1), against=new.assign(c=new.c + 3))
    assert still.findings == []
    assert moved.findings[0].columns[0] == "c"
    assert moved.shift is not None
    assert moved.shift.auc > 0.9


def test_no_time_is_said():
    with pytest.raises(InputError) as error:
        doctor(frame(), "label", Options(workers=1, time_limit=1e-3))
    assert "time limit was reached" in str(error.value)
