"""The segments with parts hidden are those that the network drew."""

import numpy as np
import pytest
import torch
from networks import brightness

from interpret_segmentation import Explanation, explain
from interpret_segmentation.perturb.masks.parts import Parts
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.results import hidden_segments as turned


def noisy(height=23, width=31, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((1, height, width), dtype=np.float32))


def drawn_with(image, masks, numbers):
    """What `brightness` draws, asked again with each mask hidden."""
    hidden = masks.hidden(np.asarray(numbers))
    return (image.masked_fill(hidden[:, None], 0)[:, 0] > 0.5).numpy()


def kept(result, count):
    return np.stack([result.segment_when_hidden(number) for number in range(count)])


@pytest.mark.parametrize("distance", ["hausdorff", "mae", "hausdorff_of_rows", lambda a, _: float(a.sum())])
def test_hdm_keeps_the_segment_of_every_circle_whatever_it_measures(distance):
    image = noisy()
    result = explain(brightness, image, "hdm", circle_size=6, offset=5, distance=distance, progress=False)
    wanted = drawn_with(image, result.circles, np.arange(len(result.circles)))
    assert (wanted != result.segment).any(axis=(1, 2)).sum() > 20
    np.testing.assert_array_equal(kept(result, len(wanted)), wanted)


def test_the_segments_are_the_same_whatever_the_batch_size():
    image = noisy()
    one, five = (
        explain(brightness, image, "hdm", circle_size=6, offset=5, batch_size=size, progress=False)
        for size in (1, 5)
    )
    np.testing.assert_array_equal(one.measured["turned"], five.measured["turned"])
    np.testing.assert_array_equal(one.measured["turned_until"], five.measured["turned_until"])


def test_occlusion_keeps_those_of_windows_of_several_sizes_of_parts_and_of_some_of_them():
    image = noisy()
    labels = np.arange(23 * 31).reshape(23, 31) // 100
    parts = explain(brightness, image, "occlusion", shape=labels, progress=False)
    np.testing.assert_array_equal(kept(parts, 8), drawn_with(image, Parts(labels), np.arange(8)))
    region = np.zeros((23, 31), dtype=bool)
    region[:9, :9] = True
    some = explain(
        brightness, image, "occlusion", shape="circle", size=5, offset=4, within=region, progress=False
    )
    numbers = some.measured["numbers"]
    windows = Windows.covering((23, 31), 5, 4, "circle")
    assert 0 < len(numbers) < len(windows)
    np.testing.assert_array_equal(kept(some, len(numbers)), drawn_with(image, windows, numbers))


def test_a_volume_keeps_them_too():
    volume = torch.from_numpy(np.random.default_rng(1).random((1, 5, 7, 9), dtype=np.float32))
    result = explain(brightness, volume, "hdm", circle_size=4, offset=3, fill="black", dims=3, progress=False)
    wanted = drawn_with(volume, result.circles, np.arange(len(result.circles)))
    np.testing.assert_array_equal(kept(result, len(wanted)), wanted)


def test_saved_and_loaded_they_are_the_same(tmp_path):
    result = explain(brightness, noisy(), "hdm", circle_size=6, offset=5, progress=False)
    loaded = Explanation.load(result.save(tmp_path / "a.safetensors"))
    assert loaded == result
    np.testing.assert_array_equal(loaded.segment_when_hidden(7), result.segment_when_hidden(7))


def test_a_network_that_never_moves_keeps_nothing_but_its_segment():
    image = noisy()
    still = lambda batch: (image[None].expand(len(batch), -1, -1, -1) > 0.5).float()  # noqa: E731
    result = explain(still, image, "hdm", circle_size=6, offset=5, progress=False)
    assert len(result.measured["turned"]) == 0
    np.testing.assert_array_equal(result.segment_when_hidden(3), result.segment)


def test_more_than_the_memory_allows_is_not_kept_and_that_is_said(monkeypatch):
    monkeypatch.setattr(turned, "MEMORY", 100)
    result = explain(brightness, noisy(), "hdm", circle_size=6, offset=5, progress=False)
    assert "turned" not in result.measured
    with pytest.raises(LookupError, match="were not kept"):
        result.segment_when_hidden(0)


def test_exactly_as_much_as_the_memory_allows_is_kept(monkeypatch):
    kept = explain(brightness, noisy(), "hdm", circle_size=6, offset=5, progress=False).measured["turned"]
    monkeypatch.setattr(turned, "MEMORY", kept.nbytes)
    result = explain(brightness, noisy(), "hdm", circle_size=6, offset=5, progress=False)
    np.testing.assert_array_equal(result.measured["turned"], kept)


def test_what_is_not_there_is_refused():
    result = explain(brightness, noisy(), "hdm", circle_size=6, offset=5, progress=False)
    with pytest.raises(IndexError, match="there are 35 masks"):
        result.segment_when_hidden(35)
    with pytest.raises(IndexError):
        result.segment_when_hidden(-1)
    with pytest.raises(LookupError, match="without a segment"):
        Explanation(np.ones((2, 3))).segment_when_hidden(0)
    rise = explain(brightness, noisy(), "rise", N=20, seed=0, progress=False)
    with pytest.raises(LookupError, match="were not kept"):
        rise.segment_when_hidden(0)
