"""What a model's answer says: whatever it returns becomes probabilities, or one clear error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.preprocess import SMOOTH

Output: TypeAlias = str | int | Callable[[Any], Any]
"""Which part of a model's answer holds the segmentation: a key, an index, or a function of the answer."""

ACTIVATIONS = ("none", "sigmoid", "softmax", "log_softmax")
"""What turns a model's numbers into probabilities; "none" where they are probabilities already."""

KEYS = ("out", "logits", "probabilities", "masks", "pred", "prediction", "output")
QUERIES = "queries: sum of class probability x mask probability"
"""Where the segmentation of a mask transformer is found; its classes exclude each other."""

STRIDES = range(1, 65)
FLAT = 32
"""The largest image, in pixels along a side, of which a single pixel can be a segmentation."""

SLACK = 1e-3
STATED = "stated"
"""Why an activation is what it is, where the user says so."""

CLASSIFIER = "; that is one number for each class, as a classifier returns, and no segmentation"


class NoProbabilitiesError(ValueError):
    """A masked image's output shows that the numbers are logits, although those before looked otherwise."""


@dataclass(frozen=True)
class Reading:
    """What a model's first answer showed: how it is called, and what its numbers mean.

    Attributes:
        place: Where in the answer the segmentation was.
        shape: Of the maps found there, ``[B, K, *any]``.
        activation: What turns them into probabilities.
        because: Why that, in words.
        exclusive: The classes exclude each other: a pixel belongs to the likeliest.
        resized: The maps are brought to the image's size.
        numpy: The model takes NumPy arrays; None: it takes tensors, as most do.
        channels_last: Images are handed over with the channels of a pixel side by side; None: nobody said.
    """

    place: str
    shape: tuple[int, ...]
    activation: str
    because: str
    exclusive: bool
    resized: bool
    numpy: bool | None = None
    channels_last: bool | None = None

    @property
    def classes(self) -> int:
        """K."""
        return self.shape[1]

    @property
    def is_stated(self) -> bool:
        """The user says what turns the numbers into probabilities."""
        return self.because == STATED

    def activated(self, maps: Tensor) -> Tensor:
        """Probabilities of maps, or of windows of them, ``[B, K, *any]``.

        Raises:
            NoProbabilitiesError: They were taken for probabilities, and some are below 0 or above 1.
        """
        return probabilities(maps, self.activation)

    def segments(self, maps: Tensor, label: int) -> Tensor:
        """Which pixels belong to a class, bool ``[B, *space]`` for probabilities ``[B, K, *space]``."""
        return segments(maps, label, THRESHOLD, exclusive=self.exclusive)

    def as_logits(self) -> Reading:
        """Another reading of the same answer: logits, as a masked image has shown, and no probabilities."""
        several = self.classes > 1
        reading = replace(
            self,
            activation="softmax" if several else "sigmoid",
            because="a masked image gave values outside 0 to 1: logits",
            exclusive=several,
        )
        reading.warn_of_softmax()
        return reading

    def warn_of_softmax(self) -> None:
        """Say that several logits are taken to exclude each other, which cannot be seen from them."""
        if self.activation == "softmax" and self.classes > 2 and not self.is_stated:
            warn(
                f"the model returned logits for {self.classes} classes, which are taken to exclude each "
                "other: ask SegmentationModel(model, activation='softmax') to confirm that, or 'sigmoid' if "
                "they may overlap",
            )

    def warn_of_overlap(self) -> None:
        """Say that several classes are taken for probabilities that need not add up to 1."""
        if self.activation == "none" and not self.is_stated and not self.exclusive and self.classes > 1:
            warn(
                f"the model returned values from 0 to 1 for {self.classes} classes that do not add up to 1, "
                "which are taken for probabilities of classes that may overlap: ask SegmentationModel(model, "
                "activation='none') to confirm that, or 'softmax' or 'sigmoid' if they are logits",
            )


def read(maps: Tensor, place: str, space: tuple[int, ...], activation: str | None) -> tuple[Reading, Tensor]:
    """What the first maps of a model mean, and the probabilities that follow.

    Args:
        maps: ``[B, K, *any]``.
        place: Where in the answer they were.
        space: The image's size.
        activation: What the user says turns them into probabilities. None: it is seen from the values.

    Raises:
        ValueError: NaN, labels, or values that are no probabilities though the user says so.
    """
    check_numbers(maps)
    because = STATED
    if activation is None:
        check_not_labels(maps)
        activation, because = detected_activation(maps)
    first = Reading(place, tuple(maps.shape), activation, because, False, tuple(maps.shape[2:]) != space)
    first.warn_of_softmax()
    try:
        ready = first.activated(resized(maps, space))
    except NoProbabilitiesError as error:
        raise ValueError(str(error)) from None
    reading = replace(first, exclusive=place == QUERIES or excludes(ready, activation))
    reading.warn_of_overlap()
    return reading, ready


def picked(answer: Any, wanted: Output | None) -> tuple[Tensor, str]:
    """The one tensor of a model's answer that holds the segmentation, and where it was found.

    Args:
        answer: A tensor or array; or a mapping, an object with ``logits``, a tuple or a list of them. Of
            several outputs for the same thing (deep supervision) the first counts.
        wanted: What the user says. None looks for it.

    Raises:
        TypeError: There is no tensor in the answer, or several and nothing says which.
        KeyError: The key or index that the user says is not there.
    """
    if callable(wanted):
        return _tensor(wanted(answer)), f"{getattr(wanted, '__name__', 'output function')}(answer)"
    if wanted is not None:
        try:
            part = answer[wanted] if not isinstance(wanted, str) or _is_mapping(answer) else None
            part = getattr(answer, str(wanted)) if part is None else part
        except (KeyError, IndexError, TypeError, AttributeError):
            raise KeyError(f"the model's answer has no {wanted!r}; it is {described(answer)}") from None
        return picked_tensor(part), f"[{wanted!r}]"
    if _is_mapping(answer):
        if {"class_queries_logits", "masks_queries_logits"} <= set(answer):
            return _from_queries(answer), QUERIES
        key = next((key for key in KEYS if key in answer), None)
        tensors = [key for key, part in answer.items() if isinstance(part, Tensor | np.ndarray)]
        if key is None and len(tensors) != 1:
            raise TypeError(
                f"the model's answer is {described(answer)}; say which part is the segmentation with "
                f"output={tensors[0]!r}, say" if tensors else f"the model's answer is {described(answer)}, "
                "without a tensor in it; pass output=, a function that finds it"
            )  # fmt: skip
        key = tensors[0] if key is None else key
        return picked_tensor(answer[key]), f"[{key!r}]"
    for name in KEYS:
        if not isinstance(answer, Tensor | np.ndarray) and hasattr(answer, name):
            return picked_tensor(getattr(answer, name)), f".{name}"
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        if not len(answer):
            raise TypeError("the model's answer is empty")
        part, place = picked(answer[0], None)
        return part, f"[0]{place}"
    return _tensor(answer), ""


def picked_tensor(part: Any) -> Tensor:
    """The tensor in a part of an answer, which may itself be a list."""
    return picked(part, None)[0]


def _is_mapping(answer: Any) -> bool:
    return isinstance(answer, Mapping)


def _tensor(part: Any) -> Tensor:
    if isinstance(part, Tensor) and not part.is_complex():
        return part
    if isinstance(part, np.ndarray) and part.dtype.kind in "buif":
        return torch.from_numpy(np.array(part, dtype=part.dtype.newbyteorder("="), order="C"))
    raise TypeError(
        f"the model must return a tensor, or a dict, tuple or object that holds one; got {described(part)}. "
        "Pass output=, a key or a function that finds the segmentation in it"
    )


def _from_queries(answer: Mapping[str, Tensor]) -> Tensor:
    """Semantic maps of MaskFormer (https://arxiv.org/abs/2107.06278, 3.4): sum_q p_q(class) m_q(pixel)."""
    classes = answer["class_queries_logits"].softmax(dim=-1)[..., :-1]
    masks = answer["masks_queries_logits"].sigmoid()
    maps = torch.einsum("bqk,bq...->bk...", classes, masks)
    return maps / maps.sum(dim=1, keepdim=True).clamp(min=1)


def described(answer: Any) -> str:
    """A model's answer in a few words, for errors."""
    if isinstance(answer, Tensor | np.ndarray):
        return f"{answer.dtype} of shape {_by(answer.shape)}".removeprefix("torch.")
    if _is_mapping(answer):
        return "{" + ", ".join(f"{key!r}: {described(part)}" for key, part in answer.items()) + "}"
    if isinstance(answer, list | tuple):
        return f"{type(answer).__name__} of {len(answer)}: [{', '.join(map(described, answer[:4]))}]"
    return type(answer).__name__


def as_maps(output: Tensor, size: int, space: tuple[int, ...]) -> Tensor:
    """An output as maps ``[B, K, *anywhere]``, checked to belong to images of that many pixels.

    Args:
        output: ``[B, K, *any]``, ``[B, *any]``, or, for one image, without the batch axis.
        size: B, the number of images asked.
        space: The images' size as the model saw them.

    Raises:
        ValueError: Other axes, or a size that is neither the image's nor that divided by a whole stride.
    """
    wanted = f"{size} x classes x {_by(space)} or {size} x {_by(space)}"
    came = f"for {size} images of {_by(space)} pixels the model must return {wanted}, got {_by(output.shape)}"
    if output.numel() == 0:
        raise ValueError(f"{came}: nothing at all")
    dims = len(space)
    maps = None
    whole = [side for side in (size, *space) if side > 1]
    of_all = output.ndim < dims + 2 or len(output) == size
    if output.ndim == dims + 2 and _coarser(output.shape[2:], space):
        maps = output
    elif of_all and [side for side in output.shape if side > 1] == whole:
        maps = output.reshape(size, 1, *space)
    elif output.ndim == dims + 2:
        maps = output
    elif output.ndim == dims + 1 and len(output) == size and _coarser(output.shape[1:], space):
        maps = output[:, None]
    elif size == 1 and tuple(output.shape[1:]) == space:
        maps = output[None]
    if maps is None or len(maps) != size:
        cure = ""
        if output.ndim == 2 and len(output) == size:
            cure = CLASSIFIER
        elif tuple(output.shape[:-1]) == space:
            cure = (
                "; pass output=lambda answer: answer.movedim(-1, -3)"
                if dims == 2
                else "; put the classes first"
            )
        elif output.ndim == dims + 2 and len(output) != size:
            cure = "; the model must keep the number of images, or be asked about one at a time: batch_size=1"
        elif output.ndim > 3 and output.ndim == dims + 3:
            cure = f"; if the image is a volume, pass it as C x D x H x W with dims={dims + 1}"
        raise ValueError(came + cure)
    if max(space) > FLAT and all(side == 1 for side in maps.shape[2:]):
        raise ValueError(came + CLASSIFIER)
    if not _coarser(maps.shape[2:], space):
        channels_last = tuple(maps.shape[1:-1]) == space
        cure = (
            "pass output=lambda answer: answer.movedim(-1, 1)"
            if channels_last
            else "a coarser output is resized where every side is the image's divided by a whole stride; "
            "if this one is cropped or padded, pass output=, a function that makes it the image's size"
        )
        raise ValueError(f"{came}; {cure}")
    return maps


def _coarser(shape: Sequence[int], space: Sequence[int]) -> bool:
    """Whether the shape is the space divided by a whole stride, rounded either way."""
    pairs = list(zip(shape, space, strict=True))
    # Networks for thick slices leave the depth of a volume alone, or halve it less often.
    together = [pairs] if len(pairs) < 3 else [pairs[:1], pairs[1:]]
    return all(
        any(
            all(side in (max(1, whole // stride), -(-whole // stride)) for side, whole in axes)
            for stride in STRIDES
        )
        for axes in together
    )


def resized(maps: Tensor, space: tuple[int, ...]) -> Tensor:
    """Maps brought to the image's size by linear interpolation, pixel areas aligned."""
    if tuple(maps.shape[2:]) == space:
        return maps
    return F.interpolate(maps.float(), size=space, mode=SMOOTH[len(space)], align_corners=False)


def detected_activation(maps: Tensor) -> tuple[str, str]:
    """What turns these maps into probabilities, and why.

    Values from 0 to 1 are probabilities; classes whose logarithms add up to 1 are log-probabilities;
    other values are logits: of one class for a sigmoid, of two or more for a softmax. Whether several logits
    exclude each other cannot be seen from their values, so the softmax is an assumption.

    Args:
        maps: ``[B, K, *any]``.
    """
    lowest, highest = (value.item() for value in torch.aminmax(maps))
    classes = maps.shape[1]
    span = f"values from {lowest:.4g} to {highest:.4g}"
    if lowest >= -SLACK and highest <= 1 + SLACK:
        return "none", f"{span} are probabilities"
    if classes == 1:
        return "sigmoid", f"{span} are logits, of one class"
    if highest <= SLACK and _adds_up(maps.exp()):
        return "log_softmax", f"{span}, whose exponentials add up to 1, are log-probabilities"
    return "softmax", f"{span} are logits; {classes} classes are taken to exclude each other"


def _adds_up(maps: Tensor) -> bool:
    return bool(((maps.sum(dim=1) - 1).abs() < 0.02).all())


def excludes(maps: Tensor, activation: str) -> bool:
    """Whether the classes exclude each other, so that a pixel belongs to the likeliest one."""
    if maps.shape[1] == 1 or activation == "sigmoid":
        return False
    return activation in ("softmax", "log_softmax") or _adds_up(maps)


def probabilities(maps: Tensor, activation: str) -> Tensor:
    """Maps as probabilities, float32 ``[B, K, *any]``.

    Raises:
        NoProbabilitiesError: They are said to be probabilities already, but some are below 0 or above 1.
        ValueError: Some are NaN.
    """
    raw = maps = maps.float()
    if activation == "softmax":
        maps = maps.softmax(dim=1)
    elif activation == "sigmoid":
        maps = maps.sigmoid()
    elif activation == "log_softmax":
        maps = maps.exp()
    lowest, highest = (value.item() for value in torch.aminmax(maps))
    if not (lowest >= -SLACK and highest <= 1 + SLACK):
        check_numbers(raw)
        raise NoProbabilitiesError(
            f"the model must return probabilities from 0 to 1, got values from {lowest:g} to {highest:g}; "
            "if these are logits, pass activation='sigmoid', or 'softmax' for classes that exclude each other"
        )
    return maps


def check_numbers(maps: Tensor) -> None:
    """Raise a ValueError when some values are NaN."""
    broken = int(maps.isnan().sum().item())
    if broken:
        raise ValueError(
            f"the model returned NaN for {broken} of {maps.numel()} values; check that it gets the "
            "range of values it was trained on, and that a blank image does not divide by zero in it"
        )
    if torch.isposinf(maps).any():
        raise ValueError(
            "the model returned infinite values; check that it gets the range of values it was trained on, "
            "and that its type is not too small for them"
        )


def check_not_labels(maps: Tensor) -> None:
    """Raise a ValueError when the values are labels, or a mask of 0 and 255, and no logits of one class."""
    if maps.shape[1] == 1 and maps.max() > 1 and maps.min() >= 0 and bool((maps % 1 == 0).all()):
        raise ValueError(
            f"the model returned whole numbers from 0 to {maps.max().item():g}: labels or a mask, not "
            "probabilities. Have it return probabilities, or pass output=, a function that makes them of its "
            "answer; if these are logits, pass activation='sigmoid'"
        )


def segments(maps: Tensor, label: int, threshold: float, *, exclusive: bool) -> Tensor:
    """Which pixels belong to a class, bool ``[B, *space]``.

    Args:
        maps: Probabilities ``[B, K, *space]``.
        label: The class.
        threshold: What a probability has to exceed where classes may overlap.
        exclusive: The likeliest class takes the pixel; of equals the first.
    """
    return maps.argmax(dim=1) == label if exclusive else maps[:, label] > threshold


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
