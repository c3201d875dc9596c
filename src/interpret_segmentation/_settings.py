"""Settings are data: small frozen objects that print, compare, and survive being saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

MARKS = ("kind", "function", "mapping", "array")
"""Keys that say what a dict of plain data is; a mapping that has one of its own is written as pairs."""


@dataclass(frozen=True, eq=False, repr=False)
class Setting:
    """A frozen dataclass with a ``kind``, the name that it has in files.

    Its fields are plain data: numbers, strings, tuples, arrays, other settings, functions. Functions are kept
    by name only.

    Attributes:
        missing: What fields were that a file does not have, where their default is another today.
    """

    kind: ClassVar[str]
    missing: ClassVar[Mapping[str, Any]] = {}
    _kinds: ClassVar[dict[str, type[Setting]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):
            known = Setting._kinds.get(cls.kind)
            if known is not None and (known.__module__, known.__qualname__) != (
                cls.__module__,
                cls.__qualname__,
            ):
                raise TypeError(
                    f"two settings cannot both be called {cls.kind!r}, as {known.__module__}."
                    f"{known.__qualname__} is; give {cls.__module__}.{cls.__qualname__} another kind"
                )
            Setting._kinds[cls.kind] = cls

    def data(self) -> dict[str, Any]:
        """Its kind and its fields as plain data."""
        return {"kind": self.kind} | {f.name: as_data(getattr(self, f.name)) for f in fields(self)}

    def is_lost(self, name: str) -> bool:
        """Whether a field was a function, which the file that this comes from could not hold."""
        return isinstance(getattr(self, name), Unrecorded)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and same(as_data(self), as_data(other))

    def __hash__(self) -> int:
        return hash((type(self), _hashable(as_data(self))))

    def __repr__(self) -> str:
        given = [
            f"{field.name}={_short(getattr(self, field.name))}"
            for field in sorted(fields(self), key=lambda field: field.kw_only is True)
            if not same(as_data(getattr(self, field.name)), as_data(field.default))
        ]
        return f"{type(self).__name__}({', '.join(given)})"


@dataclass(frozen=True)
class Unrecorded:
    """Stands in a loaded result for a function, which a file cannot hold.

    Attributes:
        name: What the function was called.
    """

    name: str

    def __repr__(self) -> str:
        return f"<function {self.name}, not saved>"


def as_data(value: Any) -> Any:
    """Settings as a tree of dicts, lists, strings, numbers and NumPy arrays."""
    if isinstance(value, Setting):
        return value.data()
    if isinstance(value, Mapping):
        items = [[str(key), as_data(item)] for key, item in value.items()]
        return {"mapping": items} if any(key in MARKS for key, _ in items) else dict(items)
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [as_data(item) for item in value]
    if isinstance(value, Unrecorded):
        return {"function": value.name}
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str | np.ndarray):
        return value
    module = getattr(value, "__module__", None) or type(value).__module__
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return {"function": f"{module}.{name}"}


def from_data(data: Any) -> Any:
    """The settings that `as_data` turned into plain data; lists come back as tuples.

    Raises:
        ValueError: A kind of setting that this version does not have.
    """
    if isinstance(data, list):
        return tuple(from_data(item) for item in data)
    if not isinstance(data, Mapping):
        return data
    if set(data) == {"function"}:
        if not isinstance(data["function"], str):
            raise ValueError(f"a function must be known by its name, got {data['function']!r}")
        return Unrecorded(data["function"])
    if set(data) == {"mapping"}:
        return {key: from_data(item) for key, item in data["mapping"]}
    values = {key: from_data(item) for key, item in data.items() if key != "kind"}
    if "kind" not in data:
        return values
    kind = data["kind"]
    if not isinstance(kind, str) or kind not in Setting._kinds:
        raise ValueError(f"there is no setting of kind {kind!r} in this version")
    try:
        return Setting._kinds[kind](**{**Setting._kinds[kind].missing, **values})
    except (TypeError, OverflowError) as error:
        raise ValueError(f"the setting {kind!r} is damaged: {error}") from None


def same(one: Any, other: Any) -> bool:
    """Whether two trees of plain data are equal; NaN equals NaN."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        one, other = np.asarray(one), np.asarray(other)
        numbers = one.dtype.kind in "fc" and other.dtype.kind in "fc"
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=numbers)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    nan = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    return nan or bool(one == other)


def _hashable(data: Any) -> Any:
    """Plain data as something that equal data share the hash of."""
    if isinstance(data, np.ndarray):
        return data.shape, data.dtype.str, data.tobytes()
    if isinstance(data, Mapping):
        return tuple(sorted((key, _hashable(item)) for key, item in data.items()))
    if isinstance(data, list):
        return tuple(map(_hashable, data))
    return "nan" if isinstance(data, float) and math.isnan(data) else data


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray | Tensor):
        shape = " x ".join(map(str, value.shape))
        if str(value.dtype).endswith("bool"):
            return f"<{int(value.sum())} of {shape} pixels>"
        return f"<array {shape}>"
    if callable(value) and not isinstance(value, Setting):
        return getattr(value, "__qualname__", type(value).__name__)
    return repr(value)
