"""What makes a result again: nested, frozen, comparable, and readable from older files."""

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from interpret_segmentation import (
    HDM,
    RISE,
    Border,
    ChannelExplanations,
    Explanation,
    HDMResult,
    ModelOptions,
    Occlusion,
    Preprocess,
    Recipe,
    RISEResult,
    SegmentationModel,
    explain,
)
from interpret_segmentation.results import storage
from interpret_segmentation.results.maker import Unregistered

FORMAT_1 = Path(__file__).parent / "format_1"
"""Files that version 2.0.0.dev0 wrote in format 1."""


def picture(channels=2):
    image = 0.3 * torch.rand(channels, 17, 26, generator=torch.Generator().manual_seed(0))
    image[..., 4:10, 6:17] += 0.6
    image[..., 13:15, 20:24] += 0.6
    return image


def network(images):
    bright = images.mean(dim=1, keepdim=True)
    return torch.sigmoid(12 * ((bright + bright.roll(1, -1)) / 2 - 0.5))


def classes(images):
    bright = images.mean(dim=1, keepdim=True)
    return (-30 * (bright - torch.tensor([0.0, 0.4, 0.8]).view(1, 3, 1, 1)) ** 2).softmax(dim=1)


def made(method="occlusion", **settings):
    few = {"occlusion": {"size": 5, "offset": 4}, "hdm": {"circle_size": 5, "offset": 4}, "rise": {"N": 20}}
    return explain(network, picture(), method, progress=False, **few[method] | settings)


class TestRecipe:
    def test_it_holds_everything_that_was_asked_each_in_its_place(self):
        truth = np.zeros((17, 26), dtype=bool)
        truth[3:9, 8:19] = True
        step = Preprocess(mean=0.1)
        recipe = made(
            "hdm", target=Border(2), reference=truth, preprocess=step, batch_size=3, distance="mae"
        ).recipe
        assert recipe.method == HDM(5, 4, distance="mae")
        assert recipe.target == Border(2, label=0)
        np.testing.assert_array_equal(recipe.reference, truth)
        assert recipe.batch_size == 3
        assert (recipe.model.preprocess, recipe.model.activation, recipe.model.dims) == (step, "none", 2)
        with pytest.raises(FrozenInstanceError):
            recipe.batch_size = 4
        with pytest.raises(ValueError, match="read-only"):
            recipe.reference[0, 0] = True

    def test_its_settings_are_arguments_of_explain(self):
        result = made("rise", s=4)
        again = explain(network, picture(), progress=False, **result.settings)
        np.testing.assert_array_equal(again.saliency, result.saliency)
        assert again.recipe == result.recipe

    def test_what_changes_nothing_in_a_map_is_no_difference(self):
        one = Recipe(Occlusion(size=5), model=ModelOptions(incremental=False, dims=2), batch_size=3)
        other = Recipe(Occlusion(size=5), model=ModelOptions(incremental=True, channels_last=True))
        assert one.difference(other) is None
        assert one.difference(replace(other, method=Occlusion(size=6))) == ("size", 5, 6)
        assert one.difference(replace(other, method=Occlusion(size=6)), but=("size",)) is None
        assert one.difference(replace(other, target=Border())) == ("target", None, Border())
        assert one.difference(Recipe(RISE()))[0] == "method"
        sigmoid = replace(other, model=ModelOptions(activation="sigmoid"))
        assert one.difference(sigmoid) == ("activation", None, "sigmoid")

    def test_functions_that_a_file_lost_are_named(self, tmp_path):
        def mine(output, segment):
            return float(np.abs(output - segment).sum())

        path = made(score=mine, preprocess=lambda images: images).save(tmp_path / "made")
        loaded = Explanation.load(path)
        assert list(loaded.recipe.lost()) == ["score", "preprocess"]
        with pytest.raises(
            ValueError, match=r"'preprocess' was a function.*repeat\(model, preprocess=\.\.\.\)"
        ):
            loaded.repeat(network, progress=False, score=mine)
        again = loaded.repeat(network, progress=False, score=mine, preprocess=lambda images: images)
        np.testing.assert_array_equal(again.saliency, loaded.saliency)

    def test_options_of_the_model_can_be_told_all_at_once(self):
        step = Preprocess(scale=20, mean=10)
        options = ModelOptions(activation="sigmoid", preprocess=step, incremental=False)
        together = explain(lambda images: images[:, :1], picture(), "occlusion", size=5, progress=False,
                           model_options=options)  # fmt: skip
        apart = explain(lambda images: images[:, :1], picture(), "occlusion", size=5, progress=False,
                        activation="sigmoid", preprocess=step, incremental=False)  # fmt: skip
        assert together.recipe == apart.recipe
        np.testing.assert_array_equal(together.saliency, apart.saliency)
        with pytest.raises(TypeError, match="activation must be set in model_options, not beside it"):
            explain(network, picture(), model_options=options, activation="none")
        with pytest.raises(TypeError, match="activation must be set in the SegmentationModel itself"):
            explain(SegmentationModel(network), picture(), model_options=options)

    def test_what_is_found_out_about_a_model_is_not_written_into_its_options(self):
        model = SegmentationModel(classes, activation="none")
        before = model.network.options
        assert repr(model).endswith("classes, activation='none')")
        explain(model, picture(), "occlusion", size=9, progress=False)
        assert model.network.options is before
        assert before.stated() == {"activation": "none"}
        assert model.decisions["classes"] == 3


class TestWhatAResultAnswers:
    def test_layers_say_what_they_are(self):
        layers = {one.name: one for one in made("hdm").layers()}
        assert list(layers) == ["map", "lost", "old_to_new", "raw", "worse", "better"]
        assert "how much worse" in layers["worse"].meaning
        assert layers["raw"].unit == "pixels"
        names = [one.name for one in made("rise").layers()]
        assert names == ["map", "max", "error"]
        assert [one.name for one in made("rise", score="dice").layers()] == ["map", "error"]
        first, *others = made("occlusion").layers()
        assert first.values.shape == (17, 26)
        assert [one.name for one in others] == ["lost"]

    @pytest.mark.parametrize(
        ("method", "settings"),
        [
            ("hdm", {}),
            ("hdm", {"spare": "segment", "within": "segment", "circle_size": 9}),
            ("occlusion", {"size": (4, 7), "spare": "segment"}),
            ("occlusion", {"shape": np.arange(17 * 26).reshape(17, 26) // 50, "size": None, "offset": None}),
        ],
    )
    def test_probes_are_what_the_network_was_asked(self, method, settings):
        compared = {"distance": "mae"} if method == "hdm" else {"score": "dice"}
        result = made(method, fill="black", **compared, **settings)
        probes = result.probes()
        assert len(probes) == len(probes.values) > 3
        for index in (0, len(probes) // 2, len(probes) - 1):
            probe = probes[index]
            hidden = torch.where(torch.from_numpy(probe.hidden), torch.zeros(()), picture())
            answer = network(hidden[None])[0, 0]
            np.testing.assert_array_equal(probe.segment, (answer > 0.5).numpy())
            if method == "hdm":
                expected = (answer - torch.tensor(result.prediction)).abs().double().mean().item()
            else:
                both = (probe.segment & result.segment).sum()
                expected = 2 * both / (probe.segment.sum() + result.segment.sum())
            assert probe.value == pytest.approx(expected, rel=1e-5)
            if settings.get("spare"):
                assert not (probe.hidden & result.segment).any()
        with pytest.raises(IndexError, match="counted from 0"):
            probes[len(probes)]

    def test_maps_of_single_pixels_are_those_of_the_run(self):
        result = made("rise")
        region = np.zeros((17, 26))
        region[5, 7:9] = 1
        np.testing.assert_allclose(result.of_pixels(region), result.region(region), rtol=1e-6)
        row = int(np.count_nonzero(result.pixels.ravel()[: 5 * 26 + 7]))
        exact = result.pixel_maps().rows(torch.tensor([row]))[0].reshape(17, 26)
        np.testing.assert_allclose(exact, result.pixel(5, 7), atol=1e-6)
        assert not made("rise", score="dice").maps_pixels
        assert made("hdm").pixel_maps() is None
        assert not made("hdm").maps_pixels

    def test_sentences_tell_what_was_done_what_it_says_and_what_it_cost(self):
        done, says, cost = made("hdm", fill="blur").sentences()
        assert done.startswith("A filled ('blur') circle of 5 pixels was laid over the image at 35 positions")
        assert (
            says
            == "A value of the map is the growth of directed Hausdorff distance over levels when hidden, in "
            "pixels."
        )
        assert cost.startswith(
            f"The network was asked about {made('hdm', fill='blur').run['forwards']} images in "
        )
        logit = made(score="probability", target=Border(quantity="logit"))
        assert "the mean logit against" in logit.sentences()[0]
        assert logit.meaning == "loss of mean logit when hidden"
        assert "20 random masks" in made("rise").sentences()[0]
        assert "35 parts of the image (square of 5 pixels)" in made("occlusion").sentences()[0]


class TestFiles:
    @pytest.mark.parametrize("path", sorted(FORMAT_1.glob("*.safetensors")), ids=lambda path: path.stem)
    def test_files_of_format_1_still_load_and_are_saved_in_the_newest(self, path, tmp_path):
        stored = load_file(path)
        if path.stem == "channels":
            loaded = ChannelExplanations.load(path)
            again = ChannelExplanations.load(loaded.save(tmp_path / "again"))
            assert again.explanations == loaded.explanations
            assert again.names == loaded.names == ("a", "b")
            np.testing.assert_array_equal(loaded[1].saliency, stored["channels.1.data.saliency"])
        else:
            loaded = Explanation.load(path)
            assert Explanation.load(loaded.save(tmp_path / "again")) == loaded
            np.testing.assert_array_equal(loaded.saliency, stored["saliency"])
        assert head_of(path)["format"] == 1
        assert head_of(tmp_path / "again")["format"] == storage.FORMAT == 2

    @pytest.mark.parametrize(
        ("name", "model", "kind"),
        [
            ("hdm", network, HDMResult),
            ("hdm_of_errors", network, HDMResult),
            ("occlusion_of_sizes", network, Explanation),
            ("occlusion_of_parts", classes, Explanation),
            ("rise", network, RISEResult),
            ("rise_of_segments", classes, RISEResult),
        ],
    )
    def test_files_of_format_1_repeat(self, name, model, kind):
        loaded = Explanation.load(FORMAT_1 / f"{name}.safetensors")
        assert type(loaded) is kind
        assert loaded.from_zero is (kind is not RISEResult)
        again = loaded.repeat(model, progress=False)
        np.testing.assert_allclose(again.saliency, loaded.saliency, atol=1e-6)
        assert again.recipe.difference(loaded.recipe) is None
        assert again.target == loaded.target
        assert loaded.layers()
        assert loaded.sentences() == (*again.sentences()[:2], *loaded.sentences()[2:])

    def test_methods_of_the_user_s_own_in_format_1_are_asked_for_again(self):
        own = Explanation.load(FORMAT_1 / "own.safetensors")
        assert own.method == "brightness"
        with pytest.raises(ValueError, match="the setting 'method' was a function"):
            own.repeat(network)
        scored = Explanation.load(FORMAT_1 / "occlusion_with_a_function.safetensors")
        with pytest.raises(ValueError, match="the setting 'score' was a function"):
            scored.repeat(network)

    def test_results_by_hand_in_format_1(self):
        by_hand = Explanation.load(FORMAT_1 / "hdm_by_hand.safetensors")
        assert by_hand.distances(1).tolist() == [[1, 3], [4, 5]]
        assert by_hand.settings == {}
        assert [layer.name for layer in by_hand.layers()] == ["map", "raw", "worse", "better"]
        assert len(by_hand.probes()) == 4
        plain = Explanation.load(FORMAT_1 / "by_hand.safetensors")
        assert (plain.meaning, plain.unit, plain.method) == ("m", "u", "mine")

    def test_parts_that_a_file_lacks_take_their_defaults(self, tmp_path):
        path = made().save(tmp_path / "made")
        for part in ("more", "from_zero", "run", "model", "reached"):
            change(path, lambda head: head["data"].pop(part))  # noqa: B023
        loaded = Explanation.load(path)
        assert (loaded.more, loaded.from_zero, dict(loaded.run), loaded.reached) == ((), True, {}, None)
        change(path, lambda head: head["data"]["recipe"]["method"].pop("merge"))
        change(path, lambda head: head["data"]["recipe"].pop("batch_size"))
        assert Explanation.load(path).recipe.method.merge == "mean"

    def test_a_newer_format_is_refused_by_its_number(self, tmp_path):
        path = made().save(tmp_path / "made")
        change(path, lambda head: head.update(format=3))
        with pytest.raises(ValueError, match=r"newer version \(format 3; this one reads up to 2\): upgrade"):
            Explanation.load(path)
        change(path, lambda head: head.update(format=0))
        with pytest.raises(ValueError, match="not an explanation that save"):
            Explanation.load(path)

    def test_a_method_from_a_file_that_nobody_has_keeps_its_settings(self, tmp_path):
        path = made().save(tmp_path / "made")
        change(path, lambda head: head["data"]["recipe"].update(method={"kind": "sobol-2040", "order": 2}))
        loaded = Explanation.load(path)
        assert loaded.recipe.method == Unregistered("sobol-2040", {"order": 2})
        assert loaded.settings["order"] == 2


def head_of(path):
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["interpret-segmentation"])


def change(path, how):
    """The file with its description changed, as if it had been written like that."""
    from safetensors.numpy import save_file

    head, arrays = head_of(path), load_file(path)
    how(head)
    text = json.dumps(head)
    used = {name: array for name, array in arrays.items() if f'"{name}"' in text}
    metadata = {"interpret-segmentation": text, "sha256": storage._digest(text, used)}
    save_file(used, path, metadata=metadata)
