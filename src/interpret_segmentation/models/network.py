"""Borrows any model: asks it in evaluation mode, and gives it back as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import MethodType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from interpret_segmentation.data.inputs import channels_last as with_channels_last
from interpret_segmentation.data.preprocess import Preprocess
from interpret_segmentation.data.resizing import resized
from interpret_segmentation.models.answers import Path as AnswerPath
from interpret_segmentation.models.answers import find
from interpret_segmentation.models.borrowing import is_module, mixes_images, module_tensors
from interpret_segmentation.models.devices import device_of, dtype_of, is_out_of_memory, usable_device
from interpret_segmentation.models.failing import cure_of, further
from interpret_segmentation.models.files import ExportedModel, OnnxModel, exported_shape, load_model
from interpret_segmentation.models.inside import modules_inside
from interpret_segmentation.models.options import ModelOptions, as_modules
from interpret_segmentation.models.placement import moved_by
from interpret_segmentation.models.reading import NoProbabilitiesError, Reading, read
from interpret_segmentation.models.shapes import Sizes

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
        modules: The networks that it asks: itself, or those that were found in a function or named.
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
        written = as_written(model)
        self._compiled = None if written is model else model
        self.module = model = written
        named = () if self.options.network is None else as_modules(self.options.network)
        self.modules = tuple(dict.fromkeys((*named, *modules_inside(model))))
        owner = model.__self__ if isinstance(model, MethodType) and is_module(model.__self__) else model
        self.device = device_of(owner, device)
        self.dtype = dtype_of(owner)
        self.dims = self.options.dims or _dims_of(owner)
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
    def is_file(self) -> bool:
        """Whether it came from a file, whose mode is fixed."""
        return isinstance(self.module, OnnxModel | ExportedModel)

    @property
    def is_compiled(self) -> bool:
        """Whether `torch.compile` has made it, so that it is compiled for every size that it is asked in."""
        return self._compiled is not None

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
        maps, sizes, path, numpy = self._maps(batch, None)
        placed = self._placed(maps, sizes)
        reading, ready = read(maps, placed, path, self.options.activation, self.options.threshold)
        reading = replace(reading, numpy=numpy, channels_last=self.options.channels_last)
        return reading, ready.to(self.device)

    def read_again(self, batch: Tensor, reading: Reading) -> tuple[Reading, Tensor]:
        """Ask again, and read the answer in a way that was found out meanwhile.

        Args:
            batch: Images ``[B, C, *space]`` as the user has them.
            reading: How it is to be read.

        Returns:
            The same with its doubts, and probabilities, float32 ``[B, K, *space]``.
        """
        maps, sizes, _, _ = self._maps(batch, reading)
        placed = self._placed(maps, sizes)
        return reading.with_doubts(placed), self._activated(placed, reading)

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
        return self.numbers(batch, reading)[1]

    def numbers(self, batch: Tensor, reading: Reading) -> tuple[Tensor, Tensor]:
        """The numbers that the model returns, on the image, and probabilities; see `probabilities`."""
        maps, sizes, _, _ = self._maps(batch, reading)
        if maps.shape[1] != reading.classes:
            raise ValueError(f"the model returned {reading.classes} classes before, and {maps.shape[1]} now")
        placed = self._placed(maps, sizes)
        return placed, self._activated(placed, reading)

    def _activated(self, placed: Tensor, reading: Reading) -> Tensor:
        """Probabilities of maps that lie on the image."""
        try:
            return reading.activated(placed).to(self.device)
        except NoProbabilitiesError as error:
            if reading.is_stated:
                raise ValueError(str(error)) from None
            raise

    def maps(self, batch: Tensor, reading: Reading) -> Tensor:
        """The maps that probabilities are made of, ``[B, K, *space]``; their values are not looked at."""
        images = self._preprocessed(batch)
        sizes = self._sizes(batch, images)
        answer, _ = self._call(images.to(self.device, self.dtype), reading)
        sizes = replace(sizes, restated=reading.path.restated)
        tensor = reading.path.follow(self._with_names(answer), self.options.output)
        return self._placed(sizes.as_maps(tensor, len(batch)), sizes)

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
            "threshold": reading.threshold,
        }

    def _preprocessed(self, batch: Tensor) -> Tensor:
        step = self.options.preprocess
        return batch if step is None else step(batch)

    def _maps(self, batch: Tensor, reading: Reading | None) -> tuple[Tensor, Sizes, AnswerPath, bool | None]:
        """Maps ``[B, K, *any]``, what they fit, where they were, and whether the model takes arrays."""
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
        sizes = self._sizes(batch, images)
        answers, numpy = self._answers(images, reading)
        named = [self._with_names(answer) for answer in answers]
        asked = self.fixed_batch or size
        path = find(named[0], self.options.output, asked, sizes.fits) if reading is None else reading.path
        sizes = replace(sizes, restated=path.restated)
        tensors = [path.follow(answer, self.options.output) for answer in named]
        tensor = torch.cat(tensors)[:size] if self.fixed_batch else tensors[0]
        if not tensor.is_floating_point():
            tensor = _binary(tensor, path, len(sizes.seen))
        maps = sizes.as_maps(tensor, size)
        if reading is None:
            self._check_places(batch, maps, sizes)
        return maps, sizes, path, numpy

    def _sizes(self, batch: Tensor, images: Tensor) -> Sizes:
        """What maps of these images have to fit."""
        space, last = tuple(batch.shape[2:]), False
        step = self.options.preprocess
        if isinstance(step, Preprocess):
            last = step.layout == "channels_last"
        elif step is not None and images.ndim == batch.ndim:
            last = tuple(images.shape[1:-1]) == space and tuple(images.shape[2:]) != space
        seen = tuple(images.shape[1:-1] if last else images.shape[2:])
        return Sizes(space, seen, restated=callable(self.options.output), channels_last=last)

    def _placed(self, maps: Tensor, sizes: Sizes) -> Tensor:
        """Maps of what the model saw, on the image."""
        step = self.options.preprocess
        if isinstance(step, Preprocess) and not sizes.are_own(maps):
            return step.restore(maps, sizes.space)
        return resized(maps, sizes.space)

    def _check_places(self, batch: Tensor, maps: Tensor, sizes: Sizes) -> None:
        """Raise an error when preprocessing moves pixels, and nothing brings the answer back."""
        step = self.options.preprocess
        if step is None or isinstance(step, Preprocess) or sizes.are_own(maps):
            return
        if how := moved_by(step, batch[0], sizes.seen, channels_last=sizes.channels_last):
            raise ValueError(f"preprocess {how}")

    def _with_names(self, answer: Any) -> Any:
        """The answer of an ONNX file by the names of its outputs, where the user names one."""
        wanted = self.options.output
        if not isinstance(self.module, OnnxModel) or wanted is None or callable(wanted):
            return answer
        return {self.module.output_names[0]: answer} if isinstance(answer, Tensor) else answer

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
            plain = type(images) is Tensor and not torch.is_grad_enabled()
            asked = self._compiled if plain and self._compiled is not None else self.module
            return asked(images), numpy
        try:
            return self.module(images), numpy
        except (TypeError, AttributeError) as error:
            try:
                return self.module(images.cpu().numpy()), True
            except Exception as of_arrays:  # noqa: BLE001  whichever tells what is wrong
                raise further(error, of_arrays) from None

    def _failure(self, images: Tensor, error: Exception, reading: Reading | None) -> str:
        """The model's own error, with what is likely to cure it."""
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        message = (
            f"the model failed on images of shape {tuple(images.shape)}: {type(error).__name__}: {reason}"
        )
        if reading is not None:
            return f"{message}. It took one image before: pass batch_size=1"
        says_last = bool(self.options.channels_last)
        step = self.options.preprocess
        says_layout = isinstance(step, Preprocess) and step.layout == "channels_last"
        return message + cure_of(
            error, images, self.module, says_channels_last=says_last, says_layout=says_layout
        )


def as_written(model: Model) -> Model:
    """A model without what `torch.compile` has wrapped around it, which would be compiled for every size."""
    name = "_orig_mod" if type(model).__name__ == "OptimizedModule" else "_torchdynamo_orig_callable"
    inner = getattr(model, name, None)
    return inner if callable(inner) and not isinstance(model, torch.jit.ScriptModule) else model


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


def _name(model: object) -> str:
    thing = model if hasattr(model, "__qualname__") else type(model)
    return f"{thing.__module__}.{thing.__qualname__}"


def _binary(tensor: Tensor, path: AnswerPath, dims: int) -> Tensor:
    """A mask of 0 and 1 as numbers.

    Raises:
        ValueError: It holds labels, with the function that makes classes of them.
    """
    if tensor.dtype != torch.bool and not ((tensor == 0) | (tensor == 1)).all():
        highest = int(tensor.max())
        where = "" if any(step.kind in ("function", "each", "queries") for step in path.steps) else str(path)
        squeezed = "[:, 0]" if tensor.ndim == dims + 2 and tensor.shape[1] == 1 else ""
        raise ValueError(
            f"the model returned whole numbers from {tensor.min().item()} to {highest}: labels, not "
            "probabilities. Have it return probabilities, or pass output=lambda answer: "
            f"torch.nn.functional.one_hot(torch.as_tensor(answer{where}){squeezed}.long(), {highest + 1})"
            f".movedim(-1, 1) with {highest + 1} classes"
        )
    return tensor.float()
