"""What the rows say together: means with intervals, as a table and as a plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from interpret_segmentation._files import written_whole
from interpret_segmentation.benchmark.rows import FIGURES, Row

__all__ = ["Summary", "summarised"]

RESAMPLES = 2000
CONFIDENCE = 0.95
SHOWN = ("cue_auc", "cue_hit", "cue_mass", "distractor_mass", "edge_width", "deletion", "insertion")


@dataclass(frozen=True, eq=False)
class Summary:
    """The figures of every method over all images, the method that ranks the cue highest first.

    Attributes:
        values: By method and figure, one number for each image that has one.
    """

    values: dict[str, dict[str, NDArray[np.float64]]]

    @property
    def methods(self) -> Sequence[str]:
        """By name, the best mean cue AUC first."""

        def key(method: str) -> tuple[float, float, str]:
            auc, hit = (self.mean(method, figure) for figure in ("cue_auc", "cue_hit"))
            return -np.nan_to_num(auc, nan=-1), -np.nan_to_num(hit, nan=-1), method

        return sorted(self.values, key=key)

    def mean(self, method: str, figure: str) -> float:
        """Over the images; NaN where none has the figure."""
        found = self.values[method].get(figure, np.empty(0))
        return float(found.mean()) if len(found) else float("nan")

    def interval(self, method: str, figure: str) -> tuple[float, float]:
        """Where the mean lies with 95 % confidence: the percentile bootstrap over the images, seeded."""
        found = self.values[method].get(figure, np.empty(0))
        if len(found) < 2 or np.ptp(found) == 0:
            return (self.mean(method, figure),) * 2
        low, high = bootstrap(
            (found,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        return float(low), float(high)

    def images(self, method: str) -> int:
        """How many it has explained."""
        return max((len(found) for found in self.values[method].values()), default=0)

    def markdown(self) -> str:
        """A table, one line for each method: means, with their 95 % intervals in brackets."""
        heads = ["method", "images", *(figure.replace("_", " ") for figure in SHOWN), "forwards", "seconds"]
        lines = [heads]
        for method in self.methods:
            cells = [self._cell(method, figure) for figure in SHOWN]
            cost = [
                f"{self.mean(method, figure):,.{digits}f}"
                for figure, digits in (("forwards", 0), ("seconds", 1))
            ]
            lines.append([method, str(self.images(method)), *cells, *cost])
        widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
        rows = [
            " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines
        ]
        rule = "-|-".join("-" * width for width in widths)
        table = "\n".join([f"| {rows[0]} |", f"|-{rule}-|", *(f"| {row} |" for row in rows[1:])])
        legend = "\n".join(
            f"- {name.replace('_', ' ')}: {FIGURES[name]}" for name in (*SHOWN, "forwards", "seconds")
        )
        return f"{table}\n\n{legend}\n"

    def _cell(self, method: str, figure: str) -> str:
        mean, (low, high) = self.mean(method, figure), self.interval(method, figure)
        if np.isnan(mean):
            return ""
        digits = 1 if figure == "edge_width" else 3
        return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    def draw(self, path: Path, *, most: int = 40) -> None:
        """A picture of cue AUC and cue hit with their intervals, the best methods on top.

        Args:
            path: A PNG file.
            most: Methods that are shown.
        """
        mpl.use("Agg")
        import matplotlib.pyplot as plt

        methods = self.methods[:most]
        figure, axes = plt.subplots(
            1, 2, figsize=(11, 1.4 + 0.22 * len(methods)), sharey=True, layout="constrained"
        )
        places = np.arange(len(methods))[::-1]
        for one, name in zip(axes, ("cue_auc", "cue_hit"), strict=True):
            means = np.array([self.mean(method, name) for method in methods])
            ends = np.array([self.interval(method, name) for method in methods])
            one.errorbar(means, places, xerr=np.abs(ends - means[:, None]).T, fmt="o", ms=4, capsize=2)
            one.set(xlabel=f"{name.replace('_', ' ')} (mean, 95 % interval)", xlim=(-0.02, 1.02))
            one.grid(alpha=0.3)
        axes[0].axvline(0.5, color="gray", ls="--", lw=1)
        axes[0].set_yticks(places, methods, fontsize=8)
        with written_whole(path) as unfinished:
            figure.savefig(unfinished, dpi=110, format="png")
        plt.close(figure)

    def write(self, folder: Path) -> None:
        """``table.md`` and ``plot.png`` in a folder."""
        with written_whole(folder / "table.md") as unfinished:
            unfinished.write_text(self.markdown(), encoding="utf-8")
        self.draw(folder / "plot.png")


def summarised(rows: Iterable[Row]) -> Summary:
    """Gather rows by method and figure."""
    gathered: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        for figure, value in row.figures.items():
            gathered.setdefault(row.method, {}).setdefault(figure, []).append(value)
    return Summary(
        {
            method: {figure: np.array(found) for figure, found in figures.items()}
            for method, figures in gathered.items()
        }
    )
