"""Takes an image apart, hides parts, and looks whether the segment is there: for power and minimal sets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.coalitions import Game, forwards_for
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.fills.named import FillLike, as_fill
from interpret_segmentation.perturb.fills.simple import Picture
from interpret_segmentation.perturb.masks.parts import Parts
from interpret_segmentation.perturb.pieces import Pieces, PixelPieces, as_pieces
from interpret_segmentation.targets.words import AnyTarget

FAR = 2
"""How many times the range of the image a fill's values may lie beyond it, without a word."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Played:
    """A game that can be played: the segment is there in the image.

    Attributes:
        case: The network, the image and the objective, the mean probability of the explained pixels.
        game: That number, for any parts that are shown.
        nothing: The number with all parts hidden.
        whole: The number in the image.
    """

    case: Case
    game: Game
    nothing: float
    whole: float

    @property
    def turns_over(self) -> bool:
        """Whether hiding all parts turns the segment over."""
        return self.nothing <= self.game.turns_at < self.whole

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The place of the part of each pixel, from 0, -1 for none, ``[*space]``; None: channels."""
        pieces = self.game.pieces
        return pieces.parts.labels if isinstance(pieces, PixelPieces) else None


@dataclass(frozen=True, eq=False)
class Removal:
    """What is asked: which parts of which image are hidden, with what, and when the segment is there.

    The attributes are the arguments of `power`.

    Raises:
        ValueError: A number that the mean probability cannot cross.
    """

    model: Model | SegmentationModel
    image: AnyArray | Image.Image
    target: AnyTarget
    parts: str | AnyArray | Parts
    count: int | None
    fill: FillLike
    spare: AnyArray | str | None
    reference: AnyArray | None
    turns_at: float
    batch_size: int | None
    progress: bool
    dims: int | None

    def __post_init__(self) -> None:
        number: object = self.turns_at
        if not isinstance(number, int | float | np.number) or not 0 < number < 1:
            raise ValueError(f"turns_at must lie between 0 and 1, got {self.turns_at!r}")
        object.__setattr__(self, "turns_at", float(number))

    def play(self, run: Callable[[Played], Answer], *, name: str, orders: int | None = None) -> Answer:
        """Open a case, take the image apart, see what showing everything and nothing gives, and go on.

        Args:
            run: What is done with the game.
            name: What progress bars call the work.
            orders: The number of orders that the cost is told for. None: it is not told.

        Raises:
            ValueError: An argument that does not fit, or a segment that is not there in the image.
        """
        filled = as_fill(self.fill)

        def opened(case: Case) -> Answer:
            case.objective = replace(case.objective, quantity="probability")
            filled.check_space(case.space)
            _warn_of_range(filled, case)
            pieces = as_pieces(self.parts, case.pixels, count=self.count)
            pieces = _without(pieces, case.region(self.spare, "spare"))
            if self.progress and orders is not None:
                _tell_cost(len(pieces), orders)
            game = Game(case, pieces, filled, turns_at=self.turns_at, name=name)
            nothing, whole = game.values(np.array([[False] * len(pieces), [True] * len(pieces)])).tolist()
            if not whole > self.turns_at:
                raise ValueError(
                    f"what is explained is not there in the image: the mean probability of its pixels is "
                    f"{whole:.2f}, not above {self.turns_at:g}; choose another target=, or a lower turns_at="
                )
            return run(Played(case, game, nothing, whole))

        return run_case(
            opened,
            self.model,
            self.image,
            self.target,
            self.reference,
            dims=self.dims,
            batch_size=self.batch_size,
            progress=self.progress,
        )


def _warn_of_range(fill: Fill, case: Case) -> None:
    """Say so when another image, with which parts are hidden, has values of another range."""
    if not isinstance(fill, Picture):
        return
    other = fill.picture(case.pixels)
    (low, high), (least, most) = ((float(one.min()), float(one.max())) for one in (case.pixels, other))
    room = FAR * max(high - low, abs(high), abs(low), 1e-6)
    if least < low - room or most > high + room:
        warn(
            f"the image that hidden parts are filled with has values from {least:g} to {most:g}, but the "
            f"image itself from {low:g} to {high:g}; bring it to the same range, with / 255 say"
        )


def _tell_cost(parts: int, orders: int) -> None:
    from tqdm.auto import tqdm

    text = f"{parts} parts, {orders} orders: about {forwards_for(parts, orders)} forwards"
    tqdm.write(text, file=sys.stderr)


def _without(pieces: Pieces, spare: BoolArray | None) -> Pieces:
    """The pieces without the pixels that are never hidden."""
    if spare is None:
        return pieces
    if not isinstance(pieces, PixelPieces):
        raise ValueError(  # noqa: TRY004  the two settings do not fit each other
            "spare= keeps pixels, but the parts are channels; leave it out"
        )
    left = pieces.without(spare)
    if left is None:
        raise ValueError("there is nothing to hide: spare= covers every part")
    return left
