"""Compares two segmentations: one number per image.

The reference stays the same while thousands of outputs are compared with it, so a `Score` comes in two
steps: ``prepare`` takes the reference and does what can be done once, and what it returns takes one output
at a time. ``SCORES`` lists them by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import ndimage
from scipy.spatial.distance import directed_hausdorff

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.question import Question
from interpret_segmentation.surface import SurfaceTo

Distance: TypeAlias = Callable[[FloatArray, FloatArray], float]
"""``(output, segment) -> number``, both float ``[*space]`` with values from 0 to 1."""


def hausdorff(a: BoolArray, b: BoolArray, *, spacing: Sequence[float] | None = None) -> float:
    """Largest distance from a point of one mask to the other mask.

    ``max(max_{p in a} min_{q in b} |p - q|, max_{q in b} min_{p in a} |p - q|)``, where every set pixel is
    one point.

    Both masks empty: 0. One of them empty: the length of the image's diagonal from the first pixel to
    the last, the longest distance that two of its pixels can have, so that maps of distances stay finite.

    Args:
        a: Bool ``[*space]``, of any number of dimensions.
        b: Bool ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Returns:
        The distance in pixels, or in the unit of ``spacing``.

    Example:
        >>> import numpy as np
        >>> a, b = np.zeros((2, 9, 9), bool)
        >>> a[2, 2] = b[5, 6] = True
        >>> hausdorff(a, b)
        5.0
    """
    return HausdorffTo(b, spacing=spacing)(a)


class HausdorffTo:
    """The Hausdorff distance to one fixed mask, for when many are compared with it.

    The fixed mask's distance transform is computed once; the other's only inside the bounding box that
    holds both masks, which is all that the distance depends on.

    Args:
        reference: Bool ``[*space]``.
        spacing: Distance between neighbouring pixels along each axis. Default: 1 each.

    Example:
        >>> import numpy as np
        >>> reference = np.zeros((9, 9), bool)
        >>> reference[4, 4] = True
        >>> to_reference = HausdorffTo(reference)
        >>> to_reference(np.roll(reference, 3, axis=0)), to_reference(np.zeros_like(reference))
        (3.0, 11.313708498984761)
    """

    def __init__(self, reference: BoolArray, *, spacing: Sequence[float] | None = None) -> None:
        self._reference = np.array(reference, dtype=bool)
        self._spacing = (1.0,) * reference.ndim if spacing is None else tuple(map(float, spacing))
        if len(self._spacing) != reference.ndim or min(self._spacing, default=1.0) <= 0:
            raise ValueError(
                f"spacing must be one positive number for each of the {reference.ndim} axes, got {spacing}"
            )
        self._box = _bounding_box(self._reference)
        self._distance_to_reference = None if self._box is None else self._distance_to(self._reference)
        self._diagonal = float(np.linalg.norm((np.array(reference.shape) - 1) * self._spacing))

    def __call__(self, mask: BoolArray) -> float:
        """The distance from ``mask``, bool ``[*space]``, to the reference."""
        if mask.shape != self._reference.shape:
            raise ValueError(f"both masks must have one shape, got {mask.shape} and {self._reference.shape}")
        box = _bounding_box(mask)
        if box is None and self._box is None:
            return 0.0
        if box is None or self._box is None or self._distance_to_reference is None:
            return self._diagonal
        if np.array_equal(mask, self._reference):
            return 0.0
        crop = tuple(
            slice(min(ours.start, theirs.start), max(ours.stop, theirs.stop))
            for ours, theirs in zip(self._box, box, strict=True)
        )
        there = self._distance_to_reference[crop][mask[crop]].max()
        back = self._distance_to(mask[crop])[self._reference[crop]].max()
        return float(max(there, back))

    def _distance_to(self, mask: BoolArray) -> FloatArray:
        """For every pixel the distance to the nearest set pixel of ``mask``."""
        distances: FloatArray = ndimage.distance_transform_edt(~mask, sampling=self._spacing)
        return distances


def _bounding_box(mask: BoolArray) -> tuple[slice, ...] | None:
    """The smallest box that holds every set pixel; None when there is none."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        if not occupied.size:
            return None
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)


def dice(a: BoolArray, b: BoolArray) -> float:
    """Dice coefficient: twice the common pixels over the sum of both; 1 when both masks are empty.

    Example:
        >>> import numpy as np
        >>> dice(np.array([True, True, False]), np.array([False, True, False]))
        0.6666666666666666
    """
    total = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def iou(a: BoolArray, b: BoolArray) -> float:
    """Intersection over union (Jaccard index); 1 when both masks are empty.

    Example:
        >>> import numpy as np
        >>> iou(np.array([True, True, False]), np.array([False, True, False]))
        0.5
    """
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


@dataclass(frozen=True, eq=False)
class Reference:
    """What the segmentations of masked images are compared with.

    Attributes:
        question: What is explained.
        probability: The ground truth of 0 and 1 where there is one, or else the network's probability for
            the unmasked image, float32 ``[*space]``: what graded scores compare with.
        spacing: Distance between neighbouring pixels along each axis; None: 1 each.
    """

    question: Question
    probability: FloatArray
    spacing: tuple[float, ...] | None = None

    def graded(self, probability: FloatArray) -> FloatArray:
        """The part of a map of probabilities that counts."""
        question = self.question
        if question.scope is not None:
            probability = np.where(question.scope, probability, np.float32(0))
        if question.granted is not None:
            probability = np.where(question.granted, np.float32(1), probability)
        return probability


Measure: TypeAlias = Callable[[FloatArray, BoolArray], float]
"""``(probability, segment) -> number`` for one masked image, both ``[*space]``."""


@dataclass(frozen=True)
class Score:
    """A way to compare two segmentations.

    Attributes:
        meaning: What it is called in a sentence.
        unit: ``"pixels"`` for distances, ``""`` for pure numbers.
        higher_is_better: True for likeness, False for distance.
        prepare: Fixes the reference, once.
        of_truth: It compares with the ground truth where there is one; False measures what the network says.
    """

    meaning: str
    unit: str
    higher_is_better: bool
    prepare: Callable[[Reference], Measure]
    of_truth: bool = True

    def damage(self, baseline: float, values: FloatArray) -> FloatArray:
        """How much worse than the baseline the values are; negative where they are better."""
        return baseline - values if self.higher_is_better else values - baseline

    def support(self, baseline: float, values: FloatArray, question: Question) -> tuple[FloatArray, str]:
        """How much what was hidden made the network say what is explained, and what that means in words.

        That is the damage; but of an error it is the improvement, for what takes the error away made it.
        """
        damage = self.damage(baseline, values)
        grows = not self.higher_is_better
        if question.is_error and self.of_truth:
            damage, grows = -damage, not grows
        return damage, f"{'growth' if grows else 'loss'} of {self.meaning} when hidden"


def _hausdorff(reference: Reference) -> Measure:
    question = reference.question
    to_reference = HausdorffTo(question.reference, spacing=reference.spacing)
    return lambda _, segment: to_reference(question.compared(segment))


def _of_surfaces(distance: Callable[[SurfaceTo, BoolArray], float]) -> Callable[[Reference], Measure]:
    def prepare(reference: Reference) -> Measure:
        question = reference.question
        to_reference = SurfaceTo(question.reference, spacing=reference.spacing)
        return lambda _, segment: distance(to_reference, question.compared(segment))

    return prepare


def _overlap(likeness: Callable[[BoolArray, BoolArray], float]) -> Callable[[Reference], Measure]:
    def prepare(reference: Reference) -> Measure:
        question = reference.question
        return lambda _, segment: likeness(question.compared(segment), question.reference)

    return prepare


def _mean_agreement(reference: Reference) -> Measure:
    reference.question.check()
    pixels = reference.question.pixels
    expected = reference.question.expected[pixels]

    def agreement(probability: FloatArray, _: BoolArray) -> float:
        explained = probability[pixels]
        return float(np.where(expected, explained, 1 - explained).mean(dtype=np.float64))

    return agreement


def _mean_squared_error(reference: Reference) -> Measure:
    scope = reference.question.scope
    wanted = reference.graded(reference.probability)

    def error(probability: FloatArray, _: BoolArray) -> float:
        squares = np.square(reference.graded(probability) - wanted, dtype=np.float64)
        return float((squares if scope is None else squares[scope]).mean())

    return error


def _hausdorff_of_rows(reference: Reference) -> Measure:
    wanted = reference.graded(reference.probability)
    if wanted.ndim != 2:
        raise ValueError(f"'hausdorff_of_rows' is for images, not for volumes of {wanted.ndim} axes")
    return lambda probability, _: hausdorff_of_rows(reference.graded(probability), wanted)


def hausdorff_of_rows(output: FloatArray, segment: FloatArray) -> float:
    """What release 1.0.0 measured: the Hausdorff distance between the *rows* of the two arrays.

    Each row of an image of W columns is taken as one point in W-dimensional space, and nothing is
    thresholded. It is no distance between segments, but it grades small changes of the probabilities.
    2D only.
    """
    return float(max(directed_hausdorff(output, segment)[0], directed_hausdorff(segment, output)[0]))


SCORES: dict[str, Score] = {
    "hausdorff": Score("Hausdorff distance", "pixels", False, _hausdorff),
    "hausdorff95": Score(
        "95th percentile of the surface distances", "pixels", False, _of_surfaces(SurfaceTo.hausdorff95)
    ),
    "surface_distance": Score("average surface distance", "pixels", False, _of_surfaces(SurfaceTo.average)),
    "hausdorff_of_rows": Score("Hausdorff distance between rows", "", False, _hausdorff_of_rows),
    "mse": Score("mean squared error", "", False, _mean_squared_error),
    "dice": Score("Dice coefficient", "", True, _overlap(dice)),
    "iou": Score("intersection over union", "", True, _overlap(iou)),
    "probability": Score("mean probability", "", True, _mean_agreement, of_truth=False),
}
"""Every score by name; to add one, add an entry."""


def as_score(score: str | Distance | Score) -> Score:
    """A score by name, as it is, or from a function of (output, reference) that returns a distance.

    Raises:
        TypeError: None of these.
        ValueError: There is no score of that name.
    """
    if isinstance(score, Score):
        return score
    if isinstance(score, str):
        if score not in SCORES:
            raise ValueError(
                f"there is no score {score!r}; use one of {', '.join(map(repr, SCORES))}, or a function of "
                "(output, reference)"
            )
        return SCORES[score]
    if not callable(score):
        raise TypeError(f"score must be a name or a function of (output, reference), got {score!r}")
    distance = score

    def prepare(reference: Reference) -> Measure:
        wanted = reference.graded(reference.probability)
        return lambda probability, _: distance(reference.graded(probability).copy(), wanted.copy())

    return Score(getattr(score, "__name__", type(score).__name__), "", False, prepare)


def checked(measure: Measure) -> Measure:
    """A measure that raises a ValueError when a number is not finite."""

    def careful(probability: FloatArray, segment: BoolArray) -> float:
        value = measure(probability, segment)
        try:
            finite = math.isfinite(value)
        except (TypeError, ValueError):
            finite = False
        if not finite:
            raise ValueError(
                f"the distance between output and segment must be a finite number, got {value!r}; "
                "see that it returns one, also for an empty output"
            )
        return float(value)

    return careful
