"""Windows of several sizes that walk over the same image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_positive
from interpret_segmentation.perturb.masks.base import HardMasks
from interpret_segmentation.perturb.masks.windows import Windows


def as_sizes(sizes: Iterable[int]) -> tuple[int, ...]:
    """Several sizes, each once, the smallest first.

    Raises:
        ValueError: None at all, or one that is not positive.
    """
    checked = tuple(sorted({as_positive(size, "size") for size in sizes}))
    if not checked:
        raise ValueError("size must be one size or several, got none")
    return checked


@dataclass(frozen=True)
class SeveralSizes(HardMasks):
    """Windows of one size after those of another.

    What they measured becomes one map: each size is merged by itself, and a pixel gets the mean over the
    sizes. Small windows tell where an edge is, large ones what only gives way to a larger hole; where both
    speak, the map is sharp and strong.

    Attributes:
        windows: One for each size, all for one image.

    Example:
        >>> sizes = SeveralSizes((Windows((10, 20), 3, 4), Windows((10, 20), 6, 4)))
        >>> len(sizes), sizes.hidden(np.array([0, 15])).sum(dim=(1, 2)).tolist()
        (30, [12, 37])
    """

    windows: tuple[Windows, ...]

    @property
    def space(self) -> tuple[int, ...]:
        """The image's size."""
        return self.windows[0].space

    def __len__(self) -> int:
        return sum(map(len, self.windows))

    def _split(self, numbers: NDArray[np.int64]) -> list[tuple[Windows, BoolArray, NDArray[np.int64]]]:
        """The windows of each size: which of the numbers are theirs, and what they are counted as there."""
        parts, first = [], 0
        for windows in self.windows:
            own = (numbers >= first) & (numbers < first + len(windows))
            parts.append((windows, own, numbers[own] - first))
            first += len(windows)
        return parts

    def hidden(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """Which pixels the windows of these numbers hide, bool ``[n, *space]``; the smallest size first."""
        hidden = torch.empty(len(numbers), *self.space, dtype=torch.bool, device=device)
        for windows, own, counted in self._split(np.asarray(numbers)):
            if own.any():
                hidden[torch.from_numpy(own).to(device)] = windows.hidden(counted, device)
        return hidden

    def boxed(
        self, numbers: NDArray[np.int64], device: torch.device | str = "cpu"
    ) -> tuple[Tensor, NDArray[np.int64]]:
        """What the windows of these numbers hide, cut out of the image in boxes of the largest's size.

        Returns:
            Bool ``[n, *size]``, and the first pixel of each box, ``[n, axes]``.
        """
        numbers, sides = np.asarray(numbers), np.array(self.space)
        size = np.minimum(np.max([one.kernel.shape for one in self.windows], axis=0), sides)
        boxes = np.zeros((len(numbers), *size), dtype=bool)
        corners = np.zeros((len(numbers), len(sides)), dtype=np.int64)
        for windows, own, counted in self._split(numbers):
            hidden, begin = windows.boxed(counted)
            corners[own] = np.minimum(begin, sides - size)
            for place, mask, shift in zip(np.flatnonzero(own), hidden, begin - corners[own], strict=True):
                window = zip(shift, mask.shape, strict=True)
                boxes[place][tuple(slice(first, first + side) for first, side in window)] = mask
        return torch.from_numpy(boxes).to(device), corners

    def as_windows(self) -> tuple[Windows, ...]:
        """Those of each size."""
        return self.windows

    def inside(self, region: BoolArray) -> BoolArray:
        """Which windows have their centre in a region, bool ``[len]``."""
        return np.concatenate([windows.inside(region) for windows in self.windows])

    def spread(self, values: FloatArray, numbers: NDArray[np.int64], merge: str) -> FloatArray:
        """Give every pixel the mean over the sizes of what the windows of one size make of it.

        Args:
            values: One number for each window, ``[n]``.
            numbers: Which windows they are of.
            merge: ``"mean"`` or ``"max"``, of the windows of one size.

        Returns:
            Float ``[*space]``; NaN where no window reaches.
        """
        parts = self._split(numbers)
        return _mean([one.spread(values[own], counted, merge) for one, own, counted in parts if own.any()])

    def strongest(self, values: FloatArray, numbers: NDArray[np.int64]) -> FloatArray:
        """Give every pixel the mean over the sizes of the value furthest from 0 of each size."""
        parts = self._split(numbers)
        return _mean([one.strongest(values[own], counted) for one, own, counted in parts if own.any()])


def _mean(maps: Sequence[FloatArray]) -> FloatArray:
    """The mean of the maps that have a value, at each pixel; NaN where none has."""
    total = np.sum([np.nan_to_num(one) for one in maps], axis=0)
    count = np.sum([~np.isnan(one) for one in maps], axis=0)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = total / count
    return mean
