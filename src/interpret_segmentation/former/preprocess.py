"""Moved to `data.preprocess`."""

from interpret_segmentation.data.preprocess import Preprocess

__all__ = ["Preprocess"]
