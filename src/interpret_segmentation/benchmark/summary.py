"""Summary of the rows: means with intervals, paired differences, as tables and as a plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from interpret_segmentation._files import write_whole
from interpret_segmentation.benchmark.rows import FIGURES, Row
from interpret_segmentation.evaluate.baselines import BASELINES
from interpret_segmentation.evaluate.metrics import METRICS

__all__ = ["Difference", "Summary", "summarised"]

RESAMPLES = 2000
CONFIDENCE = 0.95
INTERVALS = (
    "In brackets are 95 % bootstrap intervals over the images, and over the networks where there are "
    "several; those of fewer than about 20 images are too narrow. A figure's mean is over the images that "
    "have it, and then over the networks: a map that does not fall at the shape has no edge."
)
FOR_NOTHING = (
    "A figure marked (!) is won by a map that knows nothing of the network: it tells nothing of who explains."
)
TRUTH = (
    "power_rank",
    "power_hit",
    "power_within",
    "cue_auc_others",
    "claimed",
    "contrast_rank",
    "edge_width",
)
PLACE = ("cue_auc", "cue_hit", "cue_mass", "distractor_mass", "deletion", "insertion")
COST = ("forwards", "backwards", "seconds")
ORDER = ("power_rank", "cue_auc", "cue_hit")
"""Which figures rank the methods; the first that any of them has comes first."""


@dataclass(frozen=True)
class Difference:
    """How much one method's figure lies above another's, image by image.

    Attributes:
        mean: Over the images, and then over the networks.
        low: Where the mean lies with 95 % confidence, from ...
        high: ... to.
        images: How many have both figures.
    """

    mean: float
    low: float
    high: float
    images: int

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclass(frozen=True, eq=False)
class Summary:
    """The figures of every method over all images, the method that agrees most with the truth first.

    Attributes:
        values: By method and figure, one number for each image that has one.
        title: What was judged.
        cases: By method and figure, the network and the image of each of these numbers. Empty: one network,
            and nothing can be paired.
    """

    values: dict[str, dict[str, NDArray[np.float64]]]
    title: str = "Testnet"
    cases: Mapping[str, Mapping[str, Sequence[tuple[str, int]]]] = field(default_factory=dict)

    @property
    def methods(self) -> Sequence[str]:
        """By name, the best mean power rank first; without any, the best cue AUC."""
        ranking = [name for name in ORDER if any(name in found for found in self.values.values())]

        def key(method: str) -> tuple[float | str, ...]:
            means = (self.mean(method, figure) for figure in ranking)
            return (*(-float(np.nan_to_num(mean, nan=-1)) for mean in means), method)

        return sorted(self.values, key=key)

    def mean(self, method: str, figure: str) -> float:
        """Over the images, and then over the networks; NaN where none has the figure.

        Raises:
            ValueError: There is no such method, or no such figure.
        """
        found = self._by_network(method, figure)
        return float(np.mean([one.mean() for one in found])) if found else float("nan")

    def interval(self, method: str, figure: str) -> tuple[float, float]:
        """Where the mean lies with 95 % confidence.

        The percentile bootstrap over networks and images, seeded. NaN for less than two images; too narrow
        for less than twenty or so.

        Raises:
            ValueError: There is no such method, or no such figure.
        """
        return _interval(self._by_network(method, figure))

    def difference(self, method: str, other: str, figure: str) -> Difference:
        """How much a method's figure lies above another's, over the images that have both.

        Args:
            method: Name of a map.
            other: Name of another.
            figure: Of `FIGURES`.

        Raises:
            ValueError: There is no such method or figure, or no image has both.
        """
        pairs: dict[str, list[float]] = {}
        first, second = (self._numbered(name, figure) for name in (method, other))
        # In one order, so that the interval is the same in every process.
        for case in sorted(first.keys() & second.keys()):
            pairs.setdefault(case[0], []).append(first[case] - second[case])
        if not pairs:
            raise ValueError(f"no image has {figure} of both {method} and {other}, so nothing can be paired")
        found = [np.array(pairs[network]) for network in sorted(pairs)]
        low, high = _interval(found)
        return Difference(float(np.mean([one.mean() for one in found])), low, high, sum(map(len, found)))

    def best_baseline(self, figure: str) -> str | None:
        """The map that knows nothing of the network with the best mean; None where none takes part.

        Raises:
            ValueError: There is no such figure, or it has no direction.
        """
        better = _direction(figure)
        found = {
            name: self.mean(name, figure) * better for name in self.values if name in BASELINES
        }  # fmt: skip
        found = {name: value for name, value in found.items() if not np.isnan(value)}
        return max(found, key=lambda name: found[name]) if found else None

    def is_won_by_nothing(self, figure: str) -> bool:
        """Whether a map that knows nothing of the network has the best mean, or as good a one."""
        if METRICS.get(figure) is None or METRICS[figure].higher_is_better is None:
            return False
        baseline = self.best_baseline(figure)
        others = [self.mean(name, figure) for name in self.values if name not in BASELINES]
        others = [value for value in others if not np.isnan(value)]
        if baseline is None or not others:
            return False
        better = _direction(figure)
        return self.mean(baseline, figure) * better >= max(value * better for value in others)

    def images(self, method: str) -> int:
        """How many it has explained."""
        return max((len(found) for found in self.values[method].values()), default=0)

    def markdown(self) -> str:
        """Tables, one line for each method: means, with their 95 % intervals in brackets."""
        shown = [
            figure
            for figure in (*TRUTH, *PLACE)
            if any(figure in found for found in self.values.values())
        ]  # fmt: skip
        true = [figure for figure in shown if figure in TRUTH]
        places = [figure for figure in shown if figure in PLACE]
        parts = [f"# {self.title}"]
        if measured := any(figure in shown for figure in TRUTH[:3]):
            parts += ["## What was measured by intervention", self._table(true, against=True)]
            parts += ["## Where the map lies", self._table(places)]
        else:
            parts.append(self._table([*places, *true]))
        legend = "\n".join(f"- {name.replace('_', ' ')}: {FIGURES[name]}" for name in (*shown, *COST))
        parts += [legend, INTERVALS]
        if any(map(self.is_won_by_nothing, shown)):
            parts.append(FOR_NOTHING)
        if measured:
            parts.append(
                "Over baseline is by how much the power rank lies above that of the best map that knows "
                "nothing, image by image; with power is in how many images there is any to find."
            )
        return "\n\n".join(parts) + "\n"

    def _table(self, figures: Sequence[str], *, against: bool = False) -> str:
        marked = [
            figure.replace("_", " ") + (" (!)" if self.is_won_by_nothing(figure) else "")
            for figure in figures
        ]
        extra = ["over baseline", "with power"] if against else []
        lines = [["method", "images", *marked, *extra, *COST]]
        baseline = self.best_baseline("power_rank") if against else None
        for method in self.methods:
            cells = [self._cell(method, figure) for figure in figures]
            if against:
                cells.append(self._against(method, baseline))
                cells.append(str(len(self.values[method].get("power_rank", ()))))
            cost = [
                "" if np.isnan(mean := self.mean(method, figure)) else f"{mean:,.{digits}f}"
                for figure, digits in zip(COST, (0, 0, 1), strict=True)
            ]
            name = " ".join(method.split()).replace("|", r"\|")
            lines.append([name, str(self.images(method)), *cells, *cost])
        widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
        rows = [
            " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines
        ]
        rule = "-|-".join("-" * width for width in widths)
        return "\n".join([f"| {rows[0]} |", f"|-{rule}-|", *(f"| {row} |" for row in rows[1:])])

    def _against(self, method: str, baseline: str | None) -> str:
        if baseline is None or method in BASELINES:
            return ""
        try:
            return str(self.difference(method, baseline, "power_rank"))
        except ValueError:
            return ""

    def _found(self, method: str, figure: str) -> NDArray[np.float64]:
        """One number for each image that has one."""
        for kind, name, known in (("method", method, self.values), ("figure", figure, FIGURES)):
            if name not in known:
                raise ValueError(f"there is no {kind} {name!r}; use one of {', '.join(known)}")
        return self.values[method].get(figure, np.empty(0))

    def _by_network(self, method: str, figure: str) -> list[NDArray[np.float64]]:
        """The numbers of each network that has any."""
        found = self._found(method, figure)
        cases = self.cases.get(method, {}).get(figure, ())
        if not len(cases):
            return [found] if len(found) else []
        networks = np.array([network for network, _ in cases])
        return [found[networks == name] for name in sorted(set(networks.tolist()))]

    def _numbered(self, method: str, figure: str) -> dict[tuple[str, int], float]:
        """The number of each network and image."""
        found = self._found(method, figure)
        cases = self.cases.get(method, {}).get(figure, ())
        return dict(zip(cases, found.tolist(), strict=True)) if len(cases) else {}

    def _cell(self, method: str, figure: str) -> str:
        mean, (low, high) = self.mean(method, figure), self.interval(method, figure)
        if np.isnan(mean):
            return ""
        digits = 1 if figure == "edge_width" else 3
        if np.isnan(low):
            return f"{mean:.{digits}f}"
        return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    def draw(self, path: Path, *, most: int = 40) -> None:
        """A picture of two figures with their intervals and of how many images, best methods on top.

        They are power rank and power hit where these were measured, else cue AUC and cue hit.

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
        measured = any("power_rank" in found for found in self.values.values())
        figures = ("power_rank", "power_hit") if measured else ("cue_auc", "cue_hit")
        for one, name in zip(axes, figures, strict=True):
            means = np.array([self.mean(method, name) for method in methods])
            ends = np.array([self.interval(method, name) for method in methods])
            one.errorbar(means, places, xerr=np.abs(ends - means[:, None]).T, fmt="o", ms=4, capsize=2)
            one.set(xlabel=f"{name.replace('_', ' ')} (mean, 95 % interval)", xlim=(-0.02, 1.02))
            one.grid(alpha=0.3)
        if not measured:
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
    cases: dict[str, dict[str, list[tuple[str, int]]]] = {}
    for row in rows:
        for figure, value in row.figures.items():
            gathered.setdefault(row.method, {}).setdefault(figure, []).append(value)
            cases.setdefault(row.method, {}).setdefault(figure, []).append((row.network, row.image))
    return Summary(
        {
            method: {figure: np.array(found) for figure, found in figures.items()}
            for method, figures in gathered.items()
        },
        title,
        cases,
    )


def _direction(figure: str) -> int:
    """1 where higher is better, -1 where lower is."""
    if figure not in METRICS or METRICS[figure].higher_is_better is None:
        raise ValueError(f"of {figure!r} neither direction is better, so that no map has the best")
    return 1 if METRICS[figure].higher_is_better else -1


def _interval(found: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Of the mean over networks of the mean over images; networks and images are drawn anew.

    Args:
        found: The numbers of each network.
    """
    numbers = np.concatenate([*found, np.empty(0)])
    if len(numbers) < 2:
        return float("nan"), float("nan")
    if np.ptp(numbers) == 0:
        return (float(numbers[0]),) * 2
    random = np.random.default_rng(0)
    if len(found) == 1:
        low, high = bootstrap(
            (numbers,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=random,
        ).confidence_interval
        return float(low), float(high)
    # Every network that is drawn, also twice, has images of its own draw.
    which = random.integers(0, len(found), (RESAMPLES, len(found)))
    means = np.zeros(which.shape)
    for number, one in enumerate(found):
        drawn = np.flatnonzero(which.ravel() == number)
        means.ravel()[drawn] = one[random.integers(0, len(one), (len(drawn), len(one)))].mean(axis=1)
    rest = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means.mean(axis=1), [rest, 100 - rest])
    return float(low), float(high)
