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
        ValueError: The model lies on another device than the one wanted.
    """
    tensor = _first_tensor(model)
    if wanted is None:
        return tensor.device if tensor is not None else torch.device("cpu")
    device = torch.device(wanted)
    if tensor is None:
        return device
    indices = {device.index, tensor.device.index} - {None}
    if tensor.device.type != device.type or len(indices) > 1:
        raise ValueError(
            f"the model is on {tensor.device} but the explainer was asked to run on {device}; "
            f"move the model with model.to({str(device)!r})"
        )
    return tensor.device


def dtype_of(model: Model) -> torch.dtype:
    """The floating type of the model's weights; float32 when it has none."""
    tensor = _first_tensor(model)
    return tensor.dtype if tensor is not None else torch.float32


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
        several = output.ndim == batch.ndim and tuple(output.shape[2:]) == space
        raise ValueError(
            f"for images {list(batch.shape)} the model must return [{size}, 1, ...] or [{size}, ...] of the "
            f"same height and width, got {list(output.shape)}"
            + ("; wrap it in a function that picks one class" if several else "")
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
