"""Draws testnet images: scenes in which a far shape decides which near shape is the segment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from interpret_segmentation._types import BoolArray, UInt8Array
from interpret_segmentation.testnet.backgrounds import MIDDLE, photographed, textured

SIZE = 240
"""Height and width of every testnet image, in pixels."""

GAP = 10
"""Shapes at random places keep more than this many pixels from the others."""

AGREEMENT = 0.75
"""How often the far shape of a shortcut scene says the same as the watermark."""

Kind = Literal["cross", "triangle", "circle", "square", "diamond"]

Variant = Literal[
    "plain",
    "moved",
    "textured",
    "distractors",
    "shortcut",
    "required",
    "required_moved",
    "photo",
    "photo_moved",
]

VARIANTS: tuple[Variant, ...] = get_args(Variant)


@dataclass(frozen=True)
class Shape:
    """One filled shape: where it is drawn, how large, how bright.

    Attributes:
        kind: Which of the five shapes.
        x: Column of its anchor: the left edge, for the cross the left edge of the upright bar.
        y: Row of its top.
        scale: Factor on the nominal size: circle 50, square 30, triangle 50, cross 40 pixels across, diamond
            26 wide and 52 high.
        brightness: Grey value, 1 to 255.
        colour: Red, green and blue in a colour image, 0 to 255. None: the image is grey.
    """

    kind: Kind
    x: int
    y: int
    scale: float
    brightness: int
    colour: tuple[int, int, int] | None = None

    def draw(self, canvas: ImageDraw.ImageDraw, fill: int | tuple[int, int, int]) -> None:
        """Paint the shape on a canvas."""
        x, y, s = self.x, self.y, self.scale
        if self.kind == "circle":
            canvas.ellipse((x, y, x + 50 * s, y + 50 * s), fill=fill)
        elif self.kind == "square":
            canvas.rectangle((x, y, x + 30 * s, y + 30 * s), fill=fill)
        elif self.kind == "triangle":
            canvas.polygon([(x, y), (x + 50 * s, y), (x + 25 * s, y + 50 * s)], fill=fill)
        elif self.kind == "diamond":
            corners = [(x + 13 * s, y), (x + 26 * s, y + 26 * s), (x + 13 * s, y + 52 * s), (x, y + 26 * s)]
            canvas.polygon(corners, fill=fill)
        else:
            canvas.rectangle((x, y, x + 10 * s, y + 40 * s), fill=fill)
            canvas.rectangle((x - 15 * s, y + 15 * s, x + 25 * s, y + 25 * s), fill=fill)

    def region(self) -> BoolArray:
        """The pixels that the shape covers, bool ``[240, 240]``."""
        picture = Image.new("L", (SIZE, SIZE))
        self.draw(ImageDraw.Draw(picture), fill=255)
        return np.asarray(picture) > 0

    def counterpart(self) -> Shape:
        """The square in place of a circle and the other way round, centre, scale and brightness unchanged.

        Raises:
            ValueError: Neither a circle nor a square.
        """
        nominal = {"circle": 50, "square": 30}
        if self.kind not in nominal:
            raise ValueError(f"only a circle and a square can be swapped for each other, not a {self.kind}")
        other: Kind = "square" if self.kind == "circle" else "circle"
        shift = round((nominal[self.kind] - nominal[other]) * self.scale / 2)
        return replace(self, kind=other, x=self.x + shift, y=self.y + shift)


@dataclass(frozen=True)
class Scene:
    """A testnet image with the truth about it.

    The cue decides: with a circle the triangle is the segment, with a square the cross.

    Attributes:
        cross: On the left.
        triangle: On the left.
        cue: The deciding shape: far from both, or (variant "shortcut") a watermark in the corner.
        bystander: One more shape, which decides nothing: the diamond of variant "distractors", the far circle
            or square of "shortcut".
        texture: Seeds of the textured background and the noise; None for black and none.
        cue_shown: False when the cue has been taken away; `cue` then tells what was there.
        required: Whether the cue is needed: without it there is no segment. Elsewhere the rule does not say
            what is right then.
    """

    cross: Shape
    triangle: Shape
    cue: Shape
    bystander: Shape | None = None
    texture: tuple[int, int] | None = None
    cue_shown: bool = True
    required: bool = False

    @property
    def segment(self) -> BoolArray:
        """What is right to draw, bool ``[240, 240]``: nothing where a required cue is missing."""
        if self.required and not self.cue_shown:
            return np.zeros((SIZE, SIZE), dtype=bool)
        return self.segmented.region()

    @property
    def segmented(self) -> Shape:
        """The left shape that belongs to the segment."""
        return self.triangle if self.cue.kind == "circle" else self.cross

    @property
    def distractor(self) -> Shape:
        """The left shape that does not."""
        return self.cross if self.cue.kind == "circle" else self.triangle

    @property
    def distractors(self) -> tuple[Shape, ...]:
        """Every shape that neither decides nor belongs to the segment; the left one is the first."""
        return (self.distractor,) if self.bystander is None else (self.distractor, self.bystander)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Every shape that the image shows."""
        return (self.segmented, *self.distractors, *((self.cue,) if self.cue_shown else ()))

    def image(self) -> UInt8Array:
        """The image, uint8: grey ``[240, 240]`` on black or on a texture, or colour ``[240, 240, 3]``."""
        return self._painted(self.shapes)

    def with_segment_alone(self) -> UInt8Array:
        """The image of the same scene with only the segment's shape left, on its true background."""
        return self._painted((self.segmented,))

    def _painted(self, shapes: tuple[Shape, ...]) -> UInt8Array:
        coloured = self.segmented.colour is not None
        picture, covered = Image.new("RGB" if coloured else "L", (SIZE, SIZE)), Image.new("L", (SIZE, SIZE))
        for shape in shapes:
            shape.draw(ImageDraw.Draw(picture), fill=shape.colour or shape.brightness)
            shape.draw(ImageDraw.Draw(covered), fill=255)
        painted = np.array(picture)
        if self.texture is None:
            return painted
        paint = photographed if coloured else textured
        return paint(painted, np.asarray(covered) > 0, self.texture)

    def swapped(self, shape: Literal["cue", "bystander"] = "cue") -> Scene:
        """The same scene with the other deciding shape: circle and square change places, so does the segment.

        Args:
            shape: ``"bystander"`` swaps the far shape of a shortcut scene instead, and the segment stays.

        Raises:
            ValueError: There is no such shape, or it is neither a circle nor a square.

        Example:
            >>> scene = draw_scene(seed=0, variant="shortcut")
            >>> [s.segmented.kind for s in (scene, scene.swapped(), scene.swapped("bystander"))]
            ['triangle', 'cross', 'triangle']
        """
        old = {"cue": self.cue, "bystander": self.bystander}.get(shape)
        if old is None:
            raise ValueError(f"this scene has no {shape} to swap; draw one of variant 'shortcut'")
        new = old.counterpart()
        return replace(self, cue=new) if shape == "cue" else replace(self, bystander=new)

    def without_cue(self) -> Scene:
        """The same scene, the deciding shape not drawn; `cue` and `segmented` stay what they were."""
        return replace(self, cue_shown=False)


def draw_scene(seed: int, index: int = 0, *, variant: Variant = "plain") -> Scene:
    """Scene number ``index`` of the endless series that belongs to ``seed``.

    Every scene has its own random stream, so that it does not depend on how many are drawn. The variants of a
    scene have the same left shapes, and share whatever else their difference leaves alone.

    Args:
        seed: Names the series.
        index: Which of its scenes.
        variant: What makes it harder than ``"plain"``:

            - ``"moved"``: the deciding shape is anywhere, more than 10 pixels from the left shapes.
            - ``"textured"``: the background has a cloudy texture, and every pixel noise.
            - ``"distractors"``: on the right is also a diamond, which decides nothing. (A ring would be what
              is left of a circle whose middle is hidden; no part of a circle or a square is a diamond.)
            - ``"shortcut"``: a tiny circle or square in the top right corner, a watermark, decides. The far
              shape says the same in three quarters of the scenes and the contrary in the others.
            - ``"required"``: drawn like ``"plain"``, but without circle and square there is no segment, so
              that both shapes are causes by being there.
            - ``"photo"``: in colour, on a textured and shaded background with noise. Shapes are darker and
              brighter than it alike, and no pixel equals a fill, so that a map gains nothing from the image's
              own values.
            - ``"required_moved"`` and ``"photo_moved"``: the same, the deciding shape anywhere, as in
              ``"moved"``.

    Raises:
        ValueError: No such variant.

    Example:
        >>> scene = draw_scene(seed=0, index=3)
        >>> scene.cue.kind, scene.segmented.kind
        ('square', 'cross')
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
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
    scene = Scene(
        cross=shape("cross", 40, 20), triangle=shape("triangle", 20, 110), cue=shape(deciding, 120, 70)
    )
    if variant.endswith("moved"):
        circle = replace(scene.cue, kind="circle")  # a place that suits the circle suits the square inside it
        circle = _elsewhere(random, circle, (50, 50), apart_from=(scene.cross, scene.triangle))
        scene = replace(scene, cue=circle if deciding == "circle" else circle.counterpart())
    if variant.startswith("required"):
        return replace(scene, required=True)
    if variant.startswith("photo"):
        return _in_colour(scene, (seed, index))
    if variant == "textured":
        return replace(scene, texture=(seed, index))
    if variant == "distractors":
        cues = (scene.cue, scene.cue.counterpart())
        diamond = _elsewhere(random, shape("diamond", 120, 0), (26, 52), apart_from=cues, left=SIZE // 2)
        return replace(scene, bystander=diamond)
    if variant == "shortcut":
        mark = Shape(
            kind="circle",
            x=int(random.integers(210, 221)),
            y=int(random.integers(3, 14)),
            scale=0.3,
            brightness=int(random.integers(100, 256)),
        )
        says_the_same = random.random() < AGREEMENT
        mark = mark if says_the_same == (deciding == "circle") else mark.counterpart()
        return replace(scene, cue=mark, bystander=scene.cue)
    return scene


def _elsewhere(
    random: np.random.Generator,
    shape: Shape,
    extent: tuple[int, int],
    *,
    apart_from: tuple[Shape, ...],
    left: int = 0,
) -> Shape:
    """The shape at a random place wholly in the image, right of a column, more than `GAP` from the others."""
    distances = ndimage.distance_transform_edt(~np.any([other.region() for other in apart_from], axis=0))
    width, height = (SIZE - int(np.ceil(side * shape.scale)) for side in extent)
    while True:
        moved = replace(shape, x=int(random.integers(left, width)), y=int(random.integers(0, height)))
        if distances[moved.region()].min() > GAP:
            return moved


def _in_colour(scene: Scene, seeds: tuple[int, int]) -> Scene:
    """The scene on a photograph's background, each shape in a colour of its own.

    A channel differs from the middle of the background by 50 to 85, up or down with equal chance.
    """
    random = np.random.default_rng([*seeds, 2])

    def painted(shape: Shape) -> Shape:
        steps = random.integers(50, 86, 3) * random.choice([-1, 1], 3)
        red, green, blue = (MIDDLE + int(step) for step in steps)
        return replace(shape, colour=(red, green, blue))

    cross, triangle, cue = map(painted, (scene.cross, scene.triangle, scene.cue))
    return replace(scene, cross=cross, triangle=triangle, cue=cue, texture=seeds)
