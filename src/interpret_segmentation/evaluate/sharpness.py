"""Sharpness: over how many pixels does the map fall at the edge of a region? It costs 0 forwards."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import isotonic_regression

from interpret_segmentation._types import AnyArray
from interpret_segmentation.data.inputs import as_positive, as_region
from interpret_segmentation.evaluate.subject import AnyMap, as_saliency

REACH = 25
"""Pixels on both sides of an edge that are looked at."""

FLAT = 1e-9
"""A fall of less than this share of the largest value is none."""


def edge_width(
    explanation: AnyMap,
    region: AnyArray,
    *,
    reach: int = REACH,
    within: AnyArray | None = None,
) -> float:
    """How sharply the map ends at a region's edge: pixels from 90 % to 10 % of the edge response.

    The edge response is the mean of the map over the pixels of about the same signed distance to the edge,
    in bins of one pixel from ``-reach`` (inside) to ``reach`` (outside). It is made to fall by isotonic
    regression, weighted by the number of pixels; its first value counts as 100 %, its last as 0 %. Between
    the bins it is linear. **Lower** is better, down to 0.8 for an ideal step; at most ``2 * reach``; 0
    forwards. A Gaussian blur of standard deviation s makes 2.563 s of a straight step.

    A map that does not fall has no edge, and no answer: NaN. So it is for a region without pixels inside or
    outside. The width says nothing about the height of the step; a random map has some width too.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        region: ``[*space]`` of 0 and 1.
        reach: How many pixels on both sides are looked at.
        within: The only pixels that count, ``[*space]``: leave out what else may lie near. None: all.

    References:
        The 10 % to 90 % rise distance of the edge spread function, as in Smith, "The scientist and engineer's
        guide to digital signal processing", 1997, chapter 25, http://www.dspguide.com.

    Example:
        >>> region = np.zeros((40, 60), dtype=bool)
        >>> region[:, :30] = True
        >>> round(edge_width(region, region), 3)
        0.8
        >>> blurred = ndimage.gaussian_filter(region.astype(float), 4)
        >>> round(edge_width(blurred, region), 1)
        10.3
    """
    values = as_saliency(explanation)
    inside = as_region(region, values.shape)
    reach = as_positive(reach, "reach")
    counts = np.ones(values.shape, bool) if within is None else as_region(within, values.shape, name="within")
    if not (inside & counts).any() or not (~inside & counts).any():
        return math.nan
    outward, inward = (ndimage.distance_transform_edt(part) for part in (~inside, inside))
    distance = np.where(inside, 0.5 - inward, outward - 0.5)
    near = counts & (np.abs(distance) < reach)
    bins = np.floor(distance[near]).astype(np.int64) + reach
    sizes = np.bincount(bins, minlength=2 * reach)
    used = sizes > 0
    means, places = (
        np.bincount(bins, part[near], 2 * reach)[used] / sizes[used] for part in (values, distance)
    )
    fall = isotonic_regression(means, weights=sizes[used], increasing=False).x
    first, last = fall[0], fall[-1]
    if first - last <= FLAT * np.abs(values).max():
        return math.nan
    response = (fall - last) / (first - last)
    high = int(np.flatnonzero(response >= 0.9)[-1])
    low = int(np.flatnonzero(response <= 0.1)[0])
    return _between(places, response, low - 1, 0.1) - _between(places, response, high, 0.9)


def _between(places: NDArray[np.float64], response: NDArray[np.float64], before: int, level: float) -> float:
    """Where a falling response crosses a level, between a place and the next."""
    (a, b), (x, y) = response[before : before + 2], places[before : before + 2]
    return float(x + (a - level) / (a - b) * (y - x))
