"""Random masks as RISE draws them: coarse grids of on and off, enlarged smoothly and shifted."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._files import check_ordinary
from interpret_segmentation.data.inputs import as_probability, as_seed
from interpret_segmentation.perturb.masks.base import BUDGET, Masks
from interpret_segmentation.perturb.masks.lattice import Lattice

LEAST = 1e-6
"""Expected value of a mask below which a map, which is divided by it, would overflow."""

SUMS = 256
"""Sums whose largest is looked for at one time: fewer repeat too much, more leave too narrow strips."""


class RandomMasks(Masks):
    """Masks that were drawn at random: how many are asked about is decided on the way."""

    if TYPE_CHECKING:

        @property
        def expected_value(self) -> float:
            """The mean weight of a pixel."""

    @abstractmethod
    def until(self, count: int) -> RandomMasks:
        """The first masks only."""

    @property
    def file(self) -> Path | None:
        """The file that they are read from; None for masks that are made of a few numbers."""
        return None

    def settings(self) -> dict[str, Any]:
        """What `RISE` has to be told to draw them again, of what the masks themselves know."""
        return {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The numbers that make them, for a result to keep; none of masks that lie in a file."""
        return {}


@dataclass(frozen=True, eq=False)
class Grids(RandomMasks):
    """The masks of RISE (https://arxiv.org/abs/1806.07421, section 3.2), as the few numbers that make them.

    Mask n is its grid of s cells along each side enlarged linearly to ``(s + 1)`` cells of ``ceil(size / s)``
    pixels, cut to the image's size from pixel ``shifts[n]`` on. Enlarging is linear along every axis, so that
    in an image ``mask = A[y] @ cells[n] @ B[x].T`` with one small matrix for each possible shift.

    Attributes:
        cells: Which cells are kept, bool ``[N, s, s]``, or ``[N, s, s, s]`` for volumes.
        shifts: Where each mask is cut, along each axis, int64 ``[N, axes]``.
        space: The size of a mask.
        keep: Probability that a cell is kept, which is the mean weight of every pixel.
        seed: What the cells and shifts were drawn from; None when unknown.
    """

    cells: Tensor
    shifts: Tensor
    space: tuple[int, ...]
    keep: float
    seed: int | None = None

    @classmethod
    def checked(
        cls, cells: NDArray[Any], shifts: NDArray[Any], space: tuple[int, ...], keep: object, seed: object
    ) -> Grids:
        """The masks that a file holds.

        Args:
            cells: Bool ``[N, *sides]``.
            shifts: Whole numbers ``[N, axes]``.
            space: The size of a mask.
            keep: Probability that a cell is kept.
            seed: What they were drawn from, or None.

        Raises:
            ValueError: Numbers that cannot be those of masks of this size.
        """
        share = as_share(keep, "p1")
        count, *sides = cells.shape
        if cells.dtype != bool or sides != [sides[0]] * len(space) or not cells.size:
            raise ValueError(
                f"cells must be one grid or more, of {len(space)} equal sides, got {cells.shape}"
            )
        if shifts.dtype.kind not in "iu" or shifts.shape != (count, len(space)):
            raise ValueError(f"shifts must be whole numbers, {count} x {len(space)}, got {shifts.shape}")
        largest = [cell_size(pixels, sides[0]) for pixels in space]
        first, last = shifts.min(axis=0).tolist(), shifts.max(axis=0).tolist()
        if any(not 0 <= low <= high < end for low, high, end in zip(first, last, largest, strict=True)):
            raise ValueError("shifts lie outside of the masks")
        if abs(cells.mean() - share) > 8 * math.sqrt(share * (1 - share) / cells.size) + 1 / cells.size:
            raise ValueError(f"a share of {cells.mean():.3g} of the cells is kept, but p1 is {share:g}")
        own = torch.from_numpy(np.array(cells)), torch.from_numpy(shifts.astype(np.int64))
        return cls(*own, space, share, as_seed(seed))

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def expected_value(self) -> float:
        """The mean weight of a pixel."""
        return self.keep

    def until(self, count: int) -> Grids:
        """The first masks only."""
        return replace(self, cells=self.cells[:count], shifts=self.shifts[:count])

    def settings(self) -> dict[str, Any]:
        """Cells and seed; where a seed is known no file is needed."""
        known = {"s": self.cells.shape[1], "seed": self.seed}
        return known if self.seed is None else known | {"masks": None}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Cells and shifts."""
        return {"cells": self.cells.numpy(), "shifts": self.shifts.numpy()}

    def weights(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """How much the masks of these numbers keep, float32 ``[n, *space]``."""
        which = torch.from_numpy(numbers)
        matrices = self._enlarging(torch.device(device))
        cells = self.cells[which].to(device, torch.float32)
        return self._enlarged(cells, matrices, self.shifts[which].to(device))

    def combine(self, weights: Tensor) -> Tensor:
        """Weighted sums of all masks, float32 ``[P, *space]`` for weights ``[P, N]``.

        Exact without a single mask being rendered: masks with the same shift along the first axis share that
        axis's matrix, so what the other axes make of their cells is summed first, and multiplied once.
        """
        device = weights.device
        matrices = self._enlarging(device)
        first = matrices[0]
        shifts, size = len(first), self.cells.shape[1]
        rest = math.prod(self.space[1:])
        bands = torch.zeros(len(weights), shifts, size * rest, device=device)
        chunk = max(1, BUDGET // (8 * size * rest))
        for shift in range(shifts):
            for part in torch.split((self.shifts[:, 0] == shift).nonzero()[:, 0], chunk):
                cells = self.cells[part].to(device, torch.float32)
                bent = self._enlarged(cells, matrices[1:], self.shifts[part].to(device))
                bands[:, shift] += weights[:, part.to(device)] @ bent.flatten(1)
        left = first.transpose(0, 1).reshape(self.space[0], shifts * size)
        return (left @ bands.view(len(weights), shifts * size, rest)).view(len(weights), *self.space)

    def largest(self, weights: Tensor) -> Tensor:
        """At each pixel the largest of these sums, float32 ``[*space]``.

        Exact as `combine` is, and several times faster: along the first axis a sum is linear between the
        points of a `Lattice`. Done for a strip of the second axis and some of the sums at a time.
        """
        device = weights.device
        first, *others = self._enlarging(device)
        lattice = Lattice(first)
        order = self.shifts[:, 0].argsort(stable=True)
        sorted_masks = replace(self, cells=self.cells[order], shifts=self.shifts[order])
        weights = weights.T[order.to(device)]
        merged = torch.full((*self.space[:2], math.prod(self.space[2:])), -torch.inf, device=device)
        _, breadth, depth = merged.shape
        size = math.prod(lattice.shape) * depth
        room = max(size, BUDGET // 8)
        values = torch.empty(room, device=device)
        for part in weights.tensor_split(-(-weights.shape[1] // min(SUMS, room // size)), dim=1):
            width = room // (size * part.shape[1])
            for left in range(0, breadth, width):
                strip = slice(left, min(left + width, breadth))
                enlarging = [others[0][:, strip], *others[1:]]
                sums = sorted_masks._at_lattice(lattice, part, enlarging, values)
                found = lattice.largest(sums).view(self.space[0], -1, depth)
                torch.maximum(merged[:, strip], found, out=merged[:, strip])
        return merged.view(self.space)

    def _at_lattice(self, lattice: Lattice, weights: Tensor, others: list[Tensor], room: Tensor) -> Tensor:
        """Weighted sums ``[columns, s, shifts, P]`` of masks that are sorted by their first shift.

        Args:
            lattice: The points of the first axis.
            weights: ``[N, P]``.
            others: The matrices of the other axes; their pixels are the columns.
            room: Where the sums go.
        """
        size, shifts = lattice.shape
        columns = math.prod(matrix.shape[1] for matrix in others)
        shape = (columns * size, shifts, weights.shape[1])
        sums = room[: math.prod(shape)].view(shape)
        chunk = max(1, BUDGET // (32 * size * columns))
        for start in range(0, len(self), chunk):
            shift = self.shifts[start : start + chunk]
            cells = self.cells[start : start + chunk].to(weights.device, torch.float32)
            bent = self._enlarged(cells, others, shift.to(weights.device))
            bent = bent.flatten(2).transpose(1, 2).flatten(1)
            counts = shift[:, 0].bincount(minlength=shifts).tolist()
            parts = (torch.split(tensor, counts) for tensor in (bent, weights[start : start + chunk]))
            for own, (masks, scores) in enumerate(zip(*parts, strict=True)):
                if start == 0 or len(masks):
                    sums[:, shifts - 1 - own].addmm_(masks.T, scores, beta=min(start, 1))
        return sums.view(columns, size, shifts, -1)

    def _enlarged(self, cells: Tensor, matrices: list[Tensor], shifts: Tensor) -> Tensor:
        """Cells ``[n, s, ...]`` with their last axes enlarged, one axis for each of the matrices."""
        for axis, matrix in enumerate(matrices, start=len(self.space) - len(matrices)):
            own = matrix[shifts[:, axis]]
            moved = cells.movedim(1 + axis, -1)
            enlarged = moved.flatten(1, -2) @ own.transpose(1, 2)
            cells = enlarged.view(*moved.shape[:-1], own.shape[1]).movedim(-1, 1 + axis)
        return cells

    def _enlarging(self, device: torch.device) -> list[Tensor]:
        """For each axis the matrices ``[shifts, pixels, s]``."""
        return [
            _enlarging_matrices(pixels, cells, device)
            for pixels, cells in zip(self.space, self.cells.shape[1:], strict=True)
        ]


def _enlarging_matrices(pixels: int, cells: int, device: torch.device) -> Tensor:
    """The linear weights of the cells at each pixel for every shift, ``[shifts, pixels, cells]``.

    All shifts are windows into one small table, which costs less to make than to keep for every size.
    """
    cell = cell_size(pixels, cells)
    enlarged = (cells + 1) * cell
    position = ((torch.arange(enlarged, dtype=torch.float64) + 0.5) * cells / enlarged - 0.5).clamp(
        0, cells - 1
    )
    weights = (1 - (position[:, None] - torch.arange(cells)).abs()).clamp(min=0).float()
    return weights.to(device).unfold(0, pixels, 1)[:cell].transpose(1, 2)


def as_share(value: object, name: str) -> float:
    """An expected value of masks that a map can be divided by.

    Raises:
        ValueError: Anything else.
    """
    share = as_probability(value, name)
    if share < LEAST:
        raise ValueError(f"{name} must be at least {LEAST:g}, got {share:g}")
    return share


def cell_size(pixels: int, cells: int) -> int:
    """Pixels of one cell, and so the number of different shifts."""
    return -(-pixels // cells)


DESIGNS = ("random", "sobol")
"""How the cells and shifts of many masks belong together."""


def draw_grids(
    count: int, *, cells: int, keep: float, space: tuple[int, ...], seed: int | None, design: str = "random"
) -> Grids:
    """Draw the random numbers of a RISE run, all of them here.

    Args:
        count: Number of masks.
        cells: Cells along each side of a grid.
        keep: Probability that a cell is kept.
        space: The size of a mask.
        seed: The same seed draws the same masks. None draws a seed first, so that it can be told.
        design: ``"random"``: every mask by itself. ``"sobol"``: the points of a scrambled Sobol sequence
            (Owen 1998, https://doi.org/10.1006/jcom.1998.0487), of which each cell is kept, and each pair of
            cells together, almost as often as it should be; counts that are powers of 2 are best.

    Example:
        >>> grids = draw_grids(3, cells=4, keep=0.5, space=(20, 30), seed=1)
        >>> grids.render(0, 3).shape
        torch.Size([3, 20, 30])
    """
    seed = drawn_seed() if seed is None else seed
    grid, steps = [cells] * len(space), [cell_size(pixels, cells) for pixels in space]
    if design == "sobol":
        points = _sobol_points(count, math.prod(grid) + len(space), seed)
        drawn, shares = points[:, : -len(space)], points[:, -len(space) :]
        shift = (shares * torch.tensor(steps)).long()
        return Grids((drawn < keep).view(count, *grid), shift, space, keep, seed)
    random = torch.Generator().manual_seed(seed)
    kept = torch.rand(count, *grid, generator=random) < keep
    shifts = [torch.randint(step, (count,), generator=random) for step in steps]
    return Grids(kept, torch.stack(shifts, dim=1), space, keep, seed)


def drawn_seed() -> int:
    """A seed that is another each time, whatever ``torch.manual_seed`` says."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def _sobol_points(count: int, dimensions: int, seed: int) -> Tensor:
    """Points in the unit cube, float32 ``[count, dimensions]``."""
    sobol: Any = torch.quasirandom.SobolEngine  # which has no types
    most = sobol.MAXDIM
    if dimensions > most:
        raise ValueError(
            f"a Sobol sequence has at most {most} dimensions, but the grid has {dimensions} cells and "
            "shifts; use fewer cells or design='random'"
        )
    points: Tensor = sobol(dimensions, scramble=True, seed=seed).draw(count)
    return points


@dataclass(frozen=True)
class RenderedMasks(RandomMasks):
    """Masks that exist as an array in an ``.npy`` file, which is read piece by piece.

    Attributes:
        path: The file: numbers from 0 to 1, ``[N, 1, *space]``.
        count: N.
        space: The size of a mask.
        expected_value: The mean weight of a pixel.
    """

    path: Path
    count: int
    space: tuple[int, ...]
    expected_value: float

    def __len__(self) -> int:
        return self.count

    def until(self, count: int) -> RenderedMasks:
        """The first masks only."""
        return replace(self, count=min(count, self.count))

    @property
    def file(self) -> Path | None:
        """The file."""
        return self.path

    def weights(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """How much the masks of these numbers keep, float32 ``[n, *space]``."""
        check_ordinary(self.path)
        # Opened anew each time: a mapping that stays open keeps every page that was read.
        array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        if array.shape[1:] != (1, *self.space) or len(array) < self.count or array.dtype.kind != "f":
            wanted = (self.count, 1, *self.space)
            raise ValueError(f"{self.path} holds other masks than before: {array.shape}, wanted {wanted}")
        return torch.from_numpy(array[numbers, 0].astype(np.float32)).to(device)
