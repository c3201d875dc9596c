"""What was done to make an explanation: in words, in full, and as a line of code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from interpret_segmentation._settings import Setting, Unrecorded, as_data, same
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.fills.named import name_of
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.targets import Class, Target

Rows = list[tuple[str, str]]


def words(explanation: Explanation) -> str:
    """What was done, in a few sentences."""
    return " ".join(explanation.sentences())


def told(target: Setting | None) -> str:
    """A target in words."""
    return target.describe() if isinstance(target, Target) else "the map" if target is None else str(target)


def facts(explanation: Explanation, metrics: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Tables of settings, model, run and metrics, each with its name."""
    settings, model = dict(explanation.settings), dict(explanation.model)
    if explanation.recipe is not None:
        said = explanation.recipe.model.stated()
        settings = {name: value for name, value in settings.items() if name not in said}
        model |= said
    run = {name: value for name, value in explanation.run.items() if name != "notes"}
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
    if not isinstance(method, str) or explanation.recipe is None:
        return "explanation = explanation.repeat(model)"
    defaults = {part.name: part.default for part in fields(explanation.recipe.method)}
    given = {
        name: value
        for name, value in explanation.settings.items()
        if name != "method" and not same(as_data(value), as_data(defaults.get(name)))
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
    if isinstance(value, Fill) and (known := name_of(value)):
        return repr(known)
    parts = [getattr(value, part.name) for part in fields(value)]
    return name if any(isinstance(part, np.ndarray) or callable(part) for part in parts) else repr(value)
