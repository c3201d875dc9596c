"""Targets as users say them: a number, a place, a region, or words."""

from __future__ import annotations

import re
from typing import TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor

from interpret_segmentation._types import AnyArray, Sequence
from interpret_segmentation.data.inputs import as_array, as_copy
from interpret_segmentation.targets.targets import (
    Border,
    Class,
    Component,
    FalseNegatives,
    FalsePositives,
    Pixel,
    Region,
    Target,
)

AnyTarget: TypeAlias = Target | str | int | Sequence[int] | AnyArray | Image.Image | None

WORDS = {
    "segment": r"segment",
    "class": r"(class:)?(?P<number>[0-9]+)",
    "pixel": r"pixel:(?P<at>[0-9]+(,[0-9]+)+)",
    "component": r"component(:(?P<rank>[0-9]+|largest)|:(?P<at>[0-9]+(,[0-9]+)+))?",
    "border": r"border(:(?P<width>[0-9]+))?",
    "false-positives": r"false-positives",
    "false-negatives": r"false-negatives",
}


def as_target(value: AnyTarget) -> Target:
    """What the user says is explained, as a target.

    Args:
        value: A target; None for the largest segment; a whole number for a class; (row, column) for a
            pixel; an array ``[*space]`` of 0 and 1, or a mask as PIL image, for a region; or words:
            ``"segment"``, ``"class:3"``, ``"pixel:12,40"``, ``"component"`` (the largest), ``"component:1"``
            (the second), ``"component:12,40"`` (the one there), ``"border"``, ``"border:2"`` (pixels on
            either side), ``"false-positives"``, ``"false-negatives"``, each with the class behind it if need
            be: ``"component@3"``, and for the border between two that touch both: ``"border@3-5"``.

    Raises:
        TypeError: Nothing of that.
        ValueError: Unknown words.

    Example:
        >>> as_target("pixel:12,40@3")
        Pixel(at=(12, 40), label=3)
        >>> as_target(None), as_target(2)
        (Class(), Class(label=2))
    """
    if isinstance(value, Target):
        return value
    if value is None:
        return Class()
    if isinstance(value, str):
        return _from_words(value)
    value = as_array(value, "target")
    if isinstance(value, int | float | np.number | np.ndarray | Tensor | Sequence):
        numbers = as_copy(value, "target")  # type: ignore[arg-type]
        if numbers.ndim >= 2:
            return Region(numbers)
        if numbers.ndim == 1:
            return Pixel(tuple(numbers.tolist()))
        if numbers.dtype.kind in "iu":
            return Class(int(numbers))
    raise TypeError(
        f"target must be a target, a class number, (row, column), a region or words such as 'component:0'; "
        f"got {type(value).__name__}"
    )


def _from_words(words: str) -> Target:
    text, _, behind = "".join(words.lower().split()).replace("_", "-").partition("@")
    found = {kind: match for kind, pattern in WORDS.items() if (match := re.fullmatch(pattern, text))}
    label, other = _classes(behind, pair="border" in found)
    if not found or (behind and label is None) or ("class" in found and behind):
        raise ValueError(
            f"there is no target {words!r}; use 'segment', 'class:3', 'pixel:12,40', 'component', "
            "'component:1', 'component:12,40', 'border', 'border:2', 'false-positives' or 'false-negatives', "
            "with '@3' behind it for class 3, or 'border@3-5' for the border between two"
        )
    (kind, match), *_ = found.items()
    said = match.groupdict()
    at = tuple(map(int, said["at"].split(","))) if said.get("at") else None
    if kind in ("segment", "class"):
        return Class(int(said["number"]) if kind == "class" else label)
    if kind == "pixel":
        return Pixel(at or (), label=label)
    if kind == "component":
        rank = said["rank"] if said["rank"] not in (None, "largest") else 0
        return Component(at, int(rank), label=label)
    if kind == "border":
        return Border(int(said["width"] or 1), other, label=label)
    return FalsePositives(label=label) if kind == "false-positives" else FalseNegatives(label=label)


def _classes(behind: str, *, pair: bool) -> tuple[int | None, int | None]:
    """The class behind the words, and the one on the other side of a border; None where there is none."""
    match = re.fullmatch(r"([0-9]+)(-([0-9]+))?" if pair else r"([0-9]+)", behind)
    if match is None:
        return None, None
    numbers = [int(part) for part in behind.split("-")]
    return numbers[0], numbers[1] if len(numbers) > 1 else None
