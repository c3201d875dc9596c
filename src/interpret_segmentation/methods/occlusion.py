"""Occlusion: hide one part of the image after the other, and see how much worse the segmentation gets.

Zeiler and Fergus 2014 (https://arxiv.org/abs/1311.2901, section 4.2) did this with grey squares and the
probability of a class; Hausdorff Distance Masks are the case of black circles and the Hausdorff distance. The
formula is that of `one_by_one`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from interpret_segmentation._types import AnyArray, Sequence
from interpret_segmentation.data.inputs import as_copy, as_positive, as_spacing
from interpret_segmentation.inference.case import Case
from interpret_segmentation.methods.base import Method
from interpret_segmentation.methods.one_by_one import OneByOne, check_share
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.fills.named import BACKGROUND, BLACK, as_fill
from interpret_segmentation.perturb.masks.base import MERGES, Masks
from interpret_segmentation.perturb.masks.parts import Parts, slic
from interpret_segmentation.perturb.masks.several import SeveralSizes, as_sizes
from interpret_segmentation.perturb.masks.windows import (
    SHAPES,
    Windows,
    check_size,
    suitable_offset,
    suitable_size,
)
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.sentences import compared_with
from interpret_segmentation.scores.registry import AnyScore, as_score, score_name
from interpret_segmentation.targets.objective import quantity_meaning
from interpret_segmentation.targets.targets import Target

__all__ = ["Occlusion"]


@dataclass(frozen=True, eq=False, repr=False)
class Occlusion(OneByOne):
    """Explain a segmentation by hiding part after part.

    Args:
        shape: ``"square"`` (the default; a cube in a volume), ``"circle"`` (a ball), ``"both"`` (squares, and
            where they matter circles, too: a position gets what both have in common, so that no hole's shape
            is taken for a cause), or ``"superpixels"`` (SLIC,
            https://doi.org/10.1109/TPAMI.2012.120); or an array ``[*space]`` of whole numbers, each number
            one part to hide, negative ones never.
        size: Diameter or side of a window in pixels. None: a twenty-second of the geometric mean of the
            image's sides, a fifth in a volume, more where the offset would leave gaps. Several,
            ``(15, 25, 40)``: windows of every size, merged size by size; a pixel gets the mean over sizes.
        offset: Pixels from one window to the next. None: as many as give about 1000 positions.
        count: Number of superpixels, about.
        fill: What replaces hidden pixels: ``"background"`` (the default: the median of each channel outside
            the segment), ``"black"`` (0), ``"white"``, ``"mean"`` (of the image), ``"local_mean"`` (of what
            the mask hides), ``"noise"``, ``"blur"``, ``"inpaint"``, ``"noisy_linear"``, a number or one for
            each channel, another image, or a function of (image, hidden).
        score: How the segmentations are compared: ``"hausdorff"``, ``"hausdorff95"``, ``"surface_distance"``,
            ``"dice"``, ``"iou"``, ``"probability"`` (mean over the explained pixels), ``"mse"``, ``"mae"``
            (the default), or, graded, so that they see what no threshold sees, ``"hausdorff_graded"`` and
            ``"hausdorff_levels"``; or a function of (output, reference), two float arrays ``[*space]``, that
            returns a distance.
        merge: What a pixel gets of the masks that hide it: the ``"mean"``, or for ``"max"`` the value
            furthest from 0.
        share: What of a window's number a pixel gets: ``"change"``, by how much hiding changes it, so that a
            pixel that is already like the fill gets 0 (the map is scaled so that the strongest pixel has no
            more than the strongest window); or ``"even"``, all of it. None: by change for windows, evenly
            for parts and for fills that look at the hole, such as ``"inpaint"``.
        channel: The channel that is hidden. None: all of them.
        within: Region ``[*space]``, or ``"segment"``, that masks are limited to: windows with their centre in
            it, parts with at least half of their pixels in it.
        spare: Region ``[*space]`` that no mask hides, or ``"segment"`` for what the network draws: what does
            the context contribute?
        spacing: Distance between neighbouring pixels along each axis; distances are then in its unit.

    Raises:
        ValueError: A setting out of its range.

    Example:
        >>> import torch
        >>> image = torch.zeros(30, 40)
        >>> image[10:20, 10:20] = 1
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> explanation = Occlusion(size=8, offset=5, score="dice").explain(brightness, image, progress=False)
        >>> explanation.saliency.shape, explanation.meaning
        ((30, 40), 'loss of Dice coefficient when hidden')
    """

    kind: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "occlusion"
    missing: ClassVar[Mapping[str, Any]] = {"fill": BLACK, "shape": "circle", "share": "even"}

    shape: str | AnyArray = "square"
    size: int | Sequence[int] | None = None
    offset: int | None = None
    count: int = 200
    fill: Any = BACKGROUND
    score: AnyScore = "mae"
    merge: str = "mean"
    channel: int | None = None
    within: AnyArray | str | None = None
    spare: AnyArray | str | None = None
    spacing: Sequence[float] | None = None
    share: str | None = None

    def __post_init__(self) -> None:
        shape: object = self.shape
        if not isinstance(shape, str | np.ndarray | Tensor) or (
            isinstance(shape, str) and shape not in (*SHAPES, "both", "superpixels")
        ):
            raise ValueError(
                f"shape must be {', '.join(map(repr, SHAPES))}, 'both', 'superpixels' or an array of part "
                f"numbers, got {self.shape!r}"
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
        check_share(self.share)
        object.__setattr__(self, "fill", as_fill(self.fill))
        if self.spacing is not None:
            object.__setattr__(self, "spacing", as_spacing(self.spacing))
        for name in ("shape", "within", "spare"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                object.__setattr__(self, name, as_copy(value, name))

    def resolve(self, case: Case) -> Occlusion:
        """Size and offset of windows, where they are left open."""
        self.check_sharing()
        if not self.has_windows:
            return self
        offset = self.offset or suitable_offset(case.space)
        size = self.size or suitable_size(case.space, offset, self._first_shape)
        resolved = replace(self, size=size, offset=offset)
        resolved.check_gaps(case)
        return resolved

    @property
    def has_windows(self) -> bool:
        """Whether windows are hidden, and not parts."""
        return isinstance(self.shape, str) and self.shape != "superpixels"

    @property
    def _first_shape(self) -> str:
        return "square" if self.shape == "both" else str(self.shape)

    def second_masks(self, case: Case) -> Masks | None:
        """The circles, where both shapes are asked."""
        if not isinstance(self.shape, str) or self.shape != "both":
            return None
        return self._windows(case.space, "circle")

    def shapes_in_words(self) -> tuple[str, str]:
        """Squares come first."""
        return "a square hole", "a round one"

    def masks(self, case: Case) -> Masks:
        """Windows that walk over the image, superpixels, or the parts that the user numbers."""
        if not isinstance(self.shape, str):
            parts = Parts(np.asarray(self.shape))
        elif self.shape == "superpixels":
            parts = slic(case.pixels, self.count)
        else:
            return self._windows(case.space)
        if parts.space != case.space:
            raise ValueError(
                f"shape has the parts of an image of {parts.space}, but this one is {case.space}"
            )
        return parts

    def masks_of(self, explanation: Explanation) -> Masks | None:
        """The windows or parts that were hidden."""
        labels = explanation.measured.get("parts")
        return self._windows(explanation.saliency.shape) if labels is None else Parts(labels)

    def cheaper(self, case: Case) -> Method | None:
        """Windows further apart, or fewer superpixels; of numbered parts there are as many as there are."""
        if isinstance(self.shape, str) and self.shape == "superpixels":
            return replace(self, count=max(1, self.count // 10))
        return super().cheaper(case) if isinstance(self.shape, str) else None

    def filled_with(self) -> Fill:
        """The fill."""
        return as_fill(self.fill)

    def compared_by(self) -> AnyScore:
        """The score."""
        return self.score

    def describe(self, explanation: Explanation) -> str:
        """What was hidden, with what, and what was compared."""
        count = len(explanation.measured["numbers"])
        shape = self.shape if isinstance(self.shape, str) else "part"
        shape = "square, where it matters also circle" if shape == "both" else shape
        given = self.size is not None and "parts" not in explanation.measured
        size = f" of {' and '.join(map(str, np.atleast_1d(self.size)))} pixels" if given else ""  # type: ignore[arg-type]
        score = score_name(self.score, "score")
        if as_score(self.score).of_value and isinstance(explanation.target, Target):
            score = quantity_meaning(explanation.target.quantity)
        return (
            f"{count} parts of the image ({shape}{size}) were hidden one after the other, with the fill "
            f"{self.told_fill(explanation)}. Each time the network segmented the image anew, and the {score} "
            f"against {compared_with(explanation)} was taken; {self.told_share('parts')}."
            f"{self.told_gaps(explanation)}"
        )

    def _windows(self, space: tuple[int, ...], shape: str | None = None) -> Masks:
        offset, shape = self.offset or suitable_offset(space), shape or self._first_shape
        usual = suitable_size(space, offset, self._first_shape)
        sizes = self.size if isinstance(self.size, tuple) else (self.size or usual,)
        check_size(max(sizes), space)
        if self.shape == "both" and shape == "circle":  # which is drawn into a box of one pixel more
            sizes = tuple(max(1, size - 1) for size in sizes)
        windows = tuple(Windows.covering(space, size, offset, shape) for size in sizes)
        return windows[0] if len(windows) == 1 else SeveralSizes(windows)
