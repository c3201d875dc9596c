"""Enlarging, shrinking and continuing the image, for tensors of which a window changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation.inference.incremental.changed import (
    Baseline,
    Changed,
    Corners,
    Part,
    RefusedError,
    check_channels,
    sliced,
    uniform,
    whole_of,
)
from interpret_segmentation.perturb.masks.base import channels_last


def copied_border(func: Any, x: Changed, pad: Sequence[int]) -> Changed:
    """A border that repeats or mirrors the image's own pixels."""
    check_channels(x)
    dims = len(x.space)
    pairs = np.array(pad).reshape(-1, 2)[::-1]
    tables = []
    for side, (before, after) in zip(x.space, pairs, strict=True):
        ramp = torch.arange(side, dtype=torch.float64).view(1, 1, *[1] * (dims - 1), side)
        if dims == 1:
            raise RefusedError("a border in one dimension")
        padded = func(ramp, [int(before), int(after)] + [0] * (2 * dims - 2))
        tables.append(padded.flatten().long().numpy()[None])
    return _gathered(x, "border", lambda tensor: func(tensor, pad), tables, _ones(tables))


def nearest(func: Any, x: Changed, size: Any, *scales: Any) -> Changed:
    """Enlarge by repeating pixels."""
    check_channels(x)
    dims = len(x.space)
    size, scales = _sizes(x, size, scales)

    def whole(tensor: Tensor) -> Tensor:
        result: Tensor = func(tensor, size, *scales)
        return result

    factors = [out // side for out, side in zip(size, x.space, strict=True)]
    tables = []
    for axis, side in enumerate(x.space):
        ramp = torch.arange(side, dtype=torch.float32).view(1, 1, *[1] * axis, side, *[1] * (dims - 1 - axis))
        lone = [1] * dims
        lone[axis] = size[axis]
        only = [None] * dims
        only[axis] = scales[axis] if scales else None
        tables.append(func(ramp, lone, *only).flatten().long().numpy()[None])
    if any(factor < 1 for factor in factors) or any(
        not np.array_equal(table[0], np.arange(len(table[0])) // factor)
        for table, factor in zip(tables, factors, strict=True)
    ):
        return _gathered(x, "nearest", whole, tables, _ones(tables))
    parts = []
    for part in x.parts:
        baseline = whole_of(part, x, "nearest", whole)
        larger = [side * factor for side, factor in zip(part.size, factors, strict=True)]
        values = func(part.values, larger, *[None] * dims)
        parts.append(Part(baseline, values, part.corners * np.array(factors)))
    return Changed(parts, x.tape)


def _ones(tables: list[NDArray[np.int64]]) -> list[NDArray[Any]]:
    return [np.ones(table.shape) for table in tables]


def _sizes(x: Changed, size: Any, scales: tuple[Any, ...]) -> tuple[list[int], tuple[Any, ...]]:
    """The output's size and the scale factors along each axis, as PyTorch hands them on."""
    if len(scales) == 1 and not isinstance(scales[0], float | int | None):
        scales = tuple(scales[0])  # the overload for lists of factors
    if size is None:
        size = [int(side * scale) for side, scale in zip(x.space, scales, strict=True)]
    return [int(side) for side in size], scales


def linear(func: Any, x: Changed, size: Any, align_corners: bool, *scales: Any) -> Changed:
    """Enlarge or shrink by linear interpolation along every axis."""
    check_channels(x)
    size, scales = _sizes(x, size, scales)
    dims = len(x.space)

    def whole(tensor: Tensor) -> Tensor:
        result: Tensor = func(tensor, size, align_corners, *scales)
        return result

    tables, weights, factors = [], [], []
    for axis, (side, out) in enumerate(zip(x.space, size, strict=True)):
        scale = scales[axis] if scales else None
        if align_corners:
            step = np.float32((side - 1) / (out - 1) if out > 1 else 0)
            source = np.arange(out, dtype=np.float32) * step
        else:
            step = np.float32(1 / scale if scale else side / out)
            source = np.maximum(
                (np.arange(out, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5), 0
            )
        low = np.minimum(source.astype(np.int64), side - 1)
        high = np.minimum(low + 1, side - 1)
        share = np.clip(source - low, 0, 1)
        tables.append(np.stack([low, high]))
        weights.append(np.stack([1 - share, share]))
        factors.append(0 if align_corners or step == 0 or 1 / step % 1 else round(1 / step))
    if any(f == 0 or f * side != out for f, side, out in zip(factors, x.space, size, strict=True)):
        return _gathered(x, "linear", whole, tables, weights)
    parts = []
    for part in x.parts:
        baseline = whole_of(part, x, "linear", whole)
        corners, wanted = _reached(part, tables, weights, baseline)
        first, last = _needed(corners, wanted, tables)
        seen, have = uniform(first, last, part.baseline.space)
        window = Changed([part], x.tape).windows(seen, have)
        larger = [side * factor for side, factor in zip(have, factors, strict=True)]
        values = func(window, larger, False, *[None] * dims)
        values = sliced(values, corners - seen * np.array(factors), wanted)
        parts.append(Part(baseline, values, corners))
    return Changed(parts, x.tape)


def _reached(
    part: Part, tables: list[NDArray[np.int64]], weights: list[NDArray[Any]], baseline: Baseline
) -> tuple[Corners, tuple[int, ...]]:
    """The window of the output in which some pixel looks at a changed one."""
    first, last = np.empty_like(part.corners), np.empty_like(part.corners)
    for axis, (table, weight) in enumerate(zip(tables, weights, strict=True)):
        begin, end = part.corners[:, axis, None, None], part.ends[:, axis, None, None]
        sees = ((table >= begin) & (table < end) & (weight != 0)).any(axis=1)
        out = table.shape[1]
        first[:, axis] = np.where(sees.any(axis=1), sees.argmax(axis=1), 0)
        last[:, axis] = np.where(sees.any(axis=1), out - sees[:, ::-1].argmax(axis=1), 0)
    return uniform(first, last, baseline.space)


def _needed(
    corners: Corners, size: Sequence[int], tables: list[NDArray[np.int64]]
) -> tuple[Corners, Corners]:
    """From which pixel to which an output window looks at, each ``[N, axes]``."""
    first, last = np.empty_like(corners), np.empty_like(corners)
    for axis, (table, side) in enumerate(zip(tables, size, strict=True)):
        seen = table[:, corners[:, axis, None] + np.arange(side)]
        first[:, axis], last[:, axis] = seen.min(axis=(0, 2)), seen.max(axis=(0, 2)) + 1
    return first, last


def _gathered(
    x: Changed, name: str, whole: Callable[[Tensor], Tensor], tables: list[NDArray[np.int64]],
    weights: list[NDArray[Any]],
) -> Changed:  # fmt: skip
    """Any map along each axis: output o is the sum over t of weights[t, o] * input[tables[t, o]]."""
    parts = []
    for part in x.parts:
        baseline = whole_of(part, x, name, whole)
        corners, size = _reached(part, tables, weights, baseline)
        first, last = _needed(corners, size, tables)
        seen, have = uniform(first, last, part.baseline.space)
        values = Changed([part], x.tape).windows(seen, have)
        # The last axis first: fewer rows to interpolate.
        for axis in reversed(range(len(size))):
            places = corners[:, axis, None] + np.arange(size[axis])
            values = _along(
                values, axis, tables[axis][:, places] - seen[:, axis, None], weights[axis][:, places]
            )
        parts.append(Part(baseline, values, corners))
    return Changed(parts, x.tape)


def _along(values: Tensor, axis: int, indices: NDArray[np.int64], weights: NDArray[Any]) -> Tensor:
    """Interpolate along one axis; indices and weights are ``[taps, N, out]``."""
    last = channels_last(values)
    rows = values.movedim(1, -1) if last else values
    place = axis + (1 if last else 2)
    where = torch.from_numpy(np.ascontiguousarray(indices)).to(values.device)
    same = bool((indices == indices[:, :1]).all())
    taps = []
    for tap in where:
        if same:
            taps.append(rows.index_select(place, tap[0]))
        else:
            index = torch.arange(len(rows), device=values.device)
            before = [torch.arange(side, device=values.device) for side in rows.shape[1:place]]
            ndim = place + 1
            grid = [
                part.view(*[-1 if number == turn else 1 for number in range(ndim)])
                for turn, part in enumerate([index, *before])
            ]
            index_of = (*grid, tap.view(len(rows), *[1] * (place - 1), -1))
            taps.append(rows[index_of])
    if len(taps) == 1:
        out = taps[0]
    else:
        shape = (len(weights), weights.shape[1], *[1] * (place - 1), -1, *[1] * (rows.ndim - 1 - place))
        shares = torch.from_numpy(weights).to(values.device, values.dtype).view(shape)
        out = taps[0] * shares[0]
        for tap_values, share in zip(taps[1:], shares[1:], strict=True):
            out.addcmul_(tap_values, share.expand_as(tap_values))
    return out.movedim(-1, 1) if last else out
