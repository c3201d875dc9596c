"""The step from the user's pixels to what a model was trained on."""

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


@dataclass(frozen=True, eq=False, repr=False)
class Preprocess(Setting):
    """``(pixels * scale - mean) / std``, with channels chosen and the size made to fit.

    Hiding happens before it, in the user's own pixels, so that black is black. Any function of a batch does
    as well as this one; but this one is saved with the result, so that the run can be repeated from the file.

    Args:
        scale: Factor for the pixels, before the mean is taken off: 1 / 255 for 8-bit images.
        mean: One number, or one for each channel that the model takes.
        std: One number, or one for each channel that the model takes.
        channels: Which channels the model takes, in its order: ``(2, 1, 0)`` turns RGB into BGR,
            ``(0, 0, 0)`` a grey image into three equal channels. None: all as they are.
        multiple: Resize every side to the nearest multiple of this, for networks that halve the image.
            Their answer is resized back.

    Example:
        >>> imagenet = Preprocess(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
        >>> imagenet(torch.full((1, 3, 8, 8), 255.0))[0, :, 0, 0]
        tensor([2.2489, 2.4286, 2.6400])
    """

    kind: ClassVar[str] = "preprocess"

    scale: float = 1.0
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    channels: tuple[int, ...] | None = None
    multiple: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "multiple", as_positive(self.multiple, "multiple"))
        for name in ("scale", "mean", "std"):
            object.__setattr__(self, name, _finite(getattr(self, name), name, several=name != "scale"))
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

    def __call__(self, batch: Tensor) -> Tensor:
        """Images ``[B, C, *space]`` as the model wants them.

        Raises:
            ValueError: The images have other channels than the settings speak of.
        """
        if not batch.is_floating_point():
            batch = batch.float()
        if self.channels is not None:
            if max(self.channels) >= batch.shape[1]:
                raise ValueError(
                    f"preprocess takes the channels {self.channels}, but the image has {batch.shape[1]}"
                )
            batch = batch[:, list(self.channels)]
        space = batch.shape[2:]
        batch = (batch * self.scale - self._per_channel(self.mean, batch)) / self._per_channel(
            self.std, batch
        )
        wanted = [max(1, round(side / self.multiple)) * self.multiple for side in space]
        if wanted == list(space):
            return batch
        return F.interpolate(batch, size=wanted, mode=SMOOTH[len(space)], align_corners=False)

    def _per_channel(self, value: float | tuple[float, ...], batch: Tensor) -> Tensor:
        numbers = torch.tensor(value, dtype=batch.dtype, device=batch.device).reshape(-1)
        if len(numbers) not in (1, batch.shape[1]):
            raise ValueError(
                f"preprocess has {len(numbers)} values of mean or std for {batch.shape[1]} channels"
            )
        return numbers.view(-1, *[1] * (batch.ndim - 2))


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


SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""The interpolation that is linear along every axis, by the number of axes."""
