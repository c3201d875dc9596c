"""Draw the testnet data set into examples/testnet/dataset."""

from pathlib import Path

import click

from interpret_segmentation.testnet import VARIANTS, Variant, generate_dataset

HERE = Path(__file__).parent


@click.command(context_settings={"show_default": True})
@click.option("--count", type=click.IntRange(min=1), default=1000, help="Number of images.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="The same seed draws the same images.")
@click.option("--variant", type=click.Choice(VARIANTS), default="plain", help="What makes it harder.")
def main(count: int, seed: int, variant: Variant) -> None:
    """Draw the testnet data set into the folder "dataset" beside this script."""
    try:
        folder = generate_dataset(HERE / "dataset", count=count, seed=seed, variant=variant)
    except FileExistsError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{count} images in {folder}")


if __name__ == "__main__":
    main()
