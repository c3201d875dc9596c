"""Draws images and maps into Matplotlib axes, with the image's edges so that one sees where one is."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from PIL import Image
from scipy import ndimage

from interpret_segmentation._types import AnyArray


def draw_image(axes: Axes, image: AnyArray, *, title: str = "") -> None:
    """Show a grey image ``[H, W]`` without axes, black to white over its range of values."""
    axes.imshow(np.asarray(image), cmap="gray", interpolation="nearest")
    axes.set_title(title)
    axes.set_axis_off()


def draw_edges(axes: Axes, image: AnyArray, *, color: str = "black") -> None:
    """Draw thin lines where the brightness of an image ``[H, W]`` jumps.

    An edge is where the Sobel gradient is above a tenth of its largest value, and among the steepest tenth of
    the pixels; a flat image has none.
    """
    pixels = np.asarray(image, dtype=float)
    steepness = np.hypot(ndimage.sobel(pixels, axis=0), ndimage.sobel(pixels, axis=1))
    if steepness.max() > 0:
        least = max(0.1 * steepness.max(), float(np.quantile(steepness, 0.9)))
        edges = np.ma.masked_equal(steepness > least, False)
        axes.imshow(edges, cmap=ListedColormap([color]), alpha=0.5, interpolation="nearest")


def draw_map(
    axes: Axes,
    values: AnyArray | Image.Image,
    image: AnyArray,
    *,
    title: str = "",
    label: str = "",
    color_map: str | Colormap = "viridis",
    limits: tuple[float, float] | None = None,
    edge_color: str = "black",
) -> None:
    """Show a map with the image's edges over it and a colour bar beside it.

    Args:
        axes: Where to draw.
        values: The map ``[H, W]``, NaN where it says nothing; or a finished picture such as a circle map.
        image: The explained image ``[H, W]``.
        title: Above the map.
        label: What the colours mean, with the unit; beside the colour bar.
        color_map: Of the map and its colour bar.
        limits: Values of the first and the last colour. Default: the map's smallest and largest;
            needed for a finished picture, which holds no values.
        edge_color: Colour of the edges.
    """
    if isinstance(values, Image.Image):
        if limits is None:
            raise ValueError("a finished picture needs limits: the values of its first and its last colour")
        axes.imshow(np.asarray(values), interpolation="nearest")
    else:
        values = np.asarray(values, dtype=float)
        limits = limits or (float(np.nanmin(values)), float(np.nanmax(values)))
        axes.imshow(values, cmap=color_map, vmin=limits[0], vmax=limits[1], interpolation="nearest")
    draw_edges(axes, image, color=edge_color)
    first, last = limits
    flat = first == last
    colors = colormaps.get_cmap(color_map)
    if flat:
        colors, last = ListedColormap([colors(0.0)]), first + 1
    scale = ScalarMappable(Normalize(first, last), colors)
    bar = axes.figure.colorbar(scale, ax=axes, fraction=0.046, pad=0.04, ticks=[first] if flat else None)
    bar.set_label(label, labelpad=8)
    axes.set_title(title)
    axes.set_axis_off()
