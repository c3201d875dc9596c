"""Broken headers, and what is no file, are refused with one clear error."""

import os
import struct

import numpy as np
import pytest

from interpret_segmentation import Explanation, show
from interpret_segmentation.data.files import read_image, read_reference
from interpret_segmentation.models.files import load_model
from interpret_segmentation.perturb import load_masks
from interpret_segmentation.show.results import find_results

GOOD = {"descr": "<f4", "fortran_order": False, "shape": (2, 3)}


def npy(header, body=b"\0" * 24, version=(1, 0)):
    text = header if isinstance(header, bytes) else repr(header).encode()
    return (
        b"\x93NUMPY"
        + bytes(version)
        + struct.pack("<H" if version[0] == 1 else "<I", len(text))
        + text
        + body
    )


BROKEN = {
    "not closed": npy(b"{'descr': '<f4', "),
    "no Python": npy(b"{'descr': '<f4' 'shape'; (2, 3)}"),
    "a token without end": npy(b"{'descr': '''<f4, 'shape': (2, 3)}"),
    "zero bytes": npy(repr(GOOD).encode() + b"\0"),
    "brackets without end": npy(b"(" * 5000),
    "many brackets": npy(b"[" * 900 + b"]" * 900),
    "many signs": npy(b"-" * 5000 + b"1"),
    "no text": npy(b"\xff\xfe" * 40, version=(3, 0)),
    "no dictionary": npy(b"7"),
    "another key": npy(GOOD | {"more": 1}),
    "keys that are lists": npy(b"{[]: 1}"),
    "a key less": npy({"descr": "<f4", "shape": (2, 3)}),
    "no type": npy(GOOD | {"descr": "<f99"}),
    "a type that is a number": npy(GOOD | {"descr": 7}),
    "Python objects": npy(GOOD | {"descr": "|O"}),
    "objects in a record": npy(GOOD | {"descr": [("a", "|O")]}),
    "a shape of fractions": npy(GOOD | {"shape": (2.0, 3.0)}),
    "a shape of words": npy(GOOD | {"shape": "23"}),
    "an absurd shape": npy(GOOD | {"shape": (2**40, 2**20)}),
    "a shape beyond all numbers": npy(GOOD | {"shape": (2**70,)}),
    "a shape that overflows to its size": npy(GOOD | {"shape": (2**32, 2**32)}),
    "a negative shape": npy(GOOD | {"shape": (-2, -3)}),
    "nothing of very much": npy(GOOD | {"shape": (0, 2**70)}),
    "very many empty words": npy(GOOD | {"descr": "|S0", "shape": (2**60,)}),
    "a byte too few": npy(GOOD, b"\0" * 23),
    "a header beyond the file": npy(GOOD)[:20],
    "a header of four gigabytes": b"\x93NUMPY\2\0\xff\xff\xff\xff{",
    "another version": npy(GOOD, version=(9, 9)),
    "another beginning": b"NUMPY" + npy(GOOD),
    "nothing": b"",
}


@pytest.mark.parametrize("read", [read_image, read_reference])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_array_is_refused_whatever_numpy_raises(tmp_path, content, read):
    path = tmp_path / "image.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"image\.npy is no array that numpy\.save wrote, or damaged: \w+"):
        read(path)


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_array_of_masks_is_refused_too(tmp_path, content):
    path = tmp_path / "masks.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"masks\.npy is not a readable mask file: \w+"):
        load_masks(path)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_an_array_of_every_version_is_read(tmp_path, version):
    path = tmp_path / "image.npy"
    path.write_bytes(npy(GOOD, np.arange(6, dtype="<f4").tobytes(), version))
    assert read_image(path).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("read", [
    read_image,
    read_reference,
    load_masks,
    load_model,
    Explanation.load,
    show.results.load,
    lambda path: find_results([path]),
], ids=["image", "reference", "masks", "model", "explanation", "result", "results"])  # fmt: skip
@pytest.mark.parametrize("name", ["pipe.npy", "pipe.png", "pipe.onnx", "pipe.safetensors", "pipe"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(
        ValueError, match=r"is a pipe, not a file; write its content to a file, and give that"
    ):
        read(tmp_path / name)


def test_a_pipe_in_a_folder_of_results_is_left_out_with_a_warning(tmp_path):
    os.mkfifo(tmp_path / "a.hdm.safetensors")
    with (
        pytest.warns(UserWarning, match="left out: .* is a pipe"),
        pytest.raises(ValueError, match="no results"),
    ):
        find_results([tmp_path])
