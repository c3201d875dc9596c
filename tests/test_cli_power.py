"""`interpret-segmentation power`."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from interpret_segmentation import explain
from interpret_segmentation.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A network that draws the left half as long as enough of the right half is bright, and an image."""
    (tmp_path / "power_network.py").write_text(
        "import torch\n"
        "def build():\n"
        "    def network(batch):\n"
        "        there = (batch[..., 12:].mean(dim=(1, 2, 3), keepdim=True) > 0.6).float()\n"
        "        left = torch.zeros_like(batch[:, :1]); left[..., :8] = 0.9\n"
        "        return left * there\n"
        "    return network\n"
    )
    Image.fromarray(np.full((16, 24), 255, np.uint8)).save(tmp_path / "photo.png")
    parts = np.zeros((16, 24), np.uint8)
    parts[:, 12:] = 5
    parts[8:, 12:] = 9
    Image.fromarray(parts).save(tmp_path / "parts.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["power", "power_network:build", *map(str, arguments), "--quiet"])


def test_it_tells_the_parts_and_leaves_numbers_and_a_picture(folder):
    done = run("photo.png", "--parts", "parts.png", "--fill", "black", "--minimal", "necessary")
    assert done.exit_code == 0, done.output
    assert "Hiding all 3 parts turns the segment over" in done.output
    assert "1 part (" in done.output
    told = json.loads((folder / "explanations" / "photo.power.json").read_text())
    assert told["power"] == pytest.approx([0, 0.5, 0.5], abs=0.2)
    assert told["minimal_set"]["parts"] in ([5], [9])
    picture = np.asarray(Image.open(folder / "explanations" / "photo.power.png"))
    assert picture.std() > 10
    with np.load(folder / "explanations" / "photo.power.npz") as kept:
        assert sorted(kept) == ["labels", "numbers", "power", "standard_error"]
        assert (kept["labels"] == np.asarray(Image.open("parts.png"))).all()
        assert kept["power"] == pytest.approx(told["power"])
        assert kept["numbers"].tolist() == told["numbers"] == [0, 5, 9]
    again = run("photo.png", "--parts", "parts.png", "--fill", "black")
    assert again.exit_code == 2
    assert "pass --overwrite to replace it" in again.output
    assert run("photo.png", "--parts", "parts.png", "--fill", "0", "--overwrite").exit_code == 0


def test_saved_maps_are_held_against_it(folder):
    image = np.ones((16, 24))

    def network(batch):
        return batch

    explain(network, image, "occlusion", size=4, offset=4, progress=False).save(folder / "a.safetensors")
    done = run("photo.png", "--parts", "grid", "--count", 24, "--fill", "0", "--map", "a.safetensors")
    assert done.exit_code == 0, done.output
    assert "a.safetensors: power rank" in done.output
    told = json.loads((folder / "explanations" / "photo.power.json").read_text())
    assert set(told["agreement"]["a.safetensors"]) == {"rank", "hit", "chance"}


def test_maps_that_do_not_fit_are_refused_before_anything_is_asked(folder):
    explain(lambda batch: batch, np.ones((8, 9)), "occlusion", size=4, offset=4, progress=False).save(
        folder / "small.safetensors"
    )
    for more, message in ((["--fill", "0"], "small.safetensors is 8 x 9, but the image 16 x 24"),
                          (["--parts", "channels"], "power of channels, which have no place")):  # fmt: skip
        done = run("photo.png", "--map", "small.safetensors", *more)
        assert done.exit_code == 2
        assert message in " ".join(done.output.split())


def test_a_map_of_another_image_is_refused_and_nothing_is_left_behind(folder):
    dark = np.full((16, 24), 0.5)
    explain(lambda batch: batch, dark, "occlusion", size=4, offset=4, progress=False).save("dark.safetensors")
    done = run("photo.png", "--parts", "grid", "--count", 24, "--fill", "0", "--map", "dark.safetensors")
    assert done.exit_code == 2
    assert "of another image" in done.output
    assert not list((folder / "explanations").glob("*"))


@pytest.mark.parametrize("ending", ["json", "png", "npz"])
def test_no_file_is_replaced_and_none_left_half_done(folder, ending, monkeypatch):
    arguments = ["photo.png", "--parts", "parts.png", "--fill", "0"]
    (folder / "explanations").mkdir()
    kept = folder / "explanations" / f"photo.power.{ending}"
    kept.write_text("mine")
    done = run(*arguments)
    assert done.exit_code == 2
    assert f"photo.power.{ending} exists already" in done.output
    assert kept.read_text() == "mine"
    kept.unlink()
    kept.mkdir()
    assert "is a folder" in run(*arguments, "--overwrite").output
    kept.rmdir()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    done = run(*arguments)
    assert done.exit_code == 1
    assert "nothing could be written to explanations: " in done.output
    assert not list((folder / "explanations").iterdir())


def test_a_ground_truth_makes_errors_explainable(folder):
    truth = np.zeros((16, 24), np.uint8)
    truth[:, :4] = 255
    Image.fromarray(truth).save(folder / "truth.png")
    arguments = ["photo.png", "--parts", "parts.png", "--fill", "0", "--target", "false_positives"]
    assert run(*arguments).exit_code == 2
    done = run(*arguments, "--reference", "truth.png")
    assert done.exit_code == 0, done.output
    assert "turns the segment over" in done.output


def test_few_orders_tell_no_standard_error(folder):
    done = run("photo.png", "--parts", "grid", "--count", 40, "--fill", "0", "--orders", 4)
    assert done.exit_code == 0, done.output
    assert "nan" not in done.output
    assert "(standard error" not in done.output
    assert "null" in (folder / "explanations" / "photo.power.json").read_text()


def test_channels_have_numbers_and_no_places(folder):
    Image.fromarray(np.full((16, 24, 3), 255, np.uint8)).save(folder / "colour.png")
    done = run("colour.png", "--parts", "channels", "--fill", "0", "--minimal", "necessary")
    assert done.exit_code == 0, done.output
    with np.load(folder / "explanations" / "colour.power.npz") as kept:
        assert sorted(kept) == ["numbers", "power", "standard_error"]
        assert kept["power"].sum() == pytest.approx(1)


def test_a_model_that_fails_is_no_traceback(folder):
    (folder / "power_network.py").write_text(
        "def build():\n"
        "    def network(batch):\n"
        "        if batch.min() < 0.5: raise RuntimeError('broken inside')\n"
        "        return batch\n"
        "    return network\n"
    )
    import sys

    sys.modules.pop("power_network", None)
    done = run("photo.png", "--parts", "grid", "--count", 4, "--fill", "0")
    sys.modules.pop("power_network", None)
    assert done.exit_code == 2
    assert "broken inside" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["photo.png", "--parts", "organs"],
            "--parts must be superpixels, grid, channels or a file; there is no file organs",
        ),
        (["photo.png", "--fill", "purple"], "--fill must be black, background"),
        (["photo.png", "--parts", "channels", "--spare", "segment", "--fill", "0"], "the parts are channels"),
        (["photo.png", "--map", "none.safetensors"], "none.safetensors"),
        (["photo.png", "--out", "photo.png/below", "--fill", "0"], "photo.png"),
        (["photo.png", "--turns-at", "0.95", "--fill", "0"], "lower --turns-at"),
        (["nothing.png"], "does not exist"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_arguments_are_told_in_the_words_of_the_command(arguments, message):
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


@pytest.mark.usefixtures("folder")
def test_the_cost_is_told_before_it_begins():
    done = CliRunner().invoke(
        main, ["power", "power_network:build", "photo.png", "--parts", "parts.png", "--fill", "0"]
    )
    assert done.exit_code == 0, done.output
    assert "3 parts, 48 orders: about 9 forwards" in done.output


def test_help_has_examples():
    done = CliRunner().invoke(main, ["power", "--help"])
    assert "interpret-segmentation power network.pt photo.png --spare segment" in done.output
