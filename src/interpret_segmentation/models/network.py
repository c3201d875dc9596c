"""Borrows any model: asks it in evaluation mode, and gives it back as it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from interpret_segmentation.data.inputs import channels_last as with_channels_last
from interpret_segmentation.models.borrowing import mixes_images, module_tensors
from interpret_segmentation.models.devices import device_of, dtype_of, is_out_of_memory, usable_device
from interpret_segmentation.models.files import ExportedModel, OnnxModel, exported_shape, load_model
from interpret_segmentation.models.options import ModelOptions
from interpret_segmentation.models.reading import (
    NoProbabilitiesError,
    Reading,
    as_maps,
    picked,
    read,
    resized,
)

Model: TypeAlias = Callable[..., Any] | str | Path
"""Images ``[B, C, *space]`` in, a segmentation out; or the file or ``package.module:function`` of one."""


class Network:
    """A model that can be asked: the callable, where it is and what it takes. It serves many images.

    Nothing that an answer shows is kept here; that is a `Reading`, which every question about probabilities
    is given.

    Args:
        model: A `torch.nn.Module`; a function of a batch ``[B, C, *space]``, of tensors or of NumPy arrays;
            the path of a TorchScript, torch.export or ONNX file; or ``"package.module:function"``, a function
            without arguments that returns the model.
        options: What the user says about it.

    Attributes:
        source: What the model is called.
        module: The callable itself.
        device: Where it is.
        dtype: Of its weights.
        dims: Axes of space that it works on; None: unknown.
        fixed_batch: How many images it takes at a time; None: any number.

    Raises:
        TypeError: What was given as a model is none.
        ValueError: Another device than the model's, or a file that holds no model.
    """

    def __init__(self, model: Model, options: ModelOptions | None = None) -> None:
        self.options = options or ModelOptions()
        device = self.options.device
        self.source = str(model) if isinstance(model, str | Path) else _name(model)
        if isinstance(model, str | Path):
            model = load_model(model)
            if device is not None and isinstance(model, nn.Module):
                model = model.to(usable_device(device))
        self.module = model
        self.device = device_of(model, device)
        self.dtype = dtype_of(model)
        self.dims = self.options.dims or _dims_of(model)
        self.fixed_batch = (_input_shape(model) or (None,))[0]

    def __repr__(self) -> str:
        dims = "" if self.dims is None else f", {self.dims}D"
        return f"Network({self.source}, {self.device}, {str(self.dtype).removeprefix('torch.')}{dims})"

    def with_options(self, options: ModelOptions) -> Network:
        """The same network, asked with other options."""
        other = copy(self)
        other.options, other.dims = options, options.dims or _dims_of(self.module)
        return other

    @property
    def mixes_images(self) -> bool:
        """Whether an answer depends on the other images of a batch."""
        return mixes_images(self.module)

    def read(self, batch: Tensor) -> tuple[Reading, Tensor]:
        """Ask for the first time, and see what the answer says.

        Args:
            batch: Images ``[B, C, *space]`` as the user has them.

        Returns:
            What was found out, and probabilities, float32 ``[B, K, *space]``.

        Raises:
            RuntimeError: The model fails on these images.
            TypeError: Its answer holds no tensor.
            ValueError: The tensor is no segmentation of these images.
        """
        maps, place, numpy = self._maps(batch, None)
        reading, ready = read(maps, place, tuple(batch.shape[2:]), self.options.activation)
        reading = replace(reading, numpy=numpy, channels_last=self.options.channels_last)
        return reading, ready.to(self.device)

    def probabilities(self, batch: Tensor, reading: Reading) -> Tensor:
        """Ask again, and read the answer in the same way.

        Args:
            batch: Images ``[B, C, *space]`` as the user has them.
            reading: What the first answer showed.

        Returns:
            Probabilities, float32 ``[B, K, *space]``.

        Raises:
            NoProbabilitiesError: Numbers that were taken for probabilities are none.
            ValueError: The answer is no segmentation of these images, or has another number of classes.
        """
        maps, _, _ = self._maps(batch, reading)
        if maps.shape[1] != reading.classes:
            raise ValueError(f"the model returned {reading.classes} classes before, and {maps.shape[1]} now")
        try:
            ready = reading.activated(resized(maps, tuple(batch.shape[2:])))
        except NoProbabilitiesError as error:
            if reading.is_stated:
                raise ValueError(str(error)) from None
            raise
        return ready.to(self.device)

    def maps(self, batch: Tensor, reading: Reading) -> Tensor:
        """The maps that probabilities are made of, ``[B, K, *space]``; their values are not looked at."""
        space = tuple(batch.shape[2:])
        images = self._preprocessed(batch)
        answer, _ = self._call(images.to(self.device, self.dtype), reading)
        tensor, _ = picked(answer, self.options.output)
        return resized(as_maps(tensor, len(batch), tuple(images.shape[2:])), space)

    def describe(self, reading: Reading) -> dict[str, Any]:
        """What is known of the model, for a result to keep."""
        return {
            "model": self.source,
            "output": f"{reading.place} {' x '.join(map(str, reading.shape))}".strip(),
            "classes": reading.classes,
            "activation": reading.activation,
            "activation_because": reading.because,
            "resized": reading.resized,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "exclusive": reading.exclusive,
        }

    def _preprocessed(self, batch: Tensor) -> Tensor:
        step = self.options.preprocess
        return batch if step is None else step(batch)

    def _maps(self, batch: Tensor, reading: Reading | None) -> tuple[Tensor, str, bool | None]:
        """Maps ``[B, K, *any]``, where in the answer they were, and whether the model takes arrays."""
        size = len(batch)
        images: object = self._preprocessed(batch)
        if not isinstance(images, Tensor) or images.ndim < 3 or len(images) != size:
            got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise TypeError(f"preprocess must return a batch of {size} images as a tensor, got {got}")
        before, images = images, images.to(self.device, self.dtype)
        if self.options.preprocess is not None and not torch.isfinite(before).all():
            raise ValueError(
                "preprocess made NaN or infinite values of the image; see that a flat image, such as one "
                "that is hidden entirely, does not divide by zero in it"
            )
        if not torch.isfinite(images).all():
            raise ValueError(
                f"image has values up to {batch.abs().max().item():g}, too large for the {self.dtype} of "
                "the model; scale them to what it was trained on"
            )
        answers, numpy = self._answers(images, reading)
        found = [picked(answer, self.options.output) for answer in answers]
        tensors = [tensor for tensor, _ in found]
        tensor = torch.cat(tensors)[:size] if self.fixed_batch else tensors[0]
        if not tensor.is_floating_point():
            tensor = _binary(tensor)
        return as_maps(tensor, size, tuple(images.shape[2:])), found[0][1], numpy

    def _answers(self, images: Tensor, reading: Reading | None) -> tuple[list[Any], bool | None]:
        """What the model says of the images, in as many parts as it needs."""
        kind = self.options.mixed_precision
        try:
            with torch.autocast(self.device.type, kind) if kind else nullcontext():
                said = [self._call(part, reading) for part in self._parts(images)]
        except Exception as error:
            if is_out_of_memory(error) or (reading is not None and len(images) == 1):
                raise
            raise RuntimeError(self._failure(images, error, reading)) from error
        return [answer for answer, _ in said], said[0][1]

    def _parts(self, images: Tensor) -> Sequence[Tensor]:
        """The images as the model can take them: when its batch has a fixed size, filled up with copies."""
        size = self.fixed_batch
        if not size or len(images) == size:
            return (images,)
        missing = -len(images) % size
        return torch.split(torch.cat([images, images[-1:].expand(missing, *images.shape[1:])]), size)

    def _call(self, images: Tensor, reading: Reading | None) -> tuple[Any, bool | None]:
        """The model's raw answer, and whether it takes arrays, as far as that is known."""
        assert callable(self.module)
        known = self.options if reading is None else reading
        numpy = known.numpy
        if numpy:
            return self.module(images.cpu().numpy()), numpy
        if known.channels_last and type(images) is Tensor and images.ndim in (4, 5):
            images = with_channels_last(images)
        if numpy is False or reading is not None or isinstance(self.module, nn.Module):
            return self.module(images), numpy
        try:
            return self.module(images), numpy
        except (TypeError, AttributeError) as error:
            try:
                return self.module(images.cpu().numpy()), True
            except Exception:  # noqa: BLE001  the first error tells what is wrong
                raise error from None

    def _failure(self, images: Tensor, error: Exception, reading: Reading | None) -> str:
        """The model's own error, with what is likely to cure it."""
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        message = (
            f"the model failed on images of shape {tuple(images.shape)}: {type(error).__name__}: {reason}"
        )
        if reading is not None:
            return f"{message}. It took one image before: pass batch_size=1"
        if self.options.channels_last and "view size is not compatible" in reason:
            return f"{message}. It cannot take images whose channels lie last: leave channels_last= out"
        wanted = _channels_of(self.module)
        if wanted is not None and wanted != images.shape[1]:
            return (
                f"{message}. Its first convolution takes {wanted} channels, the image has {images.shape[1]}: "
                "pass an image with its channels first; or choose or repeat channels with "
                f"preprocess=Preprocess(channels={_chosen(wanted, images.shape[1])})"
            )
        if re.search(
            r"sizes of tensors must match|the size of tensor a|divisible|multiple of", reason.lower()
        ):
            return (
                f"{message}. If the network needs sides that are multiples of a number, pass "
                "preprocess=Preprocess(multiple=32), say"
            )
        return message


def _dims_of(model: object) -> int | None:
    """Axes of space that the model works on, as far as its input or its convolutions tell."""
    shape = _input_shape(model)
    if shape is not None:
        return len(shape) - 2 if len(shape) in (4, 5) else None
    if not isinstance(model, nn.Module):
        return None
    weights = [
        weight.ndim
        for module in model.modules()
        if "Conv" in getattr(module, "original_name", type(module).__name__)
        and isinstance(weight := getattr(module, "weight", None), Tensor)
    ] or [tensor.ndim for tensor in module_tensors(model)]
    return 3 if 5 in weights else 2 if 4 in weights else None


def _input_shape(model: object) -> tuple[int | None, ...] | None:
    """The shape ``[B, C, *space]`` that a model from a file, or an exported one, wants, as far as it says."""
    if isinstance(model, torch.fx.GraphModule):
        return exported_shape(model)
    return (model.input_shape or None) if isinstance(model, ExportedModel | OnnxModel) else None


def _channels_of(model: object) -> int | None:
    """Channels that the first convolution takes."""
    for module in model.modules() if isinstance(model, nn.Module) else ():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            return module.in_channels
    return None


def _chosen(wanted: int, there: int) -> tuple[int, ...]:
    """Channels that an image of so many could be made fit with."""
    return tuple(min(channel, there - 1) for channel in range(wanted))


def _name(model: object) -> str:
    thing = model if hasattr(model, "__qualname__") else type(model)
    return f"{thing.__module__}.{thing.__qualname__}"


def _binary(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.bool and not ((tensor == 0) | (tensor == 1)).all():
        raise ValueError(
            f"the model returned whole numbers from {tensor.min().item()} to {tensor.max().item()}: labels, "
            "not probabilities. Have it return probabilities, or pass output=lambda labels: "
            "torch.nn.functional.one_hot(labels.long(), K).movedim(-1, 1) with K classes"
        )
    return tensor.float()
