"""Who takes part in the benchmark: a function from (model, image, target) to a map, or to several."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.results.explanation import Explanation

Map: TypeAlias = AnyArray | Explanation

Function: TypeAlias = Callable[[nn.Module, Tensor, BoolArray], Map | Mapping[str, Map]]
"""``(model, image [C, H, W], target [H, W]) -> map [H, W]``; or maps by name, when they share their forwards.

The target is the true segment, the pixels whose segmentation is to be explained.
"""


@dataclass(frozen=True)
class Contestant:
    """A function, and what its maps are called.

    Attributes:
        names: Of the maps that it returns, known before it runs.
        explain: The function; it returns one map, or with several names a map for each.
    """

    names: tuple[str, ...]
    explain: Function


def seed_of(image: Tensor) -> int:
    """A seed for masks: the same in every run, another for each image.

    If all images shared one draw of masks, the interval over the images would not hold how much it decides.
    """
    return zlib.crc32(image.numpy().tobytes())
