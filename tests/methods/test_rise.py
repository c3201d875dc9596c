import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import FarPatch, brightness

from interpret_segmentation import RISE, Explanation, explain
from interpret_segmentation.methods.rise import score_table
from interpret_segmentation.methods.rise.moments import Moments
from interpret_segmentation.perturb import draw_grids
from interpret_segmentation.perturb.fills.simple import Noise
from interpret_segmentation.rise import SegmentationRISE
from interpret_segmentation.scores.soft_hausdorff import GradedHausdorffTo

pytestmark = pytest.mark.slow


def blob(height=23, width=31):
    image = torch.zeros(height, width)
    image[5:14, 8:20] = 1
    return image


def explainer(model=brightness, size=(31, 23), count=60, cells=4, p1=0.5, seed=0, **options):
    rise = SegmentationRISE(model, size, "cpu", progress=False, **options)
    rise.generate_masks(count, cells, p1, savepath=None, seed=seed)
    return rise


def by_the_paper(model, image, masks, pixels, expected):
    """One map for each pixel: sum over masks of score times mask, over N times the expected mask value."""
    maps = torch.zeros(len(pixels), *image.shape[-2:], dtype=torch.float64)
    for mask in masks:
        output = model(image[None, None] * mask)[0].reshape(image.shape)
        for index, (row, column) in enumerate(pixels):
            maps[index] += output[row, column] * mask
    return maps / (len(masks) * expected)


@pytest.mark.parametrize("p1", [0.3, 1.0])
def test_maps_are_those_of_the_paper(p1):
    image = blob() * torch.rand(23, 31, generator=torch.Generator().manual_seed(0))
    rise = explainer(p1=p1)
    target = torch.zeros(23, 31, dtype=torch.bool)
    target[6:9, 10:14] = True
    result = rise(image, target)
    expected = by_the_paper(brightness, image, rise.masks.render(0, 60), target.nonzero().tolist(), p1)
    for ours, theirs in (
        (result.max(), expected.amax(0)),
        (result.mean(), expected.mean(0)),
        (result.pixel(7, 12), expected[6]),
    ):
        assert ours.device.type == "cpu"
        torch.testing.assert_close(ours, theirs.float(), atol=1e-5, rtol=0)


def test_a_map_reads_as_the_expected_score_given_that_the_pixel_is_kept():
    def one_pixel(images):  # the probability of every pixel is the brightness at (5, 7)
        return images[:, 0, 5, 7][:, None, None].expand(-1, 23, 31)

    rise = explainer(one_pixel, count=20000, cells=8, p1=0.3)
    saliency = rise(torch.ones(23, 31)).mean()
    # E[M(5, 7) | the far pixel is kept] = 0.3; given itself it is larger: E[M^2] / E[M].
    assert saliency[20:, 25:].mean() == pytest.approx(0.3, abs=0.02)
    squared = sum((rise.masks.render(i, i + 1000)[:, 5, 7] ** 2).sum().item() for i in range(0, 20000, 1000))
    assert saliency[5, 7] == pytest.approx(squared / 20000 / 0.3, rel=1e-3)
    assert saliency.argmax() == 5 * 31 + 7


def test_a_distant_patch_that_decides_is_found():
    image = torch.rand(40, 60, generator=torch.Generator().manual_seed(0)) * 0.4
    image[30:36, 50:56] = 1
    rise = explainer(FarPatch(30, 50), (60, 40), count=1500, cells=8)
    result = rise(image)
    for saliency in (result.max(), result.mean(), result.pixel(3, 4)):
        row, column = divmod(int(saliency.argmax()), 60)
        assert 27 <= row <= 38
        assert 47 <= column <= 58


@settings(max_examples=15)
@given(st.integers(1, 80), st.integers(1, 80))
def test_same_seed_same_map_whatever_the_batch_size(one, other):
    image = torch.rand(23, 31, generator=torch.Generator().manual_seed(2))
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 5, padding=2), torch.nn.Sigmoid())
    results = [explainer(network, batch_size=size)(image, torch.ones(23, 31)) for size in (one, other)]
    torch.testing.assert_close(results[0].max(), results[1].max(), atol=1e-6, rtol=0)
    torch.testing.assert_close(results[0].mean(), results[1].mean(), atol=1e-6, rtol=0)


def test_another_seed_gives_another_map():
    assert not torch.equal(explainer(seed=1)(blob()).mean(), explainer(seed=2)(blob()).mean())


def test_the_explained_pixels_are_those_of_the_segment_unless_a_target_is_given():
    image = 0.5 * torch.ones(23, 31)
    image[3, 4] = 0.51
    result = explainer()(image)
    assert np.argwhere(result.pixels).tolist() == [[3, 4]]
    torch.testing.assert_close(result.max(), result.mean())
    torch.testing.assert_close(result.max(), result.pixel(3, 4))
    target = np.zeros((23, 31))
    target[0, 0] = 1
    assert np.argwhere(explainer()(image, target=target).pixels).tolist() == [[0, 0]]


def test_the_model_is_asked_once_for_every_mask_and_once_without():
    asked = []

    def counting(images):
        asked.append(len(images))
        return brightness(images)

    result = explainer(counting, count=60, batch_size=16)(blob())
    result.max(), result.mean(), result.pixel(6, 9)
    unmasked, checks, at_the_end = [1], [1, 1, 1, 2, 2, 2, 2], [1]
    assert asked == [*unmasked, *checks, 16, 16, 16, 12, *at_the_end]


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_images_of_any_layout_and_kind_give_one_answer(channels):
    image = blob().repeat(channels, 1, 1)
    expected = explainer()(image).mean()
    for same in (image[None], image.numpy(), image.double(), image.byte(), image.flip(1).flip(1)):
        torch.testing.assert_close(explainer()(same).mean(), expected)


@pytest.mark.parametrize("size", [(1, 1), (50, 1), (3, 7), (31, 23)])
@pytest.mark.parametrize("cells", [1, 3, 8, 60])
def test_every_size_of_image_and_grid_works(size, cells):
    rise = explainer(size=size, cells=cells, count=7)
    result = rise(torch.ones(size[::-1]))
    for saliency in (result.max(), result.mean(), result.pixel(0, 0)):
        assert saliency.shape == size[::-1]
        assert torch.isfinite(saliency).all()


@pytest.mark.parametrize("name", ["masks.npy", "masks.npz"])
def test_saved_and_loaded_masks_give_the_same_maps(tmp_path, name):
    image = blob() * torch.rand(23, 31, generator=torch.Generator().manual_seed(0))
    first = SegmentationRISE(brightness, (31, 23), "cpu", progress=False)
    first.generate_masks(50, 5, 0.2, savepath=tmp_path / name)
    second = SegmentationRISE(brightness, (31, 23), "cpu", progress=False)
    second.load_masks(tmp_path / name)
    one, other = first(image), second(image)
    torch.testing.assert_close(one.max(), other.max(), atol=1e-6, rtol=0)
    torch.testing.assert_close(one.mean(), other.mean(), atol=1e-6, rtol=0)


def test_masks_are_saved_where_the_documentation_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rise = SegmentationRISE(brightness, (31, 23), "cpu", progress=False)
    rise.generate_masks(5, 4, 0.5)
    assert np.load("masks.npy").shape == (5, 1, 23, 31)


def test_a_table_of_scores_too_large_for_memory_gives_the_same_maps(monkeypatch):
    image = blob() * torch.rand(23, 31, generator=torch.Generator().manual_seed(0))
    in_memory = explainer()(image)
    monkeypatch.setattr(score_table, "MEMORY", 100)
    on_disk = explainer()(image)
    assert on_disk.scores._file is not None
    assert torch.equal(on_disk.max(), in_memory.max())
    assert torch.equal(on_disk.mean(), in_memory.mean())
    row, column = np.argwhere(in_memory.pixels)[40]
    assert torch.equal(on_disk.pixel(row, column), in_memory.pixel(row, column))


@pytest.mark.parametrize("budget", [1, 10_000])
def test_the_chunk_of_pixels_changes_nothing(monkeypatch, budget):
    image = blob() * torch.rand(23, 31, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(23, 31)
    target[6:9, 9:13] = 1
    expected = explainer()(image, target).max()
    for module in ("methods.rise.maps", "perturb.masks.grids", "perturb.masks.base", "methods.rise.moments"):
        monkeypatch.setattr(f"interpret_segmentation.{module}.BUDGET", budget)
    torch.testing.assert_close(explainer()(image, target).max(), expected)


def test_a_half_precision_network_gets_half_precision_images():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Sigmoid()).half()
    saliency = explainer(model)(blob(), torch.ones(23, 31)).max()
    assert saliency.dtype == torch.float32
    assert torch.isfinite(saliency).all()


def test_the_batch_size_may_come_fourth_as_in_the_first_examples():
    assert SegmentationRISE(brightness, (31, 23), "cpu", 7).batch_size == 7


class TestWrongInput:
    @pytest.mark.parametrize("size", [(0, 5), (5, -1)])
    def test_sizes_must_be_positive(self, size):
        with pytest.raises(ValueError, match=r"(width|height) in input_size must be at least 1"):
            SegmentationRISE(brightness, size, "cpu")

    @pytest.mark.parametrize("size", [31, (31,), (1, 31, 23)])
    def test_a_size_is_a_pair(self, size):
        with pytest.raises(ValueError, match=r"input_size must be \(width, height\)"):
            SegmentationRISE(brightness, size, "cpu")

    @pytest.mark.parametrize(("changes", "message"), [
        ({"count": 0}, "N must be at least 1"),
        ({"cells": -2}, "s must be at least 1"),
        ({"p1": 0}, "p1 must be a number above 0 and at most 1, got 0"),
        ({"p1": 1.5}, "p1 must be a number above 0"),
        ({"p1": float("nan")}, "p1 must be a number above 0"),
        ({"p1": "a"}, "p1 must be a number above 0 and at most 1, got 'a'"),
        ({"seed": -1}, "seed must be None or a whole number"),
        ({"seed": 1.5}, "seed must be None or a whole number"),
        ({"seed": 2**70}, "seed must be None or a whole number"),
    ])  # fmt: skip
    def test_masks_that_make_no_sense(self, changes, message):
        with pytest.raises(ValueError, match=message):
            explainer(**changes)

    def test_explaining_before_there_are_masks(self):
        with pytest.raises(RuntimeError, match="generate_masks"):
            SegmentationRISE(brightness, (31, 23), "cpu")(blob())

    def test_an_image_of_swapped_orientation(self):
        with pytest.raises(ValueError, match="the constructor takes the width first"):
            explainer()(blob().T)

    def test_an_empty_target(self):
        with pytest.raises(ValueError, match="target is empty"):
            explainer()(blob(), torch.zeros(23, 31))

    def test_a_network_that_finds_nothing(self):
        with pytest.raises(
            ValueError, match=r"no pixel in this segment \(the highest probability of class 0 is 0\.4\)"
        ):
            explainer()(0.4 * blob())

    def test_a_target_of_another_size(self):
        with pytest.raises(ValueError, match="target has 31 rows"):
            explainer()(blob(), blob().T)

    def test_a_pixel_that_was_not_explained(self):
        result = explainer()(blob())
        for pixel in ((0, 0), (-1, 3), (23, 0), (5, 31), ("a", 0), (None, 5), (5.5, 9)):
            with pytest.raises(IndexError, match="not among the 108 explained pixels"):
                result.pixel(*pixel)

    def test_masks_for_images_of_another_size(self, tmp_path):
        SegmentationRISE(brightness, (23, 31), "cpu", progress=False).generate_masks(
            5, 4, 0.5, tmp_path / "masks.npz"
        )
        with pytest.raises(ValueError, match=r"for images of 31 rows and 23 columns.*23 rows and 31 columns"):
            SegmentationRISE(brightness, (31, 23), "cpu").load_masks(tmp_path / "masks.npz")

    def test_a_failed_generation_keeps_the_masks_and_the_file(self, tmp_path):
        rise = SegmentationRISE(brightness, (31, 23), "cpu", progress=False)
        rise.generate_masks(5, 4, 0.5, tmp_path / "masks.npz", seed=1)
        before, masks = (tmp_path / "masks.npz").read_bytes(), rise.masks
        with pytest.raises(FileExistsError, match="load_masks"):
            rise.generate_masks(6, 4, 0.5, tmp_path / "masks.npz")
        assert (tmp_path / "masks.npz").read_bytes() == before
        assert rise.masks is masks


def noisy(space=(23, 31), channels=2):
    image = 0.4 * torch.rand(channels, *space, generator=torch.Generator().manual_seed(5))
    image[(..., *(slice(side // 4, side // 4 + side // 3 + 1) for side in space))] += 0.55
    return image


def soft(images):
    bright = (2 * images[:, :1] + images[:, -1:]) / 3
    return torch.sigmoid(8 * ((bright + bright.roll(1, -1)) / 2 - 0.5))


def rise(model=soft, image=None, **settings):
    image = noisy() if image is None else image
    keep = None if "masks" in settings else 0.5
    settings = {"seed": 6, "s": 4, "p1": keep, "dims": image.ndim - 1, "fill": "black"} | settings
    return explain(model, image, "rise", progress=False, **settings)


def masked_by_hand(image, masks, fill=0.0, channel=None, kept=None):
    """Masks, rendered and held open where nothing is hidden, and the images under them, one by one."""
    for mask in masks:
        weight = mask.double() if kept is None else torch.where(torch.from_numpy(kept), 1.0, mask.double())
        seen = image.double().clone()
        for plane in range(len(image)):
            if channel in (None, plane):
                under = fill if isinstance(fill, float) else fill[plane].double()
                seen[plane] = weight * seen[plane] + (1 - weight) * under
        yield mask.double().numpy(), seen.float()


def maps_by_hand(made, model, image, estimator, expected, **how):
    """The map of every explained pixel by the formula, ``[P, *space]``."""
    masks = made.masks.render(0, len(made.masks))
    pixels = made.pixels
    weights, scores = [], []
    for mask, seen in masked_by_hand(image, masks, **how):
        weights.append(mask)
        scores.append(model(seen[None])[0, 0].numpy()[pixels].astype(float))
    weights, scores = np.array(weights), np.array(scores)
    total = np.einsum("np,n...->p...", scores, weights)
    if estimator == "paper":
        return total / (len(weights) * expected)
    own = scores.mean(axis=0).reshape(-1, *[1] * (weights.ndim - 1))
    return total / weights.sum(axis=0) - own


class TestEstimators:
    @pytest.mark.parametrize("space", [(23, 31), (5, 9, 8)])
    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    @pytest.mark.parametrize("p1", [0.3, 0.7])
    def test_are_the_formulas(self, space, estimator, p1):
        image = noisy(space)
        made = rise(image=image, estimator=estimator, N=60, p1=p1, s=3)
        expected = maps_by_hand(made, soft, image, estimator, p1)
        np.testing.assert_allclose(made.mean(), expected.mean(axis=0), atol=1e-5)
        np.testing.assert_array_equal(made.saliency, made.mean())
        np.testing.assert_allclose(made.max(), expected.max(axis=0), atol=1e-5)
        for index in (0, len(expected) // 2, len(expected) - 1):
            np.testing.assert_allclose(
                made.pixel(*np.argwhere(made.pixels)[index]), expected[index], atol=1e-5
            )

    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    @pytest.mark.parametrize(("fill", "plane"), [
        ("mean", lambda image: image.mean(dim=(1, 2), keepdim=True).expand_as(image)),
        ("noise", lambda image: Noise().picture(image)),
        (0.25, lambda image: torch.full_like(image, 0.25)),
        (noisy().flip(-1), lambda image: image.flip(-1)),
    ])  # fmt: skip
    @pytest.mark.parametrize("channel", [None, 1])
    def test_with_another_fill_and_one_channel(self, estimator, fill, plane, channel):
        made = rise(fill=fill, channel=channel, estimator=estimator, N=40)
        expected = maps_by_hand(made, soft, noisy(), estimator, 0.5, fill=plane(noisy()), channel=channel)
        np.testing.assert_allclose(made.saliency, expected.mean(axis=0), atol=1e-5)

    @pytest.mark.parametrize("spare", ["segment", None])
    @pytest.mark.parametrize("within", [np.arange(31) > 12, None])
    def test_nothing_is_hidden_outside_within_and_inside_spare(self, spare, within):
        within = None if within is None else np.broadcast_to(within, (23, 31))
        made = rise(spare=spare, within=within, N=50)
        kept = np.zeros((23, 31), dtype=bool) if within is None else ~within
        kept = kept | made.segment if spare else kept
        expected = maps_by_hand(made, soft, noisy(), "centred", 0.5, kept=kept).mean(axis=0)
        np.testing.assert_array_equal(made.reached, ~kept)
        np.testing.assert_allclose(made.saliency[~kept], expected[~kept], atol=1e-5)
        assert (made.saliency[kept] == 0).all()
        assert (made.standard_error[kept] == 0).all()
        # The network looks one pixel to the left, which may leave nothing to hide that it looks at.
        assert made.saliency.any() == (abs(expected[~kept]) > 1e-9).any()

    def test_a_map_is_0_where_nothing_is_hidden_with_either_estimator(self):
        made = rise(spare="segment", N=50, estimator="paper")
        assert (made.saliency[~made.reached] == 0).all()

    @pytest.mark.parametrize("settings", [
        {"spare": np.ones((23, 31))}, {"within": np.zeros((23, 31))},
        {"spare": np.ones((23, 31)), "N": 200, "precision": 0.1},
    ], ids=["spare", "within", "precision"])  # fmt: skip
    def test_nothing_to_hide_is_one_clear_error(self, settings):
        with pytest.raises(ValueError, match="nothing to hide"):
            rise(**settings)

    @pytest.mark.parametrize("name", ["masks.npy", "masks.npz"])
    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    def test_masks_from_a_file(self, tmp_path, name, estimator):
        maker = SegmentationRISE(soft, (31, 23), progress=False)
        maker.generate_masks(40, 4, 0.3, tmp_path / name, seed=2)
        made = rise(masks=tmp_path / name, estimator=estimator)
        expected = maps_by_hand(made, soft, noisy(), estimator, 0.3)
        np.testing.assert_allclose(made.saliency, expected.mean(axis=0), atol=1e-5)
        assert len(made.masks) == 40

    @pytest.mark.parametrize("name", ["masks.npy", "masks.npz"])
    def test_the_settings_say_how_many_masks_a_file_had(self, tmp_path, name):
        maker = SegmentationRISE(soft, (31, 23), progress=False)
        maker.generate_masks(40, 5, 0.3, tmp_path / name, seed=2)
        made = rise(masks=tmp_path / name)
        assert made.settings["N"] == 40
        assert made.settings["p1"] == 0.3

    def test_masks_from_a_file_for_images_of_another_size(self, tmp_path):
        SegmentationRISE(soft, (23, 31), progress=False).generate_masks(9, 4, 0.3, tmp_path / "masks.npz")
        with pytest.raises(ValueError, match="the masks are for images of"):
            rise(masks=tmp_path / "masks.npz")


def exact_maps(made, columns=slice(None)):
    """The map of every explained pixel by the formula, from the scores, in double precision."""
    masks = made.masks.render(0, len(made.masks)).double().flatten(1).numpy()
    scores = np.asarray(made.measured["scores"], dtype=float)[:, columns]
    if made.estimator == "paper":
        maps = scores.T @ masks / (len(masks) * made.masks.expected_value)
    else:
        maps = scores.T @ masks / masks.sum(axis=0) - scores.mean(axis=0)[:, None]
    return maps.reshape(-1, *made.masks.space)


class TestMaximum:
    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    @pytest.mark.parametrize("steepness", [0.1, 8])
    def test_is_exact_to_a_hundred_thousandth_of_its_range(self, estimator, steepness):
        def model(images):  # with little steepness all scores are nearly the same
            return 0.9 + 0.1 * torch.sigmoid(steepness * (images.roll(9, -1) + images - 1))

        made = rise(model, noisy((61, 83), 1), estimator=estimator, N=300, s=8)
        expected = exact_maps(made).max(axis=0)
        np.testing.assert_allclose(made.max(), expected, atol=1e-5 * np.ptp(expected), rtol=0)

    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    @pytest.mark.parametrize("space", [(23, 31), (5, 9, 8)])
    @pytest.mark.parametrize("stride", [2, 3, 5, 100])
    def test_with_a_stride_is_that_of_the_first_explained_pixel_of_each_block(self, estimator, space, stride):
        made = rise(image=noisy(space), estimator=estimator, N=40)
        chosen, seen = [], set()
        for index, place in enumerate(np.argwhere(made.pixels)):
            block = tuple(place // stride)
            if block not in seen:
                seen.add(block)
                chosen.append(index)
        assert 1 <= len(chosen) < made.pixels.sum()
        strided = made.max(stride=stride)
        np.testing.assert_allclose(strided, exact_maps(made, chosen).max(axis=0), atol=1e-5)
        assert (strided <= made.max() + 1e-6).all()

    def test_with_a_stride_in_a_full_block_the_rows_and_columns_are_multiples_of_it(self):
        made = rise(lambda images: images * 0 + images.mean(dim=(2, 3), keepdim=True), torch.ones(1, 23, 31))
        assert made.pixels.all()
        numbers = np.arange(23 * 31).reshape(23, 31)
        assert made._first_of_each_block(4).tolist() == numbers[::4, ::4].ravel().tolist()

    def test_a_thin_segment_off_the_raster_keeps_a_pixel_of_every_block_it_crosses(self):
        image = torch.zeros(1, 23, 31)
        image[0, 5, 2:14] = 1
        made = rise(lambda images: images, image)
        columns = np.argwhere(made.pixels)[made._first_of_each_block(4)]
        assert columns.tolist() == [[5, 2], [5, 4], [5, 8], [5, 12]]

    def test_stride_1_is_the_exact_maximum(self):
        made = rise()
        assert torch.equal(made.max(stride=1), made.max())
        assert made._first_of_each_block(1).tolist() == list(range(made.scores.columns))

    @pytest.mark.parametrize("stride", [0, -2, 1.5, "a"])
    def test_a_stride_that_makes_no_sense(self, stride):
        with pytest.raises((TypeError, ValueError), match="stride must be"):
            rise().max(stride=stride)

    def test_a_stride_suits_a_result_from_a_file(self, tmp_path):
        made = rise(N=30)
        loaded = Explanation.load(made.save(tmp_path / "result.safetensors"))
        assert torch.equal(loaded.max(stride=3), made.max(stride=3))

    def test_centred_maps_of_scores_that_never_change_are_exactly_0(self):
        made = rise(lambda images: torch.full_like(images[:, :1], 0.7), N=50)
        assert not made.max().any()
        assert not made.mean().any()

    def test_the_mean_costs_one_sum_of_masks(self, monkeypatch):
        made = rise()
        asked = []
        combine = type(made.masks).combine
        monkeypatch.setattr(
            type(made.masks),
            "combine",
            lambda masks, weights: (asked.append(len(weights)), combine(masks, weights))[1],
        )
        made.mean()
        assert asked == [2]  # the scores' and the masks' own


def influences(weights, scores, estimator, expected):
    """How much each mask moves the map: its standard error is their spread over the root of their number.

    Centred, the delta method worked out numerically: the estimate is g(mean of f M, mean of M, mean of f).
    """
    scores = scores.reshape(-1, *[1] * (weights.ndim - 1))
    if estimator == "paper":
        return weights * scores / expected

    def estimate(kept_score, kept, score):
        return kept_score / kept - score

    means = [part.mean(axis=0) for part in (weights * scores, weights, scores)]
    step = 1e-6
    total = 0
    for index, part in enumerate((weights * scores, weights, scores)):
        up, down = (
            [mean + sign * step * (place == index) for place, mean in enumerate(means)] for sign in (1, -1)
        )
        slope = (estimate(*up) - estimate(*down)) / (2 * step)
        total = total + slope * (part - part.mean(axis=0))
    return total


class TestStandardError:
    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    @pytest.mark.parametrize("space", [(23, 31), (5, 9, 8)])
    def test_is_the_spread_of_what_each_mask_adds(self, estimator, space):
        made = rise(image=noisy(space), estimator=estimator, N=80, p1=0.4)
        weights = made.masks.render(0, 80).double().numpy()
        scores = np.asarray(made.measured["scores"], dtype=float).mean(axis=1)
        own = influences(weights, scores, estimator, 0.4)
        np.testing.assert_allclose(
            made.standard_error, own.std(axis=0, ddof=1) / np.sqrt(80), rtol=1e-3, atol=1e-7
        )

    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    def test_agrees_with_drawing_the_masks_again_with_replacement(self, estimator):
        made = rise(estimator=estimator, N=300)
        weights = made.masks.render(0, 300).double().numpy().reshape(300, -1)
        scores = np.asarray(made.measured["scores"], dtype=float).mean(axis=1)
        random, maps = np.random.default_rng(0), []
        for _ in range(400):
            drawn = random.integers(0, 300, 300)
            total = scores[drawn] @ weights[drawn]
            maps.append(
                total / (300 * 0.5)
                if estimator == "paper"
                else total / weights[drawn].sum(axis=0) - scores[drawn].mean()
            )
        ratio = made.standard_error.ravel() / np.std(maps, axis=0)
        assert 0.85 < np.quantile(ratio, 0.05) < np.quantile(ratio, 0.95) < 1.15

    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    def test_two_of_them_hold_the_truth_95_times_of_100(self, estimator):
        space, count, runs = (9, 12), 400, 150
        centre = torch.zeros(space)
        centre[3:6, 4:8] = 1 / 12

        def score(masks):
            return torch.sigmoid(6 * ((masks * centre).sum(dim=(1, 2)) - 0.5))

        def one(seed, number):
            grids = draw_grids(number, cells=3, keep=0.5, space=space, seed=seed)
            masks = grids.render(0, number)
            scores = score(masks)
            moments = Moments(grids, torch.device("cpu"))
            moments.add(scores.numpy())
            total = (scores[:, None, None] * masks).double().sum(0)
            if estimator == "paper":
                made = total / (number * 0.5)
            else:
                made = total / masks.double().sum(0) - scores.double().mean()
            return made.flatten(), moments.standard_error(estimator, 0.5)

        truth, _ = one(10**6, 60_000)
        within = torch.stack(
            [((m - truth).abs() < 2 * error) for m, error in (one(seed, count) for seed in range(runs))]
        )
        assert 0.93 < within.float().mean() < 0.97

    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    def test_is_infinite_for_a_single_mask(self, estimator):
        assert np.isinf(rise(N=1, estimator=estimator).standard_error).all()

    def test_centred_it_is_0_when_the_score_never_changes(self):
        made = rise(lambda images: torch.ones_like(images[:, :1]), N=50)
        np.testing.assert_allclose(made.saliency, 0, atol=1e-6)
        np.testing.assert_allclose(made.standard_error, 0, atol=1e-6)


class TestMoments:
    """Single precision within a part is checked against everything in double precision."""

    def influences(self, masks, scores, estimator):
        masks, scores = masks.double().flatten(1).numpy(), scores[:, None].astype(float)
        if estimator == "paper":
            return masks * scores / 0.5
        left = scores - scores.mean()
        ratio = (masks * left).sum(axis=0) / masks.sum(axis=0)
        return masks / masks.mean(axis=0) * (left - ratio) - left

    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    @pytest.mark.parametrize(("lowest", "spread"), [(0, 1), (0.95, 0.001), (1 - 1e-4, 1e-4), (1e-5, 1e-6)])
    def test_the_standard_error_is_right_to_six_digits_however_little_scores_differ(
        self, estimator, lowest, spread
    ):
        grids = draw_grids(700, cells=4, keep=0.5, space=(23, 31), seed=1)
        scores = np.float32(lowest + spread * np.random.default_rng(0).random(700))
        moments = Moments(grids, torch.device("cpu"))
        for part in np.split(scores, [100, 300, 301]):
            moments.add(part)
        assert moments.count == 700
        own = self.influences(grids.render(0, 700), scores, estimator)
        np.testing.assert_allclose(
            moments.standard_error(estimator, 0.5), own.std(axis=0, ddof=1) / np.sqrt(700), rtol=1e-6
        )

    @pytest.mark.parametrize("budget", [1, 20_000])
    def test_the_budget_changes_nothing(self, monkeypatch, budget):
        grids = draw_grids(90, cells=4, keep=0.5, space=(23, 31), seed=1)
        scores = np.random.default_rng(0).random(90, dtype=np.float32)

        def error():
            moments = Moments(grids, torch.device("cpu"))
            moments.add(scores)
            return moments.standard_error("centred", 0.5)

        expected = error()
        monkeypatch.setattr("interpret_segmentation.methods.rise.moments.BUDGET", budget)
        np.testing.assert_allclose(error(), expected, rtol=1e-6)


class TestPrecision:
    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    def test_it_stops_at_the_first_hundred_that_is_precise_enough(self, estimator):
        full = rise(N=1000, estimator=estimator)
        weights = full.masks.render(0, 1000).double().numpy()
        scores = np.asarray(full.measured["scores"], dtype=float).mean(axis=1)

        def worst(count):
            own = influences(weights[:count], scores[:count], estimator, 0.5)
            return own.std(axis=0, ddof=1).max() / np.sqrt(count)

        goal = worst(450)
        first = min(count for count in range(100, 1001, 100) if worst(count) <= goal)
        made = rise(N=1000, estimator=estimator, precision=goal)
        assert len(made.masks) == first < 1000
        assert made.scores.rows == len(made.measured["scores"]) == first
        assert made.run["forwards"] == 1 + first
        assert made.standard_error.max() <= goal
        assert made.settings["N"] == 1000
        np.testing.assert_array_equal(made.measured["scores"], full.measured["scores"][:first])
        expected = maps_by_hand(made, soft, noisy(), estimator, 0.5).mean(axis=0)
        np.testing.assert_allclose(made.saliency, expected, atol=1e-5)

    @settings(max_examples=10)
    @given(st.integers(1, 300), st.integers(1, 300))
    def test_the_batch_size_does_not_matter(self, one, other):
        runs = [rise(N=600, precision=0.03, batch_size=size) for size in (one, other)]
        assert len(runs[0].masks) == len(runs[1].masks)
        assert len(runs[0].masks) % 100 == 0
        assert len(runs[0].masks) < 600
        np.testing.assert_allclose(runs[0].saliency, runs[1].saliency, atol=1e-6)

    @pytest.mark.parametrize("count", [60, 100, 250])
    def test_out_of_reach_all_masks_are_used(self, count):
        with pytest.warns(UserWarning, match=f"the precision 1e-09 was not reached with {count} masks"):
            made = rise(N=count, precision=1e-9)
        assert len(made.masks) == count
        np.testing.assert_array_equal(made.saliency, rise(N=count).saliency)

    def test_spared_pixels_need_no_precision(self):
        made = rise(N=1000, precision=0.05, spare="segment")
        assert len(made.masks) < 1000
        assert made.standard_error[made.reached].max() <= 0.05

    def test_a_pixel_that_no_mask_kept_is_not_precise(self):
        with pytest.warns(UserWarning, match="the largest standard error is inf; pass a larger N"):
            made = rise(N=200, p1=0.001, s=2, precision=0.5)
        assert np.isfinite(made.saliency).all()
        never = (made.masks.render(0, 200) > 0).sum(0).numpy() == 0
        assert never.any()
        assert np.isinf(made.standard_error[never]).all()
        assert (made.saliency[never] == 0).all()
        assert len(made.masks) == 200


def test_a_volume_has_maps_of_pixels_by_depth_row_and_column():
    volume = noisy((5, 9, 8))
    made = rise(image=volume, N=40)
    at = tuple(np.argwhere(made.pixels)[3])
    assert made.pixel(*at).shape == (5, 9, 8)
    with pytest.raises(IndexError, match="not among the"):
        made.pixel(*at[1:])


def test_rise_settings_print_and_compare():
    assert RISE() == RISE(p1=0.25)
    assert RISE(N=5) != RISE()
    assert repr(RISE(N=5, seed=3)).startswith("RISE(N=5, ")
    with pytest.raises(AttributeError):
        RISE().N = 4


@pytest.mark.parametrize("estimator", ["paper", "centred"])
@pytest.mark.parametrize(("score", "sign"), [("dice", 1), ("mae", -1), ("hausdorff_graded", -1)])
def test_segments_are_compared_once_for_each_mask(score, sign, estimator):
    image = noisy()
    made = rise(N=50, estimator=estimator, score=score)
    masks = made.masks.render(0, 50)
    segments = soft(image * masks[:, None]).numpy()[:, 0]
    whole = soft(image[None])[0, 0].numpy()

    def compared(output):
        if score == "dice":
            a, b = output > 0.5, whole > 0.5
            return 2 * (a & b).sum() / (a.sum() + b.sum())
        return np.abs(output - whole).mean() if score == "mae" else GradedHausdorffTo(whole)(output)

    numbers = torch.tensor([sign * compared(output) for output in segments])
    wanted = torch.einsum("n,nij->ij", numbers.double(), masks.double())
    if estimator == "paper":
        wanted /= 50 * 0.5
    else:
        wanted = wanted / masks.double().sum(0) - numbers.mean()
    scale = float(wanted.abs().max())
    np.testing.assert_allclose(made.saliency, wanted, atol=2e-5 * max(1, scale), rtol=1e-4)
    np.testing.assert_allclose(made.max().numpy(), made.saliency, atol=2e-5 * max(1, scale), rtol=1e-4)
    assert ("negative" in made.meaning) == (sign == -1)
    with pytest.raises(IndexError, match="compared as a whole"):
        made.pixel(*np.argwhere(made.pixels)[0])


def test_a_comparison_of_segments_survives_its_file(tmp_path):
    made = rise(N=30, score="mae", design="sobol")
    made.save(tmp_path / "made.safetensors")
    loaded = Explanation.load(tmp_path / "made.safetensors")
    assert loaded == made
    np.testing.assert_array_equal(loaded.repeat(soft, progress=False).saliency, made.saliency)


def test_balanced_masks_need_fewer_for_the_same_map():
    long = rise(N=20_000, seed=99).saliency
    errors = {
        design: np.mean(
            [np.abs(rise(N=256, design=design, seed=seed).saliency - long).mean() for seed in range(8)]
        )
        for design in ("random", "sobol")
    }
    assert errors["sobol"] < 0.9 * errors["random"]


@pytest.mark.parametrize("wrong", [{"design": "hadamard"}, {"score": "nonsense"}])
def test_a_design_or_score_that_does_not_exist_is_refused(wrong):
    with pytest.raises(ValueError, match=r"design must be one of|there is no score"):
        RISE(**wrong)
