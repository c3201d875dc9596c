"""Random masks as RISE draws them: coarse grids of on and off, enlarged smoothly and shifted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

BUDGET = 64 * 2**20
"""Bytes that a room may use for masks and maps at one time, beyond what it returns."""


class Masks(Protocol):
    """Many masks, each with a weight from 0 (hidden) to 1 (kept) for every pixel; never held at once."""

    @property
    def height(self) -> int:
        """Rows of a mask."""

    @property
    def width(self) -> int:
        """Columns of a mask."""

    @property
    def expected_value(self) -> float:
        """The mean weight of a pixel."""

    def __len__(self) -> int: ...

    def render(self, first: int, last: int, device: torch.device | str = "cpu") -> Tensor:
        """Masks number ``first`` to ``last - 1``, float32 ``[last - first, H, W]``."""

    def combine(self, weights: Tensor) -> Tensor:
        """Weighted sums of all masks, float32 ``[P, H, W]`` for weights ``[P, N]``, where the weights are."""


@dataclass(frozen=True, eq=False)
class Grids:
    """The masks of RISE (https://arxiv.org/abs/1806.07421, section 3.2), as the few numbers that make them.

    Mask n is its grid of s x s cells enlarged bilinearly to ``(s + 1)`` cells of ``ceil(size / s)`` pixels
    in each direction, cut to the image's size from pixel ``shifts[n]`` on. Enlarging is linear in rows and
    columns, so that ``mask = A[y] @ cells[n] @ B[x].T`` with one small matrix for each possible shift.

    Attributes:
        cells: Which cells are kept, bool ``[N, s, s]``.
        shifts: (row, column) at which each mask is cut, int64 ``[N, 2]``.
        height: Rows of a mask.
        width: Columns of a mask.
        keep: Probability that a cell is kept, which is the mean weight of every pixel.
        seed: What the cells and shifts were drawn from; None when unknown.
    """

    cells: Tensor
    shifts: Tensor
    height: int
    width: int
    keep: float
    seed: int | None = None

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def expected_value(self) -> float:
        """The mean weight of a pixel."""
        return self.keep

    def render(self, first: int, last: int, device: torch.device | str = "cpu") -> Tensor:
        """Masks number ``first`` to ``last - 1``, float32 ``[last - first, H, W]``."""
        rows, columns = self._enlarging(torch.device(device))
        cells = self.cells[first:last].to(device, torch.float32)
        y, x = self.shifts[first:last].to(device).unbind(1)
        return rows[y] @ cells @ columns[x].transpose(1, 2)

    def combine(self, weights: Tensor) -> Tensor:
        """Weighted sums of all masks, float32 ``[P, H, W]`` for weights ``[P, N]``.

        Exact without a single mask being rendered: masks with the same row shift share their left matrix, so
        what their cells and right matrices make is summed first, and multiplied once.
        """
        device = weights.device
        rows, columns = self._enlarging(device)
        shifts, size = len(rows), self.cells.shape[1]
        bands = torch.zeros(len(weights), shifts, size * self.width, device=device)
        chunk = max(1, BUDGET // (8 * size * self.width))
        for shift in range(shifts):
            for part in torch.split((self.shifts[:, 0] == shift).nonzero()[:, 0], chunk):
                cells = self.cells[part].to(device, torch.float32)
                right = columns[self.shifts[part, 1].to(device)].transpose(1, 2)
                bands[:, shift] += weights[:, part.to(device)] @ (cells @ right).flatten(1)
        left = rows.transpose(0, 1).reshape(self.height, shifts * size)
        return left @ bands.view(len(weights), shifts * size, self.width)

    def _enlarging(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The matrices A ``[shifts, H, s]`` and B ``[shifts, W, s]``."""
        size = self.cells.shape[1]
        return _enlarging_matrices(self.height, size, device), _enlarging_matrices(self.width, size, device)


@lru_cache(maxsize=4)
def _enlarging_matrices(pixels: int, cells: int, device: torch.device) -> Tensor:
    """The bilinear weights of the cells at each pixel for every shift, ``[shifts, pixels, cells]``."""
    cell = cell_size(pixels, cells)
    enlarged = (cells + 1) * cell
    position = ((torch.arange(enlarged, dtype=torch.float64) + 0.5) * cells / enlarged - 0.5).clamp(
        0, cells - 1
    )
    weights = (1 - (position[:, None] - torch.arange(cells)).abs()).clamp(min=0).float()
    return weights.unfold(0, pixels, 1)[:cell].transpose(1, 2).contiguous().to(device)


def cell_size(pixels: int, cells: int) -> int:
    """Pixels of one cell, and so the number of different shifts."""
    return -(-pixels // cells)


def draw_grids(count: int, *, cells: int, keep: float, height: int, width: int, seed: int | None) -> Grids:
    """Draw the random numbers of a RISE run, all of them here.

    Args:
        count: Number of masks.
        cells: Cells along each side of a grid.
        keep: Probability that a cell is kept.
        height: Rows of a mask.
        width: Columns of a mask.
        seed: The same seed draws the same masks. None draws a seed first, so that it can be told.

    Example:
        >>> grids = draw_grids(3, cells=4, keep=0.5, height=20, width=30, seed=1)
        >>> grids.render(0, 3).shape
        torch.Size([3, 20, 30])
    """
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    random = torch.Generator().manual_seed(seed)
    kept = torch.rand(count, cells, cells, generator=random) < keep
    shifts = [
        torch.randint(cell_size(pixels, cells), (count,), generator=random) for pixels in (height, width)
    ]
    return Grids(kept, torch.stack(shifts, dim=1), height, width, keep, seed)


@dataclass(frozen=True)
class RenderedMasks:
    """Masks that exist as an array in an ``.npy`` file, which is read piece by piece.

    Attributes:
        path: The file: numbers from 0 to 1, ``[N, 1, H, W]``.
        count: N.
        height: Rows of a mask.
        width: Columns of a mask.
        expected_value: The mean weight of a pixel.
    """

    path: Path
    count: int
    height: int
    width: int
    expected_value: float

    def __len__(self) -> int:
        return self.count

    def render(self, first: int, last: int, device: torch.device | str = "cpu") -> Tensor:
        """Masks number ``first`` to ``last - 1``, float32 ``[last - first, H, W]``."""
        # Opened anew each time: a mapping that stays open keeps every page that was read.
        array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return torch.from_numpy(array[first:last, 0].astype(np.float32)).to(device)

    def combine(self, weights: Tensor) -> Tensor:
        """Weighted sums of all masks, float32 ``[P, H, W]`` for weights ``[P, N]``."""
        total = torch.zeros(len(weights), self.height * self.width, device=weights.device)
        chunk = max(1, BUDGET // (4 * self.height * self.width))
        for first in range(0, len(self), chunk):
            last = min(first + chunk, len(self))
            total += weights[:, first:last] @ self.render(first, last, weights.device).flatten(1)
        return total.view(len(weights), self.height, self.width)
