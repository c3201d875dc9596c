"""What the ground truth says: a mask of one class, or labels of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_map, as_region, as_whole
from interpret_segmentation.targets.objective import Prediction

IGNORED = 255
"""The label of pixels that do not count (void), as most data sets have it."""

VOID = -1
"""What pixels that do not count are in `labels_of`, whatever their label was."""

Ignore: TypeAlias = int | Sequence[int] | None
"""Labels of pixels that do not count. None: 255. Negative whole numbers never do."""


def as_ignore(ignore: Ignore) -> tuple[int, ...] | None:
    """Labels of pixels that do not count.

    Raises:
        TypeError: Something else than whole numbers.
    """
    if ignore is None:
        return None
    several = isinstance(ignore, list | tuple | set | np.ndarray)
    labels: Any = ignore if several else (ignore,)
    return tuple(sorted({as_whole(label, "ignore") for label in labels}))


def truth_of(
    truth: AnyArray, label: int, prediction: Prediction, name: str, ignore: Ignore = None
) -> tuple[BoolArray, BoolArray | None]:
    """The true segment of a class, and the pixels that do not count, both bool ``[*space]``.

    Args:
        truth: ``[*space]``: a mask of the class, bool or of 0 and 1; or, for several classes, labels: whole
            numbers of which some are above 1. Negative whole numbers, and beside a 1 also 255, mark pixels
            that do not count.
        label: The class.
        prediction: Says how large the image is and how many classes there are.
        name: What the user calls it.
        ignore: Labels of pixels that do not count, in place of 255.

    Raises:
        ValueError: Another size, or values that are neither.
    """
    values = as_map(truth, prediction.space, name=name)
    labels = labels_of(truth, prediction, name, ignore)
    if labels is not None:
        void = labels == VOID
        return np.ascontiguousarray(labels == label), void if void.any() else None
    void_ = _void(values, prediction, ignore)
    if ignore is None and not (values == 1).any():
        void_ &= values < 0  # 255 beside 0 alone is how masks of 8 bits are written
    rest = torch.where(void_, 0, values)
    if ignore is not None and (rest == IGNORED).any():
        raise ValueError(
            f"{name} holds {IGNORED}, which counts as soon as ignore= names other labels; pass "
            f"ignore={tuple(sorted({*(as_ignore(ignore) or ()), IGNORED}))}"
        )
    mask = as_region(rest, prediction.space, name=name)
    whole = values.dtype != torch.bool and not values.is_floating_point()
    if whole and prediction.classes > 1 and label != 1 and mask.any():
        raise ValueError(
            f"{name} holds 0 and 1 only, as labels or as a mask of class {label}? Pass a mask as bool: "
            f"`{name} == 1` for a mask, `{name} == {label}` for labels"
        )
    return mask, void_.numpy() if void_.any() else None


def labels_of(truth: AnyArray, prediction: Prediction, name: str, ignore: Ignore = None) -> FloatArray | None:
    """The ground truth, if it holds labels, `VOID` where it does not count; None for a mask.

    Raises:
        ValueError: Labels that the model does not have.
    """
    values = as_map(truth, prediction.space, name=name)
    if prediction.classes == 1 or not values.max() > 1 or bool((values % 1).any()):
        return None
    if values.is_floating_point() and (values < 0).any():
        kind = str(values.dtype).removeprefix("torch.")
        raise ValueError(
            f"{name} has labels and negative numbers such as {values.min().item():g}, but is of type {kind}; "
            f"labels of pixels that do not count must be whole numbers: pass {name}.astype(int)"
        )
    void = _void(values, prediction, ignore)
    known = values[~void]
    if known.numel() and known.max() >= prediction.classes:
        raise ValueError(
            f"{name} has labels up to {int(known.max())}, but the model's classes are 0 to "
            f"{prediction.classes - 1}; if that label marks pixels that do not count, pass "
            f"ignore={_with(ignore, int(known.max()))}"
        )
    if not known.any():
        if ignore is not None:
            return None
        raise ValueError(
            f"{name} holds 0 and {IGNORED} only: pass `{name} > 0` if it is a mask, for as a label "
            f"{IGNORED} marks pixels that do not count"
        )
    labels: FloatArray = torch.where(void, VOID, values.double()).numpy()
    return labels


def _with(ignore: Ignore, label: int) -> str:
    """Labels to ignore, and one more, as an argument."""
    labels = sorted({*(as_ignore(ignore) or ()), label})
    return str(labels[0] if len(labels) == 1 else tuple(labels))


def _void(values: Tensor, prediction: Prediction, ignore: Ignore) -> Tensor:
    """The pixels that do not count."""
    if values.dtype == torch.bool:
        return torch.zeros_like(values)
    void = torch.zeros_like(values, dtype=torch.bool) if values.is_floating_point() else values < 0
    labels = as_ignore(ignore)
    if labels is None:
        labels = (IGNORED,) if prediction.classes <= IGNORED else ()
    for label in labels:
        void = void | (values == label)
    return void


def largest_label(labels: FloatArray) -> int:
    """The label with most pixels but for the background and those that do not count; 0 without any."""
    counts = np.bincount(labels[labels > 0].astype(np.int64).ravel())
    return int(counts.argmax()) if counts.size else 0
