"""What the ground truth says: a mask of one class, or labels of all."""

from __future__ import annotations

import numpy as np
import torch

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_map, as_region
from interpret_segmentation.targets.objective import Prediction

IGNORED = 255
"""The label of pixels that do not count, as most data sets have it."""


def truth_of(
    truth: AnyArray, label: int, prediction: Prediction, name: str
) -> tuple[BoolArray, BoolArray | None]:
    """The true segment of a class, and the pixels that do not count, both bool ``[*space]``.

    Args:
        truth: ``[*space]``: a mask of the class, bool or of 0 and 1; or, for several classes, labels: whole
            numbers of which some are above 1. Beside a 1, 255 marks pixels that do not count.
        label: The class.
        prediction: Says how large the image is and how many classes there are.
        name: What the user calls it.

    Raises:
        ValueError: Another size, or values that are neither.
    """
    labels = labels_of(truth, prediction, name)
    if labels is not None:
        ignored = labels == IGNORED if prediction.classes <= IGNORED else np.zeros(labels.shape, dtype=bool)
        return np.ascontiguousarray(labels == label), ignored if ignored.any() else None
    values = as_map(truth, prediction.space, name=name)
    ignored = values == IGNORED
    if bool((values == 1).any()) and ignored.any():
        mask = as_region(torch.where(ignored, 0, values), prediction.space, name=name)
        return mask, ignored.numpy()
    mask = as_region(truth, prediction.space, name=name)
    kind = as_map(truth, prediction.space, name=name).dtype
    whole = kind != torch.bool and not kind.is_floating_point
    if whole and prediction.classes > 1 and label != 1 and mask.any():
        raise ValueError(
            f"{name} holds 0 and 1 only, as labels or as a mask of class {label}? Pass a mask as bool: "
            f"`{name} == 1` for a mask, `{name} == {label}` for labels"
        )
    return mask, None


def labels_of(truth: AnyArray, prediction: Prediction, name: str) -> FloatArray | None:
    """The ground truth, if it holds labels; None for a mask.

    Raises:
        ValueError: Labels that the model does not have.
    """
    values = as_map(truth, prediction.space, name=name)
    if prediction.classes == 1 or not values.max() > 1 or bool((values % 1).any()):
        return None
    labels: FloatArray = values.numpy()
    known = labels[labels != IGNORED] if prediction.classes <= IGNORED else labels
    if known.size and known.max() >= prediction.classes:
        raise ValueError(
            f"{name} has labels up to {int(known.max())}, but the model's classes are 0 to "
            f"{prediction.classes - 1}"
        )
    if not known.any():
        raise ValueError(
            f"{name} holds 0 and {IGNORED} only: pass `{name} > 0` if it is a mask, for as a label "
            f"{IGNORED} marks pixels that do not count"
        )
    return labels


def largest_label(labels: FloatArray) -> int:
    """The label with most pixels but for the background and those that do not count; 0 without any."""
    counts = np.bincount(labels[(labels > 0) & (labels != IGNORED)].astype(np.int64).ravel())
    return int(counts.argmax()) if counts.size else 0
