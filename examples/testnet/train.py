"""Train the testnet network on examples/testnet/dataset."""

from pathlib import Path

import click
import torch

from interpret_segmentation.testnet import UNet, load_network, train

HERE = Path(__file__).parent


@click.command(context_settings={"show_default": True})
@click.option("--epochs", type=click.IntRange(min=1), default=10, help="Passes over the training images.")
@click.option("--batch-size", type=click.IntRange(min=1), default=10, help="Images for each step.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), default=2e-3)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Initial weights and order of images.")
@click.option(
    "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="Such as cpu or cuda:0."
)
@click.option("--width", type=click.IntRange(min=1), default=8, help="Channels of the first level.")
@click.option("--levels", type=click.IntRange(1, 8), default=5, help="Resolutions of the U-Net.")
@click.option(
    "--dilation",
    "dilations",
    type=click.IntRange(min=1),
    multiple=True,
    default=(2, 4),
    help="One dilated convolution at the bottleneck; may be given several times.",
)
@click.option("--plain", is_flag=True, help="No dilated convolutions: the U-Net of the paper.")
@click.option(
    "--start",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A network to begin with, whose width, levels and dilations stay; default: a new one.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on after the last finished epoch, with the options the run was started with.",
)
def main(
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: str,
    width: int,
    levels: int,
    dilations: tuple[int, ...],
    plain: bool,
    start: Path | None,
    resume: bool,
) -> None:
    """Train the testnet network on the folder "dataset" beside this script.

    Writes testnet_<epoch>.pth beside this script and the figures of every epoch to results/testnet.txt.
    To use a network in the examples, rename its file to testnet.pth.
    """
    torch.manual_seed(seed)
    try:
        train(
            HERE,
            network=load_network(start)
            if start
            else UNet(width=width, levels=levels, dilations=() if plain else dilations),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            resume=resume,
        )
    except (FileExistsError, FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        raise click.ClickException("interrupted; the same command with --resume goes on") from None


if __name__ == "__main__":
    main()
