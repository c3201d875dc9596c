"""How much hiding changes each pixel, and how that shares out what was measured of a mask.

A mask hides many pixels, and one number is measured of all of them. Which of them is it of? Not of a pixel
that the fill leaves as it is: hiding it does nothing. So the damage of a mask is shared in proportion to how
much it changes each pixel,

    share(pixel) = damage(mask) x change(pixel) / mean of change over the mask

A pixel that is changed more than the others of its mask would have more than was measured of any mask. So the
whole map is scaled down until its strongest pixel has no more than the strongest number that was measured.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.perturb.fills.base import StaticFill
from interpret_segmentation.perturb.masks.base import BUDGET, Masks, cut, merged


def change_of(fill: StaticFill, image: torch.Tensor, channels: slice) -> FloatArray:
    """How much a fill changes each pixel, float ``[*space]``, from 0.

    The mean over the hidden channels of the absolute difference, each channel's relative to its largest, so
    that no channel counts for the unit that it is in.

    Args:
        fill: For the image's segment.
        image: ``[C, *space]``.
        channels: Those that are hidden.
    """
    change = (fill.picture(image)[channels] - image[channels]).abs().double().flatten(1)
    largest = change.amax(dim=1, keepdim=True)
    relative = torch.where(largest > 0, change / largest, 0.0).mean(dim=0)
    found: FloatArray = relative.view(image.shape[1:]).cpu().numpy()
    return found


def shared(
    masks: Masks,
    values: FloatArray,
    numbers: NDArray[np.int64],
    merge: str,
    change: FloatArray | None,
    spare: BoolArray | None = None,
) -> FloatArray:
    """Give every pixel the mean, or for ``"max"`` the strongest, of its shares of the masks that hide it.

    Args:
        masks: What was hidden.
        values: One number for each mask, ``[n]``.
        numbers: Which masks they are of.
        merge: ``"mean"`` or ``"max"``.
        change: How much each pixel is changed, ``[*space]``. None: every pixel has all of the number.
        spare: Pixels that no mask hides, whatever it covers, bool ``[*space]``.

    Returns:
        Float ``[*space]``, nowhere further from 0 than the furthest of the numbers; NaN where no mask reaches
        and, by change, where nothing is hidden.

    Example:
        >>> from interpret_segmentation.perturb.masks.parts import Parts
        >>> parts, one = Parts(np.array([[0, 0, 0, 0, 1]])), np.array([0])
        >>> shared(parts, np.array([6.0]), one, "mean", np.array([[1.0, 2, 0, 0, 1]])).tolist()
        [[3.0, 6.0, 0.0, 0.0, nan]]
    """
    if change is None:
        return merged(masks, values, numbers, merge)
    means = _means(masks, numbers, change, spare)
    relative = np.divide(values, means, out=np.zeros(len(means)), where=means > 0)
    painted: FloatArray = change * merged(masks, relative, numbers, merge)
    if spare is not None:
        painted[spare] = np.nan
    strongest = np.nanmax(np.abs(painted), initial=0)
    return painted * min(1.0, np.abs(values).max(initial=0) / strongest) if strongest > 0 else painted


def _means(
    masks: Masks, numbers: NDArray[np.int64], change: FloatArray, spare: BoolArray | None
) -> NDArray[np.float64]:
    """The mean change over the pixels that each mask hides, ``[n]``; 0 where it hides none."""
    hideable = np.ones(change.shape, dtype=bool) if spare is None else ~spare
    both = torch.from_numpy(np.stack([np.where(hideable, change, 0.0), hideable.astype(np.float64)]))
    means = np.zeros(len(numbers))
    for part in _chunks(masks, numbers):
        hidden, corners = masks.boxed(numbers[part])
        sums = (cut(both[None], corners, tuple(hidden.shape[1:])) * hidden[:, None]).flatten(2).sum(dim=2)
        means[part] = (sums[:, 0] / sums[:, 1].clamp(min=1)).numpy()
    return means


def _chunks(masks: Masks, numbers: NDArray[np.int64]) -> Iterator[slice]:
    """Masks that can be looked at together."""
    step = max(1, BUDGET // (32 * int(np.prod(masks.space))))
    for first in range(0, len(numbers), step):
        yield slice(first, first + step)
