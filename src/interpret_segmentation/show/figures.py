"""Figures of their own: how large they are, and that nobody else shows them."""

from __future__ import annotations

from contextlib import nullcontext

import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PANEL = 4.6
"""Inches of a panel's longer side."""


def own_figure(figsize: tuple[float, float]) -> Figure:
    """A figure that pyplot forgets at once, or a notebook would show it a second time, and others pile up."""
    # A window would open by itself. Where none would, this may be what makes the notebook interactive.
    with plt.ioff() if plt.isinteractive() else nullcontext():
        drawn = plt.figure(figsize=figsize, layout="constrained")
    plt.close(drawn)
    FigureCanvasAgg(drawn)  # in place of the canvas of a window that is gone
    return drawn


def panel(height: int, width: int) -> tuple[float, float]:
    """Width and height of a panel in inches, of the image's proportions as far as a page allows."""
    longer = max(height, width)
    return max(PANEL * width / longer, 1.6), max(PANEL * height / longer, 0.8)
