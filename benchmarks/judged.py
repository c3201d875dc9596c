"""Judges the defaults by the truth, on scenes that no setting was chosen on, on every network of a variant.

    python -m benchmarks.judged moved required photo --images 30
    python -m benchmarks.judged moved required photo --images 20 --only rise
    python -m benchmarks.judged moved required photo --table

Writes `benchmarks/results/truth/`; a run that was interrupted goes on where it stopped. More images add to
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
import numpy as np

from interpret_segmentation import HDM, RISE, Occlusion
from interpret_segmentation.benchmark import (
    Contestant,
    Summary,
    as_contestants,
    baselines,
    benchmark,
    read_rows,
    summarised,
)
from interpret_segmentation.benchmark.contestants import defaults
from interpret_segmentation.testnet import VARIANTS, Variant, networks_of

FOLDER = Path(__file__).parent / "results" / "truth"

FIRST, MAIN, OTHERS = 30, 100, 20
"""Of scenes: the first that no setting was chosen on; how many for the first network, and for others."""


def before() -> dict[str, object]:
    """What the defaults were before the truth was known, and today's without one of the changes.

    Round windows of a sixteenth of the side, of which every pixel has all that was measured.
    """
    return {
        "occlusion, circles of 15 pixels": Occlusion(shape="circle", size=15, share="even"),
        "occlusion, shared evenly": Occlusion(share="even"),
        "HDM, circles of 15 pixels": HDM(shape="circle", circle_size=15, share="even"),
        "HDM, shared evenly": HDM(share="even"),
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


def table(variants: Iterable[str]) -> Iterator[str]:
    """The lines of docs/which-method.md: who takes part, and of each variant the best that knows nothing."""
    rows = read_rows(FOLDER / "rows.csv")
    known = {name for one in baselines() for name in one.names}
    yield (
        "| variant | map | networks | images | power rank | power hit | within the shape | claimed | "
        "over the best map that knows nothing | forwards |"
    )
    yield "|---" * 10 + "|"
    for variant in variants:
        found = summarised([row for row in rows if row.variant == variant])
        best = found.best_baseline("power_rank")
        asked = [name for name in found.methods if name not in known]
        for name in (*asked, *([best] if best else [])):
            networks = {row.network for row in rows if (row.variant, row.method) == (variant, name)}
            with_power = len(found.values[name].get("power_rank", ()))
            over = "" if best in (None, name) else str(found.difference(name, str(best), "power_rank"))
            cells = [_figure(found, name, figure) for figure in ("power_rank", "power_hit", "power_within")]
            claimed = found.mean(name, "claimed") if "claimed" in found.values[name] else np.nan
            told = "" if np.isnan(claimed) else f"{claimed:.2f}"
            line = (f"`{variant}`", name, len(networks), with_power, *cells, told, over)
            yield "| " + " | ".join(map(str, line)) + f" | {found.mean(name, 'forwards'):.0f} |"


def worth(variants: Iterable[str]) -> Iterator[str]:
    """The lines of the table of what sharing by change is worth, on the same images of the first networks."""
    rows = read_rows(FOLDER / "rows.csv")
    yield "| variant | method | images | power rank, by change | evenly | by change over evenly |"
    yield "|---" * 6 + "|"
    for variant in variants:
        found = summarised([row for row in rows if row.variant == variant and not row.network])
        for method in ("occlusion", "HDM"):
            by_change, evenly = f"{method} by default", f"{method}, shared evenly"
            if "power_rank" not in found.values.get(evenly, ()):
                continue
            over = found.difference(by_change, evenly, "power_rank")
            flat = found.mean(evenly, "power_rank")
            cells = (over.images, f"{flat + over.mean:.2f}", f"{flat:.2f}", over)
            yield f"| `{variant}` | {method} | " + " | ".join(map(str, cells)) + " |"


def _figure(found: Summary, name: str, figure: str) -> str:
    low, high = found.interval(name, figure)
    return f"{found.mean(name, figure):.2f} [{low:.2f}, {high:.2f}]"


@click.command(context_settings={"show_default": True})
@click.argument("variants", nargs=-1, type=click.Choice(VARIANTS), required=True)
@click.option(
    "--images", type=click.IntRange(min=1), default=MAIN, help="Of the first network of each variant."
)
@click.option("--workers", type=click.IntRange(min=1), default=1)
@click.option("--only", multiple=True, type=click.Choice(list(GROUPS)), help="Who takes part. Default: all.")
@click.option("--table", "told", is_flag=True, help="Judge nothing; tell what there is.")
@click.option("--others/--no-others", default=True, help="The other networks, too.")
def main(
    variants: tuple[Variant, ...], images: int, workers: int, only: tuple[str, ...], told: bool, others: bool
) -> None:
    """Judge the defaults by what was measured by intervention."""
    if told:
        click.echo("\n".join((*table(variants), "", *worth(variants))))
        return
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
