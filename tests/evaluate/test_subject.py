from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from interpret_segmentation import Explanation, Preprocess, SegmentationModel, evaluate, explain
from interpret_segmentation.evaluate import as_subject

SPACE = (5, 8)


def picture():
    return torch.rand(2, *SPACE, generator=torch.Generator().manual_seed(0))


def network(batch):
    return torch.sigmoid(8 * (batch.mean(dim=1, keepdim=True) - 0.5))


def explained(model=network, image=None, **settings):
    image = picture() if image is None else image
    return explain(model, image, "occlusion", size=3, offset=2, score="mse", progress=False, **settings)


def agreement(case):
    return case.objective.value(torch.from_numpy(case.probability)[None]).item()


class TestAPlainMap:
    @pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, lambda v: torch.as_tensor(v).bfloat16()])
    @pytest.mark.parametrize("values", [np.eye(5, 8), np.eye(5, 8).astype(np.float32), np.eye(5, 8) > 0])
    def test_of_any_type_becomes_double(self, kind, values):
        subject = as_subject(kind(values), picture())
        np.testing.assert_array_equal(subject.saliency, np.eye(5, 8))
        assert subject.saliency.dtype == np.float64
        assert subject.space == SPACE

    @pytest.mark.parametrize("image", [
        torch.zeros(5, 8), np.zeros((1, 5, 8)), np.zeros((1, 3, 5, 8)), np.zeros((5, 8), dtype=np.uint8),
        Image.new("RGB", (8, 5)), Image.new("L", (8, 5)),
    ])  # fmt: skip
    def test_goes_with_an_image_of_any_kind(self, image):
        subject = as_subject(np.zeros(SPACE), image)
        assert subject.image.shape[1:] == SPACE
        assert subject.image.dtype in (torch.float32, torch.float64)

    @pytest.mark.parametrize(
        "image", [np.zeros((3, 4, 5)), np.zeros((2, 3, 4, 5)), np.zeros((1, 2, 3, 4, 5))]
    )
    def test_may_be_a_volume(self, image):
        subject = as_subject(np.zeros((3, 4, 5)), image)
        assert subject.space == (3, 4, 5)
        assert subject.run_case(lambda case: case.space, lambda batch: batch[:, :1] + 1, progress=False) == (
            3, 4, 5,
        )  # fmt: skip

    def test_of_few_slices_may_rather_have_channels(self):
        with pytest.warns(UserWarning, match=r"taken for a volume of 1 slices.*pass map\[0\]"):
            as_subject(np.zeros((1, 20, 30)), np.zeros((1, 20, 30)))

    def test_is_a_copy_that_cannot_be_written_to(self):
        values = np.zeros(SPACE)
        subject = as_subject(values, picture())
        values[:] = 1
        assert not subject.saliency.any()
        with pytest.raises(ValueError, match="read-only"):
            subject.saliency[0, 0] = 1

    def test_with_a_gradient_is_taken_for_its_values(self):
        assert as_subject(torch.ones(SPACE, requires_grad=True), picture()).saliency.all()

    def test_knows_the_target_and_the_ground_truth_that_it_is_given(self):
        truth = np.zeros(SPACE, dtype=bool)
        truth[:2] = True
        subject = as_subject(np.zeros(SPACE), picture(), target=(1, 2), reference=truth)
        objective = subject.run_case(lambda case: case.objective, network, progress=False)
        np.testing.assert_array_equal(np.argwhere(objective.pixels), [[1, 2]])
        np.testing.assert_array_equal(objective.reference, truth & objective.pixels)

    def test_says_how_many_axes_of_space_there_are_whatever_the_models_layers_suggest(self):
        class Stacked(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Conv3d(1, 1, 1)

            def forward(self, batch):
                return torch.sigmoid(self.layer(batch[:, None]).mean(dim=2))

        subject = as_subject(np.zeros(SPACE), picture(), target=np.ones(SPACE))
        assert subject.run_case(lambda case: case.space, Stacked(), progress=False) == SPACE

    def test_takes_a_model_with_options_of_its_own(self):
        model = SegmentationModel(lambda batch: 9 * batch[:, :1] - 5, activation="sigmoid")
        subject = as_subject(np.zeros(SPACE), picture())
        probability = subject.run_case(lambda case: case.probability, model, progress=False)
        np.testing.assert_allclose(probability, torch.sigmoid(9 * picture()[0] - 5), atol=1e-6)


class TestAnExplanation:
    def test_brings_its_image_and_its_target_along(self):
        made = explained(target=(3, 1))
        subject = as_subject(made)
        np.testing.assert_array_equal(subject.saliency, made.saliency)
        np.testing.assert_array_equal(subject.image, picture())
        assert subject.target == made.target
        assert subject.reference is None

    def test_brings_the_ground_truth_along_that_the_user_gave(self):
        truth = np.zeros(SPACE, dtype=bool)
        truth[2:] = True
        made = explained(reference=truth, target="false-positives")
        np.testing.assert_array_equal(as_subject(made).reference, truth)
        objective = as_subject(made).run_case(lambda case: case.objective, network, progress=False)
        np.testing.assert_array_equal(objective.pixels, made.pixels)

    def test_asks_the_model_as_it_was_asked(self):
        options = {"output": "maps", "activation": "sigmoid", "preprocess": Preprocess(scale=2.0, mean=0.3)}

        def model(batch):
            return {"other": batch, "maps": 5 * batch.mean(dim=1, keepdim=True) - 2}

        made = explained(model, **options)
        probability = as_subject(made).run_case(lambda case: case.probability, model, progress=False)
        np.testing.assert_array_equal(probability, made.prediction)

    def test_of_a_volume_is_asked_as_a_volume(self):
        volume = torch.rand(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))
        made = explained(image=volume, dims=3)
        probability = as_subject(made).run_case(lambda case: case.probability, network, progress=False)
        np.testing.assert_array_equal(probability, made.prediction)

    def test_may_be_judged_by_another_image_target_and_ground_truth(self):
        made = explained(target=(3, 1))
        truth = np.ones(SPACE)
        subject = as_subject(made, np.ones(SPACE), target=(0, 2), reference=truth)
        assert subject.image.shape == (1, *SPACE)
        assert subject.target == (0, 2)
        assert subject.reference is truth

    def test_from_a_file_asks_for_the_function_that_the_file_does_not_hold(self, tmp_path):
        made = explained(preprocess=lambda batch: batch / 2 + 0.3)
        subject = as_subject(Explanation.load(made.save(tmp_path / "map.safetensors")))
        with pytest.raises(
            ValueError, match=r"'preprocess' was a function.*SegmentationModel\(model, preprocess"
        ):
            subject.run_case(agreement, network, progress=False)
        model = SegmentationModel(network, preprocess=lambda batch: batch / 2 + 0.3)
        probability = subject.run_case(lambda case: case.probability, model, progress=False)
        np.testing.assert_array_equal(probability, made.prediction)

    def test_without_settings_still_knows_its_target(self):
        made = explained(target=(3, 1))
        bare = Explanation(saliency=made.saliency, image=made.image, target=made.target)
        assert as_subject(bare).target == made.target

    def test_without_an_image_needs_one(self):
        with pytest.raises(ValueError, match="does not know its image; pass it as image="):
            as_subject(Explanation(saliency=np.zeros(SPACE)))
        assert as_subject(Explanation(saliency=np.zeros(SPACE)), picture()).space == SPACE

    @pytest.mark.parametrize("method", ["hdm", "rise"])
    def test_of_every_method_is_understood(self, method):
        settings = {"N": 20, "seed": 0} if method == "rise" else {"circle_size": 3, "offset": 2}
        made = explain(network, picture(), method, progress=False, **settings)
        subject = as_subject(made)
        np.testing.assert_array_equal(subject.saliency, made.saliency)
        assert 0.5 < subject.run_case(agreement, network, progress=False) <= 1


@pytest.mark.parametrize(("values", "error", "message"), [
    (np.zeros(8), ValueError, "must be a map H x W or D x H x W.*got 8; merge"),
    (np.zeros((1, 2, 5, 8)), ValueError, "got 1 x 2 x 5 x 8; merge its channels"),
    (np.zeros((0, 8)), ValueError, "got 0 x 8"),
    (3.0, ValueError, "got a single number"),
    (np.full((5, 8), np.nan), ValueError, "holds NaN or infinite values"),
    (np.full((5, 8), -np.inf), ValueError, "holds NaN or infinite values"),
    (np.zeros((8, 5)), ValueError, "explanation is 8 x 5, but the image 5 x 8"),
    (np.zeros((5, 8), dtype=complex), TypeError, "explanation must be"),
    (torch.zeros(5, 8, dtype=torch.complex64), TypeError, "must hold real numbers"),
    ("occlusion", TypeError, "explanation must be a PyTorch tensor or an array"),
    (None, TypeError, "explanation must be a PyTorch tensor or an array"),
])  # fmt: skip
def test_what_is_no_map_of_the_image_is_refused(values, error, message):
    with pytest.raises(error, match=message):
        as_subject(values, picture())


def test_a_plain_map_needs_an_image():
    with pytest.raises(ValueError, match="pass it as image="):
        as_subject(np.zeros(SPACE))


def test_an_image_with_its_channels_last_is_told():
    with pytest.raises(ValueError, match=r"explanation is 5 x 8, but the image 8 x 3.*its channels first"):
        as_subject(np.zeros(SPACE), np.zeros((5, 8, 3)))


def test_a_model_is_given_back_as_it_was():
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 1, 1), torch.nn.BatchNorm2d(1), torch.nn.Sigmoid()).train()
    subject = as_subject(np.zeros(SPACE), picture(), target=np.ones(SPACE))
    assert subject.run_case(lambda case: case.network.module.training, model, progress=False) is False
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_words_from_before_mean_the_same():
    assert evaluate.Judged is evaluate.Subject
    assert evaluate.as_judged is evaluate.as_subject
    assert evaluate.OPPONENTS is evaluate.BASELINES
    assert all(hasattr(evaluate, name) for name in evaluate.__all__)


class TestInPlaceOfTheArguments:
    """A Subject, or what it is made of: the same numbers."""

    space = (6, 9)
    truth = np.arange(54).reshape(space) % 4 > 1

    def saliency(self):
        return np.random.default_rng(0).normal(size=self.space)

    def image(self):
        return torch.rand(2, *self.space, generator=torch.Generator().manual_seed(0))

    @pytest.mark.parametrize(("metric", "settings"), [
        (evaluate.deletion, {"steps": 7, "fill": "blur"}),
        (evaluate.insertion, {"steps": 7}),
        (evaluate.road, {"percentages": (20, 60), "seed": 3}),
        (evaluate.necessity, {"fraction": 0.2}),
        (evaluate.sufficiency, {"region": truth}),
    ])  # fmt: skip
    def test_it_gives_the_same_numbers(self, metric, settings):
        sizes = []

        def counting(batch):
            sizes.append(len(batch))
            return network(batch)

        told = {"target": "false-positives", "reference": self.truth, "batch_size": 2, "progress": False}
        wanted = metric(counting, self.saliency(), self.image(), **told, **settings)
        asked, sizes[:] = sizes.copy(), []
        made = metric(as_subject(self.saliency(), self.image(), model=counting, **told), **settings)
        assert repr(made) == repr(wanted)
        assert sizes == asked
        assert max(sizes) == 2

    def test_where_the_map_lies_is_said_by_the_subject(self):
        segment, cue, distractor = np.zeros((3, *self.space), dtype=bool)
        segment[0, :2] = cue[4:, 5:8] = distractor[3:5, 0] = True
        known = {"segment": segment, "cue": cue, "distractor": distractor, "margin": 2.5}
        subject = as_subject(self.saliency(), self.image(), **known)
        assert evaluate.localisation(subject) == evaluate.localisation(self.saliency(), **known)
        assert evaluate.mass_accuracy(subject, cue) == evaluate.mass_accuracy(self.saliency(), cue)
        assert evaluate.agreement(subject, self.saliency()).spearman == 1
        with pytest.raises(TypeError, match="a Subject knows its regions"):
            evaluate.localisation(subject, cue=cue)
        with pytest.raises(TypeError, match="a Subject knows its regions"):
            evaluate.localisation(subject, margin=3)

    def test_how_it_is_asked_can_still_be_said_beside_it(self, capsys):
        subject = as_subject(self.saliency(), self.image(), model=network, batch_size=7)
        sizes = []

        def counting(batch):
            sizes.append(len(batch))
            return network(batch)

        evaluate.deletion(replace(subject, model=counting), batch_size=3, progress=False)
        assert max(sizes) == 3
        assert "Deletion" not in capsys.readouterr().err
        evaluate.deletion(subject)
        assert "Deletion" in capsys.readouterr().err
        evaluate.deletion(replace(subject, progress=False))
        assert "Deletion" not in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["explanation", "image", "target", "reference"])
    def test_what_it_knows_is_not_said_twice(self, name):
        subject = as_subject(self.saliency(), self.image(), model=network)
        with pytest.raises(TypeError, match=rf"knows its {name}; change it with dataclasses\.replace"):
            evaluate.deletion(subject, **{name: np.ones(self.space)})

    def test_without_a_model_there_is_nobody_to_ask(self):
        with pytest.raises(TypeError, match="there is no model to ask; pass it"):
            evaluate.deletion(as_subject(self.saliency(), self.image()))

    def test_a_subject_is_one_already(self):
        with pytest.raises(TypeError, match="is a Subject already"):
            as_subject(as_subject(self.saliency(), self.image()))

    def test_regions_are_checked_at_the_door(self):
        for name in ("segment", "cue", "distractor", "region", "within"):
            with pytest.raises(ValueError, match=f"{name} has 9 rows and 6 columns"):
                as_subject(self.saliency(), self.image(), **{name: self.truth.T})
            given = as_subject(self.saliency(), self.image(), **{name: torch.from_numpy(self.truth).float()})
            np.testing.assert_array_equal(getattr(given, name), self.truth)
            assert getattr(given, name).dtype == bool

    def test_an_explanation_brings_its_segment_along(self):
        made = explained()
        np.testing.assert_array_equal(as_subject(made).segment, made.segment)
        assert as_subject(made).explanation is made
        other = ~made.segment
        np.testing.assert_array_equal(as_subject(made, segment=other).segment, other)
        assert as_subject(made.saliency, picture()).segment is None

    def test_places_take_the_image_apart(self):
        segment, cue, distractor = np.zeros((3, *self.space), dtype=bool)
        segment[0, :2] = cue[0, 1:6] = distractor[0, 3:5] = True
        known = {"segment": segment, "cue": cue, "distractor": distractor, "margin": 2}
        places = as_subject(self.saliency(), self.image(), **known).places
        first_row = {"segment": [0, 1], "border": [2, 3], "distractor": [4], "cue": [5], "rest": [6, 7, 8]}
        for name, columns in first_row.items():
            np.testing.assert_array_equal(np.flatnonzero(getattr(places, name)[0]), columns)
        np.testing.assert_array_equal(places.context, places.cue | places.rest)
        assert sum(getattr(places, name).sum() for name in first_row) == 54
        with pytest.raises(ValueError, match="the segment is not known; pass it"):
            _ = as_subject(self.saliency(), self.image()).places
        with pytest.raises(TypeError, match="localisation needs the segment"):
            evaluate.localisation(self.saliency())
