"""Kernels that slide over the image: convolutions and pooling, for tensors of which a window changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from interpret_segmentation.inference.incremental.changed import (
    Baseline,
    Changed,
    Part,
    RefusedError,
    check_channels,
    sliced,
    uniform,
)


def _tuple(value: Any, dims: int) -> NDArray[np.int64]:
    numbers = [value] if isinstance(value, int) else list(value)
    return np.array(numbers * dims if len(numbers) == 1 else numbers, dtype=np.int64)


def _sliding(
    x: Changed,
    name: str,
    whole: Callable[[Tensor], Tensor],
    window: Callable[[Tensor], Tensor],
    kernel: Any, stride: Any, padding: Any, dilation: Any,
    fill: float = 0.0,
) -> Changed:  # fmt: skip
    """A kernel that slides over the image: output o sees the inputs o * stride - padding + k * dilation."""
    dims = len(x.space)
    k, s, p, d = (_tuple(value, dims) for value in (kernel, stride, padding, dilation))
    baseline = x.tape.baseline(name, lambda: whole(x.of_baseline()))
    reach = (k - 1) * d
    first = np.minimum.reduce([part.corners for part in x.parts])
    last = np.maximum.reduce([part.ends for part in x.parts])
    corners, size = uniform(-((reach - p - first) // s), (last - 1 + p) // s + 1, baseline.space)
    seen = tuple(int(side) for side in (np.array(size) - 1) * s + reach + 1)
    values = window(x.windows(corners * s - p, seen, fill))
    return Changed([Part(baseline, values, corners)], x.tape)


def convolution(
    func: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Changed:  # fmt: skip
    """A convolution; transposed, input i reaches the outputs i * stride - padding + k * dilation."""
    if not isinstance(x, Changed) or isinstance(weight, Changed) or isinstance(bias, Changed):
        raise RefusedError("the weights of a convolution depend on the image (convolution)")
    check_channels(x)
    dims = len(x.space)
    if weight.ndim != dims + 2:
        raise RefusedError("a convolution over other axes than the image's (convolution)")

    def whole(tensor: Tensor) -> Tensor:
        result: Tensor = func(
            tensor, weight, bias, stride, padding, dilation, transposed, output_padding, groups
        )
        return result

    nothing = [0] * dims

    def window(tensor: Tensor) -> Tensor:
        result: Tensor = func(tensor, weight, bias, stride, nothing, dilation, transposed, nothing, groups)
        return result

    if not transposed:
        return _sliding(x, "convolution", whole, window, weight.shape[2:], stride, padding, dilation)
    k, s, p, d = (_tuple(value, dims) for value in (weight.shape[2:], stride, padding, dilation))
    reach = (k - 1) * d
    baseline = x.tape.baseline("convolution", lambda: whole(x.of_baseline()))
    before = np.minimum.reduce([part.corners for part in x.parts])
    after = np.maximum.reduce([part.ends for part in x.parts])
    corners, size = uniform(before * s - p, (after - 1) * s - p + reach + 1, baseline.space)
    last = corners + np.array(size) - 1
    # Where the stride leaves gaps, no input may reach the first pixel; begin no later than it all the same.
    first_seen = np.minimum(-((reach - p - corners) // s), (corners + p) // s)
    last_seen = (last + p) // s
    seen = (last_seen - first_seen).max(axis=0) + 1
    values = window(x.windows(first_seen, tuple(int(side) for side in seen)))
    offsets = corners - (first_seen * s - p)
    missing = (offsets + np.array(size) - values.shape[2:]).max(axis=0).clip(0)
    if missing.any():  # output_padding: pixels that no input reaches hold the bias alone
        values = _padded_with_bias(values, bias, missing)
    return Changed([Part(baseline, sliced(values, offsets, size), corners)], x.tape)


def _padded_with_bias(values: Tensor, bias: Tensor | None, missing: NDArray[np.int64]) -> Tensor:
    pads = [int(pad) for side in reversed(missing) for pad in (0, side)]
    if bias is None:
        return F.pad(values, pads)
    shape = (-1, *[1] * len(missing))
    return F.pad(values - bias.view(shape), pads) + bias.view(shape)


def max_pool(
    func: Any, x: Changed, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Changed, None]:  # fmt: skip
    """The largest value under the kernel; where it was is not told."""
    check_channels(x)
    stride = stride or kernel

    def whole(tensor: Tensor) -> Tensor:
        result: Tensor = func(tensor, kernel, stride, padding, dilation, ceil_mode)[0]
        return result

    def window(tensor: Tensor) -> Tensor:
        result: Tensor = func(tensor, kernel, stride, 0, dilation, False)[0]
        return result

    return _sliding(x, "max_pool", whole, window, kernel, stride, padding, dilation, -math.inf), None


def average_pool(
    func: Any, x: Changed, kernel: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Changed:  # fmt: skip
    """The mean value under the kernel."""
    check_channels(x)
    stride = stride or kernel

    def whole(tensor: Tensor) -> Tensor:
        result: Tensor = func(tensor, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return result

    def window(tensor: Tensor) -> Tensor:
        result: Tensor = func(tensor, kernel, stride, 0, False, True, divisor_override)
        return result

    pooled = _sliding(x, "avg_pool", whole, window, kernel, stride, padding, 1)
    if not (ceil_mode or _tuple(padding, 1).any()):
        return pooled
    # At the image's edge fewer pixels are divided by another number: compare both on an image of ones.
    (part,) = pooled.parts
    ones = x.parts[0].values.new_ones(1, 1, *x.space)
    unit = Part(Baseline(ones), ones, np.zeros((1, len(x.space)), dtype=np.int64))
    edges = Changed([unit], type(x.tape)(budget=2**62))
    dividing = _sliding(edges, "avg_pool", whole, window, kernel, stride, padding, 1).parts[0]
    share = dividing.baseline.tensor / dividing.values
    values = part.values * Baseline(share).windows(part.corners, part.size)
    return Changed([Part(part.baseline, values, part.corners)], x.tape)


def shuffle(func: Any, x: Changed, factor: int) -> Changed:
    """Channels become pixels."""
    check_channels(x)
    part = x.one_part()
    baseline = x.tape.baseline("pixel_shuffle", lambda: func(part.baseline.tensor, factor))
    return Changed([Part(baseline, func(part.values, factor), part.corners * factor)], x.tape)


def unshuffle(func: Any, x: Changed, factor: int) -> Changed:
    """Pixels become channels."""
    check_channels(x)
    baseline = x.tape.baseline("pixel_unshuffle", lambda: func(x.of_baseline(), factor))
    first = np.minimum.reduce([part.corners for part in x.parts])
    last = np.maximum.reduce([part.ends for part in x.parts])
    corners, size = uniform(first // factor, -(-last // factor), baseline.space)
    values = func(x.windows(corners * factor, tuple(side * factor for side in size)), factor)
    return Changed([Part(baseline, values, corners)], x.tape)
