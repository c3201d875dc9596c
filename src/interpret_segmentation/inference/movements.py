"""Tells what a hidden part does to the segment: what is lost, and what is gained, there or elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._types import BoolArray
from interpret_segmentation.perturb.masks.base import Masks
from interpret_segmentation.results.hidden_segments import HiddenSegments
from interpret_segmentation.scores.hausdorff_distance import HausdorffTo
from interpret_segmentation.targets.objective import Objective

DRAWN = 0.5
"""Share of a hole that has to become segment for the hole itself to be drawn.

On testnet, where holes are no objects, some pixels of a hole become segment in nearly all positions that
change anything, as shapes are completed or cut, but half of a hole in none.
"""

PART = 0.05
"""Share of a hole that is enough where nothing of the segment is lost: it is not completed then, nor cut."""

FEWEST = 2
"""Positions that are no accident."""

OFTEN = 0.05
"""Share of the positions that changed the segment in which that has to happen to be worth a word."""


class Movements:
    """Keeps, for every mask that changes the segment, the segment itself and in what it differs.

    Args:
        objective: Says which pixels count.
        segment: What the network draws in the unmasked image, bool ``[*space]``.
        masks: What is hidden.
        numbers: Which of the masks, in this order.
        spare: Pixels that no mask hides, bool ``[*space]``.
        distances: Measure how far the segment moves, in both directions; None: it is not of interest. A
            spacing of pixels otherwise.
    """

    def __init__(
        self,
        objective: Objective,
        segment: BoolArray,
        masks: Masks,
        numbers: NDArray[np.int64],
        spare: BoolArray | None,
        *,
        distances: tuple[float, ...] | None = None,
    ) -> None:
        self._objective, self._segment = objective, objective.compared(segment)
        self._masks, self._numbers, self._spare = masks, numbers, spare
        self._kept = HiddenSegments(segment, len(numbers))
        names = ("lost", "gained", "gained_inside")
        self._counts = {name: np.zeros(len(numbers), dtype=np.int64) for name in names}
        self._to_segment = None if distances is None else HausdorffTo(self._segment, spacing=distances)
        reaches = () if distances is None else ("old_to_new", "new_to_old")
        self._reaches = {name: np.zeros(len(numbers)) for name in reaches}
        self._drawn = 0

    def take(self, number: int, segment: BoolArray) -> None:
        """The segment with a mask hidden, where it differs; numbers only grow."""
        self._kept.take(number, segment)
        drawn = self._objective.compared(segment)
        hidden: BoolArray = self._masks.hidden(self._numbers[number : number + 1])[0].numpy()
        if self._spare is not None:
            hidden = hidden & ~self._spare
        new = drawn & ~self._segment
        inside = int(np.count_nonzero(new & hidden))
        self._counts["lost"][number] = np.count_nonzero(self._segment & ~drawn)
        self._counts["gained"][number] = np.count_nonzero(new) - inside
        self._counts["gained_inside"][number] = inside
        size, lost = np.count_nonzero(hidden), self._counts["lost"][number]
        self._drawn += int(inside > DRAWN * size or (inside > PART * size and not lost))
        if self._to_segment is not None:
            there, back = self._to_segment.directed(drawn)
            self._reaches["new_to_old"][number], self._reaches["old_to_new"][number] = there, back

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a result keeps: segments where there is room, pixels lost and gained, and distances."""
        return {**self._kept.arrays(), **self._counts, **self._reaches}

    @property
    def drawn(self) -> tuple[int, int]:
        """How often the hole itself became segment, and how often the segment changed at all."""
        changed = sum(self._counts.values()) > 0
        return self._drawn, int(np.count_nonzero(changed))

    @property
    def draws_holes(self) -> bool:
        """Whether holes become segment so often that the map shows the fill and not the image."""
        drawn, changed = self.drawn
        return drawn >= FEWEST and drawn > OFTEN * changed
