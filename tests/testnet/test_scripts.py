"""The scripts beside the data set, where they know variants."""

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from interpret_segmentation.testnet import VARIANTS, UNet, draw_scene, load_network, save_network

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parents[2] / "examples" / "testnet"


@pytest.fixture
def run(tmp_path, monkeypatch):
    for script in SCRIPTS.glob("*.py"):
        shutil.copy(script, tmp_path)

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(tmp_path / script), run_name="__main__")
        return ended.value.code

    return run


def test_a_variant_is_drawn_and_a_network_trained_further_on_it(run, tmp_path):
    torch.manual_seed(1)
    start = UNet(width=3, levels=2)
    save_network(start, tmp_path / "start.pth")
    assert run("generate.py", "--count", 3, "--variant", "textured") == 0
    drawn = np.asarray(Image.open(tmp_path / "dataset" / "2" / "image.png"))
    np.testing.assert_array_equal(drawn, draw_scene(0, 2, variant="textured").image())

    slowly = ["--epochs", 1, "--learning-rate", 1e-9, "--device", "cpu"]
    assert run("train.py", *slowly, "--start", tmp_path / "start.pth") == 0
    trained = load_network(tmp_path / "testnet_0000.pth")
    assert trained.settings == start.settings
    torch.testing.assert_close(trained.head.weight, start.head.weight)


def test_a_start_that_is_not_there_is_named(run, capsys):
    run("generate.py", "--count", 2)
    assert run("train.py", "--start", "nowhere.pth") == 1
    assert "there is no network nowhere.pth" in capsys.readouterr().err


def test_only_a_shortcut_can_mislead(run, tmp_path, capsys):
    save_network(UNet(width=2, levels=2), tmp_path / "testnet.pth")
    assert run("evaluate.py", "--count", 2, "--variant", "moved") == 0
    assert "against the watermark" not in capsys.readouterr().out
    assert run("evaluate.py", "--count", 2, "--variant", "shortcut") == 0
    assert "Segment follows the far shape against the watermark: 0.0%" in capsys.readouterr().out


def test_the_picture_of_the_variants_has_one_part_for_each(run, tmp_path):
    assert run("variants.py", tmp_path / "variants.png") == 0
    picture = np.asarray(Image.open(tmp_path / "variants.png").convert("RGB")).astype(int)
    assert picture.shape[1] > 2 * picture.shape[0]
    orange = np.abs(picture - (255, 127, 14)).sum(axis=2) < 30
    parts = [part for row in np.array_split(orange, 2) for part in np.array_split(row, 5, axis=1)]
    assert [part.sum() > 100 for part in parts] == [True] * len(VARIANTS) + [False]
