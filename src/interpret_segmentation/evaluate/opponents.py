"""Trivial opponents: maps that know nothing of the network's reasons, and that every method has to beat.

Each costs 0 forwards beyond the one that gave the prediction. ``OPPONENTS`` lists them by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from interpret_segmentation._types import BoolArray, FloatArray

Opponent: TypeAlias = Callable[[FloatArray, FloatArray, BoolArray, int], NDArray[np.float64]]
"""``(image [C, *space], prediction [*space], segment [*space], seed) -> map [*space]``."""


def random_map(space: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    """Every pixel a random number from 0 to 1, the same for the same seed."""
    return np.random.default_rng(seed).random(space)


def centred_gaussian(space: tuple[int, ...]) -> NDArray[np.float64]:
    """A Gaussian bell on the image's centre, with a standard deviation of a quarter of each side.

    It knows where photographers put things.

    Example:
        >>> int(centred_gaussian((3, 5)).argmax())
        7
    """
    grid = np.indices(space, dtype=np.float64)
    sides = np.array(space).reshape(-1, *(1,) * len(space))
    bell: NDArray[np.float64] = np.exp(-0.5 * (((grid - (sides - 1) / 2) / (sides / 4)) ** 2).sum(axis=0))
    return bell


def border(segment: BoolArray) -> NDArray[np.float64]:
    """1 on the pixels on both sides of the segment's border, 0 elsewhere; all 0 for a segment without one.

    Example:
        >>> border(np.array([[True, True, False, False]]))
        array([[0., 1., 1., 0.]])
    """
    inner, outer = (ndimage.binary_dilation(part) & ~part for part in (~segment, segment))
    line: NDArray[np.float64] = (inner | outer).astype(np.float64)
    return line


def edges(image: FloatArray) -> NDArray[np.float64]:
    """How steep the image is: the magnitude of its Sobel gradient, the mean taken over all channels first.

    Example:
        >>> edges(np.array([[[0.0, 0.0, 1.0, 1.0]] * 3]))[1]
        array([0., 4., 4., 0.])
    """
    grey = _grey(image)
    slopes = [ndimage.sobel(grey, axis) for axis in range(grey.ndim)]
    steepness: NDArray[np.float64] = np.sqrt(np.square(slopes).sum(axis=0))
    return steepness


def intensity(image: FloatArray) -> NDArray[np.float64]:
    """How much a pixel's brightness, the mean over all channels, differs from the image's median.

    Example:
        >>> intensity(np.array([[[0.0, 0.0, 0.75, 0.25, 0.0]]]))
        array([[0.  , 0.  , 0.75, 0.25, 0.  ]])
    """
    grey = _grey(image)
    return np.abs(grey - np.median(grey))


def _grey(image: FloatArray) -> NDArray[np.float64]:
    grey: NDArray[np.float64] = np.asarray(image, dtype=np.float64).mean(axis=0)
    return grey


OPPONENTS: dict[str, Opponent] = {
    "random": lambda _image, _prediction, segment, seed: random_map(segment.shape, seed),
    "centre": lambda _image, _prediction, segment, _seed: centred_gaussian(segment.shape),
    "segment": lambda _image, _prediction, segment, _seed: segment.astype(np.float64),
    "probability": lambda _image, prediction, _segment, _seed: prediction.astype(np.float64),
    "border": lambda _image, _prediction, segment, _seed: border(segment),
    "edges": lambda image, _prediction, _segment, _seed: edges(image),
    "intensity": lambda image, _prediction, _segment, _seed: intensity(image),
}
"""Every opponent by name; to add one, add an entry."""
