import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from interpret_segmentation import Explanation
from interpret_segmentation.evaluate.similarity import Agreement, agreement, spearman, ssim, top_overlap

SPACES = [(24, 37), (13, 11), (15, 12, 17)]


def pair(space, seed, alike=0.5):
    random = np.random.default_rng(seed)
    one, other = random.normal(size=(2, *space))
    return one, alike * one + (1 - alike) * other


def scaled(values):
    return (values - values.min()) / (values.max() - values.min())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("seed", range(3))
def test_spearman_is_that_of_scipy_with_and_without_ties(space, seed):
    a, b = pair(space, seed)
    assert spearman(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)
    a, b = np.round(a), np.round(b)
    assert spearman(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("alike", [0, 0.5, 0.9])
def test_ssim_is_that_of_scikit_image(space, alike):
    a, b = pair(space, 1, alike)
    a[2:7, 3:9] += 3
    wanted = structural_similarity(
        scaled(a), scaled(b), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
    )
    assert ssim(a, b) == pytest.approx(wanted, abs=1e-9)


def test_ssim_of_a_map_smaller_than_its_window_is_that_of_its_mirrored_surroundings():
    a, b = pair((4, 30), 2)
    tall = [np.concatenate([values[::-1], values] * 5) for values in (a, b)]  # reflected again and again
    wanted = structural_similarity(
        *map(scaled, tall), gaussian_weights=True, use_sample_covariance=False, data_range=1, full=True
    )[1]
    assert ssim(a, b) == pytest.approx(wanted[20:24, 5:-5].mean(), abs=1e-9)


def test_top_overlap_counts_common_pixels():
    a, b = np.zeros((2, 10, 20))
    a[0, :20] = np.arange(20) + 1
    b[0, 10:20] = b[3, :10] = np.arange(10) + 1
    assert top_overlap(a, b, 0.1) == pytest.approx(10 / 30)
    assert top_overlap(a, b, 1) == 1


@pytest.mark.parametrize("space", SPACES)
def test_top_overlap_is_that_of_sets(space):
    a, b = pair(space, 3)
    count = round(0.2 * a.size)
    tops = [set(np.argsort(-values.ravel())[:count]) for values in (a, b)]
    assert top_overlap(a, b, 0.2) == pytest.approx(len(tops[0] & tops[1]) / len(tops[0] | tops[1]))


def test_pixels_that_tie_for_the_last_places_belong_in_part():
    a, b = np.array([[5.0, 1.0, 1.0, 0.0]]), np.array([[5.0, 1.0, 0.0, 0.0]])
    assert top_overlap(a, b, 0.5) == pytest.approx(1.5 / 2.5)
    assert top_overlap(a, a, 0.5) == 1


def test_random_maps_agree_by_chance_only():
    a, b = np.random.default_rng(0).random((2, 300, 400))
    judged = agreement(a, b)
    assert judged.spearman == pytest.approx(0, abs=0.01)
    assert judged.top_overlap == pytest.approx(0.1 / 1.9, abs=0.01)
    assert judged.ssim < 0.1


@given(st.integers(0, 999), st.floats(0.01, 1e6), st.floats(-1e3, 1e3))
def test_all_are_symmetric_in_range_and_blind_to_the_unit(seed, factor, level):
    a, b = pair((12, 15), seed)
    judged = agreement(a, b)
    swapped, scaled_ = agreement(b, a), agreement(factor * a + level, b)
    for name, value in judged.as_dict().items():
        assert getattr(swapped, name) == pytest.approx(value)
        assert getattr(scaled_, name) == pytest.approx(value, abs=1e-5)
        assert (0 if name == "top_overlap" else -1) <= value <= 1


def test_a_map_agrees_with_itself_and_its_opposite_does_not():
    a = np.random.default_rng(0).random((14, 19))
    assert agreement(a, a).as_dict() == pytest.approx({"spearman": 1, "ssim": 1, "top_overlap": 1})
    assert spearman(a, -a) == pytest.approx(-1)
    assert ssim(a, -a) < 0
    assert top_overlap(a, -a) == 0


def test_a_constant_map_says_nothing_about_another_one_but_is_like_itself():
    a, flat = np.random.default_rng(0).random((14, 19)), np.full((14, 19), 3.0)
    assert agreement(flat, flat - 7) == Agreement(1, 1, 1)
    assert spearman(a, flat) == spearman(flat, a) == 0
    assert abs(ssim(a, flat)) < 0.05
    assert top_overlap(a, flat) == pytest.approx(0.1 / 1.9, rel=0.1)


def test_takes_explanations_and_tensors():
    a, b = pair((12, 15), 0)
    assert agreement(Explanation(a), torch.from_numpy(b)) == agreement(a, b)


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="the first map is 3 x 4, but the second 4 x 3; only maps of one"):
        agreement(np.zeros((3, 4)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="fraction must be a number above 0 and at most 1, got 0"):
        agreement(np.eye(3, 4), np.eye(3, 4), fraction=0)
    with pytest.raises(ValueError, match="the second map holds NaN"):
        spearman(np.eye(3, 4), np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match="within is empty"):
        agreement(np.eye(3, 4), np.eye(3, 4), within=np.zeros((3, 4)))
    with pytest.raises(ValueError, match="within has 4 rows and 3 columns"):
        agreement(np.eye(3, 4), np.eye(3, 4), within=np.zeros((4, 3)))


@pytest.mark.parametrize("space", SPACES)
def test_only_the_pixels_that_count_are_compared(space):
    a, b = pair(space, 4)
    counts = np.random.default_rng(0).random(space) < 0.4
    assert spearman(a, b, within=counts) == pytest.approx(spearmanr(a[counts], b[counts]).statistic)
    size = round(0.1 * counts.sum())
    tops = [set(np.argsort(-values[counts])[:size]) for values in (a, b)]
    wanted = len(tops[0] & tops[1]) / len(tops[0] | tops[1])
    assert top_overlap(a, b, within=counts) == pytest.approx(wanted)
    local = structural_similarity(
        scaled(a), scaled(b), gaussian_weights=True, use_sample_covariance=False, data_range=1, full=True
    )[1]
    assert ssim(a, b, within=counts) == pytest.approx(local[counts].mean(), abs=1e-9)


def test_common_silence_makes_any_two_maps_alike_unless_it_is_left_out():
    a, b = pair((40, 50), 0, alike=0)
    speaks = np.zeros((40, 50), dtype=bool)
    speaks[10:20, 10:20] = True
    a, b = np.where(speaks, a + 5, 0), np.where(speaks, b + 5, 0)
    assert agreement(a, b).spearman > 0.8
    assert abs(agreement(a, b, within=speaks).spearman) < 0.3


def test_a_constant_map_says_nothing_about_another_one_that_has_a_pixel_of_middle_rank():
    a, flat = np.arange(15.0).reshape(3, 5), np.ones((3, 5))
    assert spearman(a, flat) == spearman(flat, a) == 0
