"""Decides how variations are asked about: the faster way that gives the right answers."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from interpret_segmentation._warnings import warn
from interpret_segmentation.inference.dense import Dense
from interpret_segmentation.inference.incremental import RefusedError
from interpret_segmentation.inference.strategy import Asked, Strategy
from interpret_segmentation.inference.windows import Windowed, budget_of, seconds_now
from interpret_segmentation.models.borrowing import copied_buffers, restore
from interpret_segmentation.models.devices import is_out_of_memory
from interpret_segmentation.models.files import OnnxModel
from interpret_segmentation.models.network import Network
from interpret_segmentation.perturb.hiding import Variations

TOLERANCE = 1e-4
"""How far a probability may be from the whole forward's."""

TRIAL = 0.05
"""Share of the work that a trial may cost."""

SAMPLE = 64
"""Positions that tell how many masks change the image at all."""

PLACES = 4
"""Of a trial: at each, a batch of whole images is compared with the same ones asked by windows."""

ADVANTAGE = 1.1
"""How many times faster windows have to be."""


def choose_strategy(
    asked: Asked, variations: Variations, count: int, batch_size: int, *, steady: bool = True
) -> Strategy:
    """The faster way that gives the right answers, found out by a short trial.

    Args:
        asked: Network, image and class.
        variations: What is asked about; windows are possible where it has patches.
        count: Number of variations.
        batch_size: How many whole images are asked at once.
        steady: The model's answers are a function of the one image.
    """
    if not steady:
        return Dense(
            asked, variations, "the model's answers depend on more than the image", batch_size=batch_size
        )
    if not count or variations.patches(0, 1) is None:
        return Dense(asked, variations, "the masks change the whole image", batch_size=batch_size)
    network = asked.network
    obstacle = _obstacle(network, asked.reading.numpy, count)
    if obstacle:
        return Dense(asked, variations, obstacle, batch_size=batch_size, windows_fit=True)
    buffers = copied_buffers(network.module)
    device = asked.image.device
    windowed = Windowed(asked, variations, budget_of(device), batch_size=batch_size)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            against = _try(windowed, asked, variations, count, batch_size)
        except RefusedError as error:
            against = str(error)
        except Exception as error:  # noqa: BLE001  whatever the network does to a strange tensor
            if is_out_of_memory(error):
                against = "memory does not suffice for the activations"
            else:
                against = f"the network fails on windows: {_reason(error)}"
    if restore(buffers):
        against = "the network changes its buffers when it is asked"
    if not against:
        return windowed
    if network.options.incremental:
        warn(f"incremental=True, but whole images are asked about: {against}")
    return Dense(asked, variations, against, batch_size=batch_size, windows_fit=True, trial=windowed.trial)


def _try(windowed: Windowed, asked: Asked, variations: Variations, count: int, batch_size: int) -> str:
    """Check windows against whole forwards at random positions and time both; what stands against them."""
    forced = asked.network.options.incremental is True
    random = np.random.default_rng(0)
    sample = random.choice(count, min(count, SAMPLE), replace=False)
    changing = [int(number) for number in sample if windowed.changes(int(number))]
    pairs = (int(TRIAL * count * len(changing) / len(sample)) - 1) // 2
    if pairs < 1 and not (forced and changing):
        return "so few masks change the image that a trial of windows does not pay"
    windowed.keep_activations(changing[0])
    seconds, worst = np.zeros(2), 0.0
    many, few = min(windowed.at_once or 1, count), max(1, min(batch_size, pairs))
    starts = [min(number, count - many) for number in changing[: max(1, min(PLACES, pairs // few))]]
    for first in starts:
        began = seconds_now(asked.image)
        fast = windowed.by_windows(first, first + many)
        between = seconds_now(asked.image)
        slow = asked.whole(variations(first, first + few), first)
        seconds += (between - began) / many, (seconds_now(asked.image) - between) / few
        worst = max(worst, float((fast.probability[:few] - slow.probability).abs().max()))
        if worst > TOLERANCE or not torch.equal(fast.segment[:few], slow.segment):
            return f"windows gave other answers than the whole image, by up to {worst:.2g}"
        if not forced and seconds[0] > 2 * seconds[1]:
            break
    speedup = float(seconds[1] / seconds[0])
    because = "incremental=True" if forced else f"windows were {speedup:.1f} times faster"
    windowed.note_trial(because, speedup, worst)
    if not forced and speedup < ADVANTAGE:
        return f"windows were no faster: {speedup:.2f} times the speed of whole images"
    return ""


def _reason(error: Exception) -> str:
    """An error in one line; TorchScript marks the operation that failed, and loses why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    marks = [number for number, line in enumerate(lines) if line.endswith("<--- HERE")]
    if marks and "TorchScript interpreter" in lines[0]:
        operation = lines[marks[-1] - 1].removeprefix("return ").partition("(")[0]
        return f"{operation} in TorchScript cannot be carried"
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _obstacle(network: Network, numpy: bool | None, count: int) -> str:
    """What stands against windows before anything is tried."""
    if network.options.incremental is False:
        return "incremental=False"
    if TRIAL * count < 3 and not network.options.incremental:
        return f"{count} images are too few for a trial of windows"
    if isinstance(network.module, OnnxModel):
        return "the model is a file that onnxruntime runs"
    if numpy:
        return "the model takes NumPy arrays"
    if network.fixed_batch:
        return "the model takes a fixed number of images"
    if network.options.mixed_precision:
        return "mixed precision"
    if network.dtype != torch.float32:
        return f"the model computes with {str(network.dtype).removeprefix('torch.')}"
    if isinstance(network.module, nn.Module) and any(
        module._forward_hooks or module._forward_pre_hooks for module in network.module.modules()
    ):
        return "the model has forward hooks, which would see windows"
    return ""
