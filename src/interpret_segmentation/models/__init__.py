"""Any model, borrowed: how it is asked, and what its answer says."""

from interpret_segmentation.models.network import Model, SegmentationModel

__all__ = ["Model", "SegmentationModel"]
