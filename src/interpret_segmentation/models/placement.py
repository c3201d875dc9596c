"""Sees whether a step of preprocessing moves pixels, so that a map would lie elsewhere than on the image.

A mark is put on the image at a few places. Where preprocessing resizes, each mark comes out at the same share
of the way along every side; where it pads, crops, flips or turns, it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MARKS = ((0.1, 0.3, 0.6), (0.9, 0.6, 0.2), (0.4, 0.9, 0.8), (0.6, 0.12, 0.4))
"""Where the marks are put, as shares of the sides."""

SMALLEST = 16
"""Pixels along a side below which marks would be as large as what they show."""

SLACK = 1.0
"""Pixels that a mark may be off, for kinds of interpolation differ by so much at the edges."""


def moved_by(
    step: Callable[[Tensor], Tensor], image: Tensor, seen: tuple[int, ...], *, channels_last: bool = False
) -> str | None:
    """How a step of preprocessing moves pixels, with the cure; None where it only resizes them.

    Args:
        step: Of batches ``[B, C, *space]``.
        image: ``[C, *space]``.
        seen: The size that it makes of the image.
        channels_last: It makes ``[B, *space, C]``.
    """
    space = tuple(image.shape[1:])
    if min(space) < SMALLEST:
        return None
    places = [tuple(int(share * side) for share, side in zip(mark, space, strict=False)) for mark in MARKS]
    try:
        found = _found((lambda batch: step(batch).movedim(-1, 1)) if channels_last else step, image, places)
    except Exception:  # noqa: BLE001  what it makes of a marked image says nothing about the image
        return None
    factors = np.array(seen) / np.array(space)
    slack = SLACK * np.maximum(1, factors)
    # A mark that does not come out says nothing: a mask may take it away.
    pairs = [(np.array(place), mark) for place, mark in zip(places, found, strict=True) if mark is not None]
    if all((np.abs((place + 0.5) * factors - 0.5 - mark) <= slack).all() for place, mark in pairs):
        return None
    return _cure(pairs, space, seen)


def _found(
    step: Callable[[Tensor], Tensor], image: Tensor, places: Sequence[tuple[int, ...]]
) -> list[NDArray[np.float64] | None]:
    """Where marks at these places come out, each by its centre; None for one that does not."""
    lowest, highest = image.amin().item(), image.amax().item()
    made = step(image[None].clone())[0].detach().double().cpu()
    found: list[NDArray[np.float64] | None] = []
    for place in places:
        sides = zip(place, image.shape[1:], strict=True)
        around = (slice(None), *(slice(max(0, at - _half(side)), at + _half(side) + 1) for at, side in sides))
        change = torch.zeros(made.shape[1:], dtype=torch.float64)
        for value in (lowest, highest if highest > lowest else lowest + 1):
            marked = image.clone()
            marked[around] = value
            differs = (step(marked[None])[0].detach().double().cpu() - made).abs().sum(dim=0)
            change += (differs - differs.median()).abs()
        where = torch.nonzero(change > change.max() / 2)
        found.append(where.double().mean(dim=0).numpy() if change.max() > 0 else None)
    return found


def _half(side: int) -> int:
    """Pixels from the middle of a mark to its edge."""
    return max(1, side // 16)


def _cure(
    pairs: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
    space: tuple[int, ...],
    seen: tuple[int, ...],
) -> str:
    """What is done to the image, as far as it can be told, and how its answer comes back."""
    shifts = [mark - place for place, mark in pairs]
    if len(shifts) == len(MARKS) and np.ptp(shifts, axis=0).max() < SLACK:
        start = np.rint(np.mean(shifts, axis=0)).astype(int)
        if (start >= 0).all() and (start + space <= seen).all():
            box = ", ".join(f"{at}:{at + side}" for at, side in zip(start, space, strict=True))
            return (
                f"pads the image, which begins at {tuple(start.tolist())} then: pass output=lambda answer: "
                f"answer[..., {box}], which takes the padding off again, or preprocess=Preprocess(...), "
                "which has fit='pad' and 'letterbox' with their way back"
            )
    return (
        "moves its pixels (it pads, crops, flips or turns the image): pass output=, a function that brings "
        f"the answer back to {' x '.join(map(str, space))} pixels of the image, or "
        "preprocess=Preprocess(size=..., fit='letterbox'), which knows its way back"
    )
