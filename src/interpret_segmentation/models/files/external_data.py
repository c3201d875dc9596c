"""Reads from an ONNX file which other files it wants opened, before anything opens them.

An ONNX file is one message of protobuf (https://protobuf.dev/programming-guides/encoding): fields, each with
a tag, which says the field's number and how it is written, and a value. Only fields that can lead to a
tensor's external data are looked into; all others are jumped over, however large.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from interpret_segmentation._files import check_ordinary

INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""What lies inside each kind of message, by the number of the field, as onnx.proto has it."""

KEY, VALUE = 1, 2
"""Fields of an entry of external data."""

VARINT, EIGHT_BYTES, MESSAGE, FOUR_BYTES = 0, 1, 2, 5
"""How a value is written. There are groups too, 3 and 4, which ONNX does not use."""

_OF_OTHER_SYSTEMS = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


def check_external_data(path: Path) -> None:
    """See that an ONNX file keeps its weights in itself, or in files of its own folder.

    Raises:
        ValueError: It names a file elsewhere, one that is not there, or is damaged.
    """
    check_ordinary(path)
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty; save or copy the model again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.find(b"location") < 0:  # the key of every such name
            return
        try:
            locations = set(_locations(data))
        except _DamagedError as error:
            raise ValueError(
                f"{path} cannot be opened as ONNX: {error}; save or copy the model again"
            ) from None
    for location in sorted(locations):
        _check_location(path, location)


def _check_location(path: Path, location: bytes) -> None:
    name = location.decode("utf-8", errors="replace")
    refused = f"{path} is refused: its weights are said to be in {name!r}, "
    parts = name.split("/")
    if (
        not name
        or "\ufffd" in name
        or name.startswith("/")
        or ".." in parts
        or _OF_OTHER_SYSTEMS.search(name)
    ):
        raise ValueError(
            f"{refused}which is no plain name of a file beside it; export the model again, with its weights "
            "in the same folder"
        )
    # A store of models may keep the file itself elsewhere, and its weights beside it there.
    homes = [path.parent.resolve(), path.resolve().parent]
    try:
        found = (path.parent / name).resolve(strict=True)
        there = found.is_file()
    except (OSError, RuntimeError, ValueError):  # nothing there, links in a circle, too long a name
        there = False
    if not there:
        raise ValueError(f"{refused}but there is no such file; copy it to {path.parent}, too")
    if not any(found.is_relative_to(home) for home in homes):
        raise ValueError(
            f"{refused}which is a link to {found}, outside of its folder; copy that file to its place"
        )


class _DamagedError(Exception):
    """Bytes that are no message of ONNX."""


def _locations(data: mmap.mmap) -> Iterator[bytes]:
    """Every location that a tensor's external data may be read from.

    A message may be written in parts, in any order, and fields more than once, of which the last counts. So
    whether a tensor says that its data are external is not asked, and every value of an entry counts.
    """
    left = [("model", 0, len(data))]
    while left:
        kind, start, end = left.pop()
        if kind == "entry":
            texts = [(field, data[first:last]) for field, first, last in _messages(data, start, end)]
            if (KEY, b"location") in texts:
                yield from (text for field, text in texts if field == VALUE)
            continue
        inside = INSIDE[kind]
        left += [
            (inside[field], first, last)
            for field, first, last in _messages(data, start, end)
            if field in inside
        ]


def _messages(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number, the first and the last byte of everything in a message that has a length."""
    while at < end:
        tag, at = _varint(data, at, end)
        field, written = tag >> 3, tag & 7
        if not 0 < field < 2**29:  # readers cut larger ones off, each in its own way
            raise _DamagedError(f"it has a field {field}")
        if written == VARINT:
            _, at = _varint(data, at, end)
        elif written == MESSAGE:
            length, at = _varint(data, at, end)
            at += length
        elif written in (EIGHT_BYTES, FOUR_BYTES):
            at += 8 if written == EIGHT_BYTES else 4
        else:
            raise _DamagedError(
                f"it has a field that is written in the way {written}, which ONNX does not use"
            )
        if at > end:
            raise _DamagedError("it is cut short")
        if written == MESSAGE:
            yield field, at - length, at


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """A whole number, seven bits in each byte, the lowest first; and where the next field begins."""
    number = 0
    for place in range(10):
        if at + place >= end:
            raise _DamagedError("it is cut short")
        byte = data[at + place]
        number |= (byte & 127) << (7 * place)
        if byte < 128:
            return number, at + place + 1
    raise _DamagedError("it has a number of more than ten bytes")
