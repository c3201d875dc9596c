"""Hausdorff Distance Masks: hide a circle, segment again, measure how far the segment moved.

A filled circle walks over the image. For each position the network segments the image with the circle
hidden, and the distance between that segment and the ground truth becomes the value of the position:

    value(r, c) = d(network(image with circle (r, c) hidden), segment)

From the author's thesis, https://github.com/andef4/thesis-doc/releases/download/release/thesis.pdf. It is
`Occlusion` with circles that start at the image's first pixel and a Hausdorff distance; its picture, the
circle map, has the largest on top. The thesis hides with black; `HDM` hides with the colour of the background
unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._types import AnyArray, FloatArray
from interpret_segmentation.data.inputs import as_copy, as_positive, as_spacing
from interpret_segmentation.inference.case import Case
from interpret_segmentation.methods.contestant import Contestant
from interpret_segmentation.methods.hdm.result import HDMResult, describe_circles, numbers_of
from interpret_segmentation.methods.one_by_one import STRONG, OneByOne, check_share
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.fills.named import BACKGROUND, BLACK, as_fill
from interpret_segmentation.perturb.fills.simple import Constant
from interpret_segmentation.perturb.masks.base import Masks
from interpret_segmentation.perturb.masks.windows import Windows, check_size, suitable_offset, suitable_size
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.scores.registry import SCORES, AnyScore, as_score, score_name

BOTH_WAYS, LOST = "hausdorff_levels", "directed_hausdorff_levels"
"""The default distances: for errors and ground truths, and from the network's own segment (docs/hdm.md)."""

DISTANCES = tuple(name for name, score in SCORES.items() if not score.higher_is_better)
"""The scores that HDM can measure, by name."""


@dataclass(frozen=True, eq=False, repr=False)
class HDM(OneByOne):
    """Hausdorff Distance Masks: the settings, for an image or a volume of any size.

    Args:
        circle_size: Diameter of the circle, in a volume of the ball, in pixels. None: a twenty-second of the
            geometric mean of the image's sides, a fifth in a volume; more where the offset would leave gaps.
        offset: Pixels from one circle to the next. None: as many as give about 1000 positions.
        normalize: Hide with black, which is -1 instead of 0.
        distance: How far the segment moved: ``"directed_hausdorff_levels"`` (how far the segment reaches
            beyond what is drawn then, over nine levels of probability, which sees what no threshold sees),
            ``"hausdorff_levels"`` (both ways), ``"directed_hausdorff"``, ``"hausdorff"`` (the documented
            one), ``"hausdorff_graded"``, ``"hausdorff95"``, ``"hausdorff_of_rows"``, ``"surface_distance"``,
            ``"mse"``, ``"mae"``; or a function, as for `HausdorffDistanceMasks`. None: the first where the
            network's own segment is explained, the second for errors and where there is a ground truth.
        channel: The channel that is hidden. None or -1: all of them.
        fill: What replaces hidden pixels, as for `Occlusion`. Default: ``"background"``, the median of each
            channel outside the segment.
        within: Region ``[*space]``, or ``"segment"``, that centres of circles are limited to.
        spare: Region ``[*space]`` that no circle hides, or ``"segment"`` for what the network draws.
        spacing: Distance between neighbouring pixels along each axis; distances are then in its unit.
        shape: ``"both"`` (the default: circles, and where they matter squares, too: a position gets the
            distance that both have in common, so that no hole's shape is taken for a cause), or
            ``"circle"``, as documented.
        share: What of a circle's distance a pixel of the map gets, as for `Occlusion`: ``"change"`` or
            ``"even"``. The circle map is of whole distances, either way.
        size: Another spelling of ``circle_size``.
        score: Another spelling of ``distance``.

    Raises:
        TypeError: Two spellings of one setting.
        ValueError: A setting out of its range.

    Example:
        >>> HDM(circle_size=25, offset=5)
        HDM(circle_size=25, offset=5)
        >>> HDM(size=25, score="mae") == HDM(circle_size=25, distance="mae")
        True
    """

    kind: ClassVar[str] = "hdm"
    title: ClassVar[str] = "HDM"
    result: ClassVar[type[Explanation]] = HDMResult
    spellings: ClassVar[Mapping[str, str]] = {"size": "circle_size", "score": "distance"}
    merge: ClassVar[str] = "mean"
    missing: ClassVar[Mapping[str, Any]] = {"fill": BLACK, "shape": "circle", "share": "even"}

    circle_size: int | None = None
    offset: int | None = None
    normalize: bool = False
    distance: AnyScore | None = None
    channel: int | None = None
    fill: Any = BACKGROUND
    within: AnyArray | str | None = None
    spare: AnyArray | str | None = None
    spacing: Sequence[float] | None = None
    shape: str = "both"
    share: str | None = None
    size: InitVar[int | None] = None
    score: InitVar[AnyScore | None] = None

    def __post_init__(self, size: int | None, score: AnyScore | None) -> None:
        for name, value, usual in (
            ("circle_size", size, None),
            ("distance", score, None),
        ):
            if value is not None:
                if getattr(self, name) != usual:
                    other = "size" if name == "circle_size" else "score"
                    raise TypeError(f"{other} and {name} are one setting; give it once")
                object.__setattr__(self, name, value)
        if self.shape not in ("both", "circle"):
            raise ValueError(f"shape must be 'both' or 'circle', got {self.shape!r}")
        check_share(self.share)
        for name in ("circle_size", "offset"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_positive(getattr(self, name), name))
        if self.distance is not None:
            as_distance(self.distance)
        object.__setattr__(self, "fill", as_fill(self.fill))
        if self.normalize and self.fill == BACKGROUND:
            object.__setattr__(self, "fill", BLACK)
        if self.normalize and self.fill != BLACK:
            raise ValueError("normalize says that black is -1; leave it out where the fill is another")
        if self.spacing is not None:
            object.__setattr__(self, "spacing", as_spacing(self.spacing))
        for name in ("within", "spare"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                object.__setattr__(self, name, as_copy(value, name))

    def resolve(self, case: Case) -> HDM:
        """Diameter, offset and distance, where they are left open."""
        self.check_sharing()
        circles = self.masks(case)
        both_ways = case.truth is not None or case.objective.is_error
        distance = self.distance or (BOTH_WAYS if both_ways else LOST)
        resolved = replace(self, circle_size=circles.size, offset=circles.offset, distance=distance)
        resolved.check_gaps(case)
        return resolved

    def masks(self, case: Case) -> Windows:
        """Circles that start at every multiple of the offset inside the image, as in release 1.0.0."""
        offset = self.offset or suitable_offset(case.space)
        size = self.circle_size or suitable_size(case.space, offset)
        check_size(size, case.space, "circle_size")
        return Windows(case.space, size, offset)

    def second_masks(self, case: Case) -> Masks | None:
        """The squares, where both shapes are asked."""
        circles = self.masks(case)
        # A circle is drawn into a box of one pixel more than its size.
        return None if self.shape == "circle" else replace(circles, shape="square", size=circles.size + 1)

    def shapes_in_words(self) -> tuple[str, str]:
        """Circles come first."""
        return "a round hole", "a square one"

    def check(self, explanation: Explanation) -> None:
        """The result is one of distances."""
        if not isinstance(explanation, HDMResult):
            raise ValueError(f"its result must be an HDMResult, got {type(explanation).__name__}")  # noqa: TRY004
        super().check(explanation)

    def masks_of(self, explanation: Explanation) -> Masks | None:
        """The circles; None for distances that are not of this image."""
        if not isinstance(explanation, HDMResult) or not explanation.fits:
            return None
        return explanation.circles

    def filled_with(self) -> Fill:
        """The fill; black is -1 where images are normalised."""
        return Constant(-1.0) if self.normalize else as_fill(self.fill)

    def compared_by(self) -> AnyScore:
        """The distance."""
        return BOTH_WAYS if self.distance is None else self.distance

    def measured(
        self, masks: Masks, numbers: NDArray[np.int64], baseline: float, values: FloatArray
    ) -> dict[str, Any]:
        """The distances as a matrix, one for each position; NaN where no circle was hidden."""
        (circles,) = masks.as_windows()
        distances = np.full(len(circles), np.nan)
        distances[numbers] = values
        return {
            "distances": distances.reshape(circles.grid),
            "baseline": baseline,
            "circle_size": circles.size,
            "offset": circles.offset,
        }

    def scores_of(self, explanation: Explanation) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The distances that were measured, and the numbers of their circles."""
        assert isinstance(explanation, HDMResult)
        distances = np.asarray(explanation.measured["distances"])
        known = ~np.isnan(distances.ravel())
        return distances.ravel()[known], numbers_of(explanation.circles, distances.shape)[known]

    def describe(self, explanation: Explanation) -> str:
        """What was hidden, where, and what was measured."""
        assert isinstance(explanation, HDMResult)
        fill = "black" if self.fill == BLACK else f"filled ({self.told_fill(explanation)})"
        told = describe_circles(explanation, fill, score_name(self.compared_by(), "distance"))
        shape, confirmed = ("circle", "square") if explanation.saliency.ndim == 2 else ("ball", "cube")
        again = (
            f" Where that was at least {STRONG:.0%} of the largest, it was asked again with a {confirmed}, "
            "and the position has what both have in common."
            if self.shape == "both"
            else ""
        )
        shared = self.told_share(f"{shape}s")
        return f"{told}{again} In the map {shared}.{self.told_gaps(explanation)}"

    @classmethod
    def contestants(
        cls,
        group: str,
        *,
        masks: int,  # noqa: ARG003
        offset: int,
    ) -> Sequence[Contestant]:
        """Circles of many sizes, fills and scores."""
        from interpret_segmentation.methods.hdm.contest import documented  # which is for few

        return documented(offset=offset) if group == "documented" else ()


def as_distance(distance: AnyScore) -> AnyScore:
    """A distance, checked: what is larger for what is more alike is none."""
    try:
        likeness = as_score(distance).higher_is_better
    except TypeError:
        raise TypeError(
            f"distance must be a name or a function of (output, segment), got {distance!r}"
        ) from None
    if likeness:
        raise ValueError(
            f"there is no distance {distance!r}; use {', '.join(map(repr, DISTANCES))} or a function of "
            "(output, segment)"
        )
    return distance
