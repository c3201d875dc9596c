"""A target, settled for one image: what every method needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from interpret_segmentation._settings import Setting
from interpret_segmentation._types import BoolArray

THRESHOLD = 0.5
"""A pixel belongs to the segment when its probability is greater than this."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network said about the unmasked image.

    Attributes:
        probabilities: Of every class, float32 ``[K, *space]``.
        exclusive: The classes exclude each other: a pixel belongs to the likeliest.
        threshold: What a probability has to exceed where they do not.
    """

    probabilities: Tensor
    exclusive: bool
    threshold: float = THRESHOLD

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
        chosen = (
            self.probabilities.argmax(dim=0) == label
            if self.exclusive
            else self.probabilities[label] > self.threshold
        )
        segment: BoolArray = chosen.cpu().numpy()
        return segment

    def label_at(self, at: tuple[int, ...]) -> int:
        """The class that the network gives to a pixel."""
        place: tuple[slice | int, ...] = (slice(None), *at)
        return int(self.probabilities[place].argmax())

    def largest(self, region: BoolArray | None = None) -> int:
        """The class with most pixels; class 0 only counts when it is the only one, for it is the background.

        Args:
            region: Count these pixels only, and the background like any class.
        """
        if self.classes == 1:
            return 0
        if self.exclusive:
            labels = self.probabilities.argmax(dim=0).cpu().numpy()
            inside = labels if region is None else labels[region]
            counts = np.bincount(inside.ravel(), minlength=self.classes)
        else:
            inside_all = [self.segment(label) for label in range(self.classes)]
            counts = np.array([int((s if region is None else s & region).sum()) for s in inside_all])
        if self.exclusive and region is None and counts[1:].any():
            return int(counts[1:].argmax()) + 1
        return int(counts.argmax())


@dataclass(frozen=True, eq=False)
class Question:
    """A target, settled for one image: everything that a method needs to know of it.

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

    def check(self) -> None:
        """Raise a ValueError when no pixel is explained, for methods that need one."""
        if not self.pixels.any():
            raise ValueError(
                f"{self.nothing}, so there is nothing to explain; "
                "pass target= to choose pixels or another class"
            )

    def without(self, ignored: BoolArray) -> Question:
        """The same question with some pixels left out of everything, bool ``[*space]``."""
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

    def scalar(self, probability: Tensor) -> Tensor:
        """The number that a method attributes: the mean agreement, ``[B]`` for ``[B, *space]``."""
        return self.agreement(probability).mean(dim=1)
