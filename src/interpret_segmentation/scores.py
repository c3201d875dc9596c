"""Compares two segmentations: one number per image.

A *distance* here is measured from a reference that stays the same while thousands of outputs are
compared with it, so it comes in two steps: a factory takes the reference and prepares what it can, and what
it returns takes one output at a time. ``DISTANCES`` lists the factories by name; to add one, add an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from scipy import ndimage
from scipy.spatial.distance import directed_hausdorff

from interpret_segmentation._types import BoolArray, FloatArray

THRESHOLD = 0.5
"""A pixel belongs to the segment when its probability is greater than this."""

Distance: TypeAlias = Callable[[FloatArray, FloatArray], float]
"""``(output, segment) -> number``, both float ``[*space]`` with values from 0 to 1."""

DistanceToReference: TypeAlias = Callable[[FloatArray], float]
"""``output -> number``: a distance whose reference is already fixed."""


def hausdorff(a: BoolArray, b: BoolArray, *, spacing: Sequence[float] | None = None) -> float:
    """Largest distance from a point of one mask to the other mask.

    ``max(max_{p in a} min_{q in b} |p - q|, max_{q in b} min_{p in a} |p - q|)``, where every set pixel is
    one point.

    Both masks empty: 0. One of them empty: the length of the image's diagonal from the first pixel to
    the last, the longest distance that two of its pixels can have, so that maps of distances stay finite.

    Args:
        a: Bool ``[*space]``, of any number of dimensions.
        b: Bool ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Returns:
        The distance in pixels, or in the unit of ``spacing``.

    Example:
        >>> import numpy as np
        >>> a, b = np.zeros((2, 9, 9), bool)
        >>> a[2, 2] = b[5, 6] = True
        >>> hausdorff(a, b)
        5.0
    """
    return HausdorffTo(b, spacing=spacing)(a)


class HausdorffTo:
    """The Hausdorff distance to one fixed mask, for when many are compared with it.

    The fixed mask's distance transform is computed once; the other's only inside the bounding box that
    holds both masks, which is all that the distance depends on.

    Args:
        reference: Bool ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Example:
        >>> import numpy as np
        >>> reference = np.zeros((9, 9), bool)
        >>> reference[4, 4] = True
        >>> to_reference = HausdorffTo(reference)
        >>> to_reference(np.roll(reference, 3, axis=0)), to_reference(np.zeros_like(reference))
        (3.0, 11.313708498984761)
    """

    def __init__(self, reference: BoolArray, *, spacing: Sequence[float] | None = None) -> None:
        self._reference = np.array(reference, dtype=bool)
        self._spacing = (1.0,) * reference.ndim if spacing is None else tuple(map(float, spacing))
        if len(self._spacing) != reference.ndim or min(self._spacing, default=1.0) <= 0:
            raise ValueError(
                f"spacing must be one positive number for each of the {reference.ndim} axes, got {spacing}"
            )
        self._box = _bounding_box(self._reference)
        self._distance_to_reference = None if self._box is None else self._distance_to(self._reference)
        self._diagonal = float(np.linalg.norm((np.array(reference.shape) - 1) * self._spacing))

    def __call__(self, mask: BoolArray) -> float:
        """The distance from ``mask``, bool ``[*space]``, to the reference."""
        if mask.shape != self._reference.shape:
            raise ValueError(f"both masks must have one shape, got {mask.shape} and {self._reference.shape}")
        box = _bounding_box(mask)
        if box is None and self._box is None:
            return 0.0
        if box is None or self._box is None or self._distance_to_reference is None:
            return self._diagonal
        if np.array_equal(mask, self._reference):
            return 0.0
        crop = tuple(
            slice(min(ours.start, theirs.start), max(ours.stop, theirs.stop))
            for ours, theirs in zip(self._box, box, strict=True)
        )
        there = self._distance_to_reference[crop][mask[crop]].max()
        back = self._distance_to(mask[crop])[self._reference[crop]].max()
        return float(max(there, back))

    def _distance_to(self, mask: BoolArray) -> FloatArray:
        """For every pixel the distance to the nearest set pixel of ``mask``."""
        distances: FloatArray = ndimage.distance_transform_edt(~mask, sampling=self._spacing)
        return distances


def _bounding_box(mask: BoolArray) -> tuple[slice, ...] | None:
    """The smallest box that holds every set pixel; None when there is none."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        if not occupied.size:
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)


def dice(a: BoolArray, b: BoolArray) -> float:
    """Dice coefficient: twice the common pixels over the sum of both; 1 when both masks are empty.

    Example:
        >>> import numpy as np
        >>> dice(np.array([True, True, False]), np.array([False, True, False]))
        0.6666666666666666
    """
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def hausdorff_of_segments(segment: FloatArray) -> DistanceToReference:
    """The Hausdorff distance in pixels between the segments, probabilities thresholded at 0.5."""
    to_segment = HausdorffTo(segment > THRESHOLD)
    return lambda output: to_segment(output > THRESHOLD)


def hausdorff_of_rows(segment: FloatArray) -> DistanceToReference:
    """What release 1.0.0 measured: the Hausdorff distance between the *rows* of the two arrays.

    Each row of an image of W columns is taken as one point in W-dimensional space, and nothing is
    thresholded. It is no distance between segments, but it grades small changes of the probabilities.
    2D only.
    """

    def distance(output: FloatArray) -> float:
        return float(max(directed_hausdorff(output, segment)[0], directed_hausdorff(segment, output)[0]))

    return distance


DISTANCES: dict[str, Callable[[FloatArray], DistanceToReference]] = {
    "hausdorff": hausdorff_of_segments,
    "hausdorff_of_rows": hausdorff_of_rows,
}


def distance_to(segment: FloatArray, distance: str | Distance) -> DistanceToReference:
    """Fix the reference of a distance that is given by name or as a function of output and segment.

    Raises:
        ValueError: There is no distance of that name.
    """
    if callable(distance):
        return lambda output: distance(output, segment)
    return named_distance(distance)(segment)


def named_distance(name: str) -> Callable[[FloatArray], DistanceToReference]:
    """Look a distance up in ``DISTANCES``."""
    if name not in DISTANCES:
        raise ValueError(
            f"there is no distance {name!r}; use one of {', '.join(map(repr, DISTANCES))} "
            "or a function of (output, segment)"
        )
    return DISTANCES[name]
