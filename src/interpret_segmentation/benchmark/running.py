"""Lets every contestant explain every image, and judges the maps."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from interpret_segmentation._types import BoolArray, PathLike
from interpret_segmentation.benchmark.contestants import everybody
from interpret_segmentation.benchmark.entering import Contestant, Function, Map, as_contestants
from interpret_segmentation.benchmark.rows import FIGURES, Row, RowFile
from interpret_segmentation.benchmark.summary import Summary, summarised
from interpret_segmentation.data.inputs import as_positive, as_whole
from interpret_segmentation.evaluate.faithfulness import deletion, insertion
from interpret_segmentation.evaluate.metrics import METRICS
from interpret_segmentation.evaluate.subject import Subject, as_saliency, as_subject
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
    goes on where it stopped, and more images, variants or contestants add to the file. Rows go by the names
    of the maps: a method that has changed needs another name, or another folder.

    Args:
        contestants: Functions ``(model, image, target) -> map`` by name: image float ``[1, 240, 240]``,
            target the true segment, bool ``[240, 240]``, map float ``[240, 240]`` or an `Explanation`; or
            `Contestant` objects. None: `everybody`.
        model: The network, ``[B, 1, 240, 240]`` to probabilities of the same shape. None: the one that the
            package brings along for the variant.
        images: How many of the series of scenes.
        variant: Of the data set; see `draw_scene`.
        seed: Names the series.
        out: Folder for ``rows.csv``, and for a table and a plot that are called after the variant:
            ``plain.md`` and ``plain.png``.
        curves: The maps whose deletion and insertion are measured, which costs 2 x 20 forwards each; True
            for all of them.
        progress: Show a progress bar.

    Returns:
        Every figure's mean with its interval, for all rows of this variant in the file.

    Raises:
        TypeError: Something else than contestants.
        ValueError: An argument that does not fit; the rows that are there were made with another seed.
        RuntimeError: At the end, when all others are done: a contestant failed, or its map is none.

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
        near = ", ".join(get_close_matches(unknown[0], known, cutoff=0))
        raise ValueError(f"curves names {unknown[0]!r}, but no map is called so; the nearest: {near}")
    as_positive(images, "images")
    if as_whole(seed, "seed") < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out must be a folder, but {folder} is a file")
    network = pretrained(variant) if model is None else model
    file = RowFile(folder / "rows.csv", {"seed": seed, "network": _name_of(model)})
    done = {row.key for row in file.rows() if row.method not in curved or "deletion" in row.figures}
    runs = [(number, contestant) for number in range(images) for contestant in entered]
    tasks = [run for run in runs if any((variant, run[0], name) not in done for name in run[1].names)]
    if progress and len(tasks) < len(runs):
        kept = len(runs) - len(tasks)
        tqdm.write(f"{kept} of {len(runs)} runs are in {file.path} and are not done again", file=sys.stderr)
    failures: dict[tuple[str, ...], tuple[int, Exception]] = {}
    for number, contestant in tqdm(tasks, desc="Benchmark", unit="run", disable=not progress):
        if contestant.names in failures:
            continue
        try:
            found = _judge(network, draw_scene(seed, number, variant=variant), contestant, curved)
        except Exception as error:  # noqa: BLE001  whatever it is, the others go on
            failures[contestant.names] = number, error
            continue
        rows = (Row(variant, number, name, figures) for name, figures in found.items())
        file.add(row for row in rows if row.key not in done)
    title = f"Testnet, {variant}, seed {seed}, {'the shipped' if model is None else 'a given'} network"
    summary = summarised((row for row in file.rows() if row.variant == variant), title=title)
    if summary.values:
        summary.write(folder, variant)
    if failures:
        told = (
            f"{names[0]} failed on image {number} of {variant}: {type(error).__name__}: {error}"
            for names, (number, error) in failures.items()
        )
        raise RuntimeError(
            f"{'; '.join(told)}. Who fails is not asked about further images; all rows so far are in "
            f"{file.path}, and the same call goes on from there"
        ) from next(iter(failures.values()))[1]
    return summary


def _name_of(model: object) -> str:
    """Tells networks apart: by their weights, so that the same one may go on in another process."""
    if model is None:
        return "shipped"
    found = hashlib.sha256()
    for name, values in model.state_dict().items() if isinstance(model, nn.Module) else ():
        found.update(name.encode())
        if isinstance(values, Tensor):
            found.update(values.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"own, {found.hexdigest()[:12]}"


def _judge(
    network: nn.Module, scene: Scene, contestant: Contestant, curved: set[str]
) -> dict[str, dict[str, float]]:
    """Measure the figures of every map that a contestant makes of a scene.

    It gets a copy of the network, whose weights it may change without harm to the next.
    """
    image, target = sample_of(scene)["input"], scene.segmented.region()
    counted = _Counted(deepcopy(network)).eval()
    began = time.perf_counter()
    answer = contestant.explain(counted, image, target)
    cost = {"forwards": float(counted.count), "seconds": time.perf_counter() - began}
    found = {}
    for name, saliency in _named(answer, contestant.names).items():
        subject = _subject(_of_size(saliency, target.shape), scene, image, target, network)
        areas = _measure_areas(subject) if name in curved else {}
        found[name] = _figures(subject) | cost | areas
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


def _subject(saliency: Map, scene: Scene, image: Tensor, target: BoolArray, network: nn.Module) -> Subject:
    """A map with all that a scene knows: the cue is where it should lie, sharply, in the context."""
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
    )
    return replace(subject, within=subject.places.context)


def _figures(subject: Subject) -> dict[str, float]:
    """Those that cost no forwards."""
    known = {name: METRICS[name] for name in FIGURES if name in METRICS}
    return {name: metric.measure(subject) for name, metric in known.items() if "model" not in metric.needs}


@torch.no_grad()
def _measure_areas(subject: Subject) -> dict[str, float]:
    hidden, shown = (curve(subject, steps=STEPS) for curve in (deletion, insertion))
    return {"deletion": hidden.area("probability"), "insertion": shown.area("probability")}
