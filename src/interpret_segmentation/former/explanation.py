"""Moved to `results.explanation`."""

from interpret_segmentation.results.explanation import Explanation

__all__ = ["Explanation"]
