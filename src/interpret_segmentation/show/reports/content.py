"""What a report shows of explanations, as plain data that a page can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._settings import same
from interpret_segmentation._types import AnyArray, FloatArray
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.layers import Probes
from interpret_segmentation.results.recipe import BESIDE
from interpret_segmentation.show.explanations import shown_depth, true_segment
from interpret_segmentation.show.reports.factors import factorised
from interpret_segmentation.show.reports.packing import coarser, coarser_mask, packed, packed_map, packed_mask
from interpret_segmentation.show.reports.words import code, facts, told, words

PIXELS = 2**21
"""Pixels of an image beyond which a report shows blocks of pixels."""

PLANES = 16
"""Channels of an image that a report holds; of more it has the mean alone."""

FACTOR_PIXELS = 240 * 240
"""Blocks of the map of a pixel at most: a click is answered for blocks of pixels in larger images."""

FACTOR_BYTES = 10_500_000
"""What the factors of all maps of a report may take; the page is a third larger."""


@dataclass(frozen=True)
class Entry:
    """One explanation of a report.

    Attributes:
        explanation: What is shown.
        image: What its image is called.
        name: What it is called itself; None: its method, and what sets it apart.
        file: Where it was loaded from.
        metrics: What else is known of it, by name.
        address: Where a server answers which map a pixel has; None: the page has to.
    """

    explanation: Explanation
    image: str
    name: str | None = None
    file: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None


def images(entries: Sequence[Entry], *, error: float) -> list[dict[str, Any]]:
    """The content of a report: explanations of one image side by side, one image after the other."""
    groups: list[list[Entry]] = []
    for entry in entries:
        for group in groups:
            if _same_image(group[0], entry):
                group.append(entry)
                break
        else:
            groups.append([entry])
    clicked = sum(entry.explanation.maps_pixels for entry in entries)
    budget = FACTOR_BYTES // max(1, clicked)
    return [image(group, error=error, budget=budget) for group in groups]


def those_that_work(entries: Sequence[Entry], failed: list[str], *, error: float) -> list[Entry]:
    """The entries that a report can show; why it cannot show the others is added to a list."""
    return [entry for entry in entries if _works(entry, failed, error)]


def _works(entry: Entry, failed: list[str], error: float) -> bool:
    try:
        image([entry], error=error)
    except Exception as reason:  # noqa: BLE001  methods of others may raise anything
        said = " ".join(str(reason).split()) or type(reason).__name__
        failed.append(f"{entry.file or entry.image} cannot be shown: {said}")
        return False
    return True


def image(entries: Sequence[Entry], *, error: float, budget: int = FACTOR_BYTES) -> dict[str, Any]:
    """One image with its explanations."""
    first = entries[0].explanation
    space = first.saliency.shape
    step = image_step(space)
    picture, planes, in_colour = _picture(first, step)
    names = [entry.name for entry in entries]
    for number, name in enumerate(_names([entry.explanation for entry in entries])):
        names[number] = names[number] or name
    cases = [
        _case(entry, str(name), step, error=error, budget=budget)
        for entry, name in zip(entries, names, strict=True)
    ]
    for case, limits in zip(cases, _common_limits([entry.explanation for entry in entries]), strict=True):
        if limits is not None:
            case["layers"][0] |= {"limits": limits, "signed": limits[0] < 0}
    return {
        "name": entries[0].image,
        "size": _deep(tuple(-(-side // step) for side in space)),
        "step": step,
        "depth": shown_depth(first) // step if len(space) == 3 else 0,
        "picture": packed(picture),
        "planes": planes,
        "in_colour": in_colour,
        "cases": cases,
    }


def _common_limits(explanations: Sequence[Explanation]) -> list[tuple[float, float] | None]:
    """Of maps of single channels the values of the first and the last colour, the same for all channels."""
    of_method: dict[tuple[str, str], list[FloatArray]] = {}
    keys = []
    for one in explanations:
        single = one.settings.get("channel") not in (None, -1)
        keys.append((one.method, told(one.target)) if single else None)
        if keys[-1] is not None:
            of_method.setdefault(keys[-1], []).append(one.saliency)
    limits: dict[tuple[str, str], tuple[float, float]] = {}
    for key, maps in of_method.items():
        first, last = min(float(part.min()) for part in maps), max(float(part.max()) for part in maps)
        most = max(-first, last)
        limits[key] = (-most, most) if first < 0 else (first, last)
    return [None if key is None else limits[key] for key in keys]


def image_step(space: Sequence[int]) -> int:
    """Pixels along each side of what a report shows as one."""
    step = 1
    while prod(-(-side // step) for side in space) > PIXELS:
        step += 1
    return step


def _same_image(one: Entry, other: Entry) -> bool:
    images = one.explanation.image, other.explanation.image
    if one.image != other.image or one.explanation.saliency.shape != other.explanation.saliency.shape:
        return False
    return images[0] is None or images[1] is None or same(*images)


def _names(explanations: Sequence[Explanation]) -> list[str]:
    """The method of each, and where that does not tell them apart, the settings in which they differ."""
    names = []
    for one in explanations:
        rivals = [
            other
            for other in explanations
            if other is not one and (other.method, other.target) == (one.method, one.target)
        ]
        known = set().union(*(other.settings for other in rivals), one.settings if rivals else ())
        differing = [
            name
            for name in sorted(known.difference(BESIDE))
            if any(not same(one.settings.get(name), other.settings.get(name)) for other in rivals)
        ]
        values = {name: one.settings.get(name) for name in differing}
        shown = [f"{name} {value}" for name, value in values.items() if not isinstance(value, np.ndarray)]
        names.append(", ".join([one.title, *shown[:3]]))
    alike = [(name, told(one.target)) for name, one in zip(names, explanations, strict=True)]
    return [
        f"{name} ({alike[:at].count((name, target)) + 1})" if alike.count((name, target)) > 1 else name
        for at, (name, target) in enumerate(alike)
    ]


def _deep(space: tuple[int, ...]) -> list[int]:
    """Depth, rows and columns; an image has a depth of 1."""
    return [*[1] * (3 - len(space)), *space]


def _picture(explanation: Explanation, step: int) -> tuple[NDArray[np.uint8], list[str], bool]:
    """Planes to look at, uint8 ``[*space, planes]``, their names, and whether three of them are colours."""
    if explanation.image is None:
        return (
            np.zeros((*(-(-side // step) for side in explanation.saliency.shape), 1), np.uint8),
            ["none"],
            False,
        )
    pixels = np.asarray(explanation.image, dtype=np.float64)
    channels = len(pixels)
    in_colour = channels == 3
    low, high = float(pixels.min()), float(pixels.max())
    if in_colour and low >= 0:
        low, high = 0.0, 1.0 if high <= 1 else 255.0 if high <= 255 else high
    names = [f"channel {number}" for number in range(channels)]
    if channels == 1:
        names = ["image"]
    elif not in_colour:
        mean = pixels.mean(axis=0, keepdims=True)
        pixels = np.concatenate([mean, pixels]) if channels <= PLANES else mean
        names = ["mean of channels", *names] if channels <= PLANES else ["mean of channels"]
    scaled = (coarser(pixels, step, pixels.ndim - 1) - low) / ((high - low) or 1)
    planes = np.moveaxis((scaled.clip(0, 1) * 255).round().astype(np.uint8), 0, -1)
    return planes, names, in_colour


def _case(entry: Entry, name: str, step: int, *, error: float, budget: int) -> dict[str, Any]:
    explanation = entry.explanation
    dims = explanation.saliency.ndim
    notes = []
    if step > 1:
        notes.append(f"The image is large: a pixel of this report is the mean of {step} along each side.")
    content: dict[str, Any] = {
        "name": name,
        "method": explanation.method,
        "target": told(explanation.target),
        "layers": [
            {
                "id": layer.name,
                "name": layer.title,
                "meaning": layer.meaning,
                "unit": layer.unit,
                "signed": layer.signed,
                "values": packed_map(coarser(layer.values, step, dims)),
            }
            for layer in explanation.layers()
        ],
        "prediction": None,
        "segment": None,
        "explained": None,
        "truth": None,
        "words": words(explanation),
        "facts": facts(explanation, entry.metrics),
        "code": code(explanation, entry.file),
    }
    if explanation.prediction is not None:
        content["prediction"] = packed_map(coarser(explanation.prediction, step, dims))
    segment, pixels, truth = explanation.segment, explanation.pixels, true_segment(explanation)
    if pixels is not None and segment is not None and np.array_equal(pixels, segment):
        pixels = None
    for key, mask in (("segment", segment), ("explained", pixels), ("truth", truth)):
        content[key] = None if mask is None else packed_mask(coarser_mask(mask, step))
    probes = explanation.probes()
    positions = None if probes is None else _positions(probes, step)
    if positions is not None:
        content["positions"] = positions
        if "turned" not in positions:
            notes.append("The segments with parts hidden were not kept.")
    if explanation.maps_pixels:
        content["pixel_meaning"] = explanation.meaning
        if entry.address is not None:
            content["live"] = entry.address
        else:
            content["factors"], note = _factors(explanation, step, error=error, budget=budget)
            notes.append(note)
    return content | {"notes": notes}


def _positions(probes: Probes, step: int) -> dict[str, Any] | None:
    """What was hidden one after the other, what was measured each time, and what the network then drew."""
    windows, labels = probes.masks.as_windows(), probes.masks.as_labels()
    if not windows and labels is None:
        return None
    content: dict[str, Any] = {
        "name": probes.meaning,
        "unit": probes.unit,
        "baseline": probes.baseline,
        "values": packed(np.asarray(probes.values, dtype="<f4")),
        "numbers": packed(np.asarray(probes.numbers, dtype="<i4")),
    }
    if labels is not None:
        content["parts"] = packed(_thinned(labels, step).astype("<i4"))
    else:
        content["windows"] = _described(windows, step)
    if probes.has_segments:
        content["turned"] = _turned(probes, step)
    return content


def _described(all_windows: Sequence[Windows], step: int) -> list[dict[str, Any]]:
    described, first = [], 0
    for windows in all_windows:
        kernel = windows.kernel[tuple(slice(None, None, step) for _ in windows.space)]
        described.append(
            {
                "first": first,
                "grid": list(windows.grid),
                "offset": windows.offset / step,
                "start": windows.start / step,
                "side": (windows.size + (windows.shape == "circle")) / step,
                "name": f"{windows.size} pixels",
                "kernel": packed_mask(kernel),
                "kernel_size": list(kernel.shape),
            }
        )
        first += len(windows)
    return described


def _thinned(array: AnyArray, step: int) -> NDArray[Any]:
    """The first pixel of each block."""
    return np.asarray(array)[tuple(slice(None, None, step) for _ in range(np.ndim(array)))]


def _turned(probes: Probes, step: int) -> dict[str, str]:
    """The pixels that each mask turned over, as where their runs begin and end."""
    ends, until = probes.kept["turned"], probes.kept["turned_until"]
    if step > 1 and probes.unmasked is not None:
        plain = coarser_mask(probes.unmasked, step).ravel()
        runs = []
        for probe in probes:
            drawn = probe.segment if probe.segment is not None else probes.unmasked
            hidden = coarser_mask(drawn, step).ravel()
            runs.append(np.flatnonzero(np.diff((hidden != plain).view(np.int8), prepend=0, append=0)))
        ends, until = np.concatenate(runs), np.cumsum([len(run) for run in runs])
    return {"ends": packed(np.asarray(ends, dtype="<i4")), "until": packed(np.asarray(until, dtype="<i4"))}


def _factors(explanation: Explanation, step: int, *, error: float, budget: int) -> tuple[dict[str, Any], str]:
    space = explanation.saliency.shape
    own = step
    while prod(-(-side // own) for side in space) > FACTOR_PIXELS:
        own += step
    factors = factorised(explanation, error=error, budget=budget, step=own)
    note = (
        f"The maps of all pixels travel as {factors.rank} pairs of pictures; they differ from the exact ones "
        f"by {100 * factors.error:.2g} % (root mean square, measured on {factors.checked} of "
        f"{len(factors.outputs)} explained pixels)."
    )
    if own > 1:
        note += f" The image is large: pixels are answered for in blocks of {own} along each side."
    return {
        "rank": factors.rank,
        "outputs": packed(factors.outputs),
        "inputs": packed(factors.inputs),
        "scales": [float(scale) for scale in factors.scales],
        "explained": packed_mask(factors.explained),
        "size": _deep(factors.explained.shape),
        "step": own // step,
        "error": factors.error,
    }, note
