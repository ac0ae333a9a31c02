"""The same transformations in popnet, torchvision v2, albumentations and kornia, each as its best user would.

A system is a function ``make(transformation, images, workers) -> run``; ``run()`` transforms all of the images once. All
draw parameters for each image by itself. popnet and albumentations take uint8 arrays; torchvision gets uint8 tensors,
one image at a time, because a batch would share its parameters; kornia takes a batch of float tensors.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[[], Any]

ROTATION, SHIFT, SCALING, SHEAR = 15.0, 0.1, 0.1, 10.0
ALPHA, SIGMA = 20.0, 4.0
LIGHT, ERASING = 0.2, 0.3
PADDING = 1 / 8

TRANSFORMATIONS = ("rotate", "affine", "elastic", "crop", "flip", "policy")


def padding(side: int) -> int:
    """Return the pixels that a crop is padded by."""
    return round(PADDING * side)


# --- popnet ---------------------------------------------------------------------------------------

AFFINE = {"rotation": ROTATION, "translation": SHIFT, "scaling": SCALING}
FIELDS: dict[str, dict[str, float]] = {
    "rotate": {"rotation": ROTATION},
    "affine": {**AFFINE, "shear": SHEAR},
    "elastic": {"elastic_alpha": ALPHA, "elastic_sigma": SIGMA},
    "crop": {"crop": PADDING},
    "flip": {"reflection": 0.5},
    "policy": {
        **AFFINE, "elastic_alpha": ALPHA, "elastic_sigma": SIGMA, "reflection": 0.5,
        "brightness": LIGHT, "contrast": LIGHT, "erasing": ERASING,
    },
}  # fmt: skip


def popnet(name: str, images: np.ndarray, workers: int) -> Run:
    """NumPy arrays in and out, the policy alone."""
    from popnet.augment import Policy

    policy = Policy(**FIELDS[name], background=0, workers=workers)  # pyright: ignore[reportArgumentType]
    return lambda: policy(1, images)


# --- torchvision ----------------------------------------------------------------------------------


def import_torchvision() -> Any:
    """Import torchvision.transforms.v2.

    Beside a PyTorch that it was not compiled for, torchvision lacks its compiled operations and refuses to load for
    want of the first. No transformation uses any of them, so that a declaration in its place will do.
    """
    import torch

    try:
        return importlib.import_module("torchvision.transforms.v2")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import_torchvision.library = library  # pyright: ignore[reportFunctionMemberAccess]
        return importlib.import_module("torchvision.transforms.v2")


def torchvision(name: str, images: np.ndarray, workers: int) -> Run:
    """One uint8 tensor after another."""
    import torch

    v2 = import_torchvision()
    torch.set_num_threads(workers)
    side = images.shape[1]
    linear = v2.InterpolationMode.BILINEAR
    elastic = v2.ElasticTransform(ALPHA, SIGMA, interpolation=linear)
    flip = v2.RandomHorizontalFlip(0.5)
    near = (1 - SCALING, 1 + SCALING)
    transformation = {
        "rotate": lambda: v2.RandomRotation(ROTATION, interpolation=linear),
        "affine": lambda: v2.RandomAffine(
            ROTATION, (SHIFT, SHIFT), near, SHEAR, interpolation=linear
        ),
        "elastic": lambda: elastic,
        "crop": lambda: v2.RandomCrop(side, padding(side)),
        "flip": lambda: flip,
        "policy": lambda: v2.Compose([
            v2.RandomAffine(ROTATION, (SHIFT, SHIFT), near, interpolation=linear),
            elastic, flip, v2.ColorJitter(LIGHT, LIGHT), v2.RandomErasing(1.0, (0.02, ERASING**2)),
        ]),
    }[name]()  # fmt: skip
    tensors = list(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    return lambda: [transformation(x) for x in tensors]


# --- albumentations -------------------------------------------------------------------------------


def albumentations(name: str, images: np.ndarray, workers: int) -> Run:
    """One uint8 array after another, by OpenCV."""
    import albumentations as A
    import cv2

    cv2.setNumThreads(workers)
    side = images.shape[1]
    shift = (-SHIFT, SHIFT)
    near = (1 - SCALING, 1 + SCALING)
    elastic = A.ElasticTransform(ALPHA, SIGMA, noise_distribution="uniform", p=1)
    flip = A.HorizontalFlip(p=0.5)
    transformation = {
        "rotate": lambda: A.Rotate(ROTATION, p=1),
        "affine": lambda: A.Affine(
            scale=near, translate_percent=shift, rotate=(-ROTATION, ROTATION), shear=(-SHEAR, SHEAR), p=1
        ),
        "elastic": lambda: elastic,
        "crop": lambda: A.Compose([A.Pad(padding(side), p=1), A.RandomCrop(side, side)]),
        "flip": lambda: flip,
        "policy": lambda: A.Compose([
            A.Affine(scale=near, translate_percent=shift, rotate=(-ROTATION, ROTATION), p=1),
            elastic, flip, A.RandomBrightnessContrast(LIGHT, LIGHT, p=1),
            A.CoarseDropout((1, 1), (0.02, ERASING), (0.02, ERASING), p=1),
        ]),
    }[name]()  # fmt: skip
    arrays = [np.ascontiguousarray(x) for x in images]
    return lambda: [transformation(image=x)["image"] for x in arrays]


# --- kornia ---------------------------------------------------------------------------------------


def kornia(name: str, images: np.ndarray, workers: int) -> Run:
    """Batches of float tensors, parameters for each image."""
    import kornia.augmentation as K
    import torch

    torch.set_num_threads(workers)
    side = images.shape[1]
    near = (1 - SCALING, 1 + SCALING)
    width = 2 * round(3 * SIGMA) + 1
    # Its displacements are in units of half a side.
    elastic = K.RandomElasticTransform(
        (width, width), (SIGMA, SIGMA), (2 * ALPHA / side, 2 * ALPHA / side), p=1
    )
    flip = K.RandomHorizontalFlip(p=0.5)
    transformation = {
        "rotate": lambda: K.RandomRotation(ROTATION, p=1),
        "affine": lambda: K.RandomAffine(ROTATION, (SHIFT, SHIFT), near, SHEAR, p=1),
        "elastic": lambda: elastic,
        "crop": lambda: K.RandomCrop((side, side), padding=padding(side)),
        "flip": lambda: flip,
        "policy": lambda: K.AugmentationSequential(
            K.RandomAffine(ROTATION, (SHIFT, SHIFT), near, p=1), elastic, flip,
            K.RandomBrightness((1 - LIGHT, 1 + LIGHT), p=1), K.RandomContrast((1 - LIGHT, 1 + LIGHT), p=1),
            K.RandomErasing((0.02, ERASING**2), p=1),
        ),
    }[name]()  # fmt: skip
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255
    batches = list(x.split(max(1, min(256, 2**20 // x[0].numel()))))

    def run() -> list[Any]:
        with torch.no_grad():
            return [transformation(b) for b in batches]

    return run


SYSTEMS: dict[str, Callable[[str, np.ndarray, int], Run]] = {
    "popnet": popnet,
    "torchvision": torchvision,
    "albumentations": albumentations,
    "kornia": kornia,
}


def missing(system: str) -> str:
    """Return why a system cannot be measured, or ``""``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_torchvision() if system == "torchvision" else importlib.import_module(system)
    except (ImportError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""
