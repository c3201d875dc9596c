"""Look at an explanation."""

from interpret_segmentation.show.plots import draw_edges, draw_image, draw_map

__all__ = ["draw_edges", "draw_image", "draw_map"]
