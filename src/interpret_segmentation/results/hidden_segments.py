"""The segments that the network drew while it was asked, as the pixels that each mask turned over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._types import BoolArray
from interpret_segmentation.results.checks import check_array

MEMORY = 32 * 2**20
"""Bytes beyond which segments are not kept: noise, and networks that fall apart, have many runs."""


class HiddenSegments:
    """Keeps segments by how they differ from the unmasked one: the runs of turned pixels, in reading order.

    Args:
        unmasked: The segment of the unmasked image, bool ``[*space]``.
        count: Number of masks.
    """

    def __init__(self, unmasked: BoolArray, count: int) -> None:
        self._unmasked = unmasked.ravel()
        self._runs = np.zeros(count, dtype=np.int64)
        self._ends: list[NDArray[np.int32]] | None = []
        self._nbytes = 0

    def take(self, number: int, segment: BoolArray) -> None:
        """The segment with mask ``number`` hidden; numbers only grow."""
        if self._ends is None:
            return
        differs = (segment.ravel() != self._unmasked).view(np.int8)
        ends = np.flatnonzero(np.diff(differs, prepend=0, append=0)).astype(np.int32)
        self._ends.append(ends)
        self._runs[number] = len(ends)
        self._nbytes += ends.nbytes
        if self._nbytes > MEMORY:
            self._ends = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a result keeps: ``turned``, where runs begin and end, and ``turned_until`` for each mask.

        Nothing, where it would be more than ``MEMORY``.
        """
        if self._ends is None:
            return {}
        ends = np.concatenate([np.empty(0, dtype=np.int32), *self._ends])
        return {"turned": ends, "turned_until": np.cumsum(self._runs)}


def check_runs(measured: Mapping[str, Any], pixels: int, count: int | None = None) -> None:
    """See that what a result keeps are runs of turned pixels, as `HiddenSegments.arrays` has them.

    Args:
        measured: What a result keeps.
        pixels: Of the image.
        count: Masks that were hidden; None: any number.

    Raises:
        ValueError: They are not.
    """
    ends, until = measured.get("turned"), measured.get("turned_until")
    check_array(ends, "turned", (None,), kinds="iu", least=0, most=pixels)
    assert isinstance(ends, np.ndarray)
    check_array(until, "turned_until", (count,), kinds="iu", least=0, most=len(ends))
    assert isinstance(until, np.ndarray)
    lengths = np.diff(until.astype(np.int64), prepend=0)
    if (lengths < 0).any() or np.remainder(lengths, 2).any() or lengths.sum() != len(ends):
        raise ValueError("turned_until must say where the runs of each mask end in turned")
    grows = np.diff(ends.astype(np.int64), append=pixels + 1) > 0
    grows[until[until > 0].astype(np.int64) - 1] = True  # the next mask begins anew
    if not grows.all():
        raise ValueError("turned must hold runs of pixels one after the other")


def segment_when_hidden(segment: BoolArray, measured: Mapping[str, Any], index: int) -> BoolArray:
    """The segment that the network drew with a mask hidden.

    Args:
        segment: That of the unmasked image.
        measured: What a result keeps.
        index: Which of the measured masks, counted from 0.

    Raises:
        LookupError: The segments were not kept.
        IndexError: There is no such mask.
    """
    if "turned" not in measured:
        raise LookupError(
            "the segments with masks hidden were not kept: they would have taken more than "
            f"{MEMORY / 2**20:.0f} MiB, or the method keeps none"
        )
    until = measured["turned_until"]
    if not 0 <= index < len(until):
        raise IndexError(f"there are {len(until)} masks, counted from 0, so none is number {index}")
    ends = measured["turned"][until[index - 1] if index else 0 : until[index]]
    steps = np.zeros(segment.size + 1, dtype=np.int8)
    steps[ends[0::2]] += 1
    steps[ends[1::2]] -= 1
    turned = np.cumsum(steps[:-1], dtype=np.int8).astype(bool)
    hidden: BoolArray = segment ^ turned.reshape(segment.shape)
    return hidden
