"""Arrays as text that a page can hold: fewer levels, deflated, in base64."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray

NOTHING = 65535
"""The level that stands for NaN."""


def packed(array: AnyArray) -> str:
    """The bytes of an array, deflated, as base64."""
    content = np.ascontiguousarray(array)
    return base64.b64encode(zlib.compress(content.tobytes(), 6)).decode("ascii")


def packed_map(values: FloatArray) -> dict[str, Any]:
    """A map in 65,535 levels from its smallest to its largest value; the step is the largest error.

    Args:
        values: Any shape; NaN where there is no value.
    """
    known = np.isfinite(values)
    first, last = (float(values[known].min()), float(values[known].max())) if known.any() else (0.0, 0.0)
    span = (last - first) or 1.0
    levels = np.full(values.shape, NOTHING, dtype="<u2")
    levels[known] = np.round((values[known].astype(np.float64) - first) / span * (NOTHING - 1))
    return {"first": first, "last": last, "data": packed(levels)}


def packed_mask(mask: BoolArray) -> str:
    """A set of pixels, one bit for each, the first pixel in the lowest bit."""
    return packed(np.packbits(mask.ravel(), bitorder="little"))


def coarser(values: AnyArray, step: int, dims: int) -> FloatArray:
    """The mean over blocks of ``step`` pixels along each of the last ``dims`` axes.

    Blocks at the end may be smaller. NaN is left out of the mean.
    """
    if step == 1:
        return np.asarray(values)
    known = np.isfinite(values)
    total, count = np.where(known, values, 0).astype(np.float64), known.astype(np.float64)
    for axis in range(values.ndim - dims, values.ndim):
        starts = np.arange(0, values.shape[axis], step)
        total, count = (np.add.reduceat(part, starts, axis=axis) for part in (total, count))
    means: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means.astype(np.float32)


def coarser_mask(mask: BoolArray, step: int) -> BoolArray:
    """Blocks of which at least half of the pixels are in the set."""
    return mask if step == 1 else coarser(mask.astype(np.float32), step, mask.ndim) >= 0.5
