"""The maps of all explained pixels of a run, as a matrix that is multiplied and never held."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interpret_segmentation.methods.rise.result import RISEResult
from interpret_segmentation.perturb.masks.base import BUDGET


class MatrixOfMaps:
    """The matrix of all maps, one row for each block of explained pixels; it is multiplied, never held.

    With the scores A ``[N, P]``, centred where the estimator is, and the masks M ``[N, X]``, each pixel
    divided by what the estimator divides by, it is the transposed of A times M.

    Args:
        result: The run.
        step: Pixels along each side of a block.
    """

    def __init__(self, result: RISEResult, step: int) -> None:
        assert result.pixels is not None
        self._result, self._step = result, step
        coarse = tuple(-(-side // step) for side in result.pixels.shape)
        numbers = np.ravel_multi_index(tuple(axis // step for axis in np.nonzero(result.pixels)), coarse)
        places, block_of = np.unique(numbers, return_inverse=True)
        self.explained = np.zeros(coarse, dtype=bool)
        self.explained.ravel()[places] = True
        self._block_of = torch.from_numpy(block_of.reshape(-1))
        self._share = 1 / torch.bincount(self._block_of).float()
        self.shape = len(places), prod(coarse)
        masks = result.masks
        if result.estimator == "paper":
            divisor = torch.full(masks.space, len(masks) * masks.expected_value)
        else:
            divisor = masks.combine(torch.ones(1, len(masks)))[0]
        reached = divisor > 0 if result.reached is None else torch.from_numpy(result.reached.copy())
        self._factor = torch.where(reached & (divisor > 0), 1 / divisor, 0)

    @property
    def rank(self) -> int:
        """One for each mask, at most."""
        return len(self._result.masks)

    def transposed(self, directions: Tensor) -> Tensor:
        """The matrix transposed times directions ``[P, n]``, ``[X, n]``."""
        weights = torch.zeros(len(self._result.masks), directions.shape[1])
        shares = (directions * self._share[:, None])[self._block_of]
        for columns, scores in self._scores():
            weights += scores @ shares[columns]
        chunk = max(1, BUDGET // (4 * self._factor.numel()))
        maps = [self._pooled(self._result.masks.combine(part)) for part in torch.split(weights.T, chunk)]
        return torch.cat(maps).T

    def times(self, inputs: Tensor) -> Tensor:
        """The matrix times ``[X, n]``, ``[P, n]``."""
        masks = self._result.masks
        chunk = max(1, BUDGET // (4 * self._factor.numel()))
        firsts = range(0, len(masks), chunk)
        seen = torch.cat(
            [self._pooled(masks.render(first, min(first + chunk, len(masks)))) @ inputs for first in firsts]
        )
        total = torch.zeros(self.shape[0], inputs.shape[1])
        for columns, scores in self._scores():
            total.index_add_(0, self._block_of[columns], scores.T @ seen)
        return total * self._share[:, None]

    def rows(self, chosen: Tensor) -> Tensor:
        """Some rows of the matrix, ``[n, X]``."""
        directions = torch.zeros(self.shape[0], len(chosen))
        directions[chosen, torch.arange(len(chosen))] = 1
        return self.transposed(directions).T

    def _scores(self) -> Iterator[tuple[slice, Tensor]]:
        """The scores of some explained pixels after the other, and which they are."""
        table = self._result.scores
        chunk = max(1, BUDGET // (8 * table.rows))
        for first in range(0, table.columns, chunk):
            columns = slice(first, min(first + chunk, table.columns))
            scores = np.array(table.array()[:, columns], dtype=np.float32)
            if self._result.estimator == "centred":
                scores -= scores.mean(axis=0, dtype=np.float64)
            yield columns, torch.from_numpy(scores)

    def _pooled(self, maps: Tensor) -> Tensor:
        """Maps or masks ``[n, *space]``, divided and averaged over blocks, ``[n, X]``."""
        maps = maps * self._factor
        if self._step > 1:
            pool = F.avg_pool2d if maps.ndim == 3 else F.avg_pool3d
            maps = pool(maps[:, None], self._step, ceil_mode=True)[:, 0]
        return maps.flatten(1)
