"""Brings maps from one size to another."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""The interpolation that is linear along every axis, by the number of axes."""

NOTHING = -1e30
"""What minus infinity counts as where maps are resized: infinity times a weight of 0 is no number."""


def resized(maps: Tensor, space: tuple[int, ...]) -> Tensor:
    """Maps ``[B, K, *any]`` brought to another size by linear interpolation, pixel areas aligned."""
    if tuple(maps.shape[2:]) == space:
        return maps
    finite = maps.float().clamp(min=NOTHING)
    return F.interpolate(finite, size=space, mode=SMOOTH[len(space)], align_corners=False)
