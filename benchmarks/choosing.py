"""Tries windows, scores, merges and random masks against the truth, on the scenes that choices are made on.

    python -m benchmarks.choosing moved required photo --images 10 --workers 2
    python -m benchmarks.choosing --table    # of the rows that are there

Every window of a size and shape is asked about once, and all scores and merges are taken from the answers.
Writes `benchmarks/results/choosing/`; a run that was interrupted goes on where it stopped. What the defaults
become is judged on other scenes, by `benchmarks.judged`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import binary_dilation, uniform_filter
from torch import Tensor, nn

from interpret_segmentation import RISE
from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.benchmark import (
    Contestant,
    Summary,
    baselines,
    benchmark,
    read_rows,
    summarised,
)
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.measure import measure_by
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.methods.one_by_one import agreed
from interpret_segmentation.perturb.fills.named import as_fill
from interpret_segmentation.perturb.hiding import Function, Hiding, Variations
from interpret_segmentation.perturb.masks.base import merged
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.scores.registry import SCORES, Measure, Reference, Score
from interpret_segmentation.testnet import VARIANTS, Variant

FOLDER = Path(__file__).parent / "results" / "choosing"

IMAGES = 10
WINDOWS = {"9": (9, 8), "11": (11, 8), "15": (15, 8), "9/6": (9, 6)}
"""Pixels across, and from one window to the next, by what the rows call them."""
SHAPES = ("square", "circle", "both", "soft")
SOFT = "11"
"""The one size of soft-edged squares: where the background is black, no other windows cost so much."""
BORDER = 5
"""Pixels around the explained ones that a score of what is near counts, too."""

SMALL = 1e-6
"""Least probability, and least doubt, of a logit."""


def _near(reference: Reference) -> Measure:
    """The mean absolute change of the explained pixels and of those around them."""
    near = binary_dilation(reference.objective.reference, iterations=BORDER)
    wanted = reference.probability[near].astype(np.float64)
    return lambda probability, _: float(np.abs(probability[near] - wanted).mean()) if near.any() else 0.0


def _logit(reference: Reference) -> Measure:
    """The mean logit of the explained pixels."""
    pixels = reference.objective.pixels

    def mean(probability: FloatArray, _: BoolArray) -> float:
        inside = np.clip(probability[pixels].astype(np.float64), SMALL, 1 - SMALL)
        return float(np.log(inside / (1 - inside)).mean()) if inside.size else 0.0

    return mean


TRIED: dict[str, Score] = {
    "mae": SCORES["mae"],
    "near": Score("mean absolute error near the segment", "", False, _near, looks_at="probability"),
    "probability": SCORES["probability"],
    "logit": Score("mean logit", "", True, _logit, looks_at="probability"),
    "graded": SCORES["hausdorff_graded"],
    "directed levels": SCORES["directed_hausdorff_levels"],
}
"""Scores by what the rows call them."""

MERGES = ("mean", "max", "linear")
"""What a pixel gets of the windows over it; linear: of the four centres around it, by how near they are."""


def _soft(windows: Windows, image: Tensor, filled: Tensor) -> Variations:
    """Squares that fade into the image over a third of their side."""
    side = windows.size // 3

    def blend(first: int, last: int) -> Tensor:
        hidden = windows.hidden(np.arange(first, last)).numpy().astype(np.float32)
        weights = torch.from_numpy(uniform_filter(hidden, size=(0, side, side)))[:, None]
        return torch.lerp(image, filled, weights)

    return Function(blend, image)


def _linear(windows: Windows, values: FloatArray) -> NDArray[np.float64]:
    """Values between the centres of windows, by how near each centre is."""
    side = windows.size + (windows.shape == "circle")
    axes = [windows.start + windows.offset * np.arange(n) + (side - 1) / 2 for n in windows.grid]
    between = RegularGridInterpolator(axes, values.reshape(windows.grid), bounds_error=False, fill_value=None)
    places = np.stack(np.meshgrid(*map(np.arange, windows.space), indexing="ij"), axis=-1)
    clipped = np.clip(places, [axis[0] for axis in axes], [axis[-1] for axis in axes])
    found: NDArray[np.float64] = between(clipped)
    return found


def windows(size: str) -> Contestant:
    """Windows of one size: every shape, score and merge."""
    shapes = [shape for shape in SHAPES if shape != "soft" or size == SOFT]
    names = tuple(" ".join((shape, size, *how)) for shape, *how in product(shapes, TRIED, MERGES))
    return Contestant(names, partial(_hide, size))


def _hide(size: str, model: nn.Module, image: Tensor, target: BoolArray) -> dict[str, Any]:  # noqa: ARG001
    def run(case: Case) -> dict[str, Any]:
        fill = as_fill("background").for_segment(case.segment)
        reference = Reference(case.objective, case.probability)
        damages: dict[str, dict[str, FloatArray]] = {}
        shapes = {}
        for shape in ("square", "circle", *(["soft"] if size == SOFT else [])):
            drawn = "circle" if shape == "circle" else "square"
            side, offset = WINDOWS[size]
            across = side - (shape == "circle")  # which is drawn into a box of one pixel more
            masks = shapes[shape] = Windows.covering(case.space, across, offset, drawn)
            numbers = np.arange(len(masks))
            hiding: Variations = Hiding(masks, numbers, case.pixels, fill, slice(None))
            if shape == "soft":
                hidden = torch.ones(1, *case.space, dtype=torch.bool)
                hiding = _soft(masks, case.pixels, fill.values(case.pixels, hidden)[0])
            measures = [(score, reference) for score in TRIED.values()]
            found = measure_by(case, hiding, len(masks), measures, name="windows", again=shape != "square")
            damages[shape] = {
                name: score.damage(*numbers)
                for (name, score), numbers in zip(TRIED.items(), found, strict=True)
            }
        shapes["both"] = shapes["square"]
        damages["both"] = {name: agreed(damages["square"][name], damages["circle"][name]) for name in TRIED}
        return {
            f"{shape} {size} {score} {merge}": np.nan_to_num(
                _linear(masks, values)
                if merge == "linear"
                else merged(masks, values, np.arange(len(masks)), merge)
            )
            for shape, masks in shapes.items()
            for score, values in damages[shape].items()
            for merge in MERGES
        }

    return run_case(run, model, image, progress=False)


RANDOM: dict[str, dict[str, Any]] = {
    "RISE": {},
    "RISE spare": {"spare": "segment"},
    "RISE spare p1 .5": {"spare": "segment", "p1": 0.5},
    "RISE spare p1 .5 s=16": {"spare": "segment", "p1": 0.5, "s": 16},
}
"""Random masks by what the rows call them."""

MIXED = (0.25, 0.5, 0.75)
"""Shares of kept cells; a third of the masks of each makes one map."""


def random_masks() -> Contestant:
    """Sobol masks, one number for each, and the same times how much a pixel differs from its fill."""
    names = (*RANDOM, "RISE spare mixed p1")
    return Contestant(tuple(f"{name}{times}" for name in names for times in ("", " x change")), _mask)


def _mask(model: nn.Module, image: Tensor, target: BoolArray) -> dict[str, Any]:  # noqa: ARG001
    def saliency(count: int, **settings: Any) -> tuple[FloatArray, BoolArray]:
        made = RISE(**{"N": count, "design": "sobol", "seed": 0, "score": "mae", **settings}).explain(
            model, image, progress=False
        )
        assert made.segment is not None
        return made.saliency, made.segment

    found: dict[str, Any] = {}
    for name, settings in RANDOM.items():
        found[name], segment = saliency(1000, **settings)
    thirds = [saliency(334, spare="segment", p1=p1)[0] for p1 in MIXED]
    found["RISE spare mixed p1"] = np.mean([one / one.std() for one in thirds], axis=0)
    fill = as_fill("background").for_segment(segment)
    hidden = torch.ones(1, *image.shape[1:], dtype=torch.bool)
    change = (image - fill.values(image, hidden)[0]).abs().amax(dim=0).numpy()
    return found | {f"{name} x change": one * change for name, one in found.items()}


FIGURES = ("power_rank", "power_hit", "claimed")


SHOWN = (
    "square 11 mae mean",
    "square 9 mae mean",
    "both 11 mae mean",
    "both 11 mae linear",
    "circle 11 mae mean",
    "square 11 near mean",
    "square 11 probability mean",
    "square 11 logit mean",
    "both 11 directed levels mean",
    "both 11 graded mean",
    "lower right",
)
"""The maps of the table in docs/which-method.md."""


def docs_table(summaries: Mapping[Any, Summary]) -> Iterator[str]:
    """The lines of the table in docs/which-method.md."""
    yield "| map | mean | " + " | ".join(f"`{variant}`" for variant in summaries) + " | power hit | claimed |"
    yield "|---" * (4 + len(summaries)) + "|"
    for name in SHOWN:
        found = [one for one in summaries.values() if name in one.values]
        ranks = [one.mean(name, "power_rank") if one in found else np.nan for one in summaries.values()]
        hit = np.mean([one.mean(name, "power_hit") for one in found])
        claimed = [one.mean(name, "claimed") for one in found if "claimed" in one.values[name]]
        cells = [f"{np.mean(ranks):.2f}", *(f"{rank:.2f}" for rank in ranks), f"{hit:.2f}"]
        yield f"| {name} | " + " | ".join(cells) + f" | {np.mean(claimed) if claimed else 0:.2f} |"


def _table(summaries: Mapping[Any, Summary], least: int) -> None:
    """The mean over variants of each figure, best rank first."""
    methods = set.intersection(*(set(one.values) for one in summaries.values()))
    ranked = sorted(
        methods, key=lambda name: -np.mean([one.mean(name, "power_rank") for one in summaries.values()])
    )
    for name in ranked[:least]:
        cells = [
            f"{one.mean(name, figure):.2f}" if name in one.values and figure in one.values[name] else ""
            for figure in FIGURES
            for one in summaries.values()
        ]
        mean = np.mean([one.mean(name, "power_rank") for one in summaries.values()])
        click.echo(f"| {name} | {mean:.3f} | " + " | ".join(cells) + " |")


@click.command(context_settings={"show_default": True})
@click.argument("variants", nargs=-1, type=click.Choice(VARIANTS))
@click.option(
    "--images", type=click.IntRange(min=1), default=IMAGES, help="Of each variant, from scene 0 on."
)
@click.option("--workers", type=click.IntRange(min=1), default=1)
@click.option(
    "--only",
    type=click.Choice(("windows", "masks")),
    help="Random masks take 5,000 forwards an image.",
)
@click.option("--sizes", multiple=True, type=click.Choice(list(WINDOWS)), help="Of windows. Default: all.")
@click.option("--table", is_flag=True, help="Measure nothing; tell what there is.")
@click.option("--docs", is_flag=True, help="Print the table of docs/which-method.md.")
@click.option("--lines", default=60, help="Of the table.")
def main(
    variants: tuple[Variant, ...],
    images: int,
    workers: int,
    only: str | None,
    sizes: tuple[str, ...],
    table: bool,
    docs: bool,
    lines: int,
) -> None:
    """Try settings against the truth."""
    if not (table or docs):
        groups = {
            "windows": [windows(size) for size in sizes or WINDOWS],
            "masks": [random_masks()],
        }
        tried = [one for name, group in groups.items() if only in (None, name) for one in group]
        tried += baselines()
        for variant in variants:
            benchmark(tried, variant=variant, images=images, out=FOLDER, workers=workers)
    rows = read_rows(FOLDER / "rows.csv")
    asked: list[str] = [*variants] or list(dict.fromkeys(row.variant for row in rows))
    summaries = {name: summarised([row for row in rows if row.variant == name]) for name in asked}
    if docs:
        click.echo("\n".join(docs_table(summaries)))
        return
    click.echo(
        "| map | mean power rank | " + " | ".join(f"{f} {v}" for f in FIGURES for v in summaries) + " |"
    )
    click.echo("|---" * (2 + len(FIGURES) * len(summaries)) + "|")
    _table(summaries, lines)


if __name__ == "__main__":
    main()
