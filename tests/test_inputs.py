import numpy as np
import pytest
import torch

from interpret_segmentation.inputs import as_image, as_positive, as_region


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, np.uint16, np.uint32, np.int64, np.float16, np.float64, bool]
)
def test_numbers_of_any_kind_keep_their_value(dtype):
    image = (np.arange(12).reshape(3, 4) % 2).astype(dtype)
    converted = as_image(image, 2, (3, 4))
    assert converted.is_floating_point()
    assert converted.shape == (1, 3, 4)
    np.testing.assert_array_equal(converted[0].numpy(), image.astype(float))


def test_a_read_only_array_is_accepted_and_left_alone():
    image = np.ones((3, 4), dtype=np.float32)
    image.flags.writeable = False
    as_image(image, 2, (3, 4)).clone().zero_()
    assert (image == 1).all()


def test_an_image_that_needs_gradients_is_detached():
    assert not as_image(torch.ones(3, 4, requires_grad=True), 2, (3, 4)).requires_grad


@pytest.mark.parametrize(
    "image", ["cat.png", None, np.array(["a"]), np.array([1, None]), np.ones((3, 4), complex)]
)
def test_what_is_no_array_of_numbers_is_refused(image):
    with pytest.raises(TypeError, match="image must be a PyTorch tensor or an array of numbers"):
        as_image(image, 2, (3, 4))


def test_complex_tensors_are_refused():
    with pytest.raises(TypeError, match="real numbers"):
        as_image(torch.ones(3, 4, dtype=torch.complex64), 2, (3, 4))


@pytest.mark.parametrize("shape", [(4,), (), (2, 1, 3, 4), (1, 1, 1, 3, 4)])
def test_other_numbers_of_axes_are_refused(shape):
    with pytest.raises(ValueError, match="image must be H x W, C x H x W or 1 x C x H x W, got"):
        as_image(torch.zeros(shape), 2, (3, 4))


def test_an_image_without_channels_is_refused():
    with pytest.raises(ValueError, match="no channels"):
        as_image(torch.zeros(0, 3, 4), 2, (3, 4))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_refused(value):
    image = torch.zeros(3, 4)
    image[1, 1] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        as_image(image, 2, (3, 4))


def test_a_channels_last_image_is_told_what_was_wanted():
    with pytest.raises(ValueError, match=r"channels first, C x 4 x 5, got 4 x 5 x 3; .*movedim\(-1, 0\)"):
        as_image(torch.zeros(4, 5, 3), 2, (4, 5))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (1, 2, 3, 4)])
def test_a_region_is_two_dimensional(shape):
    with pytest.raises(ValueError, match="region must be H x W"):
        as_region(torch.zeros(shape), (3, 4))


def test_a_number_is_positive_and_whole():
    assert as_positive(np.int64(3), "n") == 3
    assert as_positive(4.0, "n") == 4
    for wrong in (2.5, "x", None, True, float("nan"), [3]):
        with pytest.raises(TypeError, match="n must be a whole number"):
            as_positive(wrong, "n")
