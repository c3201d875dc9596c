"""Where in an answer the segmentation is, also beside other things, and what is no segmentation."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from interpret_segmentation import SegmentationModel, explain


def scene():
    image = torch.zeros(1, 60, 80)
    image[:, 20:36, 44:64] = 1
    return image


def logits(batch):
    return 20 * batch - 10


def explained(model, **settings):
    return explain(model, scene(), "occlusion", size=8, offset=8, progress=False, **settings)


class TestWhatStandsBesideIt:
    @pytest.mark.parametrize("beside", [torch.tensor(0.3), None, 3, "name", [], {}])
    def test_a_loss_before_the_logits_is_passed_over(self, beside):
        made = explained(lambda x: (beside, logits(x)))
        assert int(made.segment.sum()) == 320
        assert made.model["output"] == "[1] 1 x 1 x 60 x 80"

    def test_a_feature_map_with_more_channels_is_no_finer_answer(self):
        made = explained(lambda x: (logits(x), x.repeat(1, 64, 2, 2)))
        assert int(made.segment.sum()) == 320

    def test_of_maps_with_as_many_classes_the_finest_is_taken(self):
        coarse_first = explained(
            lambda x: [F.avg_pool2d(logits(x), 4), F.avg_pool2d(logits(x), 2), logits(x)]
        )
        assert coarse_first.model["output"].startswith("[2]")
        assert int(coarse_first.segment.sum()) == 320

    def test_of_maps_of_one_shape_the_first_is_taken_and_the_others_are_told(self):
        with pytest.warns(UserWarning, match=r"4 maps of one shape.* the first .*output=-1 for the last"):
            made = explained(lambda x: tuple(logits(x) + 0 * number for number in range(4)))
        assert made.model["output"].startswith("[0]")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for output in (0, -1, "1"):
                explained(lambda x: tuple(logits(x) for _ in range(4)), output=output)

    def test_what_was_found_for_one_image_is_taken_for_many(self):
        def model(batch):  # the loss looks like a map as soon as there are sixty images
            return (torch.zeros(len(batch)), logits(batch))

        alone = explained(model, batch_size=1)
        np.testing.assert_array_equal(explained(model, batch_size=60).saliency, alone.saliency)

    def test_an_answer_that_changes_its_form_is_told_what_it_was(self):
        asked = []

        def model(batch):
            asked.append(len(batch))
            return {"out": logits(batch)} if len(asked) < 3 else logits(batch)

        with pytest.raises(TypeError, match=r"segmentation was at \['out'\].* but now it is"):
            explained(model, batch_size=1)


class TestListsWithOneEntryForEachImage:
    @pytest.mark.parametrize("size", [1, 2, 5])
    @pytest.mark.parametrize(
        "entry",
        [lambda maps: maps, lambda maps: maps[None], lambda maps: maps[0], lambda maps: maps.numpy()],
        ids=["K x H x W", "1 x K x H x W", "H x W", "numpy"],
    )
    def test_they_are_put_together(self, size, entry):
        alone = explained(logits)
        made = explained(lambda batch: [entry(maps) for maps in logits(batch)], batch_size=size)
        np.testing.assert_array_equal(made.saliency, alone.saliency)
        assert made.model["output"].startswith("[each]")

    def test_a_list_of_one_map_of_all_images_is_none_of_these(self):
        alone = explained(logits, score="dice")
        made = explained(lambda batch: [logits(batch)], batch_size=4, score="dice")
        np.testing.assert_array_equal(made.saliency, alone.saliency)


class Names:
    """Stands for an answer of named outputs."""

    def __init__(self, *names):
        self.names = names

    def __call__(self, batch):
        return {name: logits(batch) - number for number, name in enumerate(self.names)}


class TestNames:
    @pytest.mark.parametrize(
        ("output", "place"),
        [
            (1959, "['1959']"),
            ("1959", "['1959']"),
            (0, "['a']"),
            ("0", "['a']"),
            (-1, "['1959']"),
            ("a", "['a']"),
        ],
    )
    def test_digits_are_a_name_where_there_is_one_and_else_count_outputs(self, output, place):
        assert explained(Names("a", "1959"), output=output).model["output"].startswith(place)

    @pytest.mark.parametrize("output", [2, "2", -3])
    def test_a_number_beyond_the_outputs_is_refused(self, output):
        with pytest.raises(KeyError, match="has no"):
            explained(Names("a", "b"), output=output)

    def test_of_a_single_tensor_there_is_no_second_output_and_the_cure_works(self):
        model = lambda batch: torch.cat([logits(batch), -logits(batch)], 1)  # noqa: E731
        with pytest.raises(KeyError, match=r"no output 1; leave output= out, or, .* pass target=1"):
            explained(model, output=1)
        assert explained(model, target=1, activation="softmax", fill=0.4).target.label == 1


def objects(batch):
    """What Mask R-CNN returns: of each image its objects, the best first."""
    found = []
    for image in batch:
        masks = torch.stack([(image > 0.5).float(), (image > 2).float()])
        scores = masks.flatten(1).sum(1)
        order = scores.argsort(descending=True)
        found.append(
            {"boxes": torch.zeros(2, 4), "labels": torch.tensor([1, 1])[order], "masks": masks[order],
             "scores": scores[order]}
        )  # fmt: skip
    return found


def queries(batch):
    masks = torch.stack([logits(batch)[:, 0], -logits(batch)[:, 0]], 1)
    classes = torch.tensor([[9.0, 0, 0], [0, 9, 0]]).expand(len(batch), 2, 3)
    return {"logits": classes, "pred_boxes": torch.zeros(len(batch), 2, 4), "pred_masks": masks}


def nested(batch, masks=3):
    low = F.avg_pool2d(logits(batch), 4)
    stacked = torch.cat([low + 5 * number for number in range(masks)], 1)[:, None]
    return {"iou_scores": torch.ones(len(batch), 1, masks), "pred_masks": stacked}


def prototypes(batch):
    maps = F.avg_pool2d(logits(batch), 4).repeat(1, 32, 1, 1) / 32
    boxes = torch.ones(len(batch), 4 + 2 + 32, 7)
    return (boxes, {"proto": maps})


class TestWhatIsNoSegmentation:
    @pytest.mark.parametrize(
        ("model", "what"),
        [
            (objects, "a list of the objects in each image"),
            (queries, "classes and masks of 2 queries"),
            (lambda batch: SimpleNamespace(**queries(batch)), "classes and masks of 2 queries"),
            (nested, "3 masks for one prompt"),
            (lambda batch: tuple(reversed(nested(batch).values())), "3 masks for one prompt"),
            (prototypes, "boxes with coefficients beside 32 prototypes"),
        ],
        ids=["Mask R-CNN", "DETR", "DETR, an object", "SAM", "SAM, a tuple", "YOLO"],
    )
    def test_it_is_refused_with_a_function_that_works(self, model, what):
        with pytest.raises(TypeError, match=what) as caught:
            explained(model, batch_size=1)
        function = re.search(
            r"pass output=(lambda answer: .*?)(?:, which is of .*)? \(docs", str(caught.value)
        )
        output = eval(function.group(1), {"torch": torch})  # the function that the error gives
        made = explained(model, output=output, activation="sigmoid", target=0)
        centre = made.segment[28, 54]
        assert bool(centre)
        assert np.isfinite(made.saliency).all()

    def test_a_detection_without_masks_is_told_that_it_is_none(self):
        pair = lambda batch: (torch.zeros(len(batch), 30, 20), torch.zeros(len(batch), 30, 4))  # noqa: E731
        for model in (pair, lambda batch: dict(zip(("logits", "pred_boxes"), pair(batch), strict=True))):
            with pytest.raises(TypeError, match=r"30 queries, which is a detection.* boxes alone are no seg"):
                explained(model)

    def test_naming_the_part_does_not_make_it_one(self):
        with pytest.raises(TypeError, match="so that output='pred_masks' does not help"):
            explained(nested, output="pred_masks")
        with pytest.raises(TypeError, match="so that output=0 does not help"):
            explained(objects, output=0)

    @pytest.mark.parametrize("output", [None, "pred_masks"])
    def test_a_single_mask_for_a_prompt_is_one(self, output):
        made = explained(lambda batch: nested(batch, masks=1), output=output)
        assert made.segment[28, 54]
        assert made.model["resized"] is True

    def test_a_list_of_semantic_maps_is_put_together_as_told(self):
        def detectron(batch):
            return [{"sem_seg": maps, "instances": None} for maps in logits(batch)]

        with pytest.raises(TypeError, match=r'pass output=lambda answer: torch.stack\(\[image\["sem_seg"\]'):
            explained(detectron)
        output = lambda answer: torch.stack([image["sem_seg"] for image in answer])  # noqa: E731
        assert int(explained(detectron, output=output).segment.sum()) == 320

    def test_three_classes_beside_three_numbers_are_no_nested_masks(self):
        def with_head(batch):
            maps = torch.cat([0 * batch, logits(batch), -logits(batch)], 1)
            return maps, maps.amax((2, 3))

        made = explained(with_head, activation="softmax", target=1)
        assert int(made.segment.sum()) == 320


def test_a_class_switched_off_by_minus_infinity_has_probability_0_also_when_resized():
    def coarse(batch):
        maps = torch.cat([-logits(batch), logits(batch), torch.full_like(batch, -torch.inf)], 1)
        return F.avg_pool2d(maps, 2)

    model = SegmentationModel(coarse, activation="softmax")
    maps = model.probabilities(scene()[None])
    assert torch.isfinite(maps).all()
    assert maps[:, 2].max() == 0
    part_off = lambda batch: torch.where(coarse(batch) > 5, coarse(batch), -torch.inf)  # noqa: E731
    assert torch.isfinite(
        SegmentationModel(part_off, activation="sigmoid").probabilities(scene()[None])
    ).all()


class TestTwoWaysToReadLogits:
    def nested_regions(self, batch):
        return torch.cat([20 * (batch - 0.3), 30 * (batch - 0.8)], 1)

    def test_it_is_said_where_they_draw_something_else_and_what(self):
        with pytest.warns(UserWarning, match=r"class 0 has 4800 pixels then, but 320 if .* \(sigmoid\)"):
            made = explained(self.nested_regions, target=0)
        assert made.model["activation"] == "softmax"

    def test_both_ways_to_confirm_are_silent(self):
        assert int(explained(self.nested_regions, target=0, activation="sigmoid").segment.sum()) == 320
        assert int(explained(self.nested_regions, target=0, activation="softmax").segment.sum()) == 4800

    def test_it_is_not_said_where_they_draw_the_same(self):
        def three_classes(batch):
            return torch.cat([-logits(batch), logits(batch), -9 + 0 * batch], 1)

        assert int(explained(three_classes).segment.sum()) == 320

    def test_a_twentieth_of_the_larger_is_the_measure(self):
        def with_margin(pixels):
            unsure = torch.zeros(1, 60, 80)
            unsure[:, 36, 44 : 44 + pixels] = 1  # likelier than the rest, but below one half

            def model(batch):
                sure = torch.cat([-logits(batch), logits(batch)], 1)
                return torch.where(unsure > 0, torch.tensor([-3.0, -1.0]).view(1, 2, 1, 1), sure)

            return model

        explained(with_margin(16), target=1)
        with pytest.warns(UserWarning, match="class 1 has 338 pixels then, but 320"):
            explained(with_margin(18), target=1)


class Fails(nn.Module):
    def forward(self, rgb, depth, scale):
        return rgb + depth + scale


class TestAModelThatFails:
    def test_of_several_inputs_is_told_to_hand_over_a_function(self):
        with pytest.raises(RuntimeError, match=r"'depth' and 'scale' got nothing: hand over a function that"):
            explained(Fails())

    @pytest.mark.parametrize(
        ("fail", "said"),
        [
            (lambda array: array.astype("float32").missing, "has no attribute 'missing'"),
            (lambda array: [array.transpose(0, 2, 3, 1), 1 / 0], "ZeroDivisionError: division by zero"),
            (lambda array: np.stack([array.transpose(0, 2, 3, 1)]).nothing(), "has no attribute 'nothing'"),
        ],
    )
    def test_on_arrays_shows_its_own_error(self, fail, said):
        with pytest.raises(RuntimeError, match=said):
            explained(fail)

    def test_on_tensors_shows_that_and_not_that_of_the_attempt_with_arrays(self):
        with pytest.raises(RuntimeError, match="has no attribute 'missing'"):
            explained(lambda batch: batch.unsqueeze(0).squeeze(0).missing)


class TestSituationsThatBrokeIt:
    """Each gave a wrong map without a word, a false alarm, or a cure that did not work."""

    def coarse(self, batch):
        return 20 * F.interpolate(F.avg_pool2d(batch, 20), size=batch.shape[2:], mode="bilinear") - 6

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda one, two: ((one, two),),
            lambda one, two: (torch.tensor(0.1), (one, two)),
            lambda one, two: ({"out": [one, two]},),
            lambda one, two: {"out": [one, two]},
        ],
    )
    def test_deep_supervision_one_level_down_is_told_with_a_function_that_works(self, wrap):
        model = lambda batch: wrap(self.coarse(batch), logits(batch))  # noqa: E731
        with pytest.warns(UserWarning, match="2 maps of one shape") as caught:
            explained(model)
        function = re.search(r"output=(lambda answer: \S+) for the last", str(caught[0].message)).group(1)
        made = explained(model, output=eval(function))
        assert int(made.segment.sum()) == 320

    def test_features_before_the_logits_are_told(self):
        with pytest.warns(
            UserWarning, match=r"maps of several kinds, .*64 classes\); pass output=lambda answer"
        ):
            explained(
                lambda x: (F.avg_pool2d(x, 4).repeat(1, 64, 1, 1) + 0.1, logits(x)), activation="sigmoid"
            )

    def test_a_function_that_only_picks_a_part_does_not_bring_it_back(self):
        from interpret_segmentation import Preprocess

        step = Preprocess(size=(120, 160), fit="pad", position="top_left")
        model = lambda batch: {"o": F.avg_pool2d(logits(batch), 2)}  # noqa: E731
        picked = explained(model, preprocess=step, output=lambda answer: answer["o"])
        named = explained(model, preprocess=step, output="o")
        assert int(picked.segment.sum()) == int(named.segment.sum()) == 320

    def test_a_mask_transformers_pair_is_refused_in_either_order(self):
        parts = queries(torch.zeros(1, 1, 60, 80))
        pair = (parts["logits"], parts["pred_masks"])
        for answer in (pair, pair[::-1]):
            with pytest.raises(TypeError, match=r"classes and masks of 2 queries.*and activation='none'"):
                explained(lambda _batch, answer=answer: answer)

    def test_objects_without_boxes_and_numbers_of_segments_are_refused(self):
        def without_boxes(batch):
            return [{name: part for name, part in one.items() if name != "boxes"} for one in objects(batch)]

        def panoptic(batch):
            ids = (batch[:, 0] > 0.5).int()
            return [{"segmentation": one, "segments_info": [{"id": 1, "label_id": 1}]} for one in ids]

        for model, what in ((without_boxes, "objects in each image"), (panoptic, "numbers of segments")):
            with pytest.raises(TypeError, match=what) as caught:
                explained(model, batch_size=1)
            function = re.search(r"output=(lambda answer: .*), which is of", str(caught.value)).group(1)
            assert int(explained(model, output=eval(function)).segment.sum()) == 320
        with pytest.raises(TypeError, match="objects in each image"):
            explained(lambda batch: objects(batch)[0])

    def test_classes_with_a_head_beside_them_are_no_nested_masks(self):
        def with_presence(batch):
            maps = torch.cat([logits(batch), logits(batch) - 1, logits(batch) - 2], 1)
            return maps, maps.amax((2, 3))

        assert int(explained(with_presence, activation="sigmoid", target=0).segment.sum()) == 320

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda labels: labels,
            lambda labels: labels[:, None],
            lambda labels: {"out": labels[:, None]},
            lambda labels: labels.numpy(),
        ],
        ids=["B x H x W", "B x 1 x H x W", "in a dict", "NumPy"],
    )
    def test_the_cure_for_labels_works_wherever_they_are(self, wrap):
        model = lambda batch: wrap(torch.where(batch[:, 0] > 0.5, 2, 0))  # noqa: E731
        with pytest.raises(ValueError, match="labels, not probabilities") as caught:
            explained(model)
        function = re.search(r"output=(lambda answer: .*) with 3 classes", str(caught.value)).group(1)
        made = explained(model, output=eval(function), target=2)
        assert int(made.segment.sum()) == 320

    def test_an_error_in_the_users_output_function_says_what_it_got(self):
        with pytest.raises(RuntimeError, match=r"the function output= fails on .*60 x 80: TypeError"):
            explained(logits, output=lambda answer: answer["out"])

    def test_all_parts_that_fit_are_named(self):
        model = lambda batch: {"aux": logits(batch), "main": logits(batch), "loss": torch.zeros(())}  # noqa: E731
        with pytest.raises(TypeError, match=r"say which part is the segmentation: output='aux' or 'main'$"):
            explained(model)
