"""What RISE costs apart from the network: asking, the maximum of the maps, and their mean."""

import time
from collections.abc import Callable
from statistics import median

import click
import torch

from interpret_segmentation import RISE, RISEResult
from interpret_segmentation.testnet import UNet


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@click.command(context_settings={"show_default": True})
@click.option("--size", type=click.IntRange(min=60), default=1024, help="Height and width in pixels.")
@click.option("--masks", type=click.IntRange(min=1), default=3000, help="Masks of the whole run.")
@click.option("--segment", type=click.FloatRange(0, 1), default=0.05, help="Explained part of the image.")
@click.option("--stride", type=click.IntRange(min=1), default=1, help="Of the maximum.")
@click.option("--pixels", type=click.IntRange(min=1), default=500, help="Explained pixels that are timed.")
@click.option("--forwards", type=click.IntRange(min=1), default=20, help="Forwards that are timed.")
@click.option("--repetitions", type=click.IntRange(min=1), default=3)
def main(
    size: int, masks: int, segment: float, stride: int, pixels: int, forwards: int, repetitions: int
) -> None:
    """Time parts of a run in turns, and say what they come to for all of it."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(UNet(width=16, levels=5), torch.nn.Sigmoid()).eval()
    image = torch.rand(size, size)
    explained = max(1, round(segment * size * size))

    def run(count: int, explained: int) -> RISEResult:
        """A run with a network that costs nothing."""
        target = torch.zeros(size * size)
        target[:explained] = 1
        return RISE(N=count, seed=0).explain(
            lambda batch: batch, image, target.view(size, size), progress=False
        )

    result = run(masks, min(pixels, explained))
    batch = image.expand(result.run["batch_size"], 1, size, size).contiguous()
    rounds = -(-forwards // len(batch))

    @torch.inference_mode()
    def ask() -> None:
        for _ in range(rounds):
            network(batch)

    times = [
        (
            seconds(ask) / (rounds * len(batch)),
            seconds(lambda: run(forwards, explained)) / forwards,
            seconds(result.max) / result.scores.columns,
            seconds(result.mean),
        )
        for _ in range(repetitions)
    ]
    forward, asking, maximum, mean = (median(part) for part in zip(*times, strict=True))
    whole = {
        "forwards": masks * forward,
        "asking": masks * asking,
        "maximum": maximum * explained / stride**2,
        "mean": mean,
    }
    click.echo(
        f"{size} x {size}, {masks} masks, {explained} explained pixels: {1000 * forward:.0f} ms a forward, "
        f"{1000 * asking:.2f} ms around it, {1000 * maximum:.2f} ms a pixel of the maximum, "
        f"{1000 * mean:.0f} ms the mean"
    )
    for name, spent in whole.items():
        click.echo(f"{name:>10} {spent:8.1f} s  {spent / whole['forwards']:6.1%} of the forwards")


if __name__ == "__main__":
    main()
