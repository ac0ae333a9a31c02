"""What transformations do to a user's images: a contact sheet, and twins that say which keep the class."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from popnet.ablation.transformations.catalogue import standard_policy
from popnet.ablation.transformations.check import check as train_twins
from popnet.ablation.transformations.check import facts
from popnet.ablation.transformations.contact_sheet import contact_sheet
from popnet.data.dataset import Images
from popnet.errors import InputError
from popnet.options import DEFAULTS, Options
from popnet.prepare.images import prepare_images
from popnet.report.fit_page.facts import AugmentationFacts
from popnet.runtime import keys
from popnet.runtime.progress import Progress

SHOWN = 6
"""Images of a contact sheet."""


@dataclass(frozen=True)
class Examined:
    """What was found about the transformations of some images.

    Attributes:
        check: effect of each transformation; None if it was not asked for.
        classes: that the images have, in the order of the check's class numbers.
        sheet: PNG of the contact sheet, or None.
        notes: lines for people.
    """

    check: AugmentationFacts | None
    classes: tuple[Any, ...]
    sheet: bytes | None
    notes: list[str]


def examine(
    source: Any,
    target: str | None = None,
    options: Options = DEFAULTS,
    *,
    check: bool = True,
    sheet: bool = False,
    pairs: int = 4,
    only: Sequence[str] = (),
    steps: int | None = None,
    train: int | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
    began: float | None = None,
) -> Examined:
    """Train twins with and without each transformation of some images, and draw what the transformations do.

    Args:
        source: images with classes, as `popnet.fitting.run.fit` takes them.
        target: label column of a table of paths.
        options: image size, seed, time limit, workers.
        check: whether twins are trained.
        sheet: whether a contact sheet is drawn.
        pairs: of twins, for each transformation.
        only, steps, train: see `popnet.ablation.transformations.check.check`.
        on_progress: called now and then.
        stop: when set, training ends and the complete pairs are compared.
        began: moment of ``time.monotonic()`` from which the time limit counts; default now.

    Raises:
        InputError: the images cannot be used, or the time was over before twins were trained.
    """
    options.check()
    began = time.monotonic() if began is None else began
    deadline = None if options.time_limit is None else began + options.time_limit

    def reading(done: int, total: int) -> None:
        on_progress(Progress("reading images", done, total))

    prepared = prepare_images(source, target, options, reading)
    for note in prepared.notes:
        on_progress(Progress("reading", note=note))
    images = prepared.data.features
    assert isinstance(images, Images)
    found = None
    if check:
        found = train_twins(
            prepared.data, prepared.train, seed=options.seed, pairs=pairs, only=only, steps=steps,
            train=train, deadline=deadline,
            workers=options.workers, stop=stop,
            on_progress=lambda done, total: on_progress(Progress("augmentation", done, total)),
        )  # fmt: skip
        if found is None:
            raise InputError(
                "the time limit was reached before two pairs of nets were trained with each transformation; give "
                "more time, or fewer transformations (--only)."
            )
    policy = standard_policy(images.size) if found is None else found.policy()
    drawn = None
    if sheet:
        rows = keys.generator(options.seed, "sheet").permutation(prepared.train)[:SHOWN]
        drawn = contact_sheet(np.asarray(images.pixels)[rows], policy, seed=options.seed)
    classes = prepared.schema.target.classes
    checked = None if found is None else facts(found, classes)
    return Examined(checked, classes, drawn, prepared.notes)
