"""RISE for segmentation, by the name under which release 1.0.0 documents it."""

from interpret_segmentation.methods.rise import RISE, RISEResult, SegmentationRISE

__all__ = ["RISE", "RISEResult", "SegmentationRISE"]
