"""What follows from weights alone is what each kind of masks does in its own, faster way."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpret_segmentation.perturb import Coalitions, Masks, Parts, Windows, draw_grids
from interpret_segmentation.perturb.fills.named import as_fill
from interpret_segmentation.perturb.hiding import Function, Hiding
from interpret_segmentation.perturb.masks import base
from interpret_segmentation.perturb.masks.base import merged
from interpret_segmentation.perturb.masks.several import SeveralSizes


class Plain(Masks):
    """Nothing but the weights of other masks."""

    def __init__(self, other):
        self._other = other

    @property
    def space(self):
        return self._other.space

    def __len__(self):
        return len(self._other)

    def weights(self, numbers, device="cpu"):
        return self._other.weights(numbers, device)


LABELS = np.array([[0, 0, 5, 5, -1], [0, 7, 7, 5, -1], [2, 2, 7, 7, 7]])
KINDS = {
    "circles": Windows((9, 13), 4, 3),
    "squares that begin outside": Windows.covering((9, 13), 5, 2, "square"),
    "balls": Windows((5, 6, 7), 3, 2),
    "sizes": SeveralSizes((Windows((9, 13), 2, 3), Windows((9, 13), 5, 3))),
    "parts": Parts(LABELS),
    "coalitions": Coalitions(Parts(LABELS), np.array(list(product([False, True], repeat=4)))[1:]),
}


@pytest.mark.parametrize("name", KINDS)
class TestHardMasks:
    def test_weights_are_one_where_a_mask_keeps(self, name):
        masks = KINDS[name]
        numbers = np.arange(len(masks))
        weights = masks.weights(numbers)
        assert weights.shape == (len(masks), *masks.space)
        assert torch.equal(weights == 0, masks.hidden(numbers))
        assert set(weights.unique().tolist()) <= {0.0, 1.0}
        assert torch.equal(Plain(masks).hidden(numbers), masks.hidden(numbers))

    @pytest.mark.parametrize("merge", ["mean", "max"])
    def test_values_are_spread_alike(self, name, merge):
        masks = KINDS[name]
        if name == "sizes":
            return  # which take the mean over the sizes, on purpose
        numbers = np.arange(0, len(masks), 2)
        values = np.random.default_rng(0).normal(size=len(numbers))
        for spread in (lambda one: one.spread(values, numbers, merge),
                       lambda one: merged(one, values, numbers, merge)):  # fmt: skip
            np.testing.assert_allclose(spread(Plain(masks)), spread(masks), atol=1e-12)

    def test_boxes_hold_what_is_hidden(self, name):
        masks = KINDS[name]
        numbers = np.arange(len(masks))[1::2]
        for one in (masks, Plain(masks)):
            inside, corners = one.boxed(numbers)
            for number, box, corner in zip(numbers, inside, corners, strict=True):
                whole = np.zeros(masks.space, dtype=bool)
                where = tuple(slice(at, at + side) for at, side in zip(corner, box.shape, strict=True))
                whole[where] = box.numpy()
                np.testing.assert_array_equal(whole, masks.hidden(np.array([number]))[0])

    def test_images_and_their_patches_are_the_same(self, name):
        masks = KINDS[name]
        image = torch.rand(2, *masks.space, generator=torch.Generator().manual_seed(0))
        numbers = np.arange(len(masks))
        spare = np.zeros(masks.space, dtype=bool)
        spare[..., 1:3] = True
        for one, fill in product((masks, Plain(masks)), ("black", "local_mean")):
            hiding = Hiding(one, numbers, image, as_fill(fill), slice(None), spare)
            whole, patches = hiding(0, len(masks)), hiding.patches(0, len(masks))
            for at in range(len(masks)):
                put_back = image.clone()
                size = patches.values.shape[2:]
                where = tuple(slice(a, a + side) for a, side in zip(patches.corners[at], size, strict=True))
                put_back[(slice(None), *where)] = patches.values[at]
                assert torch.equal(put_back, whole[at])
                assert patches.differ[at] == (not torch.equal(whole[at], image))


def test_exactly_half_is_enough():
    region = np.zeros(LABELS.shape, dtype=bool)
    region[2, :1] = True  # one of the two pixels of part 2
    assert Parts(LABELS).inside(region).tolist() == [False, True, False, False]
    assert Plain(Parts(LABELS)).inside(region).tolist() == [False, True, False, False]


def test_parts_lie_in_a_region_that_has_half_of_them():
    region = np.zeros(LABELS.shape, dtype=bool)
    region[:, :2] = True
    assert Parts(LABELS).inside(region).tolist() == [True, True, False, False]
    assert Plain(Parts(LABELS)).inside(region).tolist() == [True, True, False, False]


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 99))
def test_sums_of_random_masks_follow_from_their_weights(cells, count, seed):
    grids = draw_grids(count, cells=cells, keep=0.4, space=(7, 11), seed=seed)
    weights = torch.randn(3, count, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(Plain(grids).combine(weights), grids.combine(weights), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(Plain(grids).largest(weights), grids.largest(weights), rtol=1e-4, atol=1e-5)
    numbers = np.random.default_rng(seed).permutation(count)
    assert torch.equal(grids.weights(numbers), grids.render(0, count)[torch.from_numpy(numbers)])


@pytest.mark.parametrize("budget", [1, 2000])
def test_a_small_budget_changes_nothing(monkeypatch, budget):
    grids = draw_grids(9, cells=3, keep=0.4, space=(7, 11), seed=1)
    weights = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    expected = Plain(grids).combine(weights), Plain(grids).largest(weights)
    region = np.zeros((7, 11), dtype=bool)
    region[2:6, 3:9] = True
    inside = Plain(grids).inside(region)
    monkeypatch.setattr(base, "BUDGET", budget)
    torch.testing.assert_close(Plain(grids).combine(weights), expected[0])
    torch.testing.assert_close(Plain(grids).largest(weights), expected[1])
    np.testing.assert_array_equal(Plain(grids).inside(region), inside)


class TestCoalitions:
    def test_a_coalition_hides_its_parts_and_nothing_else(self):
        one = Coalitions(Parts(LABELS), np.array([[True, False, False, True], [False] * 4]))
        hidden = one.hidden(np.array([0, 1])).numpy()
        np.testing.assert_array_equal(hidden[0], np.isin(LABELS, [0, 7]))
        assert not hidden[1].any()
        assert one.as_windows() == ()
        assert one.as_labels() is None

    @pytest.mark.parametrize("hides", [np.ones((2, 3), bool), np.ones(4, bool), np.ones((2, 4))])
    def test_they_have_to_fit_the_parts(self, hides):
        with pytest.raises(ValueError, match=r"hides must be bool \[masks, 4\], one column for each part"):
            Coalitions(Parts(LABELS), hides)


def test_variations_of_a_function_have_no_patches():
    image = torch.ones(1, 2, 3)

    def numbered(first, last):
        return np.stack([np.full((1, 2, 3), at) for at in range(first, last)])

    made = Function(numbered, image)
    assert made(2, 5)[:, 0, 0, 0].tolist() == [2, 3, 4]
    assert made(2, 5).dtype == image.dtype
    assert made.patches(0, 1) is None
    for wrong in (torch.ones(3, 1, 2, 4), torch.ones(2, 1, 2, 3), torch.ones(3, 2, 3)):
        with pytest.raises(ValueError, match="must return images number 2 to 4, 3 x 1 x 2 x 3; got"):
            Function(lambda *_, wrong=wrong: wrong, image)(2, 5)
