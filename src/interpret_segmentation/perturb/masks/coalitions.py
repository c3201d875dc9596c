"""Coalitions of parts: masks that hide several numbered parts at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import BoolArray
from interpret_segmentation.perturb.masks.base import HardMasks
from interpret_segmentation.perturb.masks.parts import Parts


@dataclass(frozen=True, eq=False)
class Coalitions(HardMasks):
    """Masks that hide sets of parts, as Shapley values and surrogates ask about them.

    Attributes:
        parts: The parts of the image.
        hides: Which parts each mask hides, bool ``[n, parts]``.

    Example:
        >>> parts = Parts(np.array([[0, 0, 1], [2, 2, 1]]))
        >>> both = Coalitions(parts, np.array([[True, False, True]]))
        >>> both.hidden(np.array([0])).int().tolist()
        [[[1, 1, 0], [1, 1, 0]]]
    """

    parts: Parts
    hides: BoolArray

    def __post_init__(self) -> None:
        if self.hides.ndim != 2 or self.hides.shape[1] != len(self.parts) or self.hides.dtype != bool:
            raise ValueError(
                f"hides must be bool [masks, {len(self.parts)}], one column for each part, got "
                f"{self.hides.dtype} of shape {self.hides.shape}"
            )

    @property
    def space(self) -> tuple[int, ...]:
        """The image's size."""
        return self.parts.space

    def __len__(self) -> int:
        return len(self.hides)

    def hidden(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """Which pixels the coalitions of these numbers hide, bool ``[n, *space]``."""
        # Label -1, of pixels in no part, finds the column of zeros at the end.
        of_label = np.pad(self.hides[numbers], ((0, 0), (0, 1)))
        return torch.from_numpy(of_label[:, self.parts.labels]).to(device)
