"""Draws explanations: the map, the image under it, what is explained, and a colour bar with its unit."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.results.channels import ChannelExplanations
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.show.figures import own_figure, panel
from interpret_segmentation.show.plots import draw_edges

SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"
NEVER_HIDDEN = "0.75"
FEW = 4
"""A set of at most so many pixels is marked with crosses, for an outline would not be seen."""

WARNING = "#a33a00"

NOTE_LETTERS, NOTE_LINE = 13, 0.2
"""Letters of a note that fit into an inch, and the height of a line in inches."""

LETTERS = 11
"""That fit into an inch of a colour bar's label."""


def plot(
    explanation: Explanation,
    axes: Axes | None = None,
    *,
    color_map: str | Colormap | None = None,
    limits: tuple[float, float] | None = None,
    depth: int | None = None,
    title: str | None = None,
    outline: bool = True,
    color_bar: bool = True,
) -> Axes:
    """Draw the map with the edges of the image, the outline of the segment, and a colour bar with its unit.

    Args:
        explanation: What to draw.
        axes: Where. None: a new figure.
        color_map: None: diverging with white at 0 where values of both signs occur, or else viridis.
        limits: Values of the first and the last colour. None: the map's smallest and largest; the same
            distance on both sides of 0 for a diverging map.
        depth: Slice of a volume. None: the one with the strongest value.
        title: Above the map. None: the method and the target.
        outline: Draw the segment's outline (orange), the explained pixels' where they are others (red,
            dashed) and the ground truth's (blue, dotted).
        color_bar: Draw the colour bar.

    Returns:
        The axes; ``axes.figure.savefig(...)`` saves them.
    """
    axes = _own_axes(explanation) if axes is None else axes
    depth = shown_depth(explanation) if depth is None else depth
    colors, limits = _colors(explanation, color_map, limits)
    _draw_map(axes, explanation, colors, limits, depth)
    if explanation.image is not None:
        draw_edges(axes, grey(_flat(explanation.image, depth, leading=1)))
    _finish(axes, explanation, colors, limits, depth, title=title, outline=outline, color_bar=color_bar)
    return axes


def overlay(
    explanation: Explanation,
    axes: Axes | None = None,
    *,
    color_map: str | Colormap | None = None,
    limits: tuple[float, float] | None = None,
    alpha: float = 0.8,
    depth: int | None = None,
    title: str | None = None,
    outline: bool = True,
    color_bar: bool = True,
) -> Axes:
    """Draw the map over the image in grey: the stronger a value, the more opaque its colour.

    Args:
        explanation: What to draw.
        axes: Where. None: a new figure.
        color_map: As for `plot`.
        limits: As for `plot`.
        alpha: How opaque the strongest values are, from 0 to 1. Where the map is at its neutral value (0, or
            the smallest of a map without sign) and where nothing was hidden, the image is seen alone.
        depth: As for `plot`.
        title: As for `plot`.
        outline: As for `plot`.
        color_bar: As for `plot`.

    Raises:
        ValueError: The explanation was built without an image.
    """
    if explanation.image is None:
        raise ValueError("this explanation was built without an image, so there is nothing to draw it over")
    axes = _own_axes(explanation) if axes is None else axes
    depth = shown_depth(explanation) if depth is None else depth
    colors, limits = _colors(explanation, color_map, limits)
    axes.imshow(grey(_flat(explanation.image, depth, leading=1)), cmap="gray", interpolation="nearest")
    _draw_map(axes, explanation, colors, limits, depth, alpha)
    _finish(
        axes,
        explanation,
        colors,
        limits,
        depth,
        title=title,
        outline=outline,
        color_bar=color_bar,
    )
    return axes


def figure(explanation: Explanation, *, figsize: tuple[float, float] | None = None, **options: Any) -> Figure:
    """A figure for a paper: the image with what is explained on the left, the map on the right.

    Args:
        explanation: What to draw.
        figsize: Width and height in inches. None: what suits the image.
        **options: Of `plot`.

    Returns:
        The figure, with ``savefig``; a notebook shows it as the last line of a cell. `matplotlib.pyplot` does
        not know it: nothing has to be closed, and ``plt.show()`` does not show it, as it does `plot`.
    """
    height, width = explanation.saliency.shape[-2:]
    wide = width > 2 * height
    size = panel(height, width)
    suitable = (size[0] + 1.6, 2 * size[1] + 2.0) if wide else (2 * size[0] + 1.6, size[1] + 1.0)
    notes = fill(" ".join(explanation.notes), int((figsize or suitable)[0] * NOTE_LETTERS))
    if notes:
        suitable = (suitable[0], suitable[1] + NOTE_LINE * (notes.count("\n") + 2))
    drawn = own_figure(figsize or suitable)
    left, right = drawn.subplots(2 if wide else 1, 1 if wide else 2, squeeze=False).flat
    depth = options.pop("depth", None)
    depth = shown_depth(explanation) if depth is None else depth
    if explanation.image is None:
        left.set_axis_off()
    else:
        draw_picture(left, explanation, depth)
    plot(explanation, right, depth=depth, **options)
    if notes:
        drawn.supxlabel(notes, fontsize="small", color=WARNING)
    return drawn


def draw_picture(axes: Axes, explanation: Explanation, depth: int) -> None:
    """Draw the explained image with outlines and a legend."""
    assert explanation.image is not None
    image = _flat(explanation.image, depth, leading=1)
    axes.imshow(in_colour(image), cmap="gray", interpolation="nearest")
    lines = list(draw_outlines(axes, explanation, depth))
    if lines:
        axes.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, frameon=False)
    axes.set_title("image" + _slice_note(explanation, depth))
    axes.set_axis_off()


def plot_channels(
    channels: ChannelExplanations, *, figsize: tuple[float, float] | None = None, **options: Any
) -> Figure:
    """Draw the maps of all channels side by side, on one scale with one colour bar.

    Args:
        channels: What to draw.
        figsize: Width and height in inches. None: what suits the image.
        **options: Of `plot`.

    Returns:
        The figure, as `figure` gives it.
    """
    height, width = channels[0].saliency.shape[-2:]
    size = panel(height, width)
    count = len(channels)
    drawn = own_figure(figsize or (count * size[0] + 1.6, size[1] + 0.8))
    panels = drawn.subplots(1, count, squeeze=False)
    strongest = max(channels.explanations, key=lambda one: float(np.abs(one.saliency).max()))
    signed = any(one.signed for one in channels.explanations)
    options = {name: value for name, value in options.items() if value is not None}
    options.setdefault("limits", _limits(channels.saliency, signed))
    options.setdefault("color_map", DIVERGING if signed else SEQUENTIAL)
    options.setdefault("depth", shown_depth(strongest))
    for axes, one, name in zip(panels.flat, channels.explanations, channels.names, strict=True):
        plot(one, axes, title=f"channel {name}", color_bar=False, **options)
    colors = colormaps.get_cmap(options["color_map"])
    _draw_bar(list(panels.flat), strongest, colors, options["limits"])
    return drawn


def draw_outlines(axes: Axes, explanation: Explanation, depth: int) -> Iterator[Line2D]:
    """Draw the outlines of segment, explained pixels and ground truth; yields what a legend needs."""
    segment, pixels, truth = explanation.segment, explanation.pixels, true_segment(explanation)
    outlines: list[tuple[BoolArray | None, str, str, str]] = [(segment, "tab:orange", "solid", "segment")]
    if pixels is not None and not (segment is not None and np.array_equal(pixels, segment)):
        outlines.append((pixels, "tab:red", "dashed", "explained"))
    if truth is not None:
        outlines.append((truth, "tab:blue", "dotted", "ground truth"))
    for mask, color, style, name in outlines:
        if mask is None:
            continue
        flat = _flat(mask, depth)
        if 0 < np.count_nonzero(mask) <= FEW:
            axes.plot(*np.argwhere(flat).T[::-1], "x", color=color, markersize=8, linestyle="none")
            yield Line2D([], [], color=color, marker="x", linestyle="none", label=name)
            continue
        # One pixel more on every side, so that outlines close at the image's edge.
        if flat.any():
            rows, columns = (np.arange(-1, side + 1) for side in flat.shape)
            axes.contour(
                columns, rows, np.pad(flat, 1), levels=[0.5], colors=color, linestyles=style, linewidths=1.2
            )
            yield Line2D([], [], color=color, ls=style, label=name)


def true_segment(explanation: Explanation) -> BoolArray | None:
    """The whole ground truth of the explained class, bool ``[*space]``; None when there was none."""
    recipe = explanation.recipe
    if recipe is None or recipe.reference is None:
        return None
    values = np.asarray(recipe.reference).reshape(explanation.saliency.shape)
    labels = values.max() > 1 and recipe.target is not None
    segment: BoolArray = values == recipe.target.label if labels and recipe.target else values > 0
    return segment


def shown_depth(explanation: Explanation) -> int:
    """The slice of a volume with the strongest value; 0 for an image."""
    saliency = explanation.saliency
    if saliency.ndim == 2:
        return 0
    return int(np.unravel_index(np.abs(saliency).argmax(), saliency.shape)[0])


def in_colour(image: FloatArray) -> FloatArray:
    """An image ``[C, H, W]`` to look at: three channels as RGB from 0 to 1, any other number in grey."""
    if len(image) != 3:
        return grey(image)
    low, high = float(image.min()), float(image.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    colours: FloatArray = np.moveaxis((image - low) / ((high - low) or 1), 0, -1)
    return colours


def grey(image: FloatArray) -> FloatArray:
    """The mean over the channels of an image ``[C, H, W]``."""
    mean: FloatArray = np.asarray(image, dtype=np.float64).mean(axis=0)
    return mean


def _draw_map(
    axes: Axes,
    explanation: Explanation,
    colors: Colormap,
    limits: tuple[float, float],
    depth: int,
    alpha: float | None = None,
) -> None:
    values = np.array(_flat(explanation.saliency, depth), dtype=np.float64)
    opacity = None
    if alpha is not None:
        neutral = 0 if explanation.signed else limits[0]
        strength = np.abs(values - neutral) / (max(abs(limit - neutral) for limit in limits) or 1)
        opacity = alpha * strength.clip(0, 1)
    if explanation.reached is not None:
        never = ~_flat(explanation.reached, depth)
        values[never] = np.nan
        if opacity is not None:
            opacity[never] = 0
    axes.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1], alpha=opacity, interpolation="nearest")


def _finish(
    axes: Axes,
    explanation: Explanation,
    colors: Colormap,
    limits: tuple[float, float],
    depth: int,
    *,
    title: str | None,
    outline: bool,
    color_bar: bool,
) -> None:
    height, width = explanation.saliency.shape[-2:]
    if outline:
        list(draw_outlines(axes, explanation, depth))
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    if color_bar:
        _draw_bar(axes, explanation, colors, limits)
    name = (
        f"{explanation.method}: {explanation.target}"
        if explanation.target is not None
        else explanation.method
    )
    axes.set_title(name + _slice_note(explanation, depth) if title is None else title)
    axes.set_axis_off()


def _draw_bar(
    axes: Axes | list[Axes],
    explanation: Explanation,
    colors: Colormap,
    limits: tuple[float, float],
) -> None:
    first, last = limits
    flat = first == last
    if flat:
        colors, last = ListedColormap([colors(0.0)]), first + 1
    scale = ScalarMappable(Normalize(first, last), colors)
    height, width = explanation.saliency.shape[-2:]
    place: dict[str, Any] = {"fraction": 0.046, "pad": 0.03}
    if width > 2 * height:
        place = {"location": "bottom", "fraction": 0.2, "pad": 0.05, "aspect": 60}
    drawn = axes[0].figure if isinstance(axes, list) else axes.figure
    bar = drawn.colorbar(scale, ax=axes, ticks=[first] if flat else None, **place)
    label = f"{explanation.meaning} ({explanation.unit})" if explanation.unit else explanation.meaning
    length = panel(height, width)[0 if "location" in place else 1]
    label = fill(label, max(20, int(length * LETTERS)))
    if explanation.reached is not None and not explanation.reached.all():
        label += "\n(not coloured: never hidden)"
    bar.set_label(label, labelpad=8)


def _colors(
    explanation: Explanation, color_map: str | Colormap | None, limits: tuple[float, float] | None
) -> tuple[Colormap, tuple[float, float]]:
    chosen = color_map or (DIVERGING if explanation.signed else SEQUENTIAL)
    colors = colormaps.get_cmap(chosen).with_extremes(bad=NEVER_HIDDEN)
    reached = (
        explanation.saliency if explanation.reached is None else explanation.saliency[explanation.reached]
    )
    low, high = _limits(reached, explanation.signed)
    # A loss or growth of 0 is what darkest means; a probability has no such zero.
    low = low if explanation.signed or not explanation.from_zero else min(low, 0.0)
    return colors, limits or (low, high)


def _limits(values: FloatArray, signed: bool) -> tuple[float, float]:
    if not values.size:
        return 0.0, 0.0
    if signed:
        largest = float(np.abs(values).max())
        return -largest, largest
    return float(values.min()), float(values.max())


def _flat(array: AnyArray, depth: int, *, leading: int = 0) -> Any:
    """The slice of an array whose axes of space come after ``leading`` others."""
    volume = array.ndim == leading + 3
    return array[(slice(None),) * leading + (depth,)] if volume else array


def _slice_note(explanation: Explanation, depth: int) -> str:
    shape = explanation.saliency.shape
    return f" (slice {depth} of {shape[0]})" if len(shape) == 3 else ""


def _own_axes(explanation: Explanation) -> Axes:
    width, height = panel(*explanation.saliency.shape[-2:])
    _, axes = plt.subplots(figsize=(width + 1.4, height + 1.0), layout="constrained")
    return axes
