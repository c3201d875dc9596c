"""The maps that are made of a run's scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.methods.rise.score_table import ScoreTable
from interpret_segmentation.perturb.masks.base import BUDGET
from interpret_segmentation.perturb.masks.grids import RandomMasks

COLUMNS = 4096
"""Explained pixels whose scores are read at one time."""


@dataclass(frozen=True, eq=False)
class Maps:
    """Masks and the scores under them, which every map is a weighted sum of.

    Attributes:
        masks: The masks that the image was multiplied with.
        scores: One row for each mask.
        estimator: ``"paper"`` or ``"centred"``; see `interpret_segmentation.rise`.
        reached: The pixels that were ever hidden, bool ``[*space]``; None: all.
        device: Where maps are computed.
    """

    masks: RandomMasks
    scores: ScoreTable
    estimator: str
    reached: BoolArray | None
    device: torch.device

    def mean(self) -> Tensor:
        """The map of the mean score, float32 ``[*space]`` on the CPU."""
        return self.of(self.scores.row_means)

    def of_column(self, column: int) -> Tensor:
        """The map of one explained pixel."""
        return self.of(self.scores.read(np.array([column]))[:, 0])

    def of_columns(self, columns: NDArray[np.int64]) -> Tensor:
        """The mean of the maps of some explained pixels."""
        scores = [
            self.scores.read(part).sum(axis=1, dtype=np.float64)
            for part in np.split(columns, range(COLUMNS, len(columns), COLUMNS))
        ]
        return self.of((np.sum(scores, axis=0) / len(columns)).astype(np.float32))

    def largest(self, columns: NDArray[np.int64], *, progress: bool) -> Tensor:
        """At each pixel the largest of the maps of some explained pixels."""
        chunk = max(1, BUDGET // (32 * len(self.masks)))
        merged = torch.full(self.masks.space, -torch.inf, device=self.device)
        with tqdm(
            total=len(columns), desc="RISE maximum", unit="pixel", delay=2, disable=not progress
        ) as bar:
            for part in np.split(columns, range(chunk, len(columns), chunk)):
                largest = self.masks.largest(self._weights(self.scores.read(part)))
                merged = torch.maximum(merged, largest)
                bar.update(len(part))
        kept = self.masks.combine(torch.ones(1, len(self.masks), device=self.device))
        return self._map(merged, kept[0]).cpu()

    def of(self, scores: FloatArray) -> Tensor:
        """The map for scores ``[N]``."""
        weights = self._weights(scores[:, None])
        total, kept = self.masks.combine(torch.cat([weights, torch.ones_like(weights)]))
        return self._map(total, kept).cpu()

    def _weights(self, scores: FloatArray) -> Tensor:
        """What is summed up over the masks, for scores ``[N, p]``: their distance to a middle, ``[p, N]``."""
        middle = scores.mean(axis=0, dtype=np.float64) if self.estimator == "centred" else self._middle
        left = np.empty(scores.shape, dtype=np.float32)
        np.subtract(scores, middle, out=left, dtype=np.float64, casting="same_kind")
        return torch.from_numpy(left).to(self.device).T

    @property
    def _middle(self) -> float:
        """What is taken off the scores of all pixels alike: sums of what is left lose far fewer digits."""
        return float(self.scores.row_means.mean(dtype=np.float64))

    def _map(self, total: Tensor, kept: Tensor) -> Tensor:
        """The map for the weighted and the plain sum of the masks."""
        if self.estimator == "paper":
            values = (total + self._middle * kept) / (len(self.masks) * self.masks.expected_value)
        else:
            values = torch.where(kept > 0, total / kept, torch.zeros_like(kept))
        if self.reached is None or self.reached.all():
            return values
        return values * torch.from_numpy(self.reached.copy()).to(self.device)
