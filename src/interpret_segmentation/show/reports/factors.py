"""The maps of all explained pixels, as a product of two small matrices.

All maps together are one matrix ``S [pixels, image]``, of a rank that is low where maps are smooth. A
randomised range finder with one power iteration (Halko, Martinsson, Tropp 2011,
https://doi.org/10.1137/090771806, algorithms 4.4 and 5.1) finds its first singular vectors without S ever
existing; 8-bit numbers hold them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import BoolArray
from interpret_segmentation.results.explanation import Explanation

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


def factorised(
    explanation: Explanation, *, error: float, budget: int, step: int = 1, seed: int = 0
) -> Factors:
    """Factors whose product is as near to the exact maps as wished, or as the budget allows.

    Args:
        explanation: One that has a map for every explained pixel.
        error: Relative error that is wished.
        budget: Bytes that both factors may take.
        step: Pixels along each side of a block.
        seed: Of the random directions and of the pixels that the error is measured on.
    """
    maps = explanation.pixel_maps(step)
    assert maps is not None
    outputs, inputs = maps.shape
    most = max(1, min(RANK, outputs, maps.rank, budget // (outputs + inputs)))
    random = torch.Generator().manual_seed(seed)
    found = min(most + SPARE_RANK, outputs, inputs, maps.rank)
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
