"""How sure a map of RISE is."""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Sums over all masks that the precision of a map follows from: of M^a f^b for each pixel.

    Args:
        pixels: Number of pixels.
        device: Where they are summed.
    """

    def __init__(self, pixels: int, device: torch.device) -> None:
        self.sums = torch.zeros(2, 3, pixels, dtype=torch.float64, device=device)
        self.scores = torch.zeros(3, dtype=torch.float64, device=device)

    def add(self, masks: Tensor, scores: Tensor) -> None:
        """Add masks ``[b, *space]`` with their scores ``[b]``."""
        weights = masks.flatten(1).to(self.sums)
        powers = scores.to(self.sums) ** torch.arange(3, device=weights.device)[:, None]
        self.sums[0] += powers @ weights
        self.sums[1] += powers @ weights.square()
        self.scores += powers.sum(dim=1)

    def standard_error(self, estimator: str, expected_value: float) -> Tensor:
        """The standard error of the mean map, ``[pixels]``; infinite where it cannot be known yet."""
        count, total, squares = self.scores
        (kept, once, _), (kept2, once2, twice2) = self.sums
        if count < 2:
            return torch.full_like(kept, torch.inf)
        if estimator == "paper":
            mean = once / (count * expected_value)
            spread = twice2 / expected_value**2 - count * mean.square()
        else:
            # The influence of mask i is M_i / mean(M) (f_i - ratio) - (f_i - mean(f)).
            mean, ratio = total / count, once / kept
            own = (twice2 - 2 * ratio * once2 + ratio.square() * kept2) * (count / kept).square()
            mixed = (self.sums[0, 2] - (ratio + mean) * once + ratio * mean * kept) * (count / kept)
            spread = own - 2 * mixed + squares - count * mean.square()
        error = (spread.clamp(min=0) / (count * (count - 1))).sqrt()
        return torch.nan_to_num(error, nan=torch.inf)
