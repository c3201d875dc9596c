import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, directed_hausdorff

from interpret_segmentation import explain
from interpret_segmentation.scores.hausdorff_distance import hausdorff
from interpret_segmentation.scores.soft_hausdorff import (
    LEVELS,
    GradedHausdorffTo,
    LevelledHausdorffTo,
    levels_around,
)


def by_definition(p, g, spacing=None):
    """mean((p - g)^2 (d_p^2 + d_g^2)), the distances by looking at every pair of pixels."""
    spacing = np.ones(p.ndim) if spacing is None else np.array(spacing)
    diagonal = np.linalg.norm((np.array(p.shape) - 1) * spacing)
    points = np.argwhere(np.ones(p.shape)) * spacing
    pairs = cdist(points, points)

    def squared(probability):
        segment = (probability > 0.5).ravel()
        if segment.all() or not segment.any():
            return np.full(p.size, diagonal**2)
        other = segment[:, None] != segment[None]
        return np.where(other, pairs, np.inf).min(axis=1) ** 2

    return np.mean((p - g).ravel() ** 2 * (squared(p) + squared(g)))


def random_maps(shape, seed):
    random = np.random.default_rng(seed)
    return random.random((2, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(7, 5), (1, 9), (1, 1), (12, 3), (4, 3, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_the_graded_distance_is_that_of_the_formula(shape, seed):
    p, g = random_maps(shape, seed)
    assert GradedHausdorffTo(g)(p) == pytest.approx(by_definition(p, g), rel=1e-6)


def test_the_graded_distance_takes_the_size_of_voxels():
    p, g = random_maps((4, 6, 3), 1)
    spacing = (2.5, 1, 0.7)
    assert GradedHausdorffTo(g, spacing=spacing)(p) == pytest.approx(by_definition(p, g, spacing), rel=1e-6)


@pytest.mark.parametrize("filled", [0.0, 1.0])
def test_without_a_border_every_pixel_is_as_far_as_the_diagonal(filled):
    g = np.full((4, 5), filled, dtype=np.float32)
    p = g.copy()
    p[1, 2] = 0.5 * filled + 0.25 * (1 - filled)  # at most 0.5, so that it stays empty; or makes a hole
    assert GradedHausdorffTo(g)(p) == pytest.approx(by_definition(p, g))


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(0, 999))
def test_graded_distances_are_symmetric_and_zero_only_for_equal_maps(shape, seed):
    p, g = random_maps(shape, seed)
    for distance in (GradedHausdorffTo, LevelledHausdorffTo):
        assert distance(g)(g) == 0
        assert distance(g)(p) == pytest.approx(distance(p)(g))
    assert GradedHausdorffTo(g)(p) > 0 or p.size == 1


def test_the_same_change_counts_more_the_farther_from_the_border():
    g = np.zeros((9, 30), dtype=np.float32)
    g[:, :5] = 1
    changed = [g.copy(), g.copy()]
    changed[0][4, 7] = changed[1][4, 25] = 0.3
    near, far = map(GradedHausdorffTo(g), changed)
    assert far / near == pytest.approx((21 / 3) ** 2)


def test_levels_are_symmetric_around_a_half():
    assert LEVELS[4] == 0.5
    np.testing.assert_allclose(np.add(LEVELS, LEVELS[::-1]), 1)
    assert LEVELS[0] == pytest.approx(0.001)


@pytest.mark.parametrize("seed", range(3))
def test_the_levelled_distance_is_the_mean_over_the_contours(seed):
    p, g = random_maps((13, 8), seed)
    wanted = np.mean([hausdorff(p > level, g > level) for level in LEVELS])
    assert LevelledHausdorffTo(g)(p) == pytest.approx(wanted)


def test_maps_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        GradedHausdorffTo(np.zeros((3, 4)))(np.zeros((4, 3)))


@pytest.mark.parametrize("score", ["hausdorff_graded", "hausdorff_levels", "mae"])
@pytest.mark.parametrize("method", ["hdm", "occlusion"])
def test_a_change_below_the_threshold_is_seen(score, method):
    image = np.zeros((30, 41), dtype=np.float32)
    image[5:15, 5:15] = 1
    image[20:26, 30:36] = 0.5

    def network(batch):  # the far square lifts the segment from 0.7 to 0.95
        far = batch[:, :, 20:26, 30:36].mean(dim=(2, 3), keepdim=True)
        return batch * (0.7 + 0.5 * far)

    size, measure = ("circle_size", "distance") if method == "hdm" else ("size", "score")
    seen, blind = (
        explain(network, image, method, offset=2, progress=False, target=0, **{size: 6, measure: chosen})
        for chosen in (score, "hausdorff")
    )
    assert seen.saliency[23, 33] > 0
    assert blind.saliency[23, 33] == 0


def test_the_directed_distance_over_levels_is_the_mean_of_scipys():
    random = np.random.default_rng(0)
    for shape in [(9, 12), (5, 6, 7)]:
        p, g = random.random(shape), random.random(shape)
        p[(0,) * len(shape)] = g[(1,) * len(shape)] = 1  # something on every level
        wanted = np.mean(
            [directed_hausdorff(np.argwhere(g > level), np.argwhere(p > level))[0] for level in LEVELS]
        )
        assert LevelledHausdorffTo(g, directed=True)(p) == pytest.approx(wanted)
        assert LevelledHausdorffTo(g)(p) >= wanted


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.9])
def test_levels_are_centred_on_the_threshold_as_logits(threshold):
    levels = np.array(levels_around(threshold))
    logits = np.log(levels / (1 - levels))
    assert levels[4] == pytest.approx(threshold)
    np.testing.assert_allclose(np.diff(logits), np.log(999) / 4)
