import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interpret_segmentation import Explanation, Occlusion, explain
from interpret_segmentation.perturb.masks.base import merged
from interpret_segmentation.perturb.masks.several import SeveralSizes, as_sizes
from interpret_segmentation.perturb.masks.windows import Windows


def several(space=(23, 31), sizes=(3, 8, 14), offset=4):
    return SeveralSizes(tuple(Windows.covering(space, size, offset, "circle") for size in sizes))


def test_windows_are_counted_one_size_after_the_other():
    masks = several()
    wanted = torch.cat([one.hidden(np.arange(len(one))) for one in masks.windows])
    assert len(masks) == len(wanted)
    assert torch.equal(masks.hidden(np.arange(len(masks))), wanted)
    mixed = np.array([100, 3, 55, 3, 143])
    assert torch.equal(masks.hidden(mixed), wanted[mixed])


def test_a_pixel_gets_the_mean_over_the_sizes():
    masks = several()
    values = np.random.default_rng(0).normal(size=len(masks))
    for merge in ("mean", "max"):
        numbers = np.split(np.arange(len(masks)), np.cumsum([len(one) for one in masks.windows])[:-1])
        maps = [
            one.spread(values[own], np.arange(len(one)), merge)
            for one, own in zip(masks.windows, numbers, strict=True)
        ]
        np.testing.assert_allclose(
            masks.spread(values, np.arange(len(masks)), merge), np.nanmean(maps, axis=0)
        )


def test_where_no_window_of_a_size_reaches_the_others_speak():
    masks = SeveralSizes((Windows((9, 9), 2, 9, "square"), Windows((9, 9), 20, 9, "square")))
    spread = masks.spread(np.array([6.0, 2.0]), np.arange(2), "mean")
    assert spread[1, 1] == 4
    assert spread[8, 8] == 2
    alone = masks.spread(np.array([6.0]), np.array([0]), "max")
    assert alone[1, 1] == 6
    assert np.isnan(alone[8, 8])


def test_improvements_do_not_vanish_when_sizes_are_merged():
    masks = several(sizes=(3, 6))
    values = np.zeros(len(masks))
    values[: len(masks.windows[0])] = -1
    assert merged(masks, values, np.arange(len(masks)), "max").min() == pytest.approx(-0.5)


def test_each_size_keeps_its_own_value_furthest_from_0_before_the_mean_over_sizes():
    small, large = Windows((1, 6), 2, 1, "square"), Windows((1, 6), 3, 1, "square")
    values = np.array([3.0, -1, 3, -1, 3, -1]), np.array([1.0, -4, 1, -4, 1, -4])
    numbers = np.arange(6)
    assert [
        merged(one, of, numbers, "max")[0, 2] for one, of in zip((small, large), values, strict=True)
    ] == [
        3,
        -4,
    ]
    both = merged(SeveralSizes((small, large)), np.concatenate(values), np.arange(12), "max")
    np.testing.assert_array_equal(both, [[2, -0.5, -0.5, -0.5, -0.5, -0.5]])


def network(batch):
    return torch.sigmoid(8 * (batch - 0.5) + 3 * batch[:, :, 16:20, 24:28].mean(dim=(2, 3), keepdim=True))


def picture():
    image = np.zeros((23, 31), dtype=np.float32)
    image[3:12, 4:14] = 0.8
    image[16:20, 24:28] = 1
    return image


def test_sizes_together_are_the_mean_of_their_maps(tmp_path):
    settings = {"offset": 3, "score": "mae", "share": "even", "progress": False}
    alone = [explain(network, picture(), "occlusion", size=size, **settings) for size in (4, 9)]
    both = explain(network, picture(), "occlusion", size=[9, 4, 9], **settings)
    np.testing.assert_allclose(both.saliency, np.mean([one.saliency for one in alone], axis=0), atol=1e-7)
    assert both.settings["size"] == (4, 9)
    both.save(tmp_path / "both.safetensors")
    loaded = Explanation.load(tmp_path / "both.safetensors")
    assert loaded == both
    np.testing.assert_array_equal(loaded.repeat(network, progress=False).saliency, both.saliency)


def test_one_size_in_a_list_is_one_size():
    one, listed = (
        explain(network, picture(), "occlusion", size=size, offset=3, progress=False) for size in (5, [5])
    )
    np.testing.assert_array_equal(one.saliency, listed.saliency)


@pytest.mark.parametrize("wrong", [(), (3, 0), (2.5,)])
def test_sizes_that_make_no_sense_are_refused(wrong):
    with pytest.raises((ValueError, TypeError), match="size"):
        Occlusion(size=wrong)


def test_each_size_counts_once_and_the_smallest_comes_first():
    assert as_sizes([25, 15, 25]) == (15, 25)


@given(
    st.tuples(st.integers(1, 14), st.integers(1, 14)) | st.tuples(*[st.integers(1, 6)] * 3),
    st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True),
    st.integers(1, 5),
    st.sampled_from(["circle", "square"]),
)
def test_boxes_hold_what_the_windows_hide(space, sizes, offset, shape):
    masks = SeveralSizes(tuple(Windows.covering(space, size, offset, shape) for size in sorted(sizes)))
    numbers = np.arange(len(masks))[::-1].copy()
    boxes, corners = masks.boxed(numbers)
    whole = np.zeros((len(numbers), *space), dtype=bool)
    for mask, box, corner in zip(whole, boxes.numpy(), corners, strict=True):
        mask[tuple(slice(first, first + side) for first, side in zip(corner, box.shape, strict=True))] = box
    np.testing.assert_array_equal(whole, masks.hidden(numbers).numpy())
