"""One damaged file does not end a command: it goes on, and lists what failed at the end."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from networks import brightness

from interpret_segmentation import explain
from interpret_segmentation.cli import main
from interpret_segmentation.perturb import draw_grids, save_masks
from interpret_segmentation.show.reports.content import Entry, those_that_work
from interpret_segmentation.show.results import find_results
from interpret_segmentation.show.viewer import Content, RefusedRequestError, Viewer


def blob():
    image = torch.zeros(1, 12, 16)
    image[:, 4:9, 5:11] = 1
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    good = explain(brightness, blob(), "hdm", circle_size=4, offset=4, progress=False)
    good.save(folder / "good.hdm.safetensors")
    masks = folder / "masks.npy"
    save_masks(draw_grids(20, cells=3, keep=0.5, space=(12, 16), seed=1), masks)
    lost = explain(brightness, blob(), "rise", masks=masks, progress=False)
    lost.save(folder / "good.rise.safetensors")
    masks.unlink()
    shutil.copy(folder / "good.hdm.safetensors", folder / "also.hdm.safetensors")
    whole = (folder / "good.hdm.safetensors").read_bytes()
    (folder / "cut.hdm.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "flipped.hdm.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (folder / "foreign.hdm.safetensors").write_text("nothing of ours")
    os.mkfifo(folder / "pipe.hdm.safetensors")
    return folder


FAILS = ("cut.hdm", "flipped.hdm", "foreign.hdm", "pipe.hdm")


def cases(text):
    """The names of the explanations in a report."""
    start = text.index('{"images":')
    content, _ = json.JSONDecoder().raw_decode(text[start:])
    return [case["name"] for image in content["images"] for case in image["cases"]]


@pytest.mark.parametrize("by_name", [False, True])
def test_a_report_has_the_good_ones_and_lists_the_others(folder, tmp_path, by_name):
    out = tmp_path / "report.html"
    files = [str(file) for file in folder.iterdir()] + [str(folder / "missing.safetensors")]
    outcome = CliRunner().invoke(main, ["report", *(files if by_name else [str(folder)]), "--out", str(out)])
    assert outcome.exit_code == 1, outcome.output
    assert f"see {out}" in outcome.output
    assert cases(out.read_text(encoding="utf-8")) == ["HDM"] * 2
    listed = [line for line in outcome.stderr.splitlines() if line.startswith("left out: ")]
    for name in (*FAILS, "good.rise", *(["missing"] if by_name else [])):
        assert sum(f"{name}.safetensors" in line for line in listed) == 1, name
    assert len(listed) == len(FAILS) + 1 + by_name
    assert "Traceback" not in outcome.output


@pytest.mark.parametrize("command", [["report"], ["view", "--no-browser"]])
def test_where_nothing_is_left_there_is_one_clear_error(folder, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = [str(folder / f"{name}.safetensors") for name in FAILS if name != "flipped.hdm"]
    outcome = CliRunner().invoke(main, [*command, *bad])
    assert outcome.exit_code == 2
    assert "cut.hdm.safetensors is not a safetensors file, or damaged" in outcome.output
    assert "; and 2 more cannot be read" in outcome.output
    assert not list(tmp_path.iterdir())
    only = CliRunner().invoke(main, ["report", str(folder / "flipped.hdm.safetensors")])
    assert only.exit_code == 2
    assert only.output.count("flipped.hdm.safetensors is damaged") == 1
    assert "more cannot be read" not in only.output


def test_the_viewer_goes_on_and_lists_the_others_when_it_ends(folder, monkeypatch):
    shown = []

    def serve(viewer):
        shown.extend(json.loads(viewer.content.image(number)) for number in (0, 2))
        with pytest.raises(RefusedRequestError, match=r"flipped\.hdm\.safetensors is damaged"):
            viewer.content.image(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Viewer, "serve_forever", serve)
    outcome = CliRunner().invoke(main, ["view", str(folder), "--no-browser"])
    assert outcome.exit_code == 1, outcome.output
    assert [[case["name"] for case in image["cases"]] for image in shown] == [["HDM"], ["HDM"]]
    listed = [line for line in outcome.stderr.splitlines() if line.startswith("left out: ")]
    assert len(listed) == len(FAILS) + 1
    for name in (*FAILS, "good.rise"):
        assert sum(f"{name}.safetensors" in line for line in listed) == 1, name


def test_an_image_of_a_good_and_a_damaged_result_is_shown_with_the_good_one(folder, tmp_path):
    shutil.copy(folder / "good.hdm.safetensors", tmp_path / "cell.hdm.safetensors")
    shutil.copy(folder / "flipped.hdm.safetensors", tmp_path / "cell.more.safetensors")
    content = Content(find_results([tmp_path]), "cell")
    assert [case["name"] for case in json.loads(content.image(0))["cases"]] == ["HDM"]
    assert json.loads(content.image(0))
    assert len(content.failed) == 1
    assert "cell.more.safetensors is damaged" in content.failed[0]


def test_what_raises_while_it_is_shown_is_left_out(folder, monkeypatch):
    (saved,) = find_results([folder / "good.hdm.safetensors"])
    (good,) = saved.entries()
    bad = Entry(good.explanation, "image", file="bad.file", metrics={1: object})
    monkeypatch.setattr(
        "interpret_segmentation.show.reports.content.facts", lambda *given: 1 / len(given[1]) or []
    )
    failed = []
    assert those_that_work([bad, good], failed, error=0.1) == [bad]
    assert failed == ["good.hdm.safetensors cannot be shown: division by zero"]


def test_explaining_goes_on_past_damaged_images_results_and_pipes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        np.save(f"{name}.npy", blob().numpy())
    fast = ["--set", "circle_size=4", "--set", "offset=4", "--quiet"]
    (tmp_path / "nets_for_damaged_files.py").write_text(
        "def bright():\n    return lambda batch: batch.clamp(0, 1)\n"
    )
    model = "nets_for_damaged_files:bright"
    whole = (tmp_path / "c.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-9])
    (tmp_path / "broken.npy").write_bytes(whole.replace(b"'shape': (", b"'shape': {"))
    os.mkfifo("pipe.npy")
    assert CliRunner().invoke(main, ["explain", model, "b.npy", *fast]).exit_code == 0
    saved = tmp_path / "explanations" / "b.hdm.safetensors"
    saved.write_bytes(saved.read_bytes()[:-9])
    files = ["cut.npy", "a.npy", "b.npy", "pipe.npy", "broken.npy", "c.npy"]
    outcome = CliRunner().invoke(main, ["explain", model, *files, *fast])
    assert outcome.exit_code == 1, outcome.output
    assert "2 explained, 0 skipped, 4 failed" in outcome.output
    for name in ("cut", "b", "pipe", "broken"):
        assert f"{name}.npy: failed" in outcome.output
    assert "pipe.npy is a pipe, not a file" in outcome.stderr
    assert "broken.npy is no array that numpy.save wrote, or damaged" in outcome.stderr
