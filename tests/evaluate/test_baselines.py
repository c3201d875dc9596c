import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.segmentation import find_boundaries

from interpret_segmentation.evaluate.baselines import BASELINES
from interpret_segmentation.evaluate.location import localisation

SPACES = [(17, 26), (6, 9, 11)]


def case(space, channels=2):
    random = np.random.default_rng(0)
    image, probability = random.random((channels, *space)), random.random(space).astype(np.float32)
    return image, probability, ndimage.binary_opening(ndimage.gaussian_filter(probability, 1) > 0.5)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_a_map_of_the_image_and_can_be_drawn_again(name, space):
    given = case(space)
    copies = [part.copy() for part in given]
    values = BASELINES[name](*given, 3)
    assert values.shape == space
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, BASELINES[name](*copies, 3))
    for before, after in zip(copies, given, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", BASELINES)
def test_tensors_give_the_same_maps_and_the_seed_may_be_left_out(name):
    given = case(SPACES[0])
    tensors = [torch.from_numpy(part).requires_grad_(part.dtype == np.float32) for part in given]
    np.testing.assert_array_equal(BASELINES[name](*tensors), BASELINES[name](*given, 0))


def test_an_image_without_an_axis_of_channels_has_one():
    image, probability, segment = case(SPACES[0], channels=1)
    for draw in BASELINES.values():
        np.testing.assert_array_equal(draw(image[0], probability, segment), draw(image, probability, segment))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image": np.zeros((2, 5, 6))}, "image has 5 rows and 6 columns, wanted 17 rows and 26 columns"),
        ({"prediction": np.zeros((3, 17, 26))}, "prediction must be H x W, got 3 x 17 x 26"),
        ({"segment": np.full((17, 26), 0.5)}, "segment must be binary"),
    ],
)
def test_what_does_not_fit_together_is_refused(wrong, message):
    given = dict(zip(("image", "prediction", "segment"), case(SPACES[0]), strict=True)) | wrong
    for draw in BASELINES.values():
        with pytest.raises(ValueError, match=message):
            draw(*given.values())


def test_only_the_random_map_depends_on_the_seed():
    given = case(SPACES[0])
    changed = [name for name, draw in BASELINES.items() if (draw(*given, 1) != draw(*given, 2)).any()]
    assert changed == ["random", "random x image"]


def test_the_centre_is_highest_in_the_centre_and_falls_as_a_gaussian():
    values = BASELINES["centre"](*case((21, 41)), 0)
    assert np.unravel_index(values.argmax(), values.shape) == (10, 20)
    assert values[10, 20 + 10] == pytest.approx(np.exp(-0.5 * (10 / (41 / 4)) ** 2))
    np.testing.assert_allclose(values, values[::-1, ::-1])


def test_the_segment_and_the_probability_are_what_the_network_said():
    image, probability, segment = case(SPACES[0])
    np.testing.assert_array_equal(BASELINES["segment"](image, probability, segment, 0), segment)
    np.testing.assert_array_equal(BASELINES["probability"](image, probability, segment, 0), probability)


@pytest.mark.parametrize("space", SPACES)
def test_the_border_is_that_of_scikit_image(space):
    image, probability, segment = case(space)
    wanted = find_boundaries(segment, connectivity=1, mode="thick")
    np.testing.assert_array_equal(BASELINES["border"](image, probability, segment, 0), wanted)


@pytest.mark.parametrize("filled", [False, True])
def test_a_segment_without_a_border_gives_an_empty_map(filled):
    image, probability, segment = case(SPACES[0])
    assert not BASELINES["border"](image, probability, np.full_like(segment, filled), 0).any()


def test_the_edges_are_the_sobel_magnitude_worked_by_hand():
    image = np.zeros((2, 5, 6))
    image[0, :, 3:] = 2  # the mean over both channels steps by 1
    values = BASELINES["edges"](image, image[0], image[0] > 0, 0)
    np.testing.assert_allclose(values, np.tile([0, 0, 4, 4, 0, 0], (5, 1)))


def test_the_intensity_is_the_distance_from_the_median():
    image = np.array([[[5.0, 5.0, 1.0, 9.0, 5.0]], [[1.0, 1.0, 1.0, 1.0, 1.0]]])
    np.testing.assert_allclose(BASELINES["intensity"](image, image[0], image[0] > 0, 0), [[0, 0, 2, 2, 0]])


def test_the_segment_as_a_map_knows_nothing_of_a_far_cue():
    image, probability, segment, cue = np.zeros((1, 40, 90)), *np.zeros((3, 40, 90))
    segment[5:15, 5:15] = cue[10:20, 70:80] = 1
    values = BASELINES["segment"](image, probability, segment > 0, 0)
    assert localisation(values, segment=segment, cue=cue).cue_auc == 0.5
