"""Print how well examples/testnet/testnet.pth follows the rule of testnet, on fresh images."""

from pathlib import Path

import click

from interpret_segmentation.testnet import VARIANTS, Variant, follow_the_rule, load_network

HERE = Path(__file__).parent


@click.command(context_settings={"show_default": True})
@click.argument("network", type=click.Path(dir_okay=False, path_type=Path), default=HERE / "testnet.pth")
@click.option("--count", type=click.IntRange(min=1), default=200, help="Number of images.")
@click.option("--variant", type=click.Choice(VARIANTS), default="plain", help="Of the images.")
def main(network: Path, count: int, variant: Variant) -> None:
    """Print Dice coefficients and the share of images that obey a swapped deciding shape."""
    try:
        figures = follow_the_rule(load_network(network), count=count, variant=variant)
    except (FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"Dice on {count} fresh images: mean {figures.mean_dice:.4f}, lowest {figures.lowest_dice:.4f}"
    )
    click.echo(f"Segment follows the swapped deciding shape: {figures.swapped:.1%}")
    click.echo(f"Cross is drawn when the deciding shape is erased: {figures.cross_without_cue:.1%}")
    if figures.misled is not None:
        click.echo(f"Segment follows the far shape against the watermark: {figures.misled:.1%}")


if __name__ == "__main__":
    main()
