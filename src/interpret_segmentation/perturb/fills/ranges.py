"""What values an image can have: which of them is white, and whether 0 is black."""

from __future__ import annotations

import torch
from torch import Tensor

from interpret_segmentation._warnings import warn
from interpret_segmentation.perturb.fills.base import Fill

SCALES = (255, 65535)
"""White in pictures of 8 and of 16 bits."""

BELOW, ABOVE = 0.02, 0.1
"""Shares of an image's range by which its darkest value may lie below and above 0, and 0 still be black.

From 0 to 1, it always is.
"""


def white_of(image: Tensor) -> Tensor:
    """The brightest value that each channel of an image ``[C, *space]`` can have, ``[C]``.

    1 in an image of 0 to 1; 255 in one of 8 bits, which are whole numbers or go beyond half of that; 65535 in
    one that goes beyond half of that; else the brightest value that is there, as in images with negative
    values. Where the channels together are neither of the first two, each is looked at by itself.
    """
    together = _white(image)
    if together in (1, SCALES[0]):
        return image.new_full((len(image),), together)
    return image.new_tensor([_white(channel) for channel in image])


def _white(values: Tensor) -> float:
    darkest, brightest = values.min().item(), values.max().item()
    if darkest < 0:
        return brightest
    if brightest <= 1:
        return 1
    eight, sixteen = SCALES
    if brightest <= eight and (brightest > eight / 2 or bool((values == values.round()).all())):
        return eight
    return sixteen if sixteen / 2 < brightest <= sixteen else brightest


def check_black(fill: Fill, image: Tensor) -> None:
    """Warn where black is the fill, which is 0, but 0 is not black in this image.

    Args:
        fill: What hidden pixels become.
        image: The channels that are hidden, ``[C, *space]``.
    """
    if fill.kind != "constant" or torch.as_tensor(getattr(fill, "value", 1)).any():
        return
    channels = image.detach().flatten(1)
    lowest, highest = channels.amin(1), channels.amax(1)
    bright = bool(highest.max() > 1 and lowest.min() > ABOVE * (highest.max() - lowest.min()))
    odd = bright | (-lowest > BELOW * (highest - lowest))
    if not odd.any():
        return
    number = int(odd.nonzero()[0])
    low, high = lowest[number].item(), highest[number].item()
    lacks = "which is not black in this image"
    if bright:
        lacks, what = "which this image does not have", "darker than everything in it"
    elif high <= 0:
        what = "brighter than everything in it"
    else:
        what = f"brighter than {(channels[number] < 0).float().mean().item():.0%} of it"
    where = "its values go" if len(image) == 1 else f"the values of channel {number} go"
    warn(
        f"the fill black hides with 0, {lacks}: {where} from {low:g} to {high:g}, "
        f"and 0 is {what}; choose fill='background', or its darkest value, fill={low:g}"
    )
