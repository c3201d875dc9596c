"""Draw docs/images/coffee.png: what makes a network see coffee in a photograph, and the check of it.

``python -m docs.images.coffee``, in the root of a checkout.
"""

from pathlib import Path

import click
import matplotlib.pyplot as plt
import numpy as np
import torch
from benchmarks.coffee_network import parts
from torch import Tensor

from interpret_segmentation import Explanation, explain
from interpret_segmentation.testnet import coffee

PAINT = (0.35, 0.1, 0.06)
"""The colour of the saucer, in which the cup is painted."""


def painted(image: Tensor) -> Tensor:
    """The photograph with the inside of the cup, but for the coffee, in the colour of the saucer."""
    cup, drunk = parts(image.double().numpy())
    porcelain = torch.from_numpy(cup & ~drunk)
    return torch.where(porcelain, image * torch.tensor(PAINT)[:, None, None] / 0.8, image)


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).with_name("coffee.png"))
def main(out: Path) -> None:
    """Explain the photograph by occlusion and RISE, and paint the cup."""
    network, image = coffee()
    maps = {
        "occlusion": explain(network, image, "occlusion", fill="inpaint", progress=False),
        "RISE": explain(network, image, "rise", seed=0, progress=False),
    }
    figure, axes = plt.subplots(1, 4, figsize=(18, 3.6), layout="constrained")
    for place, (title, pixels) in zip(
        (axes[0], axes[3]), {"the photograph": image, "the cup painted": painted(image)}.items(), strict=True
    ):
        with torch.no_grad():
            segment = (network(pixels[None])[0, 0] > 0.5).numpy()
        place.imshow(pixels.permute(1, 2, 0))
        place.contour(segment, [0.5], colors="tab:cyan", linewidths=1.5) if segment.any() else None
        place.set_title(f"{title}: {segment.sum()} pixels of coffee")
        place.axis("off")
    for place, (title, made) in zip(axes[1:3], maps.items(), strict=True):
        made.overlay(place, title=title)
    figure.savefig(out, dpi=80)
    for title, made in maps.items():
        click.echo(f"{title}: {share(made, image):.0%} of the strongest tenth on the cup and in it")
    click.echo(f"see {out}")


def share(made: Explanation, image: Tensor) -> float:
    """Which share of a map's strongest tenth lies on the cup, seen from above."""
    cup, _ = parts(image.double().numpy())
    strong = made.saliency >= np.quantile(made.saliency, 0.9)
    return float((strong & cup).sum() / strong.sum())


if __name__ == "__main__":
    main()
