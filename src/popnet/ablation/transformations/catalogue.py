"""The transformations of images that may keep a class, each with the strengths that are tried."""

from __future__ import annotations

from dataclasses import dataclass

GENTLE = (
    "translation", "rotation", "scaling", "shear", "elastic_alpha", "zoomed_crop", "brightness", "contrast",
    "saturation", "erasing",
)  # fmt: skip
"""Transformations that are used where they show no loss, if there are few images."""


MANY = 20_000
"""From so many images on a gentle transformation is used only if it helps: what does nothing measurable for 600 images
does less for many, and costs accuracy in a training of a few epochs."""


FREE, MAX_LOSS = ("reflection", "erasing"), 0.1
"""These pay in trainings longer than the twins': they are used if their interval leaves out that they add more than
this share to the error (a test of non-inferiority). On Fashion-MNIST, 50,000 images, 18 epochs, erasing took errors
from 7.3 to 6.9 %, of which 600 images show nothing; on MNIST the test leaves it out."""


BENDING = ("translation", "rotation", "scaling", "shear", "elastic_alpha", "zoomed_crop")
"""Those whose strengths are lowered where several are used at once."""


@dataclass(frozen=True)
class ImageTransformation:
    """One transformation as it is tried.

    Attributes:
        name: of the recipe's field.
        words: for people, such as "turns up to 15 degrees".
        fields: changes of the recipe.
    """

    name: str
    words: str
    fields: dict[str, float]


def transformations(image: tuple[int, int, int]) -> list[ImageTransformation]:
    """Return what is tried on images of a height, width and number of channels."""
    side = min(image[:2])
    tried = [
        ImageTransformation("translation", "shifts up to 8 % of the side", {"translation": 0.08}),
        ImageTransformation("rotation", "turns up to 12 degrees", {"rotation": 12.0}),
        ImageTransformation("scaling", "scaling up to 15 %", {"scaling": 0.15}),
        ImageTransformation("shear", "shear up to 10 degrees", {"shear": 10.0}),
        ImageTransformation("elastic_alpha", "nonlinear morphing", elastic(side)),
        ImageTransformation("zoomed_crop", "crops of at least 60 % of the area", {"zoomed_crop": 0.4}),
        ImageTransformation("reflection", "left and right exchanged", {"reflection": 0.5}),
        ImageTransformation("vertical_reflection", "top and bottom exchanged", {"vertical_reflection": 0.5}),
        ImageTransformation("quarter_turn", "quarter turns", {"quarter_turn": 0.5}),
        ImageTransformation("half_turn", "half turns", {"half_turn": 0.5}),
        ImageTransformation("brightness", "brightness changed up to 30 %", {"brightness": 0.3}),
        ImageTransformation("contrast", "contrast changed up to 30 %", {"contrast": 0.3}),
        ImageTransformation("erasing", "a rectangle erased", {"erasing": 0.4}),
    ]  # fmt: skip
    if image[2] == 3:
        tried.append(
            ImageTransformation("saturation", "saturation changed up to 40 %", {"saturation": 0.4})
        )
    return tried


def elastic(side: int, strength: float = 1.0) -> dict[str, float]:
    """Return nonlinear morphing, on a side of any length 0.6 of what Simard et al. (2003) took on 29 pixels."""
    return {
        "elastic_alpha": round(strength * 20.0 * (side / 29) ** 2, 2),
        "elastic_sigma": round(max(4.0 * side / 29, 1.0), 2),
    }


def standard_policy(image: tuple[int, int, int]) -> dict[str, float]:
    """Return mild transformations that hardly ever change a class, for when nothing was measured."""
    return {
        "translation": 0.06, "rotation": 8.0, "scaling": 0.1, "shear": 5.0,
        **elastic(min(image[:2]), 0.7),
    }  # fmt: skip
