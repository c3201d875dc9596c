"""Texts in model files are looked at in linear time, and not at all where they are absurdly large."""

import re
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from interpret_segmentation.models.files import load_model, refusals
from interpret_segmentation.models.files.opening import _writes_files

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")

PARTS = ["getattr", "(", ")", "\\", " ", "\n", "save", "from_file", "x", "_", ".", "getattr(", "getattr \n("]


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_what_is_found_in_code_is_what_one_expression_finds(source):
    wanted = re.search(r"\b(?:save|from_file)\b|getattr\s*\([^)]*\\", source)
    assert _writes_files(source) == bool(wanted)


def test_a_search_that_goes_on_from_each_place_would_not_end():
    assert not _writes_files("getattr(" * 500_000)


def saved(path):
    torch.jit.script(nn.Sequential(nn.Conv2d(1, 1, 1)).eval()).save(str(path))
    return path


def exported(path):
    torch.export.save(torch.export.export(nn.Conv2d(1, 1, 1).eval(), (torch.rand(1, 1, 4, 4),)), path)
    return path


def with_more(path, ending, size):
    with zipfile.ZipFile(path) as archive:
        folder = archive.namelist()[0].partition("/")[0]
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{folder}/code/more{ending}", b" " * size)
    return path


def test_code_of_an_absurd_size_is_refused_without_being_read(tmp_path, monkeypatch):
    path = saved(tmp_path / "net.ts")
    load_model(path)
    with_more(path, ".py", 2**20)
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(refusals, "MOST_TEXT", 2**20)
    monkeypatch.setattr(torch._C, "PyTorchFileReader", None)
    with pytest.raises(ValueError, match=r"net\.ts is refused: the texts in it \(\.py\) take 1 MiB"):
        load_model(path)


def test_a_description_of_an_absurd_size_is_refused_without_being_read(tmp_path, monkeypatch):
    path = exported(tmp_path / "net.pt2")
    load_model(path)
    with_more(path, ".json", 2**20)
    monkeypatch.setattr(refusals, "MOST_TEXT", 2**20)
    monkeypatch.setattr(torch._C, "PyTorchFileReader", None)
    with pytest.raises(ValueError, match=r"net\.pt2 is refused: the texts in it \(\.json\) take 1 MiB"):
        load_model(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [saved, exported])
def test_two_entries_of_one_name_are_refused(tmp_path, make):
    path = make(tmp_path / "net")
    with zipfile.ZipFile(path, "a") as archive:
        name = archive.namelist()[0]
        archive.writestr(name, archive.read(name))
    with pytest.raises(ValueError, match="two of its entries have one name"):
        load_model(path)
