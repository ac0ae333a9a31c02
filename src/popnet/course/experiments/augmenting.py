"""Claim 14: augmentation helps most with little data, and harms where it destroys the class."""

from __future__ import annotations

import numpy as np

from popnet.ablation.transformations.check import STEPS, twin_recipe
from popnet.course.base import Outcome, Part
from popnet.course.evidence import crossed, gains, mean_band, points
from popnet.course.lab import Bench, several
from popnet.data.dataset import Images
from popnet.report.document import Line, Lines, Table
from popnet.report.format import fixed

FACTORS = (0.5, 1, 4)
SEEDS = 3
KEEPS = {"translation": 0.08, "rotation": 10.0, "scaling": 0.1}
DESTROYS = {"half_turn": 0.5, "vertical_reflection": 0.5}


def augmenting(bench: Bench) -> Outcome:
    """Claim 14."""
    images = bench.images
    assert isinstance(images.data.features, Images)
    least = 0.005 if images.data.task == "classification" else 0.01
    members = []
    for k in range(images.repeats):
        group = []
        for f in FACTORS:
            base = twin_recipe(images.data.features.size, images.rows(f))
            epochs = bench.epochs(STEPS, images.rows(f))
            base = base.replace(epochs=epochs, patience=1_000_000)
            recipes = [base, base.replace(**KEEPS), base.replace(**DESTROYS)]
            group += several(bench, recipes, "augmenting", images.fold(k, f), SEEDS)
        members.append(group)
    results = bench.train(members, images)
    wrong = np.array([bench.errors(g, images) for g in results])
    wrong = wrong.reshape(len(results), len(FACTORS), SEEDS, 3, -1).mean(2)
    gain = wrong[:, :, 0] - wrong[:, :, 1]
    overlaps = [images.overlap(f) for f in FACTORS]
    few = crossed(gain[:, 0], overlaps[0])
    most = crossed(gain[:, 0] - gain[:, -1], max(overlaps))
    harm = crossed((wrong[:, :, 2] - wrong[:, :, 0]).mean(1), max(overlaps))
    rows_few, rows_many = images.rows(FACTORS[0]), images.rows(FACTORS[-1])
    parts = (
        Part(
            f"with {rows_few} images, small shifts, turns and scalings lower the test error",
            f"with {rows_few} images small shifts, turns and scalings take {points(few)} off the test error",
            gains(few, least),
            few,
        ),
        Part(
            f"they lower it more with {rows_few} images than with {rows_many}",
            f"{points(most)} more than with {rows_many} images",
            gains(most, least),
            most,
        ),
        Part(
            "images turned upside down raise the test error",
            f"images turned upside down add {points(harm)}",
            gains(harm, least),
            harm,
        ),
    )
    names = ("none", "shifts, turns, scalings", "upside down")
    xs = [float(images.rows(f)) for f in FACTORS]
    lines = tuple(
        Line(name, xs, *mean_band(100 * wrong[:, :, i].mean(-1))) for i, name in enumerate(names)
    )
    rows = tuple(
        (name, *(f"{fixed(100 * float(wrong[:, s, i].mean()), 1)} %" for s in range(len(FACTORS))))
        for i, name in enumerate(names)
    )
    return Outcome(
        parts,
        (
            f"{images.name}: small convolutional nets, about {STEPS} steps whatever the number of images. Shifts of "
            "up to 8 % of the side, turns of up to 10 degrees and scalings of up to 10 % keep a digit what it is. "
            "Half turns and reflections from top to bottom, half of the images each, do not: a 6 becomes a 9. "
            f"Images are judged as they are. {len(results)} repetitions with images of their own and {SEEDS} seeds "
            f"each, twins equal but for the transformations; {len(images.test)} test images.",
        ),
        (Lines(lines, "training images", "test error, %", log_x=True),),
        Table(("transformations", *(f"{images.rows(f)} images" for f in FACTORS)), rows),
    )  # fmt: skip
