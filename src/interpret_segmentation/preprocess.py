"""The step from the user's pixels to what a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from interpret_segmentation._settings import Setting
from interpret_segmentation.inputs import as_positive


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
        as_positive(self.multiple, "multiple")
        for name in ("mean", "std"):
            value = getattr(self, name)
            plain = tuple(map(float, value)) if hasattr(value, "__len__") else float(value)
            object.__setattr__(self, name, plain)
        if not torch.tensor(self.std).all():
            raise ValueError(f"std must not be 0, got {self.std}")
        if self.channels is not None:
            object.__setattr__(self, "channels", tuple(map(int, self.channels)))

    def __call__(self, batch: Tensor) -> Tensor:
        """Images ``[B, C, *space]`` as the model wants them.

        Raises:
            ValueError: The images have other channels than the settings speak of.
        """
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


SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""The interpolation that is linear along every axis, by the number of axes."""
