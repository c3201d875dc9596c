"""Pixels of the ground truth that do not count, whatever marks them."""

import numpy as np
import pytest
import torch

from interpret_segmentation import Explanation, explain
from interpret_segmentation.evaluate import deletion
from interpret_segmentation.targets import Component, FalseNegatives, FalsePositives
from interpret_segmentation.targets.ground_truth import as_ignore
from interpret_segmentation.targets.objective import Prediction
from interpret_segmentation.targets.targets import Class

KINDS = [np.int8, np.int16, np.int32, np.int64]


def of_labels(*rows):
    labels = torch.tensor([[int(letter) for letter in row] for row in rows])
    one_hot = torch.nn.functional.one_hot(labels, 4).movedim(-1, 0).float()
    return Prediction(one_hot, exclusive=True)


def one_class(*rows):
    return Prediction(torch.tensor([[[float(letter) for letter in row] for row in rows]]), exclusive=False)


DRAWN = of_labels("0112", "0112")


def explained(target, truth, prediction=DRAWN, **options):
    return target.resolve(prediction, np.asarray(truth), **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("void", [-1, -2, -100])
def test_negative_labels_never_count(kind, void):
    truth = np.array([[0, 1, void, 2], [0, 1, 0, void]], kind)
    objective = explained(FalsePositives(label=1), truth)
    np.testing.assert_array_equal(objective.pixels, [[0, 0, 0, 0], [0, 0, 1, 0]])
    np.testing.assert_array_equal(objective.scope, [[1, 1, 0, 1], [1, 1, 1, 0]])
    with pytest.raises(ValueError, match="draws nothing of this class that is not in the ground truth"):
        explained(FalsePositives(label=2), truth, of_labels("0112", "0102"))


def test_several_voids_are_void_together():
    truth = np.array([[-1, -100, 255, 2], [0, 1, 1, 2]])
    np.testing.assert_array_equal(explained(Class(1), truth).scope, [[0, 0, 0, 1], [1, 1, 1, 1]])


@pytest.mark.parametrize("kind", KINDS)
def test_also_in_a_mask_of_one_class(kind):
    truth = np.array([[0, 1, -1, 1], [0, 0, 0, -1]], kind)
    prediction = one_class("0111", "0001")
    with pytest.raises(ValueError, match="draws nothing of this class that is not in the ground truth"):
        explained(FalsePositives(), truth, prediction)
    np.testing.assert_array_equal(explained(Class(0), truth, prediction).pixels, [[0, 1, 0, 1], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("ignore", "void"), [(99, [99]), ((99, 7), [7, 99]), ([0], [0]), (np.int64(99), [99])]
)
def test_others_can_be_named_in_place_of_255(ignore, void):
    truth = np.array([[0, 1, void[0], 2], [0, 1, void[-1], 2]])
    scope = explained(Class(1), truth, ignore=ignore).scope
    np.testing.assert_array_equal(scope, ~np.isin(truth, void))
    truth[0, 0] = 255
    both = ", ".join(map(str, sorted({*np.atleast_1d(ignore), 255})))
    with pytest.raises(ValueError, match=rf"labels up to 255.*pass ignore=\({both}\)"):
        explained(Class(1), truth, ignore=ignore)
    with pytest.raises(ValueError, match=rf"holds 255, which counts as soon as .* pass ignore=\({both}\)"):
        explained(Class(0), [[0, 1, 255, 1]] * 2, one_class("0110", "0110"), ignore=ignore)


def test_a_label_that_the_model_does_not_have_is_told_how_to_ignore_it():
    truth = np.array([[0, 1, 9, 2], [0, 1, 0, 2]])
    with pytest.raises(ValueError, match=r"labels up to 9, .*0 to 3; if that label .* pass ignore=9"):
        explained(Class(1), truth)
    assert explained(Class(1), truth, ignore=9).scope.sum() == 7


def test_floats_hold_labels_but_no_negative_ones():
    truth = np.array([[0, 1, 255, 2], [0, 1, 0, 2]], float)
    assert explained(Class(1), truth).scope.sum() == 7
    truth[0, 2] = -1
    with pytest.raises(
        ValueError, match=r"labels and negative numbers such as -1, but is of type float64.*astype\(int\)"
    ):
        explained(Class(1), truth)


def test_a_mask_of_0_and_255_is_still_one_to_be_told():
    with pytest.raises(ValueError, match="must be binary"):
        explained(Class(0), [[0, 255, 255, 0]] * 2, one_class("0110", "0110"))


def test_nothing_is_chosen_of_what_does_not_count():
    truth = np.array([[-1, -1, -1, 2], [-1, -1, 1, 1]])
    assert explained(FalseNegatives(), truth, of_labels("0000", "0000")).label == 1
    with pytest.raises(ValueError, match=r"the ground truth says nothing at \(0, 0\)"):
        explained(Component(at=(0, 0), of="truth"), truth)


@pytest.mark.parametrize("wrong", ["255", 1.5, (1, "2"), True])
def test_labels_to_ignore_are_whole_numbers(wrong):
    with pytest.raises(TypeError, match="ignore must be a whole number"):
        as_ignore(wrong)


def test_what_is_ignored_is_kept_with_the_result_and_in_what_judges_it(tmp_path):
    image = torch.zeros(1, 30, 40)
    image[:, 10:20, 12:24] = 1
    truth = np.zeros((30, 40), int)
    truth[10:20, 12:18], truth[10:20, 18:24], truth[0, 0] = 1, 9, 2
    network = lambda x: torch.cat([5 - 20 * x, 20 * x - 10, -10 + 0 * x], 1)  # noqa: E731
    settings = {"reference": truth, "ignore": 9, "activation": "softmax", "progress": False}
    with pytest.raises(ValueError, match="is empty"):
        explain(network, image, "occlusion", target="false-positives@1", **settings)
    made = explain(network, image, "occlusion", target="class:1", **settings)
    assert int(made.pixels.sum()) == 60
    loaded = Explanation.load(made.save(tmp_path / "a.safetensors"))
    assert loaded.settings["ignore"] == (9,)
    assert np.array_equal(loaded.repeat(network).saliency, made.saliency)
    assert 0 <= deletion(network, loaded, progress=False).area() <= 1
    with pytest.raises(ValueError, match="labels up to 9"):
        loaded.repeat(network, ignore=None)


class TestTheBorderBetweenTwoClasses:
    drawn = of_labels("001122", "001122", "333122", "333000")

    def test_it_is_where_both_touch(self):
        objective = explained_between(1, 2, self.drawn)
        np.testing.assert_array_equal(
            objective.pixels.astype(int),
            [[0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 0], [0] * 6],
        )
        np.testing.assert_array_equal(
            objective.expected & objective.pixels, objective.pixels & (labels_of(self.drawn) == 1)
        )
        assert objective.label == 1

    def test_it_is_as_wide_as_said(self):
        wide = explained_between(1, 2, self.drawn, words="border:2@1-2")
        np.testing.assert_array_equal(wide.pixels[0], [0, 0, 1, 1, 1, 1])

    def test_a_class_that_does_not_touch_is_told(self):
        with pytest.raises(ValueError, match=r"draws no pixel of class 0 within 1 of one of class 1"):
            explained_between(0, 1, of_labels("0221", "0221"))

    def test_a_class_inside_the_other_is_told(self):
        nested = Prediction(torch.tensor([[[1.0, 1, 1, 0]] * 2, [[0.0, 1, 0, 0]] * 2]), exclusive=False)
        with pytest.raises(ValueError, match=r"one lies inside the other; pass its border alone: 'border@1'"):
            explained_between(0, 1, nested)

    @pytest.mark.parametrize("words", ["border@1-1", "border@1-9", "class:1@2-3", "border@1-", "border@-2"])
    def test_what_makes_no_sense_is_refused(self, words):
        from interpret_segmentation.targets import as_target

        with pytest.raises(ValueError, match=r"another class|no class 9|there is no target"):
            as_target(words).resolve(self.drawn)

    def test_hiding_there_moves_it(self):
        image = torch.zeros(1, 30, 40)
        image[:, :, 20:] = 1
        network = lambda x: torch.cat([-5 + 0 * x, 5 - 10 * x, 10 * x - 5], 1)  # noqa: E731
        made = explain(
            network, image, "occlusion", target="border@1-2", fill=0.0, progress=False, activation="softmax"
        )
        assert made.pixels.sum() == 60
        assert made.saliency[:, 20].mean() > made.saliency[:, 30].mean() == 0
        assert "the border between class 1 and class 2" in made.target.describe()


def labels_of(prediction):
    return prediction.probabilities.argmax(0).numpy()


def explained_between(one, other, prediction, words=None):
    from interpret_segmentation.targets import as_target

    return as_target(words or f"border@{one}-{other}").resolve(prediction)
