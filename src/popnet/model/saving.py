"""A model on its way into its folder and back: JSON and tensors, with digests that say whether they were altered."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import jax
import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from popnet._version import __version__
from popnet.data.tables.encode import Encoder
from popnet.data.tables.schema import Schema
from popnet.errors import ModelError
from popnet.model import facts, files
from popnet.model.folder import MODEL, WEIGHTS, lost
from popnet.nn.net import init, weight_count
from popnet.population.predict import Net
from popnet.predictions import ensemble, metrics
from popnet.predictions.conformal import Conformal
from popnet.predictions.decisions import Decision
from popnet.runtime import strict_json, typed_jax
from popnet.runtime.atomic_file import write_together
from popnet.spec.recipe import Recipe
from popnet.spec.shape import Shape
from popnet.trees.forest import Forest
from popnet.types import Tree

if TYPE_CHECKING:
    from popnet.model.model import Model

FORMAT, WITH_TREES, WITH_COMBINATIONS = 1, 2, 3
"""Versions of the folder's format: of nets alone, as all popnets read it, of nets and trees, and of columns made of two
others. A folder has the first that can hold it."""

MAX_REASON = 300
"""Characters of what is wrong with a content: it may quote a value of any length."""

MAX_VIEWS = 1000
"""Views of an image that a saved model may predict by; each takes a pass over all nets."""

ERRORS = "intervals/errors"
"""The tensor of held-out errors."""


def save(model: Model, folder: Path) -> None:
    """Write ``model.json`` and ``weights.safetensors`` into a folder that exists.

    Raises:
        OSError: they cannot be written; earlier ones stay.
    """
    text, data = _files(model)
    write_together(folder, {WEIGHTS: data, MODEL: text})


def size(model: Model) -> int:
    """Return the bytes that ``model.json`` and ``weights.safetensors`` take."""
    return sum(map(len, _files(model)))


def _files(model: Model) -> tuple[bytes, bytes]:
    """Return ``model.json`` and ``weights.safetensors``."""
    content, data = _content(model)
    return strict_json.dumps(content, indent=1).encode("utf-8"), data


def digest(model: Model) -> str:
    """Return the digest that a model's ``model.json`` has, ``sha256``, if this version of popnet saves it."""
    return str(_content(model)[0]["sha256"])


def _content(model: Model) -> tuple[dict[str, Any], bytes]:
    """Return what ``model.json`` and ``weights.safetensors`` hold."""
    tensors: dict[str, np.ndarray] = {}
    nets: list[dict[str, object]] = []
    for i, (net, weight) in enumerate(zip(model.nets, model.weights, strict=False)):
        for part, tree in (("parameters", net.parameters), ("running", net.running)):
            for path, leaf in typed_jax.flatten_with_path(tree)[0]:
                tensors[f"{i}/{part}{jax.tree_util.keystr(path)}"] = np.ascontiguousarray(leaf)
        nets.append({"recipe": net.recipe.model_dump(), "weight": float(weight)})
    trees: list[dict[str, object]] = []
    for i, (forest, weight) in enumerate(zip(model.trees, model.tree_weights, strict=True)):
        tensors |= {f"trees/{i}/{name}": array for name, array in forest.arrays().items()}
        trees.append({"weight": float(weight)})
    if model.conformal is not None:
        tensors[ERRORS] = model.conformal.errors
    data = save_tensors(tensors)
    left_out = (
        None if model.encoder.combinations else {"combinations"}
    )  # earlier formats have no such key
    content = {
        "format": _format(model),
        "popnet": __version__,
        "schema": model.schema.model_dump(mode="json"),
        "encoder": model.encoder.model_dump(mode="json", exclude=left_out),
        "method": model.method,
        "metric": model.metric,
        "views": model.views,
        "intervals": None if model.conformal is None else model.conformal.to_json(),
        "decision": None if model.decision is None else model.decision.to_json(),
        "temperature": model.temperature,
        "nets": nets,
        **({"trees": trees} if trees else {}),
        "facts": facts.to_json(model.facts),
        "weights_sha256": hashlib.sha256(data).hexdigest(),
    }
    content = strict_json.finite(content)
    content["sha256"] = _digest(content)
    return content, data


def _format(model: Model) -> int:
    if model.encoder.combinations:
        return WITH_COMBINATIONS
    return WITH_TREES if model.trees else FORMAT


def load(cls: type[Model], folder: str | Path) -> Model:
    """Return the model that a folder holds.

    Raises:
        ModelError: it is missing, of a newer format, altered or cut short; one sentence says which.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ModelError(f"There is no folder {folder}; {lost(folder) or 'check the path.'}")
    if not (folder / MODEL).is_file():
        raise ModelError(f"{folder} is not a model folder: it has no {MODEL}.")
    text = files.read(folder, MODEL)
    try:
        content = strict_json.loads(text)
        version = content["format"]
    except strict_json.RefusedJsonError as error:
        raise ModelError(f"{folder / MODEL} cannot be read as a model: {error}.") from None
    except (ValueError, KeyError, TypeError):
        raise ModelError(
            f"{folder / MODEL} is cut short or damaged; copy the folder again."
        ) from None
    if version not in (FORMAT, WITH_TREES, WITH_COMBINATIONS):
        raise ModelError(
            f"{folder} has format {str(version)[:20]}, this popnet ({__version__}) reads {FORMAT} to "
            f"{WITH_COMBINATIONS}; use popnet {str(content.get('popnet', 'of another version'))[:20]}."
        )
    if content.pop("sha256", None) != _digest(content):
        raise ModelError(f"{folder / MODEL} was altered after it was saved; copy the folder again.")
    data = files.read(folder, WEIGHTS)
    if hashlib.sha256(data).hexdigest() != content.get("weights_sha256"):
        raise ModelError(f"{folder / WEIGHTS} is cut short or was altered; copy the folder again.")
    try:
        return _model(cls, content, load_tensors(data))
    except _NO_MODEL as error:
        raise ModelError(f"{folder} cannot be read as a model: {_reason(error)}.") from None


_NO_MODEL = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, SafetensorError, TypeError, ValueError,
    struct.error,
)  # fmt: skip
"""What comes of a content that was signed but is none of a model; pydantic's errors and popnet's are ValueErrors."""


def _reason(error: BaseException) -> str:
    """Return in a few words what is wrong with a content."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    elif isinstance(error, KeyError):
        said = f"{error} is missing"
    else:
        said = str(error) or type(error).__name__
    said = said.split("\n", 1)[0].rstrip(".")
    return said if len(said) <= MAX_REASON else f"{said[:MAX_REASON]}…"


def _model(
    cls: type[Model], content: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Model:
    encoder = Encoder.model_validate_json(json.dumps(content["encoder"]))
    encoder.check()
    schema = Schema.model_validate_json(json.dumps(content["schema"]))
    schema.target.check()
    of_trees = content.get("trees", [])
    weights = np.array([r["weight"] for r in (*content["nets"], *of_trees)], np.float64)
    if not (len(weights) and np.all(weights >= 0) and abs(weights.sum() - 1) < 1e-6):
        raise ValueError("the weights of its members are no shares of 1")
    if content["method"] not in get_args(ensemble.Method):
        raise ValueError(f"it combines members by {content['method']!r}, which is not known")
    if not isinstance(content["metric"], str):
        raise ValueError("its metric is no name")
    metrics.choose(content["metric"], encoder.target.task)
    views = content.get("views", 1)
    if not isinstance(views, int) or not 1 <= views <= MAX_VIEWS:
        raise ValueError(f"{views} views of an image")
    nets: list[Net] = []
    for i, record in enumerate(content["nets"]):
        recipe = Recipe.from_mapping(record["recipe"])
        shape = net_shape(recipe, encoder)
        prefix = f"{i}/parameters"
        size = sum(array.size for name, array in tensors.items() if name.startswith(prefix))
        if size < weight_count(shape):  # before as many are drawn as a recipe asks for
            raise ValueError(f"{prefix}: fewer weights than the net of its recipe has")
        trees: list[Tree] = []
        for part, template in zip(("parameters", "running"), init(recipe, shape, 0), strict=True):
            trees.append(_fill(template, tensors, f"{i}/{part}"))
        nets.append(Net(recipe, shape, *trees))
    forests = tuple(_forest(tensors, f"trees/{i}/", encoder) for i in range(len(of_trees)))
    conformal = content.get("intervals")
    if conformal is not None:
        conformal = Conformal.from_json(conformal, tensors[ERRORS])
        if (len(conformal.folds), len(conformal.sizes)) != (len(weights), encoder.n_outputs):
            raise ValueError("its intervals are of other members or targets")
    decision = content.get("decision")
    if decision is not None:
        decision = Decision.from_json(decision, len(encoder.target.classes))
    temperature = float(content.get("temperature", 1.0))
    if not 0 < temperature < np.inf:
        raise ValueError(f"a temperature of {temperature}")
    return cls(
        schema=schema,
        encoder=encoder,
        nets=tuple(nets),
        weights=weights,
        method=content["method"],
        metric=content["metric"],
        facts=facts.from_json(content["facts"]),
        views=views,
        conformal=conformal,
        decision=decision,
        temperature=temperature,
        trees=forests,
    )


def _forest(tensors: Mapping[str, np.ndarray], prefix: str, encoder: Encoder) -> Forest:
    """Return the trees that lie under a prefix.

    Raises:
        KeyError, ValueError: they are not there, or not of the encoder's columns and outputs.
    """
    if encoder.image is not None:
        raise ValueError("trees beside nets of images")
    found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    forest, names = Forest.of_arrays(found), encoder.names
    columns = len(names.codes) + len(encoder.member_numbers) + len(names.flags)
    if forest.n_outputs != encoder.n_outputs or np.any(forest.column >= columns):
        raise ValueError(f"{prefix}: the trees are of other columns or outputs")
    if forest.levels.tolist() != list(encoder.levels):
        raise ValueError(f"{prefix}: the trees are of other levels")
    return forest


def net_shape(recipe: Recipe, encoder: Encoder) -> Shape:
    """Return the shape of a recipe's net on an encoder's arrays."""
    names = encoder.names
    return Shape.make(
        recipe,
        image=encoder.image.size if encoder.image else None,
        n_numeric=len(encoder.member_numbers),
        n_flags=len(names.flags),
        levels=tuple(encoder.levels),
        knots=encoder.member_knots,
        n_outputs=encoder.n_outputs,
        task="regression" if encoder.target.task == "regression" else "classification",
    )


def _fill(template: Tree, tensors: Mapping[str, np.ndarray], prefix: str) -> Tree:
    def leaf(path: Any, like: np.ndarray) -> np.ndarray:
        found = tensors[prefix + jax.tree_util.keystr(path)]
        if found.shape != like.shape or found.dtype != like.dtype:
            raise ValueError(
                f"{prefix}: {found.dtype} {found.shape} instead of {like.dtype} {like.shape}"
            )
        if not np.isfinite(found).all():
            raise ValueError(f"{prefix}: a weight is not a finite number")
        return found

    return jax.tree_util.tree_map_with_path(leaf, template)


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
