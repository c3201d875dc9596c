"""What a method is: ours and other people's are found, checked, saved, repeated and shown alike."""

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from interpret_segmentation import (
    Case,
    Explanation,
    HausdorffDistanceMasks,
    Layer,
    Method,
    ModelOptions,
    Occlusion,
    explain,
    explain_channels,
)
from interpret_segmentation._settings import Setting
from interpret_segmentation.benchmark import benchmark
from interpret_segmentation.benchmark.contestants import named as named_contestants
from interpret_segmentation.methods import all_methods, as_method, find_method, settings_of
from interpret_segmentation.methods.base import Cost, Own
from interpret_segmentation.results.maker import Unregistered

TOY = Path(__file__).parent / "toy_package"


def bright(images):
    return images.mean(dim=1, keepdim=True).clamp(0, 1)


def picture(channels=2):
    image = torch.full((channels, 17, 26), 0.1)
    image[:, 4:10, 6:17] = 0.9
    return image


@pytest.fixture(autouse=True)
def _methods_of_a_test_are_forgotten_after_it():
    known = dict(Setting._kinds)
    yield
    for kind in [kind for kind in Setting._kinds if kind not in known]:
        del Setting._kinds[kind]


@pytest.fixture
def toy(monkeypatch):
    """The toy package is installed, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(TOY))
    yield
    sys.modules.pop("toy_method", None)


@pytest.mark.usefixtures("toy")
class TestAMethodOfAnotherPackage:
    def test_it_is_found_by_its_name_with_its_settings(self):
        made = explain(bright, picture(), "contrast", power=2, progress=False)
        expected = (picture() - picture().mean()).abs().mean(0) ** 2
        np.testing.assert_allclose(made.saliency, expected, rtol=1e-6)
        assert (made.method, made.meaning) == ("contrast", "contrast")
        assert made.settings["power"] == 2
        assert made.run["forwards"] == 1
        with pytest.raises(TypeError, match="'contrast' has no setting 'size'; it has channel, power"):
            explain(bright, picture(), "contrast", size=3)

    def test_it_comes_back_from_its_file_and_repeats(self, tmp_path):
        made = explain(bright, picture(), "contrast", power=3, target=(5, 7), progress=False)
        path = made.save(tmp_path / "made")
        Setting._kinds.pop("contrast")
        sys.modules.pop("toy_method")
        loaded = Explanation.load(path)
        assert loaded == made
        again = loaded.repeat(bright, progress=False)
        np.testing.assert_array_equal(again.saliency, made.saliency)
        other = loaded.repeat(bright, progress=False, power=1)
        assert other.saliency.max() > made.saliency.max()
        assert other.target == made.target

    def test_without_the_package_a_file_opens_and_says_what_is_missing(self, monkeypatch, tmp_path):
        made = explain(bright, picture(), "contrast", power=3, progress=False)
        path = made.save(tmp_path / "made")
        Setting._kinds.pop("contrast")
        sys.modules.pop("toy_method")
        monkeypatch.setattr("sys.path", [entry for entry in sys.path if entry != str(TOY)])
        loaded = Explanation.load(path)
        np.testing.assert_array_equal(loaded.saliency, made.saliency)
        assert isinstance(loaded.recipe.method, Unregistered)
        assert loaded.settings["method"] == "contrast"
        assert loaded.settings["power"] == 3
        assert "contrast" in loaded.sentences()[0]
        with pytest.raises(ValueError, match=r"there is no method 'contrast' in this program; import"):
            loaded.repeat(bright)
        resaved = Explanation.load(loaded.save(tmp_path / "again"))
        assert resaved == loaded
        monkeypatch.syspath_prepend(str(TOY))
        assert Explanation.load(tmp_path / "again") == made

    def test_a_package_that_is_broken_harms_nobody_else(self, monkeypatch, tmp_path):
        broken = tmp_path / "broken-1.0.dist-info"
        broken.mkdir()
        (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
        (broken / "entry_points.txt").write_text(
            "[interpret_segmentation.methods]\nbroken = no_such_module:Broken\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(ImportError, match=r"'broken' is said to be no_such_module:Broken, which cannot"):
            explain(bright, picture(), "broken")
        made = explain(bright, picture(), "contrast", progress=False)
        assert Explanation.load(made.save(tmp_path / "made")) == made
        with pytest.warns(UserWarning, match="left out: the method 'broken'"):
            assert "broken" not in all_methods()

    def test_it_hides_channels_is_reported_and_is_benchmarked(self, tmp_path):
        image = picture()
        image[1] = 0.5
        maps = explain_channels(bright, image, "contrast", names=("a", "b"), progress=False)
        assert maps.importance["a"] > 0.1
        assert maps.importance["b"] == pytest.approx(0, abs=1e-6)
        path = maps[0].report(tmp_path / "report.html")
        assert "contrast" in path.read_text(encoding="utf-8")
        summary = benchmark(
            [one for one in benchmark_defaults() if one.names == ("contrast by default",)],
            images=2,
            out=tmp_path / "rows",
            progress=False,
        )
        assert summary.mean("contrast by default", "cue_auc") > 0.5

    @pytest.mark.slow
    def test_it_has_a_name_on_the_command_line(self, tmp_path):
        Image.fromarray((picture(1)[0].numpy() * 255).astype(np.uint8)).save(tmp_path / "cell.png")
        (tmp_path / "networks.py").write_text("def build():\n    return lambda images: images.clamp(0, 1)\n")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TOY), *sys.path])}

        def command(*arguments):
            return subprocess.run(
                [Path(sys.executable).parent / "interpret-segmentation", *arguments],
                cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip

        said = command("explain", "--method", "contrast", "--help")
        assert "Settings of contrast (--set NAME=VALUE)" in said.stdout, said.stderr
        assert "Of the distance. [default: 1.0]" in said.stdout
        done = command("explain", "networks:build", "cell.png", "--method", "contrast", "--set", "power=2")
        assert "1 explained" in done.stdout, done.stderr
        again = command("explain", "networks:build", "cell.png", "--method", "contrast", "--set", "power=2")
        assert "1 skipped" in again.stdout
        other = command("explain", "networks:build", "cell.png", "--method", "contrast", "--set", "power=3")
        assert "made with another power (2, now 3)" in " ".join(other.stderr.split())


def benchmark_defaults():
    from interpret_segmentation.benchmark import defaults

    return defaults()


def run(case_of):
    """What `explain` makes of a method that does with the case whatever is said."""

    class Mine:
        def run(self, case):
            return case_of(case)

    return explain(bright, picture(), Mine(), progress=False)


class TestWhatComesOutIsChecked:
    @pytest.mark.parametrize(
        ("answer", "error", "message"),
        [
            (
                lambda _: np.zeros(3),
                TypeError,
                r"Mine.run\(case\) must return an Explanation, got an array",
            ),
            (lambda _: None, TypeError, r"must return an Explanation, got NoneType"),
            (
                lambda case: case.explanation(np.zeros(3), meaning=""),
                ValueError,
                r"saliency must be of the image's size, \(17, 26\), got \(3,\)",
            ),
            (
                lambda _: Explanation(np.zeros((3, 4))),
                ValueError,
                r"image's size, \(17, 26\), got \(3, 4\)",
            ),
            (lambda case: case.explanation(np.full(case.space, np.nan), meaning=""), ValueError, "finite"),
            (lambda case: case.explanation(np.full(case.space, -np.inf), meaning=""), ValueError, "finite"),
            (
                lambda case: case.explanation(np.zeros(case.space), meaning="", reached=np.ones((2, 2))),
                ValueError,
                "reached has 2 rows",
            ),
            (
                lambda case: case.explanation(
                    np.zeros(case.space), meaning="", reached=np.full(case.space, 7)
                ),
                ValueError,
                "reached must be binary",
            ),
        ],
    )
    def test_anything_but_a_whole_result_is_refused(self, answer, error, message):
        with pytest.raises(error, match=message):
            run(answer)

    def test_a_result_is_made_in_one_call(self):
        more = Layer("signed", "signed sum", "", np.full((17, 26), -1.0), signed=True)
        made = run(
            lambda case: case.explanation(
                case.pixels[0], meaning="brightness", unit="1", measured={"sum": 3.0}, more=[more]
            )
        )
        assert (made.meaning, made.unit, made.measured["sum"]) == ("brightness", "1", 3.0)
        assert made.reached.all()
        assert [layer.name for layer in made.layers()] == ["map", "signed"]
        assert made.layers()[1].signed
        assert made.probes() is None
        with pytest.raises(LookupError, match="one map for all explained pixels"):
            made.of_pixels(np.ones((17, 26)))


class TestClasses:
    def test_what_a_method_leaves_open_is_filled_in_and_costs_what_it_says(self):
        seen = {}
        for name, settings in (("hdm", {}), ("occlusion", {"size": (3, 6)}), ("rise", {"N": 40})):

            class Watch(Own):
                def run(self, case):
                    method = as_method(name, settings)  # noqa: B023
                    seen[name] = method.resolve(case), method.cost(case)  # noqa: B023
                    return case.explanation(np.zeros(case.space), meaning="")

            explain(bright, picture(), Watch(None), progress=False)
        assert seen["hdm"][0].circle_size == 1
        assert seen["hdm"][0].offset == 1
        assert seen["occlusion"][0].size == (3, 6)
        assert isinstance(seen["rise"][0].seed, int)
        assert seen["rise"][1] == Cost(41)
        assert seen["hdm"][1] == Cost(1 + 17 * 26)
        assert seen["occlusion"][1] == Cost(1 + 2 * 17 * 26)

    def test_two_methods_cannot_have_one_name(self):
        with pytest.raises(TypeError, match=r"two settings cannot both be called 'hdm'"):

            class Another(Method):
                kind: ClassVar[str] = "hdm"

    def test_a_setting_cannot_be_called_like_an_argument_of_explain(self):
        @dataclass(frozen=True)
        class Taken(Method):
            kind: ClassVar[str] = "taken"
            target: int = 3

            def run(self, case: Case) -> Explanation:
                return case.explanation(case.pixels[0], meaning="")

        with pytest.raises(TypeError, match="cannot have a setting 'target'"):
            explain(bright, picture(), "taken")

    def test_a_method_with_settings_has_to_be_a_dataclass(self):
        class Bare(Method):
            kind: ClassVar[str] = "bare"
            size: int = 3

            def run(self, case: Case) -> Explanation:
                return case.explanation(case.pixels[0], meaning="")

        with pytest.raises(TypeError, match=r"Bare has settings \(size\), but is no dataclass"):
            explain(bright, picture(), "bare")

    def test_a_method_has_to_say_how_it_runs(self):
        class Idle(Method):
            pass

        with pytest.raises(TypeError, match="abstract"):
            Idle()

    def test_the_methods_of_this_package_are_all_found(self):
        found = all_methods()
        assert {"hdm", "occlusion", "rise"} <= set(found)
        assert find_method("own") is None
        assert find_method("preprocess") is None
        for method in found.values():
            assert "self" not in settings_of(method)
        assert {"size", "score", "fill", "within", "spare", "spacing"} <= set(settings_of(found["hdm"]))

    def test_a_near_miss_is_told(self):
        with pytest.raises(ValueError, match=r"there is no method 'oclusion'; .* did you mean 'occlusion'"):
            explain(bright, picture(), "oclusion")


class TestResultsTravel:
    @pytest.mark.parametrize(
        ("method", "settings"),
        [("hdm", {"circle_size": 5, "offset": 4}), ("occlusion", {"size": 5}), ("rise", {"N": 30, "s": 4})],
    )
    def test_a_pickled_result_is_equal_locked_and_repeats(self, method, settings):
        made = explain(bright, picture(), method, progress=False, **settings)
        back = pickle.loads(pickle.dumps(made))
        assert back == made
        assert type(back) is type(made)
        assert not back.saliency.flags.writeable
        assert not back.image.flags.writeable
        np.testing.assert_array_equal(back.repeat(bright, progress=False).saliency, made.saliency)
        assert [layer.name for layer in back.layers()] == [layer.name for layer in made.layers()]
        changed = replace(made, meaning="something else")
        assert type(changed) is type(made)
        assert changed.meaning == "something else"
        assert changed != made
        np.testing.assert_array_equal(changed.layers()[-1].values, made.layers()[-1].values)

    def test_a_function_that_cannot_be_pickled_keeps_its_name(self):
        made = explain(bright, picture(), "occlusion", size=5, score=lambda *_: 1.0, progress=False)
        back = pickle.loads(pickle.dumps(made))
        assert "lambda" in repr(back.settings["score"])
        with pytest.raises(ValueError, match="the setting 'score' was a function"):
            back.repeat(bright)

    def test_a_kind_of_result_has_no_parts_of_its_own(self):
        parts = set(Explanation.__dataclass_fields__)
        for kind in Explanation._kinds.values():
            assert set(kind.__dataclass_fields__) == parts

    def test_repeat_takes_another_image_and_other_settings(self):
        made = explain(bright, picture(), Occlusion(size=5, offset=4), progress=False)
        other = picture()
        other[:, 12:15, 1:5] = 1
        again = made.repeat(bright, other, progress=False, size=6, score="dice")
        expected = explain(bright, other, Occlusion(size=6, offset=4, score="dice"), progress=False)
        np.testing.assert_array_equal(again.saliency, expected.saliency)
        rise = made.repeat(bright, progress=False, method="rise", N=20)
        assert rise.method == "rise"
        assert rise.settings["N"] == 20


@dataclass(frozen=True)
class Spoiler(Method):
    """Writes into everything that it is handed."""

    kind: ClassVar[str] = "spoiler"

    def run(self, case: Case) -> Explanation:
        """A map of ones, and ruins."""
        case.pixels.mul_(0)
        case.segment[:] = False
        case.probability[:] = 0
        return case.explanation(np.ones(case.space), meaning="")


def test_what_a_method_does_to_its_case_harms_neither_the_user_nor_the_result():
    image = picture().numpy()
    before = image.copy()
    made = Spoiler().explain(bright, image, progress=False)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(made.image, before)
    np.testing.assert_allclose(made.prediction, before.mean(0), rtol=1e-6)
    assert made.segment.any()


class TestRepeatingWithChanges:
    @pytest.mark.parametrize(
        ("first", "changes", "settings"),
        [
            ({"size": 9}, {"size": 8}, {"circle_size": 8}),
            ({}, {"size": 8}, {"circle_size": 8}),
            ({"score": "mae"}, {"score": "mse"}, {"distance": "mse"}),
            ({"distance": "mae"}, {"score": "mse", "circle_size": 8}, {"distance": "mse", "circle_size": 8}),
        ],
    )
    def test_in_either_spelling(self, first, changes, settings):
        made = explain(bright, picture(), "hdm", offset=6, progress=False, **first)
        again = made.repeat(bright, progress=False, **changes)
        assert {name: again.settings[name] for name in settings} == settings
        assert again.settings["offset"] == 6

    def test_with_the_options_of_the_model_all_at_once(self):
        made = explain(bright, picture(), "occlusion", size=9, progress=False)
        options = ModelOptions(activation="sigmoid")
        assert made.repeat(bright, progress=False, model_options=options).settings["activation"] == "sigmoid"
        with pytest.raises(TypeError, match=r"model_options must be ModelOptions\(\.\.\.\), got \{"):
            explain(bright, picture(), model_options={"activation": "sigmoid"})

    def test_after_the_module_of_its_method_has_been_imported(self, tmp_path):
        path = explain(bright, picture(), Spoiler(), progress=False).save(tmp_path / "made")
        kinds = Setting._kinds.pop("spoiler")
        loaded = Explanation.load(path)
        with pytest.raises(ValueError, match="there is no method 'spoiler' in this program"):
            loaded.repeat(bright)
        Setting._kinds["spoiler"] = kinds
        assert loaded.repeat(bright, progress=False).saliency.min() == 1

    def test_an_explainer_with_rules_of_its_own_still_tells_what_it_hid(self):
        class White(HausdorffDistanceMasks):
            def apply_mask(self, image, mask):
                return np.where(mask < 1, 1, image)

        explainer = White(26, 17)
        explainer.generate_masks(5, 6)
        made = explainer.explain(bright, picture(), progress=False)
        assert len(made.probes()) == 3 * 5
        assert made.probes()[3].segment is not None
        assert "circle of 5 pixels was laid over the image at 15 positions" in made.sentences()[0]


class TestDefinitionsThatDoNotWork:
    def test_settings_are_fields_of_a_dataclass(self):
        def start(self, a=1):
            self.a = a

        mine = type("Mine", (Spoiler,), {"__init__": start, "kind": "mine"})
        for ask in (lambda: explain(bright, picture(), mine()), lambda: mine().explain(bright, picture())):
            with pytest.raises(TypeError, match=r"Mine has settings \(in __init__\), but is no dataclass"):
                ask()

    @pytest.mark.parametrize("kind", [None, 5, "", "a/b", "My Method", "../x"])
    def test_a_kind_is_a_plain_word(self, kind):
        members = {"run": lambda _self, case: case.explanation(case.pixels[0], meaning="")}
        given = {} if kind is None else {"kind": kind}
        mine = type("Mine", (Method,), members | given)
        with pytest.raises(TypeError, match="Mine must have a kind, the name that it is called by"):
            explain(bright, picture(), mine())

    def test_a_kind_is_its_own(self):
        class Sub(Occlusion):
            def run(self, case):
                return case.explanation(np.full(case.space, 7.0), meaning="mine")

        with pytest.raises(TypeError, match="Sub must have a kind of its own: 'occlusion' is Occlusion"):
            explain(bright, picture(), Sub(offset=9))

    def test_every_setting_can_be_told_by_its_name(self):
        @dataclass(frozen=True)
        class Renamed(Spoiler):
            kind: ClassVar[str] = "renamed"
            a: int = 1

            def __init__(self, b=1):
                object.__setattr__(self, "a", b)

        with pytest.raises(TypeError, match="must take every setting by its name, but not 'a'"):
            explain(bright, picture(), Renamed())

    def test_needs_are_known_words(self):
        mine = type("Mine", (Spoiler,), {"needs": frozenset({"gradient"}), "kind": "mine"})
        with pytest.raises(
            TypeError, match="needs has 'gradient'; there are 'gradients', 'layers', 'module'"
        ):
            explain(bright, picture(), mine())

    def test_a_class_is_told_to_be_made_an_object(self):
        with pytest.raises(TypeError, match=r"the class Spoiler, not an object: Spoiler\(\.\.\.\)"):
            explain(bright, picture(), Spoiler)

    def test_the_entry_point_has_the_name_of_the_kind(self, monkeypatch, tmp_path):
        info = tmp_path / "other-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "[interpret_segmentation.methods]\nother = interpret_segmentation.methods:RISE\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(ImportError, match="whose kind is 'rise'; the entry point and the kind must have"):
            explain(bright, picture(), "other")


def test_a_method_takes_part_in_the_benchmark(tmp_path):
    summary = benchmark({"mine": Spoiler(), "class": Spoiler}, images=1, out=tmp_path, progress=False)
    assert summary.mean("mine", "cue_auc") == summary.mean("class", "cue_auc") == 0.5
    (by_name,) = named_contestants(["spoiler"], masks=3, offset=5)
    assert by_name.names == ("spoiler by default",)
