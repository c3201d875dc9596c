"""Results in files: one safetensors file each, written whole or not at all, read without running anything.

``FORMAT`` 2 may grow: what a file lacks takes its default, so that a field can be added with one. Whoever
changes what a field means raises the number and adds a step to ``UPGRADES``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from interpret_segmentation._files import check_ordinary, write_whole
from interpret_segmentation._settings import Setting, from_data
from interpret_segmentation._types import PathLike
from interpret_segmentation.results import doors
from interpret_segmentation.results.maker import Unregistered

FORMAT = 2

MARK = "interpret-segmentation explanation"

FOREIGN = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError),
    *(TypeError, ValueError),
)
"""What a damaged file raises when it is made into a result."""


class OtherKindError(ValueError):
    """A file holds something else than what it was asked for."""


def write(path: PathLike, kind: str, data: Any, *, overwrite: bool) -> Path:
    """Write plain data and arrays to one file, whole or not at all; see `Explanation.save`."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; save needs the name of a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; choose another name, or pass overwrite=True")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    head = json.dumps(
        {"mark": MARK, "format": FORMAT, "kind": kind, "data": _without_arrays(data, arrays, ())}
    )
    metadata = {"interpret-segmentation": head, "sha256": _digest(head, arrays)}
    with write_whole(path) as unfinished:
        unfinished.touch()
        mode = unfinished.stat().st_mode
        save_file(arrays, unfinished, metadata=metadata)
        unfinished.chmod(mode)  # safetensors makes files that only their owner can read
    return path


Result = TypeVar("Result")


def read(path: PathLike, build: Callable[[str, Any], Result]) -> Result:
    """Read what `write` wrote; ``build`` makes a result of kind and data. See `Explanation.load`."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; load needs a file that save() wrote")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    check_ordinary(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            head = _head(path, metadata)
            try:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            except FOREIGN as error:  # of types that NumPy does not have
                raise ValueError(f"{path} is damaged: {error}") from None
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or damaged: {error}") from None
    if metadata.get("sha256") != _digest(metadata["interpret-segmentation"], arrays):
        raise ValueError(f"{path} is damaged: it is not what save() wrote any more")
    try:
        data = upgrade(head["format"], head["kind"], _with_arrays(head["data"], arrays))
        return build(head["kind"], data)
    except OtherKindError as error:
        raise ValueError(f"{path} {error}") from None
    except FOREIGN as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def check_file(path: Path) -> None:
    """See whether a file is one that `write` wrote, by its head alone.

    Raises:
        ValueError: It is none, or is cut off.
    """
    check_ordinary(path)
    try:
        with safe_open(path, framework="numpy") as file:
            _head(path, file.metadata())
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or damaged: {error}") from None


def as_recipe(data: Any) -> Setting | None:
    """The recipe in a file; a method that this program does not have keeps its name and its settings."""
    if data is None:
        return None
    method = data["method"]
    kind = method["kind"]
    if not isinstance(kind, str):
        raise ValueError(f"there is no method of kind {kind!r}")  # noqa: TRY004  what a damaged file holds
    doors.register_methods(kind)
    if kind in Setting._kinds:
        recipe: Setting = from_data(data)
        return recipe
    settings = {name: from_data(value) for name, value in method.items() if name != "kind"}
    rest = {name: from_data(value) for name, value in data.items() if name not in ("kind", "method")}
    return Setting._kinds["recipe"](method=Unregistered(kind, settings), **rest)  # type: ignore[call-arg]


def upgrade(number: int, kind: str, data: Any) -> Any:
    """The data of a file in the newest format.

    Args:
        number: The format that the file was written in.
        kind: Of the result.
        data: What it holds.
    """
    if kind == "channels" and "channels" in data:
        parts = [part | {"data": upgrade(number, part["kind"], part["data"])} for part in data["channels"]]
        return data | {"channels": parts}
    for step in range(number, FORMAT):
        data = UPGRADES[step](data)
    return data


OPTIONS_1 = (
    "output",
    "activation",
    "preprocess",
    "numpy",
    "autocast",
    "incremental",
    "channels_last",
    "dims",
)
"""Options of the model among the settings of format 1."""


def _from_1(data: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 had all arguments of `explain` in one dict."""
    values = dict(data)
    # Of the maps of that time, only those with a standard error were probabilities, which have no zero.
    values["from_zero"] = "standard_error" not in values["measured"]
    settings = dict(values.pop("settings"))
    if not settings:
        return values
    method = settings.pop("method", values["method"])
    common = {name: settings.pop(name, None) for name in ("target", "reference", "batch_size")}
    options = {name: settings.pop(name) for name in OPTIONS_1 if name in settings}
    made_by = {"kind": method} if isinstance(method, str) else {"kind": "own", "method": method}
    recipe = {"kind": "recipe", "method": made_by | settings, "model": {"kind": "model-options"} | options}
    return values | {"recipe": recipe | common}


UPGRADES: dict[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = {1: _from_1}
"""From each format to the next."""


def _head(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """The description of what a file holds, checked."""
    foreign = ValueError(f"{path} is a safetensors file, but not an explanation that save() wrote")
    try:
        head = json.loads((metadata or {})["interpret-segmentation"])
        if head["mark"] != MARK or not isinstance(head["format"], int):
            raise foreign
    except (KeyError, RecursionError, TypeError, ValueError):
        raise foreign from None
    if head["format"] > FORMAT:
        raise ValueError(
            f"{path} is of a newer version (format {head['format']}; this one reads up to {FORMAT}): "
            "upgrade interpret-segmentation to load it"
        )
    if head["format"] < 1:
        raise foreign
    return dict(head)


def _without_arrays(data: Any, arrays: dict[str, np.ndarray[Any, Any]], place: tuple[str, ...]) -> Any:
    """The tree with every array moved out of it and its name in its place."""
    if isinstance(data, np.ndarray):
        name = ".".join(place)
        if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8:
            raise TypeError(f"a file cannot hold {name}: it is an array of {data.dtype}")
        name += "'" * sum(known.rstrip("'") == name for known in arrays)
        arrays[name] = np.require(data, data.dtype.newbyteorder("="), "C")
        return {"array": name}
    if isinstance(data, Mapping):
        return {key: _without_arrays(item, arrays, (*place, key)) for key, item in data.items()}
    if isinstance(data, list):
        return [_without_arrays(item, arrays, (*place, str(i))) for i, item in enumerate(data)]
    return data


def _with_arrays(data: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(data, Mapping):
        if set(data) == {"array"}:
            return arrays[data["array"]]
        return {key: _with_arrays(item, arrays) for key, item in data.items()}
    if isinstance(data, list):
        return [_with_arrays(item, arrays) for item in data]
    return data


def _digest(head: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """A fingerprint of everything in a file."""
    digest = hashlib.sha256(head.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
