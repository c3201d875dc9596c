"""Draw one example image of every testnet variant side by side, segment and deciding shape outlined."""

from pathlib import Path

import click
from matplotlib.figure import Figure

from interpret_segmentation.show import draw_image
from interpret_segmentation.testnet import VARIANTS, draw_scene

COLUMNS = 5


@click.command(context_settings={"show_default": True})
@click.argument("picture", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Series of images.")
@click.option("--index", type=click.IntRange(min=0), default=59, help="Which image of the series.")
def main(picture: Path, seed: int, index: int) -> None:
    """Draw the picture: segment orange, deciding shape blue and dashed."""
    rows = -(-len(VARIANTS) // COLUMNS)
    figure = Figure(figsize=(3 * COLUMNS, 3.3 * rows), layout="constrained")
    places = figure.subplots(rows, COLUMNS).flat
    for axes in places[len(VARIANTS) :]:
        axes.axis("off")
    for axes, variant in zip(places, VARIANTS, strict=False):
        scene = draw_scene(seed, index, variant=variant)
        draw_image(axes, scene.image(), title=variant)
        axes.contour(scene.segmented.region(), levels=[0.5], colors="tab:orange", linewidths=2)
        axes.contour(
            scene.cue.region(), levels=[0.5], colors="deepskyblue", linewidths=2, linestyles="dashed"
        )
    figure.savefig(picture)
    click.echo(f"{picture} drawn")


if __name__ == "__main__":
    main()
