"""A user's own ranges: texts, files, and one clear sentence for what cannot be."""

from __future__ import annotations

import json

import pytest

from popnet import Recipe
from popnet.errors import InputError
from popnet.tuning.space import text, user_space
from popnet.tuning.space.ranges import Choice, Integer, Linear, Log
from popnet.tuning.space.space import Dimension


@pytest.mark.parametrize(
    ("field", "spec", "found"),
    [
        ("learning_rate", "log:1e-4:1e-1", Log(1e-4, 1e-1)),
        ("dropout", "0:0.5", Linear(0.0, 0.5)),
        ("dropout", Linear(0.0, 0.5), Linear(0.0, 0.5)),
        ("activation", "relu,elu", Choice(("relu", "elu"))),
        ("activation", ["relu", "elu"], Choice(("relu", "elu"))),
        ("depth", "1:4", Integer(1, 4)),
        ("width", "log:16:512", Integer(16, 512, log=True)),
        ("nesterov", "true,false", Choice((True, False))),
    ],
)
def test_what_a_user_writes(field, spec, found):
    assert user_space.dimension(field, spec).range == found


@pytest.mark.parametrize(
    ("field", "spec", "said"),
    [
        ("learning_rat", "0:1", "Did you mean 'learning_rate'"),
        ("learning_rate", "log:0:1", "'learning_rate': a logarithmic range must begin above 0"),
        ("dropout", "0.5:0.1", "'dropout': .*reversed"),
        ("dropout", "0:2", "'dropout'.*less than 1; got 2"),
        ("activation", "relu,rleu", "'activation'.*got 'rleu'"),
        ("activation", "0:1", "'activation'"),
        ("depth", "0.5:4", "'depth'"),
        ("dropout", 3, "a range is"),
        ("dropout", {"when": {}}, "'range'"),
        ("dropout", {"range": "0:0.5", "if": {}}, "'range'"),
        ("dropout", {"range": "0:0.5", "when": {"actvation": "relu"}}, "Did you mean 'activation'"),
        ("dropout", {"range": "0:0.5", "when": {"activation": "rleu"}}, "'activation'.*got 'rleu'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(field, spec, said):
    with pytest.raises(InputError, match=said) as caught:
        user_space.dimension(field, spec)
    assert "\n" not in str(caught.value)


def test_a_file_of_ranges(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text(
        'learning_rate = "log:1e-4:1e-1"\nactivation = ["relu", "elu"]\n'
        'dropout = {range = "0:0.5", when = {norm = ["none", "layer"], depth = 2}}\n'
    )
    rate, activation, dropout = user_space.load(file)
    assert rate.range == Log(1e-4, 1e-1)
    assert activation.range == Choice(("relu", "elu"))
    assert dropout.when == {"norm": ("none", "layer"), "depth": (2,)}


@pytest.mark.parametrize(
    ("text", "said"),
    [("a =", "not valid TOML"), ('dropuot = "0:1"', "Did you mean 'dropout'"), (None, "cannot be read")],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_named(tmp_path, text, said):
    file = tmp_path / "space.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        user_space.load(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "said"), [(["dropout"], "FIELD=VALUE"), (["dropout="], "FIELD=VALUE"), (["a=1", "a=2"], "twice")]
)  # fmt: skip
def test_settings_of_the_command_line(texts, said):
    assert user_space.settings(["dropout=0:0.5", "activation = relu,elu"], "--set") == {
        "dropout": "0:0.5",
        "activation": " relu,elu",
    }
    with pytest.raises(InputError, match=said):
        user_space.settings(texts, "--set")


def test_values_are_fixed_in_a_recipe():
    recipe = user_space.fix(
        Recipe(depth=1), {"activation": "elu", "dropout": "0.2", "nesterov": "false"}
    )
    assert recipe is not None
    assert recipe.model_dump(exclude_unset=True) == {
        "depth": 1, "activation": "elu", "dropout": 0.2, "nesterov": False,
    }  # fmt: skip
    assert user_space.fix(None, {}) is None
    with pytest.raises(InputError, match="Did you mean 'depth'"):
        user_space.fix(None, {"dept": "1"})
    with pytest.raises(InputError, match="'depth'"):
        user_space.fix(None, {"depth": "many"})


@pytest.mark.parametrize("images", [False, True])
def test_the_printed_file_is_the_space(tmp_path, images):
    space = text.space_of(images, 10_000, None, [])
    file = tmp_path / "space.toml"
    file.write_text(text.toml(space))
    read = {d.field: d.range for d in user_space.load(file)}
    for d in space.dimensions:
        assert str(read[d.field]) == str(d.range), d.field


def test_the_table_and_the_record_name_every_dimension():
    mine = Dimension("elu_alpha", Linear(0.5, 1.5), source="user-defined")
    space = text.space_of(False, 500, Recipe(activation="elu"), [mine])
    shown, record = text.table(space), text.record(space)
    for d in space.dimensions:
        assert d.field in shown
    assert "activation = elu" in shown
    assert {r["field"] for r in record["dimensions"]} == {d.field for d in space.dimensions}
    assert json.loads(json.dumps(record)) == record
    with pytest.raises(InputError, match="fixed and has a range"):
        text.space_of(False, 500, Recipe(elu_alpha=1.0), [mine])
    with pytest.raises(InputError, match="rows"):
        text.space_of(False, 0, None, [])
