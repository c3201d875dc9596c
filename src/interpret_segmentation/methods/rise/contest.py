"""Random masks for the benchmark: one run for each set of masks, all estimators and merges from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.methods.contestant import Contestant, seed_of
from interpret_segmentation.methods.rise.method import RISE
from interpret_segmentation.methods.rise.result import RISEResult


def rise(name: str, *, merges: tuple[str, ...] = ("mean",), **settings: Any) -> Contestant:
    """RISE, with the estimator of the paper and the centred one.

    Args:
        name: Of the setting.
        merges: ``"mean"`` and ``"max"``: how the maps of the explained pixels become one.
        **settings: Of `RISE`. Without a seed it is that of the image, see `seed_of`.
    """
    maps = tuple((estimator, merge) for estimator in ("paper", "centred") for merge in merges)
    names = tuple(f"{name} {estimator} {merge}" for estimator, merge in maps)
    return Contestant(names, partial(_explain, settings, dict(zip(names, maps, strict=True))))


def _explain(
    settings: Mapping[str, Any],
    maps: Mapping[str, tuple[str, str]],
    model: nn.Module,
    image: Tensor,
    target: BoolArray,  # noqa: ARG001
) -> dict[str, Any]:
    made = RISE(**{"seed": seed_of(image)} | dict(settings)).explain(model, image, progress=False)
    assert isinstance(made, RISEResult)
    return {name: _merged(made, estimator, merge) for name, (estimator, merge) in maps.items()}


def documented(*, masks: int) -> tuple[Contestant, ...]:
    """The documented masks, and others shares of kept cells."""
    return tuple(
        rise(f"RISE N={masks} p1={p1} s=8", merges=("max", "mean"), N=masks, p1=p1, fill="black")
        for p1 in (0.1, 0.25, 0.5, 0.75, 0.9)
    )


def improved(*, masks: int) -> tuple[Contestant, ...]:
    """Balanced masks, that spare the segment or not, scored by pixels or by whole segments."""
    return tuple(
        rise(f"RISE N={masks} p1=0.25 s=8 sobol{' spare' if spare else ''} {score or 'pixels'}",
             N=masks, p1=0.25, s=8, design="sobol", spare="segment" if spare else None, score=score)
        for spare in (False, True)
        for score in (None, "dice")
    )  # fmt: skip


def _merged(made: RISEResult, estimator: str, merge: str) -> FloatArray:
    same = made.estimated(estimator)
    values: FloatArray = (same.max() if merge == "max" else same.mean()).numpy()
    return values
