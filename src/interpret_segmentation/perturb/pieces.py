"""Pieces of an image that are hidden and shown in any combination: numbered parts, or channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.data.inputs import as_copy, as_positive
from interpret_segmentation.perturb.fills.base import Fill, StaticFill
from interpret_segmentation.perturb.fills.ranges import check_black
from interpret_segmentation.perturb.hiding import Function, Hiding, Variations
from interpret_segmentation.perturb.masks.coalitions import Coalitions
from interpret_segmentation.perturb.masks.parts import Parts, slic

PIECES = ("superpixels", "grid", "channels")
"""Pieces that go by a name."""

COUNT = 60
"""Superpixels, or cells of a grid, about: few enough that one is worth asking about."""


class Pieces(ABC):
    """What an image is taken apart into."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    def names(self) -> NDArray[np.int64]:
        """What each is called."""
        return np.arange(len(self))

    @abstractmethod
    def variations(self, hides: BoolArray, image: Tensor, fill: Fill) -> Variations:
        """Copies of an image ``[C, *space]``, each with some pieces hidden, bool ``[n, pieces]``."""


@dataclass(frozen=True, eq=False)
class PixelPieces(Pieces):
    """Numbered parts of an image.

    Attributes:
        parts: The parts.
        numbers: What the user calls each of them. None: from 0.
    """

    parts: Parts
    numbers: NDArray[np.int64] | None = None

    def without(self, spare: BoolArray) -> PixelPieces | None:
        """The same without some pixels, bool ``[*space]``; None where nothing is left."""
        labels = np.where(spare, -1, self.parts.labels)
        left = np.unique(labels[labels >= 0])
        return PixelPieces(Parts(labels), self.names[left]) if len(left) else None

    @property
    def names(self) -> NDArray[np.int64]:
        """What each is called."""
        return np.arange(len(self)) if self.numbers is None else self.numbers

    def __len__(self) -> int:
        return len(self.parts)

    def variations(self, hides: BoolArray, image: Tensor, fill: Fill) -> Variations:
        """Copies of an image ``[C, *space]``, each with some parts hidden, bool ``[n, parts]``."""
        coalitions = Coalitions(self.parts, hides)
        hiding = Hiding(coalitions, np.arange(len(hides)), image, fill, slice(None))
        return Function(hiding, image)  # so much is hidden that windows would not pay


@dataclass(frozen=True, eq=False)
class ChannelPieces(Pieces):
    """The channels of an image.

    Attributes:
        count: Of channels.
    """

    count: int

    def __len__(self) -> int:
        return self.count

    def variations(self, hides: BoolArray, image: Tensor, fill: Fill) -> Variations:
        """Copies of an image ``[C, *space]``, each with some channels hidden, bool ``[n, C]``."""
        check_black(fill, image)
        everything = torch.ones(1, *image.shape[1:], dtype=torch.bool, device=image.device)
        picture = (
            fill.picture(image)[None] if isinstance(fill, StaticFill) else fill.values(image, everything)
        )
        hidden = torch.from_numpy(hides).to(image.device).view(*hides.shape, *(1,) * (image.ndim - 1))
        return Function(lambda first, last: torch.where(hidden[first:last], picture, image), image)


def as_pieces(value: object, image: Tensor, *, count: int | None = None, name: str = "parts") -> Pieces:
    """Pieces, however they are told.

    Args:
        value: ``"superpixels"``, ``"grid"`` or ``"channels"``; or whole numbers ``[*space]``, each number one
            part, negative ones never hidden; or `Parts`.
        image: ``[C, *space]``.
        count: Superpixels or cells, about. None: 60.
        name: What the user calls them.

    Raises:
        TypeError: Something else, or numbers that are not whole.
        ValueError: No such name, labels of another size than the image, or a count that does nothing.
    """
    space = tuple(image.shape[1:])
    if count is not None:
        count = as_positive(count, "count")
        if not isinstance(value, str) or value == "channels":
            raise ValueError(f"count= is the number of superpixels or cells of a grid; {name} are neither")
    wanted = f"{', '.join(map(repr, PIECES))} or an array of whole numbers {_sides(space)}, one for each part"
    if isinstance(value, str):
        if value not in PIECES:
            raise ValueError(f"{name} must be {wanted}; got {value!r}")
        if value == "channels":
            return ChannelPieces(len(image))
        parts = slic(image, count or COUNT) if value == "superpixels" else grid(space, count or COUNT)
        return PixelPieces(parts)
    if isinstance(value, Pieces):
        return value
    if not isinstance(value, Parts):
        if not hasattr(value, "shape"):
            raise TypeError(f"{name} must be {wanted}; got {value!r}")
        labels: Any = value
        if tuple(labels.shape) != space:
            raise ValueError(f"{name} are {_sides(tuple(labels.shape))}, but the image {_sides(space)}")
        value = Parts(labels)
        given = as_copy(labels, name)
        return PixelPieces(value, np.unique(given[given >= 0]).astype(np.int64))
    if value.space != space:
        raise ValueError(f"{name} are {_sides(value.space)}, but the image {_sides(space)}")
    return PixelPieces(value)


def grid(space: tuple[int, ...], count: int) -> Parts:
    """Square cells, about so many; those at the far ends may be smaller.

    Example:
        >>> grid((4, 6), 6).labels
        array([[0, 0, 1, 1, 2, 2],
               [0, 0, 1, 1, 2, 2],
               [3, 3, 4, 4, 5, 5],
               [3, 3, 4, 4, 5, 5]])
    """
    sides = np.arange(1, max(space) + 1)
    cells = np.prod([-(-length // sides) for length in space], axis=0)
    return Parts(tiles(space, int(sides[np.abs(cells - count).argmin()])))


def tiles(space: tuple[int, ...], side: int) -> NDArray[np.int64]:
    """The number of the square tile that each pixel lies in, from 0, row by row ``[*space]``."""
    number = np.zeros(space, dtype=np.int64)
    for axis, length in zip(np.indices(space, sparse=True), space, strict=True):
        number = number * -(-length // side) + axis // side
    return number


def draw_orders(count: int, pieces: int, *, seed: int | None) -> NDArray[np.int64]:
    """Random orders of all pieces, each followed by its reverse: piece numbers ``[count, pieces]``.

    A piece that comes early in one comes late in the other, so that the mean over both varies less.

    Args:
        count: Of orders. An odd one leaves the last without its reverse.
        pieces: How many there are.
        seed: Names the draw. None: another one each time.

    Example:
        >>> draw_orders(2, 3, seed=0).tolist()
        [[2, 0, 1], [1, 0, 2]]
    """
    random = np.random.default_rng(seed)
    drawn = [random.permutation(pieces) for _ in range(-(-count // 2))]
    both = [order for one in drawn for order in (one, one[::-1])]
    return np.array(both[:count], dtype=np.int64).reshape(count, pieces)


def _sides(shape: tuple[int, ...] | AnyArray) -> str:
    return " x ".join(map(str, shape)) or "a single number"
