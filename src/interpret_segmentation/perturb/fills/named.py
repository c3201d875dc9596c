"""Fills as users say them, and what they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.perturb.fills.background import Background
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.fills.simple import (
    Blur,
    Constant,
    Custom,
    Inpaint,
    LocalMean,
    Mean,
    Noise,
    NoisyLinear,
    Picture,
    White,
)

BACKGROUND = Background()
BLACK = Constant(0.0)

NAMED: dict[str, Fill] = {
    "black": BLACK,
    "background": BACKGROUND,
    "white": White(),
    "mean": Mean(),
    "local_mean": LocalMean(),
    "noise": Noise(),
    "blur": Blur(),
    "noisy_linear": NoisyLinear(),
    "inpaint": Inpaint(),
}
"""The fills that need nothing but a name."""

FillLike: TypeAlias = (
    Fill | str | float | Sequence[float] | AnyArray | Callable[[FloatArray, BoolArray], AnyArray]
)
"""What `as_fill` understands."""


def as_fill(value: FillLike) -> Fill:
    """A fill, however it is told.

    Args:
        value: A fill; a name, one of "black", "background", "white", "mean", "local_mean", "noise", "blur",
            "inpaint" and "noisy_linear"; a number, or one for each channel; another image, ``[*space]`` or
            ``[C, *space]``; or a function of (image, hidden), see `Custom`.

    Raises:
        TypeError: Anything else.
        ValueError: A name that no fill has, or numbers that are not finite.

    Example:
        >>> as_fill("black"), as_fill([1, 0.5]), as_fill("blur")
        (Constant(), Constant(value=(1.0, 0.5)), Blur())
    """
    if isinstance(value, Fill):
        return value
    if isinstance(value, str):
        if value not in NAMED:
            raise ValueError(f"fill must be {_WANTED}; got {value!r}")
        return NAMED[value]
    if isinstance(value, np.ndarray | Tensor) and value.ndim > 1:
        return Picture(value)
    plain: Any = value.tolist() if isinstance(value, np.ndarray | Tensor) else value
    numbers = isinstance(plain, int | float | np.number | list | tuple) and not isinstance(plain, bool)
    if numbers:
        return Constant(plain)
    if isinstance(plain, type) and issubclass(plain, Fill):
        raise TypeError(f"fill must be a fill, not its class; give {plain.__name__}(...)")
    if callable(plain):
        return Custom(plain)
    raise TypeError(f"fill must be {_WANTED}; got {value!r}")


def name_of(fill: Fill) -> str | None:
    """The name of a fill, where it has one."""
    return next((name for name, known in NAMED.items() if fill == known), None)


def called(fill: object) -> str:
    """What a fill is called in a sentence: its name, or what it is made of if that is short."""
    if not isinstance(fill, Fill):
        return "fill"
    if name := name_of(fill):
        return repr(name)
    parts = [getattr(fill, part.name) for part in fields(fill)]
    if any(callable(part) for part in parts):
        return "of a function"
    if any(isinstance(part, np.ndarray) for part in parts):
        return "of another image" if isinstance(fill, Picture) else "of an array"
    if isinstance(fill, Constant):
        values = np.atleast_1d(fill.value).tolist()
        return f"{', '.join(f'{value:.3g}' for value in values)}" + (
            " in its channels" if len(values) > 1 else ""
        )
    return repr(fill)


def told(fill: Fill, image: FloatArray | None, segment: BoolArray | None) -> str:
    """What a fill is called in a sentence, with the colour that it became in an image.

    Args:
        fill: The fill, as the user said it.
        image: The image ``[C, *space]``. None: not known any more.
        segment: What was segmented in it, bool ``[*space]``.
    """
    if image is None or segment is None or not isinstance(here := fill.for_segment(segment), Background):
        return called(fill)
    colour = ", ".join(
        f"{value:.3g}" for value in here.colour(torch.from_numpy(np.array(image, dtype=np.float64)))
    )
    return f"{called(fill)}, the median of each channel outside the segment: {colour}"


_WANTED = (
    f"one of {', '.join(map(repr, NAMED))}, a number or one for each channel, another image as array, "
    "or a function of (image, hidden)"
)
