"""How sure a map of RISE is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from interpret_segmentation._types import FloatArray
from interpret_segmentation.perturb.masks.base import BUDGET, Masks

PART = 32
"""Masks that are summed in single precision, which is then right to 7 digits."""


class Moments:
    """Sums over masks that the precision of a map follows from: of M^a (f - middle)^b for each pixel.

    Scores are taken around the mean of the first ones: what is left is about as large as their spread, so
    that single precision suffices for a part of the masks. The parts are added in double precision.

    Args:
        masks: The masks, which are rendered as their scores come.
        device: Where they are summed.
    """

    def __init__(self, masks: Masks, device: torch.device) -> None:
        self.count = 0
        """Masks so far."""
        self._masks = masks
        self._sums = torch.zeros(2, 3, math.prod(masks.space), dtype=torch.float64, device=device)
        self._scores = torch.zeros(3, dtype=torch.float64, device=device)
        self._middle = 0.0

    def add(self, scores: FloatArray) -> None:
        """Add the scores ``[n]`` of the next masks."""
        left = torch.as_tensor(scores).to(self._sums)
        if self.count == 0:
            self._middle = left.mean().item()
        for part in torch.split(left, max(1, min(PART, BUDGET // (8 * self._sums.shape[-1])))):
            first, self.count = self.count, self.count + len(part)
            masks = self._masks.render(first, self.count, part.device).flatten(1)
            powers = (part - self._middle) ** torch.arange(3, device=part.device)[:, None]
            self._scores += powers.sum(dim=1)
            self._sums[0] += powers.float() @ masks
            self._sums[1] += powers.float() @ masks.square_()

    def standard_error(self, estimator: str, expected_value: float) -> Tensor:
        """The standard error of the mean map, ``[pixels]``; infinite where it cannot be known yet."""
        count, total, squares = self._scores
        (kept, once, twice), (kept2, once2, twice2) = self._sums
        if count < 2:
            return torch.full_like(kept, torch.inf)
        if estimator == "paper":
            mean = (once + self._middle * kept) / (count * expected_value)
            twice2 = twice2 + 2 * self._middle * once2 + self._middle**2 * kept2
            spread = twice2 / expected_value**2 - count * mean.square()
        else:
            # The influence of mask i is M_i / mean(M) (f_i - ratio) - (f_i - mean(f)), whatever the middle.
            mean, ratio = total / count, once / kept
            own = (twice2 - 2 * ratio * once2 + ratio.square() * kept2) * (count / kept).square()
            mixed = (twice - (ratio + mean) * once + ratio * mean * kept) * (count / kept)
            spread = own - 2 * mixed + squares - count * mean.square()
        error = (spread.clamp(min=0) / (count * (count - 1))).sqrt()
        return torch.nan_to_num(error, nan=torch.inf)
