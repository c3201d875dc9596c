"""What a model's answer says: whatever it returns becomes probabilities, or one clear error."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._warnings import warn
from interpret_segmentation.models.answers import Path

ACTIVATIONS = ("none", "sigmoid", "softmax", "log_softmax")
"""What turns a model's numbers into probabilities; "none" where they are probabilities already."""

DOUBT = 0.05
"""Share of the larger segment by which two ways to read logits have to differ before it is said."""

SLACK = 1e-3
STATED = "stated"
"""Why an activation is what it is, where the user says so."""


class NoProbabilitiesError(ValueError):
    """A masked image's output shows that the numbers are logits, although those before looked otherwise."""


@dataclass(frozen=True)
class Doubt:
    """What a class would be if its logits were read otherwise.

    Attributes:
        softmax: Pixels of its segment where classes exclude each other.
        sigmoid: Pixels where they may overlap.
        differing: Pixels in which both differ.
    """

    softmax: int
    sigmoid: int
    differing: int

    @property
    def matters(self) -> bool:
        """Whether it is worth a word."""
        return self.differing > DOUBT * max(self.softmax, self.sigmoid)


@dataclass(frozen=True)
class Reading:
    """What a model's first answer showed: how it is called, and what its numbers mean.

    Attributes:
        path: Where in the answer the segmentation was.
        shape: Of the maps found there, ``[B, K, *any]``.
        activation: What turns them into probabilities.
        because: Why that, in words.
        exclusive: The classes exclude each other: a pixel belongs to the likeliest.
        resized: The maps are brought to the image's size.
        numpy: The model takes NumPy arrays; None: it takes tensors, as most do.
        channels_last: Images are handed over with the channels of a pixel side by side; None: nobody said.
        threshold: What a probability has to exceed, where the user says so; None: that of the likeliest
            class, or 0.5 where classes may overlap.
        doubts: Of each class, where its logits can be read in two ways.
    """

    path: Path
    shape: tuple[int, ...]
    activation: str
    because: str
    exclusive: bool
    resized: bool
    numpy: bool | None = None
    channels_last: bool | None = None
    threshold: float | None = None
    doubts: tuple[Doubt, ...] = ()

    @property
    def place(self) -> str:
        """Where in the answer the segmentation was, in words."""
        return str(self.path)

    @property
    def classes(self) -> int:
        """K."""
        return self.shape[1]

    @property
    def is_stated(self) -> bool:
        """The user says what turns the numbers into probabilities."""
        return self.because == STATED

    def activated(self, maps: Tensor) -> Tensor:
        """Probabilities of maps, or of windows of them, ``[B, K, *any]``.

        Raises:
            NoProbabilitiesError: They were taken for probabilities, and some are below 0 or above 1.
        """
        return probabilities(maps, self.activation)

    def segments(self, maps: Tensor, label: int) -> Tensor:
        """Which pixels belong to a class, bool ``[B, *space]`` for probabilities ``[B, K, *space]``."""
        return segments(maps, label, self.threshold, exclusive=self.exclusive)

    def as_logits(self) -> Reading:
        """Another reading of the same answer: logits, as a masked image has shown, and no probabilities."""
        several = self.classes > 1
        return replace(
            self,
            activation="softmax" if several else "sigmoid",
            because="a masked image gave values outside 0 to 1: logits",
            exclusive=several,
        )

    def with_doubts(self, maps: Tensor) -> Reading:
        """The same, with what each class would be if its logits were read otherwise.

        Args:
            maps: The logits, ``[B, K, *space]``.
        """
        if self.activation != "softmax" or self.is_stated or self.classes < 2:
            return self
        softmax, sigmoid = maps.float().softmax(dim=1), maps.float().sigmoid()
        doubts = []
        for label in range(self.classes):
            one = self.segments(softmax, label)
            other = segments(sigmoid, label, self.threshold, exclusive=False)
            doubts.append(Doubt(int(one.sum()), int(other.sum()), int((one != other).sum())))
        return replace(self, doubts=tuple(doubts))

    def warn_of_softmax(self, label: int | None = None) -> None:
        """Say where several logits are taken to exclude each other, and it matters, as it cannot be seen.

        Args:
            label: The class that is explained. None: any.
        """
        doubtful = [number for number, doubt in enumerate(self.doubts) if doubt.matters]
        if label is not None:
            doubtful = [number for number in doubtful if number == label]
        if doubtful:
            number = doubtful[0]
            doubt = self.doubts[number]
            warn(
                f"the model returned logits for {self.classes} classes, which are taken to exclude each "
                f"other (softmax): class {number} has {doubt.softmax} pixels then, but {doubt.sigmoid} if "
                "classes may overlap (sigmoid); pass activation='softmax' to confirm that, or 'sigmoid'"
            )

    def warn_of_overlap(self) -> None:
        """Say that several classes are taken for probabilities that need not add up to 1."""
        if self.activation == "none" and not self.is_stated and not self.exclusive and self.classes > 1:
            warn(
                f"the model returned values from 0 to 1 for {self.classes} classes that do not add up to 1, "
                "which are taken for probabilities of classes that may overlap: pass activation='none' to "
                "confirm that, or 'softmax' or 'sigmoid' if they are logits",
            )

    def warn_of_rivals(self) -> None:
        """Say that there were several maps of one shape, of which one had to be chosen."""
        if self.path.rivals > 1:
            top = len(self.path.steps) == 1
            last, first = (
                ("-1", "0")
                if top
                else (f"lambda answer: answer{place}" for place in (self.path.last, self.place))
            )
            warn(
                f"the model returned {self.path.rivals} maps of one shape, of which the first is explained "
                f"({self.place}); pass output={last} for the last, which is the final one of many networks "
                f"with deep supervision, or output={first} to confirm this one"
            )
        elif self.path.others:
            warn(
                f"the model returned maps of several kinds, of which the first is explained ({self.place}, "
                f"{self.classes} classes); pass output=lambda answer: answer{self.path.others} for another, "
                f"or output=lambda answer: answer{self.place} to confirm this one"
            )


def read(
    maps: Tensor, placed: Tensor, path: Path, activation: str | None, threshold: float | None = None
) -> tuple[Reading, Tensor]:
    """What the first maps of a model mean, and the probabilities that follow.

    Args:
        maps: As the model returned them, ``[B, K, *any]``.
        placed: The same, of the image's size, ``[B, K, *space]``.
        path: Where in the answer they were.
        activation: What the user says turns them into probabilities. None: it is seen from the values.
        threshold: What the user says a probability has to exceed.

    Raises:
        ValueError: NaN, labels, or values that are no probabilities though the user says so.
    """
    check_numbers(maps)
    because = STATED
    if activation is None:
        check_not_labels(maps)
        activation, because = detected_activation(maps)
    first = Reading(
        path,
        tuple(maps.shape),
        activation,
        because,
        False,
        tuple(maps.shape[2:]) != tuple(placed.shape[2:]),
        threshold=threshold,
    )
    try:
        ready = first.activated(placed)
    except NoProbabilitiesError as error:
        raise ValueError(str(error)) from None
    reading = replace(first, exclusive=path.is_queries or excludes(ready, activation)).with_doubts(placed)
    reading.warn_of_overlap()
    reading.warn_of_rivals()
    return reading, ready


def detected_activation(maps: Tensor) -> tuple[str, str]:
    """What turns these maps into probabilities, and why.

    Values from 0 to 1 are probabilities; classes whose logarithms add up to 1 are log-probabilities;
    other values are logits: of one class for a sigmoid, of two or more for a softmax. Whether several logits
    exclude each other cannot be seen from their values, so the softmax is an assumption.

    Args:
        maps: ``[B, K, *any]``.
    """
    lowest, highest = (value.item() for value in torch.aminmax(maps))
    classes = maps.shape[1]
    span = f"values from {lowest:.4g} to {highest:.4g}"
    if lowest >= -SLACK and highest <= 1 + SLACK:
        return "none", f"{span} are probabilities"
    if classes == 1:
        return "sigmoid", f"{span} are logits, of one class"
    if highest <= SLACK and _adds_up(maps.exp()):
        return "log_softmax", f"{span}, whose exponentials add up to 1, are log-probabilities"
    return "softmax", f"{span} are logits; {classes} classes are taken to exclude each other"


def _adds_up(maps: Tensor) -> bool:
    return bool(((maps.sum(dim=1) - 1).abs() < 0.02).all())


def excludes(maps: Tensor, activation: str) -> bool:
    """Whether the classes exclude each other, so that a pixel belongs to the likeliest one."""
    if maps.shape[1] == 1 or activation == "sigmoid":
        return False
    return activation in ("softmax", "log_softmax") or _adds_up(maps)


def probabilities(maps: Tensor, activation: str) -> Tensor:
    """Maps as probabilities, float32 ``[B, K, *any]``.

    Raises:
        NoProbabilitiesError: They are said to be probabilities already, but some are below 0 or above 1.
        ValueError: Some are NaN.
    """
    raw = maps = maps.float()
    if activation == "softmax":
        maps = maps.softmax(dim=1)
    elif activation == "sigmoid":
        maps = maps.sigmoid()
    elif activation == "log_softmax":
        maps = maps.exp()
    lowest, highest = (value.item() for value in torch.aminmax(maps))
    if not (lowest >= -SLACK and highest <= 1 + SLACK):
        check_numbers(raw)
        raise NoProbabilitiesError(
            f"the model must return probabilities from 0 to 1, got values from {lowest:g} to {highest:g}; "
            "if these are logits, pass activation='sigmoid', or 'softmax' for classes that exclude each other"
        )
    return maps


def check_numbers(maps: Tensor) -> None:
    """Raise a ValueError when some values are NaN."""
    broken = int(maps.isnan().sum().item())
    if broken:
        raise ValueError(
            f"the model returned NaN for {broken} of {maps.numel()} values; check that it gets the "
            "range of values it was trained on, and that a blank image does not divide by zero in it"
        )
    if torch.isposinf(maps).any():
        raise ValueError(
            "the model returned infinite values; check that it gets the range of values it was trained on, "
            "and that its type is not too small for them"
        )


def check_not_labels(maps: Tensor) -> None:
    """Raise a ValueError when the values are labels, or a mask of 0 and 255, and no logits of one class."""
    if maps.shape[1] == 1 and maps.max() > 1 and maps.min() >= 0 and bool((maps % 1 == 0).all()):
        raise ValueError(
            f"the model returned whole numbers from 0 to {maps.max().item():g}: labels or a mask, not "
            "probabilities. Have it return probabilities, or pass output=, a function that makes them of its "
            "answer; if these are logits, pass activation='sigmoid'"
        )


def segments(maps: Tensor, label: int, threshold: float | None, *, exclusive: bool) -> Tensor:
    """Which pixels belong to a class, bool ``[B, *space]``.

    Args:
        maps: Probabilities ``[B, K, *space]``.
        label: The class.
        threshold: What a probability has to exceed. None: 0.5 where classes may overlap; where they exclude
            each other it has to be the largest.
        exclusive: The classes exclude each other; of equals the first takes the pixel.
    """
    if exclusive and threshold is None:
        return maps.argmax(dim=1) == label
    return maps[:, label] > (THRESHOLD if threshold is None else threshold)
