"""Judges the defaults by the truth, on scenes that no setting was chosen on, on every network of a variant.

    python -m benchmarks.judged moved required photo --images 30

Writes `benchmarks/results/truth/`; a run that was interrupted goes on where it stopped. More images add to
it.
"""

from __future__ import annotations

from pathlib import Path

import click

from interpret_segmentation import HDM, RISE, Occlusion
from interpret_segmentation.benchmark import Contestant, as_contestants, baselines, benchmark
from interpret_segmentation.benchmark.contestants import defaults
from interpret_segmentation.testnet import VARIANTS, Variant, networks_of

FOLDER = Path(__file__).parent / "results" / "truth"

FIRST, MAIN, OTHERS = 30, 100, 20
"""Of scenes: the first that no setting was chosen on; how many for the first network, and for others."""


def before() -> dict[str, object]:
    """What the defaults were before the truth was known: round windows of a sixteenth of the side."""
    return {
        "occlusion, circles of 15 pixels": Occlusion(shape="circle", size=15),
        "HDM, circles of 15 pixels": HDM(shape="circle", circle_size=15),
    }


@click.command(context_settings={"show_default": True})
@click.argument("variants", nargs=-1, type=click.Choice(VARIANTS), required=True)
@click.option(
    "--images", type=click.IntRange(min=1), default=MAIN, help="Of the first network of each variant."
)
@click.option("--workers", type=click.IntRange(min=1), default=1)
@click.option("--rise/--no-rise", default=True, help="RISE takes 1000 forwards an image, whatever is black.")
@click.option("--others/--no-others", default=True, help="The other networks, too.")
def main(variants: tuple[Variant, ...], images: int, workers: int, rise: bool, others: bool) -> None:
    """Judge the defaults by what was measured by intervention."""
    names = ("occlusion", "hdm", "rise") if rise else ("occlusion", "hdm")
    contestants: tuple[Contestant, ...] = (*defaults(names), *baselines(), *as_contestants(before()))
    if rise:
        spares = RISE(N=1000, design="sobol", spare="segment", score="mae", seed=0)
        contestants += as_contestants({"RISE sparing the segment, mae": spares})
    for variant in variants:
        for number, network in enumerate(networks_of(variant)):
            if number and not others:
                continue
            benchmark(
                contestants,
                variant=variant,
                network=network,
                first=FIRST,
                images=images if not number else min(images, OTHERS),
                out=FOLDER,
                workers=workers,
            )


if __name__ == "__main__":
    main()
