"""How a map stands to the truth that was measured by intervention: its rank, its hit, what it claims."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.data.inputs import as_region
from interpret_segmentation.evaluate.regions import highest, pointing_game, roc_auc
from interpret_segmentation.evaluate.subject import AnyMap, as_saliency

POWERFUL = 0.1
"""A pixel is powerful whose part has more than this share of the largest power."""

NEAR = 5
"""Pixels beside powerful ones that still are a hit."""


def power_rank(explanation: AnyMap, power: AnyArray, *, within: AnyArray | None = None) -> float:
    """The share of the power on the map's highest pixels, of what as many pixels can hold at best.

    With K powerful pixels, those with more than a tenth of the largest power,

        sum of power over the map's K highest pixels / sum of power over the K powerful ones

    From 0 to 1, **higher** is better, 0 forwards. Pixels that tie for the last places share them, so that a
    constant map gets what chance gives. Power that is nowhere above 0 has no answer: NaN.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        power: The power of the part that each pixel belongs to, ``[*space]``; `Power.map`.
        within: The only pixels that count, ``[*space]``. None: all.

    Example:
        >>> power_rank(np.array([[3.0, 2, 1, 0]]), np.array([[0, 0.75, 0.25, 0]]))
        0.75
    """
    values, known, inside = _inside(explanation, power, within)
    strong = _strong(known, inside)[inside]
    weights = np.maximum(known[inside], 0)
    count = int(np.count_nonzero(strong))
    if not count:
        return math.nan
    return float((highest(values[inside], count) * weights).sum() / weights[strong].sum())


def power_hit(
    explanation: AnyMap, power: AnyArray, *, tolerance: float = NEAR, within: AnyArray | None = None
) -> float:
    """Does the map's strongest pixel lie on a powerful one, or within 5 pixels of it?

    0 or 1, **higher** is better, 0 forwards; of several equally strong pixels the share that does. The
    arguments are those of `power_rank`.

    Example:
        >>> power_hit(np.array([[3.0, 2, 1, 0]]), np.array([[0, 0.75, 0.25, 0]]), tolerance=0)
        0.0
    """
    values, known, inside = _inside(explanation, power, within)
    return pointing_game(values, _strong(known, inside), tolerance=tolerance, within=inside)


def power_within(explanation: AnyMap, power: AnyArray, region: AnyArray) -> float:
    """The chance that a powerful pixel of a region outranks another pixel of it.

    From 0 to 1, **higher** is better, 0.5 is chance; 0 forwards. It asks which part of a cue decides, where
    `power_rank` can be had for pointing at the whole of it. NaN where all of the region is powerful, or none.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        power: As for `power_rank`.
        region: The pixels that count, such as those of the cue, ``[*space]`` of 0 and 1.

    Example:
        >>> power_within(np.array([[9.0, 2, 1, 0]]), np.array([[0, 0.75, 0, 0]]), np.array([[0, 1, 1, 1]]))
        1.0
    """
    values, known, inside = _inside(explanation, power, region)
    strong = _strong(known, inside)
    return roc_auc(values, strong, inside & ~strong)


def claimed(explanation: AnyMap, *, within: AnyArray | None = None) -> float:
    """The most that a map claims anywhere: its largest value, in its own unit, at least 0.

    Where hiding all of the context changes nothing, **lower** is better; 0 forwards.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        within: The only pixels that count, ``[*space]``. None: all.

    Example:
        >>> claimed(np.array([[-3.0, 0.5]]))
        0.5
    """
    values = as_saliency(explanation)
    inside = np.ones(values.shape, bool) if within is None else as_region(within, values.shape, name="within")
    return float(values[inside].max(initial=0))


def _strong(known: NDArray[np.float64], inside: BoolArray) -> BoolArray:
    """The powerful pixels among those that count, bool ``[*space]``."""
    largest = float(known[inside].max(initial=0))
    strong: BoolArray = inside & (known > POWERFUL * largest) & (known > 0)
    return strong


def _inside(
    explanation: AnyMap, power: AnyArray, within: AnyArray | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], BoolArray]:
    """The map, the power and the pixels that count, all ``[*space]``."""
    values, known = as_saliency(explanation), as_saliency(getattr(power, "map", power), "power")
    if values.shape != known.shape:
        sides = (" x ".join(map(str, one.shape)) for one in (values, known))
        raise ValueError("the map is {}, but the power {}; both must be of the same image".format(*sides))
    inside = np.ones(values.shape, bool) if within is None else as_region(within, values.shape, name="within")
    return values, known, inside
