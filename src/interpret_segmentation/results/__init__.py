"""The answer: a map, what was measured for it, and all that it takes to make it again."""

from interpret_segmentation.results.channels import ChannelExplanations
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.layers import Layer, Probe, Probes
from interpret_segmentation.results.recipe import Recipe

__all__ = ["ChannelExplanations", "Explanation", "Layer", "Probe", "Probes", "Recipe"]
