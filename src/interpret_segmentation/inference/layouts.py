"""Finds out whether a network is faster when the channels of a pixel lie side by side in memory."""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch import Tensor, nn

from interpret_segmentation.models.network import Network
from interpret_segmentation.models.reading import Reading

LEAST = 2**14
"""Pixels of an image below which the network's time is not in its convolutions."""

ADVANTAGE = 1.05
"""How many times faster it has to be."""

TOLERANCE = 1e-4
"""How far a probability may then be from what it was: the network adds up in another order."""


def find_layout(network: Network, reading: Reading, images: Tensor, maps: Tensor) -> tuple[Reading, Tensor]:
    """The layout that the network is asked in from now on, and its answer to the unmasked image in it.

    Where nobody said, the network is asked twice in each layout. One that fails or draws something else when
    the channels come last is asked as it was.

    Args:
        network: The network, borrowed.
        reading: How its answer is read.
        images: The unmasked image, ``[1, C, *space]``.
        maps: Probabilities, the answer to it.
    """
    if reading.channels_last is not None or not _may_gain(network, reading, images):
        return reading, maps
    seconds = dict.fromkeys((False, True), float("inf"))
    in_layout = maps
    for last in (True, False) * 2:
        began = time.perf_counter()
        try:
            answer = network.probabilities(images.clone(), replace(reading, channels_last=last))
        except (RuntimeError, ValueError):
            break
        seconds[last] = min(seconds[last], time.perf_counter() - began)
        if not _alike(answer, maps, reading):
            break
        in_layout = answer if last else in_layout
    else:
        faster = seconds[True] * ADVANTAGE < seconds[False]
        return replace(reading, channels_last=faster), in_layout if faster else maps
    return replace(reading, channels_last=False), maps


def _may_gain(network: Network, reading: Reading, images: Tensor) -> bool:
    """Whether there are convolutions with weights in the usual layout, and an image that is worth it."""
    module = network.module
    if not isinstance(module, nn.Module) or network.device.type != "cpu":
        return False
    if reading.numpy or network.fixed_batch or network.is_compiled:
        return False
    if images.ndim not in (4, 5) or images[0, 0].numel() < LEAST:
        return False
    layout = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
    weights = [weight for weight in module.parameters() if weight.ndim == images.ndim and weight.shape[1] > 1]
    return any(not weight.is_contiguous(memory_format=layout) for weight in weights)


def _alike(one: Tensor, other: Tensor, reading: Reading) -> bool:
    """Whether two answers agree up to rounding, and in every pixel on what is segment."""
    if one.shape != other.shape or not torch.allclose(one, other, rtol=0, atol=TOLERANCE):
        return False
    classes = range(one.shape[1])
    return all(torch.equal(reading.segments(one, label), reading.segments(other, label)) for label in classes)
