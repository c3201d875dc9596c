"""Models in files, opened without running code that they bring."""

from interpret_segmentation.models.files.exported import ExportedModel, exported_shape
from interpret_segmentation.models.files.onnx_model import OnnxModel
from interpret_segmentation.models.files.opening import load_model

__all__ = ["ExportedModel", "OnnxModel", "exported_shape", "load_model"]
