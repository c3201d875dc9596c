"""Lets every contestant explain every image, and judges the maps."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from interpret_segmentation._types import PathLike
from interpret_segmentation.benchmark.contestants import everybody
from interpret_segmentation.benchmark.entering import Contestant, Function, as_contestants
from interpret_segmentation.benchmark.rows import Row, RowFile
from interpret_segmentation.benchmark.summary import Summary, summarised
from interpret_segmentation.benchmark.truth import SEED
from interpret_segmentation.benchmark.workers import Setting, run_all
from interpret_segmentation.data.inputs import as_positive, as_whole
from interpret_segmentation.testnet import NETWORKS, Variant, networks_of

__all__ = ["SEED", "benchmark"]


def benchmark(
    contestants: Mapping[str, Function] | Iterable[Contestant] | None = None,
    *,
    model: nn.Module | None = None,
    network: str | None = None,
    images: int = 100,
    first: int = 0,
    variant: Variant = "plain",
    seed: int = SEED,
    out: PathLike = "benchmark",
    curves: Iterable[str] | bool = False,
    workers: int = 1,
    progress: bool = True,
) -> Summary:
    """Judge explanations on testnet, where the cause of every segment is known.

    One row for each image and map goes to ``out/rows.csv`` as soon as it is there; a run that was interrupted
    goes on where it stopped, and more images, variants or contestants add to the file. Rows go by the names
    of the maps: a method that has changed needs another name, or another folder.

    Args:
        contestants: Functions ``(model, image, target) -> map`` by name: image float ``[C, 240, 240]``,
            target the true segment, bool ``[240, 240]``, map float ``[240, 240]`` or an `Explanation`; or
            `Contestant` objects. None: `everybody`.
        model: The network, ``[B, 1, 240, 240]`` to probabilities of the same shape. None: the one that the
            package brings along for the variant.
        network: Name of another one that has learnt the variant; see `networks_of`.
        images: How many of the series of scenes.
        first: The number of the first of them. The truth about scenes 0 to 29 is for choosing settings,
            about 30 to 129 for results.
        variant: Of the data set; see `draw_scene`.
        seed: Names the series.
        out: Folder for ``rows.csv``, and for a table and a plot that are called after the variant:
            ``plain.md`` and ``plain.png``.
        curves: The maps whose deletion and insertion are measured, which costs 2 x 20 forwards each; True
            for all of them.
        workers: Processes that share the runs. More than 1: the contestants, and the model, must be
            functions or objects that other processes can import.
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
    name = _named_network(network, variant, model)
    as_positive(workers, "workers")
    if as_whole(first, "first") < 0:
        raise ValueError(f"first must be 0 or more, got {first}")
    file = RowFile(folder / "rows.csv", {"seed": seed, "network": _name_of(model)})
    done = {row.key for row in file.rows() if row.method not in curved or "deletion" in row.figures}
    other = "" if name == networks_of(variant)[0] or model is not None else name
    runs = [(number, contestant) for number in range(first, first + images) for contestant in entered]
    tasks = [run for run in runs if any((variant, run[0], one, other) not in done for one in run[1].names)]
    if progress and len(tasks) < len(runs):
        kept = len(runs) - len(tasks)
        tqdm.write(f"{kept} of {len(runs)} runs are in {file.path} and are not done again", file=sys.stderr)
    setting = Setting(model, name, variant, seed, frozenset(curved))
    failures: dict[tuple[str, ...], tuple[int, Exception]] = {}
    outcomes = run_all(setting, tasks, min(workers, max(1, len(tasks))))
    for number, contestant, found in tqdm(
        outcomes, desc="Benchmark", unit="run", total=len(tasks), disable=not progress
    ):
        if isinstance(found, Exception):
            failures[contestant.names] = number, found
            continue
        rows = (Row(variant, number, one, figures, other) for one, figures in found.items())
        file.add(row for row in rows if row.key not in done)
    shown = "a given network" if model is not None else "its networks"
    title = f"Testnet, {variant}, seed {seed}, {shown}"
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


def _named_network(network: str | None, variant: Variant, model: nn.Module | None) -> str:
    """The name of the network that is asked.

    Raises:
        ValueError: There is no such network, it has learnt another variant, or there is a model beside it.
    """
    known = networks_of(variant)
    if network is None:
        return known[0]
    if model is not None:
        raise ValueError("model= and network= both say which network is asked; pass one of them")
    if network not in known:
        learnt = f"; {network} has learnt {NETWORKS[network].variant}" if network in NETWORKS else ""
        raise ValueError(f"network must be one of {', '.join(known)} for {variant}, got {network!r}{learnt}")
    return network


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
