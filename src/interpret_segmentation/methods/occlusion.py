"""Occlusion: hide one part of the image after the other, and see how much worse the segmentation gets.

For every mask m and score s the damage is s of the masked image against that of the unmasked one,

    damage(m) = s(network(image)) - s(network(image with m hidden))

(the other way round for a distance, and for an error), and a pixel has the mean, or the strongest, damage of
the masks over it. Zeiler and Fergus 2014 (https://arxiv.org/abs/1311.2901, section 4.2) did this with grey
squares and the probability of a class; Hausdorff Distance Masks are the case of black circles and the
Hausdorff distance.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._settings import Setting
from interpret_segmentation._types import AnyArray, BoolArray, Sequence
from interpret_segmentation.data.inputs import as_copy, as_positive, as_spacing
from interpret_segmentation.inference.case import Case, answered
from interpret_segmentation.inference.measure import measured
from interpret_segmentation.models.network import Model, SegmentationModel
from interpret_segmentation.perturb.fills.simple import as_fill
from interpret_segmentation.perturb.hiding import Hiding
from interpret_segmentation.perturb.masks.parts import Superpixels, slic
from interpret_segmentation.perturb.masks.several import SeveralSizes, as_sizes
from interpret_segmentation.perturb.masks.windows import (
    MERGES,
    SHAPES,
    HidingMasks,
    Windows,
    merged,
    suitable_offset,
    suitable_size,
)
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.hidden_segments import Turned
from interpret_segmentation.scores.registry import Distance, Score, as_score
from interpret_segmentation.targets.targets import AnyTarget

__all__ = ["Occlusion"]


@dataclass(frozen=True, eq=False, repr=False)
class Occlusion(Setting):
    """Explain a segmentation by hiding part after part.

    Args:
        shape: ``"circle"`` (a ball in a volume), ``"square"`` (a cube) or ``"superpixels"`` (SLIC,
            https://doi.org/10.1109/TPAMI.2012.120); or an array ``[*space]`` of whole numbers, each number
            one part to hide, negative ones never.
        size: Diameter or side of a window in pixels. None: a sixteenth of the geometric mean of the
            image's sides, a fifth in a volume. Several, ``(15, 25, 40)``: windows of every size, merged size
            by size; a pixel gets the mean over the sizes.
        offset: Pixels from one window to the next. None: as many as give about 1000 positions.
        count: Number of superpixels, about.
        fill: What replaces hidden pixels: ``"black"`` (0), ``"white"``, ``"mean"`` (of the image),
            ``"local_mean"`` (of what the mask hides), ``"noise"``, ``"blur"``, ``"inpaint"``,
            ``"noisy_linear"``, a number or one for each channel, another image, or a function of (image,
            hidden).
        score: How the segmentations are compared: ``"hausdorff"``, ``"hausdorff95"``, ``"surface_distance"``,
            ``"dice"``, ``"iou"``, ``"probability"`` (mean over the explained pixels), ``"mse"``, ``"mae"``
            (the default), or, graded, so that they see what no threshold sees, ``"hausdorff_graded"`` and
            ``"hausdorff_levels"``; or a function of (output, reference), two float arrays ``[*space]``, that
            returns a distance.
        merge: What a pixel gets of the masks that hide it: the ``"mean"``, or for ``"max"`` the value
            furthest from 0.
        channel: The channel that is hidden. None: all of them.
        within: Region ``[*space]``, or ``"segment"``, that masks are limited to: windows with their centre in
            it, parts with at least half of their pixels in it.
        spare: Region ``[*space]`` that no mask hides, or ``"segment"`` for what the network draws: what does
            the context contribute?
        spacing: Distance between neighbouring pixels along each axis; distances are then in its unit.

    Raises:
        ValueError: A setting out of its range.

    Example:
        >>> image = torch.zeros(30, 40)
        >>> image[10:20, 10:20] = 1
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> explanation = Occlusion(size=8, offset=5, score="dice").explain(brightness, image, progress=False)
        >>> explanation.saliency.shape, explanation.meaning
        ((30, 40), 'loss of Dice coefficient when hidden')
    """

    kind: ClassVar[str] = "occlusion"

    shape: str | AnyArray = "circle"
    size: int | Sequence[int] | None = None
    offset: int | None = None
    count: int = 200
    fill: Any = "black"
    score: str | Distance | Score = "mae"
    merge: str = "mean"
    channel: int | None = None
    within: AnyArray | str | None = None
    spare: AnyArray | str | None = None
    spacing: Sequence[float] | None = None

    def __post_init__(self) -> None:
        shape: object = self.shape
        if not isinstance(shape, str | np.ndarray | Tensor) or (
            isinstance(shape, str) and shape not in (*SHAPES, "superpixels")
        ):
            raise ValueError(
                f"shape must be {', '.join(map(repr, SHAPES))}, 'superpixels' or an array of part numbers, "
                f"got {self.shape!r}"
            )
        if isinstance(self.size, list | tuple | np.ndarray):
            object.__setattr__(self, "size", as_sizes(self.size))
        for name in ("size", "offset", "count"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, tuple):
                object.__setattr__(self, name, as_positive(value, name))
        if self.merge not in MERGES:
            raise ValueError(f"merge must be 'mean' or 'max', got {self.merge!r}")
        as_score(self.score)
        object.__setattr__(self, "fill", as_fill(self.fill))
        if self.spacing is not None:
            object.__setattr__(self, "spacing", as_spacing(self.spacing))
        for name in ("shape", "within", "spare"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                object.__setattr__(self, name, as_copy(value, name))

    def explain(
        self,
        model: Model | SegmentationModel,
        image: AnyArray,
        target: AnyTarget = None,
        reference: AnyArray | None = None,
        *,
        dims: int | None = None,
        batch_size: int | None = None,
        progress: bool = True,
    ) -> Explanation:
        """Explain one image.

        Args:
            model: The network; see `SegmentationModel` for what it may be.
            image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``; tensor, NumPy array or PIL image.
            target: What is explained; see `as_target`.
            reference: The ground truth, ``[*space]`` of 0 and 1 or labels. None compares with the
                network's own output for the unmasked image.
            dims: Axes of space: 3 for volumes. None: as many as the model's convolutions have.
            batch_size: Images asked at once. None: what suits the device and the image's size.
            progress: Show a progress bar.
        """
        return answered(
            self.run, model, image, target, reference, dims=dims, batch_size=batch_size, progress=progress
        )

    def run(self, case: Case) -> Explanation:
        """Hide, ask, compare and merge, for a case that is open."""
        spare = case.region(self.spare, "spare")
        masks, made = self._masks(case)
        numbers = self._numbers(masks, case, spare)
        score = as_score(self.score)
        spacing = None if self.spacing is None else tuple(self.spacing)
        if spacing is not None and len(spacing) != len(case.space):
            raise ValueError(
                f"spacing must be one positive number for each of the {len(case.space)} axes, got {spacing}"
            )
        turned = Turned(case.segment, len(numbers))
        baseline, values = measured(
            case,
            Hiding(masks, numbers, case.pixels, self.fill, case.channels(self.channel), spare),
            len(numbers),
            score,
            case.reference(spacing),
            name="Occlusion",
            turned=turned,
        )
        support, meaning = score.support(baseline, values, case.question)
        painted = merged(masks, support, numbers, self.merge)
        if spare is not None:
            painted[spare] = np.nan
        reached = ~np.isnan(painted)
        return Explanation(
            saliency=np.where(reached, painted, 0),
            meaning=meaning,
            unit=score.unit if spacing is None else score.unit.replace("pixels", "unit of the spacing"),
            reached=reached,
            measured={"baseline": baseline, "scores": values, "numbers": numbers, **made, **turned.arrays()},
            **case.record("occlusion", self._settings(masks)),
        )

    def _settings(self, masks: HidingMasks) -> dict[str, Any]:
        settings = {part.name: getattr(self, part.name) for part in fields(self)}
        if isinstance(masks, Windows):
            settings |= {"size": masks.size, "offset": masks.offset}
        elif isinstance(masks, SeveralSizes):
            settings |= {"offset": masks.windows[0].offset}
        return settings

    def _masks(self, case: Case) -> tuple[HidingMasks, dict[str, NDArray[Any]]]:
        """The masks, and the arrays that describe them."""
        if not isinstance(self.shape, str):
            parts = Superpixels(np.asarray(self.shape))
        elif self.shape == "superpixels":
            parts = slic(case.pixels, self.count)
        else:
            sizes = self.size if isinstance(self.size, tuple) else (self.size or suitable_size(case.space),)
            if max(sizes) > max(4 * max(case.space), 100):
                raise ValueError(
                    f"size is {max(sizes)} pixels, but the image's longest side {max(case.space)}; choose a "
                    "smaller one"
                )
            offset = self.offset or suitable_offset(case.space)
            windows = tuple(Windows.covering(case.space, size, offset, self.shape) for size in sizes)
            return (windows[0] if len(windows) == 1 else SeveralSizes(windows)), {}
        if parts.space != case.space:
            raise ValueError(
                f"shape has the parts of an image of {parts.space}, but this one is {case.space}"
            )
        return parts, {"parts": parts.labels}

    def _numbers(self, masks: HidingMasks, case: Case, spare: BoolArray | None) -> NDArray[np.int64]:
        """The masks that are used: within the region, and not entirely spared."""
        chosen = np.ones(len(masks), dtype=bool)
        within = case.region(self.within, "within")
        if within is not None:
            chosen &= masks.inside(within)
        numbers = np.flatnonzero(chosen)
        if spare is not None:
            open_pixels = torch.from_numpy(~spare)
            hides = [
                bool((masks.hidden(numbers[i : i + 1]) & open_pixels).any()) for i in range(len(numbers))
            ]
            numbers = numbers[np.array(hides, dtype=bool)]
        if not len(numbers):
            raise ValueError("there is nothing to hide: no mask lies within= and outside spare=")
        return numbers
