"""The augmentations that are compared: popnet and its peers, each as its documentation has it used.

A system is a function from an operation, a size and a number of threads to a function that transforms a batch
``(N, H, W, C)`` of uint8 images, each image with its own random parameters. Peers are imported when they are asked for;
one that is not installed raises ImportError.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

Transform = Callable[[np.ndarray], Any]

OPERATIONS = ("rotate", "affine", "elastic", "crop", "flip", "policy")
SIZES = (28, 32, 96, 224)


def channels(size: int) -> int:
    """Return grey for MNIST's size, colour for the others."""
    return 1 if size == 28 else 3


def _elastic(size: int) -> tuple[float, float]:
    """Return alpha and sigma in pixels: as strong at every size."""
    return 20.0 * (size / 29) ** 2, 4.0 * size / 29


def popnet(operation: str, size: int, threads: int) -> Transform:
    """One compiled program, with the geometry in one resampling."""
    from popnet.augment import Policy

    alpha, sigma = _elastic(size)
    affine: dict[str, Any] = {"rotation": 15, "translation": 0.1, "scaling": 0.1, "shear": 8}
    fields: dict[str, dict[str, Any]] = {
        "rotate": {"rotation": 15},
        "affine": affine,
        "elastic": {"elastic_alpha": alpha, "elastic_sigma": sigma},
        "crop": {"crop": 0.125},
        "flip": {"reflection": 0.5},
        "policy": {
            **affine, "elastic_alpha": alpha, "elastic_sigma": sigma, "crop": 0.125, "reflection": 0.5,
            "brightness": 0.2, "contrast": 0.2,
        },
    }  # fmt: skip
    policy = Policy(**fields[operation], workers=threads, background=0)
    calls = iter(range(10**9))
    return lambda batch: policy(next(calls), batch)


def albumentations(operation: str, size: int, threads: int) -> Transform:
    """Image by image on uint8 arrays, OpenCV underneath."""
    import albumentations as A  # noqa: N812 - its own custom
    import cv2

    cv2.setNumThreads(1)
    alpha, sigma = _elastic(size)
    pad = round(0.125 * size)
    affine = A.Affine(
        rotate=(-15, 15), translate_percent=(-0.1, 0.1), scale=(0.9, 1.1), shear=(-8, 8), p=1
    )
    elastic = A.ElasticTransform(alpha=alpha, sigma=sigma, p=1)
    crop = [A.PadIfNeeded(size + 2 * pad, size + 2 * pad, p=1), A.RandomCrop(size, size, p=1)]
    flip = A.HorizontalFlip(p=0.5)
    colour = A.RandomBrightnessContrast(0.2, 0.2, p=1)
    transform = A.Compose(
        {
            "rotate": [A.Rotate(limit=15, p=1)],
            "affine": [affine],
            "elastic": [elastic],
            "crop": crop,
            "flip": [flip],
            "policy": [affine, elastic, *crop, flip, colour],
        }[operation]
    )
    return lambda batch: [transform(image=image)["image"] for image in batch]


def torchvision(operation: str, size: int, threads: int) -> Transform:
    """Image by image on uint8 tensors: a batch would share its parameters."""
    import torch

    torch.set_num_threads(1)
    # A build for another PyTorch lacks its compiled operators; the transforms are plain PyTorch and need none of them.
    sys.modules.setdefault(
        "torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations")
    )
    from torchvision.transforms import v2

    alpha, sigma = _elastic(size)
    affine = v2.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), (-8, 8))
    elastic = v2.ElasticTransform(alpha, sigma)
    crop = v2.RandomCrop(size, padding=round(0.125 * size))
    flip = v2.RandomHorizontalFlip()
    colour = v2.ColorJitter(0.2, 0.2)
    transform = v2.Compose(
        {
            "rotate": [v2.RandomRotation(15)],
            "affine": [affine],
            "elastic": [elastic],
            "crop": [crop],
            "flip": [flip],
            "policy": [affine, elastic, crop, flip, colour],
        }[operation]
    )

    def run(batch: np.ndarray) -> list[Any]:
        tensors = torch.from_numpy(batch).permute(0, 3, 1, 2)
        return [transform(image) for image in tensors]

    return run


def kornia(operation: str, size: int, threads: int) -> Transform:
    """Batches of float tensors, each image with its own parameters."""
    import kornia.augmentation as K  # noqa: N812 - its own custom
    import torch

    torch.set_num_threads(threads)
    alpha, sigma = _elastic(size)
    kernel = 2 * round(3 * sigma) + 1
    # Its displacements are shares of half the image.
    share = 2 * alpha / size
    affine = K.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), (-8, 8), p=1.0)
    elastic = K.RandomElasticTransform((kernel, kernel), (sigma, sigma), (share, share), p=1.0)
    crop = K.RandomCrop((size, size), padding=round(0.125 * size), p=1.0)
    flip = K.RandomHorizontalFlip(p=0.5)
    colour = K.ColorJiggle(0.2, 0.2, 0.0, 0.0, p=1.0)
    steps = {
        "rotate": [K.RandomRotation(15.0, p=1.0)],
        "affine": [affine],
        "elastic": [elastic],
        "crop": [crop],
        "flip": [flip],
        "policy": [affine, elastic, crop, flip, *([colour] if channels(size) == 3 else [])],
    }[operation]
    transform = K.AugmentationSequential(*steps, data_keys=["input"], same_on_batch=False)

    def run(batch: np.ndarray) -> Any:
        with torch.no_grad():
            x = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255
            return transform(x)

    return run


SYSTEMS: dict[str, Callable[[str, int, int], Transform]] = {
    "popnet": popnet,
    "albumentations": albumentations,
    "torchvision": torchvision,
    "kornia": kornia,
}
BATCHED = ("popnet", "kornia")
"""Systems that use several threads themselves; of the others a process a core is measured, and the rates are added."""
