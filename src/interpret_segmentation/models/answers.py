"""Finds the segmentation in whatever a model returns: a tensor in a dict, a tuple, a list, or an object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from interpret_segmentation.models.instances import SCORES, refuse_instances

Output: TypeAlias = str | int | Callable[[Any], Any]
"""Which part of a model's answer holds the segmentation: a key, an index, or a function of the answer."""

Fits: TypeAlias = Callable[[Tensor, int], bool]
"""``(tensor, images) -> bool``: whether a tensor can be maps of so many images."""

KEYS = ("out", "logits", "probabilities", "masks", "pred", "prediction", "output", "pred_masks")
QUERIES = "queries: sum of class probability x mask probability"
"""Where the segmentation of a mask transformer is found; its classes exclude each other."""


@dataclass(frozen=True)
class Step:
    """One step into a model's answer.

    Attributes:
        kind: ``"function"`` (the user's), ``"key"``, ``"item"``, ``"attribute"``, ``"each"`` (a list with one
            entry for each image), ``"queries"`` or ``"prompt"`` (the only prompt's masks).
        name: The key, index or attribute; of ``"each"`` how entries become one, ``"cat"`` or ``"stack"``.
    """

    kind: str
    name: Any = None

    def __str__(self) -> str:
        words = {
            "function": f"{self.name}(answer)",
            "attribute": f".{self.name}",
            "each": "[each]",
            "queries": QUERIES,
            "prompt": "[:, 0]",
        }
        return words.get(self.kind, f"[{self.name!r}]")

    def take(self, answer: Any, output: Output | None) -> Any:
        """The part of an answer that the step leads to."""
        if self.kind == "function":
            assert callable(output)
            try:
                return output(answer)
            except Exception as error:
                raise RuntimeError(
                    f"the function output= fails on the model's answer, {described(answer)}: "
                    f"{type(error).__name__}: {error}"
                ) from error
        if self.kind == "attribute":
            return getattr(answer, self.name)
        if self.kind == "queries":
            return _from_queries(answer)
        if self.kind == "prompt":
            return answer[:, 0]
        if self.kind == "each":
            if len(answer) == 1 and self.name == "cat":
                return answer[0]
            return getattr(torch, self.name)([_tensor(part) for part in answer])
        return answer[self.name]


@dataclass(frozen=True)
class Path:
    """Where in a model's answer the segmentation is, so that it is found there again.

    Attributes:
        steps: One after the other.
        rivals: How many maps of the same shape there were to choose from; 1: no other.
        last: The last of them.
        others: Other maps, of another number of classes or another size, which may be meant as well.
        restated: A function of the user's made the maps; it did not only find them.
    """

    steps: tuple[Step, ...] = ()
    rivals: int = 1
    last: str = ""
    others: str = ""
    restated: bool = False

    def __str__(self) -> str:
        return "".join(map(str, self.steps))

    @property
    def is_queries(self) -> bool:
        """It is made of the queries of a mask transformer."""
        return any(step.kind == "queries" for step in self.steps)

    def follow(self, answer: Any, output: Output | None) -> Tensor:
        """The tensor that is there in an answer.

        Raises:
            TypeError: There is none any more.
        """
        part, steps = answer, self.steps
        if steps and steps[0].kind == "function":
            part, steps = steps[0].take(answer, output), steps[1:]
        try:
            for step in steps:
                part = step.take(part, output)
        except (KeyError, IndexError, AttributeError, TypeError) as error:
            raise TypeError(
                f"the segmentation was at {self} of the model's answer, but now it is {described(answer)}"
            ) from error
        return _tensor(part)

    def behind(self, *steps: Step) -> Path:
        """The same place, a few steps further away."""
        begin = "".join(map(str, steps))
        last, others = (f"{begin}{place}" if place else "" for place in (self.last, self.others))
        return replace(self, steps=(*steps, *self.steps), last=last, others=others)


def find(answer: Any, wanted: Output | None, size: int, fits: Fits) -> Path:
    """Where in a model's answer the segmentation is.

    Args:
        answer: A tensor or array; or a mapping, an object with ``logits``, a tuple or a list of them.
        wanted: What the user says. None looks for it.
        size: Number of images that it answers.
        fits: Tells tensors that can be maps from others, such as a loss.

    Raises:
        TypeError: There is no tensor in the answer, several and nothing says which, or it is no segmentation
            but objects.
        KeyError: The key or index that the user says is not there.
    """
    if callable(wanted):
        step = Step("function", getattr(wanted, "__name__", "output function"))
        made = step.take(answer, wanted)
        path = _inside(made, size, fits)
        found = path.follow(made, None)
        is_there = any(_same_memory(found, _tensor(part)) for part in _tensors(answer))
        return replace(path.behind(step), restated=not is_there)
    refuse_instances(answer, wanted)
    if wanted is None:
        return _inside(answer, size, fits)
    named = _named(answer, wanted)
    if named is None:
        return _inside(answer, size, fits)
    return _behind_prompt(named.take(answer, None), answer, size, fits).behind(named)


def _named(answer: Any, wanted: str | int) -> Step | None:
    """The step to the part that the user names; None where the answer itself is meant.

    A name that is a key is the key; digits that are none are the number of an output.
    """
    number = _number(wanted)
    if _is_mapping(answer):
        for key in (wanted, str(wanted), number):
            if key is not None and key in answer:
                return Step("key", key)
        if number is not None and -len(answer) <= number < len(answer):
            return Step("key", list(answer)[number])
    elif number is None:
        if hasattr(answer, str(wanted)) and not isinstance(answer, Tensor | np.ndarray | str):
            return Step("attribute", str(wanted))
    elif isinstance(answer, Tensor | np.ndarray):
        if number in (0, -1):  # it is the only output
            return None
        raise KeyError(
            f"the model's answer is one {described(answer)}, so there is no output {number}; leave output= "
            f"out, or, for one of its channels, pass target={number}"
        )
    elif _is_list(answer) and -len(answer) <= number < len(answer):
        return Step("item", number)
    raise KeyError(f"the model's answer has no {wanted!r}; it is {described(answer)}")


def _number(wanted: str | int) -> int | None:
    """The number that is meant, also in digits."""
    if isinstance(wanted, str):
        return int(wanted) if wanted.removeprefix("-").isdecimal() else None
    return wanted


def _inside(answer: Any, size: int, fits: Fits) -> Path:
    """Where in an answer, or a part of one, the segmentation is; nobody says."""
    if isinstance(answer, Tensor | np.ndarray):
        _tensor(answer)
        return Path()
    if _is_mapping(answer):
        return _in_mapping(answer, size, fits)
    for name in KEYS:
        if hasattr(answer, name):
            return _behind_prompt(getattr(answer, name), answer, size, fits).behind(Step("attribute", name))
    if _is_list(answer):
        return _in_list(answer, size, fits)
    raise _no_tensor(answer)


def _in_mapping(answer: Mapping[Any, Any], size: int, fits: Fits) -> Path:
    if {"class_queries_logits", "masks_queries_logits"} <= set(answer):
        return Path((Step("queries"),))
    key = next((key for key in KEYS if key in answer), None)
    if key is None:
        tensors = [key for key, part in answer.items() if isinstance(part, Tensor | np.ndarray)]
        fitting = [key for key in tensors if fits(_tensor(answer[key]), size)]
        if len(fitting or tensors) != 1:
            found = f"the model's answer is {described(answer)}"
            raise TypeError(
                f"{found}; say which part is the segmentation: "
                f"output={' or '.join(map(repr, fitting or tensors))}"
                if tensors
                else f"{found}, without a tensor in it; pass output=, a function that finds it"
            )
        key = (fitting or tensors)[0]
    return _behind_prompt(answer[key], answer, size, fits).behind(Step("key", key))


def _behind_prompt(part: Any, answer: Any, size: int, fits: Fits) -> Path:
    """The part itself, or, of masks ``[B, 1, 1, h, w]`` beside their scores, the only prompt's."""
    scored = any(name in answer if _is_mapping(answer) else hasattr(answer, name) for name in SCORES)
    if scored and isinstance(part, Tensor | np.ndarray) and part.ndim == 5 and part.shape[1] == 1:
        return Path((Step("prompt"),))
    return _inside(part, size, fits)


def _in_list(answer: Sequence[Any], size: int, fits: Fits) -> Path:
    """The entry that can be maps: of several with as many classes the finest, of equals the first."""
    if not len(answer):
        raise TypeError("the model's answer is empty")
    if (each := _one_for_each(answer, size, fits)) is not None:
        return each
    paths: list[Path] = []
    for number, part in enumerate(answer):
        try:
            inner = _inside(part, size, fits)
        except TypeError:
            continue
        paths.append(inner.behind(Step("item", number)))
    if not paths:
        raise _no_tensor(answer)
    maps = [(path, path.follow(answer, None)) for path in paths]
    fitting = [(path, tensor) for path, tensor in maps if fits(tensor, size)]
    if not fitting:
        return paths[0]
    first = fitting[0][1]
    alike = [(path, tensor) for path, tensor in fitting if _leading(tensor) == _leading(first)]
    chosen, finest = max(alike, key=lambda pair: pair[1].numel())  # max takes the first of equals
    equal = [path for path, tensor in alike if tensor.shape == finest.shape]
    rivals, last = chosen.rivals, chosen.last
    if len(equal) > 1:
        rivals, last = len(equal), equal[-1].last or str(equal[-1])
    unlike = [
        path
        for path, tensor in fitting
        if tensor.ndim == finest.ndim and tensor.shape[1] != finest.shape[1] and _may_be_meant(tensor, finest)
    ]
    others = chosen.others or (str(unlike[0]) if unlike and finest.ndim > 3 else "")
    return Path(chosen.steps, rivals, last, others)


def _may_be_meant(other: Tensor, chosen: Tensor) -> bool:
    """Whether other maps are as likely the segmentation: these look like features, or are coarser."""
    finer = other[0, 0].numel() > chosen[0, 0].numel()
    return finer or (chosen.shape[1] >= FEATURES and other.shape[1] < chosen.shape[1])


FEATURES = 16
"""Channels from which maps that stand before others may be features and no classes."""


def _one_for_each(answer: Sequence[Any], size: int, fits: Fits) -> Path | None:
    """A list with the maps of one image after the other."""
    tensors = [part for part in answer if isinstance(part, Tensor | np.ndarray)]
    if len(answer) != size or len(tensors) != size or len({part.shape for part in tensors}) > 1:
        return None
    first = _tensor(tensors[0])
    if not fits(first, 1) or (size > 1 and fits(first, size)):
        return None
    with_axis = first.ndim > 2 and len(first) == 1 and fits(first.expand(2, *first.shape[1:]), 2)
    return Path((Step("each", "cat" if with_axis else "stack"),))


def _leading(maps: Tensor) -> tuple[int, ...]:
    """The axes before those of space, if maps have two of them."""
    return tuple(maps.shape[:2]) if maps.ndim > 3 else (maps.ndim,)


def _is_mapping(answer: Any) -> bool:
    return isinstance(answer, Mapping)


def _is_list(answer: Any) -> bool:
    return isinstance(answer, Sequence) and not isinstance(answer, str)


def _tensors(answer: Any) -> Iterator[Any]:
    """Every tensor in an answer, however deep."""
    if isinstance(answer, Tensor | np.ndarray):
        yield answer
    elif _is_mapping(answer):
        for part in answer.values():
            yield from _tensors(part)
    elif _is_list(answer):
        for part in answer:
            yield from _tensors(part)
    elif hasattr(answer, "__dict__"):
        yield from (part for part in vars(answer).values() if isinstance(part, Tensor | np.ndarray))


def _same_memory(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are one and the same, or equal in shape and every value."""
    return one.shape == other.shape and bool(torch.equal(one, other.to(one.dtype)))


def _no_tensor(part: Any) -> TypeError:
    return TypeError(
        f"the model must return a tensor, or a dict, tuple or object that holds one; got {described(part)}. "
        "Pass output=, a key or a function that finds the segmentation in it"
    )


def _tensor(part: Any) -> Tensor:
    if isinstance(part, Tensor) and not part.is_complex():
        return part
    if isinstance(part, np.ndarray) and part.dtype.kind in "buif":
        return torch.from_numpy(np.array(part, dtype=part.dtype.newbyteorder("="), order="C"))
    raise _no_tensor(part)


def _from_queries(answer: Mapping[str, Tensor]) -> Tensor:
    """Semantic maps of MaskFormer (https://arxiv.org/abs/2107.06278, 3.4): sum_q p_q(class) m_q(pixel)."""
    classes = answer["class_queries_logits"].softmax(dim=-1)[..., :-1]
    masks = answer["masks_queries_logits"].sigmoid()
    maps = torch.einsum("bqk,bq...->bk...", classes, masks)
    return maps / maps.sum(dim=1, keepdim=True).clamp(min=1)


def described(answer: Any) -> str:
    """A model's answer in a few words, for errors."""
    if isinstance(answer, Tensor | np.ndarray):
        shape = " x ".join(map(str, answer.shape)) or "a single number"
        return f"{answer.dtype} of shape {shape}".removeprefix("torch.")
    if _is_mapping(answer):
        return "{" + ", ".join(f"{key!r}: {described(part)}" for key, part in answer.items()) + "}"
    if isinstance(answer, list | tuple):
        return f"{type(answer).__name__} of {len(answer)}: [{', '.join(map(described, answer[:4]))}]"
    return type(answer).__name__
