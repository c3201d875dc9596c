"""Says what is likely to cure a model that fails on an image."""

from __future__ import annotations

import re
from types import TracebackType

from torch import Tensor, nn

SIDES = (
    r"sizes of tensors must match|the size of tensor a|divisible|multiple of"
    r"|broadcast an axis|concat(?:enation)? axis dimensions|axis dimensions? (?:mismatch|must match)"
    r"|invalid dimensions? (?:for|in) concat|dimension mismatch in|mismatched dimensions"
)
"""What errors say about sides that do not fit: of PyTorch, onnxruntime and NumPy."""

INPUTS = r"missing (\d+) required (?:positional|keyword-only) arguments?: (.*)"
"""What Python says of a function that takes more than it got."""


def cure_of(
    error: Exception, images: Tensor, model: object, *, says_channels_last: bool, says_layout: bool = False
) -> str:
    """What to do about an error on the first image; empty where nobody knows.

    Args:
        error: What the model raised.
        images: What it was asked about, ``[B, C, *space]``.
        model: The model.
        says_channels_last: The user wants channels side by side in memory.
        says_layout: The user says that the model takes them last.
    """
    reason = str(error)
    if missing := re.search(INPUTS, reason):
        return (
            f". It takes several inputs, of which {missing.group(2)} got nothing: hand over a function that "
            "takes one image and gives each input its part, such as lambda x: net(x[:, :3], x[:, 3:]) for an "
            "image whose channels from 3 on are the second input"
        )
    if says_channels_last and "view size is not compatible" in reason:
        return ". It cannot take images whose channels lie last: leave channels_last= out"
    if says_layout:
        return ". It was given images with their channels last, as layout= says: leave that out"
    wanted = _channels_of(model)
    if wanted is not None and wanted != images.shape[1]:
        chosen = tuple(min(channel, images.shape[1] - 1) for channel in range(wanted))
        return (
            f". Its first convolution takes {wanted} channels, the image has {images.shape[1]}: "
            "pass an image with its channels first; or choose or repeat channels with "
            f"preprocess=Preprocess(channels={chosen})"
        )
    if "mat1 and mat2 shapes" in reason and images.ndim > 3:
        return ". If it takes the channels last, pass preprocess=Preprocess(layout='channels_last')"
    one_size = (
        ". If it takes images of one size only, pass preprocess=Preprocess(size=224), say, or resize them "
        "yourself"
    )
    if isinstance(error, AssertionError):
        return one_size
    if re.search(SIDES, reason.lower()):
        if all(side % 32 == 0 for side in images.shape[2:]):
            return one_size
        return (
            ". If the network needs sides that are multiples of a number, pass "
            "preprocess=Preprocess(multiple=32), say"
        )
    return ""


def _channels_of(model: object) -> int | None:
    """Channels that the first convolution takes."""
    for module in model.modules() if isinstance(model, nn.Module) else ():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            return module.in_channels
    return None


def further(one: Exception, other: Exception) -> Exception:
    """Of two errors of one function on different input the one that it got further to; of equals the first.

    How far is told by the last instruction in the frames that both have in common.
    """
    for (code, here), (other_code, there) in zip(
        _frames(one.__traceback__), _frames(other.__traceback__), strict=False
    ):
        if code is not other_code:
            break
        if here != there:
            return other if there > here else one
    return one


def _frames(traceback: TracebackType | None) -> list[tuple[object, int]]:
    """The code of every frame but ours, with the instruction that it was at."""
    frames: list[tuple[object, int]] = []
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__") != OURS:
            frames.append((traceback.tb_frame.f_code, traceback.tb_lasti))
        traceback = traceback.tb_next
    return frames


OURS = "interpret_segmentation.models.network"
