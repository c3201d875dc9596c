"""What a picture says as a mask or labels, and which way up it is: the same for files and for PIL images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.ndimage import maximum_filter

from interpret_segmentation._warnings import warn

INEXACT = ("JPEG", "MPO")
"""Formats that do not keep the numbers they are given."""

HALF = 128
"""The grey from which on a pixel of an inexact mask counts."""

BLOCKS = 33
"""Pixels from one side to the other of what a JPEG can change around a pixel: two of its blocks each way."""

NEAR = 16
"""How far the numbers of large areas of an inexact mask may be from 0 and 255; 8 at JPEG's quality 5."""

BETWEEN, LIMITS = 0.25, (64, 192)
"""The largest share of an inexact mask that may lie between these greys. Masks of random blobs gave 0.003 at
JPEG's quality 50 and 0.074 at 5, resized lines of one pixel 0.14."""


def stored(picture: Image.Image) -> str:
    """How a picture's numbers lie in its file, in Pillow's words; empty when they are decoded already."""
    arguments = picture.tile[0].args if getattr(picture, "tile", None) else ""  # type: ignore[attr-defined]
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def upright(picture: Image.Image) -> Image.Image:
    """A copy, decoded and turned as the EXIF entry says; what only the file knew stays in its ``info``."""
    known = {
        # Pillow stretches 2 and 4 bits to the range of 8.
        "stretched": {"L;2": 85, "L;4": 17}.get(stored(picture)[:3], 1),
        "inexact": picture.format in INEXACT or "jpeg" in str(picture.info.get("compression")),
    }
    turned = ImageOps.exif_transpose(picture)
    turned.info.update(known)
    return turned


def labels_in(picture: Image.Image, name: str) -> NDArray[Any]:
    """One upright picture as a ground truth ``[H, W]``; of a palette the indices.

    Raises:
        ValueError: It has colours.
    """
    stretched = picture.info.get("stretched", 1)
    numbers = np.asarray(picture)
    if numbers.ndim == 3:
        colours = numbers[..., :-1] if picture.mode[-1] in "Aa" else numbers
        if (colours != colours[..., :1]).any():
            raise ValueError(
                f"{name} has colours ({picture.mode}), but a mask or labels have one number for each pixel; "
                "save it grey or with a palette"
            )
        numbers = colours[..., 0]
    return numbers // stretched if stretched > 1 else numbers


def as_truth(numbers: NDArray[Any], name: str, *, inexact: bool = False) -> NDArray[Any]:
    """The numbers of a picture as a ground truth: in an 8-bit mask of 0 and 255 only, 255 counts as 1.

    In a mask whose format changes the numbers, those from 128 on count as 1, with a warning.

    Args:
        numbers: ``[H, W]``, or the pages of a picture.
        name: What the user calls it.
        inexact: The format does not keep numbers.

    Raises:
        ValueError: The format has changed the numbers, and they are not those of a mask.
    """
    if numbers.dtype != np.uint8:
        return numbers
    if np.isin(numbers, (0, 255)).all():
        return numbers // 255
    if not inexact:
        return numbers
    if not _is_nearly_a_mask(numbers):
        raise ValueError(
            f"{name} is a JPEG, which does not keep the numbers of labels, and its numbers are not near 0 "
            "and 255 as those of a mask would be; save the ground truth as PNG"
        )
    warn(
        f"{name} is a JPEG, which has blurred its 0 and 255: what is {HALF} or more counts as 1, the rest as "
        "0; save masks as PNG to keep their edges"
    )
    return (numbers >= HALF).astype(np.uint8)


def _is_nearly_a_mask(numbers: NDArray[Any]) -> bool:
    """Whether two numbers, and what a JPEG makes of their edges, are all there is."""
    around = (1,) * (numbers.ndim - 2) + (BLOCKS, BLOCKS)
    bright = numbers >= HALF
    # Away from every edge, equal pixels stay equal.
    dark, light = (np.unique(numbers[maximum_filter(other, around) == 0]) for other in (bright, ~bright))
    flat = len(dark) <= 1 and len(light) <= 1 and (dark < NEAR).all() and (light > 255 - NEAR).all()
    between = (numbers >= LIMITS[0]) & (numbers < LIMITS[1])
    return bool(flat and between.mean() <= BETWEEN)
