"""Baseline maps: they know nothing of the network's reasons.

A method that does not beat them explains nothing about the network. Each map costs 0 forwards beyond the one
that gave the prediction. ``BASELINES`` lists them by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_image, as_map, as_region, as_tensor
from interpret_segmentation.evaluate.regions import otsu

SMALLEST = 16
"""Pixels that an object has at least."""

Baseline: TypeAlias = Callable[..., NDArray[np.float64]]
"""``(image [C, *space], prediction [*space], segment [*space], seed=0) -> map [*space]``."""


def random_map(space: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    """Every pixel a random number from 0 to 1, the same for the same seed."""
    return np.random.default_rng(seed).random(space)


def centred_gaussian(space: tuple[int, ...]) -> NDArray[np.float64]:
    """A Gaussian bell on the image's centre, with a standard deviation of a quarter of each side.

    Photographers put the object in the centre.

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


def lower_right(image: FloatArray) -> NDArray[np.float64]:
    """The lower right part of everything that stands out of the image: of each object the corner most.

    Objects are the connected regions whose colour is further from the image's median than Otsu's threshold,
    blurred by 1.5 pixels, of at least 16 pixels. A network that looks at this part of a shape makes a map
    that points there look good without having asked it.

    Example:
        >>> image = np.zeros((1, 12, 12))
        >>> image[0, 2:10, 2:8] = 1
        >>> divmod(int(lower_right(image).argmax()), 12)
        (8, 7)
    """
    axes = tuple(range(1, image.ndim))
    pixels = np.asarray(image, dtype=np.float64)
    distance = np.abs(pixels - np.median(pixels, axis=axes, keepdims=True)).mean(axis=0)
    smooth = ndimage.gaussian_filter(distance, 1.5)
    numbered, _ = ndimage.label(smooth > otsu(smooth))
    values = np.zeros(numbered.shape)
    for number, box in enumerate(ndimage.find_objects(numbered), start=1):
        own = numbered[box] == number
        if own.sum() < SMALLEST:
            continue
        steps = [np.arange(1, side + 1) / side for side in own.shape]
        values[box] += own * sum(np.ix_(*steps)) / own.ndim
    return values


def distance_to_segment(segment: BoolArray) -> NDArray[np.float64]:
    """How many pixels each pixel is away from the segment; all 0 without a segment.

    Example:
        >>> distance_to_segment(np.array([[True, False, False]]))
        array([[0., 1., 2.]])
    """
    if not segment.any():
        return np.zeros(segment.shape)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~segment)
    return distance


def _grey(image: FloatArray) -> NDArray[np.float64]:
    grey: NDArray[np.float64] = np.asarray(image, dtype=np.float64).mean(axis=0)
    return grey


def _of_arrays(draw: Callable[[FloatArray, FloatArray, BoolArray, int], NDArray[np.float64]]) -> Baseline:
    def baseline(
        image: AnyArray, prediction: AnyArray, segment: AnyArray, seed: int = 0
    ) -> NDArray[np.float64]:
        """A map ``[*space]`` of an image ``[C, *space]``, a prediction and a segment ``[*space]``."""
        space = tuple(as_tensor(segment, "segment").shape)
        channels = as_image(image, len(space), as_stated=True)
        pixels = np.stack([as_map(channel, space, name="image").numpy() for channel in channels])
        probability = as_map(prediction, space, name="prediction").numpy()
        return draw(pixels, probability, as_region(segment, space, name="segment"), seed)

    return baseline


BASELINES: dict[str, Baseline] = {
    "random": _of_arrays(lambda _image, _prediction, segment, seed: random_map(segment.shape, seed)),
    "centre": _of_arrays(lambda _image, _prediction, segment, _seed: centred_gaussian(segment.shape)),
    "segment": _of_arrays(lambda _image, _prediction, segment, _seed: segment.astype(np.float64)),
    "probability": _of_arrays(lambda _image, prediction, _segment, _seed: prediction.astype(np.float64)),
    "border": _of_arrays(lambda _image, _prediction, segment, _seed: border(segment)),
    "edges": _of_arrays(lambda image, _prediction, _segment, _seed: edges(image)),
    "intensity": _of_arrays(lambda image, _prediction, _segment, _seed: intensity(image)),
    "random x image": _of_arrays(
        lambda image, _prediction, segment, seed: random_map(segment.shape, seed) * _grey(image)
    ),
    "centre x image": _of_arrays(
        lambda image, _prediction, segment, _seed: centred_gaussian(segment.shape) * (_grey(image) > 0)
    ),
    "lower right": _of_arrays(lambda image, _prediction, _segment, _seed: lower_right(image)),
    "distance to the segment": _of_arrays(
        lambda _image, _prediction, segment, _seed: distance_to_segment(segment)
    ),
}
"""Every baseline by name: a function ``(image [C, *space], prediction [*space], segment [*space], seed=0)``,
of arrays or tensors, to a map ``[*space]``. The prediction is the network's probability of what is explained.
"""
