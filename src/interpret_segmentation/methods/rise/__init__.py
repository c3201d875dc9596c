"""RISE for segmentation."""

from interpret_segmentation.methods.rise.method import RISE
from interpret_segmentation.methods.rise.release_1 import SegmentationRISE
from interpret_segmentation.methods.rise.result import RISEResult

__all__ = ["RISE", "RISEResult", "SegmentationRISE"]
