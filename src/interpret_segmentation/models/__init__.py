"""Any model, borrowed: how it is asked, and what its answer says."""

from interpret_segmentation.models.network import Model, Network, SegmentationModel
from interpret_segmentation.models.options import ModelOptions

__all__ = ["Model", "ModelOptions", "Network", "SegmentationModel"]
