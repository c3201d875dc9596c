import os
import re
import shlex
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

from interpret_segmentation import Explanation
from interpret_segmentation._methods import method_names
from interpret_segmentation.batch import image_files as explain_files
from interpret_segmentation.cli import commands as cli
from interpret_segmentation.cli import main
from interpret_segmentation.cli import options as cli_options
from interpret_segmentation.cli import power as cli_power
from interpret_segmentation.data.files import MODES
from interpret_segmentation.evaluate.minimal_sets import KINDS
from interpret_segmentation.methods import all_methods, settings_of
from interpret_segmentation.models.reading import ACTIVATIONS
from interpret_segmentation.perturb.pieces import PIECES
from interpret_segmentation.targets.objective import QUANTITIES
from interpret_segmentation.testnet import VARIANTS

pytestmark = pytest.mark.slow

TESTNET = "interpret_segmentation.testnet:pretrained"
NETS = "nets_of_the_command_line"
FAST = ("--set", "offset=16", "--quiet")
SIZE = (48, 64)
NEXT = "interpret-segmentation report explanations, or interpret-segmentation view explanations"

SOURCE = """
import torch

loads = 0

def first():  # segments what is bright in the first channel
    global loads
    loads += 1
    return lambda batch: batch[:, :1].clamp(0, 1)

def logits():
    return lambda batch: {"aux": batch[:, :1], "seg": 20 * batch[:, :1] - 10}

def colours():  # needs three channels
    network = torch.nn.Conv2d(3, 1, 1, bias=False)
    network.weight.data.fill_(1 / 3)
    return network

def three():  # logits of three classes, of which a sigmoid would draw none
    return lambda batch: torch.cat([batch - 1, -batch, 0 * batch - 2], dim=1) * 9

def last():  # probabilities of two classes, the classes last
    return lambda batch: torch.stack([batch[:, 0], 1 - batch[:, 0]], dim=-1)

def volumes():
    return lambda batch: batch[:, :1].clamp(0, 1)

def solid():
    network = torch.nn.Conv3d(1, 1, 1, bias=False)
    network.weight.data.fill_(1)
    return network

def picky():
    def network(batch):
        if (batch == 0).all(dim=1).all():
            raise RuntimeError("cannot divide\\nby nothing")
        return batch[:, :1]
    return network

def keras():  # channels last, of one size
    def network(batch):
        assert tuple(batch.shape[1:]) == (40, 48, 1)
        return 0.6 * batch
    return network

module = torch.nn.Identity()

def broken():
    raise OSError("the weights are gone")
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / f"{NETS}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, NETS, raising=False)


def bright(rows=slice(10, 25), columns=slice(20, 45)):
    """A bright rectangle, 8-bit."""
    picture = np.full(SIZE, 20, np.uint8)
    picture[rows, columns] = 230
    return picture


def image_file(name, array=None):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(bright() if array is None else array).save(name)
    return name


def explain(*arguments, model=f"{NETS}:first", code=0):
    """Run the command; its exit code is checked, its output returned."""
    answer = CliRunner().invoke(main, ["explain", model, *map(str, arguments)])
    assert answer.exit_code == code, answer.output
    assert code != 0 or answer.exception is None
    return answer.output


def result(name, method="hdm", out="explanations"):
    return Explanation.load(Path(out) / f"{name}.{method}.safetensors")


def torchscript(network, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(network).save(path)


def run(*arguments, stderr_to_stdout=False, **options):
    return subprocess.run(
        [sys.executable, "-c", "from interpret_segmentation.cli import main; main()", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if stderr_to_stdout else subprocess.PIPE,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "--help"], ["--version"], ["-h"]])
def test_help_and_version_answer_without_anything_heavy(arguments):
    script = (
        "import sys\nfrom interpret_segmentation.cli import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n    print('loaded:', *sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    text, _, loaded = answer.stdout.partition("loaded:")
    assert text.strip()
    assert "interpret_segmentation.cli" in loaded.split()
    heavy = {"torch", "numpy", "matplotlib", "scipy", "PIL", "safetensors", "tqdm"}
    assert heavy & {name.split(".")[0] for name in loaded.split()} == set()


def test_the_command_is_installed():
    command = Path(sys.executable).parent / "interpret-segmentation"
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"interpret-segmentation, version 2\S+\n", answer.stdout)


def test_the_choices_are_those_of_the_library():
    assert set(all_methods()) >= set(method_names()) >= {"hdm", "occlusion", "rise"}
    assert ACTIVATIONS == cli_options.ACTIVATIONS
    assert QUANTITIES == cli_options.QUANTITIES
    assert VARIANTS == cli.VARIANTS
    assert PIECES == cli_power.PIECES
    assert KINDS == cli_power.KINDS
    options = {option.name: option for option in cli.explain.params}
    assert tuple(options["mode"].type.choices) == MODES


def test_every_image_gets_a_map_and_a_picture():
    image_file("a.png")
    image_file("elsewhere/b.tif", bright(slice(30, 40)))
    said = explain("a.png", "elsewhere/b.tif", *FAST)
    assert said.splitlines() == [
        "a.png: explained, see explanations/a.hdm.safetensors",
        "elsewhere/b.tif: explained, see explanations/b.hdm.safetensors",
        "2 explained, 0 skipped, 0 failed",
        f"next: {NEXT}",
    ]
    assert sorted(path.name for path in Path("explanations").iterdir()) == [
        "a.hdm.png",
        "a.hdm.safetensors",
        "b.hdm.png",
        "b.hdm.safetensors",
    ]
    explanation = result("a")
    np.testing.assert_array_equal(explanation.segment, bright() == 230)
    np.testing.assert_allclose(explanation.prediction, bright() / 255, rtol=1e-6)
    assert explanation.model["model"] == f"{NETS}:first"
    with Image.open("explanations/a.hdm.png") as picture:
        assert picture.format == "PNG"
        assert np.asarray(picture).std() > 10


def test_the_map_is_that_of_the_library():
    image_file("a.png")
    explain("a.png", "--set", "circle_size=22", *FAST)
    network = sys.modules[NETS].first()
    from interpret_segmentation import explain as explain_one

    wanted = explain_one(
        network, bright().astype(np.float32) / 255, circle_size=22, offset=16, progress=False
    )
    np.testing.assert_array_equal(result("a").saliency, wanted.saliency)
    assert wanted.saliency.any()


def test_a_result_can_be_repeated_from_its_file():
    image_file("a.png")
    explain("a.png", "--mean", "0.1", "--seed", 3, "--method", "rise", "--set", "N=40", "--quiet")
    explanation = result("a", "rise")
    assert explanation.seed == 3
    again = explanation.repeat(f"{NETS}:first", progress=False)
    np.testing.assert_array_equal(again.saliency, explanation.saliency)


def test_the_model_is_loaded_once_for_all_images():
    explain(image_file("a.png"), image_file("b.png"), image_file("c.png"), *FAST)
    assert sys.modules[NETS].loads == 1


def test_what_is_seen_on_one_image_does_not_decide_for_the_next():
    image_file("a.png", np.full(SIZE, 128, np.uint8))  # 20 * 128 / 255 - 10 = 0.04 looks like a probability
    image_file("b.png")
    options = ("--method", "occlusion", "--set", "fill=0.51", "--output", "seg", *FAST)
    explain("a.png", "b.png", *options, model=f"{NETS}:logits")
    assert result("a", "occlusion").model["activation"] == "none"
    assert result("b", "occlusion").model["activation"] == "sigmoid"


def test_a_file_with_a_network_is_opened():
    torchscript(Third(), "net.ts")
    image_file("a.png", np.stack([bright()] * 3, axis=-1))
    explain("a.png", *FAST, "--device", "cpu", model="net.ts")
    assert result("a").model["model"] == "net.ts"
    np.testing.assert_array_equal(result("a").segment, bright() == 230)


class Third(nn.Module):
    """The last of three channels."""

    def forward(self, batch):
        return batch[:, 2:]


def test_the_method_and_its_settings_are_chosen():
    image_file("a.png")
    settings = ("--set", "shape=square", "--set", "size=16", "--set", "fill=[0.25]", "--set", 'score="dice"')
    explain("a.png", "--method", "occlusion", *settings, *FAST)
    chosen = result("a", "occlusion").settings
    assert (chosen["shape"], chosen["size"], chosen["offset"], chosen["score"]) == ("square", 16, 16, "dice")
    assert chosen["fill"].value == (0.25,)


def test_the_target_is_told_in_words():
    explain(image_file("a.png"), "--target", "pixel:12,30", "--method", "rise", "--set", "N=20", "--quiet")
    assert np.argwhere(result("a", "rise").pixels).tolist() == [[12, 30]]


def test_preprocessing_is_applied_after_the_scale():
    image_file("a.png")
    options = ("--channels", "0,0,0", "--mean", "-0.1,-0.2,-0.3", "--std", "2,2,2", "--activation", "none")
    explain("a.png", *options, *FAST, "--target", "pixel:12,30", model=f"{NETS}:colours")
    wanted = (230 / 255 + 0.2) / 2
    np.testing.assert_allclose(result("a").prediction[12, 30], wanted, rtol=1e-5)
    assert result("a").image.shape == (1, *SIZE)


def test_sides_are_made_multiples():
    image_file("a.png", bright()[:45, :61])
    explain("a.png", "--multiple", 8, *FAST)
    assert result("a").settings["preprocess"].multiple == 8
    assert result("a").model["resized"] is True


def test_raw_and_mode_reach_the_reader():
    image_file("a.png")
    explain("a.png", "--raw", "--mode", "RGB", *FAST)
    np.testing.assert_array_equal(result("a").image, [bright()] * 3)


def test_output_and_activation_reach_the_model():
    image_file("a.png")
    explain("a.png", "--output", "seg", "--activation", "sigmoid", *FAST, model=f"{NETS}:logits")
    assert result("a").settings["output"] == "seg"
    np.testing.assert_allclose(result("a").prediction[0, 0], 1 / (1 + np.exp(10 - 400 / 255)), rtol=1e-4)


@pytest.mark.parametrize("text", ["0", "-1", "1959", "out", "2a"])
def test_an_output_is_handed_on_as_it_is_written(text, monkeypatch):
    asked = []

    def explain_nothing(request, _):
        asked.append(request.options["output"])
        return iter(())

    monkeypatch.setattr(explain_files, "explain_files", explain_nothing)
    monkeypatch.setattr(explain_files, "find_images", lambda *_, **__: [])
    explain("a.png", "--output", text)
    assert asked == [text]


@pytest.mark.parametrize(("net", "dims"), [("volumes", ("--dims", 3)), ("solid", ())])
def test_a_tiff_of_several_pages_is_a_volume(net, dims):
    volume = np.zeros((6, 10, 14), np.uint8)
    volume[2:4, 3:8, 4:9] = 255
    tifffile.imwrite("a.tif", volume, photometric="minisblack")
    options = ("--set", "offset=4", "--quiet")
    explain("a.tif", *dims, *options, model=f"{NETS}:{net}")
    np.testing.assert_array_equal(result("a").segment, volume > 0)
    assert Path("explanations/a.hdm.png").exists()


def test_a_tiff_of_several_pages_is_refused_by_a_flat_network():
    tifffile.imwrite("a.tif", np.zeros((6, 10, 14), np.uint8), photometric="minisblack")
    assert "a.tif has 6 pages; pass --dims 3" in explain("a.tif", *FAST, code=1)


def test_a_volume_has_a_ground_truth_with_as_many_slices():
    volume = np.zeros((6, 10, 14), np.uint8)
    volume[2:4, 3:8, 4:9] = 255
    truth = np.roll(volume, 1, axis=2)
    for name, slices in (("a.tif", volume), ("truth.tif", truth)):
        tifffile.imwrite(name, slices, photometric="minisblack")
    explain("a.tif", "--dims", 3, "--reference", "truth.tif", "--set", "offset=4", "--quiet")
    np.testing.assert_array_equal(result("a").reference, truth > 0)


def test_images_are_asked_as_many_at_once_as_is_said():
    explain(image_file("a.png"), "--batch-size", 3, *FAST)
    assert result("a").run["batch_size"] == 3


def test_a_numpy_file_is_explained_as_it_is():
    numbers = bright().astype(np.float64) / 300
    np.save("a.npy", numbers)
    explain("a.npy", *FAST)
    np.testing.assert_array_equal(result("a").image, numbers[None])


def test_the_shipped_network_explains_an_image_of_its_own_kind():
    from interpret_segmentation.testnet import draw_scene, sample_of

    scene = np.asarray(sample_of(draw_scene(seed=1))["input"])[0]
    image_file("scene.png", (scene * 255).round().astype(np.uint8)[::3, ::4].copy())
    explain("scene.png", *FAST, model=TESTNET)
    assert result("scene").saliency.shape == (80, 60)


def test_a_bad_image_does_not_stop_the_others():
    image_file("a.png")
    Path("text.png").write_text("no picture")
    np.save("swapped.npy", np.zeros((48, 64, 3)))
    image_file("z.png")
    answer = run(
        "explain", f"{NETS}:first", "text.png", "a.png", "missing.png", "swapped.npy", "z.png", *FAST
    )
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[-2:] == ["2 explained, 0 skipped, 3 failed", f"next: {NEXT}"]
    *failures, last = answer.stderr.splitlines()
    assert last == "failed, for the reasons above: text.png, missing.png, swapped.npy"
    assert [line.split(":")[0] for line in failures] == ["text.png", "missing.png", "swapped.npy"]
    assert "there is no file missing.png" in failures[1]
    assert "channels first" in failures[2]
    assert result("z").segment.any()


def test_a_model_that_fails_on_one_image_explains_the_others():
    image_file("a.png", np.zeros(SIZE, np.uint8))
    image_file("b.png")
    said = explain("a.png", "b.png", *FAST, model=f"{NETS}:picky", code=1)
    assert re.search(r"^a\.png: .*RuntimeError: cannot divide", said, flags=re.MULTILINE)
    assert f"1 explained, 0 skipped, 1 failed\nnext: {NEXT}\n" in said


def test_a_failure_is_told_before_the_next_image_is_begun():
    Path("text.png").write_text("no picture")
    image_file("z.png")
    answer = run("explain", f"{NETS}:first", "text.png", "z.png", *FAST, stderr_to_stdout=True)
    lines = answer.stdout.splitlines()
    assert lines[0] == "text.png: failed"
    assert lines[1].startswith("text.png: text.png is no PNG")
    assert lines[2].startswith("z.png: explained")


def test_a_folder_is_the_images_in_it_by_name(tmp_path):
    image_file("scans/b.png")
    image_file("scans/a.tif")
    image_file("scans/deeper/c.png")
    image_file("scans/.hidden.png")
    Path("scans/notes.txt").write_text("notes")
    np.save("scans/d.npy", bright() / 255)
    said = explain("scans", *FAST)
    assert re.findall(r"^(\S+): explained", said, flags=re.MULTILINE) == [
        "scans/a.tif",
        "scans/b.png",
        "scans/d.npy",
    ]
    assert "scans: of this folder notes.txt, deeper/ are left out" in said
    assert "2 skipped" not in said
    assert tmp_path.joinpath("explanations", "d.hdm.png").exists()


def test_pictures_of_results_are_no_images_of_a_folder():
    image_file("scans/a.png")
    explain("scans", *FAST, "--out", "scans")
    assert "0 explained, 1 skipped, 0 failed" in explain("scans", *FAST, "--out", "scans")


@pytest.mark.parametrize(("names", "words"), [([], ".npy)\n"), (["a.txt", "b/c"], "): there is a.txt, b/\n")])
def test_a_folder_without_images_is_an_error(names, words):
    Path("scans").mkdir()
    for name in names:
        Path("scans", name).parent.mkdir(exist_ok=True)
        Path("scans", name).write_text("text")
    said = explain("scans", *FAST, code=2)
    assert "the folder scans has no images" in said
    assert words in said


def test_warnings_are_told_in_options_once_for_every_image():
    image_file("a.png")
    image_file("b.png")
    answer = run("explain", f"{NETS}:three", "a.png", "b.png", "--target", "class:0", *FAST)
    assert answer.returncode == 0, answer.stderr
    lines = answer.stderr.splitlines()
    assert [line[:16] for line in lines] == ["a.png: warning: ", "b.png: warning: "]
    assert all("pass --activation softmax" in line for line in lines)


def test_errors_are_told_in_options():
    image_file("a.png")
    said = explain("a.png", *FAST, model=f"{NETS}:colours", code=1)
    assert "choose or repeat channels with --channels 0,0,0" in said
    said = explain("a.png", *FAST, model=f"{NETS}:last", code=1)
    assert "package.module:function, a function in a .py file" in said
    assert not re.search(r"=lambda|SegmentationModel\(|Preprocess\(", said)


def test_a_mask_in_a_jpeg_is_cut_with_a_note():
    mask = bright(slice(12, 25)) > 100
    Image.fromarray(mask.astype(np.uint8) * 255).save("truth.jpg", quality=75)
    image_file("a.png")
    answer = run("explain", f"{NETS}:first", "a.png", *FAST, "--reference", "truth.jpg")
    assert answer.returncode == 0, answer.stderr
    assert "a.png: warning: truth.jpg is a JPEG" in answer.stderr
    np.testing.assert_array_equal(result("a").reference, mask)


def test_the_examples_of_explain_and_report_work():
    image_file("photo.png")
    Path("my_networks.py").write_text(SOURCE.replace("def first()", "def build()"))
    image_file("scans/a.png")
    image_file("masks/a.png", bright(slice(12, 25)) // 230)
    solid = nn.Conv3d(1, 1, 1, bias=False)
    nn.init.ones_(solid.weight)
    torchscript(solid, "network.pt")
    volume = np.zeros((6, 10, 14), np.uint8)
    volume[2:4, 3:8, 4:9] = 255
    tifffile.imwrite("volume.tif", volume, photometric="minisblack")
    for example in (*cli.explain._examples, *cli.report._examples):
        if example.startswith("explain interpret"):
            example += " --set offset=16"
        answer = CliRunner().invoke(main, shlex.split(example))
        assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize("name", ["explain", "benchmark", "report", "view"])
def test_the_help_of_every_command_has_examples_that_it_takes(name):
    Path("masks").mkdir()
    command = main.commands[name]
    said = CliRunner().invoke(main, [name, "--help"]).output
    assert 2 <= len(command._examples) <= 4
    for example in command._examples:
        assert f"  interpret-segmentation {example}\n" in said
        called, *arguments = shlex.split(example)
        assert called == name
        command.make_context(name, arguments)


@pytest.mark.parametrize("method", sorted(all_methods()))
def test_the_help_of_a_method_lists_its_settings_in_lines_that_fit(method):
    said = CliRunner().invoke(main, ["explain", "--method", method, "--help"]).output
    settings = said.partition(f"Settings of {method}")[2]
    assert all(len(line) <= 80 for line in settings.splitlines())
    for name in settings_of(all_methods()[method]):
        assert re.search(rf"^  {name} ", settings, flags=re.MULTILINE)
    assert "()" not in settings


def test_the_help_of_a_method_lists_what_a_fill_may_be():
    said = CliRunner().invoke(main, ["explain", "--method", "hdm", "--help"]).output
    settings = " ".join(said.partition("Settings of hdm")[2].split())
    assert '"inpaint"' in settings
    assert '"directed_hausdorff_levels" (how far' in settings
    assert '"background"' in settings


def test_a_failure_is_told_in_one_line(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("one\n  two")

    monkeypatch.setattr(explain_files, "explain", fail)
    assert "a.png: one two\n" in explain(image_file("a.png"), *FAST, code=1)


def test_a_failed_picture_leaves_the_result_which_is_drawn_by_the_next_run(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no ink")

    with monkeypatch.context() as patch:
        patch.setattr(Explanation, "figure", fail)
        assert "a.png: no ink" in explain(image_file("a.png"), *FAST, code=1)
    assert sorted(path.name for path in Path("explanations").iterdir()) == ["a.hdm.safetensors"]
    assert "skipped" in explain("a.png", *FAST)
    assert Path("explanations/a.hdm.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "lime"], "'lime' is not one of 'hdm', 'occlusion', 'rise'"),
        (["--set", "radius=3"], "'hdm' has no setting 'radius'; it has channel, circle_size"),
        (["--set", "circle_size"], "'circle_size' is not of the form name=value"),
        (["--set", "circle_size=0"], "circle_size must be at least 1, got 0"),
        (["--set", "offset=3", "--set", "offset=4"], "the setting 'offset' is given twice"),
        (["--method", "rise", "--seed", "1", "--set", "seed=1"], "the setting 'seed' is given twice"),
        (["--seed", "1"], "'hdm' has no setting 'seed'"),
        (["--target", "the cat"], "there is no target 'the cat'"),
        (["--mean", "0.1;0.2"], "'0.1;0.2' is no list of numbers"),
        (["--std", "0"], "std must not be 0"),
        (["--channels", "0,-1"], "'0,-1' is no list of channels"),
        (["--device", "toaster"], "device must be such as 'cpu' or 'cuda:0', got 'toaster'"),
        (["--dims", "4"], "4 is not in the range 2<=x<=3"),
        (["--activation", "relu"], "'relu' is not one of"),
        (["--reference", "nowhere"], "'nowhere' does not exist"),
        (["--out", "a.png"], "'a.png' is a file"),
    ],
)
def test_a_bad_option_ends_at_once(arguments, words):
    said = explain(image_file("a.png"), *arguments, code=2)
    assert words in " ".join(said.split())
    assert not Path("explanations").exists()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("missing.onnx", "there is no model file missing.onnx"),
        (f"{NETS}:second", "has no 'second'"),
        (f"{NETS}:broken", "the weights are gone"),
        (f"{NETS}:loads", "must be a function that returns the model, got 0"),
        ("a.png", "is no model file"),
    ],
)
def test_a_bad_model_ends_at_once(model, words):
    assert words in explain(image_file("a.png"), model=model, code=2)


def test_no_image_is_a_usage_error():
    assert "Missing argument" in explain(code=2)


@pytest.mark.parametrize("other", ["a.tif", "b/a.png", "a.png"])
def test_images_of_one_name_are_refused_before_anything_runs(other):
    image_file("a.png")
    image_file(other)
    said = explain("c.png", "a.png", other, *FAST, code=2)
    assert f"a.png and {other} would both become a.hdm.*" in said
    assert not Path("explanations").exists()


def test_an_input_is_never_overwritten():
    before = Path(image_file("a.png")).read_bytes(), Path(image_file("a.hdm.png")).read_bytes()
    said = explain("a.png", "a.hdm.png", *FAST, "--out", ".", "--overwrite", code=2)
    assert "a.hdm.png is an input and would be replaced by a result" in said
    assert (Path("a.png").read_bytes(), Path("a.hdm.png").read_bytes()) == before


def test_a_ground_truth_is_never_overwritten():
    image_file("a.png")
    image_file("a.hdm.png", bright() // 230)
    said = explain("a.png", *FAST, "--out", ".", "--overwrite", "--reference", "a.hdm.png", code=2)
    assert "a.hdm.png is an input" in said


def test_results_may_lie_beside_the_images():
    before = Path(image_file("a.png")).read_bytes()
    explain("a.png", *FAST, "--out", ".")
    assert Path("a.png").read_bytes() == before
    assert "1 skipped" in explain("a.png", *FAST, "--out", ".")


def test_what_is_done_is_skipped():
    image_file("a.png")
    explain("a.png", *FAST)
    before = Path("explanations/a.hdm.safetensors").stat().st_mtime_ns
    image_file("b.png")
    said = explain("a.png", "b.png", *FAST)
    assert "a.png: skipped, explanations/a.hdm.safetensors is there already\n" in said
    assert said.endswith(f"1 explained, 1 skipped, 0 failed\nnext: {NEXT}\n")
    assert Path("explanations/a.hdm.safetensors").stat().st_mtime_ns == before


def test_what_is_stated_as_it_was_resolved_is_the_same_request():
    image_file("a.png")
    explain("a.png", "--quiet")
    size = result("a").settings["circle_size"]
    assert "1 skipped" in explain("a.png", "--quiet", "--set", f"circle_size={size}", "--target", "class:0")
    assert "1 skipped" in explain("a.png", "--quiet", "--batch-size", 3, "--dims", "2", code=0)


RISE = ("--method", "rise", "--set", "N=20", "--quiet")
WIDE = ("--set", "circle_size=30")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([*WIDE, "--set", "offset=16"], [*WIDE, "--set", "offset=17"], "another offset (16, now 17)"),
        (["--set", "circle_size=9"], [], "another circle_size (9, now 3)"),
        ([], ["--set", "distance=mse"], "another distance ('directed_hausdorff_levels', now 'mse')"),
        ([], ["--target", "border"], "another target (Class(label=0), now Border(label=0))"),
        ([], ["--reference", "truth.png"], "another reference (None, now an array)"),
        (["--reference", "truth.png"], [], "another reference (an array, now None)"),
        ([], ["--raw"], "another image"),
        ([], ["--mode", "RGB"], "another image"),
        ([], ["--mean", "0.01"], "another preprocess (None, now --mean 0.01)"),
        (["--mean", "0.01"], [], "another preprocess (--mean 0.01, now None)"),
        ([], ["--activation", "sigmoid"], "another activation ('none', now 'sigmoid')"),
        (["--activation", "sigmoid"], [], "another activation ('sigmoid', now 'none')"),
        ([*RISE, "--seed", "1"], [*RISE, "--seed", "2"], "another seed (1, now 2)"),
    ],
)
def test_another_request_does_not_replace_a_result(before, after, words):
    image_file("a.png")
    image_file("truth.png", bright(slice(12, 25)) // 230)
    fast = () if "circle_size" in words else ("--set", "offset=16")
    fast = ("--quiet",) if "offset" in words or before[:1] == ["--method"] else (*fast, "--quiet")
    explain("a.png", *fast, *before)
    (file,) = Path("explanations").glob("*.safetensors")
    made = file.read_bytes()
    said = explain("a.png", *fast, *after, code=1)
    assert f"{file} exists already, made with {words}" in said
    assert "pass --overwrite to replace it, or another --out" in said
    assert file.read_bytes() == made
    assert "1 explained" in explain("a.png", *fast, *after, "--overwrite")
    assert "1 skipped" in explain("a.png", *fast, *after)
    assert "1 explained" in explain("a.png", *fast, *before, "--out", "other")


def test_a_seed_that_is_not_stated_may_be_any():
    explain(image_file("a.png"), *RISE)
    assert "1 skipped" in explain("a.png", *RISE)


def test_other_pixels_under_the_old_name_are_noticed():
    explain(image_file("a.png"), *FAST)
    image_file("a.png", bright(slice(11, 25)))
    assert "made with another image;" in explain("a.png", *FAST, code=1)


def test_another_model_is_noticed():
    explain(image_file("a.png"), *FAST)
    said = explain("a.png", *FAST, model=f"{NETS}:volumes", code=1)
    assert f"made with another model ({NETS}:first)" in said


def test_a_model_trained_anew_under_the_old_name_is_noticed():
    image_file("a.png", np.stack([bright(), bright(), bright(slice(30, 40))], axis=-1))
    torchscript(Third(), "net.ts")
    explain("a.png", *FAST, model="net.ts")
    torchscript(First(), "net.ts")
    said = explain("a.png", *FAST, model="net.ts", code=1)
    assert "made with another network: its answer for the image was different" in said


class First(nn.Module):
    """The first channel."""

    def forward(self, batch):
        return batch[:, :1]


def test_what_a_masked_image_showed_about_the_activation_is_remembered():
    image_file("a.png", np.full(SIZE, 128, np.uint8))
    options = ("--set", "fill=black", "--output", "seg", *FAST)
    explain("a.png", *options, model=f"{NETS}:logits")
    assert result("a").model["activation"] == "sigmoid"
    said = explain("a.png", *options, model=f"{NETS}:logits")
    assert "1 skipped" in said


def test_a_missing_picture_is_drawn():
    explain(image_file("a.png"), *FAST)
    Path("explanations/a.hdm.png").unlink()
    assert "1 skipped" in explain("a.png", *FAST)
    assert Path("explanations/a.hdm.png").exists()


@pytest.mark.parametrize("damage", [lambda _: b"", lambda whole: whole[:-50], lambda _: b"x" * 99])
def test_a_damaged_result_is_a_failure_until_it_is_overwritten(damage):
    explain(image_file("a.png"), *FAST)
    file = Path("explanations/a.hdm.safetensors")
    file.write_bytes(damage(file.read_bytes()))
    said = explain("a.png", *FAST, code=1)
    assert re.search(r"a\.png: .*damaged.*; pass --overwrite to replace it, or another --out", said)
    assert "1 explained" in explain("a.png", *FAST, "--overwrite")
    assert result("a").segment.any()


def test_a_picture_of_someone_else_is_not_replaced():
    image_file("a.png")
    before = Path(image_file("explanations/a.hdm.png")).read_bytes()
    said = explain("a.png", *FAST, code=1)
    assert "explanations/a.hdm.png exists already, without the result" in said
    assert Path("explanations/a.hdm.png").read_bytes() == before
    assert not Path("explanations/a.hdm.safetensors").exists()


def test_methods_lie_side_by_side():
    explain(image_file("a.png"), *FAST)
    assert "1 explained" in explain("a.png", "--method", "occlusion", *FAST)


def test_a_mask_of_0_and_255_is_a_ground_truth():
    mask = bright(slice(12, 25)) > 100
    image_file("truth.png", mask.astype(np.uint8) * 255)
    explain(image_file("a.png"), *FAST, "--reference", "truth.png")
    np.testing.assert_array_equal(result("a").reference, mask)


def test_a_folder_has_a_ground_truth_for_each_image():
    masks = {name: bright(slice(start, 25)) > 100 for name, start in (("a", 12), ("b.c", 14))}
    image_file("truths/a.tif", masks["a"].astype(np.uint8))
    Path("truths/b.c.txt").write_text("notes")
    np.save("truths/b.c.npy", masks["b.c"])
    explain(image_file("a.png"), image_file("b.c.png"), *FAST, "--reference", "truths")
    for name, mask in masks.items():
        np.testing.assert_array_equal(result(name).reference, mask)


def test_the_image_is_not_its_own_ground_truth():
    image_file("a.jpg")
    image_file("a.png", bright(slice(12, 25)) // 230)
    explain("a.jpg", *FAST, "--reference", ".")
    np.testing.assert_array_equal(result("a").reference, bright(slice(12, 25)) > 100)


@pytest.mark.parametrize(("files", "found"), [([], "none"), (["a.png", "a.tif"], "a.png, a.tif")])
def test_an_image_without_one_ground_truth_is_a_failure(files, found):
    Path("truths").mkdir()
    image_file("truths/b.png", bright() // 230)
    for name in files:
        image_file(f"truths/{name}", bright() // 230)
    said = explain(image_file("a.png"), image_file("b.png"), *FAST, "--reference", "truths", code=1)
    assert f"a.png: wanted one ground truth named a in the folder of references, found {found}" in said
    assert "1 explained, 0 skipped, 1 failed" in said


def test_a_ground_truth_of_another_size_is_a_failure():
    image_file("truth.png", np.ones((64, 48), np.uint8))
    said = explain(image_file("a.png"), *FAST, "--reference", "truth.png", code=1)
    assert "reference has 64 rows and 48 columns, wanted 48 rows and 64 columns" in said


def test_quiet_shows_no_progress():
    image_file("a.png")
    image_file("b.png")
    loud = run("explain", f"{NETS}:first", "a.png", "--set", "offset=16")
    quiet = run("explain", f"{NETS}:first", "b.png", *FAST)
    assert "HDM" in loud.stderr
    assert quiet.stderr == ""
    assert loud.returncode == quiet.returncode == 0


def test_no_window_is_opened_whatever_the_backend_is_set_to():
    image_file("a.png")
    environment = {**os.environ, "MPLBACKEND": "module://a_backend_with_windows"}
    answer = run("explain", f"{NETS}:first", "a.png", *FAST, env=environment)
    assert answer.returncode == 0, answer.stderr


def test_figures_are_closed():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    explain(image_file("a.png"), image_file("b.png"), *FAST)
    assert plt.get_fignums() == before


@pytest.mark.skipif(os.name == "nt", reason="has no such signal")
def test_an_interruption_leaves_whole_files_only():
    image_file("a.png")
    image_file("b.png", np.tile(bright(), (8, 8)))
    program = (
        "import signal; from interpret_segmentation.cli import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); main()"  # ignored where tests run behind
    )
    command = [sys.executable, "-c", program, "explain", f"{NETS}:first", "a.png", "b.png"]
    command += ["--quiet", "--set", "offset=2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not Path("explanations/a.hdm.png").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Aborted" in errors
    assert sorted(path.name for path in Path("explanations").iterdir()) == ["a.hdm.png", "a.hdm.safetensors"]
    assert result("a").segment.any()


def test_an_error_as_target_without_a_ground_truth_ends_at_once():
    image_file("a.png", np.full(SIZE, 128, np.uint8))
    ended = explain("a.png", "--target", "false-positives", "--quiet", code=2)
    assert "needs the ground truth: pass --reference" in ended
    assert not Path("explanations").exists()


class TestBenchmark:
    def test_it_leaves_rows_a_table_and_a_plot(self, tmp_path):
        out = tmp_path / "judged"
        result = CliRunner().invoke(
            main, ["benchmark", "baselines", "--images", "2", "--out", str(out), "--quiet"]
        )
        assert result.exit_code == 0, result.output
        assert "| intensity " in result.output
        assert sorted(path.name for path in out.iterdir()) == [
            "plain.md",
            "plain.png",
            "rows.csv",
            "rows.json",
        ]

    def test_a_contestant_that_fails_is_told_of_after_the_others_are_done(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("broken.py").write_text("def broken(model, image, target):\n    return 1 / 0\n")
        result = CliRunner().invoke(
            main, ["benchmark", "broken:broken", "baselines", "--images", "1", "--quiet"]
        )
        assert result.exit_code == 1
        assert "broken:broken failed on image 0 of plain: ZeroDivisionError" in result.output
        assert "| intensity " in Path("benchmark/plain.md").read_text()

    def test_stopped_by_hand_it_says_how_to_go_on(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("impatient.py").write_text("def stop(model, image, target):\n    raise KeyboardInterrupt\n")
        result = CliRunner().invoke(main, ["benchmark", "impatient:stop", "--images", "1", "--quiet"])
        assert result.exit_code == 1
        assert "the same command goes on after the rows in benchmark" in result.output

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nobody"], "there is no contestant 'nobody'"),
            (["baselines", "--curves", "none"], "no map is called so"),
            (["no_such_package_of_mine:method"], "no_such_package_of_mine"),
        ],
    )
    def test_what_does_not_fit_is_said_in_one_line(self, arguments, message, tmp_path):
        result = CliRunner().invoke(
            main, ["benchmark", *arguments, "--images", "1", "--out", str(tmp_path / "o")]
        )
        assert result.exit_code == 2
        assert message in result.output


def test_options_of_the_model_and_of_its_input_reach_it():
    options = {
        "--threshold": "0.3",
        "--ignore": "7,9",
        "--size": "40,48",
        "--fit": "letterbox",
        "--position": "top_left",
        "--pad-value": "0.5",
        "--layout": "channels_last",
        "--network": f"{NETS}:module",
    }
    said = [part for pair in options.items() for part in pair]
    explain(image_file("a.png"), *said, *FAST, model=f"{NETS}:keras")
    settings = result("a").settings
    assert settings["threshold"] == 0.3
    assert settings["ignore"] == (7, 9)
    step = settings["preprocess"]
    placed = (step.size, step.fit, step.position, step.pad_value, step.layout)
    assert placed == ((40, 48), "letterbox", "top_left", 0.5, "channels_last")
    assert result("a").segment.sum() == pytest.approx(15 * 25, rel=0.1)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--threshold", "1", "0<x<1"),
        ("--ignore", "a", "no list of labels such as 0,255"),
        ("--size", "0", "no size in pixels such as 640"),
        ("--size", "6,x", "no size in pixels such as 640"),
        ("--network", "nowhere", "--network must be package.module:name"),
        ("--network", "nowhere_at_all:net", "--network nowhere_at_all:net"),
    ],
)
def test_wrong_values_of_these_options_are_told(option, value, message):
    assert message in explain(image_file("a.png"), option, value, *FAST, code=2)
