"""Moved to `data.files`."""

from interpret_segmentation.data.files import read_image, read_reference

__all__ = ["read_image", "read_reference"]
