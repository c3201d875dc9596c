"""Variations of an image: copies in which masks hide something."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.data.inputs import as_tensor
from interpret_segmentation.perturb.fills.base import Fill, StaticFill
from interpret_segmentation.perturb.fills.ranges import check_black
from interpret_segmentation.perturb.masks.base import Masks, boxes, cut


@dataclass(frozen=True, eq=False)
class Patches:
    """Masked images, as what differs from the unmasked one.

    Attributes:
        values: Windows ``[n, C, *size]`` outside of which an image is as it was.
        corners: The first pixel of each, ``[n, axes]``.
        differ: Which images differ from the unmasked one at all, bool ``[n]``.
    """

    values: Tensor
    corners: NDArray[np.int64]
    differ: BoolArray

    def __getitem__(self, which: NDArray[np.int64]) -> Patches:
        """Some of them, by number."""
        return Patches(self.values[torch.from_numpy(which)], self.corners[which], self.differ[which])


class Variations(ABC):
    """Many copies of one image, each changed in its own way, made some at a time."""

    @abstractmethod
    def __call__(self, first: int, last: int) -> Tensor:
        """Images number ``first`` to ``last - 1``, ``[last - first, C, *space]``."""

    def patches(self, first: int, last: int) -> Patches | None:  # noqa: ARG002  for those that have them
        """The same images, as what differs from the unmasked one; None where that is no patch."""
        return None


class Function(Variations):
    """Variations that a function makes.

    Args:
        function: ``(first, last) -> images [last - first, C, *space]``.
        image: The image that they are variations of, ``[C, *space]``.
    """

    def __init__(self, function: Callable[[int, int], AnyArray], image: Tensor) -> None:
        self._function, self._image = function, image

    def __call__(self, first: int, last: int) -> Tensor:
        """What the function makes.

        Raises:
            TypeError: It makes something else than an array.
            ValueError: It makes another number of images, or images of another size.
        """
        images = as_tensor(self._function(first, last), "what variations return")
        wanted = (last - first, *self._image.shape)
        if images.shape != wanted:
            expected, got = (" x ".join(map(str, shape)) for shape in (wanted, images.shape))
            raise ValueError(
                f"variations must return images number {first} to {last - 1}, {expected}; got {got}"
            )
        return images.to(self._image)


class Hiding(Variations):
    """Copies of an image, in each of which one mask hides its pixels.

    Args:
        masks: What is hidden.
        numbers: Which of the masks are used, in this order.
        image: ``[C, *space]``.
        fill: What the hidden pixels become.
        channels: Which channels are hidden.
        spare: Pixels that no mask hides, bool ``[*space]``.
    """

    def __init__(
        self,
        masks: Masks,
        numbers: NDArray[np.int64],
        image: Tensor,
        fill: Fill,
        channels: slice,
        spare: BoolArray | None = None,
    ) -> None:
        self._masks, self._numbers, self._image, self._fill = masks, numbers, image, fill
        self._channels = channels
        self._hideable = None if spare is None else torch.from_numpy(~spare).to(image.device)
        self._picture = fill.picture(image)[None] if isinstance(fill, StaticFill) else None
        check_black(fill, image[channels])

    @property
    def dims(self) -> int:
        """Axes of space."""
        return self._image.ndim - 1

    def __call__(self, first: int, last: int) -> Tensor:
        """Images number ``first`` to ``last - 1``, ``[last - first, C, *space]``."""
        hidden = self._hidden(first, last)
        batch = self._image.repeat(last - first, *[1] * self._image.ndim)
        values = self._values(hidden).expand_as(batch)[:, self._channels]
        batch[:, self._channels] = torch.where(hidden[:, None], values, batch[:, self._channels])
        return batch

    def patches(self, first: int, last: int) -> Patches:
        """The same images, as what differs from the unmasked one."""
        hidden, values, corners = self._boxed(first, last)
        size = tuple(hidden.shape[1:])
        before = cut(self._image[None], corners, size)
        after = before.clone()
        after[:, self._channels] = torch.where(
            hidden[:, None], cut(values, corners, size)[:, self._channels], before[:, self._channels]
        )
        return Patches(after, corners, (after != before).flatten(1).any(dim=1).cpu().numpy())

    def _boxed(self, first: int, last: int) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
        """What the masks hide, cut out of the image, what it becomes, and where it was cut out."""
        if self._picture is not None:
            hidden, corners = self._masks.boxed(self._numbers[first:last], self._image.device)
            if self._hideable is not None:
                hidden = hidden & cut(self._hideable[None, None], corners, tuple(hidden.shape[1:]))[:, 0]
            return hidden, self._picture, corners
        whole = self._hidden(first, last)
        corners, size = boxes(whole)
        return cut(whole[:, None], corners, size)[:, 0], self._values(whole), corners

    def _hidden(self, first: int, last: int) -> Tensor:
        hidden = self._masks.hidden(self._numbers[first:last], self._image.device)
        return hidden if self._hideable is None else hidden & self._hideable

    def _values(self, hidden: Tensor) -> Tensor:
        return self._fill.values(self._image, hidden) if self._picture is None else self._picture


def window_at(corner: NDArray[np.int64], size: Sequence[int]) -> tuple[slice, ...]:
    """The index of a window by its first pixel and its size."""
    return tuple(slice(int(at), int(at) + side) for at, side in zip(corner, size, strict=True))


class Blend(Variations):
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
        check_black(fill, image[channels])
        picture = fill.picture(image).expand_as(image)[channels]
        self._picture = picture if picture.any() else None  # black, into which an image fades when multiplied

    def __call__(self, first: int, last: int) -> Tensor:
        """Images number ``first`` to ``last - 1``, ``[last - first, C, *space]``."""
        kept = self._masks.render(first, last, self._image.device)
        if self._spare is not None:
            kept = kept.masked_fill(self._spare, 1)
        weights = kept[:, None].to(self._image.dtype)
        image = self._image[self._channels]
        faded = image * weights if self._picture is None else torch.lerp(self._picture, image, weights)
        if len(image) == len(self._image):
            return faded
        batch = self._image.repeat(last - first, *[1] * self._image.ndim)
        batch[:, self._channels] = faded
        return batch
