"""The incremental way: of each variation only what its patch changes is computed."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation.data.inputs import channels_last as with_channels_last
from interpret_segmentation.inference.dense import Dense
from interpret_segmentation.inference.incremental.changed import Changed, Part, RefusedError, Tape
from interpret_segmentation.inference.strategy import Answers, Asked, Strategy
from interpret_segmentation.perturb.hiding import Patches, Variations, window_at

WINDOWS = 16
"""Windows that are asked at once, at most, if they have no more pixels than a batch of images."""

SHARE_OF_MEMORY = 0.25
"""Share of the free memory that activations may take."""


class Windowed(Strategy):
    """Asks about variations by what their patches change, from the kept activations of the unmasked image.

    Where windows fail on the way, whole images are asked about from then on.

    Args:
        asked: Network, image and class.
        variations: What is asked about; all have patches.
        budget: Bytes that activations may take.
        batch_size: How many whole images are asked at once.
    """

    name: ClassVar[str] = "incremental"

    def __init__(self, asked: Asked, variations: Variations, budget: int, *, batch_size: int) -> None:
        super().__init__(asked, variations, "")
        self._image, self._batch_size = asked.image[None], batch_size
        if asked.reading.channels_last:
            self._image = with_channels_last(self._image)
        self._tape = Tape(budget)
        self._probability = torch.empty(0)
        self._segment = torch.empty(0)
        self.trial: dict[str, float] = {}
        """What a trial has measured."""
        self._instead: Dense | None = None

    def changes(self, number: int) -> bool:
        """Whether a variation differs from the unmasked image."""
        return bool(self._patches(number, number + 1).differ.all())

    @torch.no_grad()
    def keep_activations(self, number: int) -> None:
        """Keep the activations of the unmasked image that windows like those of this variation need.

        Raises:
            RefusedError: The network does something that cannot be carried, or memory does not suffice.
        """
        part = self._carried(self._patches(number, number + 1))
        maps = self._asked.reading.activated(part.baseline.tensor)
        self._probability = maps[0, self._asked.label].clone()
        self._segment = self._asked.reading.segments(maps, self._asked.label)[0].clone()
        same_pixels = self._batch_size * self._segment.numel() // math.prod(part.size)
        self.at_once = max(self._batch_size, min(WINDOWS, same_pixels))
        self._tape.keep_what_was_read()

    def by_windows(self, first: int, last: int) -> Answers:
        """What the model says about the variations ``first`` to ``last - 1``, whatever came before."""
        return self._answers(first, self._patches(first, last))

    def note_trial(self, because: str, speedup: float, largest_difference: float) -> None:
        """Note how the trial went."""
        self._because = because
        self.trial = {"speedup": round(speedup, 2), "largest_difference": largest_difference}

    def ask(self, first: int, last: int, which: NDArray[np.int64], patches: Patches | None) -> Answers:
        """Windows, or whole images once windows have failed."""
        assert patches is not None
        if self._instead is None:
            try:
                return self._answers(first, patches[which])
            except Exception as error:  # noqa: BLE001  the whole forward knows better
                because = f"windows failed from image {first} on: {error}"
                self._instead = Dense(
                    self._asked, self._variations, because, batch_size=self._batch_size, windows_fit=True
                )
        return self._instead.ask(first, last, which, patches)

    def record(self) -> dict[str, Any]:
        """What a result keeps of it."""
        if self._instead is not None:
            return self._instead.record() | self.trial | {"unchanged": self.unchanged}
        size = {"activations_mib": round(self._tape.nbytes / 2**20, 1)}
        return super().record() | self.trial | size

    def options(self) -> dict[str, bool]:
        """By windows again, or not where they failed."""
        return {"incremental": True} if self._instead is None else self._instead.options()

    def _patches(self, first: int, last: int) -> Patches:
        patches = self._variations.patches(first, last)
        assert patches is not None
        return patches

    @torch.no_grad()
    def _answers(self, first: int, patches: Patches) -> Answers:
        """What the model says about images of which these windows differ from the unmasked one."""
        part = self._carried(patches)
        maps = self._asked.reading.activated(part.values)
        label = self._asked.label
        parts = maps[:, label], self._asked.reading.segments(maps, label)
        wholes = []
        for whole, values in zip((self._probability, self._segment), parts, strict=True):
            batch = whole.repeat(len(values), *[1] * whole.ndim)
            for image, corner in enumerate(part.corners):
                batch[image][window_at(corner, part.size)] = values[image]
            wholes.append(batch)
        return Answers(first, *wholes)

    def _carried(self, patches: Patches) -> Part:
        self._tape.begin()
        baseline = self._tape.baseline("image", lambda: self._image)
        reading = self._asked.reading
        values = with_channels_last(patches.values) if reading.channels_last else patches.values
        changed: Any = Changed([Part(baseline, values, patches.corners)], self._tape)
        maps: Any = self._asked.network.maps(changed, reading)
        if not isinstance(maps, Changed):
            raise RefusedError("the model's answer does not follow from the image by operations on tensors")
        return maps.one_part()


def forget_windows(owners: Iterable[object]) -> None:
    """Take windows out of the attributes of networks that keep what they computed.

    Whole images are asked about last, so that an attribute holds a plain tensor again; what is left are lists
    to which a network adds, and attributes of a run that failed half-way.
    """
    for owner in owners:
        for cell in getattr(owner, "__closure__", None) or ():
            with suppress(ValueError):  # a cell that is not filled
                _without_windows(cell.cell_contents)
        attributes = getattr(owner, "__dict__", {})
        for name, value in list(attributes.items()):
            kept = _without_windows(value)
            if kept is not value:
                attributes[name] = kept


def _without_windows(value: Any, depth: int = 3) -> Any:
    """A value without windows in it; lists and dicts lose them in place."""
    if isinstance(value, Changed):
        return None
    if not depth:
        return value
    if isinstance(value, list):
        kept = [_without_windows(item, depth - 1) for item in value if not isinstance(item, Changed)]
        if len(kept) < len(value) or any(one is not other for one, other in zip(kept, value, strict=True)):
            value[:] = kept
    elif isinstance(value, dict):
        for key in [key for key, item in value.items() if isinstance(item, Changed)]:
            del value[key]
        for key, item in value.items():
            value[key] = _without_windows(item, depth - 1)
    elif type(value) is tuple:
        kept = [_without_windows(item, depth - 1) for item in value]
        return value if all(map(operator.is_, kept, value)) else tuple(kept)
    return value


def seconds_now(image: Tensor) -> float:
    """The time, once everything that was asked for is computed."""
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
    return time.perf_counter()


def budget_of(device: torch.device) -> int:
    """Bytes that activations may take: a share of the memory that is free now."""
    if device.type == "cuda":
        return int(SHARE_OF_MEMORY * torch.cuda.mem_get_info(device)[0])
    return int(SHARE_OF_MEMORY * free_memory())


def free_memory() -> int:
    """Bytes of main memory that are free; 8 GiB where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123  no file that anybody wrote
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 8 * 2**30
