"""One number for every masked image: how what the network says of it compares with the reference."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.strategy import Answers
from interpret_segmentation.perturb.hiding import Variations
from interpret_segmentation.scores.registry import Reference, Score, checked

MEASURING = ("cuda",)
"""Kinds of devices that take the numbers themselves, where a score can."""

SHARING = ("cpu",)
"""Kinds of devices where the network needs the cores that a thread beside it would take."""

WAITING = 2
"""Batches whose numbers may be outstanding while the network is asked about the next one."""


class Segments(Protocol):
    """Takes the segments that differ from that of the unmasked image."""

    def take(self, number: int, segment: BoolArray) -> None:
        """The segment of one variation, bool ``[*space]``; numbers only grow."""


Hand: TypeAlias = Callable[[Callable[[], None]], None]
"""Takes a task, and sees that tasks are done in order."""


def measure(
    case: Case,
    variations: Variations,
    count: int,
    score: Score,
    reference: Reference,
    *,
    name: str,
    segments: Segments | None = None,
    again: bool = False,
) -> tuple[float, FloatArray]:
    """The number for the unmasked image, and one for each variation, ``[count]``.

    Where the network's answer is that for the unmasked image, so is the number, and nothing is computed.

    Args:
        case: The network and the image.
        variations: ``(first, last) -> images [last - first, C, *space]``.
        count: Number of variations.
        score: How answers are compared with the reference.
        reference: What they are compared with.
        name: What the progress bar calls the work.
        segments: Keeps the segments that the network draws.
        again: See `Case.ask`.
    """
    (only,) = measure_by(
        case, variations, count, [(score, reference)], name=name, segments=segments, again=again
    )
    return only


def measure_by(
    case: Case,
    variations: Variations,
    count: int,
    measures: Sequence[tuple[Score, Reference]],
    *,
    name: str,
    segments: Segments | None = None,
    again: bool = False,
) -> list[tuple[float, FloatArray]]:
    """The same for several scores, for each of which `measure` says what is returned; asked once."""
    series = [_Series(case, score, reference, count) for score, reference in measures]
    if case.truth is None and not case.objective.pixels.any() and not again:
        warn(f"{case.objective.nothing}, so the map shows what makes one appear; target= asks otherwise")
    unmasked = torch.tensor(case.segment, device=case.device)
    with _worker(beside=case.device.type not in SHARING) as hand:
        for answers in case.ask(variations, count, name, again=again):
            changed: dict[str | None, NDArray[np.int64]] = {None: np.arange(len(answers.segment))}
            for one in series:
                if one.looks_at not in changed:
                    changed[one.looks_at] = one.changed(answers)
                if len(changed[one.looks_at]):
                    one.take(answers, changed[one.looks_at], hand)
            if segments is not None:
                if "segment" not in changed:
                    changed["segment"] = _changed(answers.segment, unmasked)
                drawn = answers.segment[torch.from_numpy(changed["segment"])].cpu().numpy()
                for number, segment in zip(changed["segment"], drawn, strict=True):
                    segments.take(answers.first + int(number), segment)
    return [(one.baseline, one.values) for one in series]


class _Series:
    """The numbers that one score gives.

    Args:
        case: The network and the image.
        score: How answers are compared with the reference.
        reference: What they are compared with.
        count: Number of variations.
    """

    def __init__(self, case: Case, score: Score, reference: Reference, count: int) -> None:
        device = case.device
        self.looks_at = score.looks_at
        self._measure = checked(score.prepare(reference))
        self.baseline = self._measure(case.probability, case.segment)
        self.values = np.full(count, self.baseline)
        on_device = score.prepare_on if device.type in MEASURING else None
        self._measure_batch = None if on_device is None else on_device(reference, device)
        self._unmasked = (
            None if self.looks_at is None else torch.tensor(getattr(case, self.looks_at), device=device)
        )

    def changed(self, answers: Answers) -> NDArray[np.int64]:
        """Which answers differ from that for the unmasked image in what the score looks at."""
        assert self.looks_at is not None
        assert self._unmasked is not None
        return _changed(getattr(answers, self.looks_at), self._unmasked)

    def take(self, answers: Answers, changed: NDArray[np.int64], hand: Hand) -> None:
        """Measure some of the answers."""
        which = torch.from_numpy(changed)
        numbers, segment = answers.first + changed, answers.segment[which]
        if self._measure_batch is not None:
            self.values[numbers] = self._measure_batch(segment).cpu().numpy()
            return
        probability = answers.probability[which].cpu().numpy()
        hand(partial(self._fill, numbers, probability, segment.cpu().numpy()))

    def _fill(self, numbers: NDArray[np.int64], probability: FloatArray, segment: BoolArray) -> None:
        for number, *answer in zip(numbers, probability, segment, strict=True):
            self.values[number] = self._measure(*answer)


def _changed(answers: Tensor, unmasked: Tensor) -> NDArray[np.int64]:
    """Which of the answers ``[b, *space]`` differ from that for the unmasked image."""
    if answers.device.type == "cpu":  # where NumPy is ten times as fast
        plain = unmasked.numpy()
        differs = [not np.array_equal(answer, plain) for answer in answers.numpy()]
        return np.flatnonzero(differs)
    return np.flatnonzero((answers != unmasked).flatten(1).any(dim=1).cpu().numpy())


@contextmanager
def _worker(*, beside: bool) -> Iterator[Hand]:
    """Does tasks right away, or one after the other in a thread beside; leaves when all are done."""
    if not beside:
        yield lambda task: task()
        return
    pool = ThreadPoolExecutor(max_workers=1)
    outstanding: deque[Future[None]] = deque()

    def hand(task: Callable[[], None]) -> None:
        if len(outstanding) == WAITING:
            outstanding.popleft().result()
        outstanding.append(pool.submit(copy_context().run, task))  # np.errstate is part of the context

    try:
        yield hand
        while outstanding:
            outstanding.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
