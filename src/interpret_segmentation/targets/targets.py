"""What is explained: a class, a pixel, a region, a component, a border, or an error.

A *target* is a small description that prints and is saved. Together with what the network said about the
unmasked image it becomes an `Objective`, from which every method takes what it needs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from scipy import ndimage

from interpret_segmentation._settings import Setting, Unrecorded
from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_positive, as_region, as_whole
from interpret_segmentation.targets.ground_truth import Ignore, labels_of, largest_label, truth_of
from interpret_segmentation.targets.objective import Objective, Prediction, Quantity, as_quantity

__all__ = [
    "Border",
    "Class",
    "Component",
    "FalseNegatives",
    "FalsePositives",
    "Pixel",
    "Region",
    "Target",
]


@dataclass(frozen=True, eq=False, repr=False)
class Target(Setting):
    """What is explained.

    Args:
        label: The class, counted from 0. None: what each target says.
        quantity: The one number that gradients, faithfulness and the score ``"probability"`` are about:
            ``"probability"``, the mean over the explained pixels; ``"logit"``, of its logarithmic odds; or a
            function of the probabilities of the class, a tensor ``[B, *space]``, that returns ``[B]``.
    """

    label: int | None = field(default=None, kw_only=True)
    quantity: Quantity | Unrecorded = field(default="probability", kw_only=True)

    def __post_init__(self) -> None:
        if self.label is not None:
            if as_whole(self.label, "label") < 0:
                raise ValueError(f"label must be a class, counted from 0; got {self.label}")
            object.__setattr__(self, "label", int(self.label))
        as_quantity(self.quantity)

    def resolve(
        self,
        prediction: Prediction,
        truth: AnyArray | None = None,
        *,
        name: str = "reference",
        ignore: Ignore = None,
    ) -> Objective:
        """Ask it about one image.

        Args:
            prediction: What the network said about the unmasked image.
            truth: The ground truth ``[*space]``: a mask of the class, or labels; None when there is none.
            name: What the user calls the ground truth.
            ignore: Labels of pixels that do not count, in place of 255; negative ones never do.

        Raises:
            ValueError: The target is empty on this image, lies outside it, or needs a ground truth.
        """
        labels = None if truth is None else labels_of(truth, prediction, name, ignore)
        target = self.with_label(prediction, labels)
        label = target.chosen
        if label not in range(prediction.classes):
            raise ValueError(f"the model has {counted(prediction.classes)}; there is no class {label}")
        segment, known, ignored = prediction.segment(label), None, None
        if truth is not None:
            known, ignored = truth_of(truth, label, prediction, name, ignore)
        objective = target.ask(segment if ignored is None else segment & ~ignored, known)
        objective = replace(objective, threshold=prediction.cut)
        if ignored is not None:
            objective = objective.without(ignored)
        if prediction.classes == 1 and isinstance(target, Pixel):
            objective = replace(objective, expected=segment)
        if isinstance(target, FalsePositives | FalseNegatives):
            objective = replace(objective, is_error=True)
        if not objective.pixels.any():
            objective = replace(objective, nothing=target.nothing(prediction))
            # How an empty segment changes can be measured all the same; the other targets need a pixel.
            if not isinstance(target, Class):
                objective.check()
        return objective

    @property
    def chosen(self) -> int:
        """The class, once it is chosen."""
        assert self.label is not None
        return self.label

    def with_label(self, prediction: Prediction, labels: FloatArray | None) -> Target:  # noqa: ARG002
        """The same target, its class chosen: the largest that the network draws.

        Args:
            prediction: What the network said.
            labels: The ground truth, where it holds labels.
        """
        if self.label is not None:
            return self
        return replace(self, label=prediction.largest())

    def describe(self) -> str:
        """What is explained, in words."""
        return str(self)

    def check_space(self, space: tuple[int, ...]) -> None:
        """Raise a ValueError unless its places and masks are those of an image of this size."""

    @abstractmethod
    def ask(self, segment: BoolArray, truth: BoolArray | None) -> Objective:
        """The objective for the segment that the network draws of its class and the true one, if known."""

    def nothing(self, prediction: Prediction) -> str:
        """Why the target has no pixel."""
        highest = prediction.probabilities[self.chosen].max().item()
        return (
            f"{self} is empty: the network puts no pixel in this segment (the highest probability of class "
            f"{self.label} is {highest:.3g})"
        )

    def _objective(
        self,
        pixels: BoolArray,
        reference: BoolArray,
        *,
        expected: BoolArray | None = None,
        scope: BoolArray | None = None,
        granted: BoolArray | None = None,
    ) -> Objective:
        everywhere = np.ones_like(pixels)
        objective = Objective(
            self,
            self.chosen,
            pixels,
            everywhere if expected is None else expected,
            scope,
            granted,
            reference,
            quantity=self.quantity,
        )
        return replace(objective, reference=objective.compared(reference))


@dataclass(frozen=True, eq=False, repr=False)
class Class(Target):
    """The segment of one class: why did the network draw it?

    Segments are compared with the ground truth where there is one, or else with the network's own.

    Args:
        label: The class, counted from 0. None: the largest that the network draws; class 0 of several that
            exclude each other is taken for the background and chosen only when there is nothing else.
    """

    kind: ClassVar[str] = "class"
    label: int | None = None

    def describe(self) -> str:
        """What is explained, in words."""
        return f"class {self.label}"

    def ask(self, segment: BoolArray, truth: BoolArray | None) -> Objective:
        """All pixels of the segment."""
        return self._objective(segment, segment if truth is None else truth)


@dataclass(frozen=True, eq=False, repr=False)
class Pixel(Target):
    """One output pixel: why does it belong to its class, or, for a model of one class, not belong to it?

    Segments are compared at this pixel alone.

    Args:
        at: Row and column; depth, row and column in a volume.
        label: The class. None: the one that the network gives to the pixel.
    """

    kind: ClassVar[str] = "pixel"
    at: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "at", _as_place(self.at))

    def check_space(self, space: tuple[int, ...]) -> None:
        """Raise a ValueError unless the pixel lies in an image of this size."""
        _check_inside(self.at, space)

    def with_label(self, prediction: Prediction, labels: FloatArray | None) -> Target:  # noqa: ARG002
        """The class that the network gives to the pixel."""
        _check_inside(self.at, prediction.space)
        if self.label is not None:
            return self
        return replace(self, label=prediction.label_at(self.at))

    def describe(self) -> str:
        """What is explained, in words."""
        return f"pixel {self.at} of class {self.label}"

    def ask(self, segment: BoolArray, truth: BoolArray | None) -> Objective:
        """This pixel."""
        pixels = np.zeros_like(segment)
        pixels[self.at] = True
        return self._objective(pixels, segment if truth is None else truth, scope=pixels)


@dataclass(frozen=True, eq=False, repr=False)
class Region(Target):
    """Any set of output pixels: what makes them belong to the class?

    Of a model with one class it is that class, also for pixels outside the segment. Segments are compared
    inside the region.

    Args:
        mask: The pixels, bool ``[*space]``.
        label: The class. None: the one that most of these pixels get.
    """

    kind: ClassVar[str] = "region"
    mask: BoolArray

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = tuple(side for side in np.shape(self.mask))
        object.__setattr__(self, "mask", as_region(self.mask, shape, name="target"))

    def check_space(self, space: tuple[int, ...]) -> None:
        """Raise a ValueError unless the region is of an image of this size."""
        as_region(self.mask, space, name="target")

    def with_label(self, prediction: Prediction, labels: FloatArray | None) -> Target:  # noqa: ARG002
        """The class that most of the region gets."""
        mask = as_region(self.mask, prediction.space, name="target")
        if self.label is not None and mask.shape == self.mask.shape:
            return self
        label = prediction.largest(mask) if self.label is None else self.label
        return replace(self, mask=mask, label=label)

    def describe(self) -> str:
        """What is explained, in words."""
        return f"{np.count_nonzero(self.mask)} pixels of class {self.label}"

    def ask(self, segment: BoolArray, truth: BoolArray | None) -> Objective:
        """The region's pixels."""
        return self._objective(self.mask, segment if truth is None else truth, scope=self.mask)

    def nothing(self, prediction: Prediction) -> str:  # noqa: ARG002
        """The error for a region without any pixel."""
        return "target is empty: it must hold at least one pixel"


@dataclass(frozen=True, eq=False, repr=False)
class Component(Target):
    """One connected component of a segment: why is this one there?

    Pixels that touch at a side, an edge or a corner belong together. Segments are compared among the pixels
    that are nearer to this component than to any other.

    Args:
        at: A pixel of it: row and column; depth, row and column in a volume.
        rank: Without ``at``: 0 the largest, 1 the second, ...; of equals the first in reading order.
        of: ``"prediction"`` or ``"truth"``: whose component.
        label: The class. None: the largest that the network draws.
    """

    kind: ClassVar[str] = "component"
    at: tuple[int, ...] | None = None
    rank: int = 0
    of: str = "prediction"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at is not None:
            object.__setattr__(self, "at", _as_place(self.at))
        if self.of not in ("prediction", "truth"):
            raise ValueError(f"of must be 'prediction' or 'truth', got {self.of!r}")
        object.__setattr__(self, "rank", as_whole(self.rank, "rank"))
        if self.rank < 0:
            raise ValueError(f"rank must be 0 for the largest, 1 for the second, ...; got {self.rank}")

    def check_space(self, space: tuple[int, ...]) -> None:
        """Raise a ValueError unless the place, if any is told, lies in an image of this size."""
        if self.at is not None:
            _check_inside(self.at, space)

    def with_label(self, prediction: Prediction, labels: FloatArray | None) -> Target:
        """The class at the point, or else the largest, of the prediction or the ground truth."""
        if self.at is not None:
            _check_inside(self.at, prediction.space)
        if self.label is not None:
            return self
        if self.of == "truth" and labels is not None:
            label = largest_label(labels) if self.at is None else int(labels[self.at])
            if label < 0:
                raise ValueError(
                    f"the ground truth says nothing at {self.at}: the pixel does not count there"
                )
            return replace(self, label=label)
        if self.of == "truth" or self.at is None:
            return super().with_label(prediction, labels)
        return replace(self, label=prediction.label_at(self.at))

    def nothing(self, prediction: Prediction) -> str:
        """The error for a segment without any component."""
        if self.of == "truth":
            return f"{self} is empty: the ground truth has no pixel of this class"
        return super().nothing(prediction)

    def describe(self) -> str:
        """What is explained, in words."""
        what = {"prediction": "segment", "truth": "true segment"}[self.of]
        which = f"number {self.rank + 1} by size" if self.at is None else f"at {self.at}"
        return f"the {what} {which} of class {self.label}"

    def ask(self, segment: BoolArray, truth: BoolArray | None) -> Objective:
        """The component's pixels."""
        whole = segment if self.of == "prediction" else _needed(truth, self)
        components, count = ndimage.label(whole, structure=np.ones((3,) * whole.ndim))
        if self.at is not None:
            _check_inside(self.at, whole.shape)
            number = int(components[self.at])
            if whole.any() and not number:
                raise ValueError(f"there is no segment of the {self.of} at {self.at}")
        else:
            if whole.any() and self.rank >= count:
                raise ValueError(f"the {self.of} has {count} components; there is none of rank {self.rank}")
            sizes = np.bincount(components.ravel())[1:]
            number = int(np.argsort(-sizes, kind="stable")[self.rank]) + 1 if count else 0
        pixels = components == number if number else np.zeros_like(whole)
        reference = segment if truth is None else truth
        if count < 2:
            return self._objective(pixels, reference)
        nearest = ndimage.distance_transform_edt(~whole, return_distances=False, return_indices=True)
        return self._objective(pixels, reference, scope=components[tuple(nearest)] == number)


@dataclass(frozen=True, eq=False, repr=False)
class Border(Target):
    """The border of a segment: why does it end where it ends?

    Explained are the pixels on both sides of it: inside by the probability of the class, outside by that of
    anything else. Segments are compared there only.

    Args:
        width: Pixels on either side.
        label: The class. None: the largest that the network draws.
        other: The class on the other side: only where both touch. None: whatever is there.
    """

    kind: ClassVar[str] = "border"
    width: int = 1
    other: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "width", as_positive(self.width, "width"))
        if self.other is not None:
            object.__setattr__(self, "other", as_whole(self.other, "other"))
            if self.other < 0 or self.other == self.label:
                raise ValueError(f"other must be another class than label, counted from 0; got {self.other}")

    def resolve(
        self,
        prediction: Prediction,
        truth: AnyArray | None = None,
        *,
        name: str = "reference",
        ignore: Ignore = None,
    ) -> Objective:
        """The pixels along the border; where another class is named, those where both touch."""
        if self.other is None:
            return super().resolve(prediction, truth, name=name, ignore=ignore)
        if self.other not in range(prediction.classes):
            raise ValueError(f"the model has {counted(prediction.classes)}; there is no class {self.other}")
        if self.label is None:
            largest = prediction.largest(but=self.other)
            return replace(self, label=largest).resolve(prediction, truth, name=name, ignore=ignore)
        whole = replace(self, other=None).resolve(prediction, truth, name=name, ignore=ignore)
        one, other = prediction.segment(self.label), prediction.segment(self.other)
        if (one & other).any() and not ((other & ~one).any() and (one & ~other).any()):
            inner = self.label if one.sum() < other.sum() else self.other
            raise ValueError(
                f"{self} is empty: of class {self.label} and class {self.other} one lies inside the other; "
                f"pass its border alone: 'border@{inner}'"
            )
        other = other & ~one
        near = self._near(one, other) | self._near(other, one)
        pixels = whole.pixels & near
        objective = replace(whole, target=self, pixels=pixels, scope=pixels)
        if not pixels.any():
            raise ValueError(
                f"{self} is empty: the network draws no pixel of class {self.label} within {self.width} of "
                f"one of class {self.other}; pass a larger width, or look at the segments"
            )
        return replace(objective, reference=objective.compared(whole.reference))

    def _near(self, segment: BoolArray, other: BoolArray) -> BoolArray:
        """The pixels of a segment that are near to another."""
        cross = ndimage.generate_binary_structure(segment.ndim, 1)
        near: BoolArray = segment & ndimage.binary_dilation(other, cross, iterations=self.width)
        return near

    def describe(self) -> str:
        """What is explained, in words."""
        if self.other is not None:
            return f"the border between class {self.label} and class {self.other}"
        return f"the border of class {self.label}"

    def ask(self, segment: BoolArray, truth: BoolArray | None) -> Objective:
        """The pixels along the border."""
        cross = ndimage.generate_binary_structure(segment.ndim, 1)
        outer = ndimage.binary_dilation(segment, cross, iterations=self.width) & ~segment
        inner = segment & ndimage.binary_dilation(~segment, cross, iterations=self.width)
        pixels = outer | inner
        return self._objective(pixels, segment if truth is None else truth, expected=segment, scope=pixels)

    def nothing(self, prediction: Prediction) -> str:
        """The error for a segment without a border."""
        if prediction.segment(self.label or 0).all():
            return f"{self} is empty: the segment fills the image and has no border"
        return super().nothing(prediction)


@dataclass(frozen=True, eq=False, repr=False)
class FalsePositives(Target):
    """What the network drew but should not have: why is this here?

    Segments are compared with the ground truth as to what they add to it; what they miss does not count.

    Args:
        label: The class. None: the largest that the network draws.
    """

    kind: ClassVar[str] = "false-positives"

    def describe(self) -> str:
        """What is explained, in words."""
        return f"the false positives of class {self.label}"

    def ask(self, segment: BoolArray, truth: BoolArray | None) -> Objective:
        """The pixels that are too many."""
        truth = _needed(truth, self)
        return self._objective(segment & ~truth, truth, granted=truth)

    def nothing(self, prediction: Prediction) -> str:  # noqa: ARG002
        """The error for a segment without such pixels."""
        return f"{self} is empty: the network draws nothing of this class that is not in the ground truth"


@dataclass(frozen=True, eq=False, repr=False)
class FalseNegatives(Target):
    """What the network should have drawn but did not: why is that missing?

    A pixel's agreement is the probability of anything but the class, for that is what the network said: what
    the map marks speaks against the segment. Segments are compared with the ground truth as to what they
    miss; what they add does not count.

    Args:
        label: The class. None: the largest that the network draws.
    """

    kind: ClassVar[str] = "false-negatives"

    def with_label(self, prediction: Prediction, labels: FloatArray | None) -> Target:
        """The largest class of the ground truth where it holds labels, or else of the prediction."""
        if self.label is None and labels is not None:
            return replace(self, label=largest_label(labels))
        return super().with_label(prediction, labels)

    def describe(self) -> str:
        """What is explained, in words."""
        return f"the false negatives of class {self.label}"

    def ask(self, segment: BoolArray, truth: BoolArray | None) -> Objective:
        """The pixels that are missing."""
        truth = _needed(truth, self)
        missing = truth & ~segment
        return self._objective(missing, truth, expected=np.zeros_like(missing), scope=truth)

    def nothing(self, prediction: Prediction) -> str:  # noqa: ARG002
        """The error for a segment without such pixels."""
        return f"{self} is empty: the network draws everything of this class that is in the ground truth"


def counted(classes: int) -> str:
    """The classes of a model in words."""
    return "one class, number 0" if classes == 1 else f"{classes} classes, 0 to {classes - 1}"


def _as_place(at: object) -> tuple[int, ...]:
    if isinstance(at, str) or not isinstance(at, Iterable):
        raise TypeError(f"at must be (row, column), or (depth, row, column) in a volume; got {at!r}")
    return tuple(as_whole(value, "at") for value in at)


def _check_inside(at: tuple[int, ...], space: tuple[int, ...]) -> None:
    if len(at) != len(space) or any(not 0 <= value < side for value, side in zip(at, space, strict=True)):
        names = "depth, row, column" if len(space) == 3 else "row, column"
        raise ValueError(f"there is no pixel {at} ({names}) in an image of {' x '.join(map(str, space))}")


def _needed(truth: BoolArray | None, target: Target) -> BoolArray:
    if truth is None:
        raise ValueError(
            f"{target} needs the ground truth; pass reference=, a mask or labels of the image's size"
        )
    return truth
