"""A circle that walks over the image, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from interpret_segmentation._types import BoolArray, FloatArray


@dataclass(frozen=True)
class Circles:
    """Filled circles at regular positions; nothing is stored but these numbers.

    Position (row, column) has the bounding box whose first pixel is ``(row * offset, column * offset)``
    and whose last is ``diameter`` pixels further, both included, as in release 1.0.0: so a circle is
    ``diameter + 1`` pixels across. What lies outside the image is cut off.

    Attributes:
        height: Rows of the image.
        width: Columns of the image.
        diameter: Of a circle, in pixels.
        offset: Pixels from one position to the next, along rows and columns.

    Example:
        >>> circles = Circles(height=10, width=20, diameter=3, offset=4)
        >>> circles.rows, circles.columns, len(circles)
        (3, 5, 15)
        >>> circles.hidden(0, 2).shape
        torch.Size([2, 10, 20])
    """

    height: int
    width: int
    diameter: int
    offset: int

    @property
    def rows(self) -> int:
        """Positions along the height."""
        return -(-self.height // self.offset)

    @property
    def columns(self) -> int:
        """Positions along the width."""
        return -(-self.width // self.offset)

    def __len__(self) -> int:
        return self.rows * self.columns

    @cached_property
    def disc(self) -> BoolArray:
        """The circle itself, bool; at most as large as the image, because no more of it can be seen."""
        side = self.diameter + 1
        picture = Image.new("L", (min(side, self.width), min(side, self.height)))
        ImageDraw.Draw(picture).ellipse((0, 0, self.diameter, self.diameter), fill=255)
        return np.asarray(picture) > 0

    def hidden(self, first: int, last: int, device: torch.device | str = "cpu") -> Tensor:
        """Which pixels the circles number ``first`` to ``last - 1`` hide, bool ``[last - first, H, W]``.

        Circles are counted along the rows of positions: number ``row * columns + column``.
        """
        numbers = np.arange(first, last)[:, None]
        y, x = np.nonzero(self.disc)
        y = y + numbers // self.columns * self.offset
        x = x + numbers % self.columns * self.offset
        inside = (y < self.height) & (x < self.width)
        flat = (((numbers - first) * self.height + y) * self.width + x)[inside]
        hidden = torch.zeros((last - first) * self.height * self.width, dtype=torch.bool, device=device)
        hidden[torch.from_numpy(flat).to(device)] = True
        return hidden.view(last - first, self.height, self.width)

    def spread(self, values: FloatArray) -> FloatArray:
        """Give every pixel the largest value among the circles that cover it.

        Args:
            values: One number for each position, ``[rows, columns]``.

        Returns:
            Float ``[H, W]``; NaN where no circle reaches.
        """
        spread = np.full((self.height, self.width), np.nan)
        for (row, column), value in np.ndenumerate(values):
            top, left = row * self.offset, column * self.offset
            window = spread[top : top + self.disc.shape[0], left : left + self.disc.shape[1]]
            disc = self.disc[: window.shape[0], : window.shape[1]]
            window[disc] = np.fmax(window[disc], value)
        return spread
