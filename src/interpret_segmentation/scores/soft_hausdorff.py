"""Distances between maps of probabilities, which grow before any pixel crosses a threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.scores.hausdorff_distance import HausdorffTo, checked_spacing, diagonal

LEVELS = tuple(float(level) for level in 1 / (1 + np.exp(-np.linspace(-1, 1, 9) * np.log(999))))
"""Nine levels of probability from 0.001 to 0.999, equally far apart as logits; the middle one is 0.5."""

THRESHOLD = LEVELS[len(LEVELS) // 2]


class GradedHausdorffTo:
    """The graded form of the Hausdorff distance to one fixed map, after Karimi and Salcudean.

    With p and g the two maps and d_p and d_g the distance of every pixel to the border of the segment p > 0.5
    and g > 0.5, it is ``mean((p - g)^2 * (d_p^2 + d_g^2))``: a change counts more the farther it is from
    where the segments end, and it counts however small it is (https://doi.org/10.1109/TMI.2019.2930068,
    with alpha = 2). Where nothing or everything is segment, there is no border; every pixel is then as far
    from it as the image's diagonal is long.

    Args:
        reference: Probabilities, or a ground truth of 0 and 1, ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Example:
        >>> import numpy as np
        >>> reference = np.array([[0.0, 0.0, 1.0, 1.0, 1.0]])
        >>> output = np.array([[0.0, 0.0, 1.0, 1.0, 0.9]])
        >>> round(GradedHausdorffTo(reference)(output), 6)  # 0.1^2 * (3^2 + 3^2) / 5
        0.036
    """

    def __init__(self, reference: FloatArray, *, spacing: Sequence[float] | None = None) -> None:
        self._reference = reference
        self._spacing = checked_spacing(spacing, reference.ndim)
        self._segment = reference > THRESHOLD
        self._far = self._to_border(self._segment) ** 2

    def __call__(self, probability: FloatArray) -> float:
        """The distance of ``probability``, float ``[*space]``, in square pixels."""
        if probability.shape != self._reference.shape:
            raise ValueError(
                f"both maps must have one shape, got {probability.shape} and {self._reference.shape}"
            )
        segment = probability > THRESHOLD
        same = np.array_equal(segment, self._segment)
        far = self._far if same else self._to_border(segment) ** 2
        change = np.subtract(probability, self._reference, dtype=np.float64)
        return float(np.mean(change**2 * (far + self._far)))

    def _to_border(self, segment: BoolArray) -> FloatArray:
        """How far every pixel is from the nearest one of the other kind."""
        if segment.all() or not segment.any():
            return np.full(segment.shape, diagonal(segment.shape, self._spacing))
        inside, outside = (
            ndimage.distance_transform_edt(part, sampling=self._spacing) for part in (segment, ~segment)
        )
        distance: FloatArray = inside + outside
        return distance


class LevelledHausdorffTo:
    """The Hausdorff distance to one fixed map, averaged over levels of probability.

    ``mean over t of hausdorff(p > t, g > t)`` with the nine levels of `LEVELS`: how far each contour of the
    map moves, not only that at 0.5.

    Args:
        reference: Probabilities, or a ground truth of 0 and 1, ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Example:
        >>> import numpy as np
        >>> reference = np.array([[0.0, 0.0, 1.0, 1.0, 1.0]])
        >>> output = np.array([[0.0, 0.3, 1.0, 1.0, 1.0]])  # above four of the nine levels
        >>> round(LevelledHausdorffTo(reference)(output), 6)
        0.444444
    """

    def __init__(self, reference: FloatArray, *, spacing: Sequence[float] | None = None) -> None:
        self._to_contour = [HausdorffTo(reference > level, spacing=spacing) for level in LEVELS]

    def __call__(self, probability: FloatArray) -> float:
        """The distance of ``probability``, float ``[*space]``, in pixels."""
        distances = [
            to_contour(probability > level)
            for level, to_contour in zip(LEVELS, self._to_contour, strict=True)
        ]
        return float(np.mean(distances))
