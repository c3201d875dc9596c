"""The Hausdorff distance between two masks, exactly and fast for the many that differ little from one.

Pixels that both masks have are at distance 0, so only those count that one gained and the other lost. The
way there is a look-up in the distance transform of the fixed mask, which is made once; the way back is a
search for the one lost pixel that is farthest from what is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from interpret_segmentation._types import BoolArray, FloatArray

Pixels = NDArray[np.intp]
"""Flat indices of pixels."""

REACH = 4
"""Pixels around a lost one that are looked at one by one, before a tree is built."""

SETTLED = 1 / 6
"""Looking at the next pixels around goes on while it settles this share of the lost ones."""

TILES = (16, 4)
"""Sides of the tiles, in pixels, of which one pixel speaks for the others."""

FULL_TILES = 16
"""Tiles pay when the pixels would fill this many."""

SMALL = 6000
"""Pixels of a box in which all distances are told sooner than a tree is built,"""

PER_LOST = 2
"""and so many more for each lost pixel that the tree would be asked about."""


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

    With A the mask and B the fixed one, the distance is the larger of ``max_{p in A - B} d(p, B)``, looked up
    in the distance transform of B, and ``max_{q in B - A} d(q, A)``. For the latter, shells of pixels around
    the lost ones settle what speckle changed. For what is left the nearest pixel of A is an edge pixel: an
    edge pixel of B, a gained one, or a neighbour of a lost one. A tree of those is asked for few of the lost
    pixels only, because distances of two pixels differ by no more than the pixels are apart.

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
        self._spacing = checked_spacing(spacing, reference.ndim)
        self._shape = reference.shape
        self._reference = self._padded(reference)
        self._strides = np.array(self._reference.strides, dtype=np.intp)  # in pixels, for one has one byte
        self._faces = np.concatenate([self._strides, -self._strides]).tolist()
        self._shells = self._shells_within(REACH)
        pixels = np.flatnonzero(self._reference)
        self._size = pixels.size
        self._edges = self._edges_among(pixels, self._reference.ravel())
        self._distance_to_reference: FloatArray | None = None
        if pixels.size:
            positions = self._positions(pixels)
            self._low, self._high = positions.min(axis=1), positions.max(axis=1)
            self._distance_to_reference = self._distance_to(self._reference).ravel()
        self._diagonal = diagonal(reference.shape, self._spacing)

    def __call__(self, mask: BoolArray) -> float:
        """The distance from ``mask``, bool ``[*space]``, to the reference."""
        if mask.shape != self._shape:
            raise ValueError(f"both masks must have one shape, got {mask.shape} and {self._shape}")
        padded = self._padded(mask)
        changed = np.flatnonzero(padded != self._reference)
        if not changed.size:
            return 0.0
        is_set = padded.ravel()
        is_gained = is_set[changed]
        gained, lost = changed[is_gained], changed[~is_gained]
        if self._distance_to_reference is None or (lost.size == self._size and not gained.size):
            return self._diagonal
        there = float(self._distance_to_reference[gained].max(initial=0))
        if not lost.size:
            return there
        box = self._box_with(gained)
        volume = math.prod(side.stop - side.start for side in box)
        if volume <= SMALL + PER_LOST * lost.size:
            return max(there, float((self._distance_to(padded[box]) * self._reference[box]).max()))
        return self._back(lost, gained, is_set, there)

    def directed(self, mask: BoolArray) -> tuple[float, float]:
        """How far the mask reaches beyond the reference, and the reference beyond the mask.

        The larger of both is the distance. From an empty mask nothing reaches anywhere, 0; to an empty one it
        is the image's diagonal.

        Args:
            mask: Bool ``[*space]``.

        Returns:
            ``max_{p in A} d(p, B)`` and ``max_{q in B} d(q, A)``, with A the mask and B the reference.
        """
        padded = self._padded(mask)
        changed = np.flatnonzero(padded != self._reference)
        gained = changed[padded.ravel()[changed]]
        if self._distance_to_reference is None:
            return (self._diagonal if gained.size else 0.0), 0.0
        return float(self._distance_to_reference[gained].max(initial=0)), self._beyond(padded, changed)

    def beyond(self, mask: BoolArray) -> float:
        """How far the reference reaches beyond the mask: ``max_{q in B} d(q, A)``; see `directed`."""
        padded = self._padded(mask)
        return self._beyond(padded, np.flatnonzero(padded != self._reference))

    def _beyond(self, padded: BoolArray, changed: Pixels) -> float:
        is_set = padded.ravel()
        gained, lost = changed[is_set[changed]], changed[~is_set[changed]]
        if not lost.size:
            return 0.0
        if lost.size == self._size and not gained.size:
            return self._diagonal
        box = self._box_with(gained)
        volume = math.prod(side.stop - side.start for side in box)
        if volume <= SMALL + PER_LOST * lost.size:
            return float((self._distance_to(padded[box]) * self._reference[box]).max())
        return self._back(lost, gained, is_set, 0.0)

    def _box_with(self, gained: Pixels) -> tuple[slice, ...]:
        """The smallest box that holds the reference and the gained pixels, and so both masks."""
        low, high = self._low, self._high
        if gained.size:
            positions = self._positions(gained)
            low, high = np.minimum(low, positions.min(axis=1)), np.maximum(high, positions.max(axis=1))
        return tuple(map(slice, low.tolist(), (high + 1).tolist()))

    def _back(self, lost: Pixels, gained: Pixels, is_set: BoolArray, known: float) -> float:
        """The distance of the lost pixel that is farthest from the mask; ``known`` when that is larger."""
        left = lost
        for length, steps in self._shells:
            before = left.size
            for step in steps:
                left = left[~is_set[left + step]]
            if left.size < before:
                known = max(known, length)
            if not left.size:
                return known
            if before - left.size < SETTLED * before:
                break
        beside = np.concatenate([lost + step for step in self._faces])
        candidates = [self._edges, beside]
        edges = [candidate[is_set[candidate]] for candidate in candidates]
        edges.append(self._edges_among(gained, is_set))
        return self._farthest(self._positions(left), self._positions(np.concatenate(edges)), known)

    def _farthest(self, positions: Pixels, ends: Pixels, known: float) -> float:
        """The distance of the position that is farthest from the ends; ``known`` when that is larger."""
        tree = KDTree(ends.T * self._spacing, leafsize=32, balanced_tree=False, compact_nodes=False)

        def asked(positions: Pixels) -> FloatArray:
            nearest = tree.query(positions.T * self._spacing)[1]
            return self._length(positions - ends[:, nearest])

        for side in TILES:
            if positions.shape[1] < FULL_TILES * side ** len(positions):
                continue
            tile = _tile_of(positions, side)
            speaker = np.full(tile.max() + 1, -1)
            speaker[tile] = np.arange(tile.size)
            tiles = np.flatnonzero(speaker >= 0)
            distances = asked(positions[:, speaker[tiles]])
            known = max(known, float(distances.max()))
            at_most = np.empty(speaker.size)
            at_most[tiles] = distances + (1 + 1e-9) * diagonal((side,) * len(positions), self._spacing)
            positions = positions[:, at_most[tile] > known]
        return max(known, float(asked(positions).max(initial=0)))

    def _padded(self, mask: BoolArray) -> BoolArray:
        """The mask with a margin that is not set, so that steps from its pixels stay inside."""
        padded = np.zeros([side + 2 * REACH for side in mask.shape], dtype=bool)
        padded[(slice(REACH, -REACH),) * mask.ndim] = mask
        return padded

    def _positions(self, pixels: Pixels) -> Pixels:
        """Row, column, ... of pixels, ``[axes, pixels]``."""
        return np.array(np.unravel_index(pixels, self._reference.shape))

    def _length(self, steps: Pixels) -> FloatArray:
        """How long steps ``[axes, n]`` are."""
        squares = np.square(steps * np.array(self._spacing)[:, None])
        length: FloatArray = np.sqrt(np.add.reduce(squares, axis=0))
        return length

    def _shells_within(self, reach: int) -> list[tuple[float, list[int]]]:
        """Steps to the pixels around one, by their length: all that are shorter than any beyond ``reach``."""
        steps = np.array(list(product(range(-reach, reach + 1), repeat=len(self._shape)))).T
        lengths = self._length(steps)
        near = (lengths > 0) & (lengths < (reach + 1) * min(self._spacing, default=1.0))
        return [
            (float(length), (self._strides @ steps[:, lengths == length]).tolist())
            for length in np.unique(lengths[near])
        ]

    def _edges_among(self, pixels: Pixels, is_set: BoolArray) -> Pixels:
        """Those of the set pixels that have a face neighbour that is not set."""
        inside = np.ones(pixels.size, dtype=bool)
        for step in self._faces:
            inside &= is_set[pixels + step]
        return pixels[~inside]

    def _distance_to(self, mask: BoolArray) -> FloatArray:
        """For every pixel the distance to the nearest set pixel of ``mask``."""
        distances: FloatArray = ndimage.distance_transform_edt(~mask, sampling=self._spacing)
        return distances


def checked_spacing(spacing: Sequence[float] | None, axes: int) -> tuple[float, ...]:
    """One number for each axis, 1 where none is given."""
    as_tuple = (1.0,) * axes if spacing is None else tuple(map(float, spacing))
    if len(as_tuple) != axes or min(as_tuple, default=1.0) <= 0:
        raise ValueError(f"spacing must be one positive number for each of the {axes} axes, got {spacing}")
    return as_tuple


def diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """From the first pixel to the last: the distance that stands for that to an empty mask."""
    return float(np.linalg.norm((np.array(shape) - 1) * spacing))


def _tile_of(positions: Pixels, side: int) -> Pixels:
    """The number of each pixel's tile, ``[pixels]``, in a grid that starts at the first row, column, ..."""
    tiles = (positions - positions.min(axis=1, keepdims=True)) // side
    number: Pixels = tiles[0]
    for along, count in zip(tiles[1:], tiles[1:].max(axis=1) + 1, strict=True):
        number = number * count + along
    return number
