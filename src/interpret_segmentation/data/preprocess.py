"""The step from the user's pixels to what a model was trained on, and the way back of its answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interpret_segmentation._settings import Setting
from interpret_segmentation.data.inputs import as_copy, as_positive, as_whole
from interpret_segmentation.data.resizing import SMOOTH, resized

FITS = ("stretch", "letterbox", "pad")
"""How an image is brought to the model's size."""

POSITIONS = ("center", "top_left")
"""Where it lies when there is more room."""

LAYOUTS = ("channels_first", "channels_last")
"""The order of a batch's axes: ``[B, C, *space]`` or ``[B, *space, C]``."""


@dataclass(frozen=True, eq=False, repr=False)
class Preprocess(Setting):
    """``(pixels * scale - mean) / std``, with channels chosen and the size made to fit.

    Hiding happens before it, in the user's own pixels, so that black is black. The model's answer goes back
    the same way, so that the map lies on the user's image. Any function of a batch does as well as this one,
    as long as it moves no pixels; but this one is saved with the result, so that the run can be repeated from
    the file.

    Args:
        scale: Factor for the pixels, before the mean is taken off: 1 / 255 for 8-bit images.
        mean: One number, or one for each channel that the model takes.
        std: One number, or one for each channel that the model takes.
        channels: Which channels the model takes, in its order: ``(2, 1, 0)`` turns RGB into BGR,
            ``(0, 0, 0)`` a grey image into three equal channels. None: all as they are.
        multiple: Bring every side to a multiple of this, for networks that halve the image: to the nearest
            one when the image is stretched, to the next larger one otherwise.
        size: The size that the model takes: one number for all sides, or one for each, rows first. None: the
            image's own.
        fit: How the image is brought to that size: ``"stretch"`` resizes every side by itself,
            ``"letterbox"`` all sides by the same factor, with padding around, ``"pad"`` only pads.
        position: Where the image lies in a larger one: in the ``"center"``, as in YOLO's letterbox, or at the
            ``"top_left"``, as in SAM, with all the padding after it.
        pad_value: What padding is filled with, in the user's pixels: 114 for YOLO and 8-bit images.
        layout: ``"channels_last"`` for networks that take ``[B, *space, C]``, as those of Keras do, and
            answer so.

    Example:
        >>> imagenet = Preprocess(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
        >>> imagenet(torch.full((1, 3, 8, 8), 255.0))[0, :, 0, 0]
        tensor([2.2489, 2.4286, 2.6400])
        >>> yolo = Preprocess(size=640, fit="letterbox", pad_value=114, scale=1 / 255)
        >>> yolo(torch.zeros(1, 3, 240, 320)).shape
        torch.Size([1, 3, 640, 640])
        >>> yolo.restore(torch.zeros(1, 1, 160, 160), (240, 320)).shape
        torch.Size([1, 1, 240, 320])
    """

    kind: ClassVar[str] = "preprocess"

    scale: float = 1.0
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    channels: tuple[int, ...] | None = None
    multiple: int = 1
    size: int | tuple[int, ...] | None = None
    fit: str = "stretch"
    position: str = "center"
    pad_value: float = 0.0
    layout: str = "channels_first"

    def __post_init__(self) -> None:
        object.__setattr__(self, "multiple", as_positive(self.multiple, "multiple"))
        for name in ("scale", "mean", "std", "pad_value"):
            several = name in ("mean", "std")
            object.__setattr__(self, name, _finite(getattr(self, name), name, several=several))
        if not torch.tensor(self.std).all():
            raise ValueError(f"std must not be 0, got {self.std}")
        if self.channels is not None:
            chosen: object = self.channels
            if isinstance(chosen, str) or not isinstance(chosen, Iterable):
                raise TypeError(f"channels must be numbers of channels, got {chosen!r}")
            channels = tuple(as_whole(channel, "channels") for channel in chosen)
            if not channels or min(channels) < 0:
                raise ValueError(f"channels must be one or more numbers from 0 on, got {channels}")
            object.__setattr__(self, "channels", channels)
        if self.size is not None:
            object.__setattr__(self, "size", _as_size(self.size))
            if self.multiple > 1:
                raise ValueError("size and multiple both say how large images become; give one of them")
        for name, known in (("fit", FITS), ("position", POSITIONS), ("layout", LAYOUTS)):
            if getattr(self, name) not in known:
                words = ", ".join(map(repr, known))
                raise ValueError(f"{name} must be one of {words}, got {getattr(self, name)!r}")
        if self.fit != "stretch" and self.size is None and self.multiple == 1:
            raise ValueError(f"fit={self.fit!r} needs a size to fit images into: pass size= or multiple=")

    def __call__(self, batch: Tensor) -> Tensor:
        """Images ``[B, C, *space]`` as the model wants them.

        Raises:
            ValueError: The images have other channels than the settings speak of, or do not fit.
        """
        if not batch.is_floating_point():
            batch = batch.float()
        if self.channels is not None:
            if max(self.channels) >= batch.shape[1]:
                raise ValueError(
                    f"preprocess takes the channels {self.channels}, but the image has {batch.shape[1]}"
                )
            batch = batch[:, list(self.channels)]
        space = tuple(batch.shape[2:])
        batch = self._normalised(batch)
        inner, whole = self._inner(space), self.size_of(space)
        if inner != space:
            batch = F.interpolate(batch, size=inner, mode=SMOOTH[len(space)], align_corners=False)
        if inner != whole:
            padding = self._normalised(batch.new_full((1, batch.shape[1], *[1] * len(space)), self.pad_value))
            padded = padding.expand(*batch.shape[:2], *whole).clone()
            padded[self._box(inner, whole)] = batch
            batch = padded
        return batch.movedim(1, -1) if self.layout == "channels_last" else batch

    def restore(self, maps: Tensor, space: tuple[int, ...]) -> Tensor:
        """Maps of what the model saw, on the image again.

        Args:
            maps: ``[B, K, *any]``, of the size that the model saw, or coarser.
            space: The image's size.

        Returns:
            ``[B, K, *space]``.
        """
        inner, whole = self._inner(space), self.size_of(space)
        if inner != whole:
            maps = resized(maps, whole)[self._box(inner, whole)]
        return resized(maps, space)

    def size_of(self, space: tuple[int, ...]) -> tuple[int, ...]:
        """The size that images of a size become."""
        if self.size is None:
            up = self.fit != "stretch"
            counts = [-(-side // self.multiple) if up else round(side / self.multiple) for side in space]
            return tuple(max(1, count) * self.multiple for count in counts)
        size = self.size if isinstance(self.size, tuple) else (self.size,) * len(space)
        if len(size) != len(space):
            raise ValueError(
                f"preprocess has a size of {len(size)} sides, {size}, but the image has {len(space)}"
            )
        return size

    def _inner(self, space: tuple[int, ...]) -> tuple[int, ...]:
        """The size that the image itself has in there."""
        whole = self.size_of(space)
        if self.fit == "stretch":
            return whole
        if self.fit == "pad" or self.size is None:
            if any(side > most for side, most in zip(space, whole, strict=True)):
                raise ValueError(
                    f"an image of {' x '.join(map(str, space))} cannot be padded to "
                    f"{' x '.join(map(str, whole))}; pass fit='letterbox', which makes it smaller"
                )
            return space
        factor = min(most / side for side, most in zip(space, whole, strict=True))
        return tuple(min(most, max(1, round(side * factor))) for side, most in zip(space, whole, strict=True))

    def _box(self, inner: tuple[int, ...], whole: tuple[int, ...]) -> tuple[slice, ...]:
        """Where it lies in there, of all images and all channels."""
        halves = 2 if self.position == "center" else 0
        starts = [(most - side) // halves if halves else 0 for side, most in zip(inner, whole, strict=True)]
        box = (slice(start, start + side) for start, side in zip(starts, inner, strict=True))
        return (slice(None), slice(None), *box)

    def _normalised(self, batch: Tensor) -> Tensor:
        mean, std = (self._per_channel(value, batch) for value in (self.mean, self.std))
        return (batch * self.scale - mean) / std

    def _per_channel(self, value: float | tuple[float, ...], batch: Tensor) -> Tensor:
        numbers = torch.tensor(value, dtype=batch.dtype, device=batch.device).reshape(-1)
        if len(numbers) not in (1, batch.shape[1]):
            raise ValueError(
                f"preprocess has {len(numbers)} values of mean or std for {batch.shape[1]} channels"
            )
        return numbers.view(-1, *[1] * (batch.ndim - 2))


def _as_size(size: object) -> int | tuple[int, ...]:
    """A side of at least 1, or one for each axis."""
    if isinstance(size, Iterable) and not isinstance(size, str):
        sides = tuple(as_positive(side, "size") for side in size)
        if not sides:
            raise ValueError("size must be one number, or one for each side, got none")
        return sides
    return as_positive(size, "size")  # type: ignore[arg-type]


def _finite(value: object, name: str, *, several: bool) -> float | tuple[float, ...]:
    """A finite number, or where several are allowed one for each channel."""
    try:
        numbers = as_copy(value, name).astype(float)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be a number{' or one for each channel' * several}, got {value!r}"
        ) from None
    if numbers.ndim > several or not numbers.size or not np.isfinite(numbers).all():
        raise ValueError(
            f"{name} must be a finite number{' or one for each channel' * several}, got {value!r}"
        )
    return tuple(map(float, numbers)) if numbers.ndim else float(numbers)
