"""How far apart the surfaces of two masks are.

The surface of a mask is its edge pixels: the set pixels that have a face neighbour outside the mask, where
everything beyond the image is outside. Masks that differ only in pixels that are no edge in either, such as a
square of 3 x 3 with and without its centre, have one and the same surface.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.scores.hausdorff_distance import checked_spacing, diagonal

MOST = 0.2
"""Share of the image from which edges are so many that a distance transform answers sooner than a tree."""


def hausdorff95(a: BoolArray, b: BoolArray, *, spacing: Sequence[float] | None = None) -> float:
    """The 95th percentile of the distances between two surfaces: a Hausdorff distance that forgives strays.

    ``max(P95_{p in A} min_{q in B} |p - q|, P95_{q in B} min_{p in A} |p - q|)`` with A and B the edge pixels
    of the masks and P95 the 95th percentile, linear between the two nearest ranks. Percentiles are taken
    per direction, as MONAI does with ``percentile=95``; tools that pool both directions get other values.

    Both masks empty: 0. One of them empty: the length of the image's diagonal from the first pixel to
    the last, as in ``scores.hausdorff``.

    Args:
        a: Bool ``[*space]``, of any number of dimensions.
        b: Bool ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Returns:
        The distance in pixels, or in the unit of ``spacing``.

    References:
        Huttenlocher, Klanderman and Rucklidge, "Comparing images using the Hausdorff distance", 1993,
        doi:10.1109/34.232073, where it is called the partial Hausdorff distance.

    Example:
        >>> import numpy as np
        >>> a = np.zeros((40, 60), bool)
        >>> a[10:30, 10:30] = True
        >>> b = np.roll(a, 2, axis=1)
        >>> b[20, 55] = True
        >>> hausdorff95(a, b), hausdorff95(a, b, spacing=(1, 0.5))
        (2.0, 1.0)
    """
    return SurfaceTo(b, spacing=spacing).hausdorff95(a)


def average_surface_distance(a: BoolArray, b: BoolArray, *, spacing: Sequence[float] | None = None) -> float:
    """The average symmetric surface distance: how far apart two surfaces are in the mean.

    ``(sum_{p in A} min_{q in B} |p - q| + sum_{q in B} min_{p in A} |p - q|) / (|A| + |B|)`` with A and B the
    edge pixels of the masks, as MONAI does with ``symmetric=True``. The longer surface weighs more.

    Both masks empty: 0. One of them empty: the length of the image's diagonal from the first pixel to
    the last, as in ``scores.hausdorff``.

    Args:
        a: Bool ``[*space]``, of any number of dimensions.
        b: Bool ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Returns:
        The distance in pixels, or in the unit of ``spacing``.

    References:
        Heimann et al., "Comparison and evaluation of methods for liver segmentation from CT datasets", 2009,
        doi:10.1109/TMI.2009.2013851.

    Example:
        >>> import numpy as np
        >>> a, b = np.zeros((2, 9, 9), bool)
        >>> a[4, 2] = b[4, 5] = b[4, 6] = True
        >>> round(average_surface_distance(a, b), 3)  # 3 one way, 3 and 4 the other
        3.333
    """
    return SurfaceTo(b, spacing=spacing).average(a)


class SurfaceTo:
    """Distances to the surface of one fixed mask, for when many are compared with it.

    The fixed surface's distance transform is computed once over the whole image; what is left for every other
    mask is to find its edges, look up their distances, and search the nearest of them for each fixed edge
    that it has not.

    Args:
        reference: Bool ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Example:
        >>> import numpy as np
        >>> reference = np.zeros((9, 9), bool)
        >>> reference[4, 4] = True
        >>> to_reference = SurfaceTo(reference)
        >>> to_reference.hausdorff95(np.roll(reference, 3, axis=0)), to_reference.average(reference)
        (3.0, 0.0)
    """

    def __init__(self, reference: BoolArray, *, spacing: Sequence[float] | None = None) -> None:
        self._spacing = checked_spacing(spacing, reference.ndim)
        self._shape = reference.shape
        edges = _edges(reference)
        self._pixels = np.flatnonzero(edges)
        self._points = self._positions(self._pixels)
        self._distance_to_edges: FloatArray | None = None
        if self._pixels.size:
            self._distance_to_edges = self._distance_to(edges)
        self._diagonal = diagonal(self._shape, self._spacing)

    def distances(self, mask: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Distance from every edge pixel of one mask to the nearest edge pixel of the other, both ways.

        A mask without pixels has no surface, and the distance still has to be a number: with one of the
        masks empty, either way holds the image's diagonal alone, and with both empty 0 alone.

        Args:
            mask: Bool ``[*space]``.

        Returns:
            There, float ``[edge pixels of mask]``, and back, float ``[edge pixels of the reference]``, both
            in C order of the pixels.
        """
        if mask.shape != self._shape:
            raise ValueError(f"both masks must have one shape, got {mask.shape} and {self._shape}")
        edges = _edges(mask)
        pixels = np.flatnonzero(edges)
        if self._distance_to_edges is None or not pixels.size:
            apart = self._diagonal if self._pixels.size or pixels.size else 0.0
            return np.array([apart]), np.array([apart])
        there = self._distance_to_edges[pixels]
        back: FloatArray = np.zeros(self._pixels.size)
        missed = ~edges.ravel()[self._pixels]
        if np.count_nonzero(missed) + pixels.size > MOST * mask.size:
            back = self._distance_to(edges)[self._pixels]
        elif missed.any():
            tree = KDTree(self._positions(pixels), leafsize=32, balanced_tree=False, compact_nodes=False)
            back[missed] = tree.query(self._points[missed])[0]
        return there, back

    def hausdorff95(self, mask: BoolArray) -> float:
        """What ``hausdorff95`` tells of ``mask``, bool ``[*space]``, and the reference."""
        there, back = self.distances(mask)
        return max(percentile95(there), percentile95(back))

    def average(self, mask: BoolArray) -> float:
        """What ``average_surface_distance`` tells of ``mask``, bool ``[*space]``, and the reference."""
        return float(np.concatenate(self.distances(mask)).mean())

    def _distance_to(self, edges: BoolArray) -> FloatArray:
        """For every pixel, by its flat index, the distance to the nearest edge."""
        distances: FloatArray = ndimage.distance_transform_edt(~edges, sampling=self._spacing)
        return distances.ravel()

    def _positions(self, pixels: NDArray[np.intp]) -> FloatArray:
        """Where the pixels of these flat indices are, float ``[pixels, axes]`` in the unit of ``spacing``."""
        return np.stack(np.unravel_index(pixels, self._shape), axis=-1) * self._spacing


def percentile95(values: FloatArray) -> float:
    """What ``np.percentile(values, 95)`` tells, which takes its time to arrive there."""
    rank = 0.95 * (values.size - 1)
    below, above = int(rank), math.ceil(rank)
    ordered = np.partition(values, (below, above))
    low, high = float(ordered[below]), float(ordered[above])
    return low + (high - low) * (rank - below)


def _edges(mask: BoolArray) -> BoolArray:
    """The set pixels with a face neighbour outside the mask; beyond the image is outside."""
    core = (slice(1, -1),) * mask.ndim
    padded = np.zeros([side + 2 for side in mask.shape], dtype=bool)
    padded[core] = mask
    is_set = padded.ravel()
    inside = is_set.copy()
    for step in padded.strides:  # in pixels, for one has one byte; with a margin no row runs into the next
        inside[step:] &= is_set[:-step]
        inside[:-step] &= is_set[step:]
    edges: BoolArray = (is_set > inside).reshape(padded.shape)[core]
    return edges
