"""The command line. It imports nothing heavy until there is work, so that help comes at once."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click

from interpret_segmentation._methods import DEFAULT, method_names
from interpret_segmentation.cli.options import (
    FILE,
    QUANTITIES,
    as_labels,
    as_model_options,
    as_setting,
    model_options,
)
from interpret_segmentation.cli.power import power
from interpret_segmentation.cli.words import PROGRAM, Command, Terminal

VARIANTS = (
    "plain", "moved", "textured", "distractors", "shortcut",
    "required", "required_moved", "photo", "photo_moved",
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="interpret-segmentation", prog_name=PROGRAM)
def main() -> None:
    """What in the image made a segmentation network draw this segment?"""


main.add_command(power)


class ExplainCommand(Command):
    """A command whose help tells the settings of the method that is named."""

    def settings(self, context: click.Context) -> Collection[str]:
        """Names of the settings of the method that is chosen."""
        from interpret_segmentation.methods import described_settings

        return [name for name, _ in described_settings(context.params["method"])]

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The settings of the method, when one is named; examples, when none is."""
        if context.get_parameter_source("method") in (None, click.core.ParameterSource.DEFAULT):
            super().format_epilog(context, formatter)
            return
        from interpret_segmentation.methods import described_settings

        name = context.params["method"]
        try:
            rows = described_settings(name)
        except ImportError as error:
            raise click.UsageError(str(error)) from error
        with formatter.section(f"Settings of {name} (--set NAME=VALUE)"):
            formatter.write_dl(rows or [("(none)", "")])


@main.command(
    cls=ExplainCommand,
    examples=(
        "explain interpret_segmentation.testnet:pretrained photo.png --mode L",
        "explain my_networks:build scans/ --reference masks/ --method occlusion --set size=25",
        "explain network.pt volume.tif --dims 3 --method rise --set N=500 --seed 1",
    ),
)
@click.argument("model")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=FILE)
@click.option(
    "--method",
    type=click.Choice(method_names()),
    default=DEFAULT,
    show_default=True,
    is_eager=True,
    help="Of this package or another; --method NAME --help lists its settings.",
)
@click.option(
    "--target",
    metavar="WORDS",
    help="What is explained: class:3, pixel:12,40, component:1, border, false-positives, ... "
    "Default: the largest segment.",
)
@click.option(
    "--quantity",
    type=click.Choice(QUANTITIES),
    default="probability",
    show_default=True,
    help="The number of the explained pixels that gradients and the score 'probability' are about.",
)
@click.option(
    "--reference",
    type=click.Path(exists=True, path_type=Path),
    help="Ground truth, a mask or labels: a file, or a folder with a file for each image, of the same name "
    "but for the ending. In an 8-bit mask of 0 and 255 only, 255 counts as 1.",
)
@click.option(
    "--ignore",
    metavar="LABELS",
    type=as_labels,
    help="Labels of the ground truth for pixels that do not count: 0,255. Default: 255. Negative ones never "
    "count.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="explanations",
    show_default=True,
    help="Folder for the results.",
)
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    type=as_setting,
    help="A setting of the method, such as circle_size=25; may be repeated.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of methods with random masks.")
@model_options
@click.option("--batch-size", type=click.IntRange(min=1), help="Images asked at once.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.pass_context
def explain(
    context: click.Context,
    /,
    model: str,
    images: tuple[Path, ...],
    settings: tuple[tuple[str, Any], ...],
    seed: int | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Explain every IMAGE (PNG, JPEG, TIFF or .npy, or a folder of them), and save map and picture.

    MODEL is a TorchScript, torch.export or ONNX file, or package.module:function, a function that returns the
    model. What is done already is skipped; what fails is told at once, and the rest goes on.
    """
    from interpret_segmentation.batch.image_files import Request, explain_files, find_images

    terminal: Terminal = context.obj
    pairs = [*settings, *([] if seed is None else [("seed", seed)])]
    try:
        found = find_images(images, say=terminal.tell)
        request = Request(
            model,
            as_model_options(options),
            settings=_once(pairs),
            progress=not quiet,
            **options,
        )
        outcomes = explain_files(request, found)
    except (OSError, TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    counts = dict.fromkeys(("explained", "skipped", "failed"), 0)
    failed = []
    for image in found:
        terminal.begin(str(image))
        outcome = next(outcomes)
        counts[outcome.state] += 1
        note = {"explained": f", see {outcome.note}", "skipped": f", {outcome.note} is there already"}
        click.echo(f"{outcome.image}: {outcome.state}{note.get(outcome.state, '')}")
        if outcome.state == "failed":
            terminal.tell(outcome.note)
            failed.append(str(image))
    if len(failed) > 1:
        click.echo(f"failed, for the reasons above: {', '.join(failed)}", err=True)
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()))
    if counts["explained"] or counts["skipped"]:
        folder = shlex.quote(str(request.out))
        click.echo(f"next: {PROGRAM} report {folder}, or {PROGRAM} view {folder}")
    if failed:
        context.exit(1)


@main.command(
    cls=Command,
    examples=(
        "benchmark --images 20",
        "benchmark defaults --variant distractors --out judged",
        "benchmark my_methods:Mine baselines --images 10",
    ),
)
@click.argument("contestants", metavar="[CONTESTANT]...", nargs=-1)
@click.option("--images", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--variant", type=click.Choice(VARIANTS), default="plain", show_default=True)
@click.option(
    "--network",
    metavar="NAME",
    help="Another network of the variant, such as moved_mirrored or required_turned.",
)
@click.option(
    "--first", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the first scene."
)
@click.option("--seed", type=click.IntRange(min=0), help="Names the series of scenes.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the runs.",
)
@click.option(
    "--masks",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Of RISE in documented and improved; defaults has its own.",
)
@click.option(
    "--offset",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Pixels between circles in documented, and between squares in captum; defaults has its own.",
)
@click.option(
    "--curves", metavar="MAP", multiple=True, help="Measure deletion and insertion of this map, too."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="benchmark",
    show_default=True,
    help="Folder for rows.csv, and a table and a plot of the variant; rows that are there stay.",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def benchmark(
    contestants: tuple[str, ...],
    images: int,
    variant: Any,
    network: str | None,
    first: int,
    seed: int | None,
    workers: int,
    masks: int,
    offset: int,
    curves: tuple[str, ...],
    out: Path,
    quiet: bool,
) -> None:
    """Judge explanations on testnet, where the cause of every segment is known.

    CONTESTANT is defaults, documented, improved, captum or baselines (maps that know nothing of the network);
    the name of a method; or package.module:name, a method or a function of (model, image, target) that
    returns a map. Default: all but captum, which takes hours.
    """
    from interpret_segmentation.benchmark import SEED
    from interpret_segmentation.benchmark import benchmark as judge
    from interpret_segmentation.benchmark.contestants import named

    try:
        entered = named(contestants, masks=masks, offset=offset)
        summary = judge(
            entered,
            network=network,
            images=images,
            first=first,
            variant=variant,
            seed=SEED if seed is None else seed,
            workers=workers,
            out=out,
            curves=curves,
            progress=not quiet,
        )
    except (ValueError, ImportError, FileNotFoundError) as error:
        raise click.UsageError(str(error)) from error
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        raise click.ClickException(f"stopped; the same command goes on after the rows in {out}") from None
    click.echo(summary.markdown())
    click.echo(f"see {out / f'{variant}.md'} and {out / f'{variant}.png'}")


@main.command(
    cls=Command,
    examples=(
        "report explanations/",
        "report explanations/photo.hdm.safetensors --out photo.html --title 'A photo'",
    ),
)
@click.argument("results", metavar="RESULT...", nargs=-1, required=True, type=FILE)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default="report.html",
    show_default=True,
    help="The file to write.",
)
@click.option("--title", help="Of the page. Default: what is explained.")
@click.option(
    "--error",
    type=click.FloatRange(min=0),
    default=0.02,
    show_default=True,
    help="How far the maps of single pixels may be from the exact ones, as a share of them.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.pass_context
def report(
    context: click.Context,
    /,
    results: tuple[Path, ...],
    out: Path,
    title: str | None,
    error: float,
    overwrite: bool,
) -> None:
    """Write one HTML file of saved results, in which every pixel can be clicked.

    RESULT is a file that explain wrote, or a folder of them. Results of one image, such as
    cell.hdm.safetensors and cell.rise.safetensors, stand side by side. What cannot be read is listed at the
    end.
    """
    from interpret_segmentation.show.reports import write_report
    from interpret_segmentation.show.results import find_results

    if out.exists() and not overwrite:
        raise click.UsageError(f"{out} exists already; choose another --out, or pass --overwrite")
    failed: list[str] = []
    entries = [entry for saved in find_results(results, failed) for entry in saved.entries(failed)]
    if not entries:
        raise click.UsageError(_all_failed(failed))
    try:
        write_report(entries, out, title=title, error=error, overwrite=overwrite, failed=failed)
    except (OSError, ValueError) as error_:
        raise click.UsageError(str(error_)) from error_
    click.echo(f"see {out} ({out.stat().st_size / 1e6:.1f} MB)")
    _end(context, failed)


@main.command(
    cls=Command,
    examples=("view explanations/", "view explanations/photo.hdm.safetensors --port 8000 --no-browser"),
)
@click.argument("results", metavar="RESULT_OR_FOLDER...", nargs=-1, required=True, type=FILE)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open it in the browser.")
@click.pass_context
def view(context: click.Context, /, results: tuple[Path, ...], port: int, browser: bool) -> None:
    """Look at saved results in the browser; clicks are answered with exact maps.

    Serves this computer only, until Ctrl-C. What cannot be read is listed at the end.
    """
    import webbrowser

    from interpret_segmentation.show.results import find_results
    from interpret_segmentation.show.viewer import Content, Viewer

    failed: list[str] = []
    found = find_results(results, failed)
    if not found:
        raise click.UsageError(_all_failed(failed))
    content = Content(found, title=", ".join(path.name or str(path) for path in results), failed=failed)
    try:
        viewer = Viewer(content, port)
    except OSError as error:
        raise click.UsageError(
            f"port {port} cannot be had ({error.strerror}); choose another, or leave --port out"
        ) from error
    with viewer:
        count = "1 image" if len(content.images) == 1 else f"{len(content.images)} images"
        click.echo(f"{count} at {viewer.address}, until Ctrl-C")
        if browser:
            webbrowser.open(viewer.address)
        try:
            viewer.serve_forever()
        except KeyboardInterrupt:
            click.echo("")
    _end(context, failed)


def _all_failed(failed: list[str]) -> str:
    """The error where nothing is left to show."""
    first, *others = failed
    return f"{first}; and {len(others)} more cannot be read" if others else first


def _end(context: click.Context, failed: list[str]) -> None:
    """List what has failed, and say so to the shell."""
    for reason in failed:
        click.echo(f"left out: {reason}", err=True)
    if failed:
        context.exit(1)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the setting {twice[0]!r} is given twice; give it once")
    return dict(pairs)
