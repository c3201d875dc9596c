"""Distances between maps of probabilities, which grow before any pixel crosses a threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.scores.hausdorff_distance import HausdorffTo, checked_spacing, diagonal


def levels_around(threshold: float = THRESHOLD) -> tuple[float, ...]:
    """Nine levels of probability, equally far apart as logits, of which the middle one is the threshold.

    Around 0.5 they run from 0.001 to 0.999.

    Example:
        >>> [round(level, 3) for level in levels_around(0.3)[::4]]
        [0.0, 0.3, 0.998]
    """
    middle = np.log(threshold / (1 - threshold))
    return tuple(float(level) for level in 1 / (1 + np.exp(-(middle + np.linspace(-1, 1, 9) * np.log(999)))))


LEVELS = levels_around()
"""Those around 0.5."""


class GradedHausdorffTo:
    """The graded form of the Hausdorff distance to one fixed map, after Karimi and Salcudean.

    With p and g the two maps, t the threshold, and d_p and d_g the distance of every pixel to the border of
    the segments p > t and g > t, it is ``mean((p - g)^2 * (d_p^2 + d_g^2))``: a change counts more the
    farther it is from where the segments end, and it counts however small it is
    (https://doi.org/10.1109/TMI.2019.2930068, with alpha = 2). Where nothing or everything is segment, there
    is no border; every pixel is then as far from it as the image's diagonal is long.

    Args:
        reference: Probabilities, or a ground truth of 0 and 1, ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.
        threshold: What a probability has to exceed in a segment.

    Example:
        >>> import numpy as np
        >>> reference = np.array([[0.0, 0.0, 1.0, 1.0, 1.0]])
        >>> output = np.array([[0.0, 0.0, 1.0, 1.0, 0.9]])
        >>> round(GradedHausdorffTo(reference)(output), 6)  # 0.1^2 * (3^2 + 3^2) / 5
        0.036
    """

    def __init__(
        self, reference: FloatArray, *, spacing: Sequence[float] | None = None, threshold: float = THRESHOLD
    ) -> None:
        self._reference, self._threshold = reference, threshold
        self._spacing = checked_spacing(spacing, reference.ndim)
        self._segment = reference > threshold
        self._far = self._to_border(self._segment) ** 2

    def __call__(self, probability: FloatArray) -> float:
        """The distance of ``probability``, float ``[*space]``, in square pixels."""
        if probability.shape != self._reference.shape:
            raise ValueError(
                f"both maps must have one shape, got {probability.shape} and {self._reference.shape}"
            )
        segment = probability > self._threshold
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

    ``mean over t of hausdorff(p > t, g > t)`` with the nine levels of `levels_around`: how far each contour
    of the map moves, not only that at the threshold. The directed one, ``max_{q: g(q) > t} d(q, p > t)``,
    counts what is lost of the fixed map g alone, however far away anything is gained.

    Args:
        reference: Probabilities, or a ground truth of 0 and 1, ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.
        threshold: What a probability has to exceed in a segment.
        directed: How far the reference reaches beyond the other map, and not the other way round.

    Example:
        >>> import numpy as np
        >>> reference = np.array([[0.0, 0.0, 1.0, 1.0, 1.0]])
        >>> output = np.array([[0.0, 0.3, 1.0, 1.0, 1.0]])  # above four of the nine levels
        >>> round(LevelledHausdorffTo(reference)(output), 6)
        0.444444
        >>> gained, lost = np.array([[[1.0, 0.0, 1.0, 1.0, 1.0]], [[0.0, 0.0, 1.0, 1.0, 0.0]]])
        >>> directed = LevelledHausdorffTo(reference, directed=True)
        >>> directed(gained), directed(lost)
        (0.0, 1.0)
    """

    def __init__(
        self,
        reference: FloatArray,
        *,
        spacing: Sequence[float] | None = None,
        threshold: float = THRESHOLD,
        directed: bool = False,
    ) -> None:
        self._contours = []
        for level in levels_around(threshold):
            to_contour = HausdorffTo(reference > level, spacing=spacing)
            self._contours.append((level, to_contour.beyond if directed else to_contour))

    def __call__(self, probability: FloatArray) -> float:
        """The distance of ``probability``, float ``[*space]``, in pixels."""
        return float(np.mean([distance(probability > level) for level, distance in self._contours]))
