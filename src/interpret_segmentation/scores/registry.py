"""Compares two segmentations: one number per image.

The reference stays the same while thousands of outputs are compared with it, so a `Score` comes in two
steps: ``prepare`` takes the reference and does what can be done once, and what it returns takes one output
at a time. ``SCORES`` lists them by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import torch
from scipy.spatial.distance import directed_hausdorff
from torch import Tensor

from interpret_segmentation._settings import Unrecorded
from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.scores.hausdorff_distance import HausdorffTo, hausdorff
from interpret_segmentation.scores.hausdorff_on_device import DeviceHausdorffTo
from interpret_segmentation.scores.soft_hausdorff import GradedHausdorffTo, LevelledHausdorffTo
from interpret_segmentation.scores.surface import SurfaceTo
from interpret_segmentation.targets.objective import Objective

__all__ = [
    "SCORES", "Distance", "HausdorffTo", "Measure", "MeasureBatch", "Reference", "Score", "as_score",
    "checked", "dice", "hausdorff", "hausdorff_of_rows", "iou",
]  # fmt: skip

Distance: TypeAlias = Callable[[FloatArray, FloatArray], float]
"""``(output, segment) -> number``, both float ``[*space]`` with values from 0 to 1."""


def dice(a: BoolArray, b: BoolArray) -> float:
    """Dice coefficient: twice the common pixels over the sum of both; 1 when both masks are empty.

    Example:
        >>> import numpy as np
        >>> dice(np.array([True, True, False]), np.array([False, True, False]))
        0.6666666666666666
    """
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * int(np.count_nonzero(a & b)) / int(total) if total else 1.0


def iou(a: BoolArray, b: BoolArray) -> float:
    """Intersection over union (Jaccard index); 1 when both masks are empty.

    Example:
        >>> import numpy as np
        >>> iou(np.array([True, True, False]), np.array([False, True, False]))
        0.5
    """
    union = np.count_nonzero(a | b)
    return int(np.count_nonzero(a & b)) / int(union) if union else 1.0


@dataclass(frozen=True, eq=False)
class Reference:
    """What the segmentations of masked images are compared with.

    Attributes:
        objective: What is explained.
        probability: The ground truth of 0 and 1 where there is one, or else the network's probability for
            the unmasked image, float32 ``[*space]``: what graded scores compare with.
        spacing: Distance between neighbouring pixels along each axis; None: 1 each.
    """

    objective: Objective
    probability: FloatArray
    spacing: tuple[float, ...] | None = None

    def graded(self, probability: FloatArray) -> FloatArray:
        """The part of a map of probabilities that counts."""
        objective = self.objective
        if objective.scope is not None:
            probability = np.where(objective.scope, probability, np.float32(0))
        if objective.granted is not None:
            probability = np.where(objective.granted, np.float32(1), probability)
        return probability


Measure: TypeAlias = Callable[[FloatArray, BoolArray], float]
"""``(probability, segment) -> number`` for one masked image, both ``[*space]``."""

MeasureBatch: TypeAlias = Callable[[Tensor], Tensor]
"""``segments -> numbers`` for some masked images, bool ``[b, *space]`` and ``[b]`` on one device."""


@dataclass(frozen=True)
class Score:
    """A way to compare two segmentations.

    Attributes:
        meaning: What it is called in a sentence.
        unit: ``"pixels"`` for distances, ``""`` for pure numbers.
        higher_is_better: True for likeness, False for distance.
        prepare: Fixes the reference, once.
        of_truth: It compares with the ground truth where there is one; False measures what the network says.
        of_value: It is the objective's own number, which says itself what it is called.
        looks_at: All that the number depends on: where a masked image's is that of the unmasked image, so
            is the number, and nothing is computed. None: unknown, so it always is.
        prepare_on: ``(reference, device)`` fixes the reference on a device, for measuring there.
    """

    meaning: str
    unit: str
    higher_is_better: bool
    prepare: Callable[[Reference], Measure]
    of_truth: bool = True
    of_value: bool = False
    looks_at: Literal["probability", "segment"] | None = None
    prepare_on: Callable[[Reference, torch.device], MeasureBatch] | None = None

    @property
    def is_distance(self) -> bool:
        """Whether it says how far segments are apart."""
        return not self.higher_is_better and self.unit == "pixels"

    def damage(self, baseline: float, values: FloatArray) -> FloatArray:
        """How much worse than the baseline the values are; negative where they are better."""
        return baseline - values if self.higher_is_better else values - baseline

    def support(self, baseline: float, values: FloatArray, objective: Objective) -> tuple[FloatArray, str]:
        """How much what was hidden made the network say what is explained, and what that means in words.

        That is the damage; but of an error it is the improvement, for what takes the error away made it.
        """
        damage = self.damage(baseline, values)
        grows = not self.higher_is_better
        if objective.is_error and self.of_truth:
            damage, grows = -damage, not grows
        meaning = objective.meaning if self.of_value else self.meaning
        return damage, f"{'growth' if grows else 'loss'} of {meaning} when hidden"


def _hausdorff(reference: Reference) -> Measure:
    objective = reference.objective
    to_reference = HausdorffTo(objective.reference, spacing=reference.spacing)
    return lambda _, segment: to_reference(objective.compared(segment))


def _hausdorff_on(reference: Reference, device: torch.device) -> MeasureBatch:
    objective = reference.objective
    scope, granted, fixed = (
        None if mask is None else torch.tensor(mask, device=device)
        for mask in (objective.scope, objective.granted, objective.reference)
    )
    assert fixed is not None
    to_reference = DeviceHausdorffTo(fixed, spacing=reference.spacing)

    def distances(segments: Tensor) -> Tensor:
        if scope is not None:
            segments = segments & scope
        return to_reference(segments if granted is None else segments | granted)

    return distances


def _of_surfaces(distance: Callable[[SurfaceTo, BoolArray], float]) -> Callable[[Reference], Measure]:
    def prepare(reference: Reference) -> Measure:
        objective = reference.objective
        to_reference = SurfaceTo(objective.reference, spacing=reference.spacing)
        return lambda _, segment: distance(to_reference, objective.compared(segment))

    return prepare


def _overlap(likeness: Callable[[BoolArray, BoolArray], float]) -> Callable[[Reference], Measure]:
    def prepare(reference: Reference) -> Measure:
        objective = reference.objective
        return lambda _, segment: likeness(objective.compared(segment), objective.reference)

    return prepare


def _value(reference: Reference) -> Measure:
    objective = reference.objective
    objective.check()
    return lambda probability, _: objective.value(torch.from_numpy(probability)[None]).item()


def _mean_error(of: Callable[[FloatArray], FloatArray]) -> Callable[[Reference], Measure]:
    """The mean over the pixels that count of a function of the difference."""

    def prepare(reference: Reference) -> Measure:
        scope, granted = reference.objective.scope, reference.objective.granted
        inside = np.ones(reference.probability.shape, dtype=bool) if scope is None else scope
        size = np.count_nonzero(inside)
        differing = inside if granted is None else inside & ~granted  # all others have one and the same value
        where = slice(None) if differing.all() else np.flatnonzero(differing)
        wanted = reference.probability.ravel()[where]

        def error(probability: FloatArray, _: BoolArray) -> float:
            difference = np.subtract(probability.ravel()[where], wanted, dtype=np.float64)
            return float(of(difference).sum() / size)

        return error

    return prepare


def _directed(reference: Reference) -> Measure:
    objective = reference.objective
    to_reference = HausdorffTo(objective.reference, spacing=reference.spacing)
    return lambda _, segment: to_reference.beyond(objective.compared(segment))


def _of_maps(
    distance: Callable[..., GradedHausdorffTo | LevelledHausdorffTo],
) -> Callable[[Reference], Measure]:
    def prepare(reference: Reference) -> Measure:
        to_reference = distance(
            reference.graded(reference.probability),
            spacing=reference.spacing,
            threshold=reference.objective.threshold,
        )
        return lambda probability, _: to_reference(reference.graded(probability))

    return prepare


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
    "hausdorff": Score(
        "Hausdorff distance", "pixels", False, _hausdorff, looks_at="segment", prepare_on=_hausdorff_on
    ),
    "hausdorff95": Score(
        "95th percentile of the surface distances", "pixels", False, _of_surfaces(SurfaceTo.hausdorff95),
        looks_at="segment",
    ),
    "surface_distance": Score(
        "average surface distance", "pixels", False, _of_surfaces(SurfaceTo.average), looks_at="segment"
    ),
    "hausdorff_of_rows": Score(
        "Hausdorff distance between rows", "", False, _hausdorff_of_rows, looks_at="probability"
    ),
    "hausdorff_graded": Score(
        "graded Hausdorff distance", "square pixels", False, _of_maps(GradedHausdorffTo),
        looks_at="probability",
    ),
    "hausdorff_levels": Score(
        "Hausdorff distance over levels", "pixels", False, _of_maps(LevelledHausdorffTo),
        looks_at="probability",
    ),
    "directed_hausdorff": Score(
        "directed Hausdorff distance", "pixels", False, _directed, looks_at="segment"
    ),
    "directed_hausdorff_levels": Score(
        "directed Hausdorff distance over levels", "pixels", False,
        _of_maps(partial(LevelledHausdorffTo, directed=True)), looks_at="probability",
    ),
    "mse": Score("mean squared error", "", False, _mean_error(np.square), looks_at="probability"),
    "mae": Score("mean absolute error", "", False, _mean_error(np.abs), looks_at="probability"),
    "dice": Score("Dice coefficient", "", True, _overlap(dice), looks_at="segment"),
    "iou": Score("intersection over union", "", True, _overlap(iou), looks_at="segment"),
    "probability": Score(
        "mean probability", "", True, _value, of_truth=False, of_value=True, looks_at="probability"
    ),
}  # fmt: skip
"""Every score by name; to add one, add an entry."""


AnyScore: TypeAlias = str | Distance | Score | Unrecorded
"""What `as_score` understands; of a function from a file there is only the name."""


def score_name(score: AnyScore, otherwise: str) -> str:
    """What a score is called in a sentence, where it has a name of its own."""
    return as_score(score).meaning if isinstance(score, str) else otherwise


def as_score(score: AnyScore) -> Score:
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
    if isinstance(score, Unrecorded):
        return _lost(score)
    if not callable(score):
        raise TypeError(f"score must be a name or a function of (output, reference), got {score!r}")
    distance = score

    def prepare(reference: Reference) -> Measure:
        wanted = reference.graded(reference.probability)
        return lambda probability, _: distance(reference.graded(probability).copy(), wanted.copy())

    return Score(getattr(score, "__name__", type(score).__name__), "", False, prepare)


def _lost(score: Unrecorded) -> Score:
    """Stands for a function that a file could not hold: it has a name, but cannot measure."""

    def prepare(reference: Reference) -> Measure:  # noqa: ARG001
        raise TypeError(f"the score is {score!r}: files hold no functions; give it again, as `score`")

    return Score(score.name.rpartition(".")[2], "", False, prepare)


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
