"""One HTML file: the templates with style, script and content put in."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from matplotlib import colormaps

from interpret_segmentation._files import write_whole
from interpret_segmentation._types import PathLike
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.provenance import now
from interpret_segmentation.show.reports.content import Entry, images, those_that_work
from interpret_segmentation.show.reports.words import told

SCRIPTS = ("arithmetic.js", "content.js", "elements.js", "panel.js", "gestures.js", "report.js", "start.js")
SEQUENTIAL = ("viridis", "cividis", "magma", "gray")
DIVERGING = ("RdBu_r", "PuOr_r")
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""The browser itself refuses to load anything from anywhere."""


def report(
    explanations: Explanation | Sequence[Explanation] | Mapping[str, Explanation],
    path: PathLike,
    *,
    title: str | None = None,
    metrics: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    error: float = 0.02,
    overwrite: bool = False,
) -> Path:
    """Write a report of one or several explanations: one HTML file that needs no server and no network.

    Explanations of one image stand side by side; several images are chosen from a list.

    Args:
        explanations: One, several, or several by name.
        path: Where; ``.html`` is the usual ending.
        title: Of the page. None: what is explained.
        metrics: What else is known of each explanation, by name, such as what
            `interpret_segmentation.evaluate` measured; one mapping, or one for each.
        error: How far the maps of single pixels may be from the exact ones, as a share of them (root mean
            square). The file is kept below 15 MB, whatever the error; the report tells what was reached.
        overwrite: Replace an existing file.

    Returns:
        The path.

    Raises:
        FileExistsError: There is such a file, and overwrite is False.
        TypeError: Something is no explanation.
        ValueError: There are none, metrics for another number of them, or a negative error.
    """
    if not error >= 0:
        raise ValueError(f"error must be a share of the maps, at least 0, got {error!r}")
    return write_report(_entries(explanations, metrics), path, title=title, error=error, overwrite=overwrite)


def write_report(
    entries: Sequence[Entry],
    path: PathLike,
    *,
    title: str | None,
    error: float,
    overwrite: bool,
    failed: list[str] | None = None,
) -> Path:
    """Write the page to a file, whole or not at all; see `report`.

    With a list ``failed``, explanations that cannot be shown are left out and noted in it.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a report needs the name of a file, such as report.html")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; choose another name, or pass overwrite=True")
    try:
        text = page(entries, title=title, error=error)
    except Exception:
        good = [] if failed is None else those_that_work(entries, failed, error=error)
        if not good:
            raise
        text = page(good, title=title, error=error)
    with write_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return path


def page(entries: Sequence[Entry], *, title: str | None = None, error: float = 0.02) -> str:
    """The whole page as text."""
    content = {"images": images(entries, error=error)}
    return filled(content, title=title or _title(entries), policy=POLICY)


def filled(content: dict[str, Any], *, title: str, policy: str) -> str:
    """The template with everything in its place."""
    known = content | {"colours": _colours()}
    # "<" as an escape: no text of a user ends the element that holds the content.
    data = json.dumps(known, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Template(_file("page.html")).substitute(
        policy=html.escape(policy, quote=True),
        title=html.escape(title),
        style=_file("page.css"),
        version=html.escape(version("interpret-segmentation")),
        made=now()[:10],
        content=data,
        script="\n".join(_file(name) for name in SCRIPTS),
    )


def _entries(
    explanations: Explanation | Sequence[Explanation] | Mapping[str, Explanation],
    metrics: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None,
) -> list[Entry]:
    if isinstance(explanations, Explanation):
        explanations = [explanations]
    named: list[tuple[str | None, Any]] = (
        list(explanations.items())
        if isinstance(explanations, Mapping)
        else [(None, one) for one in explanations]
    )
    for _, one in named:
        if not isinstance(one, Explanation):
            raise TypeError(f"a report needs explanations, got {type(one).__name__}")
    if not named:
        raise ValueError("a report needs at least one explanation, got none")
    known = [metrics] if isinstance(metrics, Mapping) else list(metrics or [{}] * len(named))
    if len(known) != len(named):
        raise ValueError(f"there are {len(named)} explanations, but metrics for {len(known)}")
    numbers: list[Explanation] = []
    entries = []
    for (name, one), measured in zip(named, known, strict=True):
        number = next((at for at, other in enumerate(numbers) if _alike(one, other)), len(numbers))
        if number == len(numbers):
            numbers.append(one)
        entries.append(Entry(one, f"image {number + 1}", name, metrics=measured))
    return entries


def _alike(one: Explanation, other: Explanation) -> bool:
    if one.image is None or other.image is None:
        return one.image is other.image and one.saliency.shape == other.saliency.shape
    return np.array_equal(one.image, other.image, equal_nan=True)


def _title(entries: Sequence[Entry]) -> str:
    targets = {told(entry.explanation.target) for entry in entries}
    what = targets.pop() if len(targets) == 1 else "segments"
    names = {entry.image for entry in entries}
    where = names.pop() if len(names) == 1 else "image 1"
    return f"What makes the network draw {what}" + (f" in {where}" if where != "image 1" else "")


def _colours() -> list[dict[str, Any]]:
    """Tables of 256 colours: perceptually uniform ones, and diverging ones for maps with a sign."""
    tables = []
    for name in (*SEQUENTIAL, *DIVERGING):
        colours = (colormaps[name](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
        data = base64.b64encode(colours.tobytes()).decode("ascii")
        tables.append({"name": name, "diverging": name in DIVERGING, "data": data})
    return tables


@cache
def _file(name: str) -> str:
    return (files("interpret_segmentation.show.reports") / "frontend" / name).read_text(encoding="utf-8")
