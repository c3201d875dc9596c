"""Look at an explanation: plots, the report, and what a notebook shows."""

from interpret_segmentation.show.explanations import figure, overlay, plot, plot_channels
from interpret_segmentation.show.notebook import frame, in_notebook
from interpret_segmentation.show.plots import draw_edges, draw_image, draw_map
from interpret_segmentation.show.power import figure_of_power
from interpret_segmentation.show.reports import report

__all__ = [
    "draw_edges", "draw_image", "draw_map", "figure", "figure_of_power", "frame", "in_notebook", "overlay",
    "plot", "plot_channels", "report",
]  # fmt: skip
