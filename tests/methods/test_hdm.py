import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import FarPatch, brightness
from PIL import Image

from interpret_segmentation import explain as front_door
from interpret_segmentation import hdm
from interpret_segmentation.scores.registry import hausdorff

KINDS = [hdm.RAW, hdm.BETTER_ONLY, hdm.WORSE_ONLY]


def explain(model, image, segment=None, *, circle_size=6, offset=4, channel=-1, **options):
    height, width = np.shape(image)[-2:]
    distance = options.pop("distance", "hausdorff")
    normalize = options.pop("normalize", False)
    explainer = hdm.HausdorffDistanceMasks(width, height, distance=distance)
    explainer.generate_masks(circle_size, offset, normalize)
    return explainer.explain(model, image, segment, "cpu", channel, progress=False, **options)


def blob(height=23, width=31):
    image = torch.zeros(height, width)
    image[5:14, 8:20] = 1
    return image


def test_every_distance_is_that_of_hiding_one_circle_by_hand():
    image = blob()
    result = explain(brightness, image, image)
    explainer = hdm.HausdorffDistanceMasks(31, 23)
    explainer.generate_masks(6, 4)
    distances = result.distances(hdm.RAW)
    assert distances.shape == (6, 8)
    for (row, column), distance in np.ndenumerate(distances):
        seen = image.numpy() * explainer.mask(row, column)
        assert distance == hausdorff(seen > 0.5, image.numpy() > 0.5)
    assert result.baseline == 0
    assert len(np.unique(distances)) > 3


def test_a_distant_patch_that_decides_is_found():
    image = torch.rand(40, 60, generator=torch.Generator().manual_seed(0)) * 0.4
    image[30:36, 50:56] = 1
    result = explain(FarPatch(30, 50), image, circle_size=10, offset=3)
    saliency = np.nan_to_num(result.painted(hdm.WORSE_ONLY))
    assert saliency[30:36, 50:56].mean() > 0.5 * saliency.max()
    distance_from_patch = np.hypot(*np.meshgrid(np.arange(40) - 32.5, np.arange(60) - 52.5, indexing="ij"))
    assert (saliency[distance_from_patch > 16] == 0).all()
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    assert distance_from_patch[row, column] < 11


@settings(max_examples=15)
@given(st.integers(1, 60), st.integers(1, 60))
def test_the_batch_size_changes_nothing(one, other):
    image = blob() * torch.rand(23, 31, generator=torch.Generator().manual_seed(1))
    results = [explain(brightness, image, batch_size=size).distances(hdm.RAW) for size in (one, other)]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_images_of_any_layout_and_kind_give_one_answer(channels):
    image = blob().repeat(channels, 1, 1)
    wide = torch.zeros(channels, 23, 62)
    wide[:, :, ::2] = image
    expected = explain(brightness, image, blob()).distances(hdm.RAW)
    array = image.numpy()
    for same in (image[None], array, image.double(), image.byte().numpy(), wide[:, :, ::2],
                 np.flip(np.flip(array, 2).copy(), 2), array.astype(">f4")):  # fmt: skip
        np.testing.assert_array_equal(explain(brightness, same, blob()).distances(hdm.RAW), expected)
    if channels == 1:
        np.testing.assert_array_equal(explain(brightness, blob(), blob()).distances(hdm.RAW), expected)


@pytest.mark.parametrize(
    "segment",
    [blob(), blob().bool(), blob().numpy(), blob().numpy().astype(bool), blob().numpy().astype(np.uint8),
     blob()[None], blob().to(torch.float16)],
)  # fmt: skip
def test_segments_of_any_binary_kind_give_one_answer(segment):
    expected = explain(brightness, blob(), blob()).distances(hdm.RAW)
    np.testing.assert_array_equal(explain(brightness, blob(), segment).distances(hdm.RAW), expected)


class Recorder(torch.nn.Module):
    """Remembers every image it is asked about."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.extend(images.clone())
        return images[:, :1].clamp(0, 1)


def asked_about_masks(recorder):
    """What is left without the unmasked image, asked about alone and beside another."""
    return recorder.seen[4 + 4 * 2 : -1]


@pytest.mark.filterwarnings("ignore:the fill black")
@pytest.mark.parametrize(("normalize", "black"), [(False, 0), (True, -1)])
@pytest.mark.parametrize("channel", [-1, 0, 2])
def test_only_the_circle_is_hidden_whatever_the_range_of_values(normalize, black, channel):
    image = 50 * torch.randn(3, 17, 29)
    model = Recorder()
    explain(model, image, circle_size=5, offset=7, channel=channel, normalize=normalize)
    explainer = hdm.HausdorffDistanceMasks(29, 17)
    explainer.generate_masks(5, 7, normalize)
    assert all(torch.equal(model.seen[number], image) for number in (0, 1, 3, 4, 5, 8, 10, 11, -1))
    masked = asked_about_masks(model)
    assert len(masked) == 3 * 5
    for number, seen in enumerate(masked):
        hidden = torch.from_numpy(explainer.mask(*divmod(number, 5)) < 1)
        for index in range(3):
            expected = torch.where(hidden, black, image[index]) if channel in (-1, index) else image[index]
            assert torch.equal(seen[index], expected)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (7, 3), (23, 31), (240, 16)])
@pytest.mark.parametrize(("circle_size", "offset"), [(1, 1), (5, 7), (100, 9), (1, 300)])
def test_every_size_of_image_circle_and_offset_works(height, width, circle_size, offset):
    image = torch.rand(height, width)
    result = explain(brightness, image, circle_size=circle_size, offset=offset)
    assert result.distances(hdm.RAW).shape == (-(-height // offset), -(-width // offset))
    for kind in KINDS:
        assert result.circle_map(kind).size == (width, height)


def test_an_empty_output_is_the_diagonal_away_and_two_empty_ones_agree():
    def nothing(images):
        return torch.zeros_like(images)

    far = explain(nothing, blob(31, 41), blob(31, 41))
    assert far.baseline == 50
    assert (far.distances(hdm.RAW) == 50).all()
    near = explain(nothing, blob(31, 41), torch.zeros(31, 41))
    assert (near.distances(hdm.RAW) == 0).all()


def test_without_a_segment_the_networks_own_output_is_the_reference():
    image = blob()
    own = explain(brightness, image, None)
    np.testing.assert_array_equal(
        own.distances(hdm.RAW), explain(brightness, image, image > 0.5).distances(hdm.RAW)
    )
    assert own.baseline == 0


def test_worse_and_better_are_the_changes_from_the_baseline():
    image = blob()
    image[20, 28] = 1  # the network draws a stray pixel: hiding it makes the output better
    result = explain(brightness, image, blob())
    raw, better, worse = (result.distances(kind) for kind in KINDS)
    assert result.baseline == pytest.approx(np.hypot(7, 9))
    assert better.max() == result.baseline
    assert explain(brightness, blob(), blob()).distances(hdm.WORSE_ONLY).max() > 0
    np.testing.assert_array_equal(worse - better, raw - result.baseline)
    assert (np.minimum(worse, better) == 0).all()


def test_result_types_worked_by_hand():
    result = hdm.HDMResult(np.array([[1.0, 3.0], [4.0, 5.0]]), baseline=2.5, image_width=3, image_height=3,
                           circle_size=5, offset=5)  # fmt: skip
    np.testing.assert_array_equal(result.distances(hdm.RAW), [[1, 3], [4, 5]])
    np.testing.assert_array_equal(result.distances(hdm.BETTER_ONLY), [[1.5, 0], [0, 0]])
    np.testing.assert_array_equal(result.distances(hdm.WORSE_ONLY), [[0, 0.5], [1.5, 2.5]])


def test_changing_a_returned_array_does_not_change_the_result():
    result = explain(brightness, blob())
    for kind in KINDS:
        before = result.distances(kind).copy()
        result.distances(kind)[:] = -1
        np.testing.assert_array_equal(result.distances(kind), before)


def test_a_circle_map_has_the_colour_of_each_distance():
    result = hdm.HDMResult([[0.0, 4.0], [2.0, 1.0]], 0, 20, 20, circle_size=5, offset=10)
    picture = result.circle_map(hdm.RAW, color_map="gray")
    assert isinstance(picture, Image.Image)
    assert picture.mode == "RGB"
    pixels = np.asarray(picture)
    assert [pixels[y, x].tolist() for y, x in ((3, 13), (13, 3), (13, 13))] == [
        [255] * 3,
        [128] * 3,
        [64] * 3,
    ]
    assert pixels[8, 8].tolist() == [0, 0, 0]


def test_the_larger_distance_lies_on_top():
    values = [[1.0, 0.0], [0.0, 0.0]]
    for flipped in (np.array(values), np.array(values)[:, ::-1], np.array(values)[::-1, ::-1]):
        result = hdm.HDMResult(flipped, 0, 12, 12, circle_size=9, offset=2)
        row, column = np.argwhere(flipped == 1)[0]
        pixels = np.asarray(result.circle_map(hdm.RAW, color_map="gray"))
        assert (pixels[2 * row + 5, 2 * column + 5] == 255).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_circle_map_of_equal_distances_has_one_colour(kind):
    result = hdm.HDMResult(np.full((4, 4), 7.0), 7.0, 16, 16, circle_size=6, offset=4)
    pixels = np.asarray(result.circle_map(kind, color_map="Blues"))
    assert len(np.unique(pixels[6:10, 6:10].reshape(-1, 3), axis=0)) == 1


def test_a_colour_map_object_does_as_well_as_its_name():
    import matplotlib

    result = explain(brightness, blob())
    by_name, by_object = (result.circle_map(hdm.RAW, m) for m in ("Greens", matplotlib.colormaps["Greens"]))
    np.testing.assert_array_equal(np.asarray(by_name), np.asarray(by_object))


def test_an_overridden_apply_mask_gets_two_dimensional_arrays_and_decides_what_is_hidden():
    calls = []

    class White(hdm.HausdorffDistanceMasks):
        def apply_mask(self, image, mask):
            calls.append((image, mask))
            return np.where(mask == 0, 9, image)

    model = Recorder()
    explainer = White(31, 23)
    explainer.generate_masks(6, 12)
    image = torch.stack([blob(), 2 * blob()])
    explainer.explain(model, image, blob(), "cpu", progress=False)
    assert len(calls) == 2 * 2 * 3
    for index, (plane, mask) in enumerate(calls):
        assert isinstance(plane, np.ndarray)
        assert isinstance(mask, np.ndarray)
        np.testing.assert_array_equal(plane, image[index % 2])
        np.testing.assert_array_equal(mask, explainer.mask(*divmod(index // 2, 3)))
    assert all((seen == 9).any() for seen in asked_about_masks(model))


def test_an_overridden_apply_mask_may_return_a_tensor_and_touch_one_channel_only():
    class Grey(hdm.HausdorffDistanceMasks):
        def apply_mask(self, image, mask):
            image[mask == 0] = 0.25
            return torch.from_numpy(image)

    model = Recorder()
    explainer = Grey(31, 23)
    explainer.generate_masks(6, 12)
    image = torch.stack([blob(), blob()])
    explainer.explain(model, image, blob(), "cpu", channel=1, progress=False)
    for seen in asked_about_masks(model):
        assert torch.equal(seen[0], blob())
        assert (seen[1] == 0.25).any()


def test_the_default_apply_mask_is_what_the_engine_does():
    class Same(hdm.HausdorffDistanceMasks):
        def apply_mask(self, image, mask):
            return super().apply_mask(image, mask)

    image = torch.randn(2, 23, 31)
    seen = []
    for explainer in (hdm.HausdorffDistanceMasks(31, 23), Same(31, 23)):
        explainer.generate_masks(6, 5, normalize=True)
        model = Recorder()
        explainer.explain(model, image, None, "cpu", progress=False)
        seen.append(torch.stack(model.seen))
    assert torch.equal(*seen)


def test_an_overridden_calculate_distance_gets_output_and_segment_and_is_the_value():
    calls = []

    class Area(hdm.HausdorffDistanceMasks):
        def calculate_distance(self, output, segment):
            calls.append((output, segment))
            return abs(output - segment).sum()

    explainer = Area(31, 23)
    explainer.generate_masks(6, 12)
    result = explainer.explain(brightness, blob(), blob(), "cpu", progress=False)
    for output, segment in calls:
        assert isinstance(output, np.ndarray)
        assert output.shape == segment.shape == (23, 31)
        np.testing.assert_array_equal(segment, blob())
    hidden = np.array(
        [[(blob().numpy() * (explainer.mask(r, c) == 0)).sum() for c in range(3)] for r in range(2)]
    )
    np.testing.assert_array_equal(result.distances(hdm.RAW), hidden)


def test_a_distance_may_be_a_function_or_a_method_put_on_the_object():
    def area(output, segment):
        return float(abs(output - segment).sum())

    expected = explain(brightness, blob(), blob(), distance=area).distances(hdm.RAW)
    explainer = hdm.HausdorffDistanceMasks(31, 23)
    explainer.generate_masks(6, 4)
    explainer.calculate_distance = area
    patched = explainer.explain(brightness, blob(), blob(), "cpu", progress=False)
    np.testing.assert_array_equal(patched.distances(hdm.RAW), expected)
    assert expected.max() > 0


def test_calculate_distance_can_be_called_by_itself():
    explainer = hdm.HausdorffDistanceMasks(31, 23)
    moved = blob().roll(4, dims=0).numpy()
    assert explainer.calculate_distance(moved, blob().numpy()) == 4


def test_a_half_precision_network_gets_half_precision_images():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Sigmoid()).half()
    result = explain(model, blob())
    assert np.isfinite(result.distances(hdm.RAW)).all()


class TestWrongInput:
    @pytest.fixture
    def explainer(self):
        explainer = hdm.HausdorffDistanceMasks(31, 23)
        explainer.generate_masks(6, 12)
        return explainer

    @pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
    def test_sizes_must_be_positive(self, size):
        with pytest.raises(ValueError, match="must be at least 1"):
            hdm.HausdorffDistanceMasks(*size)

    @pytest.mark.parametrize("arguments", [(0, 5), (5, 0), (-3, 5)])
    def test_circles_must_be_positive(self, arguments):
        with pytest.raises(ValueError, match=r"(circle_size|offset) must be at least 1, got"):
            hdm.HausdorffDistanceMasks(31, 23).generate_masks(*arguments)

    @pytest.mark.parametrize("arguments", [(2.5, 5), ("3", 5), (None, 5), (3, True)])
    def test_circles_must_be_whole_numbers(self, arguments):
        with pytest.raises(TypeError, match="must be a whole number"):
            hdm.HausdorffDistanceMasks(31, 23).generate_masks(*arguments)

    def test_an_unknown_distance_is_refused_at_once(self):
        with pytest.raises(ValueError, match="there is no distance 'dice'"):
            hdm.HausdorffDistanceMasks(31, 23, distance="dice")

    def test_explaining_before_there_are_masks(self):
        with pytest.raises(RuntimeError, match="generate_masks"):
            hdm.HausdorffDistanceMasks(31, 23).explain(brightness, blob(), blob(), "cpu")

    def test_an_image_of_swapped_orientation(self, explainer):
        with pytest.raises(ValueError, match=r"31 rows and 23 columns.*23 rows and 31 columns.*swapped"):
            explainer.explain(brightness, blob().T, blob(), "cpu")

    def test_an_image_of_another_size(self, explainer):
        with pytest.raises(
            ValueError, match=r"8 rows and 9 columns, wanted 23 rows and 31 columns; build the explainer"
        ):
            explainer.explain(brightness, torch.zeros(8, 9), None, "cpu")

    def test_a_segment_of_another_size(self, explainer):
        with pytest.raises(ValueError, match=r"segment has 31 rows and 23 columns"):
            explainer.explain(brightness, blob(), blob().T, "cpu")

    @pytest.mark.parametrize("segment", [255 * blob(), 0.5 * blob(), -blob().float(), blob() * torch.nan])
    def test_a_segment_that_is_not_binary(self, explainer, segment):
        with pytest.raises(ValueError, match="segment must be binary"):
            explainer.explain(brightness, blob(), segment, "cpu")

    @pytest.mark.parametrize("channel", [1, -2, 7, 0.0, "red"])
    def test_a_channel_that_is_not_there(self, explainer, channel):
        with pytest.raises(ValueError, match="channel must be -1 for all, or 0 to 0"):
            explainer.explain(brightness, blob(), blob(), "cpu", channel)

    @pytest.mark.parametrize("batch_size", [0, -1])
    def test_a_batch_size_that_is_not_positive(self, explainer, batch_size):
        with pytest.raises(ValueError, match="batch_size must be at least 1"):
            explainer.explain(brightness, blob(), blob(), "cpu", batch_size=batch_size)

    @pytest.mark.parametrize("value", [float("inf"), float("nan"), None, np.zeros(3)])
    def test_a_distance_that_is_no_finite_number(self, explainer, value):
        explainer.calculate_distance = lambda _output, _segment: value
        with pytest.raises(ValueError, match="must be a finite number, got"):
            explainer.explain(brightness, blob(), blob(), "cpu", progress=False)

    def test_an_apply_mask_that_returns_another_shape(self, explainer):
        explainer.apply_mask = lambda image, _mask: image[:5]
        with pytest.raises(ValueError, match=r"apply_mask must return an array of shape \(23, 31\)"):
            explainer.explain(brightness, blob(), blob(), "cpu", progress=False)

    def test_an_apply_mask_that_returns_nothing(self, explainer):
        explainer.apply_mask = lambda _image, _mask: None
        with pytest.raises(TypeError, match="the result of apply_mask must be a PyTorch tensor or an array"):
            explainer.explain(brightness, blob(), blob(), "cpu", progress=False)

    def test_an_apply_mask_may_return_a_view(self, explainer):
        explainer.apply_mask = lambda image, _mask: image[::-1]
        result = explainer.explain(brightness, blob(), blob().flip(0), "cpu", progress=False)
        assert (result.distances(hdm.RAW) == 0).all()

    @pytest.mark.parametrize("kind", [0, 4, "raw", None])
    def test_an_unknown_result_type(self, explainer, kind):
        result = explainer.explain(brightness, blob(), blob(), "cpu", progress=False)
        for ask in (result.distances, result.circle_map, result.painted):
            with pytest.raises(ValueError, match=r"hdm\.RAW, hdm\.BETTER_ONLY or hdm\.WORSE_ONLY"):
                ask(kind)

    @pytest.mark.parametrize("colors", ["Redds", None, 3])
    def test_an_unknown_colour_map(self, explainer, colors):
        result = explainer.explain(brightness, blob(), blob(), "cpu", progress=False)
        with pytest.raises(ValueError, match=f"{colors!r} is not a Matplotlib colour map"):
            result.circle_map(hdm.RAW, colors)

    def test_a_distance_that_is_neither_name_nor_function(self):
        with pytest.raises(TypeError, match="distance must be a name or a function"):
            hdm.HausdorffDistanceMasks(31, 23, distance=["hausdorff"])

    @pytest.mark.parametrize("distances", [[[np.inf, 0]], [[0, np.nan]]])
    def test_distances_that_are_not_finite(self, distances):
        with pytest.raises(ValueError, match="must be finite"):
            hdm.HDMResult(distances, 0, 9, 9, 3, 3)
        with pytest.raises(ValueError, match="must be finite"):
            hdm.HDMResult([[0.0]], np.nan, 9, 9, 3, 3)

    def test_more_distances_than_positions_are_not_drawn(self):
        result = hdm.HDMResult([[1, 2, 3]], 0, 10, 10, 5, 5)
        for draw in (result.painted, result.circle_map):
            with pytest.raises(ValueError, match="1 x 3 distances, but the image has only 2 x 2 positions"):
                draw(hdm.RAW)

    def test_an_apply_mask_that_returns_nan(self, explainer):
        explainer.apply_mask = lambda image, _mask: image * np.nan
        with pytest.raises(ValueError, match="apply_mask must return finite values"):
            explainer.explain(brightness, blob(), blob(), "cpu", progress=False)

    def test_a_position_that_is_not_there(self, explainer):
        with pytest.raises(IndexError, match="2 rows and 3 columns"):
            explainer.mask(2, 0)
        with pytest.raises(IndexError, match="2 rows and 3 columns"):
            explainer.mask("a", 0)

    def test_distances_that_are_no_matrix(self):
        with pytest.raises(ValueError, match="rows x columns"):
            hdm.HDMResult([1.0, 2.0], 0, 9, 9, 3, 3)


@pytest.mark.filterwarnings("ignore:.*is never hidden")
class TestVolumes:
    @pytest.fixture
    def volume(self):
        volume = torch.zeros(5, 9, 12)
        volume[1:4, 2:6, 3:8] = 1
        return volume

    def test_every_distance_is_that_of_hiding_one_ball_by_hand(self, volume):
        result = front_door(
            brightness, volume, "hdm", circle_size=3, offset=3, distance="hausdorff", dims=3, progress=False
        )
        distances = result.distances(hdm.RAW)
        assert distances.shape == (2, 3, 4)
        grid = np.stack(np.indices((5, 9, 12)), axis=-1)
        covered, largest = np.zeros((5, 9, 12), dtype=bool), np.zeros((5, 9, 12))
        for place, distance in np.ndenumerate(distances):
            ball = np.square(grid - 3 * np.array(place) - 1.5).sum(axis=-1) <= 4
            ball &= (grid >= 3 * np.array(place)).all(axis=-1)
            seen = np.where(ball, 0, volume.numpy())
            assert distance == hausdorff(seen > 0.5, volume.numpy() > 0.5)
            covered |= ball
            largest[ball] = np.maximum(largest[ball], distance)
        painted = result.painted(hdm.WORSE_ONLY)
        np.testing.assert_array_equal(np.nan_to_num(painted), largest)
        np.testing.assert_array_equal(np.isnan(painted), ~covered)
        np.testing.assert_array_equal(result.reached, covered)
        assert distances.max() > 0

    def test_a_volume_has_no_circle_map(self, volume):
        result = front_door(brightness, volume, "hdm", circle_size=3, offset=3, dims=3, progress=False)
        with pytest.raises(ValueError, match="a volume has no circle map"):
            result.circle_map(hdm.RAW)

    def test_rows_are_for_images(self, volume):
        with pytest.raises(ValueError, match="for images, not for volumes"):
            front_door(brightness, volume, "hdm", distance="hausdorff_of_rows", dims=3, progress=False)


def test_the_map_is_the_mean_growth_of_the_distance():
    result = explain(brightness, blob(), blob())
    covered = [result.circles.hidden(np.array([number]))[0].numpy() for number in range(len(result.circles))]
    growths = result.distances(hdm.RAW).ravel() - result.baseline
    for pixel in np.ndindex(result.saliency.shape):
        values = [growth for growth, circle in zip(growths, covered, strict=True) if circle[pixel]]
        assert result.saliency[pixel] == pytest.approx(np.mean(values) if values else 0)
        assert result.reached[pixel] == bool(values)
        if values:
            assert result.painted(hdm.RAW)[pixel] - result.baseline == max(values)
    assert result.saliency.max() > 0
    assert (result.meaning, result.unit) == ("growth of Hausdorff distance when hidden", "pixels")


def test_a_worse_network_than_the_truth_has_a_map_with_both_signs():
    image = blob()
    image[20, 28] = 1
    result = explain(brightness, image, blob())
    assert result.signed
    assert result.saliency[20, 28] < 0


@pytest.mark.parametrize("channel", [True, False, np.array([0, 1])])
def test_a_channel_is_a_number_and_no_answer(channel):
    with pytest.raises(ValueError, match="channel must be"):
        explain(brightness, blob().repeat(2, 1, 1), channel=channel)


def test_a_distance_that_writes_into_what_it_gets_changes_nothing():
    def gentle(output, segment):
        return float(abs(output - segment).sum())

    def rude(output, segment):
        value = gentle(output, segment)
        output[:] = segment[:] = 0
        return value

    one, other = (explain(brightness, blob(), blob(), distance=distance) for distance in (gentle, rude))
    np.testing.assert_array_equal(other.distances(hdm.RAW), one.distances(hdm.RAW))
    np.testing.assert_array_equal(other.prediction, one.prediction)
