"""Side by side in one run: ``python -m benchmarks --only peers,overhead``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import torch

from benchmarks import report
from benchmarks.contest import Contest
from benchmarks.environments import ROOT
from benchmarks.sections import gpu, growth, overhead, peers, release, speedup

SECTIONS = {
    "peers": peers,
    "overhead": overhead,
    "speedup": speedup,
    "release": release,
    "growth": growth,
    "gpu": gpu,
}
RESULTS = ROOT / "benchmarks" / "results"


def chosen(_: click.Context, __: click.Parameter, value: str | None) -> list[str]:
    """The sections that are named, or all."""
    names = list(SECTIONS) if value is None else value.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        raise click.BadParameter(f"there is no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    return names


@click.command(context_settings={"show_default": True})
@click.option("--only", callback=chosen, help=f"Some of {','.join(SECTIONS)}.", show_default="all")
@click.option("--quick", is_flag=True, help="Small images, one round: whether all works, and no more.")
@click.option(
    "--rounds", type=click.IntRange(min=1), help="Of every comparison, how often.", show_default="1 to 7"
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=os.cpu_count(),
    help="CPU cores for each contestant.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="benchmarks/results",
    help="Folder for JSON and tables; those of the documentation are only renewed from the default. "
    "With --quick it must be given.",
)
def main(only: list[str], quick: bool, rounds: int | None, threads: int, out: Path | None) -> None:
    """Time this package, its peers and its first release on the same network, image and positions."""
    if quick and out is None:
        raise click.UsageError("--quick needs --out: its figures are not for the documentation")
    out = out or RESULTS
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{out} cannot be made: {error}", param_hint="--out") from None
    command = "python -m benchmarks" + (f" --only {','.join(only)}" if only != list(SECTIONS) else "")
    command += (" --quick" if quick else "") + (f" --rounds {rounds}" if rounds else "")
    command += "" if threads == os.cpu_count() else f" --threads {threads}"
    for name in only:
        began = time.perf_counter()
        with Contest(threads, quick, rounds) as contest:
            section = replace(measured(name, contest), command=command)
        section.write(out)
        click.echo(f"{section.markdown()}\n\n({name}: {time.perf_counter() - began:.0f} s)\n")
        if name == "growth":
            growth.draw(section, ROOT / "docs/images/growth.png" if out == RESULTS else out / "growth.png")
    report.write_overview(out, list(SECTIONS))
    if out == RESULTS:
        report.write_into_page(ROOT / "docs" / "speed.md", out)


def measured(name: str, contest: Contest) -> report.Section:
    """One section, with the machine that it ran on."""
    if name == "gpu":
        contest.device = "cuda:0"
    facts = report.machine(contest.threads)
    if contest.device != "cpu" and not torch.cuda.is_available():
        return report.Section(name, gpu.TITLE, machine=facts, skipped="this machine has no GPU")
    if contest.device != "cpu":
        facts["GPU"] = torch.cuda.get_device_name(contest.device)
    measure: Callable[[Contest], report.Section] = SECTIONS[name].measure
    return replace(measure(contest), machine=facts)


if __name__ == "__main__":
    main()
