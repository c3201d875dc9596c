"""What a result can do with the rooms above it: the one file that looks upwards, when it is called."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interpret_segmentation._types import AnyArray, PathLike
from interpret_segmentation._warnings import warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from interpret_segmentation.results.channels import ChannelExplanations
    from interpret_segmentation.results.explanation import Explanation


def repeat(
    explanation: Explanation, model: Any, image: AnyArray | None, *, progress: bool, changes: dict[str, Any]
) -> Explanation:
    """Run an explanation again; see `Explanation.repeat`."""
    explaining = import_module("interpret_segmentation.explaining")
    repeated: Explanation = explaining.follow_again(
        explanation, model, image, progress=progress, changes=changes
    )
    return repeated


def register_methods(kind: str) -> None:
    """See that a method is known by its name: ours, and those of packages that say they have it.

    A package that cannot be imported is no reason not to open a file; there is a warning.
    """
    methods = import_module("interpret_segmentation.methods")
    try:
        methods.find_method(kind)
    except ImportError as error:
        warn(str(error))


def plot(
    explanation: Explanation,
    axes: Axes | None,
    *,
    color_map: str | Colormap | None,
    limits: tuple[float, float] | None,
    depth: int | None,
    title: str | None,
    outline: bool,
    color_bar: bool,
) -> Axes:
    """Draw the map; see `interpret_segmentation.show.plot`."""
    drawn: Axes = import_module("interpret_segmentation.show").plot(
        explanation,
        axes,
        color_map=color_map,
        limits=limits,
        depth=depth,
        title=title,
        outline=outline,
        color_bar=color_bar,
    )
    return drawn


def overlay(
    explanation: Explanation,
    axes: Axes | None,
    *,
    color_map: str | Colormap | None,
    limits: tuple[float, float] | None,
    alpha: float,
    depth: int | None,
    title: str | None,
    outline: bool,
    color_bar: bool,
) -> Axes:
    """Draw the map over the image; see `interpret_segmentation.show.overlay`."""
    drawn: Axes = import_module("interpret_segmentation.show").overlay(
        explanation,
        axes,
        color_map=color_map,
        limits=limits,
        alpha=alpha,
        depth=depth,
        title=title,
        outline=outline,
        color_bar=color_bar,
    )
    return drawn


def figure(
    explanation: Explanation,
    *,
    figsize: tuple[float, float] | None,
    color_map: str | Colormap | None,
    limits: tuple[float, float] | None,
    depth: int | None,
    title: str | None,
    outline: bool,
    color_bar: bool,
) -> Figure:
    """Draw image and map side by side; see `interpret_segmentation.show.figure`."""
    drawn: Figure = import_module("interpret_segmentation.show").figure(
        explanation,
        figsize=figsize,
        color_map=color_map,
        limits=limits,
        depth=depth,
        title=title,
        outline=outline,
        color_bar=color_bar,
    )
    return drawn


def plot_channels(
    channels: ChannelExplanations,
    *,
    figsize: tuple[float, float] | None,
    color_map: str | Colormap | None,
    limits: tuple[float, float] | None,
    depth: int | None,
    outline: bool,
) -> Figure:
    """Draw the maps of all channels; see `interpret_segmentation.show.plot_channels`."""
    drawn: Figure = import_module("interpret_segmentation.show").plot_channels(
        channels, figsize=figsize, color_map=color_map, limits=limits, depth=depth, outline=outline
    )
    return drawn


def report(
    explanation: Explanation,
    path: PathLike,
    *,
    title: str | None,
    metrics: Mapping[str, Any] | None,
    error: float,
    overwrite: bool,
) -> Path:
    """Write a page to click into; see `interpret_segmentation.show.report`."""
    written: Path = import_module("interpret_segmentation.show").report(
        explanation, path, title=title, metrics=metrics, error=error, overwrite=overwrite
    )
    return written


def frame(explanation: Explanation, height: int) -> Any:
    """The page in a notebook; see `interpret_segmentation.show.frame`."""
    return import_module("interpret_segmentation.show").frame(explanation, height=height)


def in_notebook(explanation: Explanation) -> str:
    """A picture with its caption, as HTML."""
    html: str = import_module("interpret_segmentation.show").in_notebook(explanation)
    return html
