"""Places: an image taken apart into segment, border, distractor, cue and the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_region

MARGIN = 25
"""Width in pixels of the border around a segment: a coarse map spills over so far."""


@dataclass(frozen=True, eq=False)
class Places:
    """An image taken apart: every pixel is in exactly one place. Each is bool ``[*space]``.

    Attributes:
        segment: What was segmented.
        border: Pixels up to a margin away from the segment.
        distractor: What looks as if it decided, but does not; as far as it lies beyond both.
        cue: What decides about the segment; as far as it lies beyond all three.
        rest: All other pixels.
        others: Other regions that could have been the cause; as far as they lie beyond segment, border and
            cue. They are no place of their own: they lie on the distractor and the rest.
    """

    segment: BoolArray
    border: BoolArray
    distractor: BoolArray
    cue: BoolArray
    rest: BoolArray
    others: BoolArray

    @property
    def context(self) -> BoolArray:
        """The cue and the rest."""
        return self.cue | self.rest


def as_places(
    space: tuple[int, ...],
    segment: AnyArray,
    cue: AnyArray | None = None,
    distractor: AnyArray | None = None,
    margin: float = MARGIN,
    others: AnyArray | None = None,
) -> Places:
    """The places of an image; a cue or a distractor that is not known is empty.

    Raises:
        TypeError: Not an array of numbers.
        ValueError: A region of another size, or a negative margin.

    Example:
        >>> as_places((1, 5), segment=np.array([[1, 0, 0, 0, 0]]), margin=2).rest
        array([[False, False, False,  True,  True]])
    """
    nowhere = np.zeros(space, dtype=bool)
    on_segment = as_region(segment, space, name="segment")
    on_cue = nowhere if cue is None else as_region(cue, space, name="cue")
    on_distractor = nowhere if distractor is None else as_region(distractor, space, name="distractor")
    on_others = on_distractor if others is None else as_region(others, space, name="others")
    near = grown(on_segment, margin, "margin")
    context = ~near & ~on_distractor
    if on_cue.any() and not (on_cue & context).any():
        warn(
            f"the whole cue lies on the segment, within {margin:g} pixels of it or on the distractor, so "
            "that what is said of it is NaN" + ("; pass a smaller margin=" if margin else "")
        )
    cue_left = on_cue & context
    return Places(
        on_segment,
        near & ~on_segment,
        on_distractor & ~near,
        cue_left,
        context & ~on_cue,
        on_others & ~near & ~cue_left,
    )


def grown(region: BoolArray, by: object, name: str) -> BoolArray:
    """The region and all pixels at most so far from it.

    Args:
        region: Bool ``[*space]``.
        by: The distance in pixels.
        name: What the user calls the distance.

    Raises:
        ValueError: A distance that is no number, or negative.
    """
    if not (isinstance(by, int | float | np.number) and by >= 0):
        raise ValueError(f"{name} must be a number of pixels, 0 or more; got {by!r}")
    if not region.any():
        return region
    grown: BoolArray = ndimage.distance_transform_edt(~region) <= by
    return grown
