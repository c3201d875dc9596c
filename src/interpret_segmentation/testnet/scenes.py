"""Draws testnet images: scenes in which a far shape decides which near shape is the segment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from interpret_segmentation._types import BoolArray, UInt8Array

SIZE = 240
"""Height and width of every testnet image, in pixels."""

Kind = Literal["cross", "triangle", "circle", "square"]


@dataclass(frozen=True)
class Shape:
    """One filled shape: where it is drawn, how large, how bright.

    Attributes:
        kind: Which of the four shapes.
        x: Column of its anchor: the left edge, for the cross the left edge of the upright bar.
        y: Row of its top.
        scale: Factor on the nominal size: circle 50, square 30, triangle 50, cross 40 pixels across.
        brightness: Grey value, 1 to 255.
    """

    kind: Kind
    x: int
    y: int
    scale: float
    brightness: int

    def draw(self, canvas: ImageDraw.ImageDraw, fill: int) -> None:
        """Paint the shape on a canvas."""
        x, y, s = self.x, self.y, self.scale
        if self.kind == "circle":
            canvas.ellipse((x, y, x + 50 * s, y + 50 * s), fill=fill)
        elif self.kind == "square":
            canvas.rectangle((x, y, x + 30 * s, y + 30 * s), fill=fill)
        elif self.kind == "triangle":
            canvas.polygon([(x, y), (x + 50 * s, y), (x + 25 * s, y + 50 * s)], fill=fill)
        else:
            canvas.rectangle((x, y, x + 10 * s, y + 40 * s), fill=fill)
            canvas.rectangle((x - 15 * s, y + 15 * s, x + 25 * s, y + 25 * s), fill=fill)

    def region(self) -> BoolArray:
        """The pixels that the shape covers, bool ``[240, 240]``."""
        picture = Image.new("L", (SIZE, SIZE))
        self.draw(ImageDraw.Draw(picture), fill=255)
        return np.asarray(picture) > 0


@dataclass(frozen=True)
class Scene:
    """A testnet image with the truth about it.

    The shape on the right decides: with a circle the triangle is the segment, with a square the cross.
    """

    cross: Shape
    triangle: Shape
    cue: Shape

    @property
    def segmented(self) -> Shape:
        """The left shape that belongs to the segment."""
        return self.triangle if self.cue.kind == "circle" else self.cross

    @property
    def distractor(self) -> Shape:
        """The left shape that does not."""
        return self.cross if self.cue.kind == "circle" else self.triangle

    def image(self) -> UInt8Array:
        """The grey image, uint8 ``[240, 240]``, shapes on black."""
        picture = Image.new("L", (SIZE, SIZE))
        canvas = ImageDraw.Draw(picture)
        for shape in (self.cross, self.triangle, self.cue):
            shape.draw(canvas, fill=shape.brightness)
        return np.array(picture)

    def swapped(self) -> Scene:
        """The same scene with the other deciding shape, its centre and brightness unchanged."""
        nominal = {"circle": 50, "square": 30}
        other: Kind = "square" if self.cue.kind == "circle" else "circle"
        shift = round((nominal[self.cue.kind] - nominal[other]) * self.cue.scale / 2)
        cue = replace(self.cue, kind=other, x=self.cue.x + shift, y=self.cue.y + shift)
        return replace(self, cue=cue)


def draw_scene(seed: int, index: int = 0) -> Scene:
    """Scene number ``index`` of the endless series that belongs to ``seed``.

    Every scene has its own random stream, so that it does not depend on how many are drawn.

    Example:
        >>> scene = draw_scene(seed=0, index=3)
        >>> scene.cue.kind, scene.segmented.kind
        ('square', 'cross')
    """
    random = np.random.default_rng([seed, index])

    def shape(kind: Kind, x: int, y: int) -> Shape:
        return Shape(
            kind=kind,
            x=x + int(random.integers(0, 21)),
            y=y + int(random.integers(0, 21)),
            scale=float(random.uniform(0.8, 1.2)),
            brightness=int(random.integers(100, 256)),
        )

    deciding: Kind = "circle" if random.random() < 0.5 else "square"
    return Scene(
        cross=shape("cross", 40, 20), triangle=shape("triangle", 20, 110), cue=shape(deciding, 120, 70)
    )
