"""Stability: is it the same map under a little noise in the image, and under another seed?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from interpret_segmentation._types import AnyArray, FloatArray
from interpret_segmentation.data.inputs import as_positive, as_seed
from interpret_segmentation.evaluate.similarity import Agreement, agreement
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.scores.registry import dice


@dataclass(frozen=True)
class Repetition:
    """One more run of an explanation, something about it changed.

    Attributes:
        changed: ``"noise"`` in the image, or the ``"seed"`` of the method.
        seed: Of the noise, or that the method was given.
        agreement: Of the new map with the original.
        segment_dice: Dice coefficient of the segments that the network draws now and drew before, 0 to 1.
            Where it is low, the network has changed its answer, and the map may have changed for that reason.
            NaN where the explanation does not know its segment.
        forwards: What it cost.
    """

    changed: str
    seed: int
    agreement: Agreement
    segment_dice: float
    forwards: int


@dataclass(frozen=True)
class Stability:
    """How much of a map stays, under noise and under other seeds.

    Attributes:
        repetitions: All runs.
        level: The noise: its standard deviation as a share of the range of each channel.
    """

    repetitions: tuple[Repetition, ...]
    level: float

    @property
    def noise(self) -> Agreement:
        """The mean over the noisy images; 1 is stable."""
        return _mean([one.agreement for one in self.repetitions if one.changed == "noise"])

    @property
    def seeds(self) -> Agreement:
        """The mean over the other seeds; NaN for a method without a seed."""
        return _mean([one.agreement for one in self.repetitions if one.changed == "seed"])

    @property
    def forwards(self) -> int:
        """What all runs cost together."""
        return sum(one.forwards for one in self.repetitions)

    def rows(self) -> list[dict[str, Any]]:
        """One flat row for each run, for a table."""
        return [
            {"changed": one.changed, "seed": one.seed, **one.agreement.as_dict(),
             "segment_dice": one.segment_dice, "forwards": one.forwards}
            for one in self.repetitions
        ]  # fmt: skip


def stability(
    model: Model | SegmentationModel,
    explanation: Explanation,
    *,
    noise: float = 0.05,
    times: int = 5,
    seed: int = 0,
    fraction: float = 0.1,
    within: AnyArray | None = None,
    progress: bool = True,
    **changes: Any,
) -> Stability:
    """Explain the image again with a little noise in it, and, where the method has a seed, under other seeds.

    Every number is an `Agreement` with the original map: up to 1, and **higher** is better, as long as the
    network itself stays with its segment (``segment_dice``). Noise of 0 gives 1. It costs ``times`` times the
    forwards of the explanation, twice that for a method with a seed; more where the explanation left out
    masks that change nothing, black on black, as under noise there are none.

    Args:
        model: The network that was explained.
        explanation: Has the image and the settings that are used again.
        noise: Standard deviation of the Gaussian noise, as a share of the range of values of each channel.
            Nothing is clipped.
        times: How many noisy images, and how many other seeds.
        seed: Of the noise; the method gets the next numbers from here on.
        fraction: Of the pixels, which are compared as the highest; see `top_overlap`.
        within: The only pixels at which maps are compared, ``[*space]``; see `agreement`. None: all.
        progress: Show a progress bar.
        **changes: Arguments of `explain` that shall be different, as for `Explanation.repeat`; functions
            that a file could not hold.

    Raises:
        ValueError: An argument out of its range, or an explanation that cannot be repeated.

    References:
        Input noise: Alvarez-Melis and Jaakkola, "On the robustness of interpretability methods", 2018,
        https://arxiv.org/abs/1806.08049, here by the mean over random noise instead of the worst case.

    Example:
        >>> import torch
        >>> from interpret_segmentation import explain
        >>> image = torch.zeros(20, 30)
        >>> image[5:12, 8:20] = 1
        >>> brightness = lambda batch: batch.clamp(0, 1)  # a network that segments what is bright
        >>> explanation = explain(brightness, image, "rise", N=60, s=4, seed=1, progress=False)
        >>> judged = stability(brightness, explanation, times=2, progress=False)
        >>> judged.noise.spearman > judged.seeds.spearman, judged.forwards
        (True, 244)
    """
    check_repeatable(explanation)
    image = explanation.image
    assert image is not None
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise must be a share of the image's range, 0 or more; got {noise!r}")
    start = as_seed(seed)
    if start is None:
        raise ValueError("seed must be a whole number, so that the noise can be drawn again; got None")
    count = as_positive(times, "times")
    runs = [("noise", start + number) for number in range(count)]
    if explanation.seed is not None and explanation.settings.get("masks") is None and "method" not in changes:
        others = [number for number in range(start, start + count + 1) if number != explanation.seed]
        runs += [("seed", number) for number in others[:count]]

    repetitions = []
    for changed, number in tqdm(runs, desc="Stability", unit="map", disable=not progress):
        if changed == "noise":
            seen, settings = noisy(image, noise, number), changes
        else:
            seen, settings = image, {**changes, "seed": number}
        again = explanation.repeat(model, seen[None], progress=False, **settings)
        repetitions.append(
            Repetition(
                changed,
                number,
                agreement(explanation, again, fraction=fraction, within=within),
                _overlap(explanation, again),
                int(again.run["forwards"]),
            )
        )
    return Stability(tuple(repetitions), float(noise))


def noisy(image: FloatArray, level: float, seed: int) -> FloatArray:
    """The image with Gaussian noise, its standard deviation a share of the range of each channel.

    Args:
        image: ``[C, *space]``.
        level: The share.
        seed: The same seed, the same noise.
    """
    ranges = np.ptp(image.reshape(len(image), -1), axis=1).reshape(-1, *(1,) * (image.ndim - 1))
    drawn = np.random.default_rng(seed).standard_normal(image.shape)
    noised: FloatArray = (image + level * ranges * drawn).astype(image.dtype)
    return noised


def check_repeatable(explanation: Explanation) -> None:
    """Raise an error unless an explanation knows how it was made.

    Raises:
        TypeError: A plain map.
        ValueError: No image, or no settings.
    """
    if not isinstance(explanation, Explanation):
        raise TypeError(
            f"this needs an Explanation, whose settings say how to make the map again; got "
            f"{type(explanation).__name__}. Maps made elsewhere can be compared with agreement(a, b)"
        )
    for part, there in (
        ("image", explanation.image is not None),
        ("settings", explanation.recipe is not None),
    ):
        if not there:
            raise ValueError(f"this explanation was built without {part}, so it cannot be repeated")


def _overlap(one: Explanation, other: Explanation) -> float:
    if one.segment is None or other.segment is None:
        return math.nan
    return dice(one.segment, other.segment)


def _mean(agreements: Sequence[Agreement]) -> Agreement:
    if not agreements:
        return Agreement(math.nan, math.nan, math.nan)
    rows = np.array([list(one.as_dict().values()) for one in agreements])
    return Agreement(*rows.mean(axis=0).tolist())
