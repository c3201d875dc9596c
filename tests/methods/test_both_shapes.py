"""Windows of two shapes at the same positions: what the shape of a hole invents is not taken for a cause."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interpret_segmentation import HDM, Explanation, HausdorffDistanceMasks, Occlusion, explain
from interpret_segmentation._settings import as_data, from_data
from interpret_segmentation.methods.one_by_one import STRONG, agreed
from interpret_segmentation.perturb.masks.base import merged
from interpret_segmentation.perturb.masks.windows import Windows

SPACE = (24, 40)
IMAGE = torch.rand(1, *SPACE, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
SEGMENT = np.zeros(SPACE, dtype=bool)
SEGMENT[8:16, 4:14] = True


def depends(batch):
    """The segment is as probable as one spot far away is bright."""
    spot = batch[..., 10:14, 28:33].mean(dim=(-2, -1), keepdim=True)
    return torch.from_numpy(SEGMENT) * (0.2 + spot).clamp(0, 1)


def sees_corners(batch):
    """Loses the segment where a hole has a right angle with sides of five pixels."""
    black = (batch == 0).float()
    shape = torch.full((1, 1, 6, 6), 0.0)
    shape[..., 1, 1:] = shape[..., 1:, 1] = 1  # the two sides
    shape[..., 0, :] = shape[..., :, 0] = -1  # and nothing before them
    corner = torch.nn.functional.conv2d(black, shape).flatten(1).amax(dim=1) >= 9
    return torch.from_numpy(SEGMENT) * (0.9 - 0.8 * corner.float().view(-1, 1, 1, 1))


def by_hand(network, windows):
    """Mean absolute change of the segment's pixels with each window black."""
    whole, found = network(IMAGE[None])[0, 0], []
    for hidden in windows.hidden(np.arange(len(windows))):
        answer = network(torch.where(hidden, torch.zeros(()), IMAGE)[None])[0, 0]
        found.append((answer - whole).abs().double()[SEGMENT].mean().item())
    return np.array(found)


def asked(network, method):
    return method.explain(network, IMAGE, SEGMENT, progress=False)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9), st.data())
def test_what_two_answers_have_in_common(first, data):
    second = data.draw(st.lists(st.floats(-5, 5), min_size=len(first), max_size=len(first)))
    for one, other, both in zip(first, second, agreed(np.array(first), np.array(second)), strict=True):
        assert abs(both) <= min(abs(one), abs(other))
        assert both in (0, one, other)
        assert both * one >= 0
        if one * other > 0:
            assert abs(both) == min(abs(one), abs(other))


def test_each_strong_position_has_what_squares_and_circles_by_hand_have_in_common():
    made = asked(depends, Occlusion(shape="both", size=7, offset=4, fill="black", share="even"))
    squares = Windows.covering(SPACE, 7, 4, "square")
    circles = Windows.covering(SPACE, 6, 4, "circle")
    first, second = by_hand(depends, squares), by_hand(depends, circles)
    strong = (first > 0) & (first >= STRONG * first.max())
    wanted = np.where(strong, np.minimum(first, second), first)
    assert 0 < strong.sum() < len(first)
    np.testing.assert_allclose(made.measured["scores"] - made.measured["baseline"], wanted, atol=1e-7)
    np.testing.assert_allclose(made.measured["first_scores"], first, atol=1e-7)
    np.testing.assert_allclose(made.measured["second_scores"][strong], second[strong], atol=1e-7)
    assert np.isnan(made.measured["second_scores"][~strong]).all()
    painted = merged(squares, wanted, np.arange(len(squares)), "mean")
    np.testing.assert_allclose(made.saliency, np.nan_to_num(painted), atol=1e-7)
    assert made.run["forwards"] == 1 + len(squares) + strong.sum()
    assert not made.run["notes"]


@pytest.mark.filterwarnings("ignore:in ")
def test_a_cause_that_only_the_shape_of_the_hole_invents_is_gone_and_told():
    invented = asked(sees_corners, Occlusion(shape="square", size=7, offset=4, fill="black"))
    both = asked(sees_corners, Occlusion(shape="both", size=7, offset=4, fill="black"))
    assert invented.saliency.max() > 0.02
    assert np.abs(both.saliency).max() < 1e-9
    (note,) = [one for one in both.notes if "strong positions" in one]
    assert "answer to a square hole and hardly to a round one" in note


def test_hdm_confirms_circles_by_squares_and_circles_alone_stay_one_argument_away():
    settings = {"circle_size": 6, "offset": 4, "fill": "black", "distance": "mae"}
    both, alone = asked(depends, HDM(**settings)), asked(depends, HDM(shape="circle", **settings))
    circles, squares = Windows(SPACE, 6, 4), Windows(SPACE, 7, 4, "square")
    first, second = by_hand(depends, circles), by_hand(depends, squares)
    np.testing.assert_allclose(alone.measured["distances"].ravel(), first, atol=1e-7)
    strong = (first > 0) & (first >= STRONG * first.max())
    np.testing.assert_allclose(
        both.measured["distances"].ravel(), np.where(strong, np.minimum(first, second), first), atol=1e-7
    )
    assert "first_scores" not in alone.measured
    assert HDM().shape == "both"
    with pytest.raises(ValueError, match="shape must be 'both' or 'circle', got 'star'"):
        HDM(shape="star")


def test_the_documented_explainer_asks_circles_alone():
    explainer = HausdorffDistanceMasks(SPACE[1], SPACE[0])
    explainer.generate_masks(circle_size=7, offset=6)
    made = explainer.explain(depends, IMAGE, SEGMENT, progress=False)
    assert made.settings["shape"] == "circle"
    assert made.run["forwards"] <= 1 + len(explainer.circles)


@pytest.mark.parametrize(
    "method",
    [Occlusion(shape="both", size=7, offset=4, fill="black"), HDM(6, 4, fill="black", distance="mae")],
)
def test_both_are_kept_in_files_repeated_and_checked(method, tmp_path):
    made = asked(depends, method)
    loaded = Explanation.load(made.save(tmp_path / "a.safetensors"))
    np.testing.assert_array_equal(loaded.measured["second_scores"], made.measured["second_scores"])
    np.testing.assert_array_equal(loaded.saliency, made.saliency)
    again = loaded.repeat(depends, progress=False)
    np.testing.assert_allclose(again.saliency, made.saliency)
    assert loaded.sentences() == made.sentences()
    for name in ("first_scores", "second_scores"):
        with pytest.raises(ValueError, match=f"{name} must be"):
            made.recipe.method.check(replace(made, measured={**made.measured, name: np.zeros(3)}))


def test_a_file_from_before_there_were_shapes_had_circles():
    for method in (Occlusion(size=5, offset=4), HDM(5, 4)):
        data = as_data(method)
        del data["shape"]
        assert from_data(data).shape == "circle"


def test_several_sizes_and_volumes_have_both_shapes_too():
    made = asked(depends, Occlusion(shape="both", size=(5, 9), offset=5, fill="black"))
    assert len(made.measured["scores"]) == 2 * len(Windows.covering(SPACE, 5, 5, "square"))
    volume = torch.rand(1, 6, 10, 12)
    made = explain(lambda batch: batch, volume, "hdm", circle_size=4, offset=3, dims=3, progress=False)
    assert made.saliency.shape == (6, 10, 12)


def test_where_nothing_changes_nothing_is_asked_again():
    constant = torch.from_numpy(SEGMENT).float()[None, None] * 0.9
    made = asked(lambda batch: constant.expand(len(batch), -1, -1, -1), HDM(6, 4, fill="black"))
    assert made.run["forwards"] == 1 + len(Windows(SPACE, 6, 4))
    assert not made.saliency.any()
