"""Makes every kind of wrong result file with a right checksum, for tests."""

from __future__ import annotations

import copy
import json

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from interpret_segmentation.results import storage


def parts_of(path):
    """The description in a file, and its arrays by name."""
    with safe_open(path, framework="numpy") as file:
        head = json.loads(file.metadata()["interpret-segmentation"])
        return head, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def written(path, head, arrays):
    """A file with these parts, signed as `save` signs."""
    text = json.dumps(head)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = {"interpret-segmentation": text, "sha256": storage._digest(text, arrays)}
    save_file(arrays, path, metadata=metadata)
    return path


def wrong_arrays(array):
    """An array with something wrong about it, one thing at a time, each with a name."""
    yield "one less", array[..., :-1]
    yield "another row", np.concatenate([array, array[-1:]])
    yield "flat", array.reshape(-1)
    yield "an axis more", array[None]
    yield "two axes more", array[None, ..., None]
    yield "turned", array.T
    yield "empty", array[:0]
    yield "one number", array.reshape(-1)[0]
    for kind in (bool, np.uint8, np.int8, np.int64, np.float16, np.float32, np.float64):
        if array.dtype != kind:
            with np.errstate(all="ignore"):
                yield f"as {np.dtype(kind)}", array.astype(kind)
    yield "all nothing", np.zeros_like(array)
    yield "all one", np.ones_like(array)
    if array.dtype == bool:
        yield "inverted", ~array
        return
    yield "negative", -array - 1 if array.dtype.kind != "u" else array
    for name, value in (("huge", 2**31 - 1 if array.dtype.itemsize > 2 else 127), ("minus", -1), ("plus", 1)):
        changed = array.copy()
        changed.reshape(-1)[:1] = np.asarray(value).astype(array.dtype)
        yield f"first is {name}", changed
        changed = array.copy()
        changed.reshape(-1)[-1:] = np.asarray(value).astype(array.dtype)
        yield f"last is {name}", changed
    yield "backwards", array.reshape(-1)[::-1].reshape(array.shape)
    if array.dtype.kind == "f":
        for value in (
            np.nan,
            np.inf,
            -np.inf,
            float(np.finfo(array.dtype).max),
            -float(np.finfo(array.dtype).max),
        ):
            changed = array.copy()
            changed.reshape(-1)[0] = value
            yield f"first is {value:.0e}", changed
            yield f"all are {value:.0e}", np.full_like(array, value)


WRONG = (
    *(None, True, -1, 0, 1, 2, 0.5, -0.5, 1e-300, 10**9, 2**63, 2**200, 1e300, float("nan"), float("inf")),
    *("", "segment", "nonsense", [], [1], [1, 2, 3], ["a"], [[1, 2], [3, 4]], {}, {"a": 1}),
    *({"function": "os.system"}, {"function": 1}, {"mapping": [["a", 1]]}, {"mapping": [[1, 2]]}),
    *({"kind": "class"}, {"kind": "region", "mask": [[1, 0], [0, 1]]}, {"kind": "pixel", "at": [900, 900]}),
    *({"kind": "pixel", "at": [-1, 0]}, {"kind": "pixel", "at": [0]}, {"kind": "component", "at": [900, 0]}),
    *(
        {"kind": "class", "label": 99},
        {"kind": "nonsense"},
        {"kind": "mean"},
        {"kind": "hdm"},
        {"kind": ["a"]},
    ),
    *(
        {"kind": "layer", "name": 1, "meaning": "", "unit": "", "values": [[1.0]]},
        {"kind": "border", "width": 10**9},
    ),
)
"""Values that take the place of every value in turn."""


def places(data, at=()):
    """Where in a description there is a value, a list or a table."""
    if at:
        yield at
    if isinstance(data, dict) and set(data) != {"array"}:
        for key, item in data.items():
            yield from places(item, (*at, key))
    elif isinstance(data, list):
        for number, item in enumerate(data):
            yield from places(item, (*at, number))


def changed(head, at, change):
    """The description with one place changed."""
    head = copy.deepcopy(head)
    inner = head
    for key in at[:-1]:
        inner = inner[key]
    change(inner, at[-1])
    return head


def manipulations(head, arrays):
    """Every wrong file: a name, its description, its arrays."""
    for name, array in arrays.items():
        for what, other in wrong_arrays(array):
            yield f"{name}: {what}", head, arrays | {name: np.asarray(other)}
        for other, replacement in arrays.items():
            if other != name and replacement.shape != array.shape:
                yield f"{name}: {other}", head, arrays | {name: replacement}
    for at in places({"kind": head["kind"], "data": head["data"]}):
        where = ".".join(map(str, at))
        for value in WRONG:
            yield (
                f"{where} = {value!r}",
                changed(head, at, lambda inner, key, v=value: inner.__setitem__(key, v)),
                arrays,
            )
        yield f"{where} left out", changed(head, at, lambda inner, key: inner.pop(key)), arrays
        if arrays:
            first = {"array": next(iter(arrays))}
            yield (
                f"{where} = an array",
                changed(head, at, lambda inner, key, v=first: inner.__setitem__(key, v)),
                arrays,
            )
