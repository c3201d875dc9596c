"""Measures the truth about testnet images by intervention, for the benchmark to judge maps by.

    python -m benchmarks.truth moved required photo   # or all networks
    python -m benchmarks.truth --check                # what was measured, in a table
    python -m benchmarks.truth --keep                 # into testnet-data/, with the manifest of its files

About 800 forwards an image, 10 seconds of one core. A run that was interrupted goes on where it stopped.
Scenes 0 to 29 of the network that is called after its variant are those that settings are chosen on; scenes
30 to 129 of it, and 30 to 49 of the others, are those that results are published for.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from functools import cache

import click
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from benchmarks import testnet_manifest
from interpret_segmentation._types import BoolArray
from interpret_segmentation.benchmark import SEED
from interpret_segmentation.benchmark.truth import Truth, as_line, load_lines, measure_truth, read_truths
from interpret_segmentation.evaluate.power_figures import power_rank
from interpret_segmentation.testnet import UNet, draw_scene, pretrained
from interpret_segmentation.testnet.more import CHECKOUT, NETWORKS

KEPT = CHECKOUT / "truth"

FOLDER = CHECKOUT.parent / "build" / "truth"
"""Grows as a run goes on."""

JUDGED = ("moved", "required", "photo")

CHOSEN_ON = range(30)
PUBLISHED = range(30, 130)
OTHERS = range(30, 50)


def scenes_of(name: str) -> list[int]:
    """The numbers of the scenes whose truth is measured for a network."""
    if name in JUDGED:
        return [*CHOSEN_ON, *PUBLISHED]
    return list(PUBLISHED if name in NETWORKS and NETWORKS[name].shipped else OTHERS)


@cache
def network(name: str) -> UNet:
    """Loaded once in each process."""
    torch.set_num_threads(1)
    return pretrained(name)


def measured(task: tuple[str, int]) -> tuple[str, str]:
    """The truth about one image, as a line."""
    name, number = task
    variant = NETWORKS[name].variant
    scene = draw_scene(SEED, number, variant=variant)
    return name, as_line(Truth(variant, number, *measure_truth(network(name), scene, seed=number)))


def report(name: str) -> str:
    """What a file says, in a line of a table."""
    truths = list(read_truths(FOLDER / f"{name}.jsonl", SEED).values())
    kinds = [one.kind for one in truths]
    found = [one.power for one in truths if one.power is not None]
    ceiling = [power_rank(*one.halves) for one in found] + [power_rank(*one.halves[::-1]) for one in found]
    back = sum(one.turned_back for one in found)
    alone = np.mean([one.alone > 0.5 for one in found]) if found else np.nan
    without = np.mean([one.without <= 0.5 for one in found]) if found else np.nan
    powerful = np.mean([one.without_powerful <= 0.5 for one in found]) if found else np.nan
    cells = [
        name, len(truths), *(kinds.count(kind) for kind in ("power", "nothing", "between")),
        f"{np.mean(ceiling) if ceiling else np.nan:.2f}", f"{without:.0%}", f"{powerful:.0%}", f"{alone:.0%}",
        f"{back} of {sum(2 * one.orders for one in found)}",
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


QUARTERS = ("upper left", "upper right", "lower left", "lower right")


def where(name: str) -> Iterator[str]:
    """Where the power of a network lies, a line of a table for each deciding shape."""
    truths = list(read_truths(FOLDER / f"{name}.jsonl", SEED).values())
    scenes = {one.image: draw_scene(SEED, one.image, variant=one.variant) for one in truths}
    for kind in sorted({scene.cue.kind for scene in scenes.values()}):
        found = [
            (one.power.map, scenes[one.image].cue.region())
            for one in truths
            if one.power is not None and scenes[one.image].cue.kind == kind
        ]
        if found:
            shares = np.mean([shares_of(power, cue) for power, cue in found], axis=0)
            cells = [name, kind, len(found), *(f"{share:.0%}" for share in shares)]
            yield "| " + " | ".join(map(str, cells)) + " |"


def shares_of(power: NDArray[np.float64], cue: BoolArray) -> NDArray[np.float64]:
    """The share of the power on each quarter of the deciding shape, and on all that is not that shape."""
    rows, columns = np.nonzero(cue)
    row, column = np.indices(cue.shape)
    upper, left = row <= (rows.min() + rows.max()) / 2, column <= (columns.min() + columns.max()) / 2
    quarters = [cue & vertical & side for vertical in (upper, ~upper) for side in (left, ~left)]
    positive = power.clip(0)
    shares: NDArray[np.float64] = np.array([positive[part].sum() for part in (*quarters, ~cue)])
    return shares / positive.sum()


@click.command(context_settings={"show_default": True})
@click.argument("networks", nargs=-1, type=click.Choice(list(NETWORKS)))
@click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count(), help="Processes.")
@click.option("--first", type=click.IntRange(min=0), default=0, help="Scenes from this number on.")
@click.option("--images", type=click.IntRange(min=1), help="Of each network, so many of those.")
@click.option("--check", is_flag=True, help="Measure nothing; tell what there is.")
@click.option("--keep", is_flag=True, help="Measure nothing; take over what there is.")
def main(
    networks: tuple[str, ...], workers: int, first: int, images: int | None, check: bool, keep: bool
) -> None:
    """Measure what decides in testnet images, by intervention."""
    names = networks or tuple(NETWORKS)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in KEPT.glob("*.jsonl"):
        if not (FOLDER / path.name).exists():
            shutil.copyfile(path, FOLDER / path.name)
    if keep:
        for path in FOLDER.glob("*.jsonl"):
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
            lines.sort(key=lambda line: json.loads(line)["image"])
            (KEPT / path.name).write_text("\n".join([*lines, ""]), encoding="utf-8")
        testnet_manifest.main()
    elif not check:
        done = {name: {number for _, number in load_lines(FOLDER / f"{name}.jsonl")} for name in names}
        tasks = [
            (name, number)
            for name in names
            for number in [one for one in scenes_of(name) if one >= first][:images]
            if number not in done[name]
        ]
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            for name, line in tqdm(pool.imap_unordered(measured, tasks), total=len(tasks), unit="image"):
                with (FOLDER / f"{name}.jsonl").open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
    click.echo(
        "| network | images | power | nothing | between | ceiling | turns over without "
        "| without the powerful | back with them alone | turned back |"
    )
    click.echo("|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        if (FOLDER / f"{name}.jsonl").exists():
            click.echo(report(name))
    click.echo("")
    click.echo("| network | deciding shape | images with power | " + " | ".join(QUARTERS) + " | elsewhere |")
    click.echo("|---" * (4 + len(QUARTERS)) + "|")
    for name in names:
        if (FOLDER / f"{name}.jsonl").exists():
            for line in where(name):
                click.echo(line)


if __name__ == "__main__":
    main()
