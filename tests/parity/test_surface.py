"""Surface distances against MONAI's, SciPy's morphology and a loop that follows the definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from interpret_segmentation.scores.surface import SurfaceTo, average_surface_distance, hausdorff95

shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=7)
cases = [((61, 83), None), ((61, 83), (0.7, 2.5)), ((24, 31, 18), None), ((24, 31, 18), (3.0, 0.8, 1.3))]


@st.composite
def two_masks(draw):
    shape = draw(shapes)
    return tuple(draw(hnp.arrays(bool, shape, elements=st.booleans())) for _ in range(2))


def edge_points(mask, spacing):
    """Pixels with a neighbour outside the mask, in plain loops."""
    pixels = {tuple(map(int, p)) for p in np.argwhere(mask)}
    steps = [tuple(s if i == k else 0 for i in range(mask.ndim)) for k in range(mask.ndim) for s in (-1, 1)]
    edge = [
        p for p in sorted(pixels) if any(tuple(map(sum, zip(p, s, strict=True))) not in pixels for s in steps)
    ]
    return [tuple(i * s for i, s in zip(p, spacing, strict=True)) for p in edge]


def by_definition(a, b, spacing):
    own, others = edge_points(a, spacing), edge_points(b, spacing)
    return [
        [min(math.dist(p, q) for q in those) for p in these]
        for these, those in ((own, others), (others, own))
    ]


def random_pair(random, shape):
    """Two blobs, which may touch the border or be in pieces, each with at least one pixel."""
    pair = []
    for _ in range(2):
        noise = ndimage.gaussian_filter(random.standard_normal(shape), random.uniform(2, 5), mode="wrap")
        mask = noise > np.quantile(noise, random.uniform(0.6, 0.99))
        pair.append(mask)
    return pair


def one_pixel(shape, *position):
    mask = np.zeros(shape, bool)
    mask[position] = True
    return mask


def monais(a, b, spacing):
    metrics = pytest.importorskip("monai.metrics", reason="MONAI is not installed")
    one_hot = [torch.from_numpy(mask)[None, None].float() for mask in (a, b)]
    settings = {"include_background": True, "spacing": spacing}
    percentile = metrics.compute_hausdorff_distance(*one_hot, percentile=95, **settings)
    average = metrics.compute_average_surface_distance(*one_hot, symmetric=True, **settings)
    return percentile.item(), average.item()


def assert_as_monai(a, b, spacing):
    ours = hausdorff95(a, b, spacing=spacing), average_surface_distance(a, b, spacing=spacing)
    assert ours == pytest.approx(monais(a, b, spacing), rel=1e-5, abs=1e-6)


@given(two_masks(), st.tuples(*[st.sampled_from([0.5, 1.0, 2.5])] * 3))
def test_it_is_the_definition_with_any_spacing(masks, spacings):
    a, b = masks
    spacing = spacings[: a.ndim]
    if a.any() and b.any():
        there, back = by_definition(a, b, spacing)
        to_b = SurfaceTo(b, spacing=spacing)
        for ours, theirs in zip(to_b.distances(a), (there, back), strict=True):
            assert ours == pytest.approx(theirs)
        assert to_b.average(a) == pytest.approx(sum(there + back) / len(there + back))
        assert to_b.hausdorff95(a) == pytest.approx(max(np.percentile(d, 95) for d in (there, back)))


@pytest.mark.parametrize(("shape", "spacing"), cases)
def test_distances_are_those_of_eroded_masks_and_transforms_of_the_whole_image(shape, spacing):
    random = np.random.default_rng(1)
    for _ in range(10):
        a, b = random_pair(random, shape)
        edges = [mask & ~ndimage.binary_erosion(mask) for mask in (a, b)]
        transforms = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
        there, back = SurfaceTo(b, spacing=spacing).distances(a)
        assert there == pytest.approx(transforms[1][edges[0]])
        assert back == pytest.approx(transforms[0][edges[1]])


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")
@pytest.mark.parametrize(("shape", "spacing"), cases)
def test_it_is_monais_on_blobs(shape, spacing):
    random = np.random.default_rng(0)
    touching = 0
    for _ in range(12):
        a, b = random_pair(random, shape)
        touching += bool(a[0].any() or a[..., -1].any())
        assert_as_monai(a, b, spacing)
    assert touching


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")
@pytest.mark.parametrize(("shape", "spacing"), cases)
def test_it_is_monais_on_single_pixels_and_full_masks(shape, spacing):
    corner, far = one_pixel(shape, *[0] * len(shape)), one_pixel(shape, *[-1] * len(shape))
    blob = random_pair(np.random.default_rng(2), shape)[0]
    full = np.ones(shape, bool)
    for a, b in [(corner, far), (corner, blob), (blob, far), (full, blob), (corner, full), (full, full)]:
        assert_as_monai(a, b, spacing)
