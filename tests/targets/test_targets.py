from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from names import printed

from interpret_segmentation._settings import as_data, from_data
from interpret_segmentation.targets import (
    Border,
    Class,
    Component,
    FalseNegatives,
    FalsePositives,
    Pixel,
    Region,
    as_target,
)
from interpret_segmentation.targets.objective import Prediction

SOME_TARGETS = [
    Class(),
    Class(2),
    Pixel((1, 2)),
    Pixel((1, 2, 3), label=4),
    Region(np.eye(3, 5)),
    Component(),
    Component((1, 2), label=1),
    Component(rank=2, of="truth"),
    Border(3, label=1),
    FalsePositives(),
    FalseNegatives(label=7),
]
SEGMENTS = arrays(bool, array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6))


def drawn(*rows):
    """A bool array from rows of characters, True where there is a #."""
    return np.array([[character == "#" for character in row] for row in rows])


def one_class(segment, inside=0.9, outside=0.2):
    """What a network of one class says that draws this segment."""
    numbers = np.where(segment, inside, outside).astype(np.float32)
    return Prediction(torch.from_numpy(numbers)[None], exclusive=False)


def of_labels(*rows, classes=None, winner=0.6):
    """What a network of classes that exclude each other says that draws these labels."""
    labels = np.array([[int(character) for character in row] for row in rows])
    classes = classes or int(labels.max()) + 1
    numbers = np.full((classes, *labels.shape), (1 - winner) / (classes - 1), np.float32)
    np.put_along_axis(numbers, labels[None], winner, axis=0)
    return Prediction(torch.from_numpy(numbers), exclusive=True)


def overlapping(*segments):
    """What a network of classes that may overlap says that draws these segments."""
    return Prediction(torch.cat([one_class(segment).probabilities for segment in segments]), exclusive=False)


def flooded(segment, start):
    """The pixels of a segment that can be reached from one of its pixels, over sides, edges and corners."""
    reached, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for step in product((-1, 0, 1), repeat=segment.ndim):
            there = tuple(int(a + b) for a, b in zip(here, step, strict=True))
            inside = all(0 <= a < side for a, side in zip(there, segment.shape, strict=True))
            if inside and segment[there] and there not in reached:
                reached.add(there)
                waiting.append(there)
    return reached


def pieces(segment):
    """The connected components of a segment as sets of pixels, largest first, of equals the first read."""
    found = []
    for start in map(tuple, np.argwhere(segment)):
        if not any(start in piece for piece in found):
            found.append(flooded(segment, start))
    return sorted(found, key=lambda piece: -len(piece))


def places(mask):
    return {tuple(map(int, place)) for place in np.argwhere(mask)}


def test_a_class_is_all_of_its_segment_and_is_compared_everywhere():
    segment = drawn(".##..", "..#..", "....#")
    objective = Class().resolve(one_class(segment))
    assert (objective.pixels == segment).all()
    assert (objective.reference == segment).all()
    other = drawn("#....", "#####", ".....")
    assert (objective.compared(other) == other).all()
    assert objective.label == 0
    assert objective.target == Class(0)
    np.testing.assert_allclose(objective.agreement(one_class(segment).probabilities).numpy(), [[0.9] * 4])


def test_the_number_of_a_class_is_the_mean_probability_over_its_segment():
    segment = drawn(".##.", "..#.")
    objective = Class().resolve(one_class(segment))
    batch = torch.tensor(
        [[[0.0, 0.2, 0.4, 0], [1, 1, 0.9, 1]], [[1.0, 0.5, 0.5, 1], [0, 0, 0.5, 0]]], dtype=torch.float32
    )
    np.testing.assert_allclose(objective.value(batch).numpy(), [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(objective.agreement(batch).numpy(), [[0.2, 0.4, 0.9], [0.5, 0.5, 0.5]])


def test_with_a_ground_truth_segments_are_compared_with_it_and_not_with_the_networks_own():
    segment, truth = drawn(".##.", "..#."), drawn("##..", "....")
    objective = Class().resolve(one_class(segment), truth)
    assert (objective.pixels == segment).all()
    assert (objective.reference == truth).all()


def test_a_pixel_has_the_class_that_the_network_gives_to_it():
    prediction = of_labels("00112", "00222", classes=4)
    for (row, column), label in {(0, 0): 0, (0, 3): 1, (1, 4): 2}.items():
        objective = Pixel((row, column)).resolve(prediction)
        assert objective.label == label
        assert objective.target == Pixel((row, column), label=label)
        assert places(objective.pixels) == {(row, column)}
        assert objective.value(prediction.probabilities[label][None]).item() == pytest.approx(0.6)


def test_a_pixel_is_compared_alone():
    segment = drawn("##..", "##..", "....")
    objective = Pixel((1, 1)).resolve(one_class(segment))
    assert places(objective.reference) == {(1, 1)}
    assert places(objective.compared(np.ones((3, 4), bool))) == {(1, 1)}
    assert not objective.compared(~objective.pixels).any()


def test_a_pixel_outside_the_segment_keeps_an_empty_reference():
    objective = Pixel((2, 3)).resolve(one_class(drawn("##..", "##..", "....")))
    assert places(objective.pixels) == {(2, 3)}
    assert not objective.reference.any()


def test_a_pixel_of_overlapping_classes_has_the_likeliest():
    prediction = Prediction(torch.tensor([[[0.6, 0.1]], [[0.8, 0.3]]]), exclusive=False)
    assert Pixel((0, 0)).resolve(prediction).label == 1
    assert Pixel((0, 0), label=0).resolve(prediction).label == 0


def test_a_region_has_the_class_of_most_of_its_pixels_also_the_background():
    prediction = of_labels("00012", "00112", "11122", classes=3)
    mostly_background = drawn("###.#", "#.#..", ".....")
    assert Region(mostly_background).resolve(prediction).label == 0
    mostly_one = drawn(".....", "..##.", ".##..")
    objective = Region(mostly_one).resolve(prediction)
    assert objective.label == 1
    assert (objective.pixels == mostly_one).all()
    assert (objective.reference == mostly_one).all()
    assert places(Region(drawn("...##", ".....", "....."), label=2).resolve(prediction).reference) == {(0, 4)}


def test_a_region_of_overlapping_classes_has_the_one_drawn_in_most_of_it():
    prediction = overlapping(drawn("####", "...."), drawn("..##", "..##"))
    assert Region(drawn("..##", "...#")).resolve(prediction).label == 1
    assert Region(drawn("###.", "...#")).resolve(prediction).label == 0


@pytest.mark.parametrize("axes", [0, 1, 2])
def test_a_region_may_have_axes_of_length_one_in_front(axes):
    mask = drawn(".##", "...").reshape(*[1] * axes, 2, 3)
    objective = Region(mask).resolve(one_class(drawn("###", "...")))
    assert objective.pixels.shape == (2, 3)
    assert places(objective.pixels) == {(0, 1), (0, 2)}


def test_components_touch_at_corners_and_are_numbered_by_size():
    segment = drawn("#..#...", ".#.....", "#....##", ".....##")
    prediction = one_class(segment)
    expected = {
        0: {(2, 5), (2, 6), (3, 5), (3, 6)},
        1: {(0, 0), (1, 1), (2, 0)},
        2: {(0, 3)},
    }
    for rank, pixels in expected.items():
        assert places(Component(rank=rank).resolve(prediction).pixels) == pixels
        for at in pixels:
            assert places(Component(at).resolve(prediction).pixels) == pixels


def test_of_components_of_one_size_the_first_in_reading_order_comes_first():
    prediction = one_class(drawn("...#", "#...", "...#"))
    assert [places(Component(rank=rank).resolve(prediction).pixels) for rank in range(3)] == [
        {(0, 3)},
        {(1, 0)},
        {(2, 3)},
    ]


def test_what_is_nearer_to_another_component_does_not_count_but_what_is_new_does():
    segment = drawn("#..##", "#....")
    objective = Component().resolve(one_class(segment))
    assert places(objective.pixels) == places(objective.reference) == {(0, 0), (1, 0)}
    assert places(objective.compared(drawn("#..##", ".#..."))) == {(0, 0), (1, 1)}
    assert places(objective.compared(drawn("#..##", "...#."))) == {(0, 0)}


def test_an_only_component_is_compared_everywhere():
    objective = Component().resolve(one_class(drawn("#....", "#....")))
    assert places(objective.compared(drawn("....#", "....."))) == {(0, 4)}


def test_a_component_of_the_truth_is_explained_where_the_truth_is():
    segment, truth = drawn("##...", "##..."), drawn("#..##", "....#")
    objective = Component(of="truth").resolve(one_class(segment), truth)
    assert places(objective.pixels) == places(objective.reference) == {(0, 3), (0, 4), (1, 4)}
    assert places(objective.compared(segment)) == set()
    assert places(Component((0, 0), of="truth").resolve(one_class(segment), truth).pixels) == {(0, 0)}


def test_a_component_at_a_point_has_the_class_of_that_point():
    objective = Component((0, 4)).resolve(of_labels("11102", "11100", "10022"))
    assert objective.label == 2
    assert places(objective.pixels) == {(0, 4)}


def test_a_border_is_one_pixel_on_either_side():
    segment = drawn(".....", ".###.", ".###.", ".###.", ".....")[:, :5]
    objective = Border().resolve(one_class(segment))
    inside = {(1, 1), (1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2), (3, 3)}
    outside = {(0, n) for n in (1, 2, 3)} | {(4, n) for n in (1, 2, 3)}
    outside |= {(n, 0) for n in (1, 2, 3)} | {(n, 4) for n in (1, 2, 3)}
    assert places(objective.pixels) == inside | outside
    assert places(objective.reference) == inside
    assert (objective.expected[objective.pixels] == segment[objective.pixels]).all()
    assert places(objective.compared(np.ones((5, 5), bool))) == inside | outside


def test_the_agreement_at_a_border_is_that_with_what_the_network_said():
    segment = drawn("##..", "##..", "##..")
    objective = Border().resolve(one_class(segment))
    assert places(objective.pixels) == {(row, column) for row in range(3) for column in (1, 2)}
    probability = torch.tensor([0.1, 0.7, 0.4, 0.0]).expand(1, 3, 4)
    np.testing.assert_allclose(objective.agreement(probability).numpy(), [[0.7, 0.6] * 3], rtol=1e-6)
    assert objective.value(probability).item() == pytest.approx(0.65)


def test_there_is_no_border_where_the_image_ends():
    objective = Border(2).resolve(one_class(drawn("#####", "#####", "#####", "#####", ".....")))
    assert places(objective.pixels) == {(row, column) for row in (2, 3, 4) for column in range(5)}


def test_false_positives_are_what_is_too_much_and_the_truth_is_granted():
    segment, truth = drawn("###.", "....", "##.."), drawn("#..#", "....", "#...")
    objective = FalsePositives().resolve(one_class(segment), truth)
    assert places(objective.pixels) == {(0, 1), (0, 2), (2, 1)}
    assert (objective.reference == truth).all()
    assert (objective.compared(np.zeros((3, 4), bool)) == truth).all()
    assert (objective.compared(segment) == (segment | truth)).all()
    np.testing.assert_allclose(objective.agreement(one_class(segment).probabilities).numpy(), [[0.9] * 3])


def test_false_negatives_are_what_is_missing_and_what_is_too_much_does_not_count():
    segment, truth = drawn("###.", "....", "##.."), drawn("#..#", "...#", "#...")
    objective = FalseNegatives().resolve(one_class(segment), truth)
    assert places(objective.pixels) == {(0, 3), (1, 3)}
    assert (objective.reference == truth).all()
    assert places(objective.compared(segment)) == {(0, 0), (2, 0)}
    np.testing.assert_allclose(objective.agreement(one_class(segment).probabilities).numpy(), [[0.8, 0.8]])


@pytest.mark.parametrize("space", [(2, 3, 4), (4, 1, 2), (1, 1, 5)])
def test_volumes_work_like_images(space):
    segment = np.zeros(space, bool)
    segment[0, 0, -2:] = True
    truth = np.zeros(space, bool)
    truth[0, 0, -1] = truth[-1, -1, 0] = True
    prediction = one_class(segment)
    last = (0, 0, space[2] - 1)
    assert places(Class().resolve(prediction).pixels) == {last, (0, 0, space[2] - 2)}
    assert places(Pixel(last).resolve(prediction).pixels) == {last}
    assert places(Component(last).resolve(prediction).pixels) == places(segment)
    assert places(FalsePositives().resolve(prediction, truth).pixels) == places(segment & ~truth)
    missing = places(truth & ~segment)
    if missing:
        assert places(FalseNegatives().resolve(prediction, truth).pixels) == missing


def test_components_of_a_volume_touch_at_corners():
    segment = np.zeros((3, 3, 4), bool)
    segment[0, 0, 0] = segment[1, 1, 1] = segment[2, 2, 3] = True
    prediction = one_class(segment)
    assert places(Component().resolve(prediction).pixels) == {(0, 0, 0), (1, 1, 1)}
    assert places(Component(rank=1).resolve(prediction).pixels) == {(2, 2, 3)}


def test_the_background_is_chosen_only_when_there_is_nothing_else():
    assert Class().resolve(of_labels("00000", "00012", "00002")).label == 2
    assert Class().resolve(of_labels("000", "000", classes=3)).label == 0
    assert Class().resolve(of_labels("012", "012")).label == 1


def test_class_0_of_overlapping_classes_is_a_class_like_any_other():
    large, small = drawn("###", "###"), drawn(".##", "...")
    assert Class().resolve(overlapping(large, small)).label == 0
    assert Class().resolve(overlapping(small, large)).label == 1


def test_a_single_class_is_always_chosen():
    assert Class().resolve(one_class(np.zeros((2, 3), bool))).label == 0


@pytest.mark.parametrize(
    "target", [Class(), Component(), Border(), Class(1), Border(1, label=1)], ids=printed
)
def test_the_same_class_is_chosen_whatever_is_explained_of_it(target):
    assert target.resolve(of_labels("00011", "00011", "00002")).label == 1


@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_the_largest_class_is_the_most_frequent_likeliest_one(classes, seed):
    numbers = np.random.default_rng(seed).random((classes, 3, 5), np.float32)
    prediction = Prediction(torch.from_numpy(numbers / numbers.sum(0)), exclusive=True)
    winners = [max(range(classes), key=lambda k: numbers[k, r, c]) for r, c in np.ndindex(3, 5)]
    counts = [winners.count(label) for label in range(classes)]
    best = max(counts[1:])
    assert Class().resolve(prediction).label == (counts.index(best, 1) if best else 0)
    for label in range(classes):
        assert prediction.segment(label).sum() == counts[label]


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.float32, torch.long, torch.float32])
def test_labels_as_ground_truth_are_turned_into_a_mask_of_the_class(kind):
    rows = [[0, 1, 2], [2, 2, 1]]
    truth = np.array(rows, kind) if not isinstance(kind, torch.dtype) else torch.tensor(rows, dtype=kind)
    objective = Class(2).resolve(of_labels("012", "012"), truth)
    assert places(objective.reference) == {(0, 2), (1, 0), (1, 1)}


@pytest.mark.parametrize("kind", [bool, np.float64])
def test_a_mask_as_ground_truth_is_of_the_explained_class(kind):
    truth = drawn("#..", "##.")
    objective = Class(2).resolve(of_labels("012", "012"), truth.astype(kind))
    assert (objective.reference == truth).all()


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_whole_numbers_of_0_and_1_are_no_mask_of_another_class_than_1(kind):
    truth = drawn("#..", "##.").astype(kind)
    assert (Class(1).resolve(of_labels("012", "012"), truth).reference == (truth == 1)).all()
    with pytest.raises(ValueError, match="reference holds 0 and 1 only, as labels or as a mask of class 2"):
        Class(2).resolve(of_labels("012", "012"), truth)


def test_false_negatives_are_of_the_largest_true_class_also_when_nothing_is_drawn():
    truth = np.array([[0, 1, 255], [2, 2, 255]])
    objective = FalseNegatives().resolve(of_labels("000", "000", classes=3), truth)
    assert objective.label == 2
    assert places(objective.pixels) == {(1, 0), (1, 1)}


def test_a_true_component_at_a_point_is_of_the_true_class_there():
    truth = np.array([[0, 1, 0], [2, 2, 0]])
    objective = Component(at=(0, 1), of="truth").resolve(of_labels("000", "222"), truth)
    assert (objective.label, places(objective.pixels)) == (1, {(0, 1)})


def test_255_among_labels_belongs_to_no_class():
    truth = np.array([[0, 1, 255], [2, 255, 1]], np.uint8)
    prediction = of_labels("011", "211")
    assert places(Class(1).resolve(prediction, truth).reference) == {(0, 1), (1, 2)}
    assert places(FalseNegatives(label=2).resolve(of_labels("011", "111", classes=3), truth).pixels) == {
        (1, 0)
    }


def test_what_the_network_draws_on_ignored_pixels_is_no_error():
    truth = np.array([[0, 1, 255], [2, 0, 255]], np.uint8)
    objective = FalsePositives(label=1).resolve(of_labels("011", "211"), truth)
    assert places(objective.pixels) == {(1, 1)}


def test_a_mask_of_0_and_255_is_no_empty_ground_truth():
    truth = np.array([[0, 255, 255], [0, 255, 255]], np.uint8)
    with pytest.raises(ValueError, match="reference"):
        Class(1).resolve(of_labels("011", "011"), truth)


def test_labels_that_the_model_does_not_have_are_refused():
    with pytest.raises(ValueError, match=r"reference has labels up to 7, but the model's classes are 0 to 2"):
        Class(1).resolve(of_labels("012", "012"), np.array([[0, 7, 1], [0, 0, 0]]))


@pytest.mark.parametrize(
    "truth", [[[0, 3, 255], [0, 0, 0]], [[0.5, 1, 0], [0, 0, 0]], [[0, 2, 1], [0, 0, 0]]]
)
def test_for_one_class_a_ground_truth_is_a_mask(truth):
    with pytest.raises(ValueError, match=r"truth must be binary.*pass `truth > 0` or `truth == label`"):
        Class().resolve(one_class(drawn("###", "...")), np.array(truth), name="truth")


@pytest.mark.parametrize("value", [np.nan, -1.0, 0.5, 1.5])
def test_values_that_are_neither_mask_nor_labels_are_refused(value):
    truth = np.array([[0, 1, value], [0, 1, 0]])
    with pytest.raises(ValueError, match="reference must be binary"):
        Class(1).resolve(of_labels("012", "012"), truth)


@pytest.mark.parametrize("shape", [(3, 2), (2, 4), (3, 3), (2, 2, 3)])
def test_a_ground_truth_of_another_size_is_refused(shape):
    with pytest.raises(ValueError, match=r"reference (has|must be)"):
        Class(1).resolve(of_labels("012", "012"), np.zeros(shape))


def test_half_precision_labels_are_labels():
    truth = torch.tensor([[0, 1, 2], [2, 2, 1]], dtype=torch.bfloat16)
    assert Class(2).resolve(of_labels("012", "012"), truth).reference.sum() == 3


def test_a_ground_truth_is_left_as_it_was():
    truth = np.array([[0, 1, 2], [2, 2, 1]])
    objective = Class(2).resolve(of_labels("012", "012"), truth)
    objective.reference[:] = True
    assert (truth == [[0, 1, 2], [2, 2, 1]]).all()


@pytest.mark.parametrize(
    ("said", "target"),
    [
        (None, Class()),
        (3, Class(3)),
        (np.int64(3), Class(3)),
        (np.uint8(3), Class(3)),
        ((4, 5), Pixel((4, 5))),
        ([4, 5], Pixel((4, 5))),
        ((np.int32(4), np.int32(5)), Pixel((4, 5))),
        ((3, 4, 5), Pixel((3, 4, 5))),
        ([[0, 1], [1, 1]], Region(np.array([[0, 1], [1, 1]]))),
        (np.eye(2, 3), Region(np.eye(2, 3, dtype=bool))),
        (torch.eye(2, 3), Region(np.eye(2, 3, dtype=bool))),
        (torch.eye(2, 3).bool(), Region(np.eye(2, 3, dtype=bool))),
        ("segment", Class()),
        ("segment@2", Class(2)),
        ("class:12", Class(12)),
        ("pixel:12,40", Pixel((12, 40))),
        ("pixel:1,12,40@3", Pixel((1, 12, 40), label=3)),
        ("component", Component()),
        ("component:largest", Component()),
        ("component:0", Component()),
        ("component:2@1", Component(rank=2, label=1)),
        ("component:12,40", Component((12, 40))),
        ("component:1,12,40@0", Component((1, 12, 40), label=0)),
        ("border", Border()),
        ("border:3", Border(3)),
        ("border@3", Border(label=3)),
        ("false-positives", FalsePositives()),
        ("false_positives@10", FalsePositives(label=10)),
        (" False-Negatives ", FalseNegatives()),
        ("FALSE_NEGATIVES@1", FalseNegatives(label=1)),
        ("Component:LARGEST", Component()),
        *[(target, target) for target in SOME_TARGETS],
    ],
    ids=printed,
)
def test_whatever_users_write_becomes_a_target(said, target):
    assert as_target(said) == target
    assert type(as_target(said)) is type(target)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "segments",
        "class",
        "class:",
        "class:x",
        "class:-1",
        "class:1.0",
        "pixel",
        "pixel:12",
        "pixel:12;40",
        "pixel:1,",
        "component:-1",
        "component:smallest",
        "border:wide",
        "border:-1",
        "false positives",
        "falsepositives",
        "segment@x",
        "segment@-1",
        "segment@1@2",
        "@3",
        "region",
    ],
)
def test_unknown_words_are_told_the_known_ones(words):
    with pytest.raises(ValueError, match=r"there is no target .*; use 'segment', 'class:3'") as caught:
        as_target(words)
    assert repr(words) in str(caught.value)


@pytest.mark.parametrize("words", ["class:3@2", "segment@²"])
def test_words_that_contradict_themselves_or_hold_no_number_are_refused(words):
    with pytest.raises(ValueError, match="there is no target"):
        as_target(words)


@pytest.mark.parametrize("said", ["pixel: 12, 40", "pixel:12, 40"])
def test_blanks_in_words_do_no_harm(said):
    assert as_target(said) == Pixel((12, 40))


def test_a_border_without_width_is_refused():
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        as_target("border:0")


@pytest.mark.parametrize(
    "said", [3.0, {1, 2}, object(), True, np.bool_(True), {"at": (1, 2)}, 2j], ids=printed
)
def test_what_is_no_target_is_refused(said):
    with pytest.raises(TypeError, match=r"target must be a target, a class number, \(row, column\)"):
        as_target(said)


@pytest.mark.parametrize(
    ("said", "target"),
    [
        (np.array([4, 5]), Pixel((4, 5))),
        (torch.tensor([4, 5]), Pixel((4, 5))),
        (tuple(torch.tensor([4, 5])), Pixel((4, 5))),
        (np.array(3), Class(3)),
        (torch.tensor(3), Class(3)),
    ],
    ids=printed,
)
def test_arrays_and_tensors_of_coordinates_or_a_class_are_as_good_as_numbers(said, target):
    assert as_target(said) == target


def test_coordinates_that_are_not_whole_are_not_taken_for_a_region():
    with pytest.raises((TypeError, ValueError), match=r"whole number|row, column"):
        as_target((4.5, 2.0))


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Class(), "Class()"),
        (Class(2), "Class(label=2)"),
        (Pixel((1, 2)), "Pixel(at=(1, 2))"),
        (Pixel((np.int64(1), np.int64(2)), label=np.int64(3)), "Pixel(at=(1, 2), label=3)"),
        (Region(drawn("#.#", "...")), "Region(mask=<2 of 2 x 3 pixels>)"),
        (Component(), "Component()"),
        (Component(rank=2, of="truth", label=1), "Component(rank=2, of='truth', label=1)"),
        (Border(2), "Border(width=2)"),
        (FalsePositives(label=0), "FalsePositives(label=0)"),
    ],
)
def test_a_target_prints_as_it_is_built(target, text):
    assert repr(target) == text


@pytest.mark.parametrize("target", SOME_TARGETS, ids=printed)
def test_a_target_survives_being_saved(target):
    data = as_data(target)
    assert data["kind"] == target.kind
    again = from_data(data)
    assert again == target
    assert type(again) is type(target)
    assert hash(again) == hash(target)
    assert repr(again) == repr(target)


def test_targets_are_equal_when_everything_in_them_is():
    assert len(set(SOME_TARGETS)) == len(SOME_TARGETS)
    for i, one in enumerate(SOME_TARGETS):
        for j, other in enumerate(SOME_TARGETS):
            assert (one == other) == (i == j)
    assert Region(np.eye(3)) != Region(np.eye(3)[::-1])
    assert Region(np.eye(3)) == Region(torch.eye(3))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Border(2), Border(np.int64(2))),
        (Border(2), Border(2.0)),
        (Component(rank=1), Component(rank=1.0)),
        (Component(rank=1), Component(rank=np.int16(1))),
        (Class(1), Class(1.0)),
    ],
    ids=printed,
)
def test_whole_numbers_of_any_type_make_the_same_target(one, other):
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)
    segment = drawn("##..#", "##...", ".....")
    assert (
        one.resolve(overlapping(segment, segment)).pixels
        == other.resolve(overlapping(segment, segment)).pixels
    ).all()


def test_a_region_is_a_copy():
    mask = drawn("#.", "..")
    region = Region(mask)
    mask[:] = True
    assert region.mask.sum() == 1


@pytest.mark.parametrize("target", [Pixel, Component])
@pytest.mark.parametrize("at", [(3, 0), (0, 5), (-1, 0), (1,), (1, 1, 1), ()])
def test_a_place_outside_the_image_is_refused(target, at):
    with pytest.raises(ValueError, match=r"there is no pixel .* \(row, column\) in an image of 3 x 5"):
        target(at).resolve(one_class(np.ones((3, 5), bool)))


@pytest.mark.parametrize("at", [(0, 0), (2, 0, 0), (0, 0, 4)])
def test_a_place_outside_a_volume_is_refused(at):
    with pytest.raises(ValueError, match=r"\(depth, row, column\) in an image of 2 x 3 x 4"):
        Pixel(at).resolve(one_class(np.ones((2, 3, 4), bool)))


@pytest.mark.parametrize("at", [(1.5, 2), ("1", 2), (None, 1), (True, 1)])
@pytest.mark.parametrize("target", [Pixel, Component])
def test_coordinates_are_whole_numbers(target, at):
    with pytest.raises(TypeError, match="at must be a whole number"):
        target(at)


@pytest.mark.parametrize("target", [Pixel, Component])
def test_one_number_is_no_place(target):
    with pytest.raises((TypeError, ValueError), match="at must be"):
        target(5)


@pytest.mark.parametrize(
    "make", [Class, lambda label: Border(label=label), lambda label: Pixel((0, 0), label=label)]
)
@pytest.mark.parametrize("label", [3, 150])
def test_a_class_that_the_model_does_not_have_is_refused(make, label):
    with pytest.raises(ValueError, match=rf"the model has 3 classes, 0 to 2; there is no class {label}"):
        make(label).resolve(of_labels("012", "012"))


def test_a_class_below_0_is_refused():
    with pytest.raises(ValueError, match="label must be a class, counted from 0; got -1"):
        Class(-1)
    with pytest.raises(TypeError, match="label must be a whole number"):
        Border(label="cat")


def test_a_rank_or_place_without_component_is_refused():
    prediction = one_class(drawn("##..#", "....."))
    with pytest.raises(ValueError, match="the prediction has 2 components; there is none of rank 2"):
        Component(rank=2).resolve(prediction)
    with pytest.raises(ValueError, match=r"there is no segment of the prediction at \(1, 2\)"):
        Component((1, 2)).resolve(prediction)
    with pytest.raises(ValueError, match=r"there is no segment of the truth at \(0, 0\)"):
        Component((0, 0), of="truth").resolve(prediction, drawn("....#", "....."))
    with pytest.raises(ValueError, match="rank must be 0 for the largest"):
        Component(rank=-1)
    with pytest.raises(ValueError, match="of must be 'prediction' or 'truth', got 'network'"):
        Component(of="network")


@pytest.mark.parametrize("target", [FalsePositives(), FalseNegatives(), Component(of="truth")], ids=printed)
def test_errors_need_a_ground_truth(target):
    with pytest.raises(ValueError, match="needs the ground truth; pass reference="):
        target.resolve(one_class(drawn("##.", "...")))


@pytest.mark.parametrize("target", [Component(), Border(), Component((0, 0))], ids=printed)
def test_what_is_drawn_nowhere_cannot_be_explained(target):
    with pytest.raises(ValueError, match=r"is empty: the network puts no pixel .*class 0 is 0\.2\)"):
        target.resolve(one_class(np.zeros((2, 3), bool)))


def test_the_change_of_an_empty_segment_can_still_be_measured():
    objective = Class().resolve(one_class(np.zeros((2, 3), bool)))
    assert not objective.pixels.any()
    with pytest.raises(ValueError, match="the network puts no pixel in this segment"):
        objective.check()


def test_a_segment_that_fills_the_image_has_no_border():
    with pytest.raises(ValueError, match="the segment fills the image and has no border"):
        Border().resolve(one_class(np.ones((2, 3), bool)))


def test_a_network_without_errors_has_none_to_explain():
    segment = drawn("##.", "...")
    with pytest.raises(ValueError, match="draws nothing of this class that is not in the ground truth"):
        FalsePositives().resolve(one_class(segment), segment)
    with pytest.raises(ValueError, match="draws everything of this class that is in the ground truth"):
        FalseNegatives().resolve(one_class(segment), segment)


def test_an_empty_truth_is_blamed_on_the_truth():
    with pytest.raises(ValueError, match="truth") as caught:
        Component(of="truth").resolve(one_class(drawn("##.", "...")), np.zeros((2, 3)))
    assert "the network puts no pixel" not in str(caught.value)


def test_an_empty_region_is_refused():
    with pytest.raises(ValueError, match="target is empty: it must hold at least one pixel"):
        Region(np.zeros((2, 3))).resolve(one_class(np.ones((2, 3), bool)))


@pytest.mark.parametrize("value", [2, 0.5, -1, np.nan])
def test_a_region_is_of_0_and_1(value):
    mask = np.zeros((2, 3))
    mask[0, 0] = value
    with pytest.raises(ValueError, match="target must be binary, of 0 and 1 or bool"):
        Region(mask)


@pytest.mark.parametrize("shape", [(3, 2), (2, 4), (5,), (2, 2, 3)])
def test_a_region_of_another_size_is_refused(shape):
    with pytest.raises(ValueError, match=r"target (has|must be)"):
        Region(np.ones(shape)).resolve(one_class(np.ones((2, 3), bool)))


@given(SEGMENTS)
def test_components_partition_the_segment_and_come_by_size(segment):
    assume(segment.any())
    prediction, expected = one_class(segment), pieces(segment)
    found = [places(Component(rank=rank).resolve(prediction).pixels) for rank in range(len(expected))]
    assert found == expected
    with pytest.raises(ValueError, match=f"there is none of rank {len(expected)}"):
        Component(rank=len(expected)).resolve(prediction)


@given(SEGMENTS, st.data())
def test_a_component_holds_the_point_that_names_it(segment, data):
    assume(segment.any())
    at = data.draw(st.sampled_from(sorted(places(segment))))
    objective = Component(at).resolve(one_class(segment))
    assert places(objective.pixels) == flooded(segment, at)
    others = segment & ~objective.pixels
    assert not (objective.compared(segment) & others).any()
    assert (objective.reference == objective.pixels).all()


@given(SEGMENTS, st.integers(1, 4))
def test_a_border_is_what_has_the_other_side_within_its_width(segment, width):
    assume(segment.any() and not segment.all())
    inside, outside = np.argwhere(segment), np.argwhere(~segment)
    steps = np.abs(inside[:, None] - outside[None]).sum(axis=-1)
    expected = {tuple(p) for p in inside[(steps <= width).any(axis=1)].tolist()}
    expected |= {tuple(p) for p in outside[(steps <= width).any(axis=0)].tolist()}
    objective = Border(width).resolve(one_class(segment))
    assert places(objective.pixels) == expected
    assert (objective.reference == (segment & objective.pixels)).all()


@given(SEGMENTS, st.integers(0, 2**32 - 1))
def test_false_positives_and_false_negatives_are_the_whole_difference_and_never_overlap(segment, seed):
    truth = np.random.default_rng(seed).random(segment.shape) < 0.5
    prediction = one_class(segment)
    assume((segment & ~truth).any() and (truth & ~segment).any())
    more = FalsePositives().resolve(prediction, truth)
    less = FalseNegatives().resolve(prediction, truth)
    assert not (more.pixels & less.pixels).any()
    assert ((more.pixels | less.pixels) == (segment ^ truth)).all()
    assert (more.compared(segment) >= truth).all()
    assert (less.compared(segment) <= truth).all()
    assert (more.compared(truth) == truth).all()
    assert (less.compared(truth) == truth).all()


@given(
    arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 4))),
    st.integers(0, 3),
    st.integers(0, 4),
    st.sampled_from([Class(), Component(), Component(rank=1), Border(), Border(2)]),
)
def test_moving_the_segment_moves_the_explained_pixels(segment, down, right, target):
    assume(segment.any())
    margin, space = 2, (12, 14)

    def placed(row, column):
        canvas = np.zeros(space, bool)
        canvas[row : row + segment.shape[0], column : column + segment.shape[1]] = segment
        return target.resolve(one_class(canvas))

    assume(not (target.kind == "component" and target.rank >= len(pieces(segment))))
    here, there = placed(margin, margin), placed(margin + down, margin + right)
    moved = {(row + down, column + right) for row, column in places(here.pixels)}
    assert places(there.pixels) == moved


@pytest.mark.parametrize(
    "target",
    [
        Class(),
        Pixel((0, 1)),
        Region(drawn(".##.", "#..#")),
        Component(),
        Border(),
        FalsePositives(),
        FalseNegatives(),
    ],
    ids=printed,
)
@pytest.mark.parametrize("batch", [1, 3])
def test_the_number_is_the_mean_agreement_and_its_gradient_flows(target, batch):
    segment, truth = drawn("##..", "#..."), drawn(".##.", "#...")
    objective = target.resolve(one_class(segment), truth)
    probability = (
        torch.rand(batch, 2, 4, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    )
    agreement, number = objective.agreement(probability), objective.value(probability)
    assert agreement.shape == (batch, objective.pixels.sum())
    by_hand = np.array(
        [
            [
                image[place] if objective.expected[place] else 1 - image[place]
                for place in sorted(places(objective.pixels))
            ]
            for image in probability.detach().numpy()
        ]
    )
    np.testing.assert_allclose(agreement.detach().numpy(), by_hand)
    np.testing.assert_allclose(number.detach().numpy(), by_hand.mean(axis=1))
    number.sum().backward()
    slope = np.where(objective.expected, 1, -1) * objective.pixels / objective.pixels.sum()
    np.testing.assert_allclose(probability.grad.numpy(), np.broadcast_to(slope, (batch, 2, 4)))
    assert torch.autograd.gradcheck(objective.value, (probability,))


@given(
    arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 4)), elements=st.floats(0, 1, width=32))
)
def test_a_segment_is_where_the_probability_exceeds_a_half(numbers):
    prediction = Prediction(torch.from_numpy(numbers)[None], exclusive=False)
    assert prediction.segment(0).tolist() == [[value > 0.5 for value in row] for row in numbers.tolist()]


def test_beside_a_1_the_value_255_marks_pixels_of_a_mask_that_do_not_count():
    segment = drawn("##..", "##..")
    truth = np.array([[1, 1, 1, 0], [255, 1, 0, 0]])
    objective = Class().resolve(one_class(segment), truth)
    np.testing.assert_array_equal(objective.reference, truth == 1)
    np.testing.assert_array_equal(objective.pixels, segment & (truth != 255))
    np.testing.assert_array_equal(objective.scope, truth != 255)
