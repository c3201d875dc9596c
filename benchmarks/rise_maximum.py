"""What merging the maps of RISE by their maximum costs, apart from the network."""

import time

import click
import torch

from interpret_segmentation.rise import SegmentationRISE


@click.command(context_settings={"show_default": True})
@click.option("--size", type=click.IntRange(min=60), default=1024, help="Height and width in pixels.")
@click.option("--masks", type=click.IntRange(min=1), default=300)
@click.option("--pixels", type=click.IntRange(min=1), default=1000, help="Explained pixels.")
def main(size: int, masks: int, pixels: int) -> None:
    """Explain a blank image with a network that costs nothing, and time the maximum of the maps."""
    explainer = SegmentationRISE(lambda batch: batch.clamp(0, 1), (size, size), "cpu", progress=False)
    explainer.generate_masks(masks, 8, 0.5, savepath=None, seed=0)
    target = torch.zeros(size * size)
    target[:pixels] = 1
    result = explainer(torch.ones(size, size), target.view(size, size))
    start = time.perf_counter()
    result.max()
    seconds = time.perf_counter() - start
    click.echo(
        f"{size} x {size}, {masks} masks, {pixels} pixels: {1000 * seconds / pixels:.2f} ms for each pixel"
    )


if __name__ == "__main__":
    main()
