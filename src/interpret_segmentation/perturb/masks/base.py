"""What every set of masks answers: how much each of its masks keeps of each pixel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import BoolArray, FloatArray

if TYPE_CHECKING:
    from interpret_segmentation.perturb.masks.windows import Windows

BUDGET = 64 * 2**20
"""Bytes that a room may use for masks and maps at one time, beyond what it returns."""


class Masks(ABC):
    """Many masks of one image, rendered some at a time and never held at once.

    A kind of masks writes ``space``, ``len`` and `weights`. Everything else follows from these, and is
    overridden where a kind can do it faster.
    """

    if TYPE_CHECKING:  # at run time it would look like a default to those that have a field of this name

        @property
        def space(self) -> tuple[int, ...]:
            """The size of a mask."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def weights(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """How much the masks of these numbers keep, 1 all and 0 nothing, float32 ``[n, *space]``."""

    # Hard windows: masks that hide a pixel or do not.

    def hidden(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """Which pixels the masks of these numbers hide, at least in part, bool ``[n, *space]``."""
        return self.weights(numbers, device) < 1

    def inside(self, region: BoolArray) -> BoolArray:
        """Which masks have at least half of what they hide in a region, bool ``[len]``."""
        inner = torch.from_numpy(region)
        found = np.zeros(len(self), dtype=bool)
        for part in self._parts():
            hidden = self.hidden(part).flatten(1)
            found[part] = (2 * hidden[:, inner.flatten()].sum(1) >= hidden.sum(1)).numpy()
        return found

    def spread(self, values: FloatArray, numbers: NDArray[np.int64], merge: str) -> FloatArray:
        """Give every pixel the mean or the largest value of the masks that hide it.

        Args:
            values: One number for each mask, ``[n]``.
            numbers: Which masks they are of.
            merge: ``"mean"`` or ``"max"``.

        Returns:
            Float ``[*space]``; NaN where no mask hides anything.
        """
        total, count = np.zeros(self.space), np.zeros(self.space)
        largest = np.full(self.space, np.nan)
        for number, value in zip(numbers, values, strict=True):
            hidden = self.hidden(np.array([number]))[0].numpy()
            total[hidden] += value
            count[hidden] += 1
            largest[hidden] = np.fmax(largest[hidden], value)
        if merge == "max":
            return largest
        with np.errstate(invalid="ignore"):
            mean: FloatArray = total / count
        return mean

    def strongest(self, values: FloatArray, numbers: NDArray[np.int64]) -> FloatArray:
        """Give every pixel the value furthest from 0 of the masks that hide it; the arguments of `spread`."""
        up, down = self.spread(values, numbers, "max"), self.spread(-values, numbers, "max")
        return np.where(up >= down, up, -down)

    # Patches: masks of which only a window has to be looked at.

    def boxed(
        self, numbers: NDArray[np.int64], device: torch.device | str = "cpu"
    ) -> tuple[Tensor, NDArray[np.int64]]:
        """What the masks of these numbers hide, cut out of the image.

        Returns:
            Bool ``[n, *size]`` with one size for all, and the first pixel of each, ``[n, axes]``.
        """
        whole = self.hidden(numbers, device)
        corners, size = boxes(whole)
        return cut(whole[:, None], corners, size)[:, 0], corners

    # Sums: maps that are weighted sums of all masks.

    def render(self, first: int, last: int, device: torch.device | str = "cpu") -> Tensor:
        """The weights of masks number ``first`` to ``last - 1``, float32 ``[last - first, *space]``."""
        return self.weights(np.arange(first, last), device)

    def combine(self, weights: Tensor) -> Tensor:
        """Weighted sums of all masks, float32 ``[P, *space]`` for weights ``[P, N]``, on their device."""
        total = torch.zeros(len(weights), int(np.prod(self.space)), device=weights.device)
        for part in self._parts():
            total += weights[:, torch.from_numpy(part)] @ self.weights(part, weights.device).flatten(1)
        return total.view(len(weights), *self.space)

    def largest(self, weights: Tensor) -> Tensor:
        """At each pixel the largest of these sums, float32 ``[*space]``; they are never held at once."""
        merged = torch.full(self.space, -torch.inf, device=weights.device)
        for part in torch.split(weights, max(1, BUDGET // (8 * int(np.prod(self.space))))):
            merged = torch.maximum(merged, self.combine(part).amax(dim=0))
        return merged

    # What a report needs to find the mask under the pointer.

    def as_windows(self) -> tuple[Windows, ...]:
        """The windows that walk over the image, size by size; none for masks of another kind."""
        return ()

    def as_labels(self) -> NDArray[np.int64] | None:
        """The number of the mask that hides each pixel, -1 for none, where no two hide the same pixel."""
        return None

    def _parts(self) -> list[NDArray[np.int64]]:
        """All numbers, so many at a time as the budget allows."""
        chunk = max(1, BUDGET // (4 * int(np.prod(self.space))))
        return [np.arange(at, min(at + chunk, len(self))) for at in range(0, len(self), chunk)]


class HardMasks(Masks):
    """Masks, each of which hides a set of pixels entirely."""

    @abstractmethod
    def hidden(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """Which pixels the masks of these numbers hide, bool ``[n, *space]``."""

    def weights(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """1 where a mask keeps a pixel and 0 where it hides it, float32 ``[n, *space]``."""
        return (~self.hidden(numbers, device)).float()


MERGES = ("mean", "max")
"""How the values of the masks over a pixel become one."""


def merged(masks: Masks, values: FloatArray, numbers: NDArray[np.int64], merge: str) -> FloatArray:
    """Give every pixel the mean, or for ``"max"`` the strongest, value of the masks that hide it.

    The strongest is the one furthest from 0, whatever its sign: what improves a segmentation must not vanish
    under neighbours that change nothing.
    """
    return masks.spread(values, numbers, merge) if merge == "mean" else masks.strongest(values, numbers)


def boxes(hidden: Tensor) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """Windows of one size that hold what each mask hides.

    Args:
        hidden: Bool ``[n, *space]``.

    Returns:
        The first pixel of each window, ``[n, axes]``, and their size; windows lie inside the image.
    """
    first, last = [], []
    for axis, side in enumerate(hidden.shape[1:]):
        others = [1 + other for other in range(hidden.ndim - 1) if other != axis]
        occupied = hidden
        for other in reversed(others):
            occupied = occupied.any(dim=other)
        seen = occupied.cpu().numpy()
        first.append(seen.argmax(axis=1))
        last.append(np.where(seen.any(axis=1), side - seen[:, ::-1].argmax(axis=1), 0))
    begin, end = np.stack(first, axis=1), np.stack(last, axis=1)
    size = (end - begin).max(axis=0).clip(1)
    corners: NDArray[np.int64] = np.minimum(begin, np.asarray(hidden.shape[1:]) - size)
    return corners, tuple(int(side) for side in size)


def cut(tensor: Tensor, corners: NDArray[np.int64], size: Sequence[int]) -> Tensor:
    """A copy of one window for each corner, ``[n, C, *size]``.

    Args:
        tensor: Images ``[n, C, *space]``, or one image for all.
        corners: The first pixel of each window, ``[n, axes]``.
        size: The windows' size; they lie inside the image.
    """
    if len(tensor) > 1:
        parts = [cut(image[None], corner[None], size) for image, corner in zip(tensor, corners, strict=True)]
        return torch.cat(parts)
    dims = len(size)
    views = tensor[0]
    for axis, side in enumerate(size):
        views = views.unfold(1 + axis, side, 1)
    space, inner = range(1, 1 + dims), range(1 + dims, 1 + 2 * dims)
    last = channels_last(tensor)
    views = views.permute(*space, *inner, 0) if last else views.permute(*space, 0, *inner)
    if len(corners) == 1:
        windows = views[tuple(int(at) for at in corners[0])][None].clone()
    else:
        where = torch.from_numpy(np.ascontiguousarray(corners.T)).to(tensor.device)
        windows = views[tuple(where)]
    return windows.movedim(-1, 1) if last else windows


def channels_last(tensor: Tensor) -> bool:
    """Whether the channels of a pixel lie side by side."""
    return tensor.shape[1] == 1 or tensor.stride(1) == 1
