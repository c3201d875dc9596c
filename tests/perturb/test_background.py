"""The fill that suits the image, white that the image can have, and black that is black."""

import warnings

import numpy as np
import pytest
import torch

from interpret_segmentation import HDM, RISE, Explanation, Occlusion, explain
from interpret_segmentation._settings import as_data, from_data
from interpret_segmentation.evaluate import deletion
from interpret_segmentation.hdm import HausdorffDistanceMasks
from interpret_segmentation.perturb.fills.background import Background
from interpret_segmentation.perturb.fills.named import as_fill, told
from interpret_segmentation.perturb.fills.ranges import check_black, white_of
from interpret_segmentation.perturb.fills.simple import Constant, Noise, Picture
from interpret_segmentation.rise import SegmentationRISE

SIZES = {"hdm": {"offset": 6}, "occlusion": {"offset": 6}, "rise": {"N": 60, "seed": 0}}


def warned(run):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run()
    return [str(one.message) for one in said]


def wall(brightness=0.8, channels=3):
    """A bright wall with a thing on it that is brighter still in the first channel."""
    image = torch.full((channels, 24, 30), brightness) + torch.linspace(-0.05, 0.05, 30)
    image[:, 6:14, 4:12] = 0.1
    image[0, 6:14, 4:12] = 1
    return image


def red(batch):
    """A network that finds what is red, or black: both are far from the wall's colour."""
    return ((batch - 0.8).abs().amax(1, keepdim=True) * 4 - 1).clamp(0, 1)


class TestTheColour:
    def test_it_is_the_median_of_each_channel_outside_the_segment(self):
        image, segment = torch.rand(3, 7, 9), np.zeros((7, 9), dtype=bool)
        segment[2:5, 3:6] = True
        expected = [np.sort(channel[~segment])[(54 - 1) // 2] for channel in image.numpy()]
        fill = as_fill("background").for_segment(segment)
        np.testing.assert_allclose(fill.picture(image)[:, 0, 0], expected)
        np.testing.assert_array_equal(fill.picture(image), fill.picture(image)[:, :1, :1].expand(3, 7, 9))

    @pytest.mark.parametrize("segment", [np.ones((4, 5), bool), np.zeros((4, 5), bool), None])
    def test_of_all_pixels_where_the_segment_is_all_nothing_or_unknown(self, segment):
        image = torch.rand(2, 4, 5)
        fill = Background() if segment is None else Background().for_segment(segment)
        assert fill.colour(image) == tuple(image.flatten(1).median(1).values.tolist())

    def test_in_volumes_and_in_double_precision(self):
        image, segment = torch.rand(1, 3, 4, 5, dtype=torch.float64), np.zeros((3, 4, 5), bool)
        segment[1] = True
        picture = Background(segment).picture(image)
        assert picture.dtype == torch.float64
        assert picture.unique().item() == image[:, [0, 2]].flatten().median().item()

    def test_another_region_can_be_said_and_is_kept_for_every_segment(self):
        mine = np.zeros((4, 5), bool)
        mine[0] = True
        fill = Background(mine)
        assert fill.for_segment(~mine) is fill
        assert from_data(as_data(fill)) == fill

    def test_a_region_of_another_size_is_refused(self):
        with pytest.raises(ValueError, match="segment has 3 rows"):
            Background(np.zeros((3, 3))).picture(torch.rand(1, 4, 5))

    @pytest.mark.parametrize("fill", [Constant(0.3), Noise(), Picture(torch.rand(4, 5))])
    def test_other_fills_are_the_same_for_every_segment(self, fill):
        assert fill.for_segment(np.ones((4, 5), bool)) is fill


class TestAsTheDefault:
    @pytest.mark.parametrize("method", SIZES)
    def test_every_method_hides_with_the_background(self, method):
        given = {"target": 0, "progress": False, **SIZES[method]}
        made = explain(red, wall(), method, **given)
        np.testing.assert_array_equal(
            made.saliency, explain(red, wall(), method, fill="background", **given).saliency
        )
        segment = (red(wall()[None])[0, 0] > 0.5).numpy()
        colour = Background(segment).colour(wall())
        np.testing.assert_allclose(
            made.saliency, explain(red, wall(), method, fill=colour, **given).saliency, atol=1e-6
        )

    @pytest.mark.parametrize("method", SIZES)
    def test_a_hole_in_a_bright_wall_is_no_object(self, method):
        given = {"target": 0, "progress": False, **SIZES[method]}
        thing = np.zeros((24, 30), bool)
        thing[4:16, 2:14] = True
        strongest = explain(red, wall(), method, **given).saliency.argmax()
        assert thing.ravel()[strongest]
        if method != "rise":
            warns = explain(red, wall(), method, fill=0.01, **given).saliency
            assert not thing.ravel()[abs(warns).argmax()]

    @pytest.mark.parametrize("method", SIZES)
    def test_the_result_tells_the_colour_and_the_recipe_keeps_the_name(self, method, tmp_path):
        made = explain(red, wall(), method, target=0, progress=False, **SIZES[method])
        assert made.settings["fill"] == as_fill("background")
        assert "'background', the median of each channel outside the segment: 0.8" in " ".join(
            made.sentences()
        )
        loaded = Explanation.load(made.save(tmp_path / "a.safetensors"))
        assert loaded.sentences() == made.sentences()

    @pytest.mark.parametrize("method", SIZES)
    def test_repeated_on_another_image_it_is_that_images_background(self, method):
        made = explain(red, wall(), method, target=0, progress=False, **SIZES[method])
        other = made.repeat(red, wall(0.7), progress=False)
        assert "segment: 0.7" in " ".join(other.sentences())
        fresh = explain(red, wall(0.7), method, target=0, progress=False, **SIZES[method])
        np.testing.assert_array_equal(other.saliency, fresh.saliency)

    @pytest.mark.parametrize("method", [HDM, Occlusion, RISE])
    def test_what_a_file_from_before_does_not_say_is_black(self, method):
        data = as_data(method())
        assert as_data(from_data(data)) == data
        del data["fill"]
        assert from_data(data).fill == as_fill("black")

    def test_black_of_normalised_images_stays_black(self):
        assert HDM(normalize=True).filled_with() == Constant(-1)
        assert HDM(normalize=True).fill == as_fill("black")

    def test_the_documented_explainers_keep_black(self):
        explainer = HausdorffDistanceMasks(30, 24)
        explainer.generate_masks(8, 6)
        image = torch.zeros(1, 24, 30)
        image[:, 6:14, 4:12] = 1
        made = explainer.explain(lambda b: b, image, progress=False)
        assert made.settings["fill"] == as_fill("black")
        rise = SegmentationRISE(lambda b: b, (30, 24), "cpu", progress=False)
        rise.generate_masks(20, 4, 0.5, None, seed=0)
        assert rise(image).settings["fill"] == as_fill("black")

    def test_a_fill_without_an_image_is_told_by_its_name(self):
        assert told(as_fill("background"), None, None) == "'background'"

    def test_black_and_a_black_background_are_the_same_masks_to_the_last_bit(self):
        image = torch.zeros(1, 24, 30)
        image[:, 6:14, 4:12] = torch.rand(8, 8)
        one, two = (
            explain(lambda b: b, image, "rise", N=50, seed=0, fill=fill, target=0, progress=False)
            for fill in ("black", "background")
        )
        np.testing.assert_array_equal(one.saliency, two.saliency)


@pytest.mark.parametrize(("image", "white"), [
    ([[0.0, 0.4]], [1]),  # from 0 to 1
    ([[0, 60.0]], [255]),  # 8 bits, dark
    ([[0.5, 200.3]], [255]),  # 8 bits, resized
    ([[0, 1.0], [0, 255.0], [0, 7.0]], [255, 255, 255]),  # one scale for all channels of a picture
    ([[0.1, 3.2]], [3.2]),  # no 8 bits
    ([[0, 60000.0]], [65535]),  # 16 bits
    ([[0, 4000.0]], [4000]),  # 12 bits in 16
    ([[-1000, 1400.0]], [1400]),  # Hounsfield units
    ([[-1.2, 3.4]], [3.4]),  # z-scored
    ([[-9.0, -2.0]], [-2]),  # negative altogether
    ([[-1.0, 0.9]], [0.9]),  # from -1 to 1
    ([[5.0, 5.0]], [255]), ([[-5.0, -5.0]], [-5]), ([[0.0, 0.0]], [1]),  # constant
    ([[0.0, 0.9], [-3.0, 7.5], [0, 5000.5]], [1, 7.5, 5000.5]),  # channels of different ranges
    ([[0, 70000.0]], [70000]),
])  # fmt: skip
def test_white_is_a_value_that_the_image_can_have(image, white):
    assert white_of(torch.tensor(image)[:, None]).tolist() == pytest.approx(white)
    picture = as_fill("white").picture(torch.tensor(image)[:, None])
    assert picture[:, 0, 0].tolist() == pytest.approx(white)


class TestBlack:
    @pytest.mark.parametrize(("image", "says"), [
        ([[-1000, -500, 1000.0, 1400]], "its values go from -1000 to 1400, and 0 is brighter than 50% of it"),
        ([[-9.0, -2.0]], "go from -9 to -2, and 0 is brighter than everything in it"),
        ([[100.0, 200]], "go from 100 to 200, and 0 is darker than everything in it"),
        ([[0.0, 1], [-1.0, 1]], "the values of channel 1 go from -1 to 1, and 0 is brighter than 50% of it"),
    ])  # fmt: skip
    def test_where_0_is_not_black_it_says_what_it_is_and_which_fill_to_take(self, image, says):
        (told_,) = warned(lambda: check_black(as_fill("black"), torch.tensor(image)[:, None]))
        assert says in told_
        assert "fill='background'" in told_
        assert told_.endswith(f"fill={torch.tensor(image).min().item():g}")

    @pytest.mark.parametrize("image", [
        [[0.0, 1]], [[0.02, 1]], [[8.0, 240]], [[-0.005, 1]], [[0.0, 0]], [[0.0, 1], [1.0, 1]], [[0, 4000.0]],
    ])  # fmt: skip
    def test_where_it_is_or_nearly_nothing_is_said(self, image):
        assert not warned(lambda: check_black(as_fill("black"), torch.tensor(image)[:, None]))

    @pytest.mark.parametrize("fill", ["white", "background", "mean", "inpaint", -1.0, (0.0, 1.0)])
    def test_of_other_fills_nothing_is_said(self, fill):
        assert not warned(lambda: check_black(as_fill(fill), torch.tensor([[[-1.0, 1]], [[-1.0, 1]]])))

    @pytest.mark.parametrize("method", SIZES)
    def test_every_method_says_it_once(self, method):
        image = 4 * wall() - 3
        run = lambda **more: explain(  # noqa: E731
            lambda b: red((b + 3) / 4), image, method, target=0, progress=False, **SIZES[method], **more
        )
        assert len([one for one in warned(lambda: run(fill="black")) if "the fill black" in one]) == 1
        assert not [one for one in warned(run) if "the fill black" in one]

    def test_only_the_channels_that_are_hidden_count(self):
        image = torch.stack([wall()[0] - 0.75, wall()[0] - 0.9])
        run = lambda channel: explain(  # noqa: E731
            lambda b: b[:, :1].clamp(0, 1) * 4, image, "occlusion", offset=6, fill="black", channel=channel,
            target=0, progress=False,
        )  # fmt: skip
        assert [
            len([one for one in warned(lambda c=c: run(c)) if "the fill black" in one]) for c in (0, 1)
        ] == [
            0,
            1,
        ]

    def test_metrics_that_hide_say_it_too(self):
        image = 4 * wall() - 3
        run = lambda fill: deletion(  # noqa: E731
            lambda b: red((b + 3) / 4), np.random.default_rng(0).random((24, 30)), image, target=0, steps=2,
            fill=fill, progress=False,
        )  # fmt: skip
        assert [len([one for one in warned(lambda f=f: run(f)) if "the fill black" in one])
                for f in ("black", "background")] == [1, 0]  # fmt: skip
