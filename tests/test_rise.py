import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import FarPatch, brightness

from interpret_segmentation.inference import score_table
from interpret_segmentation.rise import SegmentationRISE


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
    assert asked == [1, 16, 16, 16, 12]


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
    expected = explainer()(image).max()
    monkeypatch.setattr("interpret_segmentation.rise.BUDGET", budget)
    torch.testing.assert_close(explainer()(image).max(), expected)


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
