"""RISE for segmentation, by the name under which it is documented; it lives in `methods.rise`."""

from interpret_segmentation.methods.rise.method import RISE, SegmentationRISE
from interpret_segmentation.methods.rise.result import RISEResult

__all__ = ["RISE", "RISEResult", "SegmentationRISE"]
