"""Judges the defaults by the truth, on scenes that no setting was chosen on, on every network of a variant.

    python -m benchmarks.judged moved required photo --images 30
    python -m benchmarks.judged moved required photo --images 20 --only rise

Writes `benchmarks/results/truth/`; a run that was interrupted goes on where it stopped. More images add to
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


def spared() -> dict[str, object]:
    """RISE as it is asked what the context contributes."""
    return {
        "RISE sparing the segment, mae": RISE(N=1000, design="sobol", spare="segment", score="mae", seed=0)
    }


GROUPS: dict[str, Callable[[], Iterable[Contestant]]] = {
    "occlusion": lambda: defaults(("occlusion",)),
    "hdm": lambda: defaults(("hdm",)),
    "baselines": baselines,
    "before": lambda: as_contestants(before()),
    "rise": lambda: (*defaults(("rise",)), *as_contestants(spared())),
}
"""Who takes part; RISE takes 1000 forwards an image, whatever is black."""


@click.command(context_settings={"show_default": True})
@click.argument("variants", nargs=-1, type=click.Choice(VARIANTS), required=True)
@click.option(
    "--images", type=click.IntRange(min=1), default=MAIN, help="Of the first network of each variant."
)
@click.option("--workers", type=click.IntRange(min=1), default=1)
@click.option("--only", multiple=True, type=click.Choice(list(GROUPS)), help="Who takes part. Default: all.")
@click.option("--others/--no-others", default=True, help="The other networks, too.")
def main(
    variants: tuple[Variant, ...], images: int, workers: int, only: tuple[str, ...], others: bool
) -> None:
    """Judge the defaults by what was measured by intervention."""
    contestants = tuple(one for name in only or GROUPS for one in GROUPS[name]())
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
