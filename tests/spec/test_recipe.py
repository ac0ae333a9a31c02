"""Recipes: what is refused and how, files, and what each field is for."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from typing import Literal, get_args, get_origin

import jax
import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import given, settings
from hypothesis import strategies as st

from popnet import Dataset, InputError, Recipe, RecipeError
from popnet.data.dataset import Images
from popnet.nn import net
from popnet.spec.recipe import choices
from popnet.spec.shape import Numbers, Shape

FIELDS = Recipe.model_fields
INITIAL = {"init", "init_scale", "embedding_scale", "embedding_spread"}
"""Fields that only the initial weights depend on."""


def values(name: str) -> st.SearchStrategy:
    """Return a strategy for a field's valid values, from its declaration."""
    field = FIELDS[name]
    if get_origin(field.annotation) is Literal:
        return st.sampled_from(get_args(field.annotation))
    if field.annotation is bool:
        return st.booleans()
    low, high, open_low, open_high = None, None, False, False
    for rule in field.metadata:
        match rule:
            case Ge(ge=x):
                low = x
            case Gt(gt=x):
                low, open_low = x, True
            case Le(le=x):
                high = x
            case Lt(lt=x):
                high, open_high = x, True
    if field.annotation is int:
        return st.integers(low, high)
    high = 1e30 if high is None else float(high)
    return st.floats(float(low), high, exclude_min=open_low, exclude_max=open_high)


@st.composite
def recipes(draw) -> Recipe:
    chosen = draw(st.sets(st.sampled_from(sorted(FIELDS))))
    fields = {name: draw(values(name)) for name in chosen}
    if fields.get("optimizer") == "adam":
        fields.pop("weight_decay", None)
    return Recipe(**fields)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("learnin_rate", "learning_rate"), ("batchsize", "batch_size"), ("Dropout", "dropout")],
)
def test_an_unknown_key_is_named_with_the_nearest_field(key, nearest):
    with pytest.raises(RecipeError) as e:
        Recipe(**{key: 1})
    assert f"'{key}' is not a field" in str(e.value)
    assert f"Did you mean '{nearest}'?" in str(e.value)


def test_a_key_like_no_field_gets_no_guess():
    with pytest.raises(RecipeError, match=r"'zzzzqqq' is not a field of a recipe.$"):
        Recipe(zzzzqqq=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depth", -1),
        ("depth", 2.5),
        ("width", 0),
        ("batch_size", 0),
        ("maxout_pieces", 1),
        ("activation", "rleu"),
        ("norm", None),
        ("norm_position", "between"),
        ("norm_momentum", 0),
        ("dropout", 1),
        ("dropout", -0.1),
        ("dropout", "much"),
        ("l2", float("inf")),
        ("l1", -1e-9),
        ("mixup", 2.5),
        ("ema", 1.0),
        ("epochs", 0),
        ("patience", 0),
        ("patience", 2**31),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("warmup", 1.0),
        ("init", "zeros"),
        ("init_scale", 0),
        ("kind", "forest"),
        ("nesterov", "perhaps"),
    ],
)
def test_an_impossible_value_is_refused_with_field_and_value(field, value):
    with pytest.raises(RecipeError) as e:
        Recipe(**{field: value})
    assert f"'{field}'" in str(e.value)
    assert f"got {value!r}" in str(e.value)
    assert "\n" not in str(e.value)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(RecipeError) as e:
        Recipe(depth=-1, dropout=3, widht=4)
    assert all(f"'{name}'" in str(e.value) for name in ("depth", "dropout", "widht", "width"))


def test_adam_with_decay_is_adamw():
    with pytest.raises(RecipeError, match=r"weight_decay.*adamw"):
        Recipe(optimizer="adam", weight_decay=0.1)
    assert Recipe(optimizer="adam").decay == 0
    assert Recipe(optimizer="adam", weight_decay=0).decay == 0
    assert Recipe(optimizer="adam").replace(optimizer="adamw") == Recipe()


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Recipe().depth = 4


def test_replace_changes_what_it_is_told_and_checks_it():
    recipe = Recipe(width=32, dropout=0.2)
    assert recipe.replace(dropout=0.3) == Recipe(width=32, dropout=0.3)
    with pytest.raises(RecipeError, match="'dropout'"):
        recipe.replace(dropout=1.5)


# --- files ---------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(recipes())
def test_toml_and_json_give_back_the_recipe(recipe):
    assert Recipe(**tomllib.loads(recipe.to_toml())) == recipe
    assert Recipe(**json.loads(recipe.to_json())) == recipe
    assert Recipe.from_mapping(recipe.model_dump()) == recipe
    assert hash(recipe) == hash(Recipe(**json.loads(recipe.to_json())))


@pytest.mark.parametrize("name", ["a.toml", "a.json", "A.JSON"])
def test_load_reads_what_was_written(tmp_path, name):
    recipe = Recipe(depth=1, activation="mish", learning_rate=1e-5, nesterov=False)
    path = tmp_path / name
    path.write_text(recipe.to_toml() if name.endswith("toml") else recipe.to_json())
    assert Recipe.load(path) == recipe
    assert Recipe.load(str(path)) == recipe


def test_an_empty_file_is_the_default_recipe(tmp_path):
    (tmp_path / "a.toml").touch()
    assert Recipe.load(tmp_path / "a.toml") == Recipe()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.toml", b"depth = ", "not valid TOML"),
        ("a.json", b"{'depth': 2}", "not valid TOML or JSON"),
        ("a.json", b"[1, 2]", "must be a table of fields"),
        ("a.toml", b"\xff\xfe\x00", "not valid TOML"),
        ("a.toml", b"dpeth = 2", "'dpeth' is not a field of a recipe. Did you mean 'depth'"),
        ("a.json", b'{"dropout": 2}', "'dropout'"),
    ],
)
def test_a_bad_file_is_named_in_one_sentence(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as e:
        Recipe.load(path)
    assert says in str(e.value)
    assert str(path) in str(e.value)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(InputError, match="cannot be read"):
        Recipe.load(tmp_path / name)


# --- what fields are -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_is_described_with_its_true_default(name):
    text = FIELDS[name].description
    assert "Default" in text
    default = FIELDS[name].default
    said = text.split("Default ")[1]
    if isinstance(default, bool):
        assert said.startswith(str(default).lower())
    elif isinstance(default, str):
        assert said.startswith(f"``{default}``")
    else:
        number = said.split()[0].rstrip(",.:;")
        assert float(number) == default


def another(name: str):
    """Return a valid value of a field that is not its default."""
    default = FIELDS[name].default
    if get_origin(FIELDS[name].annotation) is Literal:
        return next((v for v in get_args(FIELDS[name].annotation) if v != default), None)
    if isinstance(default, bool):
        return not default
    return default + 1 if isinstance(default, int) else (default + 0.01) * 0.9


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"kind"}))
def test_each_field_is_structure_or_number_or_initial_and_has_an_effect(name):
    data = Dataset.from_arrays(np.zeros((3, 2)), np.arange(3), "multiclass")
    knots = np.tile(np.arange(5, dtype=np.float32), (2, 1))
    data = replace(data, features=replace(data.features, knots=knots))
    # Settings under which no field is idle.
    base = Recipe(activation="maxout" if name == "maxout_pieces" else "relu")
    if name in ("stages", "patch"):
        data = replace(data, features=Images.measured(np.zeros((3, 40, 40, 1), np.uint8)))
        base = base.replace(kind="conv")
    if name == "input_scale":
        base = base.replace(
            input_scale=6.0
        )  # from 0 on there are scales to be learned: another program
    base = base.replace(numeric_embedding="none" if name == "numeric_embedding" else "periodic")
    changed = base.replace(**{name: another(name)})
    shapes = Shape.of(base, data), Shape.of(changed, data)
    numbers = Numbers.of(base), Numbers.of(changed)
    assert (shapes[0] != shapes[1]) == (name in Recipe.structure_fields)
    number = name not in Recipe.structure_fields and name not in INITIAL
    assert (numbers[0] != numbers[1]) == number
    if name in INITIAL:
        trees = (net.init(r, shapes[0], 0)[0] for r in (base, changed))
        equal = jax.tree.map(np.array_equal, *trees)
        assert not all(jax.tree.leaves(equal))


def test_structure_is_marked_at_the_declaration():
    marked = [n for n, f in FIELDS.items() if (f.json_schema_extra or {}).get("structure")]
    assert tuple(marked) == Recipe.structure_fields


@pytest.mark.parametrize(
    "field",
    [
        "activation", "norm", "optimizer", "schedule", "dropout_schedule", "decay_schedule", "init", "fill",
    ],
)  # fmt: skip
def test_choices_are_those_of_the_field(field):
    assert choices(field) == get_args(FIELDS[field].annotation)


@settings(max_examples=150, deadline=None)
@given(recipes())
def test_every_valid_recipe_has_finite_numbers(recipe):
    numbers = Numbers.of(recipe)
    assert all(np.isfinite(x) for x in numbers)
    assert {x.dtype.name for x in numbers} == {"float32", "int32", "bool"}
