"""Borrows any model: asks it in evaluation mode and makes its output probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

Model: TypeAlias = Callable[[Tensor], Tensor]
"""Images ``[B, C, *space]`` in, probabilities ``[B, 1, *space]`` or ``[B, *space]`` out."""


@contextmanager
def borrowed(model: Model) -> Iterator[None]:
    """Inside the block the model is in evaluation mode and records no gradients.

    On the way out, also by an error, every training flag and the random state are as they were.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    flags = [module.training for module in modules]
    device = device_of(model)
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
        try:
            if isinstance(model, nn.Module):
                model.eval()
            yield
        finally:
            for module, flag in zip(modules, flags, strict=True):
                module.training = flag


def device_of(model: Model, wanted: torch.device | str | None = None) -> torch.device:
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
        raise TypeError(f"model must be a torch.nn.Module or a function of a batch of images, got {model!r}")


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


def dtype_of(model: Model) -> torch.dtype:
    """The floating type of the model's weights; float32 when it has none."""
    tensor = _first_tensor(model)
    return tensor.dtype if tensor is not None else torch.float32


def on_model(model: Model, image: Tensor, device: torch.device) -> Tensor:
    """An image on the model's device, in the floating type of its weights.

    Raises:
        ValueError: The image has values that are too large for that type.
    """
    converted = image.to(device, dtype_of(model))
    if not torch.isfinite(converted).all():
        raise ValueError(
            f"image has values up to {image.abs().max().item():g}, too large for the {converted.dtype} of "
            "the model; scale them to what it was trained on"
        )
    return converted


def _first_tensor(model: Model) -> Tensor | None:
    if not isinstance(model, nn.Module):
        return None
    tensors = (tensor for group in (model.parameters(), model.buffers()) for tensor in group)
    return next((tensor for tensor in tensors if tensor.is_floating_point()), None)


def foreground(model: Model, batch: Tensor) -> Tensor:
    """The model's probabilities for a batch of images, float32 ``[B, *space]``.

    Args:
        model: The network.
        batch: Images ``[B, C, *space]``.

    Raises:
        TypeError: The output is not a tensor.
        ValueError: The output has another size than the images, several classes, NaN, or values that
            are no probabilities.
    """
    output = model(batch)
    if not isinstance(output, Tensor):
        raise TypeError(
            f"the model must return one tensor of probabilities, got {type(output).__name__}; "
            "wrap it in a function that picks the tensor"
        )
    size, space = len(batch), tuple(batch.shape[2:])
    if tuple(output.shape) == (size, 1, *space):
        output = output[:, 0]
    elif size == 1 and tuple(output.shape) == space:  # a model that squeezes every axis of length one
        output = output[None]
    if tuple(output.shape) != (size, *space):
        cure = ""
        if len(output) == size and output.ndim == batch.ndim:
            if tuple(output.shape[2:]) == space:
                cure = "; wrap it in a function that picks one class: lambda batch: model(batch)[:, 1]"
            else:
                cure = "; wrap it in a function that resizes with torch.nn.functional.interpolate"
        wanted = " x ".join(map(str, space))
        raise ValueError(
            f"for {size} images of {wanted} pixels the model must return {size} x 1 x {wanted} or "
            f"{size} x {wanted}, got {' x '.join(map(str, output.shape))}{cure}"
        )
    output = output.float()
    lowest, highest = (value.item() for value in torch.aminmax(output))
    if not (lowest >= -1e-3 and highest <= 1 + 1e-3):
        broken = int(output.isnan().sum().item())
        if broken:
            raise ValueError(
                f"the model returned NaN for {broken} of {output.numel()} pixels; check that it gets the "
                "range of values it was trained on, and that a blank image does not divide by zero in it"
            )
        raise ValueError(
            f"the model must return probabilities from 0 to 1, got values from {lowest:g} to {highest:g}; "
            "if these are logits, pass torch.nn.Sequential(model, torch.nn.Sigmoid())"
        )
    return output
