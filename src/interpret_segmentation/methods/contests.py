"""The contestants that the methods themselves bring to the benchmark."""

from __future__ import annotations

from interpret_segmentation.methods import all_methods
from interpret_segmentation.methods.contestant import Contestant
from interpret_segmentation.methods.hdm.contest import circles
from interpret_segmentation.methods.rise.contest import rise

__all__ = ["circles", "contestants_of", "rise"]


def contestants_of(group: str, *, masks: int, offset: int) -> tuple[Contestant, ...]:
    """The settings of every method that belong to a group; see `Method.contestants`."""
    methods = all_methods().values()
    return tuple(one for method in methods for one in method.contestants(group, masks=masks, offset=offset))
