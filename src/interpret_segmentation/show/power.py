"""Draws the power of parts: which of them turn the segment over, over the image."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.evaluate.intervention import Power
from interpret_segmentation.evaluate.minimal_sets import MinimalSet
from interpret_segmentation.show.explanations import SEQUENTIAL, grey, in_colour
from interpret_segmentation.show.figures import own_figure, panel

STRONGEST = 6
"""Parts whose numbers are written on them."""

LETTERS = 13
"""Of the sentence below that fit into an inch."""


def figure_of_power(power: Power, found: MinimalSet | None = None) -> Figure:
    """The image with what is explained on the left, the power of its parts on the right.

    Args:
        power: What was measured. Of a volume the slice with most power is drawn; the power of channels is a
            row of bars.
        found: A set of the same parts to outline in red; of channels, to draw in red.

    Returns:
        The figure, with ``savefig``; `matplotlib.pyplot` does not know it.

    Raises:
        ValueError: The set is of other parts.
    """
    given: object = found
    if given is not None and not isinstance(given, MinimalSet):
        raise TypeError(f"found must be what minimal_set returned, got {type(given).__name__}")
    if found is not None and not _are_parts_of(power, found):
        raise ValueError(
            "found is a set of other parts, or of another image, than those whose power is drawn; give both "
            "the same image and parts="
        )
    height, width = power.pixels.shape[-2:]
    size = panel(height, width)
    drawn = own_figure((2 * size[0] + 1.8, size[1] + 1.6))
    left, right = drawn.subplots(1, 2)
    depth = _depth(power)
    where = f" (slice {depth} of {len(power.pixels)})" if power.pixels.ndim == 3 else ""
    image = power.image[:, depth] if power.pixels.ndim == 3 else power.image
    pixels = power.pixels[depth] if power.pixels.ndim == 3 else power.pixels
    left.imshow(in_colour(image), cmap="gray", interpolation="nearest")
    _outline(left, pixels, "tab:orange")
    left.set_title("image, what is explained outlined" + where)
    left.set_axis_off()
    if power.labels is None:
        _draw_channels(right, power, found)
    else:
        labels = power.labels[depth] if power.pixels.ndim == 3 else power.labels
        _draw_parts(right, power, image, labels)
        _outline(right, pixels, "tab:orange")
        if found is not None:
            _outline(right, np.isin(np.append(power.numbers, -1)[labels], found.parts), "red")
    if found is not None:
        line = Line2D([], [], color="red", label=f"{found.kind} set of {len(found.parts)}")
        below = -0.01 if power.labels is not None else -0.15
        right.legend(handles=[line], loc="upper center", bbox_to_anchor=(0.5, below), frameon=False)
    drawn.supxlabel(fill(power.verdict, int(drawn.get_figwidth() * LETTERS)), fontsize="small")
    return drawn


def _are_parts_of(power: Power, found: MinimalSet) -> bool:
    """Whether a set is one of the parts whose power is known."""
    if not np.allclose((power.whole, power.nothing), (found.whole, found.nothing), atol=1e-4):
        return False
    if power.labels is None or found.labels is None:
        return power.labels is found.labels and bool(np.isin(found.parts, power.numbers).all())
    return np.array_equal(np.append(power.numbers, -1)[power.labels], found.labels)


def _depth(power: Power) -> int:
    """The slice with most power; of several the one with most explained pixels, in the middle."""
    if power.pixels.ndim == 2:
        return 0
    weight = power.map if power.labels is not None and power.turns_over else power.pixels
    sums = weight.reshape(len(weight), -1).sum(axis=1)
    explained = power.pixels.reshape(len(weight), -1).sum(axis=1)
    ties = np.flatnonzero(np.isclose(sums, sums.max()))
    best = ties[explained[ties] == explained[ties].max()]
    return int(best[len(best) // 2])


def _draw_parts(axes: Axes, power: Power, image: FloatArray, labels: NDArray[np.int64]) -> None:
    axes.imshow(grey(image), cmap="gray", interpolation="nearest")
    values = np.append(power.power, np.nan)[labels]
    if not power.turns_over:
        axes.set_title(f"none of {len(power)} parts turns it over")
        axes.set_axis_off()
        return
    largest = float(power.power.max())
    colors = colormaps.get_cmap(SEQUENTIAL)
    axes.imshow(
        values,
        cmap=colors,
        vmin=0,
        vmax=largest,
        interpolation="nearest",
        alpha=np.where(np.nan_to_num(values) > 0, 0.75, 0),
    )
    borders = np.zeros(labels.shape, dtype=bool)
    borders[1:] |= labels[1:] != labels[:-1]
    borders[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    axes.imshow(np.ma.masked_equal(borders, False), cmap="gray_r", alpha=0.25, interpolation="nearest")
    _number(axes, power, labels)
    bar = axes.figure.colorbar(
        ScalarMappable(Normalize(0, largest), colors), ax=axes, fraction=0.046, pad=0.03
    )
    bar.set_label("power (share of orders)", labelpad=8)
    axes.set_title(f"power of {len(power)} parts")
    axes.set_axis_off()


def _number(axes: Axes, power: Power, labels: NDArray[np.int64]) -> None:
    """Write the numbers of the strongest parts on them."""
    for place in np.argsort(-power.power)[:STRONGEST]:
        rows, columns = np.nonzero(labels == place)
        if power.power[place] <= 0 or not len(rows):
            continue
        # The pixel of the part that is nearest to its centre: a bent part need not hold its centre.
        nearest = np.hypot(rows - rows.mean(), columns - columns.mean()).argmin()
        axes.text(
            columns[nearest],
            rows[nearest],
            str(power.numbers[place]),
            color="white",
            fontsize="small",
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2, foreground="black")],
        )


def _draw_channels(axes: Axes, power: Power, found: MinimalSet | None) -> None:
    places = np.arange(len(power))
    colors = ["red" if found and number in found.parts else "tab:blue" for number in power.numbers]
    axes.bar(places, power.power, yerr=np.nan_to_num(power.standard_error), capsize=3, color=colors)
    axes.set_xticks(places, [str(place) for place in places])
    axes.set(xlabel="channel", ylabel="power", ylim=(0, 1), title=f"power of {len(power)} channels")


def _outline(axes: Axes, region: BoolArray, color: str) -> None:
    if region.any() and not region.all():
        axes.contour(region, levels=[0.5], colors=color, linewidths=1.5)
