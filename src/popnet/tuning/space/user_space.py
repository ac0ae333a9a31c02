"""A user's own ranges and fixed values: from the command line, from a TOML file, or from Python."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from popnet.errors import InputError, RecipeError, closest
from popnet.spec.recipe import Recipe
from popnet.tuning.space import ranges
from popnet.tuning.space.space import Dimension


def dimension(field: str, spec: Any) -> Dimension:
    """Return what a user wrote of one field.

    Args:
        field: of a recipe.
        spec: a range as text (see `popnet.tuning.space.ranges`), a list to choose from, a `Range`, or a mapping with a
            ``range`` and ``when``, as in ``{"range": "0.01:0.3", "when": {"activation": ["leaky_relu"]}}``.

    Raises:
        InputError: the field is unknown, or the range is none or has values that the field cannot have.
    """
    _known(field)
    when: Mapping[str, Any] = {}
    if isinstance(spec, Mapping):
        table = cast("Mapping[str, Any]", spec)
        unknown = table.keys() - {"range", "when"}
        if unknown or "range" not in table:
            raise InputError(
                f"'{field}': a table has 'range' and, if you like, 'when'; got {', '.join(table)}."
            )
        spec, when = table["range"], table.get("when", {})
    try:
        found = _range(spec)
    except InputError as error:
        raise InputError(f"'{field}': {error}") from None
    found = _whole(found) if Recipe.model_fields[field].annotation is int else found
    for value in found.points(2):
        _possible(field, value)
    return Dimension(
        field, found, {f: _condition(field, f, v) for f, v in when.items()}, "user-defined"
    )


def dimensions(specs: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """Return what a user wrote of several fields; see `dimension`."""
    if not isinstance(specs, Mapping):
        raise InputError(
            f"space must be ranges by field, as {{'dropout': '0:0.5'}}; got {specs!r}."
        )
    return tuple(dimension(field, spec) for field, spec in specs.items())


def load(path: str | Path) -> tuple[Dimension, ...]:
    """Read ranges from a TOML file, one line a field: ``learning_rate = "log:1e-4:1e-1"``.

    Raises:
        InputError: the file is missing, is not TOML, or a line is not a range.
    """
    path = Path(path)
    try:
        specs = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The space {path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"The space {path} is not valid TOML: {error}.") from None
    try:
        return dimensions(specs)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def merged(path: str | Path | None, texts: Iterable[str]) -> tuple[Dimension, ...]:
    """Return the ranges of a file, if there is one, and of texts like ``dropout=0:0.5``, which go first.

    Raises:
        InputError: as `load`, `settings` and `dimension`.
    """
    given = dimensions(settings(texts, "--set"))
    names = {d.field for d in given}
    read = load(path) if path else ()
    return (*(d for d in read if d.field not in names), *given)


def settings(texts: Iterable[str], option: str) -> dict[str, str]:
    """Return fields and what is written behind their equal signs, of texts like ``dropout=0:0.5``.

    Raises:
        InputError: one has no equal sign, or a field stands twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        field, sign, rest = text.partition("=")
        field = field.strip()
        if not sign or not rest.strip():
            raise InputError(f"{option} takes FIELD=VALUE; got {text!r}.")
        if field in found:
            raise InputError(f"{option} names '{field}' twice.")
        found[field] = rest
    return found


def fix(recipe: Recipe | None, values: Mapping[str, str]) -> Recipe | None:
    """Return a recipe with more fields set, their values as text; one is made if there is none yet.

    Raises:
        InputError: a field is unknown or cannot have the value.
    """
    if not values:
        return recipe
    for field in values:
        _known(field)
    set_ = {} if recipe is None else recipe.model_dump(exclude_unset=True)
    return Recipe(**{**set_, **{f: ranges.value(v) for f, v in values.items()}})


def recipe(path: str | Path | None, texts: Iterable[str]) -> Recipe | None:
    """Return the recipe of a file, if there is one, with the fields set that texts like ``activation=relu`` fix.

    Raises:
        InputError: as `Recipe.load`, `settings` and `fix`.
    """
    return fix(Recipe.load(path) if path else None, settings(texts, "--fix"))


def _known(field: str) -> None:
    if field not in Recipe.model_fields:
        raise InputError(
            f"'{field}' is not a field of a recipe.{closest(field, Recipe.model_fields)}"
        )


def _range(spec: Any) -> ranges.Range:
    if isinstance(spec, ranges.Linear | ranges.Integer | ranges.Choice | ranges.OrZero):
        return spec
    if isinstance(spec, str):
        return ranges.parse(spec)
    if isinstance(spec, list | tuple):
        return ranges.Choice(tuple(cast("Sequence[Any]", spec)))
    raise InputError(f"a range is {ranges.FORMS}, or a list; got {spec!r}.")


def _whole(found: ranges.Range) -> ranges.Range:
    """Return a range of numbers as one of whole numbers, which the field wants."""
    if type(found) in (ranges.Linear, ranges.Log):
        assert isinstance(found, ranges.Linear)
        if found.low % 1 == 0 and found.high % 1 == 0:
            return ranges.Integer(int(found.low), int(found.high), isinstance(found, ranges.Log))
    return found


def _possible(field: str, value: Any) -> None:
    try:
        Recipe(**{field: value})
    except RecipeError as error:
        raise InputError(str(error).removeprefix("Recipe: ")) from None


def _condition(field: str, on: str, values: Any) -> tuple[Any, ...]:
    if on not in Recipe.model_fields:
        raise InputError(
            f"'{field}' is to depend on '{on}', which is not a field of a recipe.{closest(on, Recipe.model_fields)}"
        )
    several = isinstance(values, list | tuple)
    found: tuple[Any, ...] = tuple(cast("Sequence[Any]", values)) if several else (values,)
    for value in found:
        _possible(on, value)
    return found
