"""What must be true of a result's parts, said in one way by all who know such a part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from interpret_segmentation.data.inputs import as_copy, as_map, as_region, as_whole
from interpret_segmentation.targets.targets import Target

if TYPE_CHECKING:
    from interpret_segmentation.results.explanation import Explanation

LARGEST = 1e37
"""Of any number in a result; twice as much is a float32 still, and so is the distance between two."""

KINDS = {"f": "numbers", "iu": "whole numbers", "b": "True and False", "biuf": "numbers"}
"""What arrays hold, by the kinds of their dtype."""


def check_array(
    values: object,
    name: str,
    shape: tuple[int | None, ...],
    *,
    kinds: str = "f",
    least: float = -LARGEST,
    most: float = LARGEST,
    unknown: bool = False,
) -> None:
    """See that a part is an array of a shape, with values in a range.

    Args:
        values: The part.
        name: What it is called.
        shape: Sides; None for any.
        kinds: Of its dtype, one of `KINDS`.
        least: The smallest value allowed.
        most: The largest.
        unknown: There may be NaN, as long as not all are.

    Raises:
        ValueError: It is anything else.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in kinds:
        got = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        raise ValueError(f"{name} must be an array of {KINDS[kinds]}, got {got}")
    if len(shape) != values.ndim or any(
        want not in (None, have) for want, have in zip(shape, values.shape, strict=True)
    ):
        wanted = " x ".join("any" if side is None else str(side) for side in shape)
        raise ValueError(f"{name} must be {wanted}, got {' x '.join(map(str, values.shape))}")
    if not values.size:
        return
    smaller, larger = (np.fmin, np.fmax) if unknown else (np.minimum, np.maximum)
    first, last = float(smaller.reduce(values, axis=None)), float(larger.reduce(values, axis=None))
    if not (first >= least and last <= most):  # nor NaN
        raise ValueError(
            f"{name} must lie from {least:g} to {most:g}, but they run from {first:g} to {last:g}"
        )


def check_number(value: object, name: str, *, least: float = -LARGEST) -> None:
    """See that a part is a number in a range.

    Raises:
        ValueError: It is anything else.
    """
    if (
        not isinstance(value, int | float | np.integer | np.floating)
        or isinstance(value, bool)
        or not (math.isfinite(value) and least <= value <= LARGEST)
    ):
        raise ValueError(f"{name} must be a finite number of at least {least:g}, got {value!r}")


def check_region(value: object, name: str, space: tuple[int, ...]) -> None:
    """See that a setting is a region of the image: none, the word "segment", or pixels.

    Raises:
        ValueError: It is anything else.
    """
    if isinstance(value, str):
        if value != "segment":
            raise ValueError(f"{name} must be a region or 'segment', got {value!r}")
    elif value is not None:
        as_region(value, space, name=name)  # type: ignore[arg-type]


def check_channel(channel: object, explanation: Explanation) -> None:
    """See that a setting is a channel of the image: none, -1 for all, or its number.

    Raises:
        ValueError: It is anything else.
    """
    if channel is None:
        return
    count = math.inf if explanation.image is None else len(explanation.image)
    if not -1 <= as_whole(channel, "channel") < count:
        raise ValueError(f"channel must be one of the image's {count}, counted from 0, got {channel!r}")


def check_shared_parts(explanation: Explanation) -> None:
    """See that the parts that all results have fit each other; what a method measured is its own affair.

    Raises:
        TypeError: A part is of another kind.
        ValueError: A part has another size than the map, or values out of range.
    """
    space = explanation.saliency.shape
    if len(space) not in (2, 3):
        raise ValueError(f"saliency must be H x W or D x H x W, got an array of shape {space}")
    check_array(explanation.saliency, "saliency", space)
    if not isinstance(explanation.from_zero, bool | np.bool_):
        raise TypeError(f"from_zero must be True or False, got {explanation.from_zero!r}")
    if explanation.image is not None:
        image = as_copy(explanation.image, "image")
        if not len(image):
            raise ValueError("image has no channels")
        check_array(image, "image", (None, *space), kinds="biuf")
    if explanation.prediction is not None:
        probabilities = as_copy(explanation.prediction, "prediction")
        check_array(probabilities, "prediction", space, kinds="biuf", least=-1e-3, most=1 + 1e-3)
    for layer in explanation.more:
        check_array(layer.values, f"the layer {layer.name}", space, unknown=not np.isnan(layer.values).all())
    _check_model(explanation.model, explanation.target)
    _check_run(explanation.run)
    for target in (explanation.target, explanation.recipe and explanation.recipe.target):
        if isinstance(target, Target):
            target.check_space(space)
    if explanation.recipe is not None:
        if explanation.recipe.reference is not None:
            as_map(explanation.recipe.reference, space, name="the reference of the recipe")
        if explanation.recipe.model.dims not in (None, len(space)):
            raise ValueError(f"the recipe is for {explanation.recipe.model.dims} axes, the map has {space}")


def _check_model(model: Mapping[str, Any], target: object) -> None:
    _check_names(model, "model")
    classes = model.get("classes")
    if classes is None:
        return
    count = as_whole(classes, "classes")
    if count < 1:
        raise ValueError(f"classes must be at least 1, got {classes!r}")
    if isinstance(target, Target) and target.label is not None and target.label >= count:
        raise ValueError(f"class {target.label} is explained, but the model has {count}, counted from 0")


def _check_run(run: Mapping[str, Any]) -> None:
    _check_names(run, "run")
    for name in ("forwards", "backwards", "seconds"):
        if run.get(name) is not None:
            check_number(run[name], name, least=0)
    if not isinstance(run.get("versions", {}), Mapping):
        raise TypeError(f"versions must be names with versions, got {run['versions']!r}")


def _check_names(values: Mapping[Any, Any], name: str) -> None:
    if wrong := [key for key in values if not isinstance(key, str)]:
        raise TypeError(f"{name} must have names, got {wrong[0]!r}")
