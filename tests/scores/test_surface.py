import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from interpret_segmentation.scores.registry import HausdorffTo
from interpret_segmentation.scores.surface import SurfaceTo, average_surface_distance, hausdorff95

both = pytest.mark.parametrize("measure", [hausdorff95, average_surface_distance])
shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=7)


@st.composite
def masks(draw, count):
    shape = draw(shapes)
    return [draw(hnp.arrays(bool, shape, elements=st.booleans())) for _ in range(count)]


def square(top, left, side=8, shape=(60, 90)):
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


@both
def test_a_line_shifted_ten_rows_down_is_ten_pixels_away(measure):
    line, lower = np.zeros((2, 60, 90), bool)
    line[20, 10:70] = lower[30, 10:70] = True
    assert measure(line, lower) == 10
    assert measure(line, lower, spacing=(0.5, 3)) == 5


@both
def test_spacing_is_the_distance_between_neighbours_along_each_axis(measure):
    one, other = square(20, 30, 1), square(24, 31, 1)
    assert measure(one, other, spacing=(2, 6)) == 10


def test_a_square_inside_a_square_worked_by_hand():
    inner, outer = square(22, 32, side=4), square(20, 30, side=8)
    there, back = SurfaceTo(outer).distances(inner)
    assert there.tolist() == [2] * 12
    assert sorted(back) == pytest.approx([2] * 16 + [5**0.5] * 8 + [8**0.5] * 4)
    assert average_surface_distance(inner, outer) == pytest.approx((2 * 28 + 8 * 5**0.5 + 4 * 8**0.5) / 40)
    assert hausdorff95(inner, outer) == pytest.approx(8**0.5)


def test_the_percentile_is_linear_between_the_two_nearest_ranks():
    row, start = np.zeros((2, 1, 21), bool)
    row[0, :11] = start[0, 0] = True
    assert hausdorff95(row, start) == pytest.approx(9.5)


def test_the_percentile_is_taken_each_way_and_the_larger_one_counts():
    line, short = np.zeros((2, 5, 1000), bool)
    line[2, :900] = short[2, :10] = True
    there, back = SurfaceTo(short).distances(line)
    assert hausdorff95(line, short) == hausdorff95(short, line) == np.percentile(there, 95)
    assert not back.any()


def test_the_average_is_over_both_sets_together():
    one, two = np.zeros((2, 5, 50), bool)
    one[2, 10] = two[2, [11, 13, 19]] = True
    assert average_surface_distance(one, two) == (1 + 1 + 3 + 9) / 4


def test_one_stray_pixel_in_a_hundred_does_not_decide_the_percentile():
    stray = square(20, 30)
    stray[55, 85] = True
    assert hausdorff95(stray, square(20, 30)) == 0
    assert average_surface_distance(stray, square(20, 30)) > 0


def test_a_mask_that_touches_the_border_has_its_edge_there():
    full = np.ones((6, 9), bool)
    frame = full.copy()
    frame[1:-1, 1:-1] = False
    assert average_surface_distance(full, frame) == 0
    centre = square(3, 4, side=1, shape=(6, 9))
    assert len(SurfaceTo(centre).distances(full)[0]) == frame.sum()
    assert SurfaceTo(full).distances(centre)[0] == [2]


def test_pixels_that_touch_only_at_a_corner_are_no_neighbours():
    rounded = np.ones((5, 5), bool)
    rounded[[0, 0, -1, -1], [0, -1, 0, -1]] = False
    there, _ = SurfaceTo(square(2, 2, 1, (5, 5))).distances(rounded)
    assert len(there) == 12


@both
def test_filling_what_is_no_edge_changes_no_surface(measure):
    ring = square(20, 30, side=3)
    ring[21, 31] = False
    assert measure(ring, square(20, 30, side=3)) == 0


def test_an_equal_mask_is_answered_without_a_search(monkeypatch):
    monkeypatch.delattr("interpret_segmentation.scores.surface.KDTree")
    assert [d.tolist() for d in SurfaceTo(square(20, 30, 3)).distances(square(20, 30, 3))] == [[0] * 8] * 2


@both
def test_two_empty_masks_are_at_distance_zero(measure):
    empty = np.zeros((60, 90), bool)
    assert measure(empty, empty) == 0
    assert measure(np.zeros((0, 5), bool), np.zeros((0, 5), bool)) == 0


@both
@pytest.mark.parametrize("spacing", [None, (2, 2), (0.3, 1.7)])
def test_an_empty_mask_is_the_diagonal_away_from_any_other_as_for_hausdorff(measure, spacing):
    empty = np.zeros((31, 41), bool)
    for mask in (square(0, 0, 1, (31, 41)), square(9, 7, 12, (31, 41)), ~empty):
        expected = HausdorffTo(empty, spacing=spacing)(mask)
        assert measure(empty, mask, spacing=spacing) == measure(mask, empty, spacing=spacing) == expected
    assert measure(empty, ~empty) == 50


@both
def test_no_distance_exceeds_the_diagonal_of_the_empty_case(measure):
    one, other = square(0, 0, 1, (31, 41)), square(30, 40, 1, (31, 41))
    assert measure(one, other) == measure(one, np.zeros_like(one)) == 50


@both
@pytest.mark.parametrize("spacing", [(1,), (1, 0), (1, -2)])
def test_a_spacing_that_makes_no_sense_is_refused(measure, spacing):
    with pytest.raises(ValueError, match="spacing must be one positive number for each of the 2 axes"):
        measure(square(0, 0), square(0, 0), spacing=spacing)


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        SurfaceTo(square(0, 0)).distances(np.zeros((90, 60), bool))


def test_errors_read_as_those_of_hausdorff():
    messages = []
    for to in (HausdorffTo, SurfaceTo):
        with pytest.raises(ValueError, match="spacing") as bad_spacing:
            to(square(0, 0), spacing=(1, 0))
        compare = to(square(0, 0))
        with pytest.raises(ValueError, match="shape") as bad_shape:
            (compare if to is HausdorffTo else compare.average)(np.zeros((90, 60), bool))
        messages.append((str(bad_spacing.value), str(bad_shape.value)))
    assert messages[0] == messages[1]


def test_the_reference_is_a_copy_and_the_mask_is_left_alone():
    reference, mask = square(20, 30), square(30, 30)
    to_reference = SurfaceTo(reference)
    before = to_reference.average(mask)
    reference[:] = False
    assert to_reference.average(mask) == before
    assert np.array_equal(mask, square(30, 30))


@both
def test_whatever_is_not_zero_is_set(measure):
    a, b = square(20, 30), square(25, 33)
    labels = np.indices(a.shape).sum(axis=0) % 2 + 1
    assert measure(a * labels, b * labels) == measure(a, b)


@both
@given(masks(2), st.tuples(*[st.sampled_from([0.5, 1.0, 2.5])] * 3))
def test_it_is_symmetric_and_zero_for_equal_masks(measure, pair, spacings):
    a, b = pair
    spacing = spacings[: a.ndim]
    assert measure(a, b, spacing=spacing) == pytest.approx(measure(b, a, spacing=spacing))
    assert measure(a, a.copy(), spacing=spacing) == 0


@both
@given(masks(2), st.integers(0, 3), st.integers(0, 3))
def test_a_common_shift_changes_nothing(measure, pair, before, after):
    a, b = pair
    if a.any() and b.any():
        moved = [np.pad(mask, [(before, after)] * mask.ndim) for mask in pair]
        assert measure(*moved) == pytest.approx(measure(a, b))


@both
@given(masks(2), st.floats(0.01, 100))
def test_another_unit_changes_only_the_unit(measure, pair, unit):
    a, b = pair
    assert measure(a, b, spacing=[unit] * a.ndim) == pytest.approx(unit * measure(a, b))


@given(masks(4))
def test_one_prepared_reference_serves_many_masks(four):
    reference, *others = four
    to_reference = SurfaceTo(reference)
    for mask in others:
        assert to_reference.hausdorff95(mask) == hausdorff95(mask, reference)
        assert to_reference.average(mask) == average_surface_distance(mask, reference)


@given(masks(2))
def test_no_surface_distance_is_longer_than_the_longest(pair):
    a, b = pair
    there, back = SurfaceTo(b).distances(a)
    longest = max(there.max(), back.max())
    assert hausdorff95(a, b) <= longest
    assert average_surface_distance(a, b) <= longest + 1e-9
