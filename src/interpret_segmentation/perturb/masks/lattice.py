"""Sums of shifted grids along one axis, each pixel from the few numbers that decide it."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor


class Lattice:
    """Where shifted grids have the centres of their cells along an axis, and what lies between them.

    A grid enlarged linearly is linear between the centres of its cells, which are
    ``spacing = (cells + 1) / cells * shifts`` pixels apart, and constant beyond the first and the last. Shift
    t has the centre of cell i at ``(i + 1/2) spacing - 1/2 - t``. No two are at one place: all of them are
    the lattice. Let V(k) be the weighted sum of cells at point k. The sum S of the enlarged grids follows
    from it by hats as wide as two spacings; but between two pixels a < b where S is known already, only the
    few points between them matter, at which S bends:

        S(y) = (b - y) / (b - a) S(a) + (y - a) / (b - a) S(b) - sum over a < k < b of g(y, k) bend(k)
        g(y, k) = (min(y, k) - a) (b - max(y, k)) / (b - a)
        bend(k) = (V(k - spacing) - 2 V(k) + V(k + spacing)) / spacing

    where beyond the first and the last cell V goes on as it is. So of all pixels every root-th is made from
    hats, and the others from bends.

    Args:
        enlarging: The linear weights of the cells at each pixel for every shift, ``[shifts, pixels, cells]``.
    """

    def __init__(self, enlarging: Tensor) -> None:
        shifts, self.pixels, cells = enlarging.shape
        spacing = (cells + 1) * shifts / cells
        first = (torch.arange(cells, dtype=torch.float64) + 0.5) * spacing - 0.5
        # In ascending order: a spacing is longer than all shifts.
        points = (first[:, None] - torch.arange(shifts - 1, -1, -1)).flatten()
        self._known = sorted({*range(0, self.pixels, round(math.sqrt(self.pixels))), self.pixels - 1})
        self._hats = enlarging.flip(0)[:, self._known].permute(1, 2, 0).flatten(1)
        self._between = [_Between(a, b, points, spacing, enlarging.device) for a, b in pairwise(self._known)]
        self.shape = (cells, shifts)
        """Cells and shifts; the last shift comes first, so that the points are in ascending order."""

    def largest(self, values: Tensor) -> Tensor:
        """At each pixel the largest of many sums.

        Args:
            values: At the points of the lattice, ``[columns, cells, shifts, sums]``. They are used up.

        Returns:
            ``[pixels, columns]``.
        """
        known = _times(self._hats, values.flatten(1, 2))
        _to_bends(values)
        bends = values.flatten(1, 2)
        found = values.new_empty(len(values), self.pixels)
        found[:, self._known] = known.amax(dim=-1)
        for index, part in enumerate(self._between):
            if part.pixels.start < part.pixels.stop:
                sums = _times(part.lines, known[:, index : index + 2])
                sums.baddbmm_(part.bent.expand(len(values), -1, -1), bends[:, part.points])
                found[:, part.pixels] = sums.amax(dim=-1)
        return found.T


class _Between:
    """How the pixels between two that are known follow from these and from the bends between them."""

    def __init__(self, a: int, b: int, points: Tensor, spacing: float, device: torch.device) -> None:
        self.pixels = slice(a + 1, b)
        self.points = slice(int((points <= a).sum()), int((points < b).sum()))
        at, bend = torch.arange(a + 1, b, dtype=torch.float64)[:, None], points[self.points]
        self.lines = torch.cat([b - at, at - a], dim=1).div(b - a).to(device, torch.float32)
        bent = (torch.minimum(at, bend) - a) * (torch.maximum(at, bend) - b) / ((b - a) * spacing)
        self.bent = bent.to(device, torch.float32)


def _times(matrix: Tensor, columns: Tensor) -> Tensor:
    return torch.bmm(matrix.expand(len(columns), -1, -1), columns)


def _to_bends(values: Tensor) -> None:
    """Turn values ``[columns, cells, ...]`` into the changes of slope, cell after cell, in place."""
    cells = list(values.unbind(dim=1))
    for value, following in pairwise(cells):
        torch.sub(following, value, out=value)
    cells[-1].zero_()
    for slope, following in reversed(list(pairwise(cells))):
        following -= slope
