"""Any model, borrowed: how it is asked, and what its answer says."""

from interpret_segmentation.models.network import Model, Network
from interpret_segmentation.models.options import ModelOptions
from interpret_segmentation.models.stated import SegmentationModel

__all__ = ["Model", "ModelOptions", "Network", "SegmentationModel"]
