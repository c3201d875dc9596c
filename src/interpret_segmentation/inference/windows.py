"""Decides whether masked images are asked as windows or whole, and asks them as windows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import channels_last as with_channels_last
from interpret_segmentation.inference.dense import Answers, dense, joined
from interpret_segmentation.inference.incremental.changed import Changed, Part, RefusedError, Tape
from interpret_segmentation.models.network import (
    SegmentationModel,
    copied_buffers,
    is_out_of_memory,
    restored,
)
from interpret_segmentation.perturb.hiding import Hiding, Patches, window_at

TOLERANCE = 1e-4
"""How far a probability may be from the whole forward's."""

TRIAL = 0.05
"""Share of the work that a trial may cost."""

SAMPLE = 64
"""Positions that tell how many masks change the image at all."""

WINDOWS = 16
"""Windows that are asked at once, at most, if they have no more pixels than a batch of images."""

PLACES = 4
"""Of a trial: at each, a batch of whole images is compared with the same ones asked by windows."""

ADVANTAGE = 1.1
"""How many times faster windows have to be."""

SHARE_OF_MEMORY = 0.25
"""Share of the free memory that activations may take."""


@dataclass
class Path:
    """How masked images are asked.

    Attributes:
        name: ``"incremental"`` or ``"dense"``.
        because: Why, in a few words.
        speedup: How many times faster the windows were in the trial; None when there was none.
        largest_difference: Between the probabilities of both ways, in the trial.
        activations_mib: Memory that the kept activations take.
        windows_fit: Masks hide patches, so that there was a choice.
        at_once: How many images are asked at once; None: as many as whole images would be.
        unchanged: Masked images equal to the unmasked one, about which nothing had to be asked.
    """

    name: str = "dense"
    because: str = "there was nothing to ask"
    speedup: float | None = None
    largest_difference: float | None = None
    activations_mib: float | None = None
    at_once: int | None = None
    unchanged: int = 0
    windows_fit: bool = False

    @property
    def settings(self) -> dict[str, bool]:
        """The choice as a setting, so that a repetition gives the same numbers to the last digit."""
        return {"incremental": self.name == "incremental"} if self.windows_fit else {}

    def record(self) -> dict[str, Any]:
        """What a result keeps of it."""
        said = {
            "path": self.name,
            "because": self.because,
            "speedup": None if self.speedup is None else round(self.speedup, 2),
            "largest_difference": self.largest_difference,
            "activations_mib": None if self.activations_mib is None else round(self.activations_mib, 1),
            "unchanged": self.unchanged,
        }
        return {name: value for name, value in said.items() if value is not None}


class Incremental:
    """Asks a network about masked images by what they change.

    Args:
        model: The network, borrowed.
        image: The unmasked image, ``[C, *space]``.
        label: The class that is asked for.
        budget: Bytes that activations may take.
    """

    def __init__(self, model: SegmentationModel, image: Tensor, label: int, budget: int) -> None:
        self._model, self._image, self._label = model, image[None], label
        if model.channels_last:
            self._image = with_channels_last(self._image)
        self.tape = Tape(budget)
        self._probability = torch.empty(0)
        self._segment = torch.empty(0)
        self._window_pixels = 1

    @torch.no_grad()
    def record(self, patches: Patches) -> None:
        """Keep the activations of the unmasked image.

        Raises:
            RefusedError: The network does something that cannot be carried, or memory does not suffice.
        """
        part = self._carried(patches)
        maps = self._model.activated(part.baseline.tensor)
        self._probability = maps[0, self._label].clone()
        self._segment = self._model.segments(maps, self._label)[0].clone()
        self._window_pixels = math.prod(part.size)
        self.tape.keep_what_was_read()

    def at_once(self, batch_size: int) -> int:
        """How many windows are asked at once, where so many whole images would be."""
        same_pixels = batch_size * self._segment.numel() // self._window_pixels
        return max(batch_size, min(WINDOWS, same_pixels))

    @torch.no_grad()
    def answers(self, first: int, patches: Patches) -> Answers:
        """What the model says about images of which these windows differ from the unmasked one."""
        part = self._carried(patches)
        maps = self._model.activated(part.values)
        parts = maps[:, self._label], self._model.segments(maps, self._label)
        wholes = []
        for whole, values in zip((self._probability, self._segment), parts, strict=True):
            batch = whole.repeat(len(values), *[1] * whole.ndim)
            for image, corner in enumerate(part.corners):
                batch[image][window_at(corner, part.size)] = values[image]
            wholes.append(batch)
        return Answers(first, *wholes)

    def _carried(self, patches: Patches) -> Part:
        self.tape.begin()
        baseline = self.tape.baseline("image", lambda: self._image)
        values = with_channels_last(patches.values) if self._model.channels_last else patches.values
        maps = self._model.maps(Changed([Part(baseline, values, patches.corners)], self.tape))
        if not isinstance(maps, Changed):
            raise RefusedError("the model's answer does not follow from the image by operations on tensors")
        return maps.one_part()


def chosen(
    model: SegmentationModel, image: Tensor, unmasked: Answers, label: int,
    variations: Callable[[int, int], Tensor], count: int, batch_size: int,
) -> tuple[Callable[[int, int], Answers], Path]:  # fmt: skip
    """The faster way that gives the right answers.

    Args:
        model: The network, borrowed.
        image: The unmasked image, ``[C, *space]``.
        unmasked: What the model says about it.
        label: The class that is asked for.
        variations: ``(first, last) -> images [last - first, C, *space]``; windows are possible where it also
            has ``patches(first, last) -> Patches``.
        count: Number of variations.
        batch_size: How many are asked at once.

    Returns:
        ``(first, last) -> answers``, and what was chosen and why.
    """

    def whole(first: int, last: int) -> Answers:
        return dense(model, label, variations(first, last), first)

    if not isinstance(variations, Hiding):
        return whole, Path(because="the masks change the whole image")
    obstacle = _obstacle(model, count)
    if obstacle:
        path = Path(because=obstacle, windows_fit=True)
        return _asking(None, model, unmasked, label, variations, path, batch_size), path
    buffers = copied_buffers(model.module)
    incremental = Incremental(model, image, label, _budget(image.device))
    path = Path(windows_fit=True)
    device = image.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            _try(incremental, variations, model, label, count, batch_size, path)
        except RefusedError as error:
            path.because = str(error)
        except Exception as error:  # noqa: BLE001  whatever the network does to a strange tensor
            if is_out_of_memory(error):
                path.because = "memory does not suffice for the activations"
            else:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                path.because = f"the network fails on windows: {type(error).__name__}: {reason}"
    if restored(buffers):
        path.name, path.because = "dense", "the network changes its buffers when it is asked"
    if model.incremental and path.name == "dense":
        warn(f"incremental=True, but whole images are asked about: {path.because}")
    windows = incremental if path.name == "incremental" else None
    return _asking(windows, model, unmasked, label, variations, path, batch_size), path


def _asking(
    incremental: Incremental | None, model: SegmentationModel, unmasked: Answers, label: int,
    variations: Hiding, path: Path, batch_size: int,
) -> Callable[[int, int], Answers]:  # fmt: skip
    """``(first, last) -> answers`` that asks only about images that differ from the unmasked one."""

    def answers_to(first: int, last: int) -> Answers:
        patches = variations.patches(first, last)
        which = np.flatnonzero(patches.differ)
        same = last - first - len(which)
        answers = None
        if len(which) and incremental is not None and path.name == "incremental":
            try:
                answers = incremental.answers(first, patches[which])
            except Exception as error:  # noqa: BLE001  the whole forward knows better
                path.name, path.because = "dense", f"windows failed from image {first} on: {error}"
        if len(which) and answers is None:
            images = variations(first, last)
            changed = images[torch.from_numpy(which)] if same else images
            answers = joined([dense(model, label, part, first) for part in torch.split(changed, batch_size)])
        path.unchanged += same
        if answers is not None and not same:
            return answers
        wholes = []
        for name in ("probability", "segment"):
            batch = getattr(unmasked, name).repeat(last - first, *[1] * (variations.dims))
            if answers is not None:
                batch[torch.from_numpy(which)] = getattr(answers, name)
            wholes.append(batch)
        return Answers(first, *wholes)

    return answers_to


def _try(
    incremental: Incremental, variations: Hiding, model: SegmentationModel, label: int, count: int,
    batch_size: int, path: Path,
) -> None:  # fmt: skip
    """Check windows against whole forwards at random positions, time both, and choose."""
    forced = model.incremental is True
    random = np.random.default_rng(0)
    sample = random.choice(count, min(count, SAMPLE), replace=False)
    changing = [int(number) for number in sample if variations.patches(number, number + 1).differ.all()]
    pairs = (int(TRIAL * count * len(changing) / len(sample)) - 1) // 2
    if pairs < 1 and not (forced and changing):
        path.because = "so few masks change the image that a trial of windows does not pay"
        return
    incremental.record(variations.patches(changing[0], changing[0] + 1))
    seconds, worst = np.zeros(2), 0.0
    at_once = incremental.at_once(batch_size)
    many, few = min(at_once, count), max(1, min(batch_size, pairs))
    starts = [min(number, count - many) for number in changing[: max(1, min(PLACES, pairs // few))]]
    for first in starts:
        began = _now(incremental)
        fast = incremental.answers(first, variations.patches(first, first + many))
        between = _now(incremental)
        slow = dense(model, label, variations(first, first + few), first)
        seconds += (between - began) / many, (_now(incremental) - between) / few
        worst = max(worst, float((fast.probability[:few] - slow.probability).abs().max()))
        if worst > TOLERANCE or not torch.equal(fast.segment[:few], slow.segment):
            path.because = f"windows gave other answers than the whole image, by up to {worst:.2g}"
            return
        if not forced and seconds[0] > 2 * seconds[1]:
            break
    path.speedup, path.largest_difference = float(seconds[1] / seconds[0]), worst
    if not forced and path.speedup < ADVANTAGE:
        path.because = f"windows were no faster: {path.speedup:.2f} times the speed of whole images"
        return
    path.name = "incremental"
    path.because = "incremental=True" if forced else f"windows were {path.speedup:.1f} times faster"
    path.at_once = at_once
    path.activations_mib = incremental.tape.nbytes / 2**20


def _now(incremental: Incremental) -> float:
    if incremental._image.is_cuda:
        torch.cuda.synchronize(incremental._image.device)
    return time.perf_counter()


def _obstacle(model: SegmentationModel, count: int) -> str | None:
    """What stands against windows before anything is tried."""
    if model.incremental is False:
        return "incremental=False"
    if TRIAL * count < 3 and not model.incremental:
        return f"{count} images are too few for a trial of windows"
    if model.numpy or model.fixed_batch:
        return "the model takes arrays, or a fixed number of images"
    if model.autocast:
        return "mixed precision"
    if model.dtype != torch.float32:
        return f"the model computes with {str(model.dtype).removeprefix('torch.')}"
    if isinstance(model.module, nn.Module) and any(
        module._forward_hooks or module._forward_pre_hooks for module in model.module.modules()
    ):
        return "the model has forward hooks, which would see windows"
    return None


def _budget(device: torch.device) -> int:
    """Bytes that activations may take: a share of the memory that is free now."""
    if device.type == "cuda":
        return int(SHARE_OF_MEMORY * torch.cuda.mem_get_info(device)[0])
    return int(SHARE_OF_MEMORY * free_memory())


def free_memory() -> int:
    """Bytes of main memory that are free; 8 GiB where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123  not a file but a question
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 8 * 2**30
