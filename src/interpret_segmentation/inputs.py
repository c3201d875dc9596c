"""The friendly door: turns what users hand in into what the rooms behind expect, or says what is wrong."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray


def as_image(image: AnyArray, height: int, width: int) -> Tensor:
    """One image as float tensor ``[C, height, width]``.

    Args:
        image: ``[H, W]``, ``[C, H, W]`` or ``[1, C, H, W]``; tensor or NumPy array. Whole numbers become
            float32 of the same value; nothing is rescaled.
        height: Rows that it must have.
        width: Columns that it must have.

    Raises:
        TypeError: Not an array of numbers.
        ValueError: Another number of axes, another size, or values that are not finite.
    """
    tensor = as_tensor(image, "image")
    if tensor.is_complex():
        raise TypeError("image must hold real numbers, got complex ones")
    if tensor.ndim == 2:
        tensor = tensor[None]
    elif tensor.ndim == 4 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3:
        raise ValueError(f"image must be H x W, C x H x W or 1 x C x H x W, got {_shape(image)}")
    if tensor.shape[0] == 0:
        raise ValueError(f"image has no channels: its shape is {_shape(image)}")
    if (tensor.shape[1], tensor.shape[2]) != (height, width):
        if (tensor.shape[0], tensor.shape[1]) == (height, width):
            raise ValueError(
                f"image must have its channels first, C x {height} x {width}, got {_shape(image)}; "
                "move them with numpy.moveaxis(image, -1, 0) or tensor.permute(2, 0, 1)"
            )
        raise ValueError(_wrong_size("image", tensor, height, width))
    if not tensor.is_floating_point():
        tensor = tensor.float()
    if not torch.isfinite(tensor).all():
        raise ValueError("image holds NaN or infinite values; replace them first, with torch.nan_to_num say")
    return tensor.detach()


def as_region(region: AnyArray, height: int, width: int, *, name: str = "region") -> BoolArray:
    """A set of pixels as bool array ``[height, width]``.

    Args:
        region: ``[H, W]``, ``[1, H, W]`` or ``[1, 1, H, W]``; bool, or numbers that are all 0 or 1.
        height: Rows that it must have.
        width: Columns that it must have.
        name: What the user calls it.

    Raises:
        TypeError: Not an array of numbers.
        ValueError: Another size, or values other than 0 and 1.
    """
    tensor = as_tensor(region, name).detach().cpu()
    while tensor.ndim > 2 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 2:
        raise ValueError(f"{name} must be H x W, got {_shape(region)}")
    if tuple(tensor.shape) != (height, width):
        raise ValueError(_wrong_size(name, tensor, height, width))
    if tensor.dtype != torch.bool and not ((tensor == 0) | (tensor == 1)).all():
        raise ValueError(
            f"{name} must be binary, of 0 and 1 or bool, but its values run from {tensor.min().item():g} "
            f"to {tensor.max().item():g}; pass `{name} > 0` or `{name} == label`"
        )
    return np.ascontiguousarray((tensor != 0).numpy())


def as_positive(value: int, name: str) -> int:
    """A whole number of at least 1.

    Raises:
        TypeError: Not a whole number.
        ValueError: Smaller than 1.
    """
    try:
        whole = int(value)
    except (TypeError, ValueError):
        whole = None
    if whole is None or whole != value or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if whole < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}")
    return whole


def as_probability(value: object, name: str) -> float:
    """A number above 0 and at most 1.

    Raises:
        ValueError: Anything else.
    """
    if not isinstance(value, int | float | np.number) or not 0 < value <= 1:
        raise ValueError(f"{name} must be a number above 0 and at most 1, got {value!r}")
    return float(value)


def as_seed(value: object) -> int | None:
    """A whole number that a random generator can start from, or None.

    Raises:
        ValueError: Anything else.
    """
    if value is None:
        return None
    if not isinstance(value, int | np.integer) or not 0 <= value < 2**63:
        raise ValueError(f"seed must be None or a whole number from 0 to 2**63 - 1, got {value!r}")
    return int(value)


def as_tensor(array: AnyArray, name: str) -> Tensor:
    """Any array of real numbers as a tensor of the same values.

    Raises:
        TypeError: Not an array of numbers.
    """
    if isinstance(array, Tensor):
        return array
    try:
        numbers = np.asarray(array)
        if numbers.dtype.kind not in "buif":
            raise TypeError(f"its dtype is {numbers.dtype}")
        if numbers.dtype.kind == "u" and numbers.dtype.itemsize > 1:
            numbers = numbers.astype(np.int64)
        if not numbers.dtype.isnative or any(step < 0 for step in numbers.strides):
            numbers = numbers.astype(numbers.dtype.newbyteorder("="), copy=True, order="C")
        return torch.from_numpy(np.require(numbers, requirements="W"))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must be a PyTorch tensor or an array of numbers, got {type(array).__name__}: {error}"
        ) from None


def _shape(array: AnyArray) -> str:
    return " x ".join(map(str, np.shape(array))) or "a single number"


def _wrong_size(name: str, tensor: Tensor, height: int, width: int) -> str:
    rows, columns = tensor.shape[-2:]
    message = (
        f"{name} has {rows} rows and {columns} columns, but the explainer was built for "
        f"{height} rows and {width} columns"
    )
    if (rows, columns) == (width, height):
        return f"{message}: the sizes are swapped (the constructor takes the width first)"
    return f"{message}; build it with width {columns} and height {rows}"
