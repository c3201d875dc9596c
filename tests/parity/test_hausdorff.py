"""The Hausdorff distance against SciPy's, MONAI's and a loop that follows the definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import directed_hausdorff

from interpret_segmentation.scores.registry import HausdorffTo, hausdorff

pytestmark = pytest.mark.slow

shapes = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7)


@st.composite
def two_masks(draw):
    shape = draw(shapes)
    return tuple(draw(hnp.arrays(bool, shape, elements=st.booleans())) for _ in range(2))


def by_definition(a, b, spacing):
    """Every distance from every point, in plain loops."""
    points = [[tuple(p * s for p, s in zip(q, spacing, strict=True)) for q in np.argwhere(m)] for m in (a, b)]
    if not points[0] and not points[1]:
        return 0.0
    if not points[0] or not points[1]:
        return math.dist([0] * a.ndim, [(n - 1) * s for n, s in zip(a.shape, spacing, strict=True)])
    return max(
        max(min(math.dist(p, q) for q in others) for p in own) for own, others in (points, points[::-1])
    )


@given(two_masks(), st.tuples(*[st.sampled_from([0.5, 1.0, 2.5])] * 3))
def test_it_is_the_definition_in_2d_and_3d_with_any_spacing(masks, spacings):
    a, b = masks
    spacing = spacings[: a.ndim]
    assert hausdorff(a, b, spacing=spacing) == pytest.approx(by_definition(a, b, spacing))


@given(two_masks())
def test_it_is_scipys_on_point_sets(masks):
    a, b = masks
    if a.any() and b.any():
        points = np.argwhere(a), np.argwhere(b)
        expected = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
        assert hausdorff(a, b) == pytest.approx(expected)


@given(two_masks())
def test_it_is_symmetric_and_zero_only_for_equal_masks(masks):
    a, b = masks
    assert hausdorff(a, b) == hausdorff(b, a)
    if a.size > 1:
        assert (hausdorff(a, b) == 0) == np.array_equal(a, b)


@given(two_masks(), st.integers(0, 3), st.integers(0, 3))
def test_a_common_shift_changes_nothing(masks, before, after):
    a, b = masks
    if a.any() and b.any():
        moved = [np.pad(mask, [(before, after)] * mask.ndim) for mask in masks]
        assert hausdorff(*moved) == pytest.approx(hausdorff(a, b))


@given(st.data(), shapes)
def test_one_prepared_reference_serves_many_masks(data, shape):
    reference, *masks = (data.draw(hnp.arrays(bool, shape, elements=st.booleans())) for _ in range(4))
    to_reference = HausdorffTo(reference)
    assert [to_reference(mask) for mask in masks] == [hausdorff(mask, reference) for mask in masks]


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")
def test_it_is_monais_on_blobs():
    monai_metrics = pytest.importorskip("monai.metrics", reason="MONAI is not installed")
    random = np.random.default_rng(0)
    rows, columns = np.ogrid[:61, :83]
    for _ in range(10):
        discs = [
            (rows - random.integers(61)) ** 2 + (columns - random.integers(83)) ** 2 < random.integers(9, 400)
            for _ in range(2)
        ]
        one_hot = [torch.from_numpy(disc)[None, None].float() for disc in discs]
        theirs = monai_metrics.compute_hausdorff_distance(*one_hot, include_background=True)
        assert hausdorff(*discs) == pytest.approx(theirs.item())
