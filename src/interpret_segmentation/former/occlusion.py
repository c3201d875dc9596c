"""Moved to `methods.occlusion`."""

from interpret_segmentation.methods.occlusion import Occlusion

__all__ = ["Occlusion"]
