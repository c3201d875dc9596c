"""Judges the maps that one contestant makes of one scene."""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from interpret_segmentation._types import BoolArray
from interpret_segmentation.benchmark.entering import Contestant, Map
from interpret_segmentation.benchmark.rows import FIGURES
from interpret_segmentation.benchmark.truth import Truth
from interpret_segmentation.evaluate.faithfulness import deletion, insertion
from interpret_segmentation.evaluate.metrics import METRICS
from interpret_segmentation.evaluate.subject import Subject, as_saliency, as_subject
from interpret_segmentation.testnet import Scene, sample_of

STEPS = 20
"""Of deletion and insertion."""


class _Counted(nn.Module):
    """A network that counts the images that it is asked about, and those that are differentiated."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.count, self.backwards = network, 0, 0

    def forward(self, batch: Tensor) -> Tensor:
        self.count += len(batch)
        answer: Tensor = self.network(batch)
        if answer.requires_grad:
            answer.register_hook(self._count_backwards)  # type: ignore[no-untyped-call]
        return answer

    def _count_backwards(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


def judge(
    network: nn.Module, scene: Scene, contestant: Contestant, curved: set[str], truth: Truth | None = None
) -> dict[str, dict[str, float]]:
    """Measure the figures of every map that a contestant makes of a scene.

    It gets a copy of the network, whose weights it may change without harm to the next.

    Args:
        network: In evaluation mode.
        scene: Of testnet.
        contestant: Who explains.
        curved: Maps whose deletion and insertion are measured.
        truth: What was measured of the scene and network by intervention. None: not known.
    """
    image, target = sample_of(scene)["input"], scene.segmented.region()
    counted = _Counted(deepcopy(network)).eval()
    began = time.perf_counter()
    answer = contestant.explain(counted, image, target)
    cost = {
        "forwards": float(counted.count),
        "backwards": float(counted.backwards),
        "seconds": time.perf_counter() - began,
    }
    found = {}
    for name, saliency in _named(answer, contestant.names).items():
        subject = _subject(_of_size(saliency, target.shape), scene, image, target, network, truth)
        areas = _measure_areas(subject) if name in curved else {}
        found[name] = _figures(subject, truth) | cost | areas
    return found


def _of_size(saliency: Map, space: tuple[int, ...]) -> Map:
    """The map, which must have the image's size."""
    if (shape := as_saliency(saliency).shape) != space:
        raise ValueError(f"the map must be {list(space)} numbers, got {list(shape)}")
    return saliency


def _named(answer: Map | Mapping[str, Map], names: tuple[str, ...]) -> Mapping[str, Map]:
    """The maps of one answer by name.

    Raises:
        ValueError: They are not those that were announced.
    """
    if not isinstance(answer, Mapping):
        answer = {names[0]: answer}
    if set(answer) != set(names):
        raise ValueError(f"the maps {sorted(names)} were announced, but {sorted(answer)} came")
    return answer


def _subject(
    saliency: Map, scene: Scene, image: Tensor, target: BoolArray, network: nn.Module, truth: Truth | None
) -> Subject:
    """A map with all that a scene knows: the cue is where it should lie, sharply, in the context."""
    power, contrast = (None, None) if truth is None else (truth.power, truth.contrast)
    subject = as_subject(
        saliency,
        image,
        target=target,
        model=network,
        progress=False,
        segment=target,
        cue=scene.cue.region(),
        distractor=np.any([shape.region() for shape in scene.distractors], axis=0),
        region=scene.cue.region(),
        power=None if power is None else power.map,
        contrast=None if contrast is None else contrast.map,
    )
    return replace(subject, within=subject.places.context)


def _figures(subject: Subject, truth: Truth | None) -> dict[str, float]:
    """Those that cost no forwards, as far as what they need is known."""
    found = {}
    for name in FIGURES:
        metric = METRICS.get(name)
        if metric is None or "model" in metric.needs:
            continue
        if name == "claimed" and (truth is None or not truth.nothing_to_find):
            continue
        if all(getattr(subject, need) is not None for need in metric.needs):
            found[name] = metric.measure(subject)
    return found


@torch.no_grad()
def _measure_areas(subject: Subject) -> dict[str, float]:
    hidden, shown = (curve(subject, steps=STEPS) for curve in (deletion, insertion))
    return {"deletion": hidden.area("probability"), "insertion": shown.area("probability")}
