"""The maps of all explained pixels of a RISE run, as a product of two small matrices.

The map of output pixel p is linear in its scores, so all maps together are one matrix ``S [pixels, image]``
of a rank that is low for smooth masks. A randomised range finder with one power iteration (Halko, Martinsson,
Tropp 2011, https://doi.org/10.1137/090771806, algorithms 4.4 and 5.1) finds its first singular vectors
without S ever existing; 8-bit numbers hold them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from interpret_segmentation._types import BoolArray
from interpret_segmentation.methods.rise.result import RISEResult
from interpret_segmentation.perturb.masks.grids import BUDGET

RANK = 256
"""The largest rank that is looked at."""

SPARE_RANK = 16
"""Directions beyond it, without which the last ones would be found badly."""

CHECKED = 128
"""Explained pixels on which the error is measured."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Maps ``S[p, x] = sum_k scales[k] * outputs[p, k] * inputs[x, k]``, on a coarser grid than the image's.

    Attributes:
        outputs: int8 ``[P, rank]``, one row for each block of explained pixels, in reading order.
        inputs: int8 ``[X, rank]``, one row for each block of image pixels.
        scales: float32 ``[rank]``.
        explained: The blocks that have a row, bool ``[*coarse]``.
        step: Pixels along each side of a block.
        error: Root of the squared difference to the exact maps over all pixels, relative to the root of the
            maps' squares, measured on ``checked`` of the explained blocks.
        checked: Number of blocks that the error was measured on.
    """

    outputs: NDArray[np.int8]
    inputs: NDArray[np.int8]
    scales: NDArray[np.float32]
    explained: BoolArray
    step: int
    error: float
    checked: int

    @property
    def rank(self) -> int:
        """Number of terms of each sum."""
        return len(self.scales)

    @property
    def nbytes(self) -> int:
        """What the factors take."""
        return self.outputs.nbytes + self.inputs.nbytes


def factorised(result: RISEResult, *, error: float, budget: int, step: int = 1, seed: int = 0) -> Factors:
    """Factors whose product is as near to the exact maps as wished, or as the budget allows.

    Args:
        result: A run with scores for every explained pixel.
        error: Relative error that is wished.
        budget: Bytes that both factors may take.
        step: Pixels along each side of a block.
        seed: Of the random directions and of the pixels that the error is measured on.
    """
    maps = _Maps(result, step)
    outputs, inputs = maps.shape
    most = max(1, min(RANK, outputs, len(result.masks), budget // (outputs + inputs)))
    random = torch.Generator().manual_seed(seed)
    found = min(most + SPARE_RANK, outputs, inputs, len(result.masks))
    directions = torch.randn(outputs, found, generator=random)
    basis, _ = torch.linalg.qr(maps.transposed(directions))
    basis, _ = torch.linalg.qr(maps.transposed(maps.times(basis)))
    left, sizes, right = torch.linalg.svd(maps.times(basis), full_matrices=False)
    roots = sizes.sqrt()
    left, right = left * roots, basis @ right.T * roots
    chosen = torch.randperm(outputs, generator=random)[: min(CHECKED, outputs)].sort().values
    exact = maps.rows(chosen)
    for rank in sorted({*range(16, most, 16), most}):
        quantised = _quantised(left[:, :rank], right[:, :rank])
        reached = _error(exact, chosen, *quantised)
        if reached <= error:
            break
    one, other, scales = (part.numpy() for part in quantised)
    return Factors(one, other, scales, maps.explained, step, reached, len(chosen))


class _Maps:
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


def _quantised(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both factors in whole numbers from -127 to 127, and the scale of each of their columns."""
    sides = [part.abs().amax(dim=0).clamp(min=1e-30) / 127 for part in (left, right)]
    one, other = (
        (part / side).round().to(torch.int8) for part, side in zip((left, right), sides, strict=True)
    )
    return one, other, sides[0] * sides[1]


def _error(exact: Tensor, chosen: Tensor, outputs: Tensor, inputs: Tensor, scales: Tensor) -> float:
    """Relative to the root of the exact maps' squares."""
    found = (outputs[chosen].float() * scales) @ inputs.float().T
    size = exact.norm().item()
    return (found - exact).norm().item() / size if size else 0.0
