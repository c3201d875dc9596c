"""The documented scripts run as documented; here with fewer masks than they stand with."""

import runpy
import shutil
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import interpret_segmentation
from interpret_segmentation import Explanation, explaining
from interpret_segmentation.hdm import HausdorffDistanceMasks
from interpret_segmentation.rise import SegmentationRISE
from interpret_segmentation.testnet import TestnetDataset, load_network

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def examples(tmp_path, monkeypatch):
    """A copy of the scripts, so that what they write does not end up in the repository."""
    for script in EXAMPLES.rglob("*.py"):
        copy = tmp_path / "examples" / script.relative_to(EXAMPLES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(script, copy)
    generate_circles, generate_grids = HausdorffDistanceMasks.generate_masks, SegmentationRISE.generate_masks

    def few_circles(self, circle_size, offset, normalize=False):
        assert (circle_size, offset) == (25, 5)
        generate_circles(self, circle_size, 40, normalize)

    def few_grids(self, N, s, p1, savepath="masks.npy", **options):
        assert (N, s, p1) == (3000, 8, 0.1)
        generate_grids(self, 40, s, p1, savepath, **options)

    def with_few(model, image, method, **settings):
        documented = {
            "hdm": {"circle_size": 25, "offset": 5, "distance": "hausdorff"},
            "rise": {"N": 3000, "s": 8, "p1": 0.1},
        }
        assert documented[method].items() <= settings.items()
        less = {"offset": 40} if method == "hdm" else {"N": 40}
        return explaining.explain(model, image, method, **settings | less)

    monkeypatch.setattr(interpret_segmentation, "explain", with_few, raising=False)
    monkeypatch.setattr(HausdorffDistanceMasks, "generate_masks", few_circles)
    monkeypatch.setattr(SegmentationRISE, "generate_masks", few_grids)
    yield tmp_path / "examples"
    plt.close("all")


def run(script, *arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, arguments)])
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as ended:
        return ended.code or 0
    return 0


def is_a_picture(path):
    with Image.open(path) as picture:
        return min(picture.size) > 300 and len(np.unique(np.asarray(picture.convert("L")))) > 10


@pytest.mark.slow
def test_download_then_both_examples(examples, monkeypatch, capsys):
    assert run(examples / "testnet" / "download.py", monkeypatch=monkeypatch) == 0
    assert len(TestnetDataset(examples / "testnet" / "dataset")) == 1000
    assert load_network(examples / "testnet" / "testnet.pth").settings["width"] == 8

    assert run(examples / "hdm.py", monkeypatch=monkeypatch) == 0
    assert run(examples / "rise.py", monkeypatch=monkeypatch) == 0
    assert run(examples / "rise.py", monkeypatch=monkeypatch) == 0  # with the masks of the first run
    names = {"hdm_raw.png", "hdm_better.png", "hdm_worse.png", "rise_max.png", "rise_mean.png"}
    assert {path.name for path in examples.glob("*.png")} == names
    assert all(is_a_picture(examples / name) for name in names)
    printed = capsys.readouterr().out
    assert all(f"{name} generated" in printed for name in names)

    before = (examples / "testnet" / "testnet.pth").read_bytes()
    assert run(examples / "testnet" / "download.py", monkeypatch=monkeypatch) == 0
    assert (examples / "testnet" / "testnet.pth").read_bytes() == before


@pytest.mark.parametrize("script", ["hdm.py", "rise.py"])
def test_an_example_before_the_download_says_what_to_do(examples, monkeypatch, script):
    assert "Run this first: python3 examples/testnet/download.py" in run(
        examples / script, monkeypatch=monkeypatch
    )


def test_generate_then_train_then_evaluate(examples, monkeypatch, capsys):
    testnet = examples / "testnet"
    assert run(testnet / "generate.py", "--count", 4, "--seed", 3, monkeypatch=monkeypatch) == 0
    assert len(TestnetDataset(testnet / "dataset")) == 4
    assert run(testnet / "generate.py", "--count", 4, monkeypatch=monkeypatch) == 1

    options = ["--width", 2, "--levels", 2, "--plain", "--batch-size", 2, "--device", "cpu"]
    assert run(testnet / "train.py", "--epochs", 2, *options, monkeypatch=monkeypatch) == 0
    assert run(testnet / "train.py", "--epochs", 2, *options, monkeypatch=monkeypatch) == 1
    assert "holds an earlier run" in capsys.readouterr().err
    assert run(testnet / "train.py", "--epochs", 3, *options, "--resume", monkeypatch=monkeypatch) == 1
    assert "the run was started with epochs 2; resume it with the same options" in capsys.readouterr().err
    assert run(testnet / "train.py", "--epochs", 2, *options, "--resume", monkeypatch=monkeypatch) == 0
    assert len((testnet / "results" / "testnet.txt").read_text().splitlines()) == 3

    assert run(testnet / "train.py", "--device", "abacus", monkeypatch=monkeypatch) == 1
    assert "device must be such as 'cpu' or 'cuda:0', got 'abacus'" in capsys.readouterr().err

    (testnet / "testnet_0001.pth").rename(testnet / "testnet.pth")
    assert load_network(testnet / "testnet.pth").settings["dilations"] == []
    assert run(testnet / "evaluate.py", "--count", 3, monkeypatch=monkeypatch) == 0
    assert "Dice on 3 fresh images: mean" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* of the image is never hidden")
def test_the_demo_leaves_its_pictures(examples, monkeypatch, tmp_path):
    assert run(examples / "demo.py", "--out", tmp_path / "demo", monkeypatch=monkeypatch) == 0
    pictures = sorted(path.name for path in (tmp_path / "demo").glob("*.png"))
    assert pictures == ["hdm_better.png", "hdm_raw.png", "hdm_worse.png", "input.png", "overview.png",
                        "rise_max.png", "rise_mean.png"]  # fmt: skip
    assert all(is_a_picture(tmp_path / "demo" / name) for name in pictures if name != "input.png")
    assert Explanation.load(tmp_path / "demo" / "testnet.hdm.safetensors").settings["offset"] == 40
    assert len(Explanation.load(tmp_path / "demo" / "testnet.rise.safetensors").masks) == 40
    assert "Testnet image 1" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
