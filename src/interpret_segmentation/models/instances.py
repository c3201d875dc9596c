"""Refuses answers that list objects or queries instead of classes, with the function that makes maps of them.

A model that finds objects answers with one mask for each, in an order of its own: hide part of the first, and
another may come first. Compared as they come, masks of different objects would be compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

PAGE = "docs/instances.md has more"

SCORES = ("iou_scores", "iou_predictions", "iou_preds")
"""What models that answer prompts say beside their masks."""

NESTED = 0.9
"""Share of a mask that lies in the next larger one, where masks are the whole and its parts."""

LEAST_PROTOTYPES = 16
"""Fewer maps are classes."""


def refuse_instances(answer: Any, wanted: str | int | None) -> None:
    """Raise a TypeError when a model answers with objects, queries or nested masks, not with classes.

    Args:
        answer: What the model returned.
        wanted: The part that the user names; None: nobody says.
    """
    by_names, by_shapes = (_objects, _queries, _nested_masks), (_pair_of_queries, _pair_of_masks, _prototypes)
    for kind in by_names if wanted is not None else (*by_names, *by_shapes):
        if (refusal := kind(answer)) is not None:
            what, cure = refusal
            raise TypeError(
                f"the model returned {what}, and no map for each class"
                + ("" if wanted is None else f", so that output={wanted!r} does not help")
                + f"; {cure} ({PAGE})"
            )


def _get(answer: Any, *names: str) -> Any:
    """The first part of an answer with one of these names; None where there is none."""
    for name in names:
        if isinstance(answer, Mapping):
            if name in answer:
                return answer[name]
        elif not isinstance(answer, Tensor | np.ndarray) and hasattr(answer, name):
            return getattr(answer, name)
    return None


def _shape(part: Any) -> tuple[int, ...]:
    return tuple(part.shape) if isinstance(part, Tensor | np.ndarray) else ()


def _objects(answer: Any) -> tuple[str, str] | None:
    """A list with the objects of each image, as Mask R-CNN and Detectron2 return it, or of the only image."""
    several = isinstance(answer, Sequence) and not isinstance(answer, str) and _get(answer, "boxes") is None
    if several and not answer:
        return None
    first = answer[0] if several else answer
    if several and len(answer) > 1 and _is_detections(answer[-1]):  # ({}, detections)
        first = answer[-1][0]
    if _get(first, "sem_seg") is not None:
        return "a list with one entry for each image", _passed(SEMANTIC)
    if _get(first, "instances") is not None:
        return "a list of the objects in each image", _passed(OF_INSTANCES, "all objects of class 0")
    if _get(first, "segments_info") is not None:
        return "numbers of segments, in an order of their own", _passed(
            OF_PANOPTIC, "all segments of label 1"
        )
    found = sum(_get(first, name) is not None for name in ("boxes", "labels", "scores", "masks"))
    if (
        isinstance(first, Tensor | np.ndarray)
        or found < 2
        or _get(first, "boxes", "labels", "scores") is None
    ):
        return None
    return (
        "a list of the objects in each image, which come in another order when something is hidden",
        _passed(OF_OBJECTS, "all objects of label 1"),
    )


SEMANTIC = 'torch.stack([image["sem_seg"] for image in answer])'

OF_INSTANCES = (
    'torch.stack([image["instances"].pred_masks[image["instances"].pred_classes == 0].any(0, keepdim=True)'
    ".float() for image in answer])"
)

OF_PANOPTIC = (
    'torch.stack([torch.isin(a["segmentation"], torch.tensor([s["id"] for s in a["segments_info"] '
    'if s["label_id"] == 1])).float()[None] for a in answer])'
)

OF_OBJECTS = (
    'torch.stack([torch.cat([a["masks"][a["labels"] == 1], a["masks"].new_zeros(1, *a["masks"].shape[1:])])'
    ".amax(0) for a in answer])"
)


def _is_detections(part: Any) -> bool:
    """Whether a part of an answer is a list with the objects of each image."""
    return isinstance(part, list) and bool(part) and isinstance(part[0], Mapping) and "boxes" in part[0]


def _passed(function: str, of: str = "") -> str:
    """The cure: a function of the answer, and what its map is of."""
    return f"pass output=lambda answer: {function}{f', which is of {of}' if of else ''}"


def _queries(answer: Any) -> tuple[str, str] | None:
    """Classes and boxes, or masks, of queries, as DETR returns them."""
    name = "pred_logits" if _get(answer, "pred_logits") is not None else "logits"
    classes, boxes, masks = (_get(answer, part) for part in (name, "pred_boxes", "pred_masks"))
    if len(_shape(classes)) != 3 or (boxes is None and masks is None):
        return None
    count = _shape(classes)[1]
    if masks is None:
        return _boxes_only(count)
    classes, masks = _named(answer, name), _named(answer, "pred_masks")
    function = (
        f'torch.einsum("bqk,bqhw->bkhw", {classes}.softmax(-1)[..., :-1], {masks}.sigmoid()).clamp(max=1)'
    )
    return f"classes and masks of {count} queries", _of_queries(function)


def _pair_of_queries(answer: Any) -> tuple[str, str] | None:
    """The same as a tuple: classes ``[B, queries, classes]`` and boxes ``[B, queries, 4]``."""
    if not isinstance(answer, tuple | list) or len(answer) < 2:
        return None
    classes, boxes = _shape(answer[0]), _shape(answer[1])
    if len(classes) == len(boxes) == 3 and classes[:2] == boxes[:2] and boxes[2] == 4:
        return _boxes_only(classes[1])
    for first, second in ((0, 1), (1, 0)):
        classes, masks = _shape(answer[first]), _shape(answer[second])
        if len(classes) == 3 and len(masks) == 4 and classes[:2] == masks[:2] and classes[1] > 1:
            function = (
                f'torch.einsum("bqk,bqhw->bkhw", answer[{first}].softmax(-1)[..., :-1], '
                f"answer[{second}].sigmoid()).clamp(max=1)"
            )
            return f"classes and masks of {classes[1]} queries", _of_queries(function)
    return None


def _of_queries(function: str) -> str:
    return f"{_passed(function, 'all objects of each class')}, and activation='none'"


def _boxes_only(count: int) -> tuple[str, str]:
    what = f"classes and boxes of {count} queries, which is a detection"
    return what, "boxes alone are no segmentation: explain a model that has masks"


MASKS = ("pred_masks", "low_res_masks", "masks")


def _nested_masks(answer: Any) -> tuple[str, str] | None:
    """Several masks for one prompt, the whole and its parts, as SAM returns them."""
    name = next((name for name in MASKS if _get(answer, name) is not None), "")
    shape = _shape(_get(answer, name))
    if _get(answer, *SCORES) is None or len(shape) not in (4, 5) or shape[-3] == 1:
        return None
    return _first_mask(shape, _named(answer, name))


def _pair_of_masks(answer: Any) -> tuple[str, str] | None:
    """The same as a tuple: masks ``[B, 3, h, w]``, one inside the other, and a score from 0 to 1 for each."""
    if not isinstance(answer, tuple | list) or len(answer) < 2:
        return None
    for first, second in ((0, 1), (1, 0)):
        shape, scores = _shape(answer[first]), answer[second]
        if len(shape) not in (3, 4, 5) or shape[-3] not in (3, 4) or _shape(scores) != shape[:-2]:
            continue
        drawn = torch.as_tensor(answer[first]).reshape(-1, *shape[-3:])[0] > 0
        by_size = drawn[drawn.flatten(1).sum(1).argsort()]
        inside = [
            bool(small.any()) and (small & large).sum() >= NESTED * small.sum()
            for small, large in pairwise(by_size)
        ]
        low, high = torch.as_tensor(scores).float().aminmax()
        if all(inside) and low >= -0.1 and high <= 1.1:
            return _first_mask(shape, f"answer[{first}]")
    return None


def _first_mask(shape: tuple[int, ...], at: str) -> tuple[str, str]:
    chosen = {5: "[:, 0, :1]", 4: "[:, :1]", 3: "[:1]"}[len(shape)]
    what = f"{shape[-3]} masks for one prompt, one inside the other"
    return what, _passed(f"{at}{chosen}", "the first of them")


def _named(answer: Any, name: str) -> str:
    """How a part of an answer is got at in Python."""
    return f'answer["{name}"]' if isinstance(answer, Mapping) else f"answer.{name}"


def _prototypes(answer: Any) -> tuple[str, str] | None:
    """Boxes with coefficients beside prototypes of masks, as YOLO-like models return them."""
    named = isinstance(answer, Mapping) and any("proto" in str(key) for key in answer)
    if not (named or isinstance(answer, tuple | list)) or not answer:
        return None
    found = list(_tensors(answer))
    for path, part in found:
        if len(_shape(part)) != 3:
            continue
        for other, prototypes in found:
            shape = _shape(prototypes)
            if len(shape) != 4 or shape[1] < LEAST_PROTOTYPES or max(_shape(part)[1:]) <= 4 + shape[1]:
                continue
            many, boxes, maps = shape[1], f"answer{path}", f"answer{other}"
            last = _shape(part)[2] > 4 + many and _shape(part)[2] < _shape(part)[1]
            products, objectness = (
                (f'"bnm,bmhw->bnhw", {boxes}[..., -{many}:]', f"{boxes}[..., 4, None, None]")
                if last
                else (f'"bmn,bmhw->bnhw", {boxes}[:, -{many}:]', f"{boxes}[:, 4, :, None, None]")
            )
            function = f"(torch.einsum({products}, {maps}).sigmoid() * {objectness}).amax(1, keepdim=True)"
            what = f"boxes with coefficients beside {many} prototypes of masks"
            return what, _passed(function, "all objects of class 0")
    return None


def _tensors(answer: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every tensor in an answer, with what leads there."""
    if isinstance(answer, Tensor | np.ndarray):
        return [(path, answer)]
    if isinstance(answer, Mapping):
        return [pair for key, part in answer.items() for pair in _tensors(part, f"{path}[{key!r}]")]
    if isinstance(answer, tuple | list):
        return [pair for number, part in enumerate(answer) for pair in _tensors(part, f"{path}[{number}]")]
    return []
