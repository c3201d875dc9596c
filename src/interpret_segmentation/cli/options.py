"""Options that several commands share: how pictures are read, and how a model is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

ACTIVATIONS = ("none", "sigmoid", "softmax", "log_softmax")
QUANTITIES = ("probability", "logit")
FITS = ("stretch", "letterbox", "pad")
POSITIONS = ("center", "top_left")
LAYOUTS = ("channels_first", "channels_last")
FILE = click.Path(path_type=Path)


def as_numbers(text: str) -> tuple[float, ...]:
    """``"0.5,0.25"`` as numbers."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of numbers such as 0.5,0.25") from None


def as_channels(text: str) -> tuple[int, ...]:
    """``"2,1,0"`` as channel numbers."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"{text!r} is no list of channels, counted from 0, such as 2,1,0")
    return tuple(map(int, parts))


def as_labels(text: str) -> tuple[int, ...]:
    """``"0,255"`` as labels."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of labels such as 0,255") from None


def as_sides(text: str) -> int | tuple[int, ...]:
    """``"640"`` as the size of every side, ``"480,640"`` as that of each, rows first."""
    parts = [part.strip() for part in text.replace("x", ",").split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise click.BadParameter(f"{text!r} is no size in pixels such as 640 or, rows first, 480,640")
    return int(parts[0]) if len(parts) == 1 else tuple(map(int, parts))


def as_setting(text: str) -> tuple[str, Any]:
    """``"name=value"`` as name and value, which is read as JSON where it is JSON."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not of the form name=value")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


OPTIONS = (
    click.option("--raw", is_flag=True, help="Do not divide 8-bit pictures by 255 and 16-bit ones by 65535."),
    click.option(
        "--mode",
        type=click.Choice(("keep", "L", "RGB")),
        default="keep",
        show_default=True,
        help="Convert pictures to grey or RGB.",
    ),
    click.option("--mean", metavar="NUMBERS", type=as_numbers, help="Taken off before the model sees it."),
    click.option("--std", metavar="NUMBERS", type=as_numbers, help="Divided by, after the mean."),
    click.option(
        "--channels", metavar="NUMBERS", type=as_channels, help="Channels that the model takes: 0,0,0."
    ),
    click.option("--multiple", type=click.IntRange(min=1), help="Resize every side to a multiple of this."),
    click.option(
        "--size",
        metavar="NUMBERS",
        type=as_sides,
        help="Size that the model takes: 640, or rows,columns: 480,640.",
    ),
    click.option(
        "--fit",
        type=click.Choice(FITS),
        help="How images are brought to it: stretched, or with padding around.",
    ),
    click.option("--position", type=click.Choice(POSITIONS), help="Where they lie in it. Default: center."),
    click.option("--pad-value", type=float, help="What padding is, in the image's pixels. Default: 0."),
    click.option(
        "--layout", type=click.Choice(LAYOUTS), help="Order of axes that the model takes and returns."
    ),
    click.option("--numpy", is_flag=True, default=None, help="The model is a function of NumPy arrays."),
    click.option(
        "--network",
        metavar="package.module:name",
        help="The network that MODEL asks, where that is a function in which it cannot be found.",
    ),
    click.option(
        "--output",
        metavar="KEY",
        help="Where in the model's answer the segmentation is: a name, or a number from 0.",
    ),
    click.option(
        "--activation", type=click.Choice(ACTIVATIONS), help="What makes its numbers probabilities."
    ),
    click.option(
        "--threshold",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        help="What a probability has to exceed in the segment. Default: 0.5, or that of the likeliest class.",
    ),
    click.option("--device", help="Such as cuda or cuda:1. Default: the CPU for files."),
    click.option("--dims", type=click.IntRange(2, 3), help="Axes of space: 3 for volumes."),
)
"""How a picture is read, and what a model is told."""

STEPS = ("mean", "std", "channels", "multiple", "size", "fit", "position", "pad_value", "layout")
"""Arguments of `Preprocess`."""

SAID = ("output", "activation", "threshold", "device", "dims", "numpy", "network")
"""Arguments of `ModelOptions`."""


def model_options(command: Function) -> Function:
    """Give a command the options that say how pictures are read and how a model is asked."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def as_model_options(given: dict[str, Any]) -> dict[str, Any]:
    """Take what is said of the model out of a command's options: the arguments of `ModelOptions`."""
    from interpret_segmentation.data.preprocess import Preprocess

    steps, said = ({name: given.pop(name) for name in names} for names in (STEPS, SAID))
    said["numpy"] = said["numpy"] or None
    if (name := said.get("network")) is not None:
        said["network"] = _named_network(name)
    stated = {name: value for name, value in steps.items() if value is not None}
    return said | {"preprocess": Preprocess(**stated) if stated else None}


def _named_network(name: str) -> Any:
    """The network that a name in a module of the user's leads to."""
    from interpret_segmentation._importing import current_folder, import_name

    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise ValueError(f"--network must be package.module:name, got {name!r}")
    try:
        with current_folder():
            return import_name(module, attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--network {name}: {error}") from error
