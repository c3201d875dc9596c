"""The maps that a result has, and what was asked one after the other to make them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._settings import Setting
from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.perturb.masks.base import Masks
from interpret_segmentation.results.checks import check_array, check_number
from interpret_segmentation.results.hidden_segments import check_runs, segment_when_hidden


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Setting):
    """One map of a result.

    Args:
        name: What it is called in a file.
        meaning: What a value says.
        unit: Of the values; empty for a number without one.
        values: The map, float ``[*space]``; NaN where there is no value.
        signed: Whether values on both sides of 0 mean something.
        title: What a reader sees. Empty: the name.
    """

    kind: ClassVar[str] = "layer"

    name: str
    meaning: str
    unit: str
    values: FloatArray
    signed: bool = False
    title: str = ""

    def __post_init__(self) -> None:
        for name in ("name", "meaning", "unit", "title"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} of a layer must be text, got {getattr(self, name)!r}")
        if not isinstance(self.signed, bool | np.bool_):
            raise TypeError(f"signed of a layer must be True or False, got {self.signed!r}")
        object.__setattr__(self, "values", np.array(self.values, dtype=np.float32))
        object.__setattr__(self, "title", self.title or self.name)


@dataclass(frozen=True, eq=False)
class Probe:
    """What was asked once.

    Attributes:
        hidden: The pixels that were hidden, bool ``[*space]``.
        value: What was measured.
        segment: What the network then drew, bool ``[*space]``; None where that was not kept.
    """

    hidden: BoolArray
    value: float
    segment: BoolArray | None


@dataclass(frozen=True, eq=False)
class Probes:
    """Everything that was hidden one after the other, with what was measured each time.

    Attributes:
        masks: What can be hidden.
        numbers: Which of the masks were, in this order, ``[n]``.
        values: What was measured, ``[n]``.
        baseline: The number for the unmasked image.
        meaning: What a number is called.
        unit: Of the numbers.
        unmasked: The segment that the network draws in the unmasked image, bool ``[*space]``.
        kept: How the segments differed from that, as `HiddenSegments.arrays` has it.
        spared: Pixels that no mask hid, whatever it covers, bool ``[*space]``.

    Raises:
        ValueError: Numbers of masks that there are not, or parts that do not fit each other.
    """

    masks: Masks
    numbers: NDArray[np.int64]
    values: NDArray[np.float64]
    baseline: float
    meaning: str
    unit: str
    unmasked: BoolArray | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    spared: BoolArray | None = None

    def __post_init__(self) -> None:
        check_array(self.numbers, "numbers", (None,), kinds="iu", least=0, most=len(self.masks) - 1)
        check_array(self.values, "values", self.numbers.shape)
        check_number(self.baseline, "baseline")
        for name in ("unmasked", "spared"):
            if getattr(self, name) is not None:
                check_array(getattr(self, name), name, self.masks.space, kinds="b")
        if self.unmasked is not None and {"turned", "turned_until"} & set(self.kept):
            check_runs(self.kept, self.unmasked.size, len(self.numbers))

    @property
    def has_segments(self) -> bool:
        """Whether the segments that the network drew were kept."""
        return self.unmasked is not None and isinstance(self.kept.get("turned"), np.ndarray)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Probe:
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} probes, counted from 0, so none is number {index}")
        hidden: BoolArray = self.masks.hidden(np.array([self.numbers[index]]))[0].numpy()
        if self.spared is not None:
            hidden = hidden & ~self.spared
        drawn = None
        if self.has_segments and self.unmasked is not None:
            drawn = segment_when_hidden(self.unmasked, self.kept, index)
        return Probe(hidden, float(self.values[index]), drawn)

    def __iter__(self) -> Iterator[Probe]:
        return (self[index] for index in range(len(self)))


class PixelMaps(Protocol):
    """The maps of all explained pixels as one matrix, ``[P, X]``, which is multiplied and never held.

    Blocks of ``step`` pixels along each side, explained ones and those of the maps, count as one.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """P blocks of explained pixels, X blocks of the image."""

    @property
    def rank(self) -> int:
        """What its rank cannot exceed."""

    @property
    def explained(self) -> BoolArray:
        """The blocks that have a row, bool ``[*coarse]``, in reading order."""

    def times(self, inputs: Tensor) -> Tensor:
        """The matrix times ``[X, n]``, ``[P, n]``."""

    def transposed(self, directions: Tensor) -> Tensor:
        """The matrix transposed times ``[P, n]``, ``[X, n]``."""

    def rows(self, chosen: Tensor) -> Tensor:
        """Some rows of the matrix, ``[n, X]``."""
