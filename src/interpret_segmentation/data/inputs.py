"""The friendly door: turns what users hand in into what the rooms behind expect, or says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray, Sequence
from interpret_segmentation.data.pictures import as_truth, labels_in, upright

FEW_CHANNELS = 4
"""Of an image with a single column, C x H x 1; what has more in front is H x W x 1."""


def as_image(
    image: AnyArray | Image.Image,
    dims: int | None = 2,
    space: tuple[int, ...] | None = None,
    *,
    as_stated: bool = False,
) -> Tensor:
    """One image as float tensor ``[C, *space]``.

    Args:
        image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``; tensor, NumPy array or PIL image, which
            is turned upright as its EXIF entry says. A single channel may also come last, ``[*space, 1]``.
            Whole numbers and half precision become float32 of the same value; nothing is rescaled.
        dims: Axes of space. None: three axes are C x H x W, four 1 x C x H x W, five 1 x C x D x H x W.
        space: The size that it must have. None: any.
        as_stated: The user says how many axes of space there are, so that H x W x 3 is no slip.

    Raises:
        TypeError: Not an array of numbers.
        ValueError: Another number of axes, another size, or values that are not finite.
    """
    if isinstance(image, str | Path):
        raise TypeError(f"image must be pixels, not a path; open it: PIL.Image.open({str(image)!r})")
    if isinstance(image, Image.Image):
        image = _upright(image, "image")
        if image.mode in ("P", "PA"):
            image = image.convert("RGB" if image.mode == "P" else "RGBA")
    tensor = as_tensor(image, "image")
    if isinstance(image, Image.Image) and tensor.ndim == 3:
        tensor = tensor.movedim(-1, 0)
    if tensor.is_complex():
        raise TypeError("image must hold real numbers, got complex ones")
    shape = tensor.shape
    if dims is None:
        if tensor.ndim == 4 and len(tensor) > 1:
            raise ValueError(
                f"image has four axes, {_by(shape)}: for a volume, C x D x H x W, pass dims=3; explain the "
                "images of a batch one by one"
            )
        dims = 3 if tensor.ndim == 5 else 2
    sides = " x ".join("DHW"[-dims:])
    if tensor.ndim == dims + 2 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.ndim == dims + 1 and _ends_with_channel(tensor.shape, space):
        tensor = tensor[..., 0]
    if tensor.ndim == dims:
        tensor = tensor[None]
    if tensor.ndim != dims + 1:
        cure = ""
        if tensor.ndim == dims + 2 and len(tensor) > 1:
            cure = "; explain the images of a batch one by one"
        raise ValueError(f"image must be {sides}, C x {sides} or 1 x C x {sides}, got {_by(shape)}{cure}")
    if tensor.shape[0] == 0:
        raise ValueError(f"image has no channels: its shape is {_by(shape)}")
    if tensor.numel() == 0:
        raise ValueError(f"image has no pixels: its shape is {_by(shape)}")
    last = (
        tuple(tensor.shape[:-1]) == space
        if space is not None
        else not as_stated
        and tensor.ndim == len(shape)
        and tensor.shape[-1] in (3, 4)
        and min(tensor.shape[:-1]) > 16
    )
    if last and tuple(tensor.shape[1:]) != space:
        wanted = sides if space is None else _by(space)
        raise ValueError(
            f"image must have its channels first, C x {wanted}, got {_by(shape)}; "
            "move them with numpy.moveaxis(image, -1, 0) or tensor.movedim(-1, 0)"
            + (f", or pass 1 x C x {sides} if it has {len(tensor)} channels" if space is None else "")
        )
    if space is not None and tuple(tensor.shape[1:]) != space:
        raise ValueError(
            f"{_wrong_size('image', tensor, space, 'the constructor takes the width first')}; build the "
            "explainer for images of this size"
        )
    if tensor.dtype != torch.float64:
        tensor = tensor.float()
    if not torch.isfinite(tensor).all():
        raise ValueError("image holds NaN or infinite values; replace them first, with torch.nan_to_num say")
    return tensor.detach()


def as_region(region: AnyArray, space: tuple[int, ...], *, name: str = "region") -> BoolArray:
    """A set of pixels as bool array ``[*space]``.

    Args:
        region: ``[*space]``, with axes of length 1 around it or not; bool, or numbers that are all 0 or 1; or
            a PIL image, as for `as_map`.
        space: The size that it must have.
        name: What the user calls it.

    Raises:
        TypeError: Not an array of numbers.
        ValueError: Another size, or values other than 0 and 1.
    """
    tensor = as_map(region, space, name=name)
    if tensor.dtype != torch.bool and not ((tensor == 0) | (tensor == 1)).all():
        low, high = tensor.min().item(), tensor.max().item()
        blurred = f", or `{name} > 127` of a mask whose edges are blurred" if high == 255 else ""
        raise ValueError(
            f"{name} must be binary, of 0 and 1 or bool, but its values run from {low:g} to {high:g}; pass "
            f"`{name} > 0` or `{name} == label`{blurred}"
        )
    return np.ascontiguousarray((tensor != 0).numpy())


def as_map(values: AnyArray, space: tuple[int, ...], *, name: str) -> Tensor:
    """One number for each pixel, as CPU tensor ``[*space]`` of its own type.

    Args:
        values: ``[*space]``, with axes of length 1 around it or not; or a PIL image, which is turned upright
            and read as a file would be: 0 and 255 are 0 and 1, labels are its numbers.
        space: The size that it must have.
        name: What the user calls it.

    Raises:
        TypeError: Not an array of numbers.
        ValueError: Another size.
    """
    tensor = as_tensor(as_array(values, name), name).detach().cpu()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    axes, shape = len(space), tuple(tensor.shape)
    more = len(shape) - axes
    # The axes are of length 1, so that the numbers are the same wherever they are cut off.
    if any(shape == (1,) * before + space + (1,) * (more - before) for before in range(more + 1)):
        return tensor.reshape(space)
    while tensor.ndim > axes and tensor.shape[0] == 1:
        tensor = tensor[0]
    while tensor.ndim > axes and tensor.shape[-1] == 1:
        tensor = tensor[..., 0]
    if tensor.ndim != axes:
        cure = f"; pass one, {name}[0] say" if more == 1 and shape[1:] == space else ""
        cure = f"; pass one, {name}[..., 0] say" if more == 1 and shape[:-1] == space else cure
        raise ValueError(f"{name} must be {' x '.join('DHW'[-axes:])}, got {_by(shape)}{cure}")
    raise ValueError(_wrong_size(name, tensor, space))


def as_array(values: Any, name: str) -> Any:
    """A ground truth or a region as an array: what a PIL image says, or what is an array already.

    Raises:
        ValueError: A picture with colours, or one that cannot be decoded.
    """
    if not isinstance(values, Image.Image):
        return values
    picture = _upright(values, name)
    return as_truth(labels_in(picture, name), name, inexact=bool(picture.info.get("inexact")))


def as_whole(value: object, name: str) -> int:
    """A whole number.

    Raises:
        TypeError: Anything else.
    """
    try:
        whole = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or whole != value or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    return int(whole)


def as_positive(value: int, name: str) -> int:
    """A whole number of at least 1.

    Raises:
        TypeError: Not a whole number.
        ValueError: Smaller than 1.
    """
    whole = as_whole(value, name)
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


def as_threshold(value: object) -> float:
    """A number between 0 and 1, neither of them.

    Raises:
        ValueError: Anything else.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 < value < 1:  # type: ignore[operator]
        raise ValueError(f"threshold must be a probability between 0 and 1, got {value!r}")
    return float(value)  # type: ignore[arg-type]


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


def as_copy(array: AnyArray, name: str) -> NDArray[Any]:
    """Any array of numbers, or mask as a PIL image, as a NumPy array of its own."""
    tensor = as_tensor(as_array(array, name), name).detach().cpu()
    return np.array((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())


def as_spacing(spacing: object) -> tuple[float, ...]:
    """Distances between neighbouring pixels along each axis.

    Raises:
        ValueError: Not positive, finite numbers.
    """
    try:
        numbers = tuple(float(number) for number in spacing)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(0 < number < np.inf for number in numbers):
        raise ValueError(f"spacing must be one positive number for each axis, got {spacing!r}")
    return numbers


def as_tensor(array: AnyArray | Image.Image, name: str) -> Tensor:
    """Any array of real numbers as a tensor of the same values.

    Raises:
        TypeError: Not an array of numbers.
    """
    if isinstance(array, Tensor):
        if array.layout != torch.strided:
            raise TypeError(f"{name} must be a dense tensor; pass {name}.to_dense()")
        if array.is_meta:
            raise TypeError(f"{name} must have values, but it is a tensor of the device 'meta'")
        return array
    if isinstance(array, Image.Image):
        array = _upright(array, name)
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


def named(value: object) -> str:
    """What was given instead of what was wanted, in a few words."""
    if isinstance(value, np.ndarray | Tensor):
        return f"an array of {_by(value.shape)}"
    if isinstance(value, Mapping):
        weights = value and all(isinstance(part, Tensor) for part in value.values())
        what = "weights without their network: build it and call load_state_dict" if weights else "a dict"
        return f"{what} ({len(value)} entries)"
    if isinstance(value, type):
        return f"the class {value.__name__}, not an object: {value.__name__}(...)"
    return repr(value)


def _upright(picture: Image.Image, name: str) -> Image.Image:
    try:
        return upright(picture)
    except (OSError, SyntaxError) as error:  # only now is it decoded
        raise ValueError(f"{name} cannot be decoded: {error}; save or copy the picture again") from None


def _ends_with_channel(shape: Sequence[int], space: tuple[int, ...] | None) -> bool:
    """Whether the last axis of three is the one channel of an image, and no column of pixels."""
    *before, last = shape
    if last != 1:
        return False
    if space is not None:
        return tuple(before) == space != tuple(shape[1:])
    return before[0] > FEW_CHANNELS and min(before) > 1


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


LYING = (
    "turn the one that lies on its side; a photo that is passed as a PIL image is turned as its EXIF entry "
    "says, as an array it is not"
)


def _wrong_size(name: str, tensor: Tensor, space: tuple[int, ...], swapped: str = LYING) -> str:
    came = tuple(tensor.shape[-len(space) :])
    if len(space) == 3:
        return f"{name} has {_by(came)} voxels, wanted {_by(space)} (depth x rows x columns)"
    (rows, columns), (height, width) = came, space
    message = f"{name} has {rows} rows and {columns} columns, wanted {height} rows and {width} columns"
    if came == (width, height):
        return f"{message}: the sizes are swapped ({swapped})"
    return message


def channels_last(images: Tensor) -> Tensor:
    """A copy of images ``[B, C, *space]`` in which the channels of a pixel lie side by side in memory.

    Of a single channel this is a matter of strides alone, which `torch.Tensor.contiguous` leaves as they are.
    """
    layout = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
    return torch.empty_like(images, memory_format=layout).copy_(images)
