import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interpret_segmentation.perturb import draw_grids, load_masks, save_masks


@pytest.fixture
def grids():
    return draw_grids(30, cells=5, keep=0.2, space=(24, 33), seed=8)


def test_the_compact_file_holds_everything(grids, tmp_path):
    save_masks(grids, tmp_path / "masks.npz")
    loaded = load_masks(tmp_path / "masks.npz")
    assert torch.equal(loaded.cells, grids.cells)
    assert torch.equal(loaded.shifts, grids.shifts)
    assert (loaded.space, loaded.keep, loaded.seed) == ((24, 33), 0.2, 8)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_saving_and_loading_is_the_identity(tmp_path_factory, count, cells, height, width, seed):
    grids = draw_grids(count, cells=cells, keep=0.5, space=(height, width), seed=seed)
    folder = tmp_path_factory.mktemp("masks")
    for name in ("masks.npz", "masks.npy"):
        save_masks(grids, folder / name)
        loaded = load_masks(folder / name)
        assert torch.equal(loaded.render(0, count), grids.render(0, count))
        assert loaded.expected_value == grids.expected_value
        assert (len(loaded), loaded.space) == (count, (height, width))


def test_three_thousand_masks_take_less_than_thirty_kilobytes(tmp_path):
    grids = draw_grids(3000, cells=8, keep=0.1, space=(240, 240), seed=0)
    save_masks(grids, tmp_path / "masks.npz")
    assert (tmp_path / "masks.npz").stat().st_size < 30_000


def test_numpy_reads_the_rendered_file_as_release_1_0_0_wrote_it(grids, tmp_path):
    save_masks(grids, tmp_path / "masks.npy")
    for mode in (None, "r"):
        array = np.load(tmp_path / "masks.npy", mmap_mode=mode)
        assert array.shape == (30, 1, 24, 33)
        np.testing.assert_array_equal(array[:, 0], grids.render(0, 30))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_of_another_program_loads_with_the_mean_as_expected_value(tmp_path, dtype, order):
    masks = np.random.default_rng(0).random((7, 1, 5, 9)).astype(dtype)
    np.save(tmp_path / "masks.npy", np.asarray(masks, order=order))
    loaded = load_masks(tmp_path / "masks.npy")
    np.testing.assert_array_equal(loaded.render(0, 7), masks[:, 0].astype(np.float32))
    assert loaded.expected_value == pytest.approx(masks.mean(dtype=np.float64))
    assert load_masks(tmp_path / "masks.npy", p1=0.25).expected_value == 0.25


def test_an_existing_file_is_not_overwritten_unasked(grids, tmp_path):
    path = tmp_path / "masks.npz"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save_masks(grids, path)
    assert path.read_bytes() == b"precious"
    save_masks(grids, path, overwrite=True)
    assert len(load_masks(path)) == 30


@pytest.mark.parametrize("name", ["masks", "masks.txt", "masks.npy.gz"])
def test_another_ending_is_refused(grids, tmp_path, name):
    with pytest.raises(ValueError, match=r"\.npy .* or \.npz"):
        save_masks(grids, tmp_path / name)


@pytest.mark.parametrize("name", ["masks.npy", "masks.npz"])
def test_an_interrupted_save_leaves_nothing(grids, tmp_path, monkeypatch, name):
    def fail(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("interpret_segmentation.perturb.masks.files.json.dumps", fail)
    monkeypatch.setattr("interpret_segmentation.perturb.masks.files.np.savez_compressed", fail)
    with pytest.raises(KeyboardInterrupt):
        save_masks(grids, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


class Bomb:
    exploded = False

    def __reduce__(self):
        return (setattr, (Bomb, "exploded", True))


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def compact(grids, **changes):
    file = io.BytesIO()
    good = {
        "format": "interpret-segmentation masks 1",
        "cells": np.packbits(grids.cells.numpy()),
        "shape": np.array(grids.cells.shape),
        "shifts": grids.shifts.numpy(),
        "size": np.array([24, 33]),
        "keep": 0.2,
        "seed": 8,
    }
    np.savez(file, **(good | changes))
    return file.getvalue()


FOREIGN = {
    "empty": b"",
    "text": b"hello",
    "pickle": pickle.dumps(Bomb()),
    "object array": npy(np.array([Bomb()], dtype=object), allow_pickle=True),
    "three axes": npy(np.zeros((3, 4, 4))),
    "three channels": npy(np.zeros((3, 3, 4, 4))),
    "no masks": npy(np.zeros((0, 1, 4, 4))),
    "whole numbers": npy(np.zeros((3, 1, 4, 4), dtype=int)),
    "all zero": npy(np.zeros((3, 1, 4, 4))),
    "negative": npy(np.full((3, 1, 4, 4), -1.0)),
    "above one": npy(np.full((3, 1, 4, 4), 255.0)),
    "not a number": npy(np.full((3, 1, 4, 4), np.nan)),
    "cut off": npy(np.ones((3, 1, 4, 4)))[:-50],
    "header only": npy(np.ones((3, 1, 4, 4)))[:30],
    "foreign archive": npz(a=np.zeros(3)),
    "broken archive": npz(a=np.zeros(3))[:100],
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_file_is_refused_and_never_unpickled(tmp_path, content):
    path = tmp_path / "masks.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"masks\.npy is not a readable mask file: \w+"):
        load_masks(path)
    assert not Bomb.exploded


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "interpret-segmentation masks 9"},
        {"shape": np.array([31, 5, 5])},
        {"shape": np.array([30, 5, 4])},
        {"shape": np.array([-30, 5, 5])},
        {"size": np.array([0, 33])},
        {"size": np.array([4, 33])},
        {"keep": 0.0},
        {"keep": np.nan},
        {"cells": np.zeros(94)},
        {"shifts": np.full((30, 2), -1)},
        {"shifts": np.zeros((29, 2), int)},
        {"keep": 1e-300},
        {"keep": 1e-7},
        {"keep": 0.9},
        {"keep": np.array([0.2, 0.2])},
        {"keep": "0.2"},
        {"seed": np.uint64(2**63)},
        {"seed": -2},
        {"seed": 1.5},
        {"seed": "1"},
        {"seed": np.arange(2)},
        {"seed": np.arange(2000)},
        {"shape": np.array([30.0, 5.0, 5.0])},
        {"shape": np.array([2**62, 5, 5])},
        {"shape": np.array([30, 5, 5] * 1000)},
        {"shape": np.array([[30, 5, 5]])},
        {"size": np.array([2**62, 33])},
        {"size": np.array([20, 33, 10])},
        {"size": np.array([20.0, 33.0])},
        {"cells": np.zeros(100_000, np.uint8)},
        {"shifts": np.zeros((30, 2))},
        {"shifts": np.full((30, 2), 2**63, np.uint64)},
        {"shifts": np.zeros((3000, 2), int)},
    ],
)
def test_a_compact_file_that_contradicts_itself_is_refused(grids, tmp_path, changes):
    path = tmp_path / "masks.npz"
    path.write_bytes(compact(grids))
    assert len(load_masks(path)) == 30
    path.write_bytes(compact(grids, **changes))
    with pytest.raises(ValueError, match="is not a readable mask file"):
        load_masks(path)


def test_a_compact_file_without_one_of_its_parts_is_refused(grids, tmp_path):
    path = tmp_path / "masks.npz"
    whole = zipfile.ZipFile(io.BytesIO(compact(grids)))
    with zipfile.ZipFile(path, "w") as file:
        for name in whole.namelist():
            if name != "shifts.npy":
                file.writestr(name, whole.read(name))
    with pytest.raises(ValueError, match="is not a readable mask file"):
        load_masks(path)


GOOD = {"format": "interpret-segmentation masks 1", "expected_value": 0.5}


@pytest.mark.parametrize(
    "behind",
    [
        json.dumps(GOOD)[:-4],
        json.dumps(GOOD | {"expected_value": 0}),
        json.dumps(GOOD | {"expected_value": "0.5"}),
        json.dumps(GOOD | {"expected_value": 1e-300}),
        json.dumps({"expected_value": 0.5}),
        json.dumps(GOOD) + "zzz",
        "7",
        "\x00",
    ],
)
def test_what_is_damaged_behind_the_array_is_refused(tmp_path, behind):
    path = tmp_path / "masks.npy"
    array = npy(np.ones((3, 1, 4, 4)))
    path.write_bytes(array + json.dumps(GOOD).encode())
    assert load_masks(path).expected_value == 0.5
    path.write_bytes(array + behind.encode())
    with pytest.raises(ValueError, match="behind the array is damaged or not ours"):
        load_masks(path)


@pytest.mark.parametrize("name", ["masks.npy", "masks.npz"])
def test_masks_that_say_their_p1_are_not_loaded_with_another(grids, tmp_path, name):
    save_masks(grids, tmp_path / name)
    assert load_masks(tmp_path / name, p1=0.2).expected_value == 0.2
    with pytest.raises(ValueError, match=r"were drawn with p1=0.2, not 0.3; leave p1 out"):
        load_masks(tmp_path / name, p1=0.3)


@pytest.mark.parametrize("p1", [0, 2, -0.5, float("nan"), "a", [0.5]])
def test_a_p1_that_makes_no_sense_is_not_blamed_on_the_file(grids, tmp_path, p1):
    save_masks(grids, tmp_path / "masks.npz")
    with pytest.raises(ValueError, match=r"^p1 must be a number above 0 and at most 1"):
        load_masks(tmp_path / "masks.npz", p1=p1)


def test_a_folder_is_not_a_savepath(grids, tmp_path):
    (tmp_path / "masks.npz").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        save_masks(grids, tmp_path / "masks.npz", overwrite=True)


def test_a_missing_file_is_called_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no mask file .*nowhere.npy; generate_masks"):
        load_masks(tmp_path / "nowhere.npy")


def test_masks_are_still_found_when_the_working_folder_changes(grids, tmp_path, monkeypatch):
    save_masks(grids, tmp_path / "masks.npy")
    monkeypatch.chdir(tmp_path)
    loaded = load_masks("masks.npy")
    monkeypatch.chdir(tmp_path.parent)
    assert torch.equal(loaded.render(3, 7), grids.render(3, 7))
