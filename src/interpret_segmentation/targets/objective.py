"""A target resolved on one image: the pixels, what they are compared with, and one differentiable number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._settings import Setting, Unrecorded
from interpret_segmentation._types import BoolArray

Quantity: TypeAlias = str | Callable[[Tensor], Tensor]
"""``"probability"``, ``"logit"``, or a function of probabilities of the class, ``[B, *space] -> [B]``."""

QUANTITIES = ("probability", "logit")

SMALLEST = 1e-6
"""Probabilities nearer to 0 or 1 than that have the logit of this one."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network said about the unmasked image.

    Attributes:
        probabilities: Of every class, float32 ``[K, *space]``.
        exclusive: The classes exclude each other: a pixel belongs to the likeliest.
        threshold: What a probability has to exceed, where the user says so. None: 0.5 where classes may
            overlap; where they exclude each other it has to be the largest.
    """

    probabilities: Tensor
    exclusive: bool
    threshold: float | None = None

    @property
    def classes(self) -> int:
        """K."""
        return len(self.probabilities)

    @property
    def space(self) -> tuple[int, ...]:
        """The image's size."""
        return tuple(self.probabilities.shape[1:])

    def segment(self, label: int) -> BoolArray:
        """The pixels that the network gives to a class, bool ``[*space]``."""
        if self.exclusive and self.threshold is None:
            chosen = self.probabilities.argmax(dim=0) == label
        else:
            chosen = self.probabilities[label] > self.cut
        segment: BoolArray = chosen.cpu().numpy()
        return segment

    @property
    def cut(self) -> float:
        """What a probability has to exceed, as far as one number says it."""
        return THRESHOLD if self.threshold is None else self.threshold

    def label_at(self, at: tuple[int, ...]) -> int:
        """The class that the network gives to a pixel."""
        place: tuple[slice | int, ...] = (slice(None), *at)
        return int(self.probabilities[place].argmax())

    def largest(self, region: BoolArray | None = None, *, but: int | None = None) -> int:
        """The class with most pixels; class 0 only counts when it is the only one, for it is the background.

        Args:
            region: Count these pixels only, and the background like any class.
            but: A class that is not meant.
        """
        if self.classes == 1:
            return 0
        if self.exclusive and self.threshold is None:
            labels = self.probabilities.argmax(dim=0).cpu().numpy()
            inside = labels if region is None else labels[region]
            counts = np.bincount(inside.ravel(), minlength=self.classes)
        else:
            inside_all = [self.segment(label) for label in range(self.classes)]
            counts = np.array([int((s if region is None else s & region).sum()) for s in inside_all])
        if but is not None:
            counts[but] = 0
        if self.exclusive and region is None and counts[1:].any():
            return int(counts[1:].argmax()) + 1
        return int(counts.argmax())


@dataclass(frozen=True, eq=False)
class Objective:
    """A target resolved on one image: everything that a method needs to know of it.

    Attributes:
        target: The target, with its class filled in.
        label: The class.
        pixels: The explained pixels, bool ``[*space]``.
        expected: Where True, a pixel's agreement is the probability p of the class; elsewhere 1 - p, the
            probability of what the network said instead. Bool ``[*space]``.
        scope: Segments are compared inside it only, bool ``[*space]``; None: everywhere.
        granted: Pixels that count as set in every segment that is compared, bool ``[*space]``; None: none.
        reference: The segment that others are compared with, bool ``[*space]``.
        nothing: Why no pixel is explained, where that is so.
        is_error: What is explained is an error: what takes the segment nearer to the ground truth when hidden
            made the network say it.
        quantity: What number `value` is; see `Target`.
        threshold: What a probability has to exceed for a pixel to be in a segment.
    """

    target: Setting
    label: int
    pixels: BoolArray
    expected: BoolArray
    scope: BoolArray | None
    granted: BoolArray | None
    reference: BoolArray
    nothing: str = "the target is empty"
    is_error: bool = False
    quantity: Quantity | Unrecorded = "probability"
    threshold: float = THRESHOLD

    def check(self) -> None:
        """Raise a ValueError when no pixel is explained, for methods that need one."""
        if not self.pixels.any():
            raise ValueError(
                f"{self.nothing}, so there is nothing to explain; "
                "pass target= to choose pixels or another class"
            )

    def without(self, ignored: BoolArray) -> Objective:
        """The same objective with some pixels left out of everything, bool ``[*space]``."""
        scope = ~ignored if self.scope is None else self.scope & ~ignored
        granted = None if self.granted is None else self.granted & ~ignored
        return replace(
            self,
            pixels=self.pixels & ~ignored,
            scope=scope,
            granted=granted,
            reference=self.reference & ~ignored,
        )

    def compared(self, segment: BoolArray) -> BoolArray:
        """The part of a segment that counts, bool ``[*space]``."""
        if self.scope is not None:
            segment = segment & self.scope
        return segment if self.granted is None else segment | self.granted

    def agreement(self, probability: Tensor) -> Tensor:
        """How probable what the network said remains, for every explained pixel.

        Args:
            probability: Of the class, ``[B, *space]``.

        Returns:
            ``[B, P]``, the pixels in the order of ``numpy.argwhere(pixels)``.
        """
        where, expected = (part.to(probability.device) for part in self._explained)
        explained = probability.flatten(1)[:, where]
        return torch.where(expected, explained, 1 - explained)

    @cached_property
    def _explained(self) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(np.flatnonzero(self.pixels)), torch.from_numpy(self.expected[self.pixels])

    def value(self, maps: Tensor) -> Tensor:
        """The one number that a method explains, differentiable, ``[B]``.

        With the quantity ``"probability"`` it is the mean over the explained pixels of how probable what the
        network said remains, with ``"logit"`` the mean of ``log(p / (1 - p))`` of that, and with a function
        what the function returns.

        Args:
            maps: Probabilities of the class, ``[B, *space]``.

        Raises:
            TypeError: The quantity was a function, which the file that this comes from could not hold.
            ValueError: The function returns something else than one number for each image.
        """
        quantity = self.quantity
        if isinstance(quantity, Unrecorded):
            raise TypeError(
                f"quantity is {quantity!r}: files hold no functions; give it again, as `quantity`"
            )
        if callable(quantity):
            value: object = quantity(maps)
            if not isinstance(value, Tensor) or value.shape != (len(maps),):
                got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(
                    f"the quantity {_name(quantity)} must return one number for each of the {len(maps)} maps "
                    f"it gets, a tensor of shape ({len(maps)},); got {got}"
                )
            return value
        self.check()
        agreement = self.agreement(maps)
        exact = agreement if agreement.device.type == "mps" else agreement.double()
        if quantity == "logit":
            exact = torch.logit(exact, eps=SMALLEST)
        return exact.mean(dim=1)

    @property
    def meaning(self) -> str:
        """What `value` is called in a sentence."""
        return quantity_meaning(self.quantity)


def quantity_meaning(quantity: Quantity | Unrecorded) -> str:
    """What a quantity is called in a sentence."""
    if isinstance(quantity, str):
        return f"mean {quantity}"
    return quantity.name if isinstance(quantity, Unrecorded) else _name(quantity)


def as_quantity(quantity: object) -> Quantity | Unrecorded:
    """What `Objective.value` is.

    Raises:
        ValueError: Neither a name of one nor a function.
    """
    if isinstance(quantity, Unrecorded) or callable(quantity):
        return quantity
    if isinstance(quantity, str) and quantity in QUANTITIES:
        return quantity
    raise ValueError(
        f"quantity must be one of {', '.join(map(repr, QUANTITIES))}, or a function of probabilities "
        f"[B, *space] that returns one number for each of the B; got {quantity!r}"
    )


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", type(function).__name__)
