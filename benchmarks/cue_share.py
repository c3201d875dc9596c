"""How much of the deciding shape do HDM and RISE mark, with the settings of the documentation?

On testnet the deciding shape is known. Two ways to say what a map marks, the same for every method:

- half: the pixels whose value is above the middle between the map's smallest and largest value;
- top: the n pixels with the largest values, n being the pixels of segment and deciding shape together (a
  perfect map would mark just those); where several tie for the last places, each counts in part.

One row for each image and map goes to a CSV file; an interrupted run goes on where it stopped.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from interpret_segmentation import hdm
from interpret_segmentation.rise import SegmentationRISE
from interpret_segmentation.testnet import Scene, UNet, draw_scene, pretrained, sample_of

COLUMNS = ["image", "map", "cue_half", "background_half", "cue_top", "background_top"]
SEED = 2


def maps_of(network: UNet, scene: Scene) -> Iterator[tuple[str, NDArray[np.floating]]]:
    """The maps of both methods, settings as in the documentation's examples."""
    device = next(network.parameters()).device
    sample = sample_of(scene)
    circles = hdm.HausdorffDistanceMasks(240, 240)
    circles.generate_masks(circle_size=25, offset=5)
    distances = circles.explain(network, sample["input"], sample["segment"], device)
    yield "HDM worse", np.nan_to_num(distances.painted(hdm.WORSE_ONLY))

    rise = SegmentationRISE(network, (240, 240), device)
    rise.generate_masks(N=3000, s=8, p1=0.1, savepath=None, seed=0)
    scores = rise(sample["input"])
    yield "RISE max", scores.max().numpy()
    yield "RISE mean", scores.mean().numpy()


def shares(saliency: NDArray[np.floating], scene: Scene) -> list[float]:
    """Share of the deciding shape and of the background that a map marks, in both ways.

    Background is what belongs to no shape and lies more than 25 pixels from the segment.
    """
    segment, cue = scene.segmented.region(), scene.cue.region()
    background = ndimage.distance_transform_edt(~segment) > 25
    background &= ~cue & ~scene.distractor.region()
    half = saliency > (saliency.min() + saliency.max()) / 2
    n = int(segment.sum() + cue.sum())
    last = np.partition(saliency, -n, axis=None)[-n]
    above, level = saliency > last, saliency == last
    top = above + level * (n - above.sum()) / level.sum()
    return [float(marked[region].mean()) for marked in (half, top) for region in (cue, background)]


@click.command(context_settings={"show_default": True})
@click.option("--images", type=click.IntRange(min=1), default=20, help="Number of images.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(__file__).parent / "results" / "cue_share.csv",
)
def main(images: int, out: Path) -> None:
    """Measure, and print the means over the images as a Markdown table."""
    network = pretrained().to("cuda:0" if torch.cuda.is_available() else "cpu")
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        out.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    with out.open(encoding="utf-8", newline="") as file:
        done = {int(row["image"]) for row in csv.DictReader(file)}
    for index in sorted(set(range(images)) - done):
        scene = draw_scene(SEED, index)
        rows = [[index, name, *shares(saliency, scene)] for name, saliency in maps_of(network, scene)]
        with out.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    with out.open(encoding="utf-8", newline="") as file:
        table = [row for row in csv.DictReader(file) if int(row["image"]) < images]
    click.echo("| map | deciding shape | images | " + " | ".join(COLUMNS[2:]) + " |")
    click.echo("|---|---|---|" + "---|" * len(COLUMNS[2:]))
    for name in dict.fromkeys(row["map"] for row in table):
        for kinds in (("circle", "square"), ("circle",), ("square",)):
            rows = [
                r for r in table if r["map"] == name and draw_scene(SEED, int(r["image"])).cue.kind in kinds
            ]
            means = [np.mean([float(row[column]) for row in rows]) for column in COLUMNS[2:]]
            figures = " | ".join(f"{mean:.1%}" for mean in means)
            click.echo(f"| {name} | {' or '.join(kinds)} | {len(rows)} | {figures} |")


if __name__ == "__main__":
    main()
