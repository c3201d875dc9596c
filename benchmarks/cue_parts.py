"""Which part of the deciding shape does the shipped network look at, and do maps point there?

A quarter of the deciding shape is painted black, or all but that quarter, and the network is asked again: how
probable does the left shape that it segmented remain? Then maps are made of images with a circle, and the
quarter that most often decides is ranked against the background, as the whole shape is in the benchmark.
"""

from collections.abc import Callable

import click
import numpy as np
import torch

from interpret_segmentation import HDM, RISE, Occlusion, explain
from interpret_segmentation._types import BoolArray, UInt8Array
from interpret_segmentation.benchmark import SEED
from interpret_segmentation.benchmark.contestants import seed_of
from interpret_segmentation.evaluate import localisation
from interpret_segmentation.explaining import Method
from interpret_segmentation.testnet import Scene, UNet, draw_scene, pretrained, sample_of

QUARTERS = ("upper left", "upper right", "lower left", "lower right")

METHODS: dict[str, Callable[[int], Method]] = {
    "HDM by default": lambda _: HDM(),
    "occlusion by default": lambda _: Occlusion(),
    "RISE, sparing the segment": lambda seed: RISE(
        N=1000, score="dice", design="sobol", spare="segment", seed=seed
    ),
}
"""Made for the seed of an image, so that each has masks of its own."""


def quarters(region: BoolArray) -> dict[str, BoolArray]:
    """The quarters of a region, cut through the middle of its rows and columns."""
    rows, columns = np.nonzero(region)
    row, column = np.indices(region.shape)
    upper, left = row <= (rows.min() + rows.max()) / 2, column <= (columns.min() + columns.max()) / 2
    parts = (upper & left, upper & ~left, ~upper & left, ~upper & ~left)
    return {name: region & part for name, part in zip(QUARTERS, parts, strict=True)}


@torch.no_grad()
def probabilities(network: UNet, scene: Scene, hidden: list[BoolArray]) -> list[float]:
    """Mean probability of the segmented shape, with each of some regions black."""
    images: list[UInt8Array] = [np.where(region, 0, scene.image()) for region in hidden]
    batch = torch.from_numpy(np.stack(images)).float().div(255)[:, None]
    return [float(answer[0, scene.segmented.region()].mean()) for answer in network(batch)]


def stays(network: UNet, scene: Scene) -> list[tuple[bool, bool]]:
    """For each quarter: does the segment stay without it, and with it alone?"""
    cue = scene.cue.region()
    parts = quarters(cue).values()
    without = probabilities(network, scene, list(parts))
    alone = probabilities(network, scene, [cue & ~part for part in parts])
    return [(one > 0.5, other > 0.5) for one, other in zip(without, alone, strict=True)]


def ranked(
    network: UNet, scene: Scene, method: Callable[[int], Method], deciding: str
) -> tuple[float, float, float, float]:
    """Of a method's map: cue AUC and hit of the deciding shape, and of the quarter that decides."""
    image = sample_of(scene)["input"]
    made = explain(network, image, method(seed_of(image)), progress=False)
    segment, cue, distractor = (shape.region() for shape in (scene.segmented, scene.cue, scene.distractor))
    quarter = quarters(cue)[deciding]
    whole = localisation(made, segment=segment, cue=cue, distractor=distractor)
    part = localisation(made, segment=segment, cue=quarter, distractor=distractor | (cue & ~quarter))
    return whole.cue_auc, whole.cue_hit, part.cue_auc, part.cue_hit


@click.command(context_settings={"show_default": True})
@click.option("--images", type=click.IntRange(min=1), default=100, help="Of which quarters are hidden.")
@click.option(
    "--maps", type=click.IntRange(min=0), default=10, help="Images with a circle that are explained."
)
def main(images: int, maps: int) -> None:
    """Print both tables."""
    network = pretrained()
    scenes = [draw_scene(SEED, index) for index in range(images)]
    click.echo("| deciding shape | images | quarter | the segment stays without it | with it alone |")
    click.echo("| --- | --- | --- | --- | --- |")
    deciding = {}
    for kind in ("circle", "square"):
        chosen = [scene for scene in scenes if scene.cue.kind == kind]
        shares = np.mean([stays(network, scene) for scene in chosen], axis=0)
        deciding[kind] = QUARTERS[shares[:, 0].argmin()]
        for name, (without, alone) in zip(QUARTERS, shares, strict=True):
            click.echo(f"| {kind} | {len(chosen)} | {name} | {without:.0%} | {alone:.0%} |")

    circles = [scene for scene in scenes if scene.cue.kind == "circle"][:maps]
    click.echo(
        f"\n| map | images | AUC of the circle | hit | AUC of its {deciding['circle']} quarter | hit |"
    )
    click.echo("| --- | --- | --- | --- | --- | --- |")
    for name, method in METHODS.items() if circles else ():
        figures = np.mean([ranked(network, scene, method, deciding["circle"]) for scene in circles], axis=0)
        click.echo(f"| {name} | {len(circles)} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")


if __name__ == "__main__":
    main()
