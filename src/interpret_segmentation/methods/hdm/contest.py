"""Circles of many sizes, fills and scores for the benchmark: one run for each fill, all scores from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from torch import Tensor, nn

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.measure import measure_by
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.methods.contestant import Contestant
from interpret_segmentation.perturb.fills.named import as_fill
from interpret_segmentation.perturb.hiding import Hiding
from interpret_segmentation.perturb.masks.base import merged
from interpret_segmentation.perturb.masks.several import SeveralSizes
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.scores.registry import SCORES, Reference

LARGE = 30
"""Diameter in pixels from which circles lie less densely."""

AGAINST = ("truth", "output")
"""What masked segmentations are compared with: the ground truth, or what the network says unmasked."""

COMPARISONS = (
    ("hausdorff", "truth"),
    ("hausdorff_of_rows", "truth"),
    *product(("hausdorff_levels", "hausdorff_graded", "mae"), AGAINST),
)
"""Score, and what it compares with."""


def circles(
    sizes: tuple[int, ...] = (10, 15, 20, 25, 40, 60),
    together: tuple[tuple[int, ...], ...] = ((10, 25), (15, 25, 40, 60)),
    *,
    fill: str = "black",
    offset: int = 5,
    comparisons: tuple[tuple[str, str], ...] = COMPARISONS,
) -> Contestant:
    """HDM (the largest value on top) and occlusion (the mean), for circles of some sizes and every score.

    A map is called ``HDM 15/5 black mae to output``: circles of 15 pixels every 5.

    Args:
        sizes: Diameters in pixels.
        together: Sizes whose maps are merged into one more.
        fill: What replaces hidden pixels.
        offset: Pixels from one circle to the next; twice that from `LARGE` pixels on.
        comparisons: Score, and what it compares with.
    """
    groups = ((size,) for size in sizes), together
    maps = [(group, how) for group in (*groups[0], *groups[1]) for how in comparisons]
    methods = {"HDM": "max", "occlusion": "mean"}

    def step(size: int) -> int:
        return offset if size < LARGE else 2 * offset

    def name(method: str, group: tuple[int, ...], how: tuple[str, str]) -> str:
        layers = "+".join(f"{size}/{step(size)}" for size in group)
        return f"{method} {layers} {fill} {how[0]} to {how[1]}"

    painted = {name(method, *one): (*one, merge) for one in maps for method, merge in methods.items()}
    steps = {size: step(size) for size in sizes}
    return Contestant(tuple(painted), partial(_explain, steps, fill, comparisons, painted))


def _explain(
    steps: Mapping[int, int],
    fill: str,
    comparisons: tuple[tuple[str, str], ...],
    maps: Mapping[str, tuple[tuple[int, ...], tuple[str, str], str]],
    model: nn.Module,
    image: Tensor,
    target: BoolArray,
) -> dict[str, Any]:
    def run(case: Case) -> dict[str, Any]:
        windows = {size: Windows.covering(case.space, size, step, "circle") for size, step in steps.items()}
        damage = {size: _damages(case, one, fill, target, comparisons) for size, one in windows.items()}
        found: dict[str, Any] = {}
        for name, (group, how, merge) in maps.items():
            masks = SeveralSizes(tuple(windows[size] for size in group))
            values = np.concatenate([damage[size][how] for size in group])
            found[name] = np.nan_to_num(merged(masks, values, np.arange(len(masks)), merge))
        return found

    return run_case(run, model, image, progress=False)


def documented(*, offset: int) -> tuple[Contestant, ...]:
    """The documented circles, and those of other sizes, scores and fills."""
    few = (("hausdorff", "truth"), ("mae", "output"), ("hausdorff_graded", "output"))
    return (
        circles(offset=offset),
        *(
            circles((15, 25), (), fill=fill, offset=2 * offset, comparisons=few)
            for fill in ("mean", "blur", "noise")
        ),
    )


def _damages(
    case: Case, windows: Windows, fill: str, truth: BoolArray, comparisons: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], FloatArray]:
    """For every way to compare how much worse each masked segmentation is."""
    references = {
        "truth": Reference(replace(case.objective, reference=truth), truth.astype(np.float32)),
        "output": Reference(case.objective, case.probability),
    }
    filled = as_fill(fill).for_segment(case.segment)
    hiding = Hiding(windows, np.arange(len(windows)), case.pixels, filled, slice(None))
    measures = [(SCORES[score], references[against]) for score, against in comparisons]
    found = measure_by(case, hiding, len(windows), measures, name="circles")
    return {how: SCORES[how[0]].damage(*numbers) for how, numbers in zip(comparisons, found, strict=True)}
