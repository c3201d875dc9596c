"""Power: which parts of an image turn the segment over, measured by intervention and by nothing else.

All parts are hidden and shown again one after the other, in many random orders. The *turning part* of an
order is the one with which the segment comes back. How often a part is the turning one is its power: the
Shapley-Shubik index (Shapley and Shubik 1954, doi:10.2307/1951053). It says what the network does when
parts are hidden, and a map can be held against it (`agreement_with_power`). It cannot say more than hiding
can: images with hidden parts are unlike those that the network has learnt from, and another fill may give
another answer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_positive, as_seed
from interpret_segmentation.evaluate.power_figures import POWERFUL, power_hit, power_rank
from interpret_segmentation.evaluate.subject import AnyMap, as_saliency
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.coalitions import (
    Game,
    forwards_for,
    smallest_sufficient,
    turning_pieces,
)
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.fills.named import FillLike, as_fill
from interpret_segmentation.perturb.fills.simple import Picture
from interpret_segmentation.perturb.masks.parts import Parts
from interpret_segmentation.perturb.pieces import Pieces, PixelPieces, as_pieces, draw_orders
from interpret_segmentation.targets.words import AnyTarget

NOTHING_TO_FIND = 0.05
"""An effect of less than this is none: there is no cause to find among the parts."""

FAR = 2
"""How many times the range of the image a fill's values may lie beyond it, without a word."""

KINDS = ("sufficient", "necessary")

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Power:
    """How often each part is the one with which the segment comes back.

    Attributes:
        power: Of each part, ``[parts]``; they sum to 1. All 0 where hiding all parts does not turn the
            segment over.
        standard_error: Of each, from the spread over pairs of an order and its reverse, ``[parts]``.
        labels: The place in ``power`` of the part that each pixel belongs to, from 0, -1 for none,
            ``[*space]``; None: the parts are channels.
        numbers: What each part is called: its number in the labels that were given, ``[parts]``. Parts whose
            every pixel is spared are none.
        whole: Mean probability of the explained pixels in the image, 0 to 1.
        nothing: The same with all parts hidden.
        turns_at: What the mean probability has to cross.
        orders: How many orders were drawn; 0 where there was nothing to find.
        turned_back: Orders found in which showing one more part made the segment go away again. They were
            walked through part by part; there may be more.
        forwards: Images that the network was asked about.
        image: The image, float ``[C, *space]``.
        pixels: The explained pixels, bool ``[*space]``.
    """

    power: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    labels: NDArray[np.int64] | None
    numbers: NDArray[np.int64]
    whole: float
    nothing: float
    turns_at: float
    orders: int
    turned_back: int
    forwards: int
    image: FloatArray
    pixels: BoolArray

    def __len__(self) -> int:
        return len(self.power)

    @property
    def effect(self) -> float:
        """Mean probability that is lost when all parts are hidden."""
        return self.whole - self.nothing

    @property
    def turns_over(self) -> bool:
        """Whether hiding all parts turns the segment over. If not, no part has power."""
        return self.nothing <= self.turns_at < self.whole

    @property
    def verdict(self) -> str:
        """What was found, in a sentence."""
        kind = "channel" if self.labels is None else "part"
        all_ = f"all {len(self)} {kind}s" if len(self) > 1 else f"the only {kind}"
        change = f"the mean probability goes from {self.whole:.2f} to {self.nothing:.2f}"
        if self.turns_over:
            best = int(self.power.argmax())
            error = self.standard_error[best]
            within = "" if np.isnan(error) else f" (standard error {error:.0%})"
            back = (
                f" In {self.turned_back} orders at least showing more made it go away again, so that parts "
                "may speak against each other."
            )
            return (
                f"Hiding {all_} turns the segment over: {change}. Most often it comes back with {kind} "
                f"{self.numbers[best]}: in {self.power[best]:.0%} of {self.orders} orders{within}."
                + (back if self.turned_back else "")
            )
        if abs(self.effect) < NOTHING_TO_FIND:
            return f"No removable cause among the {len(self)} {kind}s: when all are hidden {change}."
        return f"Hiding {all_} changes the segment and does not turn it over: {change}."

    @property
    def map(self) -> NDArray[np.float64]:
        """The power of its part for every pixel, ``[*space]``; 0 for pixels of none.

        Raises:
            ValueError: The parts are channels, which have no place.
        """
        if self.labels is None:
            raise ValueError("the parts are channels, which have no place in the image; see power.power")
        return np.append(self.power, 0.0)[self.labels]

    @property
    def centres(self) -> NDArray[np.float64] | None:
        """Where each part is: the mean place of its pixels, ``[parts, axes]``; None for channels."""
        if self.labels is None:
            return None
        found = ndimage.center_of_mass(self.labels >= 0, self.labels, np.arange(len(self)))
        return np.array(found, dtype=np.float64).reshape(len(self), self.labels.ndim)

    @property
    def region(self) -> BoolArray:
        """The pixels of powerful parts, those with more than a tenth of the largest power, ``[*space]``."""
        region: BoolArray = self.map > POWERFUL * self.power.max()
        return region

    def as_dict(self) -> dict[str, Any]:
        """Everything but the arrays of the image's size, as plain data."""
        return {
            "verdict": self.verdict,
            "turns_over": self.turns_over,
            "whole": self.whole,
            "nothing": self.nothing,
            "turns_at": self.turns_at,
            "parts": "channels" if self.labels is None else len(self),
            "numbers": self.numbers.tolist(),
            "centres": None if self.centres is None else self.centres.round(1).tolist(),
            "power": self.power.tolist(),
            "standard_error": [None if np.isnan(one) else one for one in self.standard_error.tolist()],
            "orders": self.orders,
            "turned_back": self.turned_back,
            "forwards": self.forwards,
        }

    def __str__(self) -> str:
        return self.verdict


@dataclass(frozen=True, eq=False)
class MinimalSet:
    """A set of parts that decides, and the proof that none of them can be spared.

    Attributes:
        kind: ``"sufficient"``: shown alone it brings the segment back; ``"necessary"``: hidden alone it turns
            the segment over.
        parts: The numbers of its parts, ascending, as in the labels that were given.
        labels: The number of the part that each pixel belongs to, -1 for none, ``[*space]``; None: the parts
            are channels.
        value: Mean probability of the explained pixels when the set alone is shown, or hidden.
        without: For each of its parts the same when that part is left out of the set: on the other side of
            ``turns_at``, each.
        turns_at: What the mean probability has to cross.
        whole: Mean probability in the image.
        nothing: The same with all parts hidden.
        forwards: Images that the network was asked about.
    """

    kind: str
    parts: tuple[int, ...]
    labels: NDArray[np.int64] | None
    value: float
    without: tuple[float, ...]
    turns_at: float
    whole: float
    nothing: float
    forwards: int

    @property
    def region(self) -> BoolArray:
        """Its pixels, bool ``[*space]``.

        Raises:
            ValueError: The parts are channels, which have no place.
        """
        if self.labels is None:
            raise ValueError("the parts are channels, which have no place in the image; see its parts")
        return np.isin(self.labels, self.parts)

    def __str__(self) -> str:
        named = ", ".join(map(str, self.parts))
        one = len(self.parts) == 1
        does = {
            "sufficient": "alone brings the segment back" if one else "alone bring the segment back",
            "necessary": "hidden turns the segment over" if one else "hidden turn the segment over",
        }[self.kind]
        said = f"{len(self.parts)} {'part' if one else 'parts'} ({named}) {does}: the mean probability is "
        if one:
            return f"{said}{self.value:.2f}."
        return (
            f"{said}{self.value:.2f}; with any of them left out it is {self._nearest:.2f} at the nearest. "
            f"Smaller sets may exist; {self.forwards} forwards found none."
        )

    @property
    def _nearest(self) -> float:
        return min(self.without, key=lambda value: abs(value - self.turns_at))


@dataclass(frozen=True)
class PowerAgreement:
    """How far a map agrees with the power of parts.

    Attributes:
        rank: `power_rank`, 0 to 1, higher is better.
        hit: `power_hit`, 0 or 1, higher is better.
        chance: The rank of a map that says the same of every pixel.
    """

    rank: float
    hit: float
    chance: float


def power_cost(parts: int, *, orders: int = 48) -> int:
    """How many forwards `power` takes at most, where showing more never turns the segment back.

    Each order takes one forward for every halving of the parts and one more that checks the bisection.

    Example:
        >>> power_cost(60)
        339
    """
    return forwards_for(as_positive(parts, "parts"), as_positive(orders, "orders"))


def power(
    model: Model | SegmentationModel,
    image: AnyArray | Image.Image,
    target: AnyTarget = None,
    *,
    parts: str | AnyArray | Parts = "superpixels",
    count: int | None = None,
    fill: FillLike = "background",
    spare: AnyArray | str | None = None,
    reference: AnyArray | None = None,
    orders: int = 48,
    turns_at: float = THRESHOLD,
    seed: int | None = 0,
    batch_size: int | None = None,
    progress: bool = True,
) -> Power:
    """Measure which parts of an image turn the segment over.

    All parts are hidden, and shown again in random orders; see the top of this module. The turning part of
    each order is found by bisection, which assumes that showing more never turns the segment back. How
    often that fails is counted (``turned_back``), and there every step is asked. `power_cost` says
    beforehand what it
    takes: 339 forwards for 60 parts and 48 orders.

    Args:
        model: The network; see `SegmentationModel` for what it may be.
        image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``.
        target: What is explained. None: the largest segment.
        parts: ``"superpixels"`` (SLIC), ``"grid"`` (square cells), ``"channels"``; or whole numbers
            ``[*space]``, one for each part, organs say, negative ones never hidden.
        count: Superpixels or cells, about. None: 60.
        fill: What hidden parts become; see `as_fill`. Another image, the same scene without what may be the
            cause, gives the cleanest answer.
        spare: Pixels ``[*space]`` that are never hidden, or ``"segment"`` for what the network draws: which
            part of the surroundings decides?
        reference: The ground truth ``[*space]``, for targets that need it.
        orders: How many; half of them are the reverses of the others. 48 leave a standard error of at most
            0.10.
        turns_at: The segment is there where the mean probability of the explained pixels is above this.
        seed: Of the orders. None: others each time.
        batch_size: Images asked at once. None: what suits the device and the image's size.
        progress: Show progress bars, and what it will cost.

    Returns:
        The power of every part, with its standard error. Where hiding all parts does not turn the segment
        over no part has power, and ``verdict`` says so.

    Raises:
        TypeError: Parts that are neither.
        ValueError: An argument that does not fit, or a segment that is not there in the unmasked image.

    Example:
        >>> image = np.array([[0.9, 0, 0.4, 0.4], [0, 0, 0.4, 0.4]])
        >>> parts = np.array([[-1, -1, 0, 1], [-1, -1, 2, 3]])
        >>> # draws its first pixel when most of the light on the right is there
        >>> network = lambda batch: (batch[..., 2:].mean(dim=(-2, -1), keepdim=True) > 0.25) * (batch > 0.5)
        >>> found = power(network, image, parts=parts, fill=0, progress=False)
        >>> found.turns_over, found.power.sum().round(6).item(), found.turned_back
        (True, 1.0, 0)
    """
    orders = as_positive(orders, "orders")

    def shown(case: Case) -> tuple[FloatArray, BoolArray]:
        return case.pixels.cpu().numpy().copy(), case.objective.pixels.copy()

    def run(case: Case, game: Game, ends: tuple[float, float]) -> Power:
        labels, names = _labels(game.pieces), game.pieces.names
        if not ends[0] <= turns_at < ends[1]:
            nil = np.zeros(len(game))
            return Power(
                nil, nil, labels, names, ends[1], ends[0], turns_at, 0, 0, case.forwards, *shown(case)
            )
        drawn = draw_orders(orders, len(game), seed=as_seed(seed))
        turned = turning_pieces(game, drawn, seed=seed)
        return Power(
            turned.gains.mean(axis=0),
            standard_error(turned.gains),
            labels,
            names,
            ends[1],
            ends[0],
            turns_at,
            orders,
            turned.turned_back,
            case.forwards,
            *shown(case),
        )

    asked = (model, image, target, reference, batch_size, progress)
    return _play(run, asked, parts, count, fill, spare, turns_at, orders, "Power")


def minimal_set(
    model: Model | SegmentationModel,
    image: AnyArray | Image.Image,
    target: AnyTarget = None,
    *,
    kind: str = "sufficient",
    parts: str | AnyArray | Parts = "superpixels",
    count: int | None = None,
    fill: FillLike = "background",
    spare: AnyArray | str | None = None,
    reference: AnyArray | None = None,
    orders: int = 12,
    turns_at: float = THRESHOLD,
    seed: int | None = 0,
    batch_size: int | None = None,
    progress: bool = True,
) -> MinimalSet:
    """Find a smallest set of parts whose presence is enough for the segment, or whose removal turns it over.

    Greedy over random orders: the shortest beginning of an order that is enough is found by bisection, its
    last part is kept, and the search goes on for what has to come before it. The best sets are polished: what
    the others can do without is dropped. What comes out is proved by forwards, and no part of it can be
    spared; that no smaller set exists is not proved. In the words of Ignatiev et al. 2019 (arXiv:1811.10656)
    it is an abductive (sufficient) or contrastive (necessary) explanation, for one fill.

    It costs about ``orders x size of the set x log2(parts)`` forwards. All other arguments are those of
    `power`.

    Args:
        model: The network.
        image: The image.
        target: What is explained.
        kind: ``"sufficient"``: parts that are enough when all others are hidden. ``"necessary"``: parts
            without which the segment is gone, though all others are there.
        parts: What the image is taken apart into.
        count: Superpixels or cells, about.
        fill: What hidden parts become.
        spare: Pixels that are never hidden.
        reference: The ground truth.
        orders: How many random orders are tried.
        turns_at: Where the segment is there.
        seed: Of the orders.
        batch_size: Images asked at once.
        progress: Show progress bars.

    Raises:
        ValueError: An argument that does not fit, or hiding all parts does not turn the segment over.

    Example:
        >>> image = np.array([[0.9, 0, 0.4, 0.4], [0, 0, 0.4, 0.4]])
        >>> parts = np.array([[-1, -1, 0, 1], [-1, -1, 2, 3]])
        >>> # draws its first pixel when most of the light on the right is there
        >>> network = lambda batch: (batch[..., 2:].mean(dim=(-2, -1), keepdim=True) > 0.25) * (batch > 0.5)
        >>> found = minimal_set(network, image, parts=parts, fill=0, progress=False)
        >>> len(found.parts)  # three of four are 0.3 on average, two only 0.2
        3
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, got {kind!r}")
    orders = as_positive(orders, "orders")

    def run(case: Case, game: Game, ends: tuple[float, float]) -> MinimalSet:
        if not ends[0] <= turns_at < ends[1]:
            raise ValueError(
                f"no set of these parts decides: with all {len(game)} of them hidden the mean probability of "
                f"the explained pixels is {ends[0]:.2f} (in the image {ends[1]:.2f}), which does not cross "
                f"{turns_at:g}; take other parts, another fill=, or turns_at= between the two"
            )
        drawn = draw_orders(orders, len(game), seed=as_seed(seed))
        labels = _labels(game.pieces)
        sizes = np.ones(len(game)) if labels is None else np.bincount(labels[labels >= 0])
        found = smallest_sufficient(game, drawn, sizes.astype(np.int64), hiding=kind == "necessary")
        return MinimalSet(
            kind,
            tuple(game.pieces.names[found.chosen].tolist()),
            None if labels is None else np.append(game.pieces.names, -1)[labels],
            found.value,
            tuple(found.without.tolist()),
            turns_at,
            ends[1],
            ends[0],
            case.forwards,
        )

    asked = (model, image, target, reference, batch_size, progress)
    return _play(run, asked, parts, count, fill, spare, turns_at, None, "Minimal set")


def agreement_with_power(
    explanation: AnyMap, power: Power | AnyArray, *, within: AnyArray | None = None
) -> PowerAgreement:
    """Hold a map against the power of parts: the truth figure where nobody knows the cause.

    It costs 0 forwards.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        power: What `power` returned, or a map of it ``[*space]``.
        within: The only pixels that count, ``[*space]``. None: those that belong to a part; all of them for a
            map of power.

    Raises:
        ValueError: Parts without a place, another size, or power that is nowhere above 0.

    Example:
        >>> found = agreement_with_power(np.array([[3.0, 2, 1, 0]]), np.array([[0, 0.75, 0.25, 0]]))
        >>> found.rank, found.chance, found.hit
        (0.75, 0.5, 1.0)
    """
    values = as_saliency(explanation)
    if isinstance(power, Power):
        if not power.turns_over:
            raise ValueError(f"there is no power to agree with: {power.verdict}")
        known = power.map
        assert power.labels is not None  # `map` refuses channels
        within = power.labels >= 0 if within is None else within
    else:
        known = as_saliency(power, "power")
        if not (known > 0).any():
            raise ValueError("there is no power to agree with: it is nowhere above 0")
    rank, hit, chance = (
        power_rank(values, known, within=within),
        power_hit(values, known, within=within),
        power_rank(np.zeros(values.shape), known, within=within),
    )
    return PowerAgreement(rank, hit, chance)


def standard_error(gains: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of the mean over orders ``[orders, pieces]``, of which neighbours are an order and its reverse.

    The two of a pair are not independent; the pairs are. One pair alone says nothing: NaN.
    """
    pairs = np.array([gains[first : first + 2].mean(axis=0) for first in range(0, len(gains), 2)])
    if len(pairs) < 2:
        return np.full(gains.shape[1], np.nan)
    error: NDArray[np.float64] = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
    return error


def _play(
    run: Callable[[Case, Game, tuple[float, float]], Answer],
    asked: tuple[Any, ...],
    parts: object,
    count: int | None,
    fill: FillLike,
    spare: AnyArray | str | None,
    turns_at: float,
    orders: int | None,
    name: str,
) -> Answer:
    """Open a case, take the image apart, and see what showing everything and nothing gives."""
    model, image, target, reference, batch_size, progress = asked
    number: object = turns_at
    if not isinstance(number, int | float | np.number) or not 0 < number < 1:
        raise ValueError(f"turns_at must lie between 0 and 1, got {turns_at!r}")
    filled = as_fill(fill)

    def opened(case: Case) -> Answer:
        case.objective = replace(case.objective, quantity="probability")
        filled.check_space(case.space)
        _warn_of_range(filled, case)
        pieces = _without(as_pieces(parts, case.pixels, count=count), case.region(spare, "spare"))
        if progress and orders is not None:
            _tell_cost(len(pieces), orders)
        game = Game(case, pieces, filled, turns_at=turns_at, name=name)
        nothing, whole = game.values(np.array([[False] * len(pieces), [True] * len(pieces)])).tolist()
        if not whole > turns_at:
            raise ValueError(
                f"what is explained is not there in the image: the mean probability of its pixels is "
                f"{whole:.2f}, not above {turns_at:g}; choose another target=, or a lower turns_at="
            )
        return run(case, game, (nothing, whole))

    return run_case(opened, model, image, target, reference, batch_size=batch_size, progress=progress)


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


def _labels(pieces: Pieces) -> NDArray[np.int64] | None:
    """The part of each pixel; None for channels."""
    return pieces.parts.labels if isinstance(pieces, PixelPieces) else None
