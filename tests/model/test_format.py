"""Model folders of every version load and predict as they did; docs/model-format.md says what is in them."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from safetensors.numpy import load_file

from popnet import Model, Recipe
from popnet.data.tables.encode import Encoder
from popnet.data.tables.schema import Schema
from popnet.model.facts import EnsembleScores, FitRecord
from popnet.model.saving import FORMAT, WITH_COMBINATIONS, WITH_TREES, net_shape
from popnet.nn.net import init
from popnet.trees.forest import Forest

HERE = Path(__file__).parent
FOLDERS = sorted((HERE / "folders").glob("*/"))
DOCUMENT = (HERE.parents[1] / "docs" / "model-format.md").read_text(encoding="utf-8")

EARLIER_INTERVALS = ("interval-678c982",)
"""Folders from before the folds' sizes of errors were averaged by their logarithms: ends of intervals differ."""

BY_NAME = ("facts.metrics", "facts.baselines", "facts.baseline_gains", "nets[].recipe")
"""Objects whose keys are names, not parts of the format."""


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """The script that writes the folders."""
    spec = importlib.util.spec_from_file_location("make_folders", HERE / "folders" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- every version loads ----------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_a_kept_folder_predicts_what_its_version_predicted(folder, make, run, tmp_path):
    options = make.CASES[folder.name.rsplit("-", 1)[0]]["predict"]
    (rows,) = folder.glob("rows.*")
    run("predict", folder, rows, "--out", tmp_path / "found.csv", *options)
    found = make.as_json(tmp_path / "found.csv")
    expected = json.loads((folder / "predictions.json").read_bytes())
    target = Model.load(folder).encoder
    units = {name: s.std for name, s in zip(target.target.names, target.scales, strict=False)}
    assert list(found) == list(expected)
    assert len(next(iter(found.values()))) == make.KEPT
    for name, values in expected.items():
        if isinstance(values[0], str):
            assert found[name] == values
            continue
        unit = next((s for n, s in units.items() if name.startswith(n)), 1.0)
        if name in units or name.startswith("probability"):
            assert np.ptp(values) / unit > 1e-3, "all alike: nothing would be compared"
        end = name.endswith(("_low", "_high")) and folder.name in EARLIER_INTERVALS
        np.testing.assert_allclose(found[name], values, rtol=0, atol=(0.1 if end else 1e-5) * unit)


def test_there_is_a_folder_of_every_format_and_kind():
    contents = [json.loads((f / "model.json").read_bytes()) for f in FOLDERS]
    assert {c["format"] for c in contents} == {FORMAT, WITH_TREES, WITH_COMBINATIONS}
    assert {c["encoder"]["target"]["task"] for c in contents} == {
        "binary", "multiclass", "regression",
    }  # fmt: skip
    assert any(c["encoder"].get("image") for c in contents)
    assert any(c.get("decision") for c in contents)
    assert any(c.get("intervals") and c["format"] == FORMAT for c in contents)
    assert any(c.get("trees") and c["nets"] for c in contents)
    assert {c["kind"] for content in contents for c in content["encoder"]["columns"]} == {
        "numeric", "discrete", "boolean", "categorical", "datetime",
    }  # fmt: skip


# --- the document -----------------------------------------------------------------------------------


def documented() -> dict[str, str]:
    """Return the keys that the document names, and what it says of their absence."""
    found = {}
    for line in DOCUMENT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        keys = re.findall(r"`([a-z_0-9\[\].]+)`", cells[0])
        if keys and keys[0].split(".")[0].removesuffix("[]") in TOP and len(cells) > 3:
            found |= dict.fromkeys(keys, cells[-1])
    return found


TOP = {
    key for f in FOLDERS for key in json.loads((f / "model.json").read_bytes())
}  # every key at the top


def written(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of all keys of a JSON value."""
    if path in BY_NAME:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            own = f"{path}.{key}" if path else key
            yield own
            yield from written(inner, own)
    elif isinstance(value, list):
        for inner in value:
            yield from written(inner, f"{path}[]")


def declared(kind: Any, root: str) -> dict[str, bool]:
    """Return the paths of all keys that a record's type has, and whether they must be there (in every union's part)."""
    whole = TypeAdapter(kind).json_schema()
    found: dict[str, bool] = {}

    def walk(schema: dict[str, Any], path: str) -> None:
        if path in BY_NAME:
            return
        if "$ref" in schema:
            walk(whole["$defs"][schema["$ref"].rsplit("/", 1)[1]], path)
        for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            walk(part, path)
        if isinstance(schema.get("items"), dict):
            walk(schema["items"], f"{path}[]")
        for key, inner in schema.get("properties", {}).items():
            own, needed = f"{path}.{key}", key in schema.get("required", ())
            found[own] = found.get(own, False) or needed
            walk(inner, own)

    walk(whole, root)
    return found


@pytest.fixture(scope="module")
def keys_of_code() -> dict[str, bool]:
    kinds = ((Schema, "schema"), (Encoder, "encoder"), (EnsembleScores, "facts"), (FitRecord, "facts"))  # fmt: skip
    return {key: needed for kind, root in kinds for key, needed in declared(kind, root).items()}


def test_the_document_names_every_key_and_no_other(keys_of_code):
    contents = [json.loads(p.read_bytes()) for p in HERE.glob("**/model.json")]
    keys = {key for content in contents for key in written(content)}
    assert keys | set(keys_of_code) == set(documented())


def test_the_document_says_which_keys_must_be_there(keys_of_code):
    said = documented()
    default = re.compile(r"refused for dates")
    for key, needed in keys_of_code.items():
        if key.endswith((".kind", ".format")) and key.startswith("encoder.columns"):
            continue  # differs by kind
        if said[key] and not default.search(said[key]):
            assert (said[key] == "refused") == needed, key


def test_the_document_names_every_field_of_a_recipe():
    text = DOCUMENT.split("### Recipes")[1].split("###")[0].split("They are:")[1]
    assert set(re.findall(r"`(\w+)`", text)) == set(Recipe.model_fields)


def name_patterns() -> list[re.Pattern[str]]:
    """Return what the document's names of arrays match: L and C are numbers, ``...`` is anything."""
    table = DOCUMENT.split("## weights.safetensors")[1]
    found = []
    for line in table.splitlines():
        if not line.startswith("| `N/"):
            continue
        first, *endings = re.findall(r"`([^`]+)`", line.split(" | ")[0])
        stem = first[: first.rindex("[" if first.endswith("]") else ".")]
        for name in (first, *(stem + e for e in endings if e != "['after']")):
            text = re.escape(name).replace(r"\.\.\.", ".+").replace(r"\[L\]", r"\[\d+\]")
            text = text.replace(r"\[C\]", r"\[\d+\]").replace("N/", r"\d+/", 1)
            found.append(re.compile(text.replace("'before'", "'(?:before|after)'") + "$"))
    return found


def test_the_document_names_every_array():
    import jax

    patterns = name_patterns()
    names = {n for f in FOLDERS for n in load_file(f / "weights.safetensors")}
    table = Model.load(HERE / "folders" / "classes-6652543").encoder
    image = Model.load(next(f for f in FOLDERS if f.name.startswith("images"))).encoder
    for encoder, recipe in (
        (table, Recipe(depth=2, heads=2, input_scale=6.0, numeric_embedding="periodic", norm="layer")),
        (image, Recipe(kind="residual", width=2, activation="prelu")),
    ):  # fmt: skip
        trees = zip(("parameters", "running"), init(recipe, net_shape(recipe, encoder), 0), strict=True)  # fmt: skip
        for part, tree in trees:
            leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
            names |= {f"0/{part}{jax.tree_util.keystr(path)}" for path, _ in leaves}
    of_nets = {n for n in names if n[0].isdigit()}
    assert [n for n in of_nets if not any(p.match(n) for p in patterns)] == []
    assert [p.pattern for p in patterns if not any(p.match(n) for n in of_nets)] == []
    rest = DOCUMENT.split("| `trees/K/...`")[1]
    fields = {n.split("/")[-1] for n in names if n.startswith("trees/")}
    assert fields == set(Forest.__dataclass_fields__)
    assert fields <= set(re.findall(r"`(\w+)`", rest))
    assert names - of_nets - {n for n in names if n.startswith("trees/")} == {"intervals/errors"}
