import numpy as np
import pytest

from interpret_segmentation.scores import DISTANCES, HausdorffTo, dice, distance_to, hausdorff


def square(top, left, side=8, shape=(60, 90)):
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_square_shifted_ten_rows_down_is_ten_pixels_away():
    assert hausdorff(square(20, 30), square(30, 30)) == 10


def test_a_square_shifted_ten_columns_right_is_ten_pixels_away():
    assert hausdorff(square(20, 30), square(20, 40)) == 10


def test_one_stray_pixel_decides():
    stray = square(20, 30)
    stray[20 + 7 + 30, 30] = True
    assert hausdorff(stray, square(20, 30)) == 30


def test_two_empty_masks_are_at_distance_zero():
    empty = np.zeros((60, 90), bool)
    assert hausdorff(empty, empty) == 0


def test_an_empty_mask_is_the_diagonal_away_from_any_other():
    empty = np.zeros((31, 41), bool)
    corner = square(0, 0, side=1, shape=(31, 41))
    assert hausdorff(empty, corner) == hausdorff(corner, empty) == 50
    assert hausdorff(empty, corner, spacing=(2, 2)) == 100


def test_no_distance_exceeds_the_diagonal_of_the_empty_case():
    one, other = square(0, 0, 1, (31, 41)), square(30, 40, 1, (31, 41))
    assert hausdorff(one, other) == hausdorff(one, np.zeros_like(one))


def test_a_full_mask_and_one_pixel():
    assert hausdorff(np.ones((4, 5), bool), square(0, 0, 1, (4, 5))) == 5


def test_spacing_is_the_distance_between_neighbours_along_each_axis():
    assert hausdorff(square(20, 30), square(30, 30), spacing=(0.5, 3)) == 5
    assert hausdorff(square(20, 30), square(20, 40), spacing=(0.5, 3)) == 30


@pytest.mark.parametrize("spacing", [(1,), (1, 0), (1, -2)])
def test_a_spacing_that_makes_no_sense_is_refused(spacing):
    with pytest.raises(ValueError, match="spacing must be one positive number for each of the 2 axes"):
        hausdorff(square(0, 0), square(0, 0), spacing=spacing)


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        HausdorffTo(square(0, 0))(np.zeros((90, 60), bool))


def test_the_reference_is_a_copy():
    reference = square(20, 30)
    to_reference = HausdorffTo(reference)
    reference[:] = False
    assert to_reference(square(20, 30)) == 0


def test_dice_worked_by_hand():
    assert dice(square(0, 0, 4), square(0, 2, 4)) == 0.5
    assert dice(square(0, 0), ~square(0, 0)) == 0
    assert dice(np.zeros(3, bool), np.zeros(3, bool)) == 1


def test_the_named_hausdorff_distance_thresholds_above_one_half():
    segment = square(20, 30).astype(np.float32)
    measure = distance_to(segment, "hausdorff")
    assert measure(0.51 * segment) == 0
    assert measure(0.5 * segment) == pytest.approx(np.hypot(59, 89))


def test_rows_as_points_do_not_notice_a_shift_down():
    segment = square(20, 30).astype(np.float64)
    assert distance_to(segment, "hausdorff_of_rows")(square(30, 30).astype(np.float64)) == 0
    sideways = distance_to(segment, "hausdorff_of_rows")(square(20, 40).astype(np.float64))
    assert sideways == pytest.approx(np.sqrt(8))  # to the nearest row, an empty one


def test_a_function_of_output_and_segment_is_a_distance():
    segment = square(20, 30).astype(np.float32)
    measure = distance_to(segment, lambda output, reference: float(np.abs(output - reference).sum()))
    assert measure(np.zeros_like(segment)) == 64


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="there is no distance 'hausdorf'") as error:
        distance_to(np.zeros((2, 2)), "hausdorf")
    assert all(name in str(error.value) for name in DISTANCES)
