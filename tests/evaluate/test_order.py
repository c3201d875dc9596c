import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from interpret_segmentation.evaluate.order import ordered

SPACES = st.tuples(st.integers(1, 7), st.integers(1, 9)) | st.tuples(*[st.integers(1, 4)] * 3)


def test_the_most_important_pixel_is_the_first():
    np.testing.assert_array_equal(ordered(np.array([[0.5, -1, 3], [0, 2, 1]])).rank, [[3, 5, 0], [4, 1, 2]])


@given(SPACES, st.integers(0, 2**32), st.integers(1, 5))
def test_every_pixel_has_a_place_of_its_own_and_none_goes_before_a_more_important_one(space, seed, levels):
    saliency = np.random.default_rng(seed).integers(0, levels, space).astype(float)
    order = ordered(saliency, seed=seed)
    np.testing.assert_array_equal(np.sort(order.rank, axis=None), np.arange(saliency.size))
    by_rank = saliency.ravel()[np.argsort(order.rank, axis=None)]
    assert (np.diff(by_rank) <= 0).all()
    assert len(order) == saliency.size


def test_equal_pixels_go_in_no_order_of_reading():
    reading = np.arange(40 * 50)
    for saliency in (np.zeros((40, 50)), np.repeat([[3.0], [7.0]], 1000, axis=1).reshape(40, 50)):
        rank = ordered(saliency).rank.ravel()
        for half in (slice(0, 1000), slice(1000, None)):
            assert abs(spearmanr(reading[half], rank[half])[0]) < 0.1


def test_a_seed_repeats_the_order_of_equal_pixels_and_another_one_changes_it():
    flat = np.ones((9, 13))
    np.testing.assert_array_equal(ordered(flat, seed=3).rank, ordered(flat, seed=3).rank)
    assert (ordered(flat, seed=3).rank != ordered(flat, seed=4).rank).any()
    assert (ordered(flat, seed=None).rank != ordered(flat, seed=None).rank).any()


def test_regions_go_by_their_mean_and_negative_ones_never():
    saliency = np.array([[9.0, 0, 2, 2], [0, 50, 2, 1]])
    regions = torch.tensor([[7, 7, 30, 30], [7, -4, 30, 12]])
    order = ordered(saliency, regions)
    np.testing.assert_array_equal(order.rank, [[0, 0, 1, 1], [0, -1, 1, 2]])
    np.testing.assert_array_equal(order.pixels, [0, 3, 6, 7])
    np.testing.assert_allclose(order.shares(np.array([0, 1, 3])), [0, 3 / 7, 1])


def test_regions_of_equal_mean_go_in_a_random_order_whatever_their_size():
    regions = np.repeat(np.arange(30), np.arange(1, 31)).reshape(15, 31)
    saliency = np.where(regions == 29, 0.7, 0.1)
    sizes = [np.diff(ordered(saliency, regions, seed=seed).pixels).tolist() for seed in range(20)]
    assert all(order.pop(0) == 30 for order in sizes)
    assert all(sorted(order) == list(range(1, 30)) for order in sizes)
    assert len({tuple(order) for order in sizes}) == 20
    assert abs(np.mean([spearmanr(np.arange(29), order)[0] for order in sizes])) < 0.15


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_values_at_the_ends_of_what_a_number_holds_are_ordered_all_the_same(scale):
    regions = np.array([[0, 0, 1], [0, 2, 1]])
    order = ordered(scale * np.array([[1.0, 1, 1], [1, -1, 1.5]]), regions)
    np.testing.assert_array_equal(order.rank, [[1, 1, 0], [1, 2, 0]])


@given(st.integers(1, 40), st.integers(1, 60))
def test_steps_are_about_equal_and_end_with_everything(parts, steps):
    counts = ordered(np.zeros((1, parts))).counts(steps)
    assert counts[0] == 0
    assert counts[-1] == parts
    assert len(counts) == min(steps, parts) + 1
    assert np.ptp(np.diff(counts)) <= 1
    assert np.diff(counts).min() >= 1


@pytest.mark.parametrize(("fraction", "count"), [(0.25, 3), (1.0, 12), (0.001, 1)])
def test_the_first_are_a_fraction_but_at_least_one(fraction, count):
    saliency = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(ordered(saliency).first(fraction), saliency >= 12 - count)


@pytest.mark.parametrize(("regions", "error", "message"), [
    (np.zeros((3, 4)), TypeError, "regions must be whole numbers, one for each region; got float64"),
    (np.zeros((3, 4), dtype=bool), TypeError, "regions must be whole numbers.*got bool"),
    (np.zeros((4, 3), dtype=int), ValueError, r"number the pixels of the map, \(3, 4\), got.*\(4, 3\)"),
    (np.full((3, 4), -1), ValueError, "regions hold no region"),
    ("slic", TypeError, "regions must be a PyTorch tensor or an array"),
])  # fmt: skip
def test_regions_that_are_none_are_refused(regions, error, message):
    with pytest.raises(error, match=message):
        ordered(np.zeros((3, 4)), regions)


@pytest.mark.parametrize("fraction", [0, -1, 1.5, float("nan"), "half"])
def test_a_fraction_that_is_none_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction must be a number above 0 and at most 1"):
        ordered(np.zeros((3, 4))).first(fraction)
