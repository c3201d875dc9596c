"""The Hausdorff distances of a batch of masks, exactly, on the device where the masks are.

The squared Euclidean distance transform is a minimum-plus convolution along each axis in turn (Felzenszwalb
and Huttenlocher 2012, doi:10.4086/toc.2012.v008a019, section 2). Here each is taken by its definition, one
step of all pixels at a time, which keeps an accelerator busy and its memory bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from interpret_segmentation.scores.hausdorff_distance import checked_spacing, diagonal

AT_ONCE = 2**24
"""Pixels in a part of a batch; each takes about four numbers of double precision while it is worked on."""

LOOK_EVERY = 16
"""Steps until it is seen whether longer ones can still matter; looking makes the CPU wait for the device."""


class DeviceHausdorffTo:
    """The Hausdorff distances to one fixed mask, as `HausdorffTo` defines them, of many masks at once.

    Args:
        reference: Bool ``[*space]``, on the device where the masks will be.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Example:
        >>> reference = torch.zeros(9, 9, dtype=torch.bool)
        >>> reference[4, 4] = True
        >>> masks = torch.stack([reference.roll(3, 0), torch.zeros_like(reference)])
        >>> DeviceHausdorffTo(reference)(masks).tolist()
        [3.0, 11.313708498984761]
    """

    def __init__(self, reference: Tensor, *, spacing: Sequence[float] | None = None) -> None:
        self._spacing = checked_spacing(spacing, reference.ndim)
        self._reference = reference.clone()
        self._is_empty = not bool(reference.any())
        self._diagonal = diagonal(reference.shape, self._spacing)
        self._squares = squared_distances(reference[None] | self._is_empty, self._spacing)[0]

    def __call__(self, masks: Tensor) -> Tensor:
        """The distance from each of the masks, bool ``[b, *space]``, to the reference: ``[b]``."""
        if masks.shape[1:] != self._reference.shape:
            raise ValueError(
                f"both masks must have one shape, got {tuple(masks.shape[1:])} and "
                f"{tuple(self._reference.shape)}"
            )
        some = max(1, AT_ONCE // max(1, self._reference.numel()))
        return torch.cat([self._of_some(part) for part in torch.split(masks, some)])

    def _of_some(self, masks: Tensor) -> Tensor:
        is_empty = ~masks.flatten(1).any(dim=1)
        apart = self._squares.new_full((len(masks),), self._diagonal)
        if self._is_empty:
            return torch.where(is_empty, 0, apart)
        box = _box(masks.any(dim=0) | self._reference)
        of_all = (slice(None), *box)
        masks, reference, to_reference = masks[of_all], self._reference[box], self._squares[box]
        filled = masks | is_empty.reshape(-1, *(1,) * reference.ndim)
        there = torch.where(masks, to_reference, 0).flatten(1).amax(dim=1)
        back = torch.where(reference, squared_distances(filled, self._spacing), 0).flatten(1).amax(dim=1)
        return torch.where(is_empty, apart, torch.maximum(there, back).sqrt())


def squared_distances(masks: Tensor, spacing: Sequence[float]) -> Tensor:
    """For every pixel the square of the distance to the nearest set pixel of its mask.

    Args:
        masks: Bool ``[b, *space]``, none of them empty.
        spacing: Distance between neighbouring pixels along each axis.

    Returns:
        ``[b, *space]`` of double precision, single where the device has no other.
    """
    precision = torch.float32 if masks.device.type == "mps" else torch.float64
    squares = torch.zeros(masks.shape, dtype=precision, device=masks.device).masked_fill_(~masks, math.inf)
    for axis, width in enumerate(spacing, start=1):
        squares = _nearest_along(squares, axis, width)
    return squares


def _nearest_along(squares: Tensor, axis: int, width: float) -> Tensor:
    """``min_j squares[j] + (width (i - j))^2`` for every place i along the axis."""
    nearest = squares.clone()
    count = squares.shape[axis]
    for step in range(1, count):
        further = (width * step) ** 2
        if step % LOOK_EVERY == 0 and further >= nearest.amax().item():
            break
        for here, there in ((0, step), (step, 0)):
            part = nearest.narrow(axis, here, count - step)
            torch.minimum(part, squares.narrow(axis, there, count - step) + further, out=part)
    return nearest


def _box(mask: Tensor) -> tuple[slice, ...]:
    """The smallest box that holds every set pixel of a mask that has some."""
    box = []
    for axis in range(mask.ndim):
        occupied = mask.movedim(axis, 0).reshape(mask.shape[axis], -1).any(dim=1).nonzero()
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)
