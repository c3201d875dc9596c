"""Agreement: how alike two maps are, by rank, by their highest pixels, and to the eye.

Maps are taken with their signs, and only relative to themselves: another unit, or a positive factor, changes
nothing. Nothing here asks the network: every number costs 0 forwards. Two constant maps are the same map, 1;
a constant map and another one have nothing in common, 0 or about 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import rankdata

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.data.inputs import as_probability, as_region
from interpret_segmentation.evaluate.regions import highest
from interpret_segmentation.evaluate.subject import AnyMap, as_saliency

SIGMA = 1.5
"""Standard deviation of SSIM's window in pixels, the paper's; it ends after 3.5 of them, as 11 pixels do."""

RADIUS = 5

STABLE = (0.01**2, 0.03**2)
"""The paper's constants for values of 0 to 1, which keep SSIM from dividing by about 0."""


@dataclass(frozen=True)
class Agreement:
    """How alike two maps are, in three ways. Higher is more alike, 1 is the same.

    Attributes:
        spearman: Rank correlation, -1 to 1; see `spearman`.
        ssim: Structural similarity, -1 to 1; see `ssim`.
        top_overlap: Intersection over union of the highest pixels, 0 to 1; see `top_overlap`.
    """

    spearman: float
    ssim: float
    top_overlap: float

    def as_dict(self) -> dict[str, float]:
        """Every number by its name."""
        return asdict(self)


def agreement(
    a: AnyMap,
    b: AnyMap,
    *,
    fraction: float = 0.1,
    within: AnyArray | None = None,
) -> Agreement:
    """How alike two maps are by rank, to the eye, and by their highest pixels. It costs 0 forwards.

    Args:
        a: An `Explanation`, or a map ``[*space]``.
        b: Another one of the same size.
        fraction: Of the pixels, which are compared as the highest.
        within: The only pixels that count, ``[*space]`` of 0 and 1. None: all. Leave out pixels of which all
            maps must say the same, for they make any two maps alike: black ones, when black hides.

    Raises:
        TypeError: Neither an explanation nor an array of numbers.
        ValueError: Maps of different sizes, values that are not finite, or no pixel that counts.

    Example:
        >>> falling = np.linspace(1, 0, 12).reshape(3, 4)
        >>> agreement(falling, 5 * falling)
        Agreement(spearman=1.0, ssim=1.0, top_overlap=1.0)
        >>> agreement(falling, -falling).spearman
        -1.0
    """
    return Agreement(
        spearman(a, b, within=within), ssim(a, b, within=within), top_overlap(a, b, fraction, within=within)
    )


def spearman(a: AnyMap, b: AnyMap, *, within: AnyArray | None = None) -> float:
    """Spearman's rank correlation of all pixels: do they come in the same order?

    From -1 (reversed) by 0 (unrelated) to 1 (the same order), **higher** is more alike, 0 forwards. Equal
    values share their mean rank. One constant map: 0; both: 1.

    The arguments are those of `agreement`.

    References:
        Spearman, "The proof and measurement of association between two things", 1904, doi:10.2307/1412159.

    Example:
        >>> spearman(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 3.0, 2.0]]))
        0.5
    """
    one, other, counts = _pair(a, b, within)
    one, other = (rankdata(values[counts]) - (counts.sum() + 1) / 2 for values in (one, other))
    spread = float(np.sqrt((one @ one) * (other @ other)))
    if not spread:
        return float(not one.any() and not other.any())
    return float(np.clip(one @ other / spread, -1, 1))


def top_overlap(
    a: AnyMap,
    b: AnyMap,
    fraction: float = 0.1,
    *,
    within: AnyArray | None = None,
) -> float:
    """Intersection over union of the highest pixels of both maps.

    From 0 to 1, **higher** is more alike, 0 forwards. Two random maps have ``fraction / (2 - fraction)``,
    about 0.05. Pixels that tie for the last places belong in part, and the intersection is the sum of the
    smaller part, the union that of the larger: a constant map has fraction of every pixel.

    The arguments are those of `agreement`; the highest are at least one pixel.

    References:
        Top-k intersection: Ghorbani, Abid and Zou, "Interpretation of neural networks is fragile", 2019,
        https://arxiv.org/abs/1710.10547; here over the union.

    Example:
        >>> top_overlap(np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([[4.0, 1.0, 3.0, 2.0]]), fraction=0.5)
        0.3333333333333333
    """
    one, other, counts = _pair(a, b, within)
    count = max(1, round(as_probability(fraction, "fraction") * int(counts.sum())))
    tops = highest(one[counts], count), highest(other[counts], count)
    return float(np.minimum(*tops).sum() / np.maximum(*tops).sum())


def ssim(a: AnyMap, b: AnyMap, *, within: AnyArray | None = None) -> float:
    """Structural similarity: do the maps look alike?

    Each map is scaled to 0 to 1 first. With means m, variances v and the covariance c under a Gaussian window
    of standard deviation 1.5 around each pixel,

        SSIM = mean of (2 m_a m_b + C_1) (2 c + C_2) / ((m_a^2 + m_b^2 + C_1) (v_a + v_b + C_2))

    over all pixels at least 5 from the edge; along an axis that is shorter than the window's 11 pixels, over
    all, with the map mirrored. From -1 to 1, **higher** is more alike, 0 forwards. The arguments are those of
    `agreement`; of pixels that count, also those near the edge do.

    References:
        Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
        similarity", 2004, doi:10.1109/TIP.2003.819861.

    Example:
        >>> checks = np.indices((20, 30)).sum(axis=0) % 2
        >>> round(ssim(checks, checks), 3), round(ssim(checks, 1 - checks), 3) < -0.9
        (1.0, True)
    """
    one, other, counts = _pair(a, b, within)
    one, other = _scaled(one), _scaled(other)
    mean_a, mean_b = _window(one), _window(other)
    variances = _window(one * one) - mean_a**2 + _window(other * other) - mean_b**2
    covariance = _window(one * other) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + STABLE[0]) * (2 * covariance + STABLE[1])
    local = alike / ((mean_a**2 + mean_b**2 + STABLE[0]) * (variances + STABLE[1]))
    if within is not None:
        return float(local[counts].mean())
    inner = tuple(slice(RADIUS, -RADIUS) if side > 2 * RADIUS else slice(None) for side in local.shape)
    return float(local[inner].mean())


def _pair(
    a: AnyMap, b: AnyMap, within: AnyArray | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], BoolArray]:
    """Two maps and the pixels that count, all ``[*space]``."""
    one, other = as_saliency(a, "the first map"), as_saliency(b, "the second map")
    if one.shape != other.shape:
        raise ValueError(
            f"the first map is {' x '.join(map(str, one.shape))}, but the second "
            f"{' x '.join(map(str, other.shape))}; only maps of one image can be compared"
        )
    counts = np.ones(one.shape, bool) if within is None else as_region(within, one.shape, name="within")
    if not counts.any():
        raise ValueError("within is empty: it must hold at least one pixel to compare the maps at")
    return one, other, counts


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same from 0 to 1; all 0 for a constant map."""
    lowest, range_ = values.min(), np.ptp(values)
    scaled: NDArray[np.float64] = (values - lowest) / (range_ or 1)
    return scaled


def _window(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weighted mean around each pixel."""
    mean: NDArray[np.float64] = ndimage.gaussian_filter(values, SIGMA, truncate=RADIUS / SIGMA)
    return mean
