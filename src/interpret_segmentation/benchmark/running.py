"""Lets every contestant explain every image, and judges the maps."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn
from tqdm.auto import tqdm

from interpret_segmentation._types import BoolArray, FloatArray, PathLike
from interpret_segmentation.benchmark.contestants import everybody
from interpret_segmentation.benchmark.entering import Contestant, Function, Map, as_contestants
from interpret_segmentation.benchmark.rows import Row, RowFile, read_rows
from interpret_segmentation.benchmark.summary import Summary, summarised
from interpret_segmentation.evaluate.faithfulness import deletion, insertion
from interpret_segmentation.evaluate.judged import as_saliency
from interpret_segmentation.evaluate.localisation import MARGIN, edge_width, localisation
from interpret_segmentation.inputs import as_positive
from interpret_segmentation.testnet import Scene, Variant, draw_scene, pretrained, sample_of

__all__ = ["SEED", "benchmark"]

SEED = 2**31 + 5
"""Names the series of scenes; no network was trained on it."""

STEPS = 20
"""Of deletion and insertion."""


class _Counted(nn.Module):
    """A network that counts the images that it is asked about."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.count = network, 0

    def forward(self, batch: Tensor) -> Tensor:
        self.count += len(batch)
        answer: Tensor = self.network(batch)
        return answer


def benchmark(
    contestants: Mapping[str, Function] | Iterable[Contestant] | None = None,
    *,
    model: nn.Module | None = None,
    images: int = 100,
    variant: Variant = "plain",
    seed: int = SEED,
    out: PathLike = "benchmark",
    curves: Iterable[str] | bool = False,
    progress: bool = True,
) -> Summary:
    """Judge explanations on testnet, where the cause of every segment is known.

    One row for each image and map goes to ``out/rows.csv`` as soon as it is there; a run that was interrupted
    goes on where it stopped, and more images, variants or contestants add to the file.

    Args:
        contestants: Functions ``(model, image, target) -> map`` by name: image float ``[1, 240, 240]``,
            target the true segment, bool ``[240, 240]``, map float ``[240, 240]`` or an `Explanation`; or
            `Contestant` objects. None: `everybody`.
        model: The network, ``[B, 1, 240, 240]`` to probabilities of the same shape. None: the one that the
            package brings along for the variant.
        images: How many of the series of scenes.
        variant: Of the data set; see `draw_scene`.
        seed: Names the series.
        out: Folder for ``rows.csv``, ``table.md`` and ``plot.png``.
        curves: The maps whose deletion and insertion are measured, which costs 2 x 20 forwards each; True
            for all of them.
        progress: Show a progress bar.

    Returns:
        Every figure's mean with its interval, for all rows of this variant in the file.

    Raises:
        ValueError: An argument that does not fit; a contestant that fails, or whose map has another size; the
            rows that are there were made with another seed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     brightest = {"brightness": lambda model, image, target: image[0]}
        ...     summary = benchmark(brightest, images=3, out=folder, progress=False)
        >>> summary.mean("brightness", "cue_auc")  # the deciding shape is bright, and so are the others
        1.0
    """
    asked = everybody() if contestants is None else contestants
    entered = as_contestants(asked)
    known = {name for contestant in entered for name in contestant.names}
    curved = known if curves is True else set(curves or ())
    if unknown := sorted(curved - known):
        raise ValueError(f"curves names {unknown[0]!r}, but no map is called so")
    as_positive(images, "images")
    folder = Path(out)
    network = pretrained(variant) if model is None else model
    file = RowFile(folder / "rows.csv", {"seed": seed, "network": "shipped" if model is None else "own"})
    done = file.done()
    tasks = [
        (number, contestant)
        for number in range(images)
        for contestant in entered
        if any((variant, number, name) not in done for name in contestant.names)
    ]
    with tqdm(total=len(tasks), desc="Benchmark", unit="run", disable=not progress) as bar:
        for number, contestant in tasks:
            scene = draw_scene(seed, number, variant=variant)
            rows = _told(f"image {number} of {variant}", network, scene, contestant, curved)
            file.add(
                Row(variant, number, name, figures)
                for name, figures in rows.items()
                if (variant, number, name) not in done
            )
            bar.update()
    summary = summarised(row for row in read_rows(file.path) if row.variant == variant)
    summary.write(folder)
    return summary


def _told(
    which: str, network: nn.Module, scene: Scene, contestant: Contestant, curved: set[str]
) -> dict[str, dict[str, float]]:
    """What `_judged` finds, or whose fault it is that it finds nothing."""
    try:
        return _judged(network, scene, contestant, curved)
    except Exception as error:
        raise ValueError(
            f"{contestant.names[0]} failed on {which}: {type(error).__name__}: {error}; the rows so far are "
            "kept, and the same call goes on after them"
        ) from error


def _judged(
    network: nn.Module, scene: Scene, contestant: Contestant, curved: set[str]
) -> dict[str, dict[str, float]]:
    """The figures of every map that a contestant makes of a scene."""
    image, target = sample_of(scene)["input"], scene.segmented.region()
    counted = _Counted(network).eval()
    began = time.perf_counter()
    answer = contestant.explain(counted, image, target)
    seconds = time.perf_counter() - began
    cost = {"forwards": float(counted.count), "seconds": seconds}
    return {
        name: _figures(_of_size(saliency, target.shape), scene, target)
        | cost
        | (_areas(network, saliency, image, target) if name in curved else {})
        for name, saliency in _named(answer, contestant.names).items()
    }


def _of_size(saliency: Map, space: tuple[int, ...]) -> FloatArray:
    values = as_saliency(saliency)
    if values.shape != space:
        raise ValueError(f"the map must be {list(space)} numbers, got {list(values.shape)}")
    return values


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


def _figures(saliency: FloatArray, scene: Scene, target: BoolArray) -> dict[str, float]:
    cue, distractors = scene.cue.region(), _distractors(scene)
    found: dict[str, Any] = localisation(saliency, segment=target, cue=cue, distractor=distractors).as_dict()
    context = (distance_transform_edt(~target) > MARGIN) & ~distractors
    return found | {"edge_width": edge_width(saliency, cue, within=context)}


def _distractors(scene: Scene) -> BoolArray:
    region: BoolArray = np.any([shape.region() for shape in scene.distractors], axis=0)
    return region


def _areas(network: nn.Module, saliency: Map, image: Tensor, target: BoolArray) -> dict[str, float]:
    with torch.no_grad():
        hidden, shown = (
            curve(network, saliency, image, target=target, steps=STEPS, progress=False)
            for curve in (deletion, insertion)
        )
    return {"deletion": hidden.area("probability"), "insertion": shown.area("probability")}
