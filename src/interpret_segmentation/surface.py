"""How far apart the surfaces of two masks are.

The surface of a mask is its edge pixels: the set pixels that have a face neighbour outside the mask, where
everything beyond the image is outside. Masks that differ only in pixels that are no edge in either, such as a
square of 3 x 3 with and without its centre, have one and the same surface.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from interpret_segmentation._types import BoolArray, FloatArray


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
    mask is to find its edges, look up their distances, and search the nearest of them for each fixed edge.

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
        reference = np.asarray(reference, dtype=bool)
        self._spacing = (1.0,) * reference.ndim if spacing is None else tuple(map(float, spacing))
        if len(self._spacing) != reference.ndim or min(self._spacing, default=1.0) <= 0:
            raise ValueError(
                f"spacing must be one positive number for each of the {reference.ndim} axes, got {spacing}"
            )
        self._shape = reference.shape
        edges = _edges(reference)
        self._pixels = np.flatnonzero(edges)
        self._points = self._positions(self._pixels)
        self._distance_to_edges: FloatArray | None = None
        if self._pixels.size:
            self._distance_to_edges = ndimage.distance_transform_edt(~edges, sampling=self._spacing).ravel()
        self._diagonal = float(np.linalg.norm((np.array(reference.shape) - 1) * self._spacing))

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
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != self._shape:
            raise ValueError(f"both masks must have one shape, got {mask.shape} and {self._shape}")
        pixels = np.flatnonzero(_edges(mask))
        if self._distance_to_edges is None or not pixels.size:
            apart = self._diagonal if self._pixels.size or pixels.size else 0.0
            return np.array([apart]), np.array([apart])
        if np.array_equal(pixels, self._pixels):
            return np.zeros(pixels.size), np.zeros(pixels.size)
        # Edges are few: a tree of them answers sooner than a second distance transform, even inside a crop.
        tree = KDTree(self._positions(pixels), leafsize=32, balanced_tree=False)
        return self._distance_to_edges[pixels], tree.query(self._points)[0]

    def hausdorff95(self, mask: BoolArray) -> float:
        """What ``hausdorff95`` tells of ``mask``, bool ``[*space]``, and the reference."""
        there, back = self.distances(mask)
        return float(max(np.percentile(there, 95), np.percentile(back, 95)))

    def average(self, mask: BoolArray) -> float:
        """What ``average_surface_distance`` tells of ``mask``, bool ``[*space]``, and the reference."""
        return float(np.concatenate(self.distances(mask)).mean())

    def _positions(self, pixels: NDArray[np.intp]) -> FloatArray:
        """Where the pixels of these flat indices are, float ``[pixels, axes]`` in the unit of ``spacing``."""
        return np.stack(np.unravel_index(pixels, self._shape), axis=-1) * self._spacing


def _edges(mask: BoolArray) -> BoolArray:
    """The set pixels with a face neighbour outside the mask; beyond the image is outside."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        own, kept = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        kept[1:] &= own[:-1]
        kept[:-1] &= own[1:]
        kept[:1] = kept[-1:] = False
    edges: BoolArray = mask & ~inner
    return edges
