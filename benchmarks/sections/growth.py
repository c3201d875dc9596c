"""How does time grow with the size of the job?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.contest import Contest, Entry, Timing
from benchmarks.environments import RELEASE
from benchmarks.report import Row, Section, Table

TITLE = "Growth"
NETWORK = {"kind": "unet"}
MASKS = 3000
POSITIONS = 2304


def measure(contest: Contest) -> Section:
    """Image size, positions, masks and explained pixels, one at a time."""
    lines = _over_sizes(contest) + _over_positions(contest) + _over_masks(contest) + _over_pixels(contest)
    note = (
        f"U-Net of width 16 with 5 levels. Over image sizes: {POSITIONS} circles of 25 px, extrapolated from "
        f"fewer. Over positions and masks: 240 px, measured whole. Over pixels: the maximum over the maps of "
        f"so many pixels, {MASKS} masks, 240 px, without the forwards. 1.0.0 asks about every mask again for "
        "each 1000 pixels; its lines are extrapolated from a few."
    )
    return Section("growth", TITLE, [Table("growth", TITLE, lines, note)])


def _line(over: str, who: str, points: list[tuple[int, float]]) -> list[Row]:
    return [
        {"over": over, "who": who, "number": str(number), "seconds": seconds} for number, seconds in points
    ]


def _over_sizes(contest: Contest) -> list[Row]:
    ways = {"whole images": False, "incremental": True}
    points: dict[str, list[tuple[int, float]]] = {name: [] for name in (*ways, "1.0.0")}
    for size in (60, 240) if contest.quick else (120, 240, 480, 720, 1024):
        circle = {"circle_size": 25}
        fewest = -(-size // 2)
        entries = {
            "whole images": Entry(
                "ours_hdm", (fewest, -(-size // 4)), NETWORK, size, circle | {"incremental": False}
            ),
            "incremental": Entry(
                "ours_hdm", (-(-size // 14), -(-size // 20)), NETWORK, size, circle | {"incremental": True}
            ),
            "1.0.0": Entry("release_hdm", (size, size // 2), NETWORK, size, circle, home=RELEASE),
        }
        for name, timing in contest.compete(entries, rounds=3 if size <= 240 else 1).items():
            if timing.failure is None:
                points[name].append((size, timing.whole(POSITIONS)))
    return [row for name, line in points.items() for row in _line("image size (px)", name, line)]


def _over_positions(contest: Contest) -> list[Row]:
    size = 120 if contest.quick else 240
    offsets = {"whole images": (60, 30, 20, 15), "incremental": (30, 20, 15, 10)}
    if contest.quick:
        offsets = {"whole images": (30, 20), "incremental": (12, 8)}
    settings = {"whole images": False, "incremental": True}
    timings = contest.compete(
        {
            name: Entry(
                "ours_hdm", amounts, NETWORK, size, {"circle_size": 25, "incremental": settings[name]}
            )
            for name, amounts in offsets.items()
        },
        rounds=1,
    )
    return [row for name, timing in timings.items() for row in _line("positions", name, _points(timing))]


def _over_masks(contest: Contest) -> list[Row]:
    few = contest.quick
    size, amounts = (120, (10, 20, 40)) if few else (240, (25, 50, 100, 200, 400, 800))
    timings = contest.compete(
        {
            "RISE": Entry("ours_rise", amounts, NETWORK, size, {"above_mean": True}),
            "1.0.0": Entry("release_rise", (4, 8) if few else (5, 10, 20), NETWORK, size, home=RELEASE),
        },
        rounds=1,
    )
    return [row for name, timing in timings.items() for row in _line("masks", name, _points(timing))]


def _over_pixels(contest: Contest) -> list[Row]:
    few = contest.quick
    size, masks = (120, 300) if few else (240, MASKS)
    amounts = (10, 100, 1000) if few else (10, 100, 300, 1000, 3000, 10000)
    timings = contest.compete(
        {
            "RISE, maximum": Entry("ours_rise_maximum", amounts, {"kind": "nothing"}, size, {"masks": masks}),
        },
        rounds=1,
    )
    return [
        row for name, timing in timings.items() for row in _line("explained pixels", name, _points(timing))
    ]


def _points(timing: Timing) -> list[tuple[int, float]]:
    return list(zip(timing.counts, timing.seconds[0], strict=True)) if timing.seconds else []


def draw(section: Section, path: Path) -> None:
    """The plot of the documentation: one panel for each question, both axes logarithmic."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    titles = {
        "image size (px)": f"{POSITIONS} circles, by height and width of the image",
        "positions": "HDM, by the number of circles",
        "masks": "RISE, by the number of masks",
        "explained pixels": "Maximum over maps, by explained pixels",
    }
    colors = {"whole images": "tab:blue", "incremental": "tab:orange", "1.0.0": "tab:gray"}
    figure, grid = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
    (table,) = section.tables
    for axes, (over, title) in zip(grid.flat, titles.items(), strict=True):
        rows: list[Any] = [row for row in table.rows if row["over"] == over]
        for who in dict.fromkeys(row["who"] for row in rows):
            points = [(int(row["number"]), row["seconds"]) for row in rows if row["who"] == who]
            axes.plot(*zip(*points, strict=True), "o-", label=who, color=colors.get(who, "tab:green"))
        axes.set(title=title, xlabel=over, ylabel="time (s)", xscale="log", yscale="log")
        numbers = sorted({int(row["number"]) for row in rows})
        axes.set_xticks(numbers, [f"{number:,}" for number in numbers], rotation=45)
        axes.xaxis.minorticks_off()
        axes.grid(which="both", alpha=0.3)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)
