"""Localisation: does the map lie where the cause is, and not merely on the segment?

A map of a segmentation that just repeats the segment looks good to every measure that asks whether importance
lies on the object. `localisation` therefore judges the segment, the context and a known cue apart. Nothing
here asks the network: every measure costs 0 forwards.

Ties never depend on the order of pixels, they count in part. What divides nothing by nothing, because a
region is empty say, is NaN.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import isotonic_regression
from scipy.stats import rankdata

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_positive, as_region
from interpret_segmentation.evaluate.subject import as_saliency
from interpret_segmentation.results.explanation import Explanation

MARGIN = 25
"""Pixels around a segment that a coarse map may spill over; also how far an edge is looked at."""

BINS = 256

FLAT = 1e-9
"""A fall of less than this share of the largest value is none."""


@dataclass(frozen=True)
class Localisation:
    """Where a map lies: on the segment, around it, on the cue, on the distractor, or elsewhere.

    The *context* is all that is neither segment, nor border of ``margin`` pixels around it, nor distractor.
    What is said of the cue is said of the context alone, so that a map that repeats the segment gets a cue
    AUC of 0.5 and as cue hit no more than the cue's share of the context. Parts of the cue in the border are
    no context. Numbers about a cue or a segment without any pixel are NaN.

    Attributes:
        segment_mass: Share of the positive relevance on the segment, 0 to 1. The five masses sum to 1. A
            pixel counts for the first of the five that it lies on.
        margin_mass: On the border around the segment.
        distractor_mass: On the distractor; lower is better.
        cue_mass: On the cue; higher is better.
        rest_mass: Elsewhere; lower is better.
        segment_hit: `pointing_game` of the segment.
        segment_rank: `rank_accuracy` of the segment.
        segment_iou_at_best: `iou_at_best` of the segment.
        segment_iou_at_otsu: `iou_at_otsu` of the segment.
        cue_auc: `roc_auc` of the cue's pixels against the others of the context.
        cue_hit: `pointing_game` of the cue in the context.
        cue_rank: `rank_accuracy` of the cue in the context.
        cue_iou_at_best: `iou_at_best` of the cue in the context.
        cue_iou_at_otsu: `iou_at_otsu` of the cue in the context.
    """

    segment_mass: float
    margin_mass: float
    distractor_mass: float
    cue_mass: float
    rest_mass: float
    segment_hit: float
    segment_rank: float
    segment_iou_at_best: float
    segment_iou_at_otsu: float
    cue_auc: float
    cue_hit: float
    cue_rank: float
    cue_iou_at_best: float
    cue_iou_at_otsu: float

    def as_dict(self) -> dict[str, float]:
        """Every number by its name."""
        return asdict(self)


def localisation(
    explanation: Explanation | AnyArray,
    *,
    segment: AnyArray,
    cue: AnyArray | None = None,
    distractor: AnyArray | None = None,
    margin: float = MARGIN,
) -> Localisation:
    """Judge a map on the segment, in its context, and on a known cue, each by itself.

    Ranges and directions are those of each number, see `Localisation`. It costs 0 forwards.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        segment: What was segmented, ``[*space]`` of 0 and 1.
        cue: What decides about it, ``[*space]``. None: not known.
        distractor: What looks as if it might, but does not, ``[*space]``. None: there is none.
        margin: Pixels around the segment that belong to neither segment nor context: a coarse map spills
            over the segment, and is not punished for it.

    Raises:
        TypeError: Not an array of numbers.
        ValueError: A region of another size than the map's, a map that is not finite, a negative margin.

    Example:
        >>> segment, cue = np.zeros((2, 40, 60), dtype=bool)
        >>> segment[10:20, 5:15] = cue[10:20, 45:55] = True
        >>> only_the_segment = localisation(segment, segment=segment, cue=cue)
        >>> only_the_segment.segment_mass, only_the_segment.cue_auc, round(only_the_segment.cue_hit, 3)
        (1.0, 0.5, 0.112)
        >>> both = localisation(segment + 0.5 * cue, segment=segment, cue=cue)
        >>> round(both.cue_mass, 3), both.cue_auc, both.cue_hit
        (0.333, 1.0, 1.0)
    """
    values = as_saliency(explanation)
    nowhere = np.zeros(values.shape, dtype=bool)
    on_segment = as_region(segment, values.shape, name="segment")
    on_cue = nowhere if cue is None else as_region(cue, values.shape, name="cue")
    on_distractor = nowhere if distractor is None else as_region(distractor, values.shape, name="distractor")
    near = _grown(on_segment, margin, "margin")
    context = ~near & ~on_distractor
    if on_cue.any() and not (on_cue & context).any():
        warn(
            f"the whole cue lies on the segment, within {margin:g} pixels of it or on the distractor, so "
            "that what is said of it is NaN" + ("; pass a smaller margin=" if margin else "")
        )
    return Localisation(
        segment_mass=mass_accuracy(values, on_segment),
        margin_mass=mass_accuracy(values, near & ~on_segment),
        distractor_mass=mass_accuracy(values, on_distractor & ~near),
        cue_mass=mass_accuracy(values, on_cue & context),
        rest_mass=mass_accuracy(values, context & ~on_cue),
        segment_hit=pointing_game(values, on_segment),
        segment_rank=rank_accuracy(values, on_segment),
        segment_iou_at_best=iou_at_best(values, on_segment),
        segment_iou_at_otsu=iou_at_otsu(values, on_segment),
        cue_auc=roc_auc(values, on_cue & context, context & ~on_cue),
        cue_hit=pointing_game(values, on_cue, within=context),
        cue_rank=rank_accuracy(values, on_cue, within=context),
        cue_iou_at_best=iou_at_best(values, on_cue, within=context),
        cue_iou_at_otsu=iou_at_otsu(values, on_cue, within=context),
    )


def mass_accuracy(
    explanation: Explanation | AnyArray, region: AnyArray, *, within: AnyArray | None = None
) -> float:
    """Relevance mass accuracy: the share of the positive relevance that lies in a region.

    ``sum of max(map, 0) over the region / sum of max(map, 0)``. From 0 to 1, **higher** is better, 0
    forwards. A map without any positive relevance says the same about every pixel, and gets what a constant
    one gets: the region's share of the pixels. An empty region has 0.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        region: ``[*space]`` of 0 and 1.
        within: The only pixels that count, ``[*space]``. None: all.

    References:
        Arras, Osman and Samek, "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural
        network explanations", 2022, https://arxiv.org/abs/2003.07258.

    Example:
        >>> mass_accuracy(np.array([[3.0, 1.0, -2.0]]), np.array([[0, 1, 1]]))
        0.25
    """
    values, inside = _counted(explanation, region, within)
    largest = values.max(initial=0)
    relevance = np.maximum(values / largest, 0) if largest > 0 else np.ones(len(values))
    return _share(relevance[inside].sum(), relevance.sum())


def rank_accuracy(
    explanation: Explanation | AnyArray, region: AnyArray, *, within: AnyArray | None = None
) -> float:
    """Relevance rank accuracy: of the K highest pixels the share inside a region of K pixels.

    From 0 to 1, **higher** is better, 0 forwards. Pixels that tie for the last places share them. A constant
    map has the region's share of the pixels; an empty region has no answer, NaN.

    The arguments and the paper are those of `mass_accuracy`.

    Example:
        >>> rank_accuracy(np.array([[3.0, 1.0, 1.0, 0.0]]), np.array([[1, 1, 0, 0]]))  # 1 and a half of 2
        0.75
    """
    values, inside = _counted(explanation, region, within)
    size = int(np.count_nonzero(inside))
    return _share(highest(values, size)[inside].sum(), size)


def pointing_game(
    explanation: Explanation | AnyArray,
    region: AnyArray,
    *,
    tolerance: float = 0,
    within: AnyArray | None = None,
) -> float:
    """Pointing game: does the strongest pixel lie in the region?

    0 or 1, **higher** is better, 0 forwards; of several equally strong pixels the share that does. A constant
    map has the region's share of the pixels; an empty region has no answer, NaN.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        region: ``[*space]`` of 0 and 1.
        tolerance: How many pixels beside the region still are a hit; the paper has 15.
        within: The only pixels that count, ``[*space]``. None: all.

    References:
        Zhang, Lin, Brandt, Shen and Sclaroff, "Top-down neural attention by excitation backprop", 2016,
        https://arxiv.org/abs/1608.00507.

    Example:
        >>> pointing_game(np.array([[0.0, 2.0, 1.0]]), np.array([[0, 0, 1]]))
        0.0
        >>> pointing_game(np.array([[0.0, 2.0, 1.0]]), np.array([[0, 0, 1]]), tolerance=1)
        1.0
    """
    values = as_saliency(explanation)
    exact = as_region(region, values.shape)
    if within is not None:
        exact = exact & as_region(within, values.shape, name="within")
    counted, inside = _counted(values, _grown(exact, tolerance, "tolerance"), within)
    if not exact.any():
        return math.nan
    strongest = counted == counted.max()
    return _share(int(np.count_nonzero(inside & strongest)), int(np.count_nonzero(strongest)))


def roc_auc(explanation: Explanation | AnyArray, positives: AnyArray, negatives: AnyArray) -> float:
    """The chance that a positive pixel outranks a negative one, ties counted half.

    This is the area under the receiver operating characteristic, by way of the rank sum. From 0 to 1,
    **higher** is better, 0.5 is a guess and what a constant map gets; 0 forwards. Without positives, or
    without negatives, there is no answer: NaN.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        positives: Pixels that should be high, ``[*space]`` of 0 and 1.
        negatives: Pixels that should be low, ``[*space]``. Others do not count.

    References:
        Mann and Whitney, "On a test of whether one of two random variables is stochastically larger than the
        other", 1947, doi:10.1214/aoms/1177730491.

    Example:
        >>> roc_auc(np.array([[2.0, 1.0, 1.0]]), np.array([[0, 1, 0]]), np.array([[1, 0, 1]]))
        0.25
    """
    values = as_saliency(explanation)
    high = as_region(positives, values.shape, name="positives")
    low = as_region(negatives, values.shape, name="negatives")
    if (high & low).any():
        raise ValueError("positives and negatives share pixels; each must be one or the other, or neither")
    positive, negative = values[high], values[low]
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    wins = ranks.sum() - len(positive) * (len(positive) + 1) / 2
    return _share(wins, len(positive) * len(negative))


def iou_at_best(
    explanation: Explanation | AnyArray, region: AnyArray, *, within: AnyArray | None = None
) -> float:
    """Intersection over union of the region and the pixels above a threshold, for the best threshold.

    All thresholds are looked at: the pixels of at least t, for every value t of the map. From above 0 to 1,
    **higher** is better, 0 forwards. A constant map has the region's share of the pixels; an empty region has
    no answer, NaN. The threshold is chosen with the region in sight: an upper limit.

    The arguments are those of `mass_accuracy`. The coefficient is Jaccard's, 1912,
    doi:10.1111/j.1469-8137.1912.tb05611.x.

    Example:
        >>> iou_at_best(np.array([[3.0, 2.0, 1.0, 0.0]]), np.array([[1, 0, 1, 0]]))
        0.6666666666666666
    """
    values, inside = _counted(explanation, region, within)
    size = int(np.count_nonzero(inside))
    if not size:
        return math.nan
    order = np.argsort(-values)
    marked = np.arange(1, len(values) + 1)
    common = np.cumsum(inside[order])
    ends = np.append(np.diff(values[order]) != 0, True)
    return float((common / (marked + size - common))[ends].max())


def iou_at_otsu(
    explanation: Explanation | AnyArray, region: AnyArray, *, within: AnyArray | None = None
) -> float:
    """Intersection over union of the region and the pixels above Otsu's threshold.

    From 0 to 1, **higher** is better, 0 forwards. A constant map marks nothing: 0. An empty region has no
    answer, NaN. The threshold knows nothing of the region.

    The arguments are those of `mass_accuracy`; see `otsu` for the threshold.

    Example:
        >>> iou_at_otsu(np.array([[9.0, 8.0, 1.0, 0.0]]), np.array([[1, 0, 0, 0]]))
        0.5
    """
    values, inside = _counted(explanation, region, within)
    if not inside.any():
        return math.nan
    marked = values > otsu(values)
    return _share(int(np.count_nonzero(marked & inside)), int(np.count_nonzero(marked | inside)))


def otsu(values: NDArray[np.float64]) -> float:
    """The threshold that parts values in two groups whose means differ most, for their sizes.

    It maximises ``n_0 n_1 (m_0 - m_1)^2`` with n the sizes and m the means of the groups, on a histogram of
    256 bins; the first of equals. Higher values are above. Of equal values: that value.

    References:
        Otsu, "A threshold selection method from gray-level histograms", 1979, doi:10.1109/TSMC.1979.4310076.

    Example:
        >>> 1 <= otsu(np.array([0.0, 1.0, 8.0, 9.0])) < 8
        True
    """
    lowest, range_ = values.min(), np.ptp(values)
    if not range_:
        return float(lowest)
    counts, edges = np.histogram((values - lowest) / range_, BINS, (0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    size, total = np.cumsum(counts)[:-1], np.cumsum(counts * centres)[:-1]
    rest, remaining = counts.sum() - size, (counts * centres).sum() - total
    spread = size * rest * (total / size - remaining / rest) ** 2
    return float(lowest + range_ * centres[spread.argmax()])


def edge_width(
    explanation: Explanation | AnyArray,
    region: AnyArray,
    *,
    reach: int = MARGIN,
    within: AnyArray | None = None,
) -> float:
    """How sharply the map ends at a region's edge: pixels from 90 % to 10 % of the edge response.

    The edge response is the mean of the map over the pixels of about the same signed distance to the edge,
    in bins of one pixel from ``-reach`` (inside) to ``reach`` (outside). It is made to fall by isotonic
    regression, weighted by the number of pixels; its first value counts as 100 %, its last as 0 %. Between
    the bins it is linear. **Lower** is better, down to 0.8 for an ideal step; at most ``2 * reach``; 0
    forwards. A Gaussian blur of standard deviation s makes 2.563 s of a straight step.

    A map that does not fall has no edge, and no answer: NaN. So it is for a region without pixels inside or
    outside. The width says nothing about the height of the step; a random map has some width too.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``.
        region: ``[*space]`` of 0 and 1.
        reach: How many pixels on both sides are looked at.
        within: The only pixels that count, ``[*space]``: leave out what else may lie near. None: all.

    References:
        The 10 % to 90 % rise distance of the edge spread function, as in Smith, "The scientist and engineer's
        guide to digital signal processing", 1997, chapter 25, http://www.dspguide.com.

    Example:
        >>> region = np.zeros((40, 60), dtype=bool)
        >>> region[:, :30] = True
        >>> round(edge_width(region, region), 3)
        0.8
        >>> blurred = ndimage.gaussian_filter(region.astype(float), 4)
        >>> round(edge_width(blurred, region), 1)
        10.3
    """
    values = as_saliency(explanation)
    inside = as_region(region, values.shape)
    reach = as_positive(reach, "reach")
    counts = np.ones(values.shape, bool) if within is None else as_region(within, values.shape, name="within")
    if not (inside & counts).any() or not (~inside & counts).any():
        return math.nan
    outward, inward = (ndimage.distance_transform_edt(part) for part in (~inside, inside))
    distance = np.where(inside, 0.5 - inward, outward - 0.5)
    near = counts & (np.abs(distance) < reach)
    bins = np.floor(distance[near]).astype(np.int64) + reach
    sizes = np.bincount(bins, minlength=2 * reach)
    used = sizes > 0
    means, places = (
        np.bincount(bins, part[near], 2 * reach)[used] / sizes[used] for part in (values, distance)
    )
    fall = isotonic_regression(means, weights=sizes[used], increasing=False).x
    first, last = fall[0], fall[-1]
    if first - last <= FLAT * np.abs(values).max():
        return math.nan
    response = (fall - last) / (first - last)
    high = int(np.flatnonzero(response >= 0.9)[-1])
    low = int(np.flatnonzero(response <= 0.1)[0])
    return _between(places, response, low - 1, 0.1) - _between(places, response, high, 0.9)


def highest(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """How much each value belongs to the highest ``count``: 1, or 0, or a share where it ties for the last.

    Example:
        >>> highest(np.array([3.0, 1.0, 1.0, 0.0]), 2)
        array([1. , 0.5, 0.5, 0. ])
    """
    if not 0 < count < values.size:
        return np.full(values.shape, float(count > 0))
    last = np.partition(values.ravel(), -count)[-count]
    above, level = values > last, values == last
    left = count - np.count_nonzero(above)
    shares: NDArray[np.float64] = above + level * (left / np.count_nonzero(level))
    return shares


def _counted(
    explanation: Explanation | AnyArray, region: AnyArray, within: AnyArray | None
) -> tuple[NDArray[np.float64], BoolArray]:
    """The values of all pixels that count, and which of them are in the region, both ``[pixels]``."""
    values = as_saliency(explanation)
    inside = as_region(region, values.shape)
    if within is None:
        return values.ravel(), inside.ravel()
    counts = as_region(within, values.shape, name="within")
    return values[counts], inside[counts]


def _grown(region: BoolArray, by: object, name: str) -> BoolArray:
    """The region and all pixels at most so far from it."""
    if not (isinstance(by, int | float | np.number) and by >= 0):
        raise ValueError(f"{name} must be a number of pixels, 0 or more; got {by!r}")
    if not region.any():
        return region
    grown: BoolArray = ndimage.distance_transform_edt(~region) <= by
    return grown


def _between(places: NDArray[np.float64], response: NDArray[np.float64], before: int, level: float) -> float:
    """Where a falling response crosses a level, between a place and the next."""
    (a, b), (x, y) = response[before : before + 2], places[before : before + 2]
    return float(x + (a - level) / (a - b) * (y - x))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
