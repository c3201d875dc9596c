import numpy as np
import pytest
import torch

from interpret_segmentation.scores.registry import (
    SCORES,
    HausdorffTo,
    Reference,
    as_score,
    dice,
    hausdorff,
    iou,
)
from interpret_segmentation.scores.surface import average_surface_distance, hausdorff95
from interpret_segmentation.targets import as_target
from interpret_segmentation.targets.objective import Prediction


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


def test_iou_worked_by_hand():
    assert iou(square(0, 0, 4), square(0, 2, 4)) == 1 / 3
    assert iou(square(0, 0), ~square(0, 0)) == 0
    assert iou(np.zeros(3, bool), np.zeros(3, bool)) == 1


def measured(score, reference, output, *, target=None, truth=None, spacing=None):
    """A score of one output, with a reference that the network drew, or a true one."""
    prediction = Prediction(torch.from_numpy(reference[None].astype(np.float32)), exclusive=False)
    objective = as_target(target).resolve(prediction, truth)
    graded = (reference if truth is None else truth).astype(np.float32)
    return as_score(score).prepare(Reference(objective, graded, spacing))(
        output.astype(np.float32), output > 0.5
    )


def test_every_score_of_a_square_that_moved_worked_by_hand():
    before, after = square(20, 30), square(20, 34)
    assert measured("hausdorff", before, after) == 4
    assert measured("hausdorff", before, after, spacing=(1, 0.5)) == 2
    assert measured("dice", before, after) == 0.5
    assert measured("iou", before, after) == 1 / 3
    assert measured("probability", before, 0.75 * after) == 0.375
    assert measured("mse", before, after) == 64 / (60 * 90)
    assert measured("hausdorff95", before, after) == hausdorff95(after, before) > 2
    assert measured("surface_distance", before, after) == average_surface_distance(after, before) > 0


def test_scores_of_a_region_look_nowhere_else():
    before, after = square(20, 30) | square(40, 60), square(20, 30) | square(50, 10)
    region = np.zeros_like(before)
    region[:35] = True
    for score in ("hausdorff", "mse", "surface_distance"):
        assert measured(score, before, after) > 0
        assert measured(score, before, after, target=region) == 0
    assert measured("dice", before, after, target=region) == 1


def test_false_positives_and_negatives_are_compared_by_themselves():
    truth, drawn = square(20, 30), square(20, 34)
    for target in ("false-positives", "false-negatives"):
        assert measured("hausdorff", drawn, drawn, target=target, truth=truth) == 4
        assert measured("hausdorff", drawn, truth, target=target, truth=truth) == 0
    too_much, too_little = truth | drawn, truth & drawn
    assert measured("hausdorff", drawn, too_little, target="false-positives", truth=truth) == 0
    assert measured("hausdorff", drawn, too_much, target="false-negatives", truth=truth) == 0
    assert measured("probability", drawn, 0.25 * truth, target="false-negatives", truth=truth) == 0.75
    assert measured("probability", drawn, 0.25 * drawn, target="false-positives", truth=truth) == 0.25


def test_rows_as_points_do_not_notice_a_shift_down():
    assert measured("hausdorff_of_rows", square(20, 30), square(30, 30)) == 0
    sideways = measured("hausdorff_of_rows", square(20, 30), square(20, 40))
    assert sideways == pytest.approx(np.sqrt(8))  # to the nearest row, an empty one


def test_a_function_of_output_and_reference_is_a_distance():
    def changed(output, reference):
        return float(np.abs(output - reference).sum())

    assert measured(changed, square(20, 30), np.zeros((60, 90))) == 64
    assert as_score(changed).meaning == "changed"
    assert not as_score(changed).higher_is_better


def test_damage_is_positive_where_hiding_harms():
    values = np.array([1.0, 3.0])
    np.testing.assert_array_equal(as_score("dice").damage(2, values), [1, -1])
    np.testing.assert_array_equal(as_score("hausdorff").damage(2, values), [-1, 1])


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="there is no score 'hausdorf'") as error:
        as_score("hausdorf")
    assert all(name in str(error.value) for name in SCORES)
    with pytest.raises(TypeError, match="score must be a name or a function"):
        as_score(3)
