"""Images made ready for a fit: a table of one column that holds images, and its target."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from popnet.data import split_sizes, splits
from popnet.data.dataset import Dataset
from popnet.data.images.format import ImageFormat
from popnet.data.images.pictures import TEST, TRAIN, VALIDATION, Pictures
from popnet.data.splits import SplitKeys
from popnet.data.tables.encode import Encoder, fit_scales
from popnet.data.tables.schema import Column, Schema
from popnet.data.tables.target import conform_target, infer_target
from popnet.errors import InputError
from popnet.options import Options
from popnet.prepare.prepared import Prepared

TABLE_OPTIONS = ("weight", "group", "time", "drop", "keep")


def prepare_images(
    source: Any,
    target: str | None,
    options: Options,
    on_progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Read, check, split and encode images.

    Args:
        source: what `read_images` takes, or pictures with labels.
        target: the label column of a table of paths; None for others.
        options: the fit's.
        on_progress: called now and then with the images read, and their number.

    Raises:
        InputError: the images, the target or an option cannot be used.
    """
    for name in TABLE_OPTIONS:
        if getattr(options, name):
            raise InputError(f"{name} is for the columns of a table; leave it out for images.")
    if isinstance(source, Pictures):
        pictures = source
    else:
        from popnet.data.images.read import read_images  # loads Pillow, which tables do not need

        pictures = read_images(
            source, size=options.image_size, target=target, strict=options.strict,
            on_progress=on_progress, workers=options.workers,
        )  # fmt: skip
    label = pictures.label_name
    labels = pictures.labels
    if labels is None:
        raise InputError("the images have no labels, so there is nothing to learn.")
    frame = _targets(labels, label)
    # A folder's or a label's name is one, also if it is "None" or "NA".
    reading = options.reading.model_copy(update={"na_values": options.reading.na_values or ()})
    found = infer_target(
        frame, frame.columns, options.task, single_rows=options.tiny, reading=reading
    )
    frame = conform_target(frame, found)
    rows = len(pictures.pixels)
    classes = frame[frame.columns[0]].rank("dense").to_numpy() if found.classes else None
    notes = list(pictures.notes)
    part = _test_part(pictures, options, classes, notes)
    folds = _folds(pictures, part.train, options, classes)
    image = "image" if "image" not in frame.columns else "image file"
    schema = Schema(
        columns=(Column(name=image, kind="image", used=True, missing=0, distinct=rows),),
        target=found,
        rows=rows,
        rows_without_target=0,
    )
    encoder = Encoder(
        columns=(),
        target=found,
        scales=fit_scales(frame, found, part.train, log=options.log_target),
        image=ImageFormat.of(pictures, part.train),
    )
    assert encoder.image is not None
    y, _ = encoder.encode_target(frame)
    data = Dataset(
        encoder.image.images(pictures.pixels),
        y,
        "classification" if found.classes else "regression",
        encoder.n_outputs,
    )
    notes += _duplicates(pictures.pixels, part)
    own = pictures.parts is not None and (pictures.parts == TEST).any()
    split = "given" if own else "stratified" if found.classes else "random"
    return Prepared(
        schema, encoder, data, part.train, part.valid, folds, split, notes, None,
        SplitKeys(classes),
    )  # fmt: skip


def _targets(labels: list[Any], name: str) -> pl.DataFrame:
    if isinstance(labels[0], list | tuple):
        rows: list[Sequence[Any]] = labels
        return pl.DataFrame(
            {f"{name}{k + 1}": [row[k] for row in rows] for k in range(len(rows[0]))}
        )
    return pl.DataFrame({name: labels})


def _test_part(
    pictures: Pictures, options: Options, classes: np.ndarray | None, notes: list[str]
) -> splits.Fold:
    rows = len(pictures.pixels)
    everything = np.arange(rows, dtype=np.int32)
    if pictures.parts is not None and (pictures.parts == TEST).any():
        if options.test_size:
            notes.append("the images have a test part of their own, so test_size is not used")
        test = pictures.parts == TEST
        return splits.Fold(everything[~test], everything[test])
    fraction = split_sizes.test_fraction(rows) if options.test_size is None else options.test_size
    if fraction == 0:
        return splits.Fold(everything, everything[:0])
    return splits.holdout(rows, fraction, options.seed, stratify=classes)


def _folds(
    pictures: Pictures, train: np.ndarray, options: Options, classes: np.ndarray | None
) -> list[splits.Fold]:
    """Return the validation part that the images have, or folds."""
    parts = pictures.parts
    if options.folds is None and parts is not None and (parts == VALIDATION).any():
        own = parts[train]
        return [splits.Fold(train[own == TRAIN], train[own == VALIDATION])]
    k = options.folds or split_sizes.image_fold_count(len(train), options.members)
    folds = splits.folds(train, k, options.seed, stratify=classes)
    if k > 1:
        return folds
    return [splits.capped(folds[0], split_sizes.validation_images(len(train)), options.seed)]


def _duplicates(pixels: np.ndarray, part: splits.Fold) -> list[str]:
    """Return a line if images of the test part are also among the training images."""
    if not len(part.valid):
        return []

    def mark(i: int) -> bytes:  # images themselves would be held in memory twice
        return hashlib.blake2b(pixels[i].tobytes(), digest_size=16).digest()

    known = {mark(i) for i in part.train}
    twice = sum(mark(i) in known for i in part.valid)
    if not twice:
        return []
    which = "image of the test part is" if twice == 1 else "images of the test part are"
    return [
        f"{twice:,} {which} also in the training part, pixel by pixel: "
        "the score is that much too good"
    ]
