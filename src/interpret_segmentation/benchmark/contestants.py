"""The contestants of this package, and how the command line finds others."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interpret_segmentation._importing import current_folder, imported
from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.benchmark.entering import Contestant, Function, Map
from interpret_segmentation.benchmark.outsiders import captum
from interpret_segmentation.evaluate.baselines import BASELINES
from interpret_segmentation.explaining import explain
from interpret_segmentation.inference.case import Case, answered
from interpret_segmentation.inference.measure import measured_by
from interpret_segmentation.methods.rise.method import RISE, RISEResult
from interpret_segmentation.perturb.fills.simple import as_fill
from interpret_segmentation.perturb.hiding import Hiding
from interpret_segmentation.perturb.masks.several import SeveralSizes
from interpret_segmentation.perturb.masks.windows import Windows, merged
from interpret_segmentation.scores.registry import SCORES, Reference

__all__ = ["baselines", "circles", "defaults", "documented", "everybody", "improved", "named", "rise"]

# Hiding windows: one run for each fill, every score from the same answers.

OLD_WORDS = {"opponents": "baselines"}
"""Words that the command line also accepts."""

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

    def explain(model: nn.Module, image: Tensor, target: BoolArray) -> dict[str, Map]:
        def run(case: Case) -> dict[str, Map]:
            windows = {size: Windows.covering(case.space, size, step(size), "circle") for size in sizes}
            damage = {size: _damages(case, one, fill, target, comparisons) for size, one in windows.items()}
            found: dict[str, Map] = {}
            for group, how in maps:
                masks = SeveralSizes(tuple(windows[size] for size in group))
                values = np.concatenate([damage[size][how] for size in group])
                for method, merge in methods.items():
                    painted = merged(masks, values, np.arange(len(masks)), merge)
                    found[name(method, group, how)] = np.nan_to_num(painted)
            return found

        return answered(run, model, image, progress=False)

    return Contestant(tuple(name(method, *one) for one in maps for method in methods), explain)


def _damages(
    case: Case, windows: Windows, fill: str, truth: BoolArray, comparisons: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], FloatArray]:
    """For every way to compare how much worse each masked segmentation is."""
    references = {
        "truth": Reference(replace(case.question, reference=truth), truth.astype(np.float32)),
        "output": Reference(case.question, case.probability),
    }
    hiding = Hiding(windows, np.arange(len(windows)), case.pixels, as_fill(fill), slice(None))
    measures = [(SCORES[score], references[against]) for score, against in comparisons]
    found = measured_by(case, hiding, len(windows), measures, name="circles")
    return {how: SCORES[how[0]].damage(*numbers) for how, numbers in zip(comparisons, found, strict=True)}


# Random masks: one run for each set of masks, every estimator and merge from the same scores.


def rise(name: str, *, merges: tuple[str, ...] = ("mean",), **settings: Any) -> Contestant:
    """RISE, with the estimator of the paper and the centred one.

    Args:
        name: Of the setting.
        merges: ``"mean"`` and ``"max"``: how the maps of the explained pixels become one.
        **settings: Of `RISE`. Without a seed it is that of the image, see `seed_of`.
    """
    maps = [(estimator, merge) for estimator in ("paper", "centred") for merge in merges]

    def explain(model: nn.Module, image: Tensor, target: BoolArray) -> dict[str, Map]:  # noqa: ARG001
        method = RISE(**{"seed": seed_of(image)} | settings)
        made = method.explain(model, image, progress=False)
        return {f"{name} {estimator} {merge}": _merged(made, estimator, merge) for estimator, merge in maps}

    return Contestant(tuple(f"{name} {estimator} {merge}" for estimator, merge in maps), explain)


def seed_of(image: Tensor) -> int:
    """A seed for masks: the same in every run, another for each image.

    If all images shared one draw of masks, the interval over the images would not show how much the draw
    matters.
    """
    return zlib.crc32(image.numpy().tobytes())


def _merged(made: RISEResult, estimator: str, merge: str) -> FloatArray:
    same = RISEResult(
        made.masks,
        made.scores,
        device=made.device,
        saliency=made.saliency,
        pixels=made.pixels,
        reached=made.reached,
        settings=dict(made.settings) | {"estimator": estimator},
    )
    values: FloatArray = (same.max() if merge == "max" else same.mean()).numpy()
    return values


def baselines() -> tuple[Contestant, ...]:
    """Maps that look at no network, or only at its segment.

    A method that does not beat them explains nothing about the network.
    """

    def ask(name: str) -> Function:
        def explain(model: nn.Module, image: Tensor, target: BoolArray) -> Map:
            with torch.no_grad():
                probability = model(image[None])[0, 0].cpu().numpy()
            return BASELINES[name](image.numpy(), probability, target, 0)

        return explain

    return tuple(Contestant((name,), ask(name)) for name in BASELINES)


def defaults() -> tuple[Contestant, ...]:
    """What `explain` does when it is told nothing but the method."""

    def ask(method: str) -> Function:
        return lambda model, image, _: explain(model, image, method, progress=False)

    def ask_rise(model: nn.Module, image: Tensor, target: BoolArray) -> Map:  # noqa: ARG001
        return explain(model, image, "rise", seed=seed_of(image), progress=False)

    return (
        Contestant(("HDM by default",), ask("hdm")),
        Contestant(("occlusion by default",), ask("occlusion")),
        Contestant(("RISE by default",), ask_rise),
    )


def documented(*, masks: int = 3000, offset: int = 5) -> tuple[Contestant, ...]:
    """HDM and RISE as they are documented, and with other circles, scores, fills, estimators and p1."""
    few = (("hausdorff", "truth"), ("mae", "output"), ("hausdorff_graded", "output"))
    return (
        circles(offset=offset),
        *(
            circles((15, 25), (), fill=fill, offset=2 * offset, comparisons=few)
            for fill in ("mean", "blur", "noise")
        ),
        *(
            rise(f"RISE N={masks} p1={p1} s=8", merges=("max", "mean"), N=masks, p1=p1)
            for p1 in (0.1, 0.25, 0.5, 0.75, 0.9)
        ),
    )


def improved(*, masks: int = 1000) -> tuple[Contestant, ...]:
    """RISE with balanced masks, that spare the segment or not, scored by pixels or by whole segments."""
    return tuple(
        rise(f"RISE N={masks} p1=0.25 s=8 sobol{' spare' if spare else ''} {score or 'pixels'}",
             N=masks, p1=0.25, s=8, design="sobol", spare="segment" if spare else None, score=score)
        for spare in (False, True)
        for score in (None, "dice")
    )  # fmt: skip


def everybody(*, masks: int = 1000, offset: int = 5) -> tuple[Contestant, ...]:
    """All of this package: hours on a CPU for every hundred images."""
    return (*defaults(), *documented(masks=masks, offset=offset), *improved(masks=masks), *baselines())


def named(names: Iterable[str], *, masks: int, offset: int) -> tuple[Contestant, ...]:
    """Contestants by what the command line calls them.

    Args:
        names: ``"defaults"``, ``"documented"``, ``"improved"``, ``"baselines"``, ``"captum"``, or
            ``"package.module:name"`` of a function. None of them: `everybody`.
        masks: Of RISE.
        offset: Pixels from one circle to the next.

    Raises:
        ValueError: There is nobody of that name.
        ImportError: A package is missing.
    """
    groups: dict[str, Callable[[], tuple[Contestant, ...]]] = {
        "defaults": defaults,
        "documented": lambda: documented(masks=masks, offset=offset),
        "improved": lambda: improved(masks=masks),
        "baselines": baselines,
        "captum": lambda: captum(offset=offset),
    }
    found: list[Contestant] = []
    for name in (OLD_WORDS.get(name, name) for name in names):
        if name in groups:
            found += groups[name]()
        elif ":" in name:
            found.append(Contestant((name,), _function(name)))
        else:
            raise ValueError(
                f"there is no contestant {name!r}; use {', '.join(groups)} or package.module:function"
            )
    return tuple(found) or everybody(masks=masks, offset=offset)


def _function(name: str) -> Function:
    module, _, attribute = name.partition(":")
    try:
        with current_folder():
            function: Function = imported(module, attribute)
    except AttributeError as error:
        raise ValueError(str(error)) from None
    if not callable(function):
        raise ValueError(f"{name} is no function, but {function!r}")  # noqa: TRY004  a name that does not fit
    return function
