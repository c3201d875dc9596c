"""Every way to explain a segmentation, one file or folder each; entering here registers them all."""

from interpret_segmentation.methods.base import (
    Cost,
    Method,
    all_methods,
    as_method,
    described_settings,
    find_method,
    of_channel,
    run_method,
    settings_of,
)
from interpret_segmentation.methods.hdm import HDM, HausdorffDistanceMasks, HDMResult
from interpret_segmentation.methods.occlusion import Occlusion
from interpret_segmentation.methods.rise import RISE, RISEResult, SegmentationRISE

__all__ = [
    "HDM",
    "RISE",
    "Cost",
    "HDMResult",
    "HausdorffDistanceMasks",
    "Method",
    "Occlusion",
    "RISEResult",
    "SegmentationRISE",
    "all_methods",
    "as_method",
    "described_settings",
    "find_method",
    "of_channel",
    "run_method",
    "settings_of",
]
