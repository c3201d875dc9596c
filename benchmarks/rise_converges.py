"""How many masks RISE needs: the correlation of its map with that of many more, other masks."""

from typing import Any

import click
import numpy as np

from interpret_segmentation import RISE
from interpret_segmentation.benchmark import SEED
from interpret_segmentation.testnet import UNet, draw_scene, pretrained, sample_of

SETTINGS: dict[str, dict[str, Any]] = {
    "RISE by default": {},
    "RISE p1=0.25 s=8 sobol spare dice": {"design": "sobol", "spare": "segment", "score": "dice"},
}


def correlations(network: UNet, number: int, name: str, counts: list[int], masks: int) -> list[float]:
    """Pearson's, over the pixels that are hidden at all, of a run with each count and one with `masks`."""
    image = sample_of(draw_scene(SEED, number))["input"]
    runs = [
        RISE(N=count, seed=seed, **SETTINGS[name]).explain(network, image)
        for seed, count in enumerate((masks, *counts))
    ]
    reached = runs[0].reached
    reference, *maps = (run.saliency[reached] for run in runs)
    return [float(np.corrcoef(reference, one)[0, 1]) for one in maps]


@click.command(context_settings={"show_default": True})
@click.option("--images", type=click.IntRange(min=1), default=1, help="Of the series of the benchmark.")
@click.option("--masks", type=click.IntRange(min=2), default=50_000, help="Of the run to compare with.")
@click.option(
    "--count", "counts", type=click.IntRange(min=2), multiple=True, default=(500, 1000, 3000),
    help="Of masks; as often as wanted.",
)  # fmt: skip
@click.option(
    "--setting", "names", type=click.Choice(list(SETTINGS)), multiple=True, default=list(SETTINGS),
    help="Of RISE; as often as wanted.",
)  # fmt: skip
def main(images: int, masks: int, counts: tuple[int, ...], names: tuple[str, ...]) -> None:
    """Print a table; more than 50,000 forwards for each image and setting."""
    network = pretrained()
    click.echo(f"Correlation with {masks:,} masks\n")
    click.echo("| map | image | " + " | ".join(f"{count:,} masks" for count in counts) + " |")
    click.echo("| --- | --- |" + " --- |" * len(counts))
    for name in names:
        for number in range(images):
            found = correlations(network, number, name, list(counts), masks)
            click.echo(f"| {name} | {number} | " + " | ".join(f"{one:.3f}" for one in found) + " |")


if __name__ == "__main__":
    main()
