"""Moved to `results.channels`."""

from interpret_segmentation.results.channels import ChannelExplanations

__all__ = ["ChannelExplanations"]
