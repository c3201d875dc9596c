"""Which files an ONNX file may have opened: those of its own folder."""

import os
import sys

import numpy as np
import pytest
import torch

from interpret_segmentation.models.files import external_data, load_model
from interpret_segmentation.models.files.external_data import check_external_data

WEIGHTS = np.arange(4, dtype=np.float32)


def varint(number, extra=0):
    """A whole number as protobuf writes it, or with some bytes more than it needs."""
    parts = []
    while number >= 128:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    for _ in range(extra):
        parts[-1] |= 128
        parts.append(0)
    return bytes(parts)


def field(number, content, extra=0):
    """One message, or text, as a field."""
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2, extra) + varint(len(content), extra) + content


def whole(number, value):
    return varint(number << 3) + varint(value)


def entry(key, value):
    return field(1, key) + field(2, value)


def tensor(location, name="w"):
    shape = b"".join(whole(1, side) for side in (1, 1, 2, 2)) + whole(2, 1)
    return shape + field(8, name) + field(13, entry("location", location)) + whole(14, 1)


def value_info(name):
    dims = b"".join(field(1, whole(1, side)) for side in (1, 1, 2, 2))
    return field(1, name) + field(2, field(1, whole(1, 1) + field(2, dims)))


ADD = field(1, "x") + field(1, "w") + field(2, "y") + field(4, "Add")


def model(initializer, *more, extra=0):
    """A network that adds a tensor to its input, with further fields of the graph."""
    graph = field(1, ADD) + field(2, "g") + field(5, initializer, extra) + b"".join(more)
    graph += field(11, value_info("x")) + field(12, value_info("y"))
    return whole(1, 8) + field(7, graph, extra) + field(8, whole(2, 17))


@pytest.fixture
def folder(tmp_path):
    """A folder with weights, and others outside of it."""
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    for place in (home / "w.bin", home / "sub" / "w.bin", tmp_path / "secret.bin"):
        WEIGHTS.tofile(place)
    return home


def written(folder, content, name="net.onnx"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "sub/w.bin", "sub//w.bin"])
@pytest.mark.parametrize("extra", [0, 2])
def test_weights_in_the_same_folder_are_read(folder, location, extra):
    pytest.importorskip("onnxruntime")
    opened = load_model(written(folder, model(tensor(location), extra=extra)))
    assert torch.equal(opened(torch.ones(1, 1, 2, 2)).flatten(), torch.tensor(WEIGHTS) + 1)


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "sub/../../secret.bin",
        "sub/../w.bin",
        "..",
        "/etc/passwd",
        "//server/share/w.bin",
        "\\\\server\\share\\w.bin",
        "..\\secret.bin",
        "sub\\w.bin",
        "C:/w.bin",
        "C:w.bin",
        "w.bin:stream",
        "w.bin\0../../secret.bin",
        "*/_ORT_MEM_ADDR_/*",
        "",
        b"\xff\xfe",
    ],
)
def test_any_other_place_is_refused_before_onnxruntime_sees_the_file(folder, monkeypatch, location):
    path = written(folder, model(tensor(location)))
    with pytest.raises(
        ValueError, match=r"is refused: its weights are said to be in .*export the model again"
    ):
        check_external_data(path)
    monkeypatch.setitem(sys.modules, "onnxruntime", "not to be used")
    with pytest.raises(ValueError, match="is refused"):
        load_model(path)


@pytest.mark.parametrize("location", ["nowhere.bin", "sub", "w.bin/w.bin", "x" * 5000])
def test_a_file_that_is_not_there_is_named(folder, location):
    with pytest.raises(ValueError, match=r"but there is no such file; copy it to"):
        check_external_data(written(folder, model(tensor(location))))


def test_a_link_that_leads_outside_is_refused_and_one_that_stays_inside_is_not(folder):
    (folder / "out.bin").symlink_to(folder.parent / "secret.bin")
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    (folder / "again.bin").symlink_to("out.bin")
    (folder / "circle").symlink_to("circle")
    (folder / "in.bin").symlink_to("sub/w.bin")
    for location in ("out.bin", "up/secret.bin", "again.bin"):
        with pytest.raises(ValueError, match=r"which is a link to .*secret\.bin, outside of its folder"):
            check_external_data(written(folder, model(tensor(location))))
    with pytest.raises(ValueError, match="no such file"):
        check_external_data(written(folder, model(tensor("circle"))))
    check_external_data(written(folder, model(tensor("in.bin"))))


def test_a_store_may_keep_the_file_and_its_weights_elsewhere_together(folder, tmp_path):
    path = written(folder, model(tensor("w.bin")))
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "net.onnx").symlink_to(path)
    (shelf / "w.bin").symlink_to(folder / "w.bin")
    check_external_data(shelf / "net.onnx")
    (shelf / "w.bin").unlink()
    (shelf / "w.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(ValueError, match="outside of its folder"):
        check_external_data(shelf / "net.onnx")


def test_a_relative_path_is_no_way_around(folder, monkeypatch):
    written(folder, model(tensor("../secret.bin")))
    monkeypatch.chdir(folder)
    with pytest.raises(ValueError, match="is refused"):
        load_model("net.onnx")


def test_a_pipe_as_weights_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.bin")
    with pytest.raises(ValueError, match="no such file"):
        check_external_data(written(folder, model(tensor("pipe.bin"))))


OUTSIDE = "../secret.bin"
BAD = tensor(OUTSIDE, "v")
GOOD = tensor("w.bin")


def in_attribute(number, content):
    return field(1, field(4, "Op") + field(5, field(1, "a") + field(number, content)))


EVERYWHERE = {
    "second initializer": model(GOOD, field(5, BAD)),
    "sparse values": model(GOOD, field(15, field(1, BAD) + field(2, tensor("w.bin")))),
    "sparse indices": model(GOOD, field(15, field(2, BAD))),
    "tensor of a node": model(GOOD, in_attribute(5, BAD)),
    "tensors of a node": model(GOOD, in_attribute(10, BAD)),
    "sparse tensor of a node": model(GOOD, in_attribute(22, field(1, BAD))),
    "sparse tensors of a node": model(GOOD, in_attribute(23, field(1, BAD))),
    "graph of a node": model(GOOD, in_attribute(6, field(5, BAD))),
    "graphs of a node": model(GOOD, in_attribute(11, field(5, BAD))),
    "graph in a graph": model(GOOD, in_attribute(6, in_attribute(6, field(5, BAD)))),
    "node of a function": model(GOOD) + field(25, field(7, field(5, field(5, BAD)))),
    "default of a function": model(GOOD) + field(25, field(11, field(5, BAD))),
    "training": model(GOOD) + field(20, field(1, field(5, BAD))),
    "algorithm of training": model(GOOD) + field(20, field(2, field(5, BAD))),
    "graph in two parts": model(GOOD) + field(7, field(5, BAD)),
    "not said to be external": model(GOOD, field(5, field(8, "v") + field(13, entry("location", OUTSIDE)))),
    "value before its key": model(GOOD, field(5, field(13, field(2, OUTSIDE) + field(1, "location")))),
    "two values": model(GOOD, field(5, field(13, entry("location", "w.bin") + field(2, OUTSIDE)))),
    "two keys": model(GOOD, field(5, field(13, field(1, "offset") + entry("location", OUTSIDE)))),
    "two entries": model(GOOD, field(5, GOOD + field(13, entry("location", OUTSIDE)))),
    "longer numbers than needed": model(BAD, extra=3),
    "unknown fields between": model(GOOD, field(99, b"x" * 300), whole(2**29 - 1, 2**63), field(5, BAD)),
}  # fmt: skip


@pytest.mark.parametrize("where", EVERYWHERE)
def test_a_place_outside_is_found_wherever_it_stands(folder, where):
    with pytest.raises(ValueError, match=r"is refused: its weights are said to be in '\.\./secret\.bin'"):
        check_external_data(written(folder, EVERYWHERE[where]))


@pytest.mark.parametrize("where", EVERYWHERE)
def test_protobuf_reads_that_place_there_as_well(where):
    onnx = pytest.importorskip("onnx")
    assert "../secret.bin" in str(onnx.load_model_from_string(EVERYWHERE[where]))


@pytest.mark.parametrize("content", [
    model(BAD)[:-40],
    model(BAD, varint(99 << 3 | 3) + varint(99 << 3 | 4)),
    model(BAD, varint(99 << 3 | 6)),
    model(BAD, varint(0)),
    model(BAD, varint((5 << 3 | 2) + 2**32) + varint(len(BAD)) + BAD),
    model(BAD, varint(99 << 3) + b"\xff" * 11),
    model(BAD, varint(99 << 3 | 1) + b"1234567")[:-40],
    whole(1, 8) + varint(7 << 3 | 2) + varint(2**62) + b"location",
], ids=range(8))  # fmt: skip
def test_what_is_no_message_of_onnx_is_refused_as_damaged(folder, content):
    with pytest.raises(ValueError, match=r"cannot be opened as ONNX: it .*; save or copy the model again"):
        check_external_data(written(folder, content))


def test_every_byte_is_looked_at_once(folder, monkeypatch):
    looked, whole_number = [], external_data._varint

    def counted(data, at, end):
        looked.append(at)
        return whole_number(data, at, end)

    monkeypatch.setattr(external_data, "_varint", counted)
    deep = field(5, GOOD)
    for _ in range(200):
        deep = in_attribute(6, deep)
    check_external_data(written(folder, model(GOOD, deep)))
    assert len(set(looked)) == len(looked)


def test_large_weights_in_the_file_itself_are_jumped_over(folder, monkeypatch):
    looked, whole_number = [], external_data._varint

    def counted(data, at, end):
        looked.append(at)
        return whole_number(data, at, end)

    monkeypatch.setattr(external_data, "_varint", counted)
    inside = field(8, "v") + field(9, b"\x08" * 2**20)
    check_external_data(written(folder, model(GOOD, field(5, inside))))
    assert len(looked) < 200
