"""Figures under their published names, since people compare by them.

They were made for classification, or judge a map by where it lies. On testnet, where the cause is known,
none of them ranks methods as the truth does; docs/which-method.md tells.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from interpret_segmentation._types import AnyArray
from interpret_segmentation.data.inputs import as_positive, as_seed
from interpret_segmentation.evaluate.regions import mass_accuracy
from interpret_segmentation.evaluate.subject import AnyMap, Subject, as_saliency, subject_of
from interpret_segmentation.inference.case import Case
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.fills.named import FillLike, as_fill
from interpret_segmentation.perturb.hiding import Function, Hiding
from interpret_segmentation.perturb.masks.coalitions import Coalitions
from interpret_segmentation.perturb.masks.parts import Parts
from interpret_segmentation.perturb.pieces import grid
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.targets.words import AnyTarget

CELLS = 64
"""Of the grid whose cells infidelity hides at random, about."""


def entropy(explanation: AnyMap) -> float:
    """How spread out a map is: the Shannon entropy of the shares of its absolute values, in nats.

    ``-sum of s log(s)`` with ``s = |map| / sum |map|``: from 0, for a single pixel, to log(pixels) for a
    constant map, and for one that is 0 everywhere. **Lower** is simpler, not truer; 0 forwards. Bhatt,
    Weller and Moura 2020 (https://arxiv.org/abs/2005.00631) call it complexity.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.

    Example:
        >>> entropy(np.array([[0.0, 7.0]])), round(entropy(np.array([[1.0, -1.0]])), 3)
        (0.0, 0.693)
    """
    values = np.abs(as_saliency(explanation)).ravel()
    total = (values / (values.max() or 1)).sum()
    shares = values / (values.max() or 1) / total if total else np.full(len(values), 1 / len(values))
    positive = shares[shares > 0]
    return float(max(0.0, -(positive * np.log(positive)).sum()))


def content_heatmap(explanation: AnyMap, segment: AnyArray) -> float:
    """Content heat map: the share of the positive map that lies on the object.

    Pillai et al. 2022 (https://arxiv.org/abs/2110.00527). It is the `mass_accuracy` of the segment, 0 to 1; 0
    forwards. Of a segmentation neither direction is better: a map that repeats the segment gets 1.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        segment: The object, ``[*space]`` of 0 and 1.

    Example:
        >>> content_heatmap(np.array([[3.0, 1.0]]), np.array([[1, 0]]))
        0.75
    """
    return mass_accuracy(explanation, segment)


def off_target_leakage(explanation: AnyMap, segment: AnyArray) -> float:
    """Off-target leakage: the share of the positive map that lies outside the target.

    After Sakib et al. 2026 (https://arxiv.org/abs/2603.22624), who want it low. It is ``1 -
    content_heatmap``, 0 to 1; 0 forwards. Where the cause lies outside the segment, a map that leaks
    nothing is wrong, so that neither direction is better.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        segment: The target, ``[*space]`` of 0 and 1.

    Example:
        >>> off_target_leakage(np.array([[3.0, 1.0]]), np.array([[1, 0]]))
        0.25
    """
    return 1 - mass_accuracy(explanation, segment)


def infidelity(
    model: Model | SegmentationModel | Subject,
    explanation: Explanation | AnyArray | None = None,
    image: AnyArray | Image.Image | None = None,
    *,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
    fill: FillLike = "black",
    samples: int = 100,
    seed: int | None = 0,
    batch_size: int | None = None,
    progress: bool = True,
) -> float:
    """Infidelity: how badly a map predicts what hiding does, by its sum over what is hidden.

    Yeh et al. 2019 (https://arxiv.org/abs/1901.09392), with cells of a grid of about 64 that are hidden at
    random, each with probability one half:

        mean over samples of (b x sum of map over the hidden pixels - (p(image) - p(masked)))^2

    p is the mean probability of the explained pixels, and b the factor with which the map fits best, as the
    paper
    scales: maps have units of their own. From 0, **lower** is better; it costs samples + 1 forwards.

    Args:
        model: As for `deletion`, like all that is not said here.
        explanation: An `Explanation`, or a map ``[*space]``.
        image: The explained image.
        target: What is explained.
        reference: The ground truth.
        fill: What replaces hidden pixels.
        samples: How many random masks.
        seed: Of the masks.
        batch_size: Images asked at once.
        progress: Show a progress bar.

    Example:
        >>> image = np.array([[1, 0.8, 0.6, 0], [0, 0, 0, 0]])
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> round(infidelity(brightness, image, image, progress=False), 6)  # what is hidden is what is lost
        0.0
    """
    subject = subject_of(model, explanation, image, target, reference, batch_size, progress)
    filled, samples = as_fill(fill), as_positive(samples, "samples")

    def run(case: Case) -> float:
        case.objective.check()
        parts: Parts = grid(case.space, CELLS)
        hides = np.random.default_rng(as_seed(seed)).random((samples, len(parts))) < 0.5
        hiding = Hiding(
            Coalitions(parts, hides),
            np.arange(samples),
            case.pixels,
            filled.for_segment(case.segment),
            slice(None),
        )
        whole = float(np.mean(np.where(case.objective.expected, case.probability, 1 - case.probability)[
            case.objective.pixels
        ], dtype=np.float64))  # fmt: skip
        lost = np.empty(samples)
        for answers in case.ask(Function(hiding, case.pixels), samples, "Infidelity"):
            held = case.objective.agreement(answers.probability).double().mean(dim=1).cpu().numpy()
            lost[answers.first : answers.first + len(held)] = whole - held
        scaled = subject.saliency / (np.abs(subject.saliency).max() or 1)
        sums = np.bincount(parts.labels.ravel(), scaled.ravel(), minlength=len(parts))
        promised = hides @ sums
        square = float(promised @ promised)
        best = float(promised @ lost) / square if square else 0.0
        return float(np.mean((best * promised - lost) ** 2))

    return subject.run_case(run)
