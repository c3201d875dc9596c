"""Interpretability of image segmentation models.

What in the image made the network draw this segment, and what made it go wrong?
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "2.0.0.dev0"

if TYPE_CHECKING:
    from interpret_segmentation import hdm, rise, targets
    from interpret_segmentation.channels import ChannelExplanations
    from interpret_segmentation.explaining import explain, explain_channels
    from interpret_segmentation.explanation import Explanation
    from interpret_segmentation.hdm import HDM, HausdorffDistanceMasks, HDMResult
    from interpret_segmentation.model import SegmentationModel
    from interpret_segmentation.occlusion import Occlusion
    from interpret_segmentation.preprocess import Preprocess
    from interpret_segmentation.rise import RISE, RISEResult, SegmentationRISE
    from interpret_segmentation.targets import (
        Border,
        Class,
        Component,
        FalseNegatives,
        FalsePositives,
        Pixel,
        Region,
        as_target,
    )

__all__ = [
    "HDM",
    "RISE",
    "Border",
    "ChannelExplanations",
    "Class",
    "Component",
    "Explanation",
    "FalseNegatives",
    "FalsePositives",
    "HDMResult",
    "HausdorffDistanceMasks",
    "Occlusion",
    "Pixel",
    "Preprocess",
    "RISEResult",
    "Region",
    "SegmentationModel",
    "SegmentationRISE",
    "__version__",
    "as_target",
    "explain",
    "explain_channels",
    "hdm",
    "rise",
    "targets",
]

_HOMES = {
    "channels": ("ChannelExplanations",),
    "explaining": ("explain", "explain_channels"),
    "explanation": ("Explanation",),
    "hdm": ("HDM", "HDMResult", "HausdorffDistanceMasks"),
    "model": ("SegmentationModel",),
    "occlusion": ("Occlusion",),
    "preprocess": ("Preprocess",),
    "rise": ("RISE", "RISEResult", "SegmentationRISE"),
    "targets": (
        "Border",
        "Class",
        "Component",
        "FalseNegatives",
        "FalsePositives",
        "Pixel",
        "Region",
        "as_target",
    ),
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that the command line need not wait for torch."""
    if name in ("hdm", "rise", "targets"):
        return import_module(f"{__name__}.{name}")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
