"""What lies behind the shapes of a testnet image, and what light and noise do to it.

All of it is done with whole numbers, so that every machine draws the same. Nothing depends on which shapes
are drawn: a scene with one shape less has the same background where it was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interpret_segmentation._types import BoolArray, UInt8Array

MIDDLE = 125
"""Of the range of a photograph's background; its shapes differ from it in every channel, up or down."""


def textured(painted: UInt8Array, covered: BoolArray, seeds: tuple[int, int]) -> UInt8Array:
    """Put clouds of 0 to 70 behind grey shapes, and noise of -20 to 20 on every pixel.

    Args:
        painted: The shapes, ``[H, W]``.
        covered: The pixels that they cover, bool ``[H, W]``.
        seeds: Of the clouds and the noise.
    """
    random = np.random.default_rng([*seeds, 1])
    background = _clouds(random, 71, 9, painted.shape).clip(max=70)
    noise = random.integers(-20, 21, painted.shape)
    return np.clip(np.where(covered, painted, background) + noise, 0, 255).astype(np.uint8)


def photographed(painted: UInt8Array, covered: BoolArray, seeds: tuple[int, int]) -> UInt8Array:
    """Put a cloudy colour behind coloured shapes, light all of it unevenly, and add noise of -12 to 12.

    Args:
        painted: The shapes, ``[H, W, 3]``.
        covered: The pixels that they cover, bool ``[H, W]``.
        seeds: Of clouds, light and noise.
    """
    random = np.random.default_rng([*seeds, 1])
    size = painted.shape[:2]
    coarse, fine = (
        np.stack([_clouds(random, 41, cells, size) for _ in range(3)], axis=-1) for cells in (6, 25)
    )
    background = MIDDLE - 40 + coarse + fine
    percent = 75 + _clouds(random, 51, 4, size)[..., None]
    noise = random.integers(-12, 13, painted.shape)
    lit = np.where(covered[..., None], painted, background) * percent // 100
    photograph: UInt8Array = np.clip(lit + noise, 0, 255).astype(np.uint8)
    return photograph


def _clouds(random: np.random.Generator, below: int, cells: int, size: tuple[int, ...]) -> NDArray[np.int64]:
    """Smooth whole numbers ``[H, W]`` about those, from 0, of a random grid."""
    grid = Image.fromarray(random.integers(0, below, (cells, cells), dtype=np.uint8))
    smooth = grid.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.int64)
