"""How much of a map lies in a region: mass, rank, pointing, ranking curve, overlap above a threshold.

Nothing here asks the network: every metric costs 0 forwards. Ties never depend on the order of pixels, they
count in part. Where the answer would be nothing divided by nothing, because a region is empty say, it is NaN.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.data.inputs import as_region
from interpret_segmentation.evaluate.places import grown
from interpret_segmentation.evaluate.subject import AnyMap, as_saliency

BINS = 256
"""Of the histogram in which Otsu's threshold is looked for."""


def mass_accuracy(explanation: AnyMap, region: AnyArray, *, within: AnyArray | None = None) -> float:
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


def rank_accuracy(explanation: AnyMap, region: AnyArray, *, within: AnyArray | None = None) -> float:
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
    explanation: AnyMap,
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
    counted, inside = _counted(values, grown(exact, tolerance, "tolerance"), within)
    if not exact.any():
        return math.nan
    strongest = counted == counted.max()
    return _share(int(np.count_nonzero(inside & strongest)), int(np.count_nonzero(strongest)))


def roc_auc(explanation: AnyMap, positives: AnyArray, negatives: AnyArray) -> float:
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


def iou_at_best(explanation: AnyMap, region: AnyArray, *, within: AnyArray | None = None) -> float:
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


def iou_at_otsu(explanation: AnyMap, region: AnyArray, *, within: AnyArray | None = None) -> float:
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
    explanation: AnyMap, region: AnyArray, within: AnyArray | None
) -> tuple[NDArray[np.float64], BoolArray]:
    """The values of all pixels that count, and which of them are in the region, both ``[pixels]``."""
    values = as_saliency(explanation)
    inside = as_region(region, values.shape)
    if within is None:
        return values.ravel(), inside.ravel()
    counts = as_region(within, values.shape, name="within")
    return values[counts], inside[counts]


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
