"""A window, a circle or a square, that walks over the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.perturb.masks.base import HardMasks

SHAPES = ("circle", "square")

EXACT = 32
"""Offset in pixels up to which circles are drawn to see whether they leave gaps, instead of estimated."""


@dataclass(frozen=True)
class Windows(HardMasks):
    """Windows at regular positions; nothing is stored but these numbers.

    Position (i, j) has the bounding box whose first pixel is ``(start + i * offset, start + j * offset)``. A
    circle is drawn into the box whose last pixel is ``size`` further, both included, as in release 1.0.0: so
    it is ``size + 1`` pixels across; in a volume it is a ball. A square is ``size`` pixels across. What
    lies outside the image is cut off.

    Attributes:
        space: The image's size.
        size: Diameter of the circle or side of the square, in pixels.
        offset: Pixels from one position to the next, along every axis.
        shape: ``"circle"`` or ``"square"``.
        start: Where the first window begins, along every axis; negative begins outside the image.

    Example:
        >>> windows = Windows(space=(10, 20), size=3, offset=4)
        >>> windows.grid, len(windows)
        ((3, 5), 15)
        >>> windows.hidden(np.array([0, 1])).shape
        torch.Size([2, 10, 20])
    """

    space: tuple[int, ...]
    size: int
    offset: int
    shape: str = "circle"
    start: int = 0

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"shape must be one of {', '.join(SHAPES)}, got {self.shape!r}")

    @classmethod
    def covering(cls, space: tuple[int, ...], size: int, offset: int, shape: str) -> Windows:
        """Windows that begin outside the image, so that they reach its first pixels as often as its last."""
        side = size + (shape == "circle")
        return cls(space, size, offset, shape, start=-((side - offset) // 2) if side > offset else 0)

    @property
    def grid(self) -> tuple[int, ...]:
        """Positions along every axis."""
        return tuple(-(-side // self.offset) for side in self.space)

    def __len__(self) -> int:
        return math.prod(self.grid)

    @cached_property
    def kernel(self) -> BoolArray:
        """The window itself, bool; no larger than what of it can be seen."""
        side = self.size + (self.shape == "circle")
        seen = [min(side, whole - min(self.start, 0)) for whole in self.space]
        if self.shape == "square":
            return np.ones(seen, dtype=bool)
        if len(seen) == 2:
            picture = Image.new("L", (seen[1], seen[0]))
            ImageDraw.Draw(picture).ellipse((0, 0, self.size, self.size), fill=255)
            return np.asarray(picture) > 0
        axes = np.ogrid[tuple(slice(0, part) for part in seen)]
        distance = np.sqrt(np.asarray(sum((axis - self.size / 2) ** 2 for axis in axes)))
        ball: BoolArray = distance <= side / 2
        return ball

    def corners(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first pixel of each window's box, inside the image or not, ``[n, axes]``."""
        places = np.stack(np.unravel_index(numbers, self.grid), axis=-1)
        corners: NDArray[np.int64] = places * self.offset + self.start
        return corners

    def hidden(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """Which pixels the windows of these numbers hide, bool ``[n, *space]``.

        Windows are counted in reading order: number ``row * columns + column``.
        """
        count, pixels = len(numbers), math.prod(self.space)
        where = self.corners(np.asarray(numbers))[:, None] + np.argwhere(self.kernel)
        inside = ((where >= 0) & (where < self.space)).all(axis=-1)
        flat = np.zeros(inside.shape, dtype=np.int64)
        for axis, side in enumerate(self.space):
            flat = flat * side + where[..., axis]
        flat += np.arange(count)[:, None] * pixels
        hidden = torch.zeros(count * pixels, dtype=torch.bool, device=device)
        hidden[torch.from_numpy(flat[inside]).to(device)] = True
        return hidden.view(count, *self.space)

    def boxed(
        self, numbers: NDArray[np.int64], device: torch.device | str = "cpu"
    ) -> tuple[Tensor, NDArray[np.int64]]:
        """What the windows of these numbers hide, cut out of the image.

        Returns:
            Bool ``[n, *size]`` with one size for all, and the first pixel of each, ``[n, axes]``.
        """
        corners, sides = self.corners(np.asarray(numbers)), np.array(self.space)
        size = np.minimum(self.kernel.shape, sides)
        begin = np.clip(corners, 0, sides - size)
        hidden = np.zeros((len(corners), *size), dtype=bool)
        for mask, shift in zip(hidden, corners - begin, strict=True):
            pairs = list(zip(shift, size, self.kernel.shape, strict=True))
            inner = tuple(slice(max(0, by), max(0, min(side, by + part))) for by, side, part in pairs)
            outer = tuple(slice(max(0, -by), max(0, min(part, side - by))) for by, side, part in pairs)
            mask[inner] = self.kernel[outer]
        return torch.from_numpy(hidden).to(device), begin

    def as_windows(self) -> tuple[Windows, ...]:
        """Itself."""
        return (self,)

    def inside(self, region: BoolArray) -> BoolArray:
        """Which windows have their centre in a region, bool ``[len]``; outside the image it is its edge."""
        side = self.size + (self.shape == "circle")
        centres = self.corners(np.arange(len(self))) + side // 2
        centres = centres.clip(0, np.array(self.space) - 1)
        inside: BoolArray = region[tuple(centres.T)]
        return inside

    def spread(self, values: FloatArray, numbers: NDArray[np.int64], merge: str) -> FloatArray:
        """Give every pixel the mean or the largest value of the windows that hide it.

        Args:
            values: One number for each window, ``[n]``.
            numbers: Which windows they are of.
            merge: ``"mean"`` or ``"max"``.

        Returns:
            Float ``[*space]``; NaN where no window reaches.
        """
        spread = np.full(self.space, np.nan if merge == "max" else 0.0)
        count = np.zeros(self.space, dtype=np.int64)
        for corner, value in zip(self.corners(numbers), values, strict=True):
            begin = corner.clip(0)
            window = tuple(
                slice(first, max(first, start + part))
                for first, start, part in zip(begin, corner, self.kernel.shape, strict=True)
            )
            seen = tuple(
                slice(skip, skip + length)
                for skip, length in zip(begin - corner, spread[window].shape, strict=True)
            )
            kernel = self.kernel[seen]
            if merge == "max":
                spread[window][kernel] = np.fmax(spread[window][kernel], value)
            else:
                spread[window][kernel] += value
                count[window][kernel] += 1
        if merge == "mean":
            with np.errstate(invalid="ignore"):
                spread /= count
        return spread


def suitable_size(space: tuple[int, ...], offset: int | None = None, shape: str = "circle") -> int:
    """A twenty-second of the sides' geometric mean in an image, a fifth in a volume.

    Args:
        space: The image's size.
        offset: Where it is given, windows are large enough to leave no gap, up to the longest side.
        shape: ``"circle"`` or ``"square"``.
    """
    mean = math.exp(math.log(math.prod(space)) / len(space))
    size = max(1, math.ceil(mean / 22 - 1e-9) if len(space) == 2 else round(0.2 * mean))
    if offset is None or 2 * offset <= size:
        return size
    longest = max(space)
    return max(size, min(longest, size_without_gaps(min(offset, longest), len(space), shape, least=size)))


def size_without_gaps(offset: int, dims: int, shape: str = "circle", *, least: int = 1) -> int:
    """The smallest window, of a size or more, that hides every pixel when it walks in steps of an offset.

    Args:
        offset: Pixels from one window to the next, along every axis.
        dims: Axes of space.
        shape: ``"circle"`` or ``"square"``.
        least: The size that it has at least.

    Example:
        >>> size_without_gaps(8, dims=2), size_without_gaps(8, dims=2, shape="square")
        (11, 8)
    """
    # A circle has to reach across the diagonal of a cell; as it is drawn, a pixel or two less will do.
    size = max(least, offset if shape == "square" else math.floor(offset * math.sqrt(dims)) - 2)
    while not leaves_no_gap(size, offset, dims, shape):
        size += 1
    return size


def leaves_no_gap(size: int, offset: int, dims: int, shape: str = "circle") -> bool:
    """Whether windows of a size hide every pixel, but for those at the image's edges."""
    if shape == "square" or size + 1 < offset:
        return size >= offset
    if size >= offset * math.sqrt(dims) or offset > EXACT:
        return size >= offset * math.sqrt(dims)
    seen = np.zeros((offset,) * dims, dtype=bool)
    seen[tuple(np.argwhere(Windows((size + 1,) * dims, size, 1).kernel).T % offset)] = True
    return bool(seen.all())


def gaps(windows: Sequence[Windows]) -> str:
    """Why windows of one or several sizes leave gaps, and what would close them."""
    largest = max(windows, key=lambda one: one.size)
    size, shape, dims = largest.size, largest.shape, len(largest.space)
    offset = min(largest.offset, max(largest.space))
    plural = shape if dims == 2 else {"circle": "ball", "square": "cube"}[shape]
    told = f"{plural}s of {size} pixels, {largest.offset} pixels apart"
    if size > max(largest.space):
        return f"{plural}s of {size} pixels are larger than the image; choose a smaller size"
    if leaves_no_gap(size, offset, dims, shape):
        return f"{told}, do not reach the image's edges; choose a smaller offset"
    larger = size_without_gaps(offset, dims, shape, least=size)
    closer = next(step for step in range(offset, 0, -1) if leaves_no_gap(size, step, dims, shape))
    return f"{told}, leave gaps; pass size={larger} or offset={closer}"


def check_size(size: int, space: tuple[int, ...], name: str = "size") -> None:
    """Raise an error for windows that are far larger than the image, which no memory holds."""
    if size > max(4 * max(space), 100):
        raise ValueError(
            f"{name} is {size} pixels, but the image's longest side {max(space)}; choose a smaller one"
        )


def suitable_offset(space: tuple[int, ...], positions: int = 1024) -> int:
    """The smallest offset with at most so many positions, unless suitable windows would leave gaps."""
    offset = 1
    while offset < suitable_size(space) and math.prod(-(-side // offset) for side in space) > positions:
        offset += 1
    return offset
