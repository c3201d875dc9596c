"""Looks inside a network: gradients with respect to the image, and what its layers answer on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from interpret_segmentation.models.files import OnnxModel
from interpret_segmentation.models.network import Network
from interpret_segmentation.models.reading import Reading

CURE = (
    "hand over the torch.nn.Module itself, or choose a method that only asks the model (those whose `needs` "
    "are empty)"
)


class NoGradientError(ValueError):
    """A method needs gradients, and the model has none."""


@dataclass(frozen=True, eq=False)
class Activation:
    """What a layer answered for some images.

    Attributes:
        values: Its output, ``[B, K, *any]``.
        gradient: Of each image's number with respect to it, of the same shape.
    """

    values: Tensor
    gradient: Tensor


def check_differentiable(network: Network, reading: Reading) -> None:
    """See, before anything is computed, whether a model can have gradients.

    Raises:
        NoGradientError: It cannot, with the reason and the cure.
    """
    if torch.is_inference_mode_enabled():
        raise NoGradientError("gradients are needed, but torch.inference_mode() is on; leave it first")
    if isinstance(network.module, OnnxModel):
        raise NoGradientError(f"gradients are needed, but {network.source} is run by onnxruntime; {CURE}")
    if reading.numpy:
        raise NoGradientError(f"gradients are needed, but {network.source} takes NumPy arrays; {CURE}")


def differentiate(
    network: Network, reading: Reading, number: Callable[[Tensor], Tensor], images: Tensor
) -> tuple[Tensor, Tensor]:
    """A number for each image, ``[B]``, and its gradient with respect to it, ``[B, C, *space]``.

    Args:
        network: The network, borrowed.
        reading: How its answer is read.
        number: Of probabilities ``[B, K, *space]``.
        images: ``[B, C, *space]``.

    Raises:
        NoGradientError: The model's answer does not follow from the image in a way that can be
            differentiated.
    """
    with torch.enable_grad():
        leaf = images.detach().clone().requires_grad_()
        value = number(network.probabilities(leaf, reading))
        _check_tracked(network, value)
        (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
    return value.detach(), _or_zeros(gradient, leaf)


def differentiate_layers(
    network: Network,
    reading: Reading,
    number: Callable[[Tensor], Tensor],
    images: Tensor,
    layers: Sequence[str],
) -> dict[str, Activation]:
    """What layers answer, and how each image's number depends on it, by the layers' names.

    Of a layer that runs several times the last run counts.

    Args:
        network: The network, borrowed.
        reading: How its answer is read.
        number: Of probabilities ``[B, K, *space]``.
        images: ``[B, C, *space]``.
        layers: Names, as in ``named_modules()``.

    Raises:
        NoGradientError: As for `differentiate`.
        TypeError: The model is no module, or a layer does not answer with a tensor.
        ValueError: There is no such layer, or it does not run.
    """
    modules = _modules(network, layers)
    with torch.enable_grad(), _watched(modules) as seen:
        leaf = images.detach().clone().requires_grad_()
        value = number(network.probabilities(leaf, reading))
        _check_tracked(network, value)
        if idle := [name for name in layers if name not in seen]:
            raise ValueError(f"the layer {idle[0]!r} does not run when the model is asked; choose another")
        outputs = [seen[name] for name in layers]
        if cut_off := [name for name in layers if not seen[name].requires_grad]:
            raise NoGradientError(
                f"gradients are needed, but what the layer {cut_off[0]!r} answers is cut off from the image, "
                "by torch.no_grad or detach() say; choose another layer"
            )
        gradients = torch.autograd.grad(value.sum(), outputs, allow_unused=True)
    return {
        name: Activation(output.detach(), _or_zeros(gradient, output))
        for name, output, gradient in zip(layers, outputs, gradients, strict=True)
    }


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    """A gradient; 0 with respect to what the number does not depend on."""
    return torch.zeros_like(like) if gradient is None else gradient


def _check_tracked(network: Network, value: Tensor) -> None:
    if not value.requires_grad:
        raise NoGradientError(
            f"gradients are needed, but the answer of {network.source} is cut off from the image: a file "
            "without gradients, NumPy, torch.no_grad or detach() on the way, or whole numbers as its answer; "
            f"{CURE}"
        )


def _modules(network: Network, layers: Sequence[str]) -> dict[str, nn.Module]:
    """The modules of these names."""
    if not isinstance(network.module, nn.Module):
        raise TypeError(
            f"layers are needed, but {network.source} is a function; hand over the torch.nn.Module itself, "
            "with preprocess= or output= for what the function does around it"
        )
    known = dict(network.module.named_modules())
    for name in layers:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0) or list(known)[:3]
            raise ValueError(
                f"the network has no layer {name!r}; the nearest are {', '.join(map(repr, near))} "
                "(named_modules() lists all)"
            )
    return {name: known[name] for name in layers}


@contextmanager
def _watched(modules: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """What the modules answer, as long as the block lasts."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"the layer {name!r} answers with {type(output).__name__}, not with a tensor; choose a "
                    "layer inside it"
                )
            seen[name] = output
            return output.clone()  # what comes after may write into it

        return hook

    with ExitStack() as stack:
        for name, module in modules.items():
            handle = module.register_forward_hook(keep(name))
            stack.callback(handle.remove)
        yield seen
