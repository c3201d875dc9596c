"""Moved to `models.stated`."""

from interpret_segmentation.models.stated import SegmentationModel

__all__ = ["SegmentationModel"]
