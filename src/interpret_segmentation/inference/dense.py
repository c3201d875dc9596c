"""The plain way: ask about whole images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from interpret_segmentation.inference.strategy import Answers, Asked, Strategy, joined
from interpret_segmentation.perturb.hiding import Patches, Variations


class Dense(Strategy):
    """Asks about whole images, but for those that are equal to the unmasked one.

    Args:
        asked: Network, image and class.
        variations: What is asked about.
        because: Why this way was chosen.
        batch_size: How many images are asked at once.
        windows_fit: Masks hide patches, so that there was a choice.
        trial: What a trial of windows has measured.
    """

    name: ClassVar[str] = "dense"

    def __init__(
        self,
        asked: Asked,
        variations: Variations,
        because: str,
        *,
        batch_size: int,
        windows_fit: bool = False,
        trial: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(asked, variations, because)
        self._batch_size, self._windows_fit, self._trial = batch_size, windows_fit, trial or {}

    def ask(
        self,
        first: int,
        last: int,
        which: NDArray[np.int64],
        patches: Patches | None,  # noqa: ARG002
    ) -> Answers:
        """Whole images, a batch at a time."""
        images = self._variations(first, last)
        if len(which) < last - first:
            images = images[torch.from_numpy(which)]
        parts = torch.split(images, self._batch_size)
        return joined([self._asked.whole(part, first) for part in parts])

    def record(self) -> dict[str, Any]:
        """What a result keeps of it."""
        return super().record() | dict(self._trial)

    def options(self) -> dict[str, bool]:
        """Not by windows again, where they would have been possible."""
        return {"incremental": False} if self._windows_fit else {}
