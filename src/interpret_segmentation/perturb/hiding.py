"""Copies of an image in which masks hide something."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import BoolArray
from interpret_segmentation.perturb.fills import Fill, StaticFill, as_fill
from interpret_segmentation.perturb.grids import Masks
from interpret_segmentation.perturb.windows import HidingMasks


def hiding(
    masks: HidingMasks,
    numbers: NDArray[np.int64],
    image: Tensor,
    fill: Fill,
    channels: slice,
    spare: BoolArray | None = None,
) -> Callable[[int, int], Tensor]:
    """Copies of an image ``[C, *space]``, in each of which one mask hides its pixels.

    Returns:
        ``(first, last) -> images [last - first, C, *space]``.
    """
    hideable = None if spare is None else torch.from_numpy(~spare).to(image.device)
    picture = fill.picture(image)[None] if isinstance(fill, StaticFill) else None

    def variations(first: int, last: int) -> Tensor:
        hidden = masks.hidden(numbers[first:last], image.device)
        if hideable is not None:
            hidden &= hideable
        batch = image.repeat(last - first, *[1] * image.ndim)
        values = fill.values(image, hidden) if picture is None else picture
        batch[:, channels] = torch.where(
            hidden[:, None], values.expand_as(batch)[:, channels], batch[:, channels]
        )
        return batch

    return variations


class Blend:
    """Copies of an image that fade into the fill where a mask does not keep it.

    Args:
        masks: What is kept.
        image: ``[C, *space]``.
        fill: What the hidden pixels fade into.
        channels: Which channels are hidden.
        spare: Pixels that are kept by every mask, bool ``[*space]``.
    """

    def __init__(
        self, masks: Masks, image: Tensor, fill: StaticFill, channels: slice, spare: BoolArray | None
    ) -> None:
        self._masks, self._image, self._channels = masks, image, channels
        self._spare = None if spare is None else torch.from_numpy(spare).to(image.device)
        black = fill == as_fill("black")
        self._picture = None if black else fill.picture(image).expand_as(image)[channels]
        self.latest = torch.empty(0)
        """The masks of the latest call, ``[b, *space]``."""

    def __call__(self, first: int, last: int) -> Tensor:
        """Images number ``first`` to ``last - 1``, ``[last - first, C, *space]``."""
        kept = self._masks.render(first, last, self._image.device)
        if self._spare is not None:
            kept = kept.masked_fill(self._spare, 1)
        self.latest = kept
        weights = kept[:, None].to(self._image.dtype)
        batch = self._image.repeat(last - first, *[1] * self._image.ndim)
        if self._picture is None:
            batch[:, self._channels] *= weights
        else:
            batch[:, self._channels] = torch.lerp(self._picture, batch[:, self._channels], weights)
        return batch
