"""Where a model is, and in what type it computes."""

from __future__ import annotations

import torch
from torch import Tensor

from interpret_segmentation.data.inputs import named
from interpret_segmentation.models.borrowing import module_tensors


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device or the machine ran out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "can't allocate memory", "failed to allocate")
    )


def device_of(model: object, wanted: torch.device | str | None = None) -> torch.device:
    """The device that the model is asked on.

    Args:
        model: The network.
        wanted: What the user says; None follows the model.

    Raises:
        TypeError: What was given as a model is none.
        ValueError: The model lies on another device than the one wanted, or there is no such device.
    """
    _check_callable(model)
    tensor = _first_tensor(model)
    if wanted is None:
        return tensor.device if tensor is not None else torch.device("cpu")
    if tensor is None:
        return usable_device(wanted)
    device = _device(wanted)
    indices = {device.index, tensor.device.index} - {None}
    if tensor.device.type != device.type or len(indices) > 1:
        raise ValueError(
            f"the model is on {tensor.device} but the explainer was asked to run on {device}; "
            f"move the model with model.to({str(device)!r})"
        )
    return tensor.device


def _check_callable(model: object) -> None:
    if not callable(model) or isinstance(model, type):
        raise TypeError(
            "model must be a torch.nn.Module or a function of a batch of images, the path of a model file, "
            f"or 'package.module:function'; got {named(model)}"
        )


def usable_device(wanted: torch.device | str) -> torch.device:
    """A device that tensors can be put on.

    Raises:
        ValueError: There is no such device here.
    """
    device = _device(wanted)
    try:
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {str(device)!r} cannot be used here: {reason}; try 'cpu'") from None
    return device


def _device(wanted: torch.device | str) -> torch.device:
    try:
        return torch.device(wanted)
    except (RuntimeError, TypeError):
        raise ValueError(f"device must be such as 'cpu' or 'cuda:0', got {wanted!r}") from None


def dtype_of(model: object) -> torch.dtype:
    """The floating type of the model's weights; float32 when it has none."""
    tensor = _first_tensor(model)
    return tensor.dtype if tensor is not None else torch.float32


def _first_tensor(model: object) -> Tensor | None:
    return next((tensor for tensor in module_tensors(model) if tensor.is_floating_point()), None)
