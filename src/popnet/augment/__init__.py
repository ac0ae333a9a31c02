"""Augmentation: pure functions of a batch, inside a compiled program; `Policy` uses those of images alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from popnet.augment.policy import Policy

__all__ = ["Policy"]


def __getattr__(name: str) -> Any:
    if name != "Policy":
        raise AttributeError(f"module 'popnet.augment' has no attribute {name!r}")
    from popnet.augment.policy import Policy

    return Policy
