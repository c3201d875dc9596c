"""What was done to make an explanation: in words, in full, and as a line of code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from interpret_segmentation._settings import Setting, Unrecorded, as_data, same
from interpret_segmentation.explaining import METHODS
from interpret_segmentation.perturb.fills.simple import NAMED
from interpret_segmentation.results.explanation import COMMON, MODEL_OPTIONS, Explanation
from interpret_segmentation.scores.registry import as_score
from interpret_segmentation.targets import (
    Border,
    Class,
    Component,
    FalseNegatives,
    FalsePositives,
    Pixel,
    Region,
)

Rows = list[tuple[str, str]]


def words(explanation: Explanation) -> str:
    """What was done, in a few sentences."""
    tell = {"hdm": _of_circles, "occlusion": _of_parts, "rise": _of_masks}.get(explanation.method)
    settings = explanation.settings
    parts = [
        tell(explanation) if tell and settings else f"The method {explanation.method or 'without a name'}."
    ]
    if explanation.meaning:
        unit = f", in {explanation.unit}" if explanation.unit else ""
        parts.append(f"A value of the map is the {explanation.meaning}{unit}.")
    run = explanation.run
    if {"forwards", "seconds"} <= set(run):
        parts.append(f"The network was asked about {run['forwards']} images in {run['seconds']:g} seconds.")
    return " ".join(parts)


def told(target: Setting | None) -> str:
    """A target in words."""
    match target:
        case None:
            return "the map"
        case Class():
            return f"class {target.label}"
        case Pixel():
            return f"pixel {target.at} of class {target.label}"
        case Region():
            return f"{np.count_nonzero(target.mask)} pixels of class {target.label}"
        case Component():
            what = {"prediction": "segment", "truth": "true segment"}[target.of]
            which = f"number {target.rank + 1} by size" if target.at is None else f"at {target.at}"
            return f"the {what} {which} of class {target.label}"
        case Border():
            return f"the border of class {target.label}"
        case FalsePositives() | FalseNegatives():
            return f"the {target.kind.replace('-', ' ')} of class {target.label}"
    return str(target)


def facts(explanation: Explanation, metrics: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Tables of settings, model, run and metrics, each with its name."""
    settings = {name: value for name, value in explanation.settings.items() if name not in MODEL_OPTIONS}
    said = {name: value for name, value in explanation.settings.items() if name in MODEL_OPTIONS}
    model = dict(explanation.model) | {name: value for name, value in said.items() if value is not None}
    run = dict(explanation.run)
    run |= {f"version of {name}": value for name, value in dict(run.pop("versions", {})).items()}
    tables = {"Metrics": metrics, "Settings": settings, "Model": model, "Run": run}
    return [(name, [(key, short(value)) for key, value in rows.items()]) for name, rows in tables.items()]


def code(explanation: Explanation, file: str | None) -> str:
    """The lines that make the map again."""
    if file is not None:
        return (
            "from interpret_segmentation import Explanation\n\n"
            f"explanation = Explanation.load({file!r}).repeat(model)"
        )
    method = explanation.settings.get("method")
    if not isinstance(method, str):
        return "explanation = explanation.repeat(model)"
    defaults: dict[str, Any] = dict.fromkeys(COMMON)
    if method in METHODS:
        defaults |= {part.name: part.default for part in fields(METHODS[method])}
    given = {
        name: value
        for name, value in explanation.settings.items()
        if name != "method" and not (name in defaults and same(as_data(value), as_data(defaults[name])))
    }
    arguments = [f"{name}={_as_code(name, value)}" for name, value in given.items()]
    classes = {
        type(value)
        for name, value in given.items()
        if _as_code(name, value) == repr(value) and isinstance(value, Setting)
    }
    imports = sorted(f"from {one.__module__} import {one.__name__}" for one in classes)
    return "\n".join(
        [
            "from interpret_segmentation import explain",
            *imports,
            "",
            f"explanation = explain({', '.join(['model', 'image', repr(method), *arguments])})",
        ]
    )


def short(value: Any) -> str:
    """A setting in one line."""
    if isinstance(value, np.ndarray):
        return f"array {' x '.join(map(str, value.shape))}" if value.size > 8 else str(value.tolist())
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {short(item)}" for key, item in value.items())
    return "none" if value is None else str(value)


def _as_code(name: str, value: Any) -> str:
    """A setting as an argument; what has no short form is named after the argument."""
    if isinstance(value, np.ndarray | Unrecorded) or callable(value):
        return name
    if not isinstance(value, Setting):
        return repr(value)
    if isinstance(value, Class):
        return repr(value.label)
    for known, fill in NAMED.items():
        if value == fill:
            return repr(known)
    parts = [getattr(value, part.name) for part in fields(value)]
    return name if any(isinstance(part, np.ndarray) or callable(part) for part in parts) else repr(value)


def _compared(explanation: Explanation) -> str:
    if explanation.settings.get("reference") is not None:
        return "the ground truth"
    return "its segment of the unmasked image"


def _of_circles(explanation: Explanation) -> str:
    settings, measured = explanation.settings, explanation.measured
    name = as_score(settings["distance"]).meaning if isinstance(settings.get("distance"), str) else "distance"
    count = int(np.size(measured["distances"]))
    shape = "circle" if explanation.saliency.ndim == 2 else "ball"
    return (
        f"A black {shape} of {measured['circle_size']} pixels was laid over the image at {count} positions, "
        f"{measured['offset']} pixels apart. Each time the network segmented the image anew, and the {name} "
        f"between what it drew and {_compared(explanation)} was measured."
    )


def _of_parts(explanation: Explanation) -> str:
    settings, measured = explanation.settings, explanation.measured
    count = len(measured["numbers"])
    shape = settings["shape"] if isinstance(settings["shape"], str) else "part"
    sizes = settings.get("size")
    size = (
        ""
        if sizes is None or "parts" in measured
        else f" of {' and '.join(map(str, np.atleast_1d(sizes)))} pixels"
    )
    score = as_score(settings["score"]).meaning if isinstance(settings.get("score"), str) else "score"
    return (
        f"{count} parts of the image ({shape}{size}) were hidden one after the other, with the fill "
        f"{_as_code('fill', settings['fill'])}. Each time the network segmented the image anew, and the "
        f"{score} against {_compared(explanation)} was taken; a pixel has the {settings['merge']} of the "
        "parts over it."
    )


def _of_masks(explanation: Explanation) -> str:
    settings = explanation.settings
    grid = " x ".join([str(settings["s"])] * explanation.saliency.ndim)
    fill = _as_code("fill", settings["fill"])
    return (
        f"The image was multiplied with {settings['N']} random masks, enlarged from grids of {grid} cells, "
        f"each of which keeps what is under it with probability {settings['p1']:g}; elsewhere the image "
        f"fades into the fill {fill}. The masks under which the network still drew the segment show what it "
        f"needs (estimator {settings['estimator']!r})."
    )
