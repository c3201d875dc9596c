"""Look at an explanation."""

from interpret_segmentation.show.explanations import figure, overlay, plot, plot_channels
from interpret_segmentation.show.plots import draw_edges, draw_image, draw_map

__all__ = ["draw_edges", "draw_image", "draw_map", "figure", "overlay", "plot", "plot_channels"]
