"""One number for every masked image: how what the network says of it compares with the reference."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.case import Case
from interpret_segmentation.scores import Reference, Score, checked

MEASURING = ("cuda",)
"""Kinds of devices that take the numbers themselves, where a score can."""

SHARING = ("cpu",)
"""Kinds of devices where the network needs the cores that a thread beside it would take."""

WAITING = 2
"""Batches whose numbers may be outstanding while the network is asked about the next one."""

Hand: TypeAlias = Callable[[Callable[[], None]], None]
"""Takes a task, and sees that tasks are done in order."""


def measured(
    case: Case,
    variations: Callable[[int, int], Tensor],
    count: int,
    score: Score,
    reference: Reference,
    *,
    name: str,
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
    """
    device = case.device
    measure = checked(score.prepare(reference))
    baseline = measure(case.probability, case.segment)
    values = np.full(count, baseline)
    on_device = score.prepare_on if device.type in MEASURING else None
    measure_batch = None if on_device is None else on_device(reference, device)
    unmasked = None if score.looks_at is None else torch.tensor(getattr(case, score.looks_at), device=device)

    def fill(numbers: NDArray[np.int64], probability: FloatArray, segment: BoolArray) -> None:
        for number, *answer in zip(numbers, probability, segment, strict=True):
            values[number] = measure(*answer)

    with _worker(beside=device.type not in SHARING) as hand:
        for answers in case.ask(variations, count, name):
            changed = torch.arange(len(answers.segment))
            if score.looks_at is not None and unmasked is not None:
                changed = _changed(getattr(answers, score.looks_at), unmasked)
            if not len(changed):
                continue
            numbers, segment = answers.first + changed.numpy(), answers.segment[changed]
            if measure_batch is not None:
                values[numbers] = measure_batch(segment).cpu().numpy()
            else:
                probability = answers.probability[changed].cpu().numpy()
                hand(partial(fill, numbers, probability, segment.cpu().numpy()))
    return baseline, values


def _changed(answers: Tensor, unmasked: Tensor) -> Tensor:
    """Which of the answers ``[b, *space]`` differ from that for the unmasked image."""
    if answers.device.type == "cpu":  # where NumPy is ten times as fast
        plain = unmasked.numpy()
        differs = [not np.array_equal(answer, plain) for answer in answers.numpy()]
        return torch.tensor(differs, dtype=torch.bool).nonzero().flatten()
    return (answers != unmasked).flatten(1).any(dim=1).nonzero().flatten().cpu()


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
