import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from interpret_segmentation import Preprocess, SegmentationModel, explain
from interpret_segmentation._settings import as_data, from_data

SOME = [
    Preprocess(),
    Preprocess(scale=1 / 255),
    Preprocess(mean=0.5, std=0.25),
    Preprocess(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    Preprocess(channels=(2, 1, 0)),
    Preprocess(channels=(0, 0, 0), multiple=32),
]


def numbers(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("space", [(5, 7), (2, 3, 4)])
def test_pixels_are_scaled_then_the_mean_is_taken_off_then_divided(space):
    batch = 255 * numbers(2, 3, *space)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    ready = Preprocess(1 / 255, mean, std)(batch)
    assert ready.shape == batch.shape
    for channel in range(3):
        expected = (batch[:, channel].double().numpy() / 255 - mean[channel]) / std[channel]
        np.testing.assert_allclose(ready[:, channel].numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_one_number_is_for_all_channels(channels):
    batch = numbers(2, channels, 5, 7)
    torch.testing.assert_close(Preprocess(2, 0.5, 4)(batch), (2 * batch - 0.5) / 4)


def test_without_settings_nothing_happens():
    batch = numbers(2, 3, 5, 7)
    assert torch.equal(Preprocess()(batch), batch)


def test_the_users_images_are_left_alone():
    batch = torch.ones(1, 3, 5, 7)
    Preprocess(0.5, 1, 2, (2, 1, 0), 4)(batch)
    assert (batch == 1).all()


@pytest.mark.parametrize("channels", [(2, 1, 0), (0,), (0, 0, 0), (1, 2), (2, 2, 0, 1)])
def test_channels_are_chosen_in_their_order(channels):
    batch = numbers(2, 3, 5, 7)
    ready = Preprocess(channels=channels)(batch)
    assert ready.shape == (2, len(channels), 5, 7)
    for place, channel in enumerate(channels):
        assert torch.equal(ready[:, place], batch[:, channel])


def test_mean_and_std_are_those_of_the_chosen_channels():
    batch = torch.tensor([10.0, 20.0]).view(1, 2, 1, 1).expand(1, 2, 3, 4)
    ready = Preprocess(mean=(20, 10, 0), std=(1, 1, 2), channels=(1, 0, 1))(batch)
    assert ready[0, :, 0, 0].tolist() == [0, 0, 10]


@pytest.mark.parametrize(
    ("space", "multiple", "wanted"),
    [
        ((50, 70), 32, (64, 64)),
        ((47, 33), 32, (32, 32)),
        ((64, 96), 32, (64, 96)),
        ((5, 7), 32, (32, 32)),
        ((5, 7), 1, (5, 7)),
        ((5, 7), 2, (4, 8)),
        ((9, 21, 30), 8, (8, 24, 32)),
    ],
)
def test_sides_become_the_nearest_multiple(space, multiple, wanted):
    batch = numbers(2, 1, *space)
    ready = Preprocess(multiple=multiple)(batch)
    assert ready.shape[2:] == wanted
    mode = "bilinear" if len(space) == 2 else "trilinear"
    expected = batch if wanted == space else F.interpolate(batch, wanted, mode=mode, align_corners=False)
    torch.testing.assert_close(ready, expected)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))
def test_no_multiple_is_nearer(height, width, multiple):
    ready = Preprocess(multiple=multiple)(torch.zeros(1, 1, height, width))
    for side, became in zip((height, width), ready.shape[2:], strict=True):
        assert became % multiple == 0
        assert became > 0
        assert abs(became - side) <= multiple / 2 or became == multiple


def test_the_answer_comes_back_in_the_images_size():
    seen = []

    def model(images):
        seen.append(tuple(images.shape))
        return images[:, :1]

    asked = SegmentationModel(model, preprocess=Preprocess(multiple=8))
    assert asked.probabilities(numbers(1, 1, 19, 30)).shape == (1, 1, 19, 30)
    assert seen == [(1, 1, 16, 32)]
    assert asked.decisions["resized"] is True


@pytest.mark.parametrize("space", [(50, 70), (19, 30)])
def test_a_resized_flat_image_stays_flat(space):
    assert (Preprocess(multiple=32)(torch.full((1, 2, *space), 0.25)) == 0.25).all()


def test_black_is_hidden_before_the_mean_is_taken_off():
    image = 100 + numbers(1, 12, 15)
    darkest = []

    def model(images):
        darkest.append(images.min().item())
        return images[:, :1].clamp(0, 1)

    asked = {"preprocess": Preprocess(mean=100), "progress": False}
    with pytest.warns(UserWarning, match="the fill black"):
        explain(model, image, "occlusion", score="dice", fill="black", **asked)
    assert darkest[0] >= 0
    assert min(darkest[1:]) == -100


def test_a_channel_that_the_image_lacks_is_refused():
    with pytest.raises(ValueError, match=r"preprocess takes the channels \(0, 3\), but the image has 3"):
        Preprocess(channels=(0, 3))(torch.zeros(1, 3, 5, 7))


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize("values", [(1, 2), (1, 2, 3, 4)])
def test_there_are_as_many_means_as_channels(name, values):
    with pytest.raises(
        ValueError, match=rf"preprocess has {len(values)} values of mean or std for 3 channels"
    ):
        Preprocess(**{name: values})(torch.zeros(1, 3, 5, 7))


@pytest.mark.parametrize("std", [0, 0.0, (1, 0, 1)])
def test_a_std_of_0_is_refused(std):
    with pytest.raises(ValueError, match="std must not be 0"):
        Preprocess(std=std)


@pytest.mark.parametrize(
    ("multiple", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), ("8", TypeError)]
)
def test_a_multiple_is_a_positive_whole_number(multiple, error):
    with pytest.raises(error, match="multiple must be"):
        Preprocess(multiple=multiple)


def test_a_whole_number_of_any_type_will_do_as_multiple():
    assert Preprocess(multiple=32.0)(torch.zeros(1, 1, 50, 70)).shape == (1, 1, 64, 64)


@pytest.mark.parametrize("channels", [(-4,), (), (0.5,), 2, ("red",)], ids=repr)
def test_what_are_no_channels_is_refused(channels):
    with pytest.raises((TypeError, ValueError), match="channels"):
        Preprocess(channels=channels)(torch.zeros(1, 3, 5, 7))


@pytest.mark.parametrize("name", ["scale", "mean", "std"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "x", None], ids=repr)
def test_settings_are_finite_numbers(name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        Preprocess(**{name: value})


@pytest.mark.parametrize(
    "value", [np.float32(0.5), np.array(0.5), torch.tensor(0.5), [0.5], np.array([0.5])], ids=repr
)
def test_numbers_of_any_type_will_do(value):
    batch = numbers(1, 2, 3, 4)
    torch.testing.assert_close(Preprocess(mean=value, std=value)(batch), (batch - 0.5) / 0.5)


def test_8_bit_images_are_not_cut_off():
    batch = torch.full((1, 1, 2, 3), 255, dtype=torch.uint8)
    torch.testing.assert_close(Preprocess(1 / 255, 0.5, 0.25)(batch), torch.full((1, 1, 2, 3), 2.0))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_the_precision_of_the_images_is_kept(kind):
    assert Preprocess(0.5, 0.1, 0.2, multiple=4)(torch.ones(1, 1, 5, 7, dtype=kind)).dtype == kind


@pytest.mark.parametrize("one", SOME, ids=repr)
def test_it_survives_being_saved(one):
    again = from_data(as_data(one))
    assert again == one
    assert hash(again) == hash(one)
    batch = numbers(1, 3, 40, 50)
    assert torch.equal(again(batch), one(batch))


def test_lists_arrays_and_tensors_are_kept_as_numbers():
    tuples = Preprocess(mean=(0.5, 0.25), std=(1.0, 2.0), channels=(1, 0))
    for make in (list, np.array, torch.tensor):
        assert Preprocess(mean=make([0.5, 0.25]), std=make([1.0, 2.0]), channels=make([1, 0])) == tuples
    assert repr(tuples) == "Preprocess(mean=(0.5, 0.25), std=(1.0, 2.0), channels=(1, 0))"


@pytest.mark.parametrize(
    ("one", "other"), [({"scale": 2}, {"scale": 2.0}), ({"multiple": 8}, {"multiple": np.int64(8)})]
)
def test_equal_ones_have_equal_hashes(one, other):
    assert Preprocess(**one) == Preprocess(**other)
    assert hash(Preprocess(**one)) == hash(Preprocess(**other))


def test_an_explanation_with_it_can_be_repeated_at_once_and_from_a_file(tmp_path):
    image = 255 * numbers(1, 12, 15)
    chosen = Preprocess(scale=1 / 255)
    first = explain(lambda images: images, image, "occlusion", preprocess=chosen, progress=False)
    first.save(tmp_path / "map.safetensors")
    for one in (type(first).load(tmp_path / "map.safetensors"), first):
        again = one.repeat(lambda images: images, progress=False)
        assert np.array_equal(again.saliency, first.saliency)
        assert one.settings["preprocess"] == chosen
