"""What the user says about a model, and nothing that was found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from interpret_segmentation._settings import Setting
from interpret_segmentation.data.inputs import as_threshold
from interpret_segmentation.models.answers import Output
from interpret_segmentation.models.reading import ACTIVATIONS, Reading


@dataclass(frozen=True, eq=False, repr=False)
class ModelOptions(Setting):
    """How a model is to be asked, as far as the user says; None leaves it to what is found out.

    Args:
        output: Where in its answer the segmentation is: a key, an index, or a function of the answer. None:
            the answer itself, ``"out"``, ``"logits"``, the only tensor, the first of several.
        activation: What turns its numbers into probabilities: ``"sigmoid"`` (classes may overlap),
            ``"softmax"`` (they exclude each other), ``"log_softmax"``, or ``"none"`` for probabilities.
            None: seen from the values; several logits are taken to exclude each other, with a warning.
        preprocess: What happens to a batch of images before the model sees it, normalisation say: a function
            of ``[B, C, *space]``, or `Preprocess`. Masks hide before it.
        numpy: The function takes NumPy arrays. None: it is tried with tensors first.
        device: Where the model is. None: wherever it is. A model from a file is brought there.
        autocast: Run it in mixed precision: True, or the type to use.
        dims: Axes of space, 2 or 3. None: as many as its convolutions have, or else as the image suggests.
        incremental: Whether images that differ in a patch are asked by what the patch changes. None: where
            that is possible, right and faster; False: never; True: where it is possible and right.
        channels_last: Whether images are handed over with the channels of a pixel side by side in memory,
            which makes convolutions faster on CPUs; the network stays as it is. None: where a module with
            convolutions is faster so, which is tried.
        threshold: What a probability has to exceed for a pixel to belong to the segment, between 0 and 1.
            None: 0.5; of classes that exclude each other the likeliest takes the pixel.
        network: The `torch.nn.Module`, or several, that a function asks, where it cannot be found in the
            function: it is put into evaluation mode and given back as it was.

    Raises:
        TypeError: A preprocess step that is no function.
        ValueError: An option out of its range.
    """

    kind: ClassVar[str] = "model-options"

    output: Output | None = None
    activation: str | None = None
    preprocess: Callable[[Tensor], Tensor] | None = None
    numpy: bool | None = None
    device: torch.device | str | None = None
    autocast: bool | torch.dtype | str | None = None
    dims: int | None = None
    incremental: bool | None = None
    channels_last: bool | None = None
    threshold: float | None = None
    network: Any = None

    def __post_init__(self) -> None:
        if self.activation is not None and self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")
        step: object = self.preprocess
        if step is not None and not callable(step) and not self.is_lost("preprocess"):
            raise TypeError(f"preprocess must be a function of a batch of images, got {step!r}")
        if self.dims not in (None, 2, 3):
            raise ValueError(f"dims must be 2 or 3, got {self.dims!r}")
        for name in ("incremental", "channels_last"):
            choice = getattr(self, name)
            if choice is not None and not isinstance(choice, bool):
                raise ValueError(f"{name} must be True, False or None, got {choice!r}")
        if self.threshold is not None:
            object.__setattr__(self, "threshold", as_threshold(self.threshold))
        if self.network is not None and not self.is_lost("network"):
            as_modules(self.network)
        kind = _floating(self.autocast)
        object.__setattr__(self, "autocast", None if kind is None else str(kind).removeprefix("torch."))
        if isinstance(self.device, torch.device):
            object.__setattr__(self, "device", str(self.device))

    @property
    def mixed_precision(self) -> torch.dtype | None:
        """The type that the model runs in, beside its own."""
        return _floating(self.autocast)

    def stated(self) -> dict[str, Any]:
        """Those that are not left open, by name."""
        given = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: value for name, value in given.items() if value is not None}

    def settled(self, reading: Reading) -> ModelOptions:
        """The same with what was found out filled in, so that the model is asked the same way again."""
        return replace(
            self,
            activation=reading.activation,
            numpy=reading.numpy,
            channels_last=reading.channels_last,
            device=None,
        )


def as_modules(network: object) -> tuple[nn.Module, ...]:
    """The networks that the user names.

    Raises:
        TypeError: Something else than modules.
    """
    modules = tuple(network) if isinstance(network, tuple | list) else (network,)
    if wrong := [one for one in modules if not isinstance(one, nn.Module)]:
        raise TypeError(
            "network must be the torch.nn.Module that the function asks, or a list of them; got "
            f"{type(wrong[0]).__name__}"
        )
    return modules


NAMES = tuple(part.name for part in fields(ModelOptions))
"""Of all options."""


def _floating(autocast: bool | torch.dtype | str | None) -> torch.dtype | None:
    """The type for mixed precision; True is bfloat16, which every device has."""
    if autocast is None or autocast is False:
        return None
    wanted = torch.bfloat16 if autocast is True else autocast
    wanted = getattr(torch, wanted, None) if isinstance(wanted, str) else wanted  # type: ignore[assignment]
    if wanted not in (torch.bfloat16, torch.float16):
        raise ValueError(f"autocast must be True, torch.bfloat16 or torch.float16, got {autocast!r}")
    return wanted
