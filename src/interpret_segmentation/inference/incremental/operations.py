"""What networks are made of, for tensors of which only a window changes.

Every operation here is local: a pixel of its output depends on a known, bounded set of pixels of its input.
For each it says which window of the output changes, which window of the input that needs, and computes it
with PyTorch's own operation, so that the numbers are those of the whole image. An operation that is not in
the table is refused.
"""

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
    Part,
    RefusedError,
    check_channels,
    uniform,
    union,
    whole_of,
)
from interpret_segmentation.inference.incremental.resampling import copied_border, linear, nearest
from interpret_segmentation.inference.incremental.sliding import (
    average_pool,
    convolution,
    max_pool,
    shuffle,
    unshuffle,
)

Operation = Callable[..., Any]

ELEMENTWISE = (
    "relu", "sigmoid", "tanh", "leaky_relu", "elu", "gelu", "silu", "hardswish", "hardsigmoid", "hardtanh",
    "softplus", "mish", "clamp", "clamp_min", "clamp_max", "threshold", "celu", "selu", "exp", "log",
    "log1p", "expm1", "abs", "neg", "sqrt", "rsqrt", "reciprocal", "square", "pow", "erf", "sin", "cos",
    "add", "sub", "mul", "div", "rsub", "maximum", "minimum", "_to_copy", "clone", "detach", "alias",
    "lerp", "where", "_prelu_kernel", "gt", "lt", "ge", "le", "eq", "ne", "logical_and", "logical_or",
    "logical_not",
)  # fmt: skip
"""Functions of one pixel of one channel, by the name that PyTorch's dispatcher gives them."""

BATCH_NORMS = (
    "native_batch_norm",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
    "miopen_batch_norm",
)
GLOBAL = {
    "native_group_norm": "group normalisation takes the mean over the whole image",
    "native_layer_norm": "layer normalisation is not followed",
    "_native_batch_norm_legit": "normalisation takes the mean over the whole image",
    "_adaptive_avg_pool2d": "pooling over the whole image",
    "_adaptive_avg_pool3d": "pooling over the whole image",
    "adaptive_max_pool2d": "pooling over the whole image",
    "adaptive_max_pool3d": "pooling over the whole image",
    "mean": "a mean over the image",
    "sum": "a sum over the image",
    "amax": "a maximum over the image",
    "_scaled_dot_product_flash_attention_for_cpu": "attention looks at the whole image",
    "_local_scalar_dense": "the network decides by what it sees",
    "view": "the axes of an activation are rearranged, as for attention or instance normalisation",
    "_unsafe_view": "the axes of an activation are rearranged, as for attention or instance normalisation",
    "permute": "the axes of an activation are rearranged, as for attention",
    "transpose": "the axes of an activation are rearranged, as for attention",
    "bernoulli_": "the network draws random numbers",
}
"""Why an operation is refused, where a reason says more than its name."""


def carried(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Carry changed windows through an operation.

    Raises:
        RefusedError: The operation is not local, or not known.
    """
    packet = func.overloadpacket.__name__
    in_place = packet.endswith("_") and not packet.endswith("__")
    name = packet.removesuffix("_") if in_place else packet
    operation = OPERATIONS.get(name)
    if operation is None:
        if name not in GLOBAL:
            whole = func.decompose(*args, **kwargs)
            if whole is not NotImplemented:
                return whole
        raise RefusedError(f"{GLOBAL.get(name, 'an operation is not known to be local')} ({name})")
    if in_place:
        func = getattr(getattr(torch.ops.aten, name), func._overloadname)
    result = operation(func, *args, **kwargs)
    if not in_place:
        return result
    target = args[0]
    if not isinstance(target, Changed) or target.is_view or result.shape != target.shape:
        raise RefusedError(f"the network changes part of an activation in place ({packet})")
    target.become(result)
    return target


def _batch_of_one(tensor: Tensor, size: int) -> Tensor:
    """What a plain tensor is for every image."""
    if len(tensor) == 1 or size == 1:
        return tensor
    if tensor.stride(0) == 0:
        return tensor[:1]
    raise RefusedError("an activation is combined with a tensor that differs from image to image")


def _over_space(tensor: Tensor, dims: int) -> bool:
    return tensor.ndim > dims and any(side > 1 for side in tensor.shape[-dims:])


def _elementwise(func: Any, *args: Any, **kwargs: Any) -> Changed:
    """The same function for every pixel, of one or several activations of one size."""
    tensors = [arg for arg in args if isinstance(arg, Changed)]
    leader = tensors[0]
    tape, dropped, dims = leader.tape, leader.dropped, len(leader.space)
    if any(other.space != leader.space or other.dropped != dropped for other in tensors):
        raise RefusedError("activations of different sizes are combined")
    kwargs = {name: value for name, value in kwargs.items() if name != "memory_format"}
    plain = [arg for arg in args if isinstance(arg, Tensor) and not isinstance(arg, Changed)]
    maps = [tensor for tensor in plain if _over_space(tensor, dims)]
    if len(tensors) == 1 and not maps and not any(tensor.ndim for tensor in plain):

        def apply(values: Tensor) -> Tensor:
            result: Tensor = func(*[values if arg is leader else arg for arg in args], **kwargs)
            return result

        parts = [
            Part(whole_of(part, leader, func.__name__, apply), apply(part.values), part.corners)
            for part in leader.parts
        ]
        return _like(parts, leader, func)
    if dropped and (maps or len(tensors) > 1 or any(tensor.ndim for tensor in plain)):
        raise RefusedError("maps without an axis of channels are combined")
    corners, size = union([part for tensor in tensors for part in tensor.parts], leader.space)

    def of(arg: Any, whole: bool) -> Any:
        if isinstance(arg, Changed):
            return arg.of_baseline() if whole else arg.windows(corners, size)
        if not isinstance(arg, Tensor) or not arg.ndim:
            return arg
        arg = arg.reshape(*[1] * (dims + 2 - arg.ndim), *arg.shape)
        arg = _batch_of_one(arg, len(leader))
        if whole or not _over_space(arg, dims):
            return arg
        return Baseline(arg.expand(*arg.shape[:2], *leader.space)).windows(corners, size)

    baseline = tape.baseline(func.__name__, lambda: func(*[of(arg, True) for arg in args], **kwargs))
    values = func(*[of(arg, False) for arg in args], **kwargs)
    return Changed([Part(baseline, values, corners)], tape)


def _like(parts: Sequence[Part], leader: Changed, func: Any) -> Changed:
    result = Changed(parts, leader.tape, dropped=leader.dropped)
    if func.__name__.split(".")[0] in ("detach", "alias"):
        result.is_view = leader.is_view = True
    return result


def _local(func: Any, x: Changed, *args: Any, **kwargs: Any) -> Changed:
    """The same function for every pixel, of all its channels."""
    check_channels(x)
    part = x.one_part()
    if any(isinstance(arg, Changed) for arg in args):
        raise RefusedError(f"what an operation does depends on the image ({func.__name__})")

    def apply(values: Tensor) -> Tensor:
        result = func(values, *args, **kwargs)
        first: Tensor = result[0] if isinstance(result, tuple) else result
        return first

    baseline = x.tape.baseline(func.__name__, lambda: apply(part.baseline.tensor))
    return Changed([Part(baseline, apply(part.values), part.corners)], x.tape)


def _batch_norm(func: Any, x: Changed, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    training = func.__name__.split(".")[0] != "_native_batch_norm_legit_no_training" and args[4]
    if training or args[2] is None:
        raise RefusedError("normalisation takes the mean over the whole image (batch_norm)")
    return _local(func, x, *args, **kwargs), None, None


def _over_channels(func: Any, x: Changed, dim: Any = None, *args: Any, **kwargs: Any) -> Changed:
    """A function along the axis of channels, that keeps this axis."""
    axes = [dim] if isinstance(dim, int) else list(dim or [])
    keeps = func.__name__.split(".")[0] in ("_softmax", "_log_softmax", "cumsum")
    if [axis % x.ndim for axis in axes] != [1] or not (keeps or (args and args[0] is True)):
        name = func.__name__.split(".")[0]
        raise RefusedError(f"{GLOBAL.get(name, 'a function along an axis of space')} ({name})")
    return _local(func, x, dim, *args, **kwargs)


def _cat(_: Any, tensors: Sequence[Any], dim: int = 0) -> Changed:
    leader = next(tensor for tensor in tensors if isinstance(tensor, Changed))
    if dim % leader.ndim != 1 or leader.dropped:
        raise RefusedError("activations are joined along another axis than the channels' (cat)")
    parts: list[Part] = []
    for tensor in tensors:
        if isinstance(tensor, Changed):
            if tensor.space != leader.space or tensor.dropped:
                raise RefusedError("activations of different sizes are joined (cat)")
            parts += tensor.parts
        else:
            parts.append(_constant(_batch_of_one(tensor, len(leader)), leader))
    return Changed(parts, leader.tape)


def _constant(tensor: Tensor, leader: Changed) -> Part:
    """Channels that are the same for every image, as a part with a window of one pixel."""
    baseline = leader.tape.baseline("constant", lambda: tensor)
    corners = leader.parts[0].corners
    return Part(baseline, baseline.windows(corners, [1] * len(leader.space)), corners)


def _channels(x: Changed, begin: int, end: int, step: int = 1) -> Changed:
    """Some of the channels; memory that is shared, as far as the network knows."""
    check_channels(x)
    part = x.one_part()
    own = x.tape.baseline("channels", lambda: part.baseline.tensor[:, begin:end:step])
    result = Changed([Part(own, part.values[:, begin:end:step], part.corners)], x.tape)
    x.is_view = result.is_view = True
    return result


def _slice(func: Any, x: Changed, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Changed:
    axis, dims = dim % x.ndim, len(x.space)
    begin, stop, step = slice(start, end, step).indices(x.shape[axis])
    if (begin, stop, step) == (0, x.shape[axis], 1):
        x.is_view = True
        return Changed(x.parts, x.tape, dropped=x.dropped)
    if axis == 0 or step < 1:
        raise RefusedError("single images of the batch are picked (slice)")
    if not x.dropped and axis == 1:
        return _channels(x, begin, stop, step)
    check_channels(x)
    if step > 1:
        raise RefusedError("every second pixel is picked (slice)")
    pads = np.zeros((dims, 2), dtype=np.int64)
    pads[axis - 2] = -begin, stop - x.shape[axis]
    result = _bordered(x, "slice", lambda tensor: func(tensor, dim, start, end, step), pads, 0.0)
    x.is_view = result.is_view = True
    return result


def _bordered(
    x: Changed, name: str, whole: Callable[[Tensor], Tensor], pads: NDArray[np.int64], value: float
) -> Changed:
    """A border of one value added to the image, or where negative cut off it."""
    part = x.one_part()
    baseline = x.tape.baseline(name, lambda: whole(part.baseline.tensor))
    if min(baseline.space) < 1:
        raise RefusedError("nothing is left of an activation")
    before = pads[:, 0]
    corners, size = uniform(part.corners + before, part.ends + before, baseline.space)
    values = Changed([part], x.tape).windows(corners - before, size, value)
    return Changed([Part(baseline, values, corners)], x.tape)


def _constant_pad(func: Any, x: Changed, pad: Sequence[int], value: float = 0.0) -> Changed:
    check_channels(x)
    dims = len(x.space)
    pairs = np.array(list(pad) + [0] * (2 * x.ndim - len(pad)), dtype=np.int64).reshape(-1, 2)[::-1]
    if pairs[:-dims].any():
        raise RefusedError("channels or images are padded (constant_pad_nd)")
    return _bordered(x, "pad", lambda tensor: func(tensor, pad, value), pairs[-dims:], float(value))


def _select(_: Any, x: Changed, dim: int, index: int) -> Changed:
    if x.dropped or dim % x.ndim != 1:
        raise RefusedError("single images, rows or columns are picked (select)")
    index = index % x.shape[1]
    chosen = _channels(x, index, index + 1)
    result = Changed(chosen.parts, x.tape, dropped=True)
    result.is_view = True
    return result


def _squeeze(_: Any, x: Changed, dim: Any = None) -> Changed:
    if dim is None:
        raise RefusedError("squeeze() without an axis takes the axis of images away where there is one image")
    axes = [dim] if isinstance(dim, int) else list(dim)
    if x.dropped or [axis % x.ndim for axis in axes] != [1]:
        raise RefusedError("an axis of space or of images is taken away (squeeze)")
    if x.shape[1] != 1:
        return x
    x.is_view = True
    result = Changed(x.parts, x.tape, dropped=True)
    result.is_view = True
    return result


def _unsqueeze(_: Any, x: Changed, dim: int) -> Changed:
    if not x.dropped or dim % (x.ndim + 1) != 1:
        raise RefusedError("an activation gets another axis (unsqueeze)")
    x.is_view = True
    result = Changed(x.parts, x.tape)
    result.is_view = True
    return result


def _view(_: Any, x: Changed, shape: Sequence[int]) -> Changed:
    """The axis of channels, where it has one, added or left out."""
    wanted = list(shape)
    if wanted == list(x.shape):
        x.is_view = True
        return Changed(x.parts, x.tape, dropped=x.dropped)
    if x.dropped and wanted == [len(x), 1, *x.space]:
        return _unsqueeze(None, x, 1)
    if not x.dropped and x.shape[1] == 1 and wanted == [len(x), *x.space]:
        return _squeeze(None, x, 1)
    raise RefusedError(f"{GLOBAL['view']} (view)")


def _index(func: Any, x: Changed, indices: Sequence[Any]) -> Changed:
    """Channels picked by number."""
    if x.dropped or len(indices) != 2 or indices[0] is not None or isinstance(indices[1], Changed):
        raise RefusedError("pixels are picked by number (index)")
    return _local(func, x, indices)


def _split(_: Any, x: Changed, sizes: Any, dim: int = 0) -> list[Changed]:
    if x.dropped or dim % x.ndim != 1:
        raise RefusedError("activations are split along an axis of space or of images (split)")
    channels = x.shape[1]
    if isinstance(sizes, int):
        sizes = [min(sizes, channels - begin) for begin in range(0, channels, sizes)]
    ends = np.cumsum(sizes)
    return [_channels(x, int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]


OPERATIONS: dict[str, Operation] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(BATCH_NORMS, _batch_norm),
    **dict.fromkeys(("_softmax", "_log_softmax", "mean", "sum", "amax", "amin"), _over_channels),
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool3d_with_indices"), max_pool),
    **dict.fromkeys(("avg_pool2d", "avg_pool3d"), average_pool),
    **dict.fromkeys(("upsample_nearest2d", "upsample_nearest3d"), nearest),
    **dict.fromkeys(("_upsample_nearest_exact2d", "_upsample_nearest_exact3d"), nearest),
    **dict.fromkeys(("upsample_bilinear2d", "upsample_trilinear3d"), linear),
    **dict.fromkeys(
        ("reflection_pad2d", "reflection_pad3d", "replication_pad2d", "replication_pad3d"), copied_border
    ),
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "convolution": convolution,
    "cat": _cat,
    "view": _view,
    "index": _index,
    "slice": _slice,
    "select": _select,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "constant_pad_nd": _constant_pad,
    "pixel_shuffle": shuffle,
    "pixel_unshuffle": unshuffle,
}
"""Every operation that is carried, by the name that PyTorch's dispatcher gives it."""
