"""Claim 14: augmentation helps most with little data, and harms where it destroys the class."""

from __future__ import annotations

import numpy as np

from popnet.ablation.transformations.check import STEPS, twin_recipe
from popnet.course.base import ClaimOutcome, Criterion
from popnet.course.evidence import as_points, crossed_interval, holds_for_gain, mean_band
from popnet.course.lab import Bench, twins_of_seeds
from popnet.data.dataset import Images
from popnet.population.members import Member
from popnet.report.document import Line, Lines, Table
from popnet.report.format import fixed

FACTORS = (0.5, 1, 4)
SEEDS = 3
CLASS_KEEPING = {"translation": 0.08, "rotation": 10.0, "scaling": 0.1}
CLASS_CHANGING = {"half_turn": 0.5, "vertical_reflection": 0.5}


def augmenting(bench: Bench) -> ClaimOutcome:
    """Test claim 14."""
    images = bench.images
    assert isinstance(images.data.features, Images)
    min_gain = 0.005 if images.data.task == "classification" else 0.01
    groups: list[list[Member]] = []
    for k in range(images.repeats):
        group: list[Member] = []
        for f in FACTORS:
            base = twin_recipe(images.data.features.size, images.rows(f))
            epochs = bench.epochs(STEPS, images.rows(f))
            base = base.replace(epochs=epochs, patience=1_000_000)
            recipes = [base, base.replace(**CLASS_KEEPING), base.replace(**CLASS_CHANGING)]
            group += twins_of_seeds(bench, recipes, "augmenting", images.fold(k, f), SEEDS)
        groups.append(group)
    results = bench.train(groups, images)
    wrong = np.array([bench.errors(g, images) for g in results])
    wrong = wrong.reshape(len(results), len(FACTORS), SEEDS, 3, -1).mean(2)
    gain = wrong[:, :, 0] - wrong[:, :, 1]
    overlaps = [images.overlap(f) for f in FACTORS]
    few = crossed_interval(gain[:, 0], overlaps[0])
    most = crossed_interval(gain[:, 0] - gain[:, -1], max(overlaps))
    harm = crossed_interval((wrong[:, :, 2] - wrong[:, :, 0]).mean(1), max(overlaps))
    rows_few, rows_many = images.rows(FACTORS[0]), images.rows(FACTORS[-1])
    parts = (
        Criterion(
            f"with {rows_few} images, small shifts, rotations and scalings lower the test error",
            f"with {rows_few} images, small shifts, rotations and scalings lower the test error by {as_points(few)}",
            holds_for_gain(few, min_gain),
            few,
        ),
        Criterion(
            f"they lower it more with {rows_few} images than with {rows_many}",
            f"that is {as_points(most)} more than with {rows_many} images",
            holds_for_gain(most, min_gain),
            most,
        ),
        Criterion(
            "images turned upside down raise the test error",
            f"images turned upside down raise it by {as_points(harm)}",
            holds_for_gain(harm, min_gain),
            harm,
        ),
    )
    names = ("none", "shifts, rotations, scalings", "upside down")
    xs = [float(images.rows(f)) for f in FACTORS]
    lines = tuple(
        Line(name, xs, *mean_band(100 * wrong[:, :, i].mean(-1))) for i, name in enumerate(names)
    )
    rows = tuple(
        (name, *(f"{fixed(100 * float(wrong[:, s, i].mean()), 1)} %" for s in range(len(FACTORS))))
        for i, name in enumerate(names)
    )
    return ClaimOutcome(
        parts,
        (
            f"{images.name}: small convolutional nets, about {STEPS} steps whatever the number of images. Shifts of "
            "up to 8 % of the side, rotations of up to 10 degrees and scalings of up to 10 % keep a digit what it is. "
            "Half turns and vertical flips, each applied to half of the images, do not: a 6 becomes a 9. "
            f"The {len(images.test)} test images are not transformed. {len(results)} repetitions, each with its own "
            f"training images and {SEEDS} seeds; twins differ in the transformations only.",
        ),
        (Lines(lines, "training images", "test error, %", log_x=True),),
        Table(("transformations", *(f"{images.rows(f)} images" for f in FACTORS)), rows),
    )  # fmt: skip
