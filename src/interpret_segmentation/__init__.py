"""Interpretability of image segmentation models.

What in the image made the network draw this segment, and what made it go wrong?
"""

from interpret_segmentation import hdm, rise
from interpret_segmentation.hdm import HausdorffDistanceMasks, HDMResult
from interpret_segmentation.rise import RISEResult, SegmentationRISE

__version__ = "2.0.0.dev0"

__all__ = [
    "HDMResult",
    "HausdorffDistanceMasks",
    "RISEResult",
    "SegmentationRISE",
    "__version__",
    "hdm",
    "rise",
]
