"""Folders of images: a subfolder a class, perhaps below train, val and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from popnet.data.images.files import Below, files_below, show_name
from popnet.data.images.load import load_files
from popnet.data.images.pictures import (
    PART_NAMES,
    TRAIN,
    Pictures,
    ReadOptions,
    check_number,
    counted,
    own_parts,
    some,
)
from popnet.errors import InputError, closest

_HINT = "put the images of each class into a subfolder of its own, named like the class"
_Path = tuple[str, ...]


@dataclass
class _Plan:
    """Which files are read, with the class and part of each."""

    files: list[_Path] = field(default_factory=list[_Path])
    labels: list[str] = field(default_factory=list[str])
    parts: list[int] = field(default_factory=list[int])
    # of each class, the parts that have its folder
    classes: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    beside: list[_Path] = field(default_factory=list[_Path])


def read_unlabelled(source: Path, wish: ReadOptions) -> Pictures:
    """Read one image file, or all images below a folder, sorted by path.

    Raises:
        InputError: there is no image, or none can be read.
    """
    if source.is_file():
        return load_files([source], [show_name((source.name,))], wish, source).pictures
    below = files_below(source)
    if not below.images:
        raise InputError(_no_images(source, below))
    pictures = _load(source, below.images, wish)[0]
    return replace(pictures, notes=pictures.notes + _others_note(below))


def read_class_folders(root: Path, wish: ReadOptions) -> Pictures:
    """Read a folder with a subfolder for each class, perhaps below train, val and test.

    A single subfolder that holds all others counts as the folder itself.

    Raises:
        InputError: no images, no subfolders, one class, a class without a readable image, with
            one image and no parts, or without one in train; fewer than 10 images.
    """
    below = files_below(root)
    if not below.images:
        raise InputError(_no_images(root, below))
    plan = _plan(root, below)
    _check_plan(root, plan)
    pictures, kept = _load(root, plan.files, wish)
    labels: list[str] = [plan.labels[i] for i in kept]
    parts = np.asarray(plan.parts, np.int8)[kept]
    _check_classes(root, plan, labels, parts)
    check_number(len(labels), root)
    notes = pictures.notes + _others_note(below)
    if plan.beside:
        listed = some([show_name(p) for p in plan.beside])
        notes.append(f"{counted(len(plan.beside), 'image')} in no class folder, left out: {listed}")
    return replace(pictures, labels=labels, parts=own_parts(parts), notes=notes, label_name="class")


def _load(root: Path, files: Sequence[_Path], wish: ReadOptions) -> tuple[Pictures, np.ndarray]:
    paths = [root.joinpath(*f) for f in files]
    loaded = load_files(paths, [show_name(f) for f in files], wish, root)
    return loaded.pictures, loaded.kept


def _no_images(root: Path, below: Below) -> str:
    if not below.others:
        return f"{root} is empty: it has no files, also not in its subfolders; give images."
    return (
        f"{root} has no images, only {counted(len(below.others), 'other file')} "
        f"({some([show_name(p) for p in below.others])}); give PNG, JPEG, WebP, BMP, GIF or TIFF "
        "files."
    )


def _others_note(below: Below) -> list[str]:
    if not below.others:
        return []
    n = len(below.others)
    verb = "is no image" if n == 1 else "are no images"
    listed = some([show_name(p) for p in below.others])
    return [f"{counted(n, 'file')} {verb} by the suffix and ignored: {listed}"]


def _plan(root: Path, below: Below) -> _Plan:
    """Find the class and the part of each image from its path."""
    start = _start(below)
    depth = len(start)
    images = [p for p in below.images if p[:depth] == start]
    folders = [p for p in below.folders if p[:depth] == start]
    tops = sorted({p[depth] for p in images if len(p) > depth + 1})
    if not tops:
        here = root.joinpath(*start)
        raise InputError(f"{here} has images but no subfolders: {_HINT}.")
    part_tops = [t for t in tops if t.lower() in PART_NAMES]
    nested = {p[depth] for p in images if len(p) > depth + 2}
    trains = [t for t in part_tops if PART_NAMES[t.lower()] == TRAIN]
    # "train" may be a class beside "car": it is a part only if class folders lie in it and
    # another part stands beside it, or nothing else does.
    by_parts = len(part_tops) == len(tops) or (
        any(t in nested for t in trains) and len(part_tops) > len(trains)
    )
    if not by_parts:
        return _classes_in(images, folders, depth)
    if not trains:
        raise InputError(
            f"{root.joinpath(*start)} has {' and '.join(part_tops)} but no folder train; call the "
            "folder of the images to train on train."
        )
    if not any(t in nested for t in trains):
        raise InputError(
            f"{root.joinpath(*start, trains[0])} has images but no subfolders: {_HINT}."
        )
    plan = _Plan(beside=[p for p in images if len(p) < depth + 2 or p[depth] not in part_tops])
    for top in part_tops:
        part = PART_NAMES[top.lower()]
        inner = _classes_in(
            [p for p in images if len(p) > depth + 1 and p[depth] == top],
            [p for p in folders if len(p) > depth + 1 and p[depth] == top],
            depth + 1,
            part,
        )
        plan.files += inner.files
        plan.labels += inner.labels
        plan.parts += inner.parts
        plan.beside += inner.beside
        for name in inner.classes:
            plan.classes.setdefault(name, []).append(part)
    return plan


def _start(below: Below) -> _Path:
    """Go down while one folder holds everything, as an unpacked archive often does."""
    start: _Path = ()
    while True:
        depth = len(start)
        images = [p for p in below.images if p[:depth] == start]
        tops = {p[depth] for p in images}
        if len(tops) != 1 or any(len(p) <= depth + 2 for p in images):
            return start
        top = next(iter(tops))
        siblings = [p for p in below.folders if p[:depth] == start and len(p) == depth + 1]
        if len(siblings) > 1 or top.lower() in PART_NAMES:
            return start
        start = (*start, top)


def _classes_in(
    images: Sequence[_Path], folders: Sequence[_Path], depth: int, part: int = TRAIN
) -> _Plan:
    """Take the folder at ``depth`` of each path for its class."""
    plan = _Plan(classes={p[depth]: [part] for p in folders if len(p) == depth + 1})
    for path in images:
        if len(path) == depth + 1:
            plan.beside.append(path)
        else:
            plan.files.append(path)
            plan.labels.append(show_name((path[depth],)))
            plan.parts.append(part)
    plan.classes = {show_name((name,)): parts for name, parts in plan.classes.items()}
    return plan


def _check_plan(root: Path, plan: _Plan) -> None:
    """Refuse what is wrong before any file is read."""
    if len(plan.classes) == 1:
        raise InputError(
            f"{root} has one class folder only, '{next(iter(plan.classes))}'; there is nothing to "
            "learn: add a folder with the images of a second class."
        )
    _check_classes(root, plan, plan.labels, np.asarray(plan.parts, np.int8))


def _check_classes(root: Path, plan: _Plan, labels: Sequence[str], parts: np.ndarray) -> None:
    counts = Counter(labels)
    empty = [name for name in sorted(plan.classes) if not counts[name]]
    if empty:
        many = "classes have" if len(empty) > 1 else "class has"
        raise InputError(
            f"{len(empty)} {many} no readable image in {root}: {_quoted(empty)}; add images or "
            "remove the folder."
        )
    if own_parts(parts) is not None:
        trained = {label for label, part in zip(labels, parts, strict=True) if part == TRAIN}
        lacking = sorted(set(labels) - trained)
        if lacking:
            raise InputError(
                f"the class '{lacking[0]}' of {root} has images in another part but none in "
                f"train; add some to train or remove the class.{closest(lacking[0], trained)}"
            )
        return
    single = sorted(name for name, n in counts.items() if n == 1)
    if single:
        many = "classes have" if len(single) > 1 else "class has"
        raise InputError(
            f"{len(single)} {many} one image only in {root}: {_quoted(single)}; a split needs 2: "
            "add images or remove the folder."
        )


def _quoted(names: Sequence[str]) -> str:
    return some([f"'{name}'" for name in names])
