from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.restoration import inpaint_biharmonic

from interpret_segmentation._settings import Unrecorded, as_data, from_data
from interpret_segmentation.perturb.fills import inpainting
from interpret_segmentation.perturb.fills.base import Fill, StaticFill
from interpret_segmentation.perturb.fills.named import as_fill
from interpret_segmentation.perturb.fills.simple import (
    Blur,
    Constant,
    Custom,
    Inpaint,
    LocalMean,
    Mean,
    Noise,
    Picture,
    White,
)

SPACES = [(1, 1), (1, 9), (6, 9), (9, 4), (4, 5, 6), (1, 3, 4)]


def halved(image, hidden):
    return np.where(hidden, image / 2, image)


def every_fill(image):
    constants = [Constant(0.25), Constant(tuple(range(len(image))))]
    others = [White(), Mean(), LocalMean(), Noise(3), Blur(), Blur(0.7), Inpaint(), Custom(halved)]
    return [*constants, *others, Picture(image.flip(-1).numpy()), Picture(image[0])]


def draw(space, channels=3, masks=4, seed=0, dtype=torch.float32, density=0.4):
    random = torch.Generator().manual_seed(seed)
    image = torch.randn(channels, *space, generator=random, dtype=dtype) * 3 + 1
    hidden = torch.rand(masks, *space, generator=random) < density
    return image, hidden


def applied(fill, image, hidden):
    values = fill.values(image, hidden).expand(len(hidden), *image.shape)
    return torch.where(hidden[:, None], values, image)


def brute_force_harmonic(image, hidden):
    """Each equation written down as a row of a dense matrix."""
    places = [tuple(place) for place in np.argwhere(hidden)]
    left, right = np.zeros((len(places), len(places))), np.zeros((len(places), len(image)))
    for row, place in enumerate(places):
        for axis, step in product(range(hidden.ndim), (-1, 1)):
            neighbour = tuple(p + step * (a == axis) for a, p in enumerate(place))
            if not all(0 <= p < side for p, side in zip(neighbour, hidden.shape, strict=True)):
                continue
            left[row, row] += 1
            if hidden[neighbour]:
                left[row, places.index(neighbour)] -= 1
            else:
                right[row] += image[(slice(None), *neighbour)]
    filled = image.copy()
    filled[:, hidden] = np.linalg.solve(left, right).T
    return filled


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_fill_gives_finite_values_that_fit_the_batch(space, channels, dtype):
    image, hidden = draw(space, channels, dtype=dtype)
    hidden[0], hidden[1] = True, False
    for fill in every_fill(image):
        values = fill.values(image, hidden)
        assert values.shape == (1 if fill.static else len(hidden), *image.shape), fill
        assert values.dtype == dtype
        assert torch.isfinite(values).all()
        assert isinstance(fill, StaticFill) == fill.static


@given(st.integers(0, 2**32), st.sampled_from(SPACES), st.permutations(range(4)))
def test_the_order_of_the_masks_does_not_matter(seed, space, order):
    image, hidden = draw(space, seed=seed)
    for fill in every_fill(image):
        whole = applied(fill, image, hidden)
        torch.testing.assert_close(applied(fill, image, hidden[order]), whole[order], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_the_size_of_the_batch_does_not_matter(space):
    image, hidden = draw(space, masks=5)
    for fill in every_fill(image):
        one_by_one = torch.cat([applied(fill, image, hidden[n : n + 1]) for n in range(5)])
        torch.testing.assert_close(one_by_one, applied(fill, image, hidden), rtol=1e-5, atol=1e-5)


def test_a_batch_of_no_masks_is_no_error():
    image, hidden = draw((4, 5), masks=0)
    for fill in every_fill(image):
        assert applied(fill, image, hidden).shape == (0, 3, 4, 5)


def test_memory_that_is_not_contiguous_gives_the_same_values():
    image, hidden = draw((6, 9))
    strided = torch.empty(9, 6, 6).permute(2, 1, 0)[::2].copy_(image)
    holes = torch.empty(9, 8, 6, dtype=torch.bool).permute(1, 2, 0)[::2].copy_(hidden)
    assert not strided.is_contiguous()
    assert not holes.is_contiguous()
    for fill in every_fill(image):
        assert torch.equal(applied(fill, strided, holes), applied(fill, image, hidden)), fill


def test_neither_the_image_nor_the_masks_are_changed():
    image, hidden = draw((6, 9))
    before = image.clone(), hidden.clone()
    for fill in every_fill(image):
        fill.values(image, hidden)
        assert torch.equal(image, before[0])
        assert torch.equal(hidden, before[1])


def test_random_numbers_of_others_are_left_alone():
    image, hidden = draw((6, 9))
    torch.rand(1)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for fill in every_fill(image):
        fill.values(image, hidden)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_fills_survive_being_saved():
    image, _ = draw((6, 9))
    for fill in every_fill(image):
        back = from_data(as_data(fill))
        assert type(back) is type(fill)
        assert back == fill
    assert len({repr(fill) for fill in every_fill(image)}) == len(every_fill(image))


def test_fills_with_other_settings_are_not_equal():
    assert Constant(1) != Constant(2)
    assert Constant(1) != Constant((1,))
    assert Noise(1) != Noise(2)
    assert Picture(np.zeros((2, 3))) != Picture(np.ones((2, 3)))
    assert Mean() != LocalMean()


def test_a_constant_is_one_number_or_one_for_each_channel():
    image, hidden = draw((2, 3))
    assert (Constant(7).values(image, hidden) == 7).all()
    assert (Constant((4, 5, 6)).values(image, hidden)[0, :, 1, 2] == torch.tensor([4, 5, 6])).all()
    assert (Constant((4,)).values(image, hidden) == 4).all()


@pytest.mark.parametrize(("channels", "cure"), [(3, "give one number or 3 of them"), (1, "give one number")])
def test_another_number_of_values_than_channels_is_told(channels, cure):
    image, hidden = draw((2, 3), channels)
    with pytest.raises(ValueError, match=f"fill has 2 values, but the image has {channels} channel.*{cure}$"):
        Constant((1, 2)).values(image, hidden)


@pytest.mark.parametrize("value", ["x", None, True, 1j, (1, "a"), ((1, 2), (3, 4)), ((1, 2), 3), [None]])
def test_a_constant_that_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="a constant fill must be a finite number"):
        Constant(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), (), (1, float("-inf"))])
def test_a_constant_that_is_not_finite_or_empty_is_refused(value):
    with pytest.raises(ValueError, match="a constant fill must be a finite number"):
        Constant(value)


@pytest.mark.parametrize("space", SPACES)
def test_the_mean_is_that_of_each_channel(space):
    image, _ = draw(space)
    for channel, filled in zip(image.numpy(), Mean().picture(image).numpy(), strict=True):
        np.testing.assert_allclose(filled, channel.mean(dtype=float), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_the_local_mean_is_that_of_the_hidden_pixels(space):
    image, hidden = draw(space)
    hidden.view(len(hidden), -1)[:, 0] = True
    values = LocalMean().values(image, hidden)
    for mask, filled in zip(hidden.numpy(), values.numpy(), strict=True):
        for channel, number in zip(image.numpy(), filled, strict=True):
            np.testing.assert_allclose(number, channel[mask].mean(dtype=float), rtol=1e-5, atol=1e-6)


def test_noise_has_the_mean_and_spread_of_each_channel():
    image = torch.randn(3, 200, 300, generator=torch.Generator().manual_seed(0))
    image = image * torch.tensor([0.1, 1, 50])[:, None, None] + torch.tensor([5, 0, -100])[:, None, None]
    noise = Noise().picture(image).flatten(1)
    torch.testing.assert_close(noise.std(1), image.flatten(1).std(1), rtol=0.02, atol=0)
    torch.testing.assert_close(noise.mean(1), image.flatten(1).mean(1), rtol=0.02, atol=0.02)
    skewed = ((noise - noise.mean(1, keepdim=True)) / noise.std(1, keepdim=True)) ** 4
    torch.testing.assert_close(skewed.mean(1), torch.full((3,), 3.0), rtol=0.05, atol=0)


def test_the_same_seed_draws_the_same_noise():
    image, _ = draw((6, 9))
    assert torch.equal(Noise(4).picture(image), Noise(4).picture(image))
    assert not torch.equal(Noise(4).picture(image), Noise(5).picture(image))
    torch.testing.assert_close(Noise(4).picture(image.double()).float(), Noise(4).picture(image))


@pytest.mark.parametrize("seed", [-1, 0.5, "x", None])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(ValueError, match="seed"):
        Noise(seed)


@pytest.mark.parametrize(("space", "sigma"), [
    ((240, 240), 10), ((240, 60), 5), ((48, 48, 48), 2), ((96, 24, 48), 2), ((10, 10), 1), ((1, 1), 1),
])  # fmt: skip
def test_blur_is_a_24th_of_the_image_and_at_least_a_pixel(space, sigma):
    image, _ = draw(space, channels=2)
    for channel, blurred in zip(image.numpy(), Blur().picture(image).numpy(), strict=True):
        expected = ndimage.gaussian_filter(channel, sigma, mode="nearest")
        np.testing.assert_allclose(blurred, expected, rtol=1e-5, atol=1e-6)


def test_blur_takes_the_sigma_it_is_given():
    image, _ = draw((20, 30), channels=1)
    expected = ndimage.gaussian_filter(image[0].numpy(), 2.5, mode="nearest")
    np.testing.assert_allclose(Blur(2.5).picture(image)[0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("sigma", [0, -1, float("nan"), float("inf"), "2", True])
def test_a_sigma_that_is_no_distance_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma of a blur must be"):
        Blur(sigma)


@given(st.integers(0, 2**32), st.sampled_from([*SPACES, (7,), (3, 3, 2, 2)]), st.floats(0.05, 0.95))
def test_inpainting_solves_the_equations_as_a_dense_solver_does(seed, space, density):
    image, hidden = draw(space, channels=2, masks=3, seed=seed, dtype=torch.float64, density=density)
    filled = applied(Inpaint(), image, hidden)
    for mask, result in zip(hidden.numpy(), filled.numpy(), strict=True):
        if not mask.all():
            np.testing.assert_allclose(result, brute_force_harmonic(image.numpy(), mask), atol=1e-10)


@pytest.mark.parametrize("space", [(17, 12), (9, 8, 7)])
def test_inpainting_continues_a_ramp_exactly(space):
    coordinates = np.meshgrid(*(np.arange(side, dtype=float) for side in space), indexing="ij")
    ramp = sum((axis + 1) * coordinate for axis, coordinate in enumerate(coordinates)) - 4
    hidden = np.zeros(space, dtype=bool)
    hidden[tuple(slice(2, side - 3) for side in space)] = True
    filled = applied(Inpaint(), torch.from_numpy(ramp)[None], torch.from_numpy(hidden)[None])[0, 0].numpy()
    np.testing.assert_allclose(filled, ramp, atol=1e-11)
    np.testing.assert_allclose(filled, inpaint_biharmonic(ramp, hidden), atol=1e-6)


def test_inpainting_a_hole_at_the_edge_takes_what_is_beside_it():
    image = torch.arange(5.0).expand(1, 3, 5)
    hidden = torch.zeros(1, 3, 5, dtype=torch.bool)
    hidden[..., 2:] = True
    torch.testing.assert_close(applied(Inpaint(), image, hidden)[0, 0, 0], torch.tensor([0.0, 1, 1, 1, 1]))


@pytest.mark.parametrize("space", SPACES)
def test_inpainting_an_image_that_is_all_hidden_gives_its_mean(space):
    image, _ = draw(space)
    filled = applied(Inpaint(), image, torch.ones(2, *space, dtype=torch.bool))
    torch.testing.assert_close(filled, Mean().picture(image).expand(2, *image.shape), rtol=1e-5, atol=1e-6)


def test_inpainted_values_stay_between_those_around_the_hole():
    image, hidden = draw((40, 30), masks=6, density=0.8)
    image[:, 20:, :] += 1000
    filled = applied(Inpaint(), image, hidden)
    for mask, result in zip(hidden, filled, strict=True):
        for channel, seen in zip(result, image, strict=True):
            assert channel[mask].min() >= seen[~mask].min() - 1e-3
            assert channel[mask].max() <= seen[~mask].max() + 1e-3


@pytest.mark.parametrize("brightness", [0.0, 1000.0])
def test_a_large_hole_in_a_volume_is_solved_by_steps_to_the_same_answer(brightness, monkeypatch):
    image, hidden = draw((20, 22, 24), channels=2, masks=1, dtype=torch.float64, density=0.9)
    image[1] = 5
    image += brightness
    assert int(hidden.sum()) > inpainting.SMALL
    by_steps = applied(Inpaint(), image, hidden)
    monkeypatch.setattr(inpainting, "SMALL", 10**6)
    direct = applied(Inpaint(), image, hidden)
    torch.testing.assert_close(by_steps, direct, rtol=1e-9, atol=1e-7)
    assert not torch.equal(by_steps, direct)


def test_a_hole_met_before_is_filled_from_where_it_is_now():
    image, hidden = draw((30, 40), masks=3, dtype=torch.float64)
    hidden[:] = False
    hidden[0, 5:9, 5:12] = hidden[1, 20:24, 30:37] = hidden[2, 26:, 33:] = True
    for mask, result in zip(hidden.numpy(), applied(Inpaint(), image, hidden).numpy(), strict=True):
        np.testing.assert_allclose(result, brute_force_harmonic(image.numpy(), mask), atol=1e-10)


def test_holes_with_equal_bits_in_boxes_of_other_shapes_are_not_confused():
    image, _ = draw((8, 8), dtype=torch.float64)
    hidden = torch.zeros(2, 8, 8, dtype=torch.bool)
    hidden[0, 3, :] = True
    hidden[1, :, 3] = True
    upright = applied(Inpaint(), image, hidden[:1])
    turned = applied(Inpaint(), image.transpose(1, 2), hidden[1:])
    torch.testing.assert_close(turned.transpose(2, 3), upright)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_picture_replaces_the_image_and_is_not_shared_with_it(dtype):
    image, hidden = draw((4, 5))
    other = np.arange(60, dtype=dtype).reshape(3, 4, 5)
    fill = Picture(other)
    expected = other.astype(np.float32)
    other[:] = 0
    assert (fill.values(image, hidden)[0].numpy() == expected).all()
    fill.picture(image).zero_()
    assert (fill.picture(image).numpy() == expected).all()


def test_a_picture_without_channels_is_for_all_of_them():
    image, hidden = draw((4, 5))
    filled = Picture(torch.arange(20.0).view(4, 5)).values(image, hidden)
    assert (filled == torch.arange(20.0).view(4, 5)).all()


@pytest.mark.parametrize(("shape", "cure"), [
    ((3, 5, 4), "resize it first"), ((1, 4, 5), "resize it first"), ((5, 4), "resize it first"),
    ((4, 5, 3), r"numpy.moveaxis\(fill, -1, 0\)"),
])  # fmt: skip
def test_a_picture_of_another_size_is_refused(shape, cure):
    image, hidden = draw((4, 5))
    came = " x ".join(map(str, shape))
    message = f"fill must be a picture of the image's size, 3 x 4 x 5 or 4 x 5, got {came}; .*{cure}"
    with pytest.raises(ValueError, match=message):
        Picture(np.zeros(shape)).values(image, hidden)


def test_a_picture_must_be_of_finite_real_numbers():
    with pytest.raises(ValueError, match="fill holds NaN"):
        Picture(np.array([[1, np.nan]]))
    with pytest.raises(TypeError, match="real numbers"):
        Picture(torch.zeros(2, 2, dtype=torch.complex64))
    with pytest.raises(TypeError, match="fill must be"):
        Picture(np.array([["a"]]))


def test_a_function_is_called_once_for_every_mask_with_arrays_of_its_own():
    image, hidden = draw((4, 5))
    calls = []

    def painter(pixels, mask):
        calls.append(mask.copy())
        assert pixels.dtype == np.float32
        assert mask.dtype == bool
        assert (pixels == image.numpy()).all()
        pixels[:, mask] = len(calls)
        mask[:] = True
        return pixels

    filled = Custom(painter).values(image, hidden)
    assert (np.array(calls) == hidden.numpy()).all()
    for number, mask in enumerate(hidden):
        assert (filled[number][:, mask] == number + 1).all()
        assert (filled[number][:, ~mask] == image[:, ~mask]).all()


def test_a_function_may_return_a_tensor_or_whole_numbers():
    image, hidden = draw((4, 5))
    ones = Custom(lambda pixels, _: torch.ones(pixels.shape, requires_grad=True))
    twos = Custom(lambda pixels, _: np.full(pixels.shape, 2, dtype=np.uint8))
    assert (ones.values(image, hidden) == 1).all()
    assert (twos.values(image, hidden) == 2).all()


@pytest.mark.parametrize(("function", "error", "message"), [
    (lambda pixels, _: pixels[0], ValueError, "fill .*lambda.* shape it gets, 3 x 4 x 5, got 4 x 5"),
    (lambda pixels, _: pixels * np.nan, ValueError, "fill .*lambda.* returned NaN"),
    (lambda *_: None, TypeError, "what fill .*lambda.* returns must be"),
    (lambda pixels, _: torch.as_tensor(pixels) * 1j, TypeError, "what fill .*lambda.* real numbers"),
])  # fmt: skip
def test_what_a_function_returns_is_checked(function, error, message):
    image, hidden = draw((4, 5))
    with pytest.raises(error, match=message):
        Custom(function).values(image, hidden)


def test_a_function_that_was_not_saved_is_asked_for():
    image, hidden = draw((4, 5))
    back = from_data(as_data(Custom(halved)))
    assert isinstance(back.function, Unrecorded)
    with pytest.raises(TypeError, match=r"halved, not saved.*give it again"):
        back.values(image, hidden)


@pytest.mark.parametrize(("value", "fill"), [
    (Blur(3), Blur(3)), ("black", Constant(0)), ("white", White()), ("mean", Mean()),
    ("local_mean", LocalMean()), ("noise", Noise(0)), ("blur", Blur(None)), ("inpaint", Inpaint()),
    (2, Constant(2.0)), (np.float32(0.5), Constant(0.5)), (np.int64(3), Constant(3)),
    (torch.tensor(2.0), Constant(2)), ([1, 2], Constant((1.0, 2.0))), (np.array([1, 2]), Constant((1, 2))),
    (torch.tensor([1, 2]), Constant((1, 2))), (np.eye(2), Picture(np.eye(2))),
    (torch.eye(2), Picture(np.eye(2, dtype=np.float32))), (halved, Custom(halved)),
])  # fmt: skip
def test_a_fill_is_understood_however_it_is_told(value, fill):
    assert as_fill(value) == fill


@pytest.mark.parametrize("value", [None, True, object(), {"value": 1}, {1, 2}, np.array(True)])
def test_what_is_no_fill_is_refused_with_a_list_of_what_fits(value):
    with pytest.raises(TypeError, match=r"fill must be one of 'black'.*'inpaint', a number.*function"):
        as_fill(value)


def test_a_name_that_no_fill_has_is_refused_with_a_list_of_names():
    with pytest.raises(ValueError, match=r"fill must be one of 'black'.*'inpaint'.*got 'grey'"):
        as_fill("grey")


def test_a_class_in_place_of_a_fill_is_refused_with_the_cure():
    with pytest.raises(TypeError, match=r"give Blur\(...\)"):
        as_fill(Blur)


def test_a_fill_without_values_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Fill()
