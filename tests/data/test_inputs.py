import io

import numpy as np
import pytest
import torch
from PIL import Image

from interpret_segmentation.data.inputs import (
    as_copy,
    as_image,
    as_map,
    as_positive,
    as_probability,
    as_region,
    as_seed,
    as_tensor,
    as_whole,
    named,
)


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


@pytest.mark.parametrize("image", [None, np.array(["a"]), np.array([1, None]), np.ones((3, 4), complex)])
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


@pytest.mark.parametrize(
    ("shape", "dims", "wanted"),
    [
        ((3, 4), None, (1, 3, 4)),
        ((2, 3, 4), None, (2, 3, 4)),
        ((1, 2, 3, 4), None, (2, 3, 4)),
        ((1, 2, 3, 4, 5), None, (2, 3, 4, 5)),
        ((3, 4, 5), 3, (1, 3, 4, 5)),
        ((2, 3, 4, 5), 3, (2, 3, 4, 5)),
        ((1, 3, 4, 5), 3, (1, 3, 4, 5)),
        ((1, 2, 3, 4, 5), 3, (2, 3, 4, 5)),
    ],
)
def test_an_image_becomes_channels_and_space(shape, dims, wanted):
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    converted = as_image(image, dims)
    assert tuple(converted.shape) == wanted
    assert converted.flatten().tolist() == image.ravel().tolist()


@pytest.mark.parametrize("dims", [2, 3])
def test_a_batch_of_several_images_is_refused(dims):
    with pytest.raises(ValueError, match="explain the images of a batch one by one"):
        as_image(torch.zeros(2, 3, *[4] * dims), dims)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_photograph_with_its_channels_last_is_refused_without_a_known_size(channels):
    with pytest.raises(ValueError, match=rf"channels first, C x H x W, got 40 x 50 x {channels}; move them"):
        as_image(np.zeros((40, 50, channels)), None)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4), ("F", 1), ("I", 1)])
def test_a_pil_image_keeps_its_values_and_gets_its_channels_first(mode, channels):
    picture = Image.new(mode, (5, 3))
    assert picture.size == (5, 3)
    picture.putpixel((4, 1), tuple(range(7, 7 + channels)) if channels > 1 else 7)
    converted = as_image(picture, None)
    assert tuple(converted.shape) == (channels, 3, 5)
    assert converted[:, 1, 4].tolist() == list(range(7, 7 + channels))
    assert converted.sum() == sum(range(7, 7 + channels)) or mode == "RGBA"


@pytest.mark.parametrize("steps", [np.s_[::-1], np.s_[:, ::-1], np.s_[::2, ::2]])
def test_views_of_arrays_are_read_as_they_look(steps):
    image = np.arange(24.0).reshape(4, 6)[steps]
    np.testing.assert_array_equal(as_image(image)[0].numpy(), image)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f4", "u2", "i8"])
def test_either_byte_order_is_read(order, kind):
    array = np.arange(6).reshape(2, 3).astype(order + kind)
    np.testing.assert_array_equal(as_tensor(array, "x").numpy(), np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("space", [(3, 4), (2, 3, 4)])
@pytest.mark.parametrize("axes", [0, 1, 2])
def test_a_map_loses_the_axes_of_length_one_before_it(space, axes):
    values = torch.arange(np.prod(space)).reshape(*[1] * axes, *space)
    assert torch.equal(as_map(values, space, name="x"), values.reshape(space))


@pytest.mark.parametrize(
    ("shape", "space", "message"),
    [
        ((3, 5), (3, 4), "x has 3 rows and 5 columns, wanted 3 rows and 4 columns"),
        ((4, 3), (3, 4), "the sizes are swapped"),
        ((2, 3, 5), (2, 3, 4), r"x has 2 x 3 x 5 voxels, wanted 2 x 3 x 4 \(depth x rows x columns\)"),
        ((3, 4), (2, 3, 4), "x must be D x H x W, got 3 x 4"),
        ((2, 3, 4), (3, 4), "x must be H x W, got 2 x 3 x 4"),
        ((), (3, 4), "x must be H x W, got a single number"),
    ],
)
def test_a_map_of_another_size_is_told_both(shape, space, message):
    with pytest.raises(ValueError, match=message):
        as_map(np.zeros(shape), space, name="x")


def test_a_copy_is_its_own_whatever_its_type():
    for kind in (torch.float16, torch.bfloat16, torch.float64, torch.uint8):
        original = torch.ones(2, 3, dtype=kind)
        copy = as_copy(original, "x")
        original.zero_()
        assert (copy == 1).all()


@pytest.mark.parametrize(
    "value", [3, 3.0, np.float32(3), np.int8(3), np.array(3), torch.tensor(3), torch.tensor([3])]
)
def test_a_whole_number_of_any_type_is_an_int(value):
    assert as_whole(value, "n") == 3
    assert type(as_whole(value, "n")) is int


@pytest.mark.parametrize("value", [2.5, "3", None, True, float("nan"), [3], 3j, np.array([1, 2])], ids=repr)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(TypeError, match="n must be a whole number"):
        as_whole(value, "n")


@pytest.mark.parametrize("value", [float("inf"), -np.inf, np.bool_(True)], ids=repr)
def test_neither_infinity_nor_numpys_truth_is_a_whole_number(value):
    with pytest.raises(TypeError, match="n must be a whole number"):
        as_whole(value, "n")


@pytest.mark.parametrize("value", [0, -0.5, 1.5, float("nan"), "half", None])
def test_a_probability_is_above_0_and_at_most_1(value):
    assert as_probability(np.float32(0.5), "p") == 0.5
    assert as_probability(1, "p") == 1
    with pytest.raises(ValueError, match="p must be a number above 0 and at most 1"):
        as_probability(value, "p")


@pytest.mark.parametrize("value", [-1, 2**63, 1.0, "x"])
def test_a_seed_is_none_or_a_whole_number(value):
    assert as_seed(None) is None
    assert as_seed(np.int64(3)) == 3
    with pytest.raises(ValueError, match="seed must be None or a whole number"):
        as_seed(value)


def test_what_came_is_named_in_a_few_words():
    assert named(np.ones((3, 4))) == "an array of 3 x 4"
    assert named(int) == "the class int, not an object: int(...)"
    assert named("a") == "'a'"


def test_tensors_without_values_of_their_own_are_refused():
    with pytest.raises(TypeError, match=r"pass image.to_dense\(\)"):
        as_image(torch.ones(1, 3, 4).to_sparse())
    with pytest.raises(TypeError, match="must have values"):
        as_image(torch.ones(1, 3, 4, device="meta"))


@pytest.mark.parametrize(
    ("shape", "dims", "wanted"),
    [
        ((60, 80, 1), None, (1, 60, 80)),
        ((60, 80, 1), 2, (1, 60, 80)),
        ((1, 60, 80, 1), None, (1, 60, 80)),
        ((1, 60, 80, 1), 2, (1, 60, 80)),
        ((6, 7, 1), 2, (1, 6, 7)),
        ((9, 60, 80, 1), 3, (1, 9, 60, 80)),
        ((1, 9, 60, 80, 1), None, (1, 9, 60, 80)),
        # a column of pixels stays one
        ((3, 80, 1), 2, (3, 80, 1)),
        ((1, 3, 80, 1), 2, (3, 80, 1)),
        ((1, 80, 1), 2, (1, 80, 1)),
        ((60, 1, 1), 2, (60, 1, 1)),
        ((4, 60, 80, 1), 3, (4, 60, 80, 1)),
    ],
)
@pytest.mark.parametrize("as_stated", [False, True])
def test_a_single_channel_may_come_last(shape, dims, wanted, as_stated):
    values = np.arange(np.prod(shape)).reshape(shape)
    image = as_image(values, dims, as_stated=as_stated)
    assert torch.equal(image, torch.from_numpy(values.reshape(wanted)).float())


@pytest.mark.parametrize(
    ("shape", "space", "wanted"),
    [
        ((3, 80, 1), (3, 80), (1, 3, 80)),
        ((3, 80, 1), (80, 1), (3, 80, 1)),
        ((60, 80, 1), (80, 1), (60, 80, 1)),
        ((1, 80, 1), (1, 80), (1, 1, 80)),
    ],
)
def test_a_known_size_says_whether_the_channel_comes_last(shape, space, wanted):
    assert as_image(np.zeros(shape), 2, space).shape == wanted


@pytest.mark.parametrize("space", [(3, 4), (2, 3, 4), (1, 4), (4, 1), (1, 1), (1, 3, 1)])
@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("behind", [0, 1, 2])
def test_a_map_loses_the_axes_of_length_one_around_it(space, before, behind):
    values = torch.arange(np.prod(space)).reshape(*[1] * before, *space, *[1] * behind)
    assert torch.equal(as_map(values, space, name="x"), values.reshape(space))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 4), r"x must be H x W, got 2 x 3 x 4; pass one, x\[0\] say"),
        ((3, 4, 2), r"x must be H x W, got 3 x 4 x 2; pass one, x\[..., 0\] say"),
        ((3, 5, 1), "x has 3 rows and 5 columns, wanted 3 rows and 4 columns"),
    ],
)
def test_several_masks_at_once_are_told_to_choose(shape, message):
    with pytest.raises(ValueError, match=message):
        as_map(np.zeros(shape), (3, 4), name="x")


def test_a_mask_of_many_greys_is_told_of_the_middle():
    with pytest.raises(ValueError, match="or `x > 127` of a mask whose edges are blurred"):
        as_region(np.array([[0, 3], [200, 255]], np.uint8), (2, 2), name="x")


def sideways(array, orientation=6, **options):
    """A picture in memory that is stored lying on its side, as phones do."""
    entry, store = Image.Exif(), io.BytesIO()
    entry[0x0112] = orientation
    Image.fromarray(array).save(store, exif=entry, **options)
    store.seek(0)
    return Image.open(store)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pil_image_is_turned_as_its_exif_entry_says(orientation):
    array = np.arange(60, dtype=np.uint8).reshape(6, 10)
    upright = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.T,
        6: np.rot90(array, -1),
        7: array[::-1, ::-1].T,
        8: np.rot90(array),
    }[orientation]
    for pixels in (array, np.stack([array, array + 60, array + 120], axis=-1)):
        image = as_image(sideways(pixels, orientation, format="PNG"))
        assert torch.equal(image[0], torch.from_numpy(upright.astype(np.float32)))


def test_a_pil_mask_is_turned_and_its_255_counts_as_1():
    array = np.zeros((6, 10), np.uint8)
    array[1:3, 2:7] = 255
    for picture in (sideways(array, format="PNG"), sideways(array, format="TIFF")):
        mask = as_region(picture, (10, 6))
        np.testing.assert_array_equal(mask, np.rot90(array, -1) > 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_pil_mask_may_have_any_mode(mode):
    array = np.zeros((6, 10), np.uint8)
    array[1:3, 2:7] = 1 if mode == "P" else 255
    if mode == "P":
        picture = Image.fromarray(array)
        picture.putpalette([0, 0, 0, 255, 0, 0])
    else:
        picture = Image.fromarray(array).convert(mode)
    np.testing.assert_array_equal(as_region(picture, (6, 10)), array > 0)
    assert as_region(as_copy(picture, "within"), (6, 10)).sum() == 10


def test_a_pil_mask_in_colours_is_refused():
    picture = Image.new("RGB", (10, 6), (255, 0, 0))
    with pytest.raises(ValueError, match=r"reference has colours \(RGB\)"):
        as_map(picture, (6, 10), name="reference")


def test_a_picture_that_breaks_off_is_told_when_it_is_used():
    store = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)).save(store, "PNG")
    picture = Image.open(io.BytesIO(store.getvalue()[:-2000]))
    with pytest.raises(ValueError, match=r"image cannot be decoded: .*; save or copy the picture again"):
        as_image(picture)
