"""Faithfulness: does the segment go with what the map calls important, and come back with it?

Pixels are hidden, or shown, in the order of the map, and the network is asked again. Pixels of equal
importance go in a random order, which a seed repeats. Negative values of a map are the least important: they
speak against the segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.integrate import trapezoid
from torch import Tensor

from interpret_segmentation._types import AnyArray
from interpret_segmentation.evaluate.order import ordered
from interpret_segmentation.evaluate.subject import Subject, subject_of
from interpret_segmentation.inference.case import Case
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.fills.base import Fill, StaticFill
from interpret_segmentation.perturb.fills.named import FillLike, as_fill
from interpret_segmentation.perturb.fills.ranges import check_black
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.scores.registry import dice, iou
from interpret_segmentation.targets.words import AnyTarget

MEASURES = ("probability", "dice", "iou")

PERCENTAGES = (10, 20, 30, 40, 50, 60, 70, 80, 90)


@dataclass(frozen=True, eq=False)
class Curve:
    """What remains of a segment as ever more pixels are hidden or shown.

    Attributes:
        fractions: Share of the pixels that are hidden (deletion, ROAD) or shown (insertion), ascending
            ``[n]``; of those that can be, where regions leave some out.
        probability: Mean probability of what the network said about the explained pixels, 0 to 1 ``[n]``.
        dice: Dice coefficient with the segment that the network draws in the unmasked image, where the target
            compares segments, 0 to 1 ``[n]``.
        iou: Intersection over union with the same, 0 to 1 ``[n]``.
    """

    fractions: NDArray[np.float64]
    probability: NDArray[np.float64]
    dice: NDArray[np.float64]
    iou: NDArray[np.float64]

    def area(self, measure: str = "probability") -> float:
        """The area under the curve, by the trapezoid rule over the fractions.

        From 0 to 1 for a curve that runs from 0 to 1. Of deletion lower is better, of insertion higher.

        Args:
            measure: ``"probability"``, ``"dice"`` or ``"iou"``.
        """
        if measure not in MEASURES:
            raise ValueError(f"measure must be one of {', '.join(map(repr, MEASURES))}, got {measure!r}")
        return float(trapezoid(getattr(self, measure), self.fractions))


@dataclass(frozen=True, eq=False)
class Road:
    """What remains of a segment when the most, and when the least, important pixels are taken away.

    Attributes:
        most: Most important first.
        least: Least important first.
    """

    most: Curve
    least: Curve

    @property
    def score(self) -> float:
        """Mean of probability(least first) - probability(most first), -1 to 1; higher is better."""
        return float((self.least.probability - self.most.probability).mean())


def deletion(
    model: Model | SegmentationModel | Subject,
    explanation: Explanation | AnyArray | None = None,
    image: AnyArray | Image.Image | None = None,
    *,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
    fill: FillLike = "black",
    steps: int = 50,
    regions: AnyArray | None = None,
    seed: int | None = 0,
    batch_size: int | None = None,
    progress: bool = True,
) -> Curve:
    """Hide the most important pixels first: how soon is the segment lost?

    Petsiuk, Das, Saenko 2018 (https://arxiv.org/abs/1806.07421), here for segmentation. The area under the
    curve is 0 to 1, and **lower** is better. It costs 1 + steps forwards.

    Args:
        model: The network; see `SegmentationModel` for what it may be. Or a `Subject`, which stands for the
            network, the explanation, the image, the target and the reference.
        explanation: An `Explanation`, or a map ``[*space]``; see `as_subject`, also for the next three.
        image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``.
        target: What is explained.
        reference: The ground truth ``[*space]``.
        fill: What replaces hidden pixels: ``"black"``, ``"blur"``, ``"noise"``, ...; see `as_fill`.
        steps: In how many steps everything is hidden; each hides about as many pixels, or regions. No more
            than there are.
        regions: Whole numbers ``[*space]``, each one region that is hidden at once, by its mean importance:
            superpixels, cells of a grid, organs; negative ones never. None: every pixel by itself.
        seed: Of the order of equally important pixels.
        batch_size: Images asked at once. None: what suits the device and the image's size.
        progress: Show a progress bar.

    Raises:
        ValueError: An argument that does not fit, or no pixel is explained.

    Example:
        >>> image = np.array([[1, 1, 0.6, 0], [0, 0, 0, 0]])
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> curve = deletion(brightness, image, image, steps=4, progress=False)
        >>> curve.fractions, curve.dice.round(decimals=2)
        (array([0.  , 0.25, 0.5 , 0.75, 1.  ]), array([1. , 0.5, 0. , 0. , 0. ]))
    """
    subject = subject_of(model, explanation, image, target, reference, batch_size, progress)
    filled = as_fill(fill)
    order = ordered(subject.saliency, regions, seed=seed)
    counts = order.counts(steps)

    def run(case: Case) -> Curve:
        spans = [(0, count) for count in counts[1:]]
        return _joined(
            order.shares(counts), unmasked(case), measure_spans(case, order.rank, spans, filled, "Deletion")
        )

    return subject.run_case(run)


def insertion(
    model: Model | SegmentationModel | Subject,
    explanation: Explanation | AnyArray | None = None,
    image: AnyArray | Image.Image | None = None,
    *,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
    fill: FillLike = "black",
    steps: int = 50,
    regions: AnyArray | None = None,
    seed: int | None = 0,
    batch_size: int | None = None,
    progress: bool = True,
) -> Curve:
    """Hide everything and show the most important pixels first: how soon is the segment back?

    Petsiuk, Das, Saenko 2018 (https://arxiv.org/abs/1806.07421), here for segmentation. The area under the
    curve is 0 to 1, and **higher** is better. It costs 1 + steps forwards. The paper shows pixels on a
    blurred image: ``fill="blur"``.

    The arguments are those of `deletion`; pixels of negative regions are always seen.

    Example:
        >>> image = np.array([[1, 1, 0.6, 0], [0, 0, 0, 0]])
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> curve = insertion(brightness, image, image, steps=4, progress=False)
        >>> curve.dice.round(decimals=2), curve.area("dice")
        (array([0. , 0.8, 1. , 1. , 1. ]), 0.825)
    """
    subject = subject_of(model, explanation, image, target, reference, batch_size, progress)
    filled = as_fill(fill)
    order = ordered(subject.saliency, regions, seed=seed)
    counts = order.counts(steps)

    def run(case: Case) -> Curve:
        spans = [(count, len(order)) for count in counts[:-1]]
        return _joined(
            order.shares(counts), measure_spans(case, order.rank, spans, filled, "Insertion"), unmasked(case)
        )

    return subject.run_case(run)


def road(
    model: Model | SegmentationModel | Subject,
    explanation: Explanation | AnyArray | None = None,
    image: AnyArray | Image.Image | None = None,
    *,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
    percentages: Sequence[float] = PERCENTAGES,
    fill: FillLike = "noisy_linear",
    seed: int | None = 0,
    batch_size: int | None = None,
    progress: bool = True,
) -> Road:
    """ROAD, remove and debias: what is taken away is continued from around it, so that no hole shows.

    Rong et al. 2022 (https://arxiv.org/abs/2202.00449): plain deletion shows the network images unlike any
    that it has learnt from, and the mask's shape gives away what it hides. Hidden pixels become noisy linear
    imputations (see `NoisyLinear`), once the most and once the least important ones first, and

        score = mean over the percentages of probability(least first) - probability(most first)

    The score is -1 to 1, about 0 for a random map, and **higher** is better. It costs 1 + 2 * percentages
    forwards. The paper measures accuracy over a data set; this is the probability for one image.

    Args:
        model: As for `deletion`, like all that is not said here.
        explanation: An `Explanation`, or a map ``[*space]``.
        image: The explained image.
        target: What is explained.
        reference: The ground truth.
        percentages: Of pixels taken away, ascending, above 0 and up to 100.
        fill: What replaces hidden pixels.
        seed: Of the order of equally important pixels; the noise has its own, in the fill.
        batch_size: Images asked at once.
        progress: Show a progress bar.

    Example:
        >>> image = np.zeros((6, 8))
        >>> image[2:4, 2:5] = 1
        >>> brightness = lambda batch: batch.clamp(0, 1)  # a network that segments what is bright
        >>> good, bad = (road(brightness, map, image, progress=False).score for map in (image, -image))
        >>> good > 0.5, bad < -0.5
        (True, True)
    """
    subject = subject_of(model, explanation, image, target, reference, batch_size, progress)
    filled = as_fill(fill)
    shares = _shares(percentages)
    order = ordered(subject.saliency, seed=seed)
    counts = np.rint(shares * len(order)).astype(np.int64)

    def run(case: Case) -> Road:
        spans = [(0, count) for count in counts] + [(len(order) - count, len(order)) for count in counts]
        measured = measure_spans(case, order.rank, spans, filled, "ROAD")
        most, least = measured[:, : len(counts)], measured[:, len(counts) :]
        return Road(_joined(order.shares(counts), most), _joined(order.shares(counts), least))

    return subject.run_case(run)


def _shares(percentages: Sequence[float]) -> NDArray[np.float64]:
    shares = np.asarray(percentages, dtype=np.float64) / 100
    if shares.ndim != 1 or not len(shares) or not ((shares > 0) & (shares <= 1)).all():
        raise ValueError(f"percentages must be numbers above 0 and up to 100, got {percentages!r}")
    if not (np.diff(shares) > 0).all():
        raise ValueError(f"percentages must be ascending, got {percentages!r}")
    return shares


def measure_spans(
    case: Case, rank: NDArray[np.int64], spans: Sequence[tuple[int, int]], fill: Fill, name: str
) -> NDArray[np.float64]:
    """Probability, Dice and IoU for images in which spans of an order are hidden, ``[3, spans]``.

    Args:
        case: The network and the image.
        rank: Of every pixel, ``[*space]``.
        spans: For each image, the first rank that is hidden, and the first beyond it that is not.
        fill: What hidden pixels become.
        name: What the progress bar calls the work.
    """
    case.objective.check()
    fill = fill.for_segment(case.segment)
    check_black(fill, case.pixels)
    image, ranks = case.pixels, torch.from_numpy(rank).to(case.pixels.device)
    picture = fill.picture(image) if isinstance(fill, StaticFill) else None

    def variations(first: int, last: int) -> Tensor:
        hidden = torch.stack([(ranks >= begin) & (ranks < end) for begin, end in spans[first:last]])
        values = fill.values(image, hidden) if picture is None else picture
        return torch.where(hidden[:, None], values, image)

    unmasked = case.objective.compared(case.segment)
    measured = np.empty((len(MEASURES), len(spans)))
    for answers in case.ask(variations, len(spans), name):
        place = slice(answers.first, answers.first + len(answers.probability))
        segments = [case.objective.compared(segment) for segment in answers.segment.cpu().numpy()]
        measured[0, place] = _agreement(case, answers.probability)
        measured[1, place] = [dice(segment, unmasked) for segment in segments]
        measured[2, place] = [iou(segment, unmasked) for segment in segments]
    return measured


def unmasked(case: Case) -> NDArray[np.float64]:
    """The same for the unmasked image, ``[3, 1]``; the case has its answer already."""
    return np.array([[_agreement(case, torch.from_numpy(case.probability)[None]).item()], [1], [1]])


def _agreement(case: Case, probability: Tensor) -> NDArray[np.float64]:
    """The mean over the explained pixels, in double precision so that the batch size does not matter."""
    mean: NDArray[np.float64] = case.objective.value(probability).cpu().numpy()
    return mean


def _joined(fractions: NDArray[np.float64], *measured: NDArray[np.float64]) -> Curve:
    return Curve(fractions, *np.concatenate(measured, axis=1))
