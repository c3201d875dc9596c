"""A model together with what the user says about it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from interpret_segmentation.models.answers import Output
from interpret_segmentation.models.borrowing import borrow
from interpret_segmentation.models.network import Model, Network
from interpret_segmentation.models.options import ModelOptions
from interpret_segmentation.models.reading import Reading


class SegmentationModel:
    """Any model with what has to be said about it, asked for probabilities ``[B, K, *space]``.

    What can be seen from the model and its answer is found out and told in ``decisions``; what cannot has to
    be said.

    Args:
        model: A `torch.nn.Module`; a function of a batch ``[B, C, *space]``, of tensors or of NumPy arrays;
            the path of a TorchScript, torch.export or ONNX file; or ``"package.module:function"``, a function
            without arguments that returns the model.
        output: Where in its answer the segmentation is; see `ModelOptions`, also for all that follow.
        activation: What turns its numbers into probabilities.
        preprocess: What happens to a batch of images before the model sees it.
        numpy: The function takes NumPy arrays.
        device: Where the model is.
        autocast: Run it in mixed precision.
        dims: Axes of space, 2 or 3.
        incremental: Whether images that differ in a patch are asked by what the patch changes.
        channels_last: Whether images are handed over with the channels of a pixel side by side in memory.
        threshold: What a probability has to exceed for a pixel to belong to the segment.
        network: The module that a function asks, where it cannot be found in the function.

    Raises:
        TypeError: What was given as a model is none.
        ValueError: An unknown option, another device than the model's, or a file that holds no model.

    Example:
        >>> model = SegmentationModel(lambda batch: {"out": 20 * batch - 10}, activation="sigmoid")
        >>> model.probabilities(torch.ones(1, 1, 2, 3)).shape
        torch.Size([1, 1, 2, 3])
        >>> model.decisions["output"]
        "['out'] 1 x 1 x 2 x 3"
    """

    def __init__(
        self,
        model: Model,
        *,
        output: Output | None = None,
        activation: str | None = None,
        preprocess: Callable[[Tensor], Tensor] | None = None,
        numpy: bool | None = None,
        device: torch.device | str | None = None,
        autocast: bool | torch.dtype | str | None = None,
        dims: int | None = None,
        incremental: bool | None = None,
        channels_last: bool | None = None,
        threshold: float | None = None,
        network: Any = None,
    ) -> None:
        options = ModelOptions(
            output,
            activation,
            preprocess,
            numpy,
            device,
            autocast,
            dims,
            incremental,
            channels_last,
            threshold,
            network,
        )
        self.network = Network(model, options)
        self.reading: Reading | None = None
        """What the last answer showed; None before the first."""

    @property
    def module(self) -> Any:
        """The model itself."""
        return self.network.module

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.network.device

    @property
    def dims(self) -> int | None:
        """Axes of space that it works on; None: unknown."""
        return self.network.dims

    @property
    def decisions(self) -> dict[str, Any]:
        """What was stated or found out, in plain words; nothing before the model was asked."""
        return {} if self.reading is None else self.network.describe(self.reading)

    @property
    def options(self) -> dict[str, Any]:
        """What it was built with, with what was found out filled in: arguments of `explain`."""
        said = self.network.options
        known = replace(said if self.reading is None else said.settled(self.reading), device=None, dims=None)
        return known.stated()

    def probabilities(self, batch: Tensor) -> Tensor:
        """Ask for a batch of images.

        Args:
            batch: Images ``[B, C, *space]`` as the user has them.

        Returns:
            Probabilities, float32 ``[B, K, *space]``.

        Raises:
            RuntimeError: The model fails on these images.
            TypeError: Its answer holds no tensor.
            ValueError: The tensor is no segmentation of these images.
        """
        compiled = self.network.is_compiled
        with (
            borrow(self.network.modules, compiled=compiled) as hooks,
            nullcontext() if compiled else hooks.adopt(),
        ):
            if self.reading is None:
                self.reading, maps = self.network.read(batch)
                self.reading.warn_of_softmax()
                return maps
            return self.network.probabilities(batch, self.reading)

    def __repr__(self) -> str:
        stated = [f"{name}={value!r}" for name, value in self.network.options.stated().items()]
        return f"SegmentationModel({', '.join([self.network.source, *stated])})"


def as_network(model: Model | SegmentationModel | Network, options: ModelOptions | None = None) -> Network:
    """A network that can be asked, whatever the user hands over.

    Args:
        model: A model, one with its options, or a network.
        options: What the user says about a model that does not bring its own options along.

    Raises:
        TypeError: Options are stated beside a model that has its own.
    """
    if isinstance(model, Network | SegmentationModel):
        if options is not None and (stated := options.stated()):
            raise TypeError(
                f"{next(iter(stated))} must be set in the SegmentationModel itself, not beside it"
            )
        return model if isinstance(model, Network) else model.network
    return Network(model, options)
