"""Necessity and sufficiency: can the segment do without a region, and is the region enough?"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.evaluate.faithfulness import measure_spans, unmasked
from interpret_segmentation.evaluate.order import ordered
from interpret_segmentation.evaluate.subject import Subject, subject_of
from interpret_segmentation.inference.case import Case
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.fills.named import FillLike, as_fill
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.targets.words import AnyTarget

NOTHING = 1e-6
"""A loss of probability up to this is none."""


def necessity(
    model: Model | SegmentationModel | Subject,
    explanation: Explanation | AnyArray | None = None,
    image: AnyArray | Image.Image | None = None,
    *,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
    region: AnyArray | str | None = None,
    fraction: float | None = None,
    fill: FillLike = "black",
    seed: int | None = 0,
    batch_size: int | None = None,
    progress: bool = True,
) -> float:
    """Can the segment do without a region? The share of what there is to lose that is lost with it.

        necessity = (p(image) - p(region hidden)) / (p(image) - p(all hidden))

    p is the mean probability of what the network said about the explained pixels. 0: nothing is lost; 1: as
    much as when everything is hidden. **Higher** is better for the region that a map points at. It is below 0
    where hiding the region helps, and above 1 where that harms more than hiding everything. Where hiding
    everything costs no probability at all the question has no answer: NaN, with a warning. It costs 3
    forwards.

    Necessary and sufficient parts of an explanation: Watson et al. 2021 (https://arxiv.org/abs/2103.14651),
    with the fill in place of their reference distribution.

    Args:
        model: As for `deletion`, like all that is not said here.
        explanation: An `Explanation`, or a map ``[*space]``.
        image: The explained image.
        target: What is explained.
        reference: The ground truth.
        region: Pixels ``[*space]`` of 0 and 1, or ``"segment"`` for what the network draws. None: the most
            important pixels of the map.
        fraction: How many of them, as a share of the image; at least one. None: a tenth.
        fill: What replaces hidden pixels.
        seed: Of the order of equally important pixels.
        batch_size: Images asked at once.
        progress: Show a progress bar.

    Raises:
        ValueError: Both a region and a fraction.

    Example:
        >>> image = np.array([[1, 0.8, 0.6, 0], [0, 0, 0, 0]])
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> round(necessity(brightness, image, image, fraction=0.25, progress=False), 3)  # (1 + 0.8) / 2.4
        0.75
    """
    subject = subject_of(model, explanation, image, target, reference, batch_size, progress)
    filled = as_fill(fill)
    top = _most_important(subject, region, fraction, seed)

    def run(case: Case) -> float:
        whole, nothing, rest = _of_region(case, top, region, (0, 1), filled, "Necessity")
        return _share(whole - rest, whole - nothing)

    return subject.run_case(run)


def sufficiency(
    model: Model | SegmentationModel | Subject,
    explanation: Explanation | AnyArray | None = None,
    image: AnyArray | Image.Image | None = None,
    *,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
    region: AnyArray | str | None = None,
    fraction: float | None = None,
    fill: FillLike = "black",
    seed: int | None = 0,
    batch_size: int | None = None,
    progress: bool = True,
) -> float:
    """Is a region enough for the segment? The share of what there is to lose that it keeps all by itself.

        sufficiency = (p(all but the region hidden) - p(all hidden)) / (p(image) - p(all hidden))

    0: the region alone is worth no more than nothing; 1: as much as the whole image. **Higher** is better for
    the region that a map points at. It is below 0 where the region speaks against the segment, and above 1
    where the rest does. NaN, with a warning, where hiding everything costs no probability at all. It costs 3
    forwards. p, the paper and the arguments are those of `necessity`.

    Example:
        >>> image = np.array([[1, 0.8, 0.6, 0], [0, 0, 0, 0]])
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> round(sufficiency(brightness, image, image, region=image == 0.6, progress=False), 3)  # 0.6 / 2.4
        0.25
    """
    subject = subject_of(model, explanation, image, target, reference, batch_size, progress)
    filled = as_fill(fill)
    top = _most_important(subject, region, fraction, seed)

    def run(case: Case) -> float:
        whole, nothing, kept = _of_region(case, top, region, (1, 2), filled, "Sufficiency")
        return _share(kept - nothing, whole - nothing)

    return subject.run_case(run)


def _most_important(
    subject: Subject, region: AnyArray | str | None, fraction: float | None, seed: int | None
) -> BoolArray:
    """The first pixels of a map, which are asked about when no region is given."""
    if region is not None and fraction is not None:
        raise ValueError("region= and fraction= both say which pixels are asked about; pass one of them")
    return ordered(subject.saliency, seed=seed).first(0.1 if fraction is None else fraction)


def _of_region(
    case: Case,
    top: BoolArray,
    region: AnyArray | str | None,
    span: tuple[int, int],
    fill: Fill,
    name: str,
) -> tuple[float, float, float]:
    """The mean probability for the image, with all of it hidden, and with a span hidden.

    The region, or else the top, has rank 0, and the rest of the image 1.
    """
    chosen = case.region(region, "region")
    rank = np.where(top if chosen is None else chosen, 0, 1)
    nothing, part = measure_spans(case, rank, [(0, 2), span], fill, name)[0]
    return float(unmasked(case)[0, 0]), float(nothing), float(part)


def _share(part: float, whole: float) -> float:
    if whole > NOTHING:
        return part / whole
    warn(
        "hiding everything costs the model no probability of what is explained, so that no part of the image "
        "is necessary or sufficient; choose another fill",
    )
    return math.nan
