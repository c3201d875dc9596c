"""Summary of the rows: means with intervals, as a table and as a plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from interpret_segmentation._files import write_whole
from interpret_segmentation.benchmark.rows import FIGURES, Row

__all__ = ["Summary", "summarised"]

RESAMPLES = 2000
CONFIDENCE = 0.95
INTERVALS = (
    "In brackets are 95 % bootstrap intervals over the images; those of fewer than about 20 are too narrow. "
    "A figure's mean is over the images that have it: a map that does not fall at the shape has no edge."
)
SHOWN = ("cue_auc", "cue_hit", "cue_mass", "distractor_mass", "edge_width", "deletion", "insertion")


@dataclass(frozen=True, eq=False)
class Summary:
    """The figures of every method over all images, the method that ranks the cue highest first.

    Attributes:
        values: By method and figure, one number for each image that has one.
        title: What was judged.
    """

    values: dict[str, dict[str, NDArray[np.float64]]]
    title: str = "Testnet"

    @property
    def methods(self) -> Sequence[str]:
        """By name, the best mean cue AUC first."""

        def key(method: str) -> tuple[float, float, str]:
            auc, hit = (self.mean(method, figure) for figure in ("cue_auc", "cue_hit"))
            return -np.nan_to_num(auc, nan=-1), -np.nan_to_num(hit, nan=-1), method

        return sorted(self.values, key=key)

    def mean(self, method: str, figure: str) -> float:
        """Over the images; NaN where none has the figure.

        Raises:
            ValueError: There is no such method, or no such figure.
        """
        found = self._found(method, figure)
        return float(found.mean()) if len(found) else float("nan")

    def interval(self, method: str, figure: str) -> tuple[float, float]:
        """Where the mean lies with 95 % confidence: the percentile bootstrap over the images, seeded.

        NaN for less than two images; too narrow for less than twenty or so.

        Raises:
            ValueError: There is no such method, or no such figure.
        """
        found = self._found(method, figure)
        if len(found) < 2:
            return float("nan"), float("nan")
        if np.ptp(found) == 0:
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
            name = " ".join(method.split()).replace("|", r"\|")
            lines.append([name, str(self.images(method)), *cells, *cost])
        widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
        rows = [
            " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines
        ]
        rule = "-|-".join("-" * width for width in widths)
        table = "\n".join([f"| {rows[0]} |", f"|-{rule}-|", *(f"| {row} |" for row in rows[1:])])
        legend = "\n".join(
            f"- {name.replace('_', ' ')}: {FIGURES[name]}" for name in (*SHOWN, "forwards", "seconds")
        )
        return f"# {self.title}\n\n{table}\n\n{legend}\n\n{INTERVALS}\n"

    def _found(self, method: str, figure: str) -> NDArray[np.float64]:
        """One number for each image that has one."""
        for kind, name, known in (("method", method, self.values), ("figure", figure, FIGURES)):
            if name not in known:
                raise ValueError(f"there is no {kind} {name!r}; use one of {', '.join(known)}")
        return self.values[method].get(figure, np.empty(0))

    def _cell(self, method: str, figure: str) -> str:
        mean, (low, high) = self.mean(method, figure), self.interval(method, figure)
        if np.isnan(mean):
            return ""
        digits = 1 if figure == "edge_width" else 3
        if np.isnan(low):
            return f"{mean:.{digits}f}"
        return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    def draw(self, path: Path, *, most: int = 40) -> None:
        """A picture of cue AUC and cue hit with their intervals and of how many images, best methods on top.

        Args:
            path: A PNG file.
            most: Methods that are shown.
        """
        mpl.use("Agg")
        import matplotlib.pyplot as plt

        methods = self.methods[:most]
        title = (
            f"{self.title}: the best {most} of {len(self.values)}" if len(self.values) > most else self.title
        )
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
        axes[0].set_yticks(places, [f"{name}  n={self.images(name)}" for name in methods], fontsize=8)
        figure.suptitle(title, fontsize=10)
        with write_whole(path) as unfinished:
            figure.savefig(unfinished, dpi=110, format="png")
        plt.close(figure)

    def write(self, folder: Path, name: str) -> None:
        """Table and plot, ``name.md`` and ``name.png`` in a folder."""
        with write_whole(folder / f"{name}.md") as unfinished:
            unfinished.write_text(self.markdown(), encoding="utf-8")
        self.draw(folder / f"{name}.png")


def summarised(rows: Iterable[Row], *, title: str = "Testnet") -> Summary:
    """Gather rows by method and figure, under a title."""
    gathered: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        for figure, value in row.figures.items():
            gathered.setdefault(row.method, {}).setdefault(figure, []).append(value)
    return Summary(
        {
            method: {figure: np.array(found) for figure, found in figures.items()}
            for method, figures in gathered.items()
        },
        title,
    )
