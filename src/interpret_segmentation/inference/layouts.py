"""Finds out whether a network is faster when the channels of a pixel lie side by side in memory."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from interpret_segmentation.models.network import SegmentationModel
from interpret_segmentation.targets.objective import THRESHOLD

LEAST = 2**14
"""Pixels of an image below which the network's time is not in its convolutions."""

ADVANTAGE = 1.05
"""How many times faster it has to be."""

TOLERANCE = 1e-4
"""How far a probability may then be from what it was: the network adds up in another order."""


def in_faster_layout(model: SegmentationModel, images: Tensor, maps: Tensor) -> Tensor:
    """The model's answer to the unmasked image, in the layout that it will be asked in from now on.

    Settles `SegmentationModel.channels_last` where that is open, by asking twice in each layout. A network
    that fails or draws something else when the channels come last is asked as it was.

    Args:
        model: The network, borrowed.
        images: The unmasked image, ``[1, C, *space]``.
        maps: Probabilities, the answer to it.
    """
    if model.channels_last is not None or not _may_gain(model, images):
        return maps
    seconds = dict.fromkeys((False, True), float("inf"))
    in_layout = maps
    for last in (True, False) * 2:
        model.channels_last = last
        began = time.perf_counter()
        try:
            answer = model.probabilities(images.clone())
        except (RuntimeError, ValueError):
            break
        seconds[last] = min(seconds[last], time.perf_counter() - began)
        if not _alike(answer, maps):
            break
        in_layout = answer if last else in_layout
    else:
        model.channels_last = seconds[True] * ADVANTAGE < seconds[False]
        return in_layout if model.channels_last else maps
    model.channels_last = False
    return maps


def _may_gain(model: SegmentationModel, images: Tensor) -> bool:
    """Whether there are convolutions with weights in the usual layout, and an image that is worth it."""
    module = model.module
    if model.device.type != "cpu" or not isinstance(module, nn.Module) or model.numpy or model.fixed_batch:
        return False
    if images.ndim not in (4, 5) or images[0, 0].numel() < LEAST:
        return False
    layout = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
    weights = [weight for weight in module.parameters() if weight.ndim == images.ndim and weight.shape[1] > 1]
    return any(not weight.is_contiguous(memory_format=layout) for weight in weights)


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two answers agree up to rounding, and in every pixel on what is segment."""
    if one.shape != other.shape or not torch.allclose(one, other, rtol=0, atol=TOLERANCE):
        return False
    return torch.equal(one > THRESHOLD, other > THRESHOLD) and torch.equal(one.argmax(1), other.argmax(1))
