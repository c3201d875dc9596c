"""In what order the parts of an image are hidden or shown: the most important first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.data.inputs import as_copy, as_positive, as_probability, as_seed


@dataclass(frozen=True, eq=False)
class Order:
    """Parts of an image, pixels or regions, one after the other.

    Attributes:
        rank: Of the part that each pixel belongs to, from 0 for the first; -1: none ``[*space]``.
        pixels: In the first 0, 1, 2, ... parts together, ``[parts + 1]``.
    """

    rank: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pixels) - 1

    def counts(self, steps: int) -> NDArray[np.int64]:
        """How many parts have gone after each step, from none to all; no more steps than parts."""
        steps = min(as_positive(steps, "steps"), len(self))
        return np.rint(np.linspace(0, len(self), steps + 1)).astype(np.int64)

    def shares(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Which share of the pixels so many of the first parts hold."""
        shares: NDArray[np.float64] = self.pixels[counts] / self.pixels[-1]
        return shares

    def first(self, fraction: float) -> BoolArray:
        """The pixels of the first parts, such a fraction of all parts but at least one, bool ``[*space]``."""
        count = max(1, round(as_probability(fraction, "fraction") * len(self)))
        return (self.rank >= 0) & (self.rank < count)


def ordered(saliency: NDArray[np.float64], regions: AnyArray | None = None, *, seed: int | None = 0) -> Order:
    """Pixels by their importance, or regions by the mean importance of their pixels.

    Equally important parts go in a random order, not in that of reading: a map that says nothing must not
    profit from where the object is.

    Args:
        saliency: The map, ``[*space]``.
        regions: Whole numbers ``[*space]``, each one region; negative ones belong to none. None: pixels.
        seed: Of the random order. None: another one each time.

    Raises:
        TypeError: Regions that are not whole numbers.
        ValueError: Regions of another size, or none.

    Example:
        >>> ordered(np.array([[0.1, 0.7, 0.3]])).rank
        array([[2, 0, 1]])
    """
    labels, sizes = np.arange(saliency.size).reshape(saliency.shape), np.ones(saliency.size, dtype=np.int64)
    importance = saliency.ravel()
    if regions is not None:
        labels = _numbered(regions, saliency.shape)
        kept = labels >= 0
        sizes = np.bincount(labels[kept])
        scaled = saliency[kept] / (np.abs(saliency).max() or 1)
        # Equal means shall be equal, whatever the size of a region did to their last digits.
        importance = np.round(np.bincount(labels[kept], scaled) / sizes, 12)
    random = np.random.default_rng(as_seed(seed)).permutation(len(sizes))
    order = np.lexsort((random, -importance))
    rank = np.full(len(sizes) + 1, -1)  # label -1 finds the last -1
    rank[order] = np.arange(len(sizes))
    return Order(rank[labels], np.concatenate([[0], np.cumsum(sizes[order])]))


def _numbered(regions: AnyArray, space: tuple[int, ...]) -> NDArray[np.int64]:
    """Regions numbered from 0 without gaps, -1 where there is none, ``[*space]``."""
    given = as_copy(regions, "regions")
    if given.dtype.kind not in "iu":
        raise TypeError(f"regions must be whole numbers, one for each region; got {given.dtype}")
    if given.shape != space:
        raise ValueError(f"regions must number the pixels of the map, {space}, got an array {given.shape}")
    kept = given >= 0
    if not kept.any():
        raise ValueError("regions hold no region: every pixel has a negative number")
    labels = np.full(space, -1, dtype=np.int64)
    labels[kept] = np.unique(given[kept], return_inverse=True)[1]
    return labels
