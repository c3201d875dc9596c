"""Power: which parts of an image turn the segment over, measured by intervention and by nothing else.

All parts are hidden and shown again one after the other, in many random orders. The *turning part* of an
order is the one with which the segment comes back. How often a part is the turning one is its power: the
Shapley-Shubik index (Shapley and Shubik 1954, doi:10.2307/1951053). It says what the network does when
parts are hidden, and a map can be held against it (`agreement_with_power`). It cannot say more than hiding
can: images with hidden parts are unlike those that the network has learnt from, and another fill may give
another answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_positive, as_seed
from interpret_segmentation.evaluate.power_figures import POWERFUL, power_hit, power_rank
from interpret_segmentation.evaluate.removal import Played, Removal
from interpret_segmentation.evaluate.subject import AnyMap, as_saliency
from interpret_segmentation.inference.coalitions import forwards_for, turning_pieces
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.fills.named import FillLike
from interpret_segmentation.perturb.masks.parts import Parts
from interpret_segmentation.perturb.pieces import draw_orders
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.targets.words import AnyTarget

FEWEST = 4
"""Pairs of orders from which their spread says something."""

NOTHING_TO_FIND = 0.05
"""An effect of less than this is none: there is no cause to find among the parts."""


@dataclass(frozen=True, eq=False)
class Power:
    """How often each part is the one with which the segment comes back.

    Attributes:
        power: Of each part, ``[parts]``; they sum to 1. All 0 where hiding all parts does not turn the
            segment over.
        standard_error: Of each, from the spread over pairs of an order and its reverse, ``[parts]``; NaN for
            fewer than 8 orders.
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
            where = (
                f"among the {len(self)} {kind}s: when all are" if len(self) > 1 else f"in {all_}: when it is"
            )
            return f"No removable cause {where} hidden {change}."
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
    dims: int | None = None,
    batch_size: int | None = None,
    progress: bool = True,
) -> Power:
    """Measure which parts of an image turn the segment over.

    All parts are hidden, and shown again in random orders; see the top of this module. The turning part of
    each order is found by bisection, which assumes that showing more never turns the segment back. How
    often that fails is counted (``turned_back``), and there every step is asked. `power_cost` says
    beforehand what it takes: 339 forwards
    for 60 parts and 48 orders.

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
        dims: Axes of space: 3 for volumes. None: as many as the model's convolutions have.
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

    def run(played: Played) -> Power:
        case, game = played.case, played.game
        gains, turned_back = np.zeros((0, len(game)), dtype=np.int64), 0
        if played.turns_over:
            drawn = draw_orders(orders, len(game), seed=as_seed(seed))
            turned = turning_pieces(game, drawn, seed=seed)
            gains, turned_back = turned.gains, turned.turned_back
        return Power(
            power=gains.sum(axis=0) / max(1, len(gains)),
            standard_error=standard_error(gains) if len(gains) else np.zeros(len(game)),
            labels=played.labels,
            numbers=game.pieces.names,
            whole=played.whole,
            nothing=played.nothing,
            turns_at=asked.turns_at,
            orders=len(gains),
            turned_back=turned_back,
            forwards=case.forwards,
            image=case.pixels.cpu().numpy().copy(),
            pixels=case.objective.pixels.copy(),
        )

    asked = Removal(
        model, image, target, parts, count, fill, spare, reference, turns_at, batch_size, progress, dims
    )
    return asked.play(run, name="Power", orders=orders)


def agreement_with_power(
    explanation: AnyMap, power: Power | AnyArray, *, within: AnyArray | None = None
) -> PowerAgreement:
    """Hold a map against the power of parts: the truth figure where nobody knows the cause.

    Power is known for whole parts, so that the rank is that of the map's mean over each part: a fine map that
    lies on a piece of the part that decides is not the worse for it. It costs 0 forwards.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        power: What `power` returned, or a map of it ``[*space]``, whose pixels count each by itself.
        within: The only pixels that count, ``[*space]``. None: those that belong to a part; all of them for a
            map of power.

    Raises:
        ValueError: Parts without a place, another size, an explanation of another image, or power that is
            nowhere above 0.

    Example:
        >>> found = agreement_with_power(np.array([[3.0, 2, 1, 0]]), np.array([[0, 0.75, 0.25, 0]]))
        >>> found.rank, found.chance, found.hit
        (0.75, 0.5, 1.0)
    """
    values = as_saliency(explanation)
    if isinstance(power, Power):
        _check_image(explanation, power)
        if not power.turns_over:
            raise ValueError(f"there is no power to agree with: {power.verdict}")
        known = power.map
        assert power.labels is not None  # `map` refuses channels
        within = power.labels >= 0 if within is None else within
        ranked = _means_over(power.labels, values)
    else:
        known, ranked = as_saliency(power, "power"), values
        if not (known > 0).any():
            raise ValueError("there is no power to agree with: it is nowhere above 0")
    rank, hit, chance = (
        power_rank(ranked, known, within=within),
        power_hit(values, known, within=within),
        power_rank(np.zeros(values.shape), known, within=within),
    )
    return PowerAgreement(rank, hit, chance)


def _check_image(explanation: AnyMap, power: Power) -> None:
    """Refuse an explanation of another image than the one whose power is known."""
    image = explanation.image if isinstance(explanation, Explanation) else None
    if image is not None:
        check_same_image(np.asarray(image), power.image)


def check_same_image(image: FloatArray, known: FloatArray) -> None:
    """Raise a ValueError unless the image of an explanation is the one whose power is known.

    Args:
        image: Of the explanation, ``[C, *space]``.
        known: The other, of the same form.
    """
    if image.shape[1:] == known.shape[1:] and len(image) != len(known):
        raise ValueError(
            f"the explanation is of another image than the power: one of {len(image)} channels, not of "
            f"{len(known)}"
        )
    scale = float(np.abs(known).max(initial=0))
    if image.shape == known.shape and not np.allclose(image, known, atol=1e-6 * scale):
        raise ValueError(
            "the explanation is of another image than the power: "
            f"its pixels differ by up to {float(np.abs(image - known).max()):.3g}"
        )


def _means_over(labels: NDArray[np.int64], values: FloatArray) -> NDArray[np.float64]:
    """The mean of a map over the part of each pixel; the map itself where there is no part, ``[*space]``."""
    if values.shape != labels.shape:
        return values.astype(np.float64)
    inside = labels >= 0
    sums = np.bincount(labels[inside], values[inside].astype(np.float64))
    means = sums / np.maximum(np.bincount(labels[inside]), 1)
    found: NDArray[np.float64] = np.where(inside, means[np.where(inside, labels, 0)], values)
    return found


def standard_error(gains: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of the mean over orders ``[orders, pieces]``, of which neighbours are an order and its reverse.

    The two of a pair are not independent; the pairs are. Fewer than `FEWEST` pairs may all agree by chance:
    NaN.
    """
    pairs = np.array([gains[first : first + 2].mean(axis=0) for first in range(0, len(gains), 2)])
    if len(pairs) < FEWEST:
        return np.full(gains.shape[1], np.nan)
    error: NDArray[np.float64] = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
    return error
