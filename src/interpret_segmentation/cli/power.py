"""The command that measures which parts of an image turn the segment over."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from interpret_segmentation.cli.options import FILE, as_model_options, model_options
from interpret_segmentation.cli.words import Command, Terminal

PIECES = ("superpixels", "grid", "channels")
KINDS = ("sufficient", "necessary")
BEST = 10


@click.command(
    cls=Command,
    examples=(
        "power network.pt photo.png --spare segment",
        "power network.pt photo.png --parts organs.png --fill inpaint --minimal necessary",
        "power network.pt photo.png --map explanations/photo.hdm.safetensors",
    ),
)
@click.argument("model")
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", metavar="WORDS", help="What is explained: class:3, pixel:12,40, component:1, ...")
@click.option(
    "--parts",
    default="superpixels",
    show_default=True,
    metavar="WORD|FILE",
    help=f"What the image is taken apart into: {', '.join(PIECES)}, or a file of labels, each number a part.",
)
@click.option(
    "--count", type=click.IntRange(min=1), help="Superpixels or cells of the grid, about. Default: 60."
)
@click.option(
    "--fill",
    default="background",
    show_default=True,
    metavar="WORD|NUMBERS|FILE",
    help="What hidden parts become: a fill by name, a number or one for each channel, or another image.",
)
@click.option("--spare", type=click.Choice(("segment",)), help="Never hide what the network draws.")
@click.option(
    "--reference", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Ground truth."
)
@click.option(
    "--orders",
    type=click.IntRange(min=1),
    default=48,
    show_default=True,
    help="Random orders that are tried.",
)
@click.option(
    "--turns-at",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="The segment is there where the mean probability of the explained pixels is above this.",
)
@click.option("--minimal", type=click.Choice(KINDS), help="Find a smallest set of such parts, too.")
@click.option(
    "--map",
    "maps",
    multiple=True,
    type=FILE,
    help="A saved result to hold against the power; may be repeated.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the orders.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="explanations",
    show_default=True,
    help="Folder for <image>.power.json, .png, and .npz, which has the part of every pixel.",
)
@model_options
@click.option("--batch-size", type=click.IntRange(min=1), help="Images asked at once.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.pass_context
def power(
    context: click.Context,
    /,
    model: str,
    image: Path,
    maps: tuple[Path, ...],
    minimal: str | None,
    out: Path,
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Measure which parts of IMAGE turn the segment over, by hiding them and by nothing else.

    All parts are hidden and shown again in random orders; how often a part is the one with which the segment
    comes back is its power. MODEL is what it is for explain.
    """
    from interpret_segmentation.evaluate import agreement_with_power, minimal_set
    from interpret_segmentation.evaluate import power as measure_power
    from interpret_segmentation.results.explanation import Explanation
    from interpret_segmentation.show.power import figure_of_power

    terminal: Terminal = context.obj
    files = {ending: out / f"{image.stem}.power.{ending}" for ending in ("json", "png", "npz")}
    try:
        _check_places(files.values(), overwrite=overwrite)
        saved = {path: Explanation.load(path) for path in maps}
        asked, arguments = _arguments(model, image, options)
        _check_maps(saved, asked[1], arguments["parts"])
        arguments |= {"progress": not quiet}
        terminal.begin(str(image))
        found = measure_power(*asked, orders=arguments.pop("orders"), **arguments)
        smallest = None
        if minimal is not None and found.turns_over:
            smallest = minimal_set(*asked, kind=minimal, **arguments)
        agreements = {
            path: agreement_with_power(one, found) for path, one in saved.items() if found.turns_over
        }
    except Exception as error:
        raise click.UsageError(" ".join(str(error).split()) or type(error).__name__) from error
    click.echo(found.verdict)
    if found.turns_over:
        _tell_parts(found)
    if smallest is not None:
        click.echo(str(smallest))
    for path, one in agreements.items():
        click.echo(
            f"{path}: power rank {one.rank:.2f} (chance {one.chance:.2f}), "
            f"strongest point {'on or near' if one.hit > 0.5 else 'more than 5 pixels from'} a powerful part"
        )
    if minimal and not found.turns_over:
        click.echo("there is no set of parts that decides")
    if saved and not found.turns_over:
        click.echo("there is no power that the maps could be held against")
    try:
        _write(files, found, smallest, agreements, figure_of_power(found, smallest))
    except OSError as error:
        raise click.ClickException(f"nothing could be written to {out}: {error}") from error
    click.echo(f"see {files['json']}, {files['png']} and {files['npz']}")


def _check_places(paths: Iterable[Path], *, overwrite: bool) -> None:
    """See, before anything is asked, that files can be written."""
    for path in paths:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; remove it, or choose another --out")
        if path.exists() and not overwrite:
            raise ValueError(f"{path} exists already; pass --overwrite to replace it, or another --out")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise ValueError(f"nothing can be written to {path.parent}; choose another --out")


def _arguments(model: str, image: Path, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What `power` is asked: network, image and target, and its other arguments.

    The network is opened once.
    """
    from interpret_segmentation.data.files import read_image, read_reference
    from interpret_segmentation.models import ModelOptions, Network

    network = Network(model, ModelOptions(**as_model_options(options)))
    mode, raw, target = (options.pop(name) for name in ("mode", "raw", "target"))
    pixels = read_image(image, dims=network.dims, mode=mode, raw=raw)
    parts, fill, reference = (options.pop(name) for name in ("parts", "fill", "reference"))
    if parts not in PIECES:
        parts = read_reference(
            _file(parts, f"--parts must be {', '.join(PIECES)} or a file"), dims=network.dims
        )
    if reference is not None:
        reference = read_reference(reference, dims=network.dims)
    options["fill"] = _fill(fill, network.dims, mode=mode, raw=raw)
    return (network, pixels, target), options | {"parts": parts, "reference": reference}


def _check_maps(saved: dict[Path, Any], pixels: Any, parts: Any) -> None:
    """Refuse maps that cannot be held against the power, before anything is asked."""
    import numpy as np

    from interpret_segmentation.evaluate.intervention import check_same_image

    for path, one in saved.items():
        dims = one.saliency.ndim
        shape = pixels.shape if pixels.ndim == dims else pixels.shape[-dims:]
        space = " x ".join(map(str, shape))
        if isinstance(parts, str) and parts == "channels":
            raise ValueError(f"{path} cannot be held against the power of channels, which have no place")
        if (size := " x ".join(map(str, one.saliency.shape))) != space:
            raise ValueError(f"the map {path} is {size}, but the image {space}; was it made of another one?")
        if one.image is not None:
            known = np.asarray(pixels).reshape(-1, *one.saliency.shape)
            try:
                check_same_image(np.asarray(one.image), known)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None


def _fill(word: str, dims: int | None, *, mode: str, raw: bool) -> Any:
    """A fill by its name, as numbers, or a file."""
    from interpret_segmentation.data.files import read_image
    from interpret_segmentation.perturb.fills.named import NAMED

    if word in NAMED:
        return word
    try:
        numbers = [float(part) for part in word.split(",")]
        return numbers[0] if len(numbers) == 1 else numbers
    except ValueError:
        wanted = f"--fill must be {', '.join(NAMED)}, numbers or a file"
        return read_image(_file(word, wanted), dims=dims, mode=mode, raw=raw)


def _file(word: str, wanted: str) -> Path:
    path = Path(word)
    if not path.is_file():
        raise ValueError(f"{wanted}; there is no file {word}")
    return path


def _tell_parts(found: Any) -> None:
    kind = "channel" if found.labels is None else "part"
    places = "" if found.labels is None else "  centre (row, column)"
    click.echo(f"{kind:>8}  power  standard error{places}")
    for number in sorted(range(len(found)), key=lambda one: -found.power[one])[:BEST]:
        if found.power[number] > 0:
            spread = found.standard_error[number]
            error = "" if spread != spread else f"{spread:5.2f}"  # noqa: PLR0124  NaN
            centre = "" if found.centres is None else ", ".join(f"{at:.0f}" for at in found.centres[number])
            line = f"{found.numbers[number]:>8}  {found.power[number]:5.2f}  {error:>14}  {centre}"
            click.echo(line.rstrip())


def _write(
    files: dict[str, Path], found: Any, smallest: Any, agreements: dict[Path, Any], figure: Any
) -> None:
    """Write what was found: numbers, a picture, and the arrays."""
    from dataclasses import asdict

    import numpy as np

    from interpret_segmentation._files import write_whole

    content = found.as_dict() | {"agreement": {str(path): asdict(one) for path, one in agreements.items()}}
    if smallest is not None:
        content["minimal_set"] = {
            "kind": smallest.kind,
            "parts": smallest.parts,
            "value": smallest.value,
            "without": smallest.without,
            "forwards": smallest.forwards,
        }
    arrays = {name: getattr(found, name) for name in ("numbers", "power", "standard_error")}
    if found.labels is not None:
        arrays["labels"] = np.append(found.numbers, -1)[found.labels]
    with ExitStack() as stack:  # all of them or none
        told, picture, kept = (stack.enter_context(write_whole(path)) for path in files.values())
        told.write_text(json.dumps(content) + "\n", encoding="utf-8")
        figure.savefig(picture, format="png")
        with kept.open("wb") as file:
            np.savez_compressed(file, **arrays)
