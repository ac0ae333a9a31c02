"""The options by which a model's data was read: whoever looks at it again reads it the same way."""

from __future__ import annotations

from dataclasses import replace

from popnet.data.tables.reading import ReadingChoices
from popnet.data.tables.schema import ASKED, Schema
from popnet.options import Options


def as_fitted(
    options: Options, schema: Schema, image_size: tuple[int, int] | None = None
) -> Options:
    """Return options with the roles of columns, the task and the size of images that a model was fitted with.

    Args:
        options: the user's; what they choose goes first, and columns that they drop are dropped beside the model's.
        schema: the model's.
        image_size: height and width of the images that it was fitted to; None for a table.
    """
    roles = {options.weight, options.group, options.time}
    dropped = [
        c.name
        for c in schema.columns
        if c.reason == ASKED and c.name not in {*roles, *options.keep}
    ]
    kept = [c.name for c in schema.features if c.name not in {*roles, *options.drop}]
    return replace(
        options,
        task=options.task or schema.target.task,
        weight=options.weight or schema.weight,
        group=options.group or schema.group,
        time=options.time or schema.time,
        drop=tuple(dict.fromkeys([*options.drop, *dropped])),
        keep=tuple(dict.fromkeys([*options.keep, *kept])) if image_size is None else options.keep,
        image_size=options.image_size or image_size,
        reading=_merged(options.reading, schema.reading),
    )


def _merged(chosen: ReadingChoices, fitted: ReadingChoices) -> ReadingChoices:
    """Return what the user says about how values are read, and what the model was fitted with where nothing is said."""
    said = chosen.model_dump(exclude_defaults=True)
    return fitted.model_copy(update=said)
