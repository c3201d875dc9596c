"""Borrows any model: asks it in evaluation mode, and gives it back as it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import channels_last as with_channels_last
from interpret_segmentation.data.inputs import named
from interpret_segmentation.models.files import ExportedModel, OnnxModel, load_model
from interpret_segmentation.models.reading import (
    ACTIVATIONS,
    QUERIES,
    NoProbabilitiesError,
    Output,
    as_maps,
    check_not_labels,
    check_numbers,
    detected_activation,
    excludes,
    picked,
    probabilities,
    resized,
    segments,
)
from interpret_segmentation.targets.objective import THRESHOLD

Model: TypeAlias = Callable[..., Any] | str | Path
"""Images ``[B, C, *space]`` in, a segmentation out; or the file or ``package.module:function`` of one."""


class SegmentationModel:
    """Any model, asked for probabilities ``[B, K, *space]``.

    What can be seen from the model and its first answer is detected and written down in ``decisions``; what
    cannot has to be said.

    Args:
        model: A `torch.nn.Module`; a function of a batch ``[B, C, *space]``, of tensors or of NumPy arrays;
            the path of a TorchScript, torch.export or ONNX file; or ``"package.module:function"``, a function
            without arguments that returns the model.
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
    ) -> None:
        self.source = str(model) if isinstance(model, str | Path) else _name(model)
        if isinstance(model, str | Path):
            model = load_model(model)
            if device is not None and isinstance(model, nn.Module):
                model = model.to(usable_device(device))
        self.module = model
        self.device = device_of(model, device)
        self.dtype = dtype_of(model)
        if activation is not None and activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        if preprocess is not None and not callable(preprocess):
            raise TypeError(f"preprocess must be a function of a batch of images, got {preprocess!r}")
        if dims not in (None, 2, 3):
            raise ValueError(f"dims must be 2 or 3, got {dims!r}")
        for name, choice in (("incremental", incremental), ("channels_last", channels_last)):
            if choice is not None and not isinstance(choice, bool):
                raise ValueError(f"{name} must be True, False or None, got {choice!r}")
        self.incremental = incremental
        self.output, self.preprocess, self.autocast = output, preprocess, _floating(autocast)
        self.dims, self.dims_are_stated = dims or _dims_of(model), dims is not None
        self.fixed_batch = (_input_shape(model) or (None,))[0]
        self._stated = activation, numpy, channels_last
        self.begin()

    def begin(self) -> None:
        """Forget what was detected, before another image."""
        self.activation, self.numpy, self.channels_last = self._stated
        self.exclusive = False
        self.classes: int | None = None
        self.decisions: dict[str, Any] = {}

    @property
    def options(self) -> dict[str, Any]:
        """What it was built with, with what was detected filled in: arguments of `explain`."""
        said = {
            "output": self.output,
            "activation": self.activation,
            "preprocess": self.preprocess,
            "numpy": self.numpy,
            "autocast": None if self.autocast is None else str(self.autocast).removeprefix("torch."),
            "incremental": self.incremental,
            "channels_last": self.channels_last,
        }
        return {name: value for name, value in said.items() if value is not None}

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
        size, space = len(batch), tuple(batch.shape[2:])
        tensor, place, seen = self._answer(batch)
        if not tensor.is_floating_point():
            tensor = _binary(tensor)
        maps = as_maps(tensor, size, seen)
        first = self.classes is None
        if first:
            self._decide(maps, place, space)
        elif maps.shape[1] != self.classes:
            raise ValueError(f"the model returned {self.classes} classes before, and {maps.shape[1]} now")
        try:
            ready = probabilities(resized(maps, space), self.activation or "none")
        except NoProbabilitiesError as error:
            if first or "stated" in self.decisions["activation_because"]:
                raise ValueError(str(error)) from None
            raise
        if first:
            self.exclusive = place == QUERIES or excludes(ready, self.activation or "none")
            self.decisions["exclusive"] = self.exclusive
            self._warn_of_overlap()
        return ready.to(self.device)

    def maps(self, batch: Tensor) -> Tensor:
        """The maps that probabilities are made of, ``[B, K, *space]``; their values are not looked at."""
        space = tuple(batch.shape[2:])
        images = batch if self.preprocess is None else self.preprocess(batch)
        tensor, _ = picked(self._call(images.to(self.device, self.dtype)), self.output)
        return resized(as_maps(tensor, len(batch), tuple(images.shape[2:])), space)

    def activated(self, maps: Tensor) -> Tensor:
        """Probabilities of maps, or of windows of them, ``[B, K, *any]``, as decided on the first answer."""
        return probabilities(maps, self.activation or "none")

    def segments(self, maps: Tensor, label: int) -> Tensor:
        """Which pixels belong to a class, bool ``[B, *space]`` for probabilities ``[B, K, *space]``."""
        return segments(maps, label, THRESHOLD, exclusive=self.exclusive)

    def take_for_logits(self) -> None:
        """Take back that the outputs are probabilities, once a masked image has shown otherwise."""
        classes = self.classes or 1
        self.activation = "sigmoid" if classes == 1 else "softmax"
        self.decisions["activation"] = self.activation
        self.decisions["activation_because"] = "a masked image gave values outside 0 to 1: logits"
        self.exclusive = self.decisions["exclusive"] = classes > 1
        self._warn_of_softmax()

    def _warn_of_softmax(self) -> None:
        """Say that several logits are taken to exclude each other, which cannot be seen from them."""
        if self.activation == "softmax" and (self.classes or 0) > 2:
            warn(
                f"the model returned logits for {self.classes} classes, which are taken to exclude each "
                "other: ask SegmentationModel(model, activation='softmax') to confirm that, or 'sigmoid' if "
                "they may overlap",
            )

    def _warn_of_overlap(self) -> None:
        """Say that several classes are taken for probabilities that need not add up to 1."""
        seen = self.decisions["activation_because"] != "stated" and self.activation == "none"
        if seen and not self.exclusive and (self.classes or 0) > 1:
            warn(
                f"the model returned values from 0 to 1 for {self.classes} classes that do not add up to 1, "
                "which are taken for probabilities of classes that may overlap: ask SegmentationModel(model, "
                "activation='none') to confirm that, or 'softmax' or 'sigmoid' if they are logits",
            )

    def _decide(self, maps: Tensor, place: str, space: tuple[int, ...]) -> None:
        """Settle, on the first answer, what the numbers mean, and write it down."""
        check_numbers(maps)
        self.classes = maps.shape[1]
        because = "stated"
        if self.activation is None:
            check_not_labels(maps)
            self.activation, because = detected_activation(maps)
            self._warn_of_softmax()
        self.decisions |= {
            "model": self.source,
            "output": f"{place} {' x '.join(map(str, maps.shape))}".strip(),
            "classes": self.classes,
            "activation": self.activation,
            "activation_because": because,
            "resized": tuple(maps.shape[2:]) != space,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    def _answer(self, batch: Tensor) -> tuple[Tensor, str, tuple[int, ...]]:
        """The model's segmentation, where in its answer it was, and the size of the images that it saw."""
        images: object = batch if self.preprocess is None else self.preprocess(batch)
        if not isinstance(images, Tensor) or images.ndim < 3 or len(images) != len(batch):
            got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise TypeError(f"preprocess must return a batch of {len(batch)} images as a tensor, got {got}")
        before, images = images, images.to(self.device, self.dtype)
        if self.preprocess is not None and not torch.isfinite(before).all():
            raise ValueError(
                "preprocess made NaN or infinite values of the image; see that a flat image, such as one "
                "that is hidden entirely, does not divide by zero in it"
            )
        if not torch.isfinite(images).all():
            raise ValueError(
                f"image has values up to {batch.abs().max().item():g}, too large for the {self.dtype} of "
                "the model; scale them to what it was trained on"
            )
        seen = tuple(images.shape[2:])
        mixed = torch.autocast(self.device.type, self.autocast) if self.autocast else nullcontext()
        try:
            with mixed:
                answers = [self._call(part) for part in self._parts(images)]
        except Exception as error:
            if is_out_of_memory(error) or (self.classes is not None and len(images) == 1):
                raise
            raise RuntimeError(self._failure(images, error)) from error
        found = [picked(answer, self.output) for answer in answers]
        tensors = [tensor for tensor, _ in found]
        return torch.cat(tensors)[: len(batch)] if self.fixed_batch else tensors[0], found[0][1], seen

    def _parts(self, images: Tensor) -> Sequence[Tensor]:
        """The images as the model can take them: when its batch has a fixed size, filled up with copies."""
        size = self.fixed_batch
        if not size or len(images) == size:
            return (images,)
        missing = -len(images) % size
        return torch.split(torch.cat([images, images[-1:].expand(missing, *images.shape[1:])]), size)

    def _call(self, images: Tensor) -> Any:
        assert callable(self.module)
        if self.numpy:
            return self.module(images.cpu().numpy())
        if self.channels_last and type(images) is Tensor and images.ndim in (4, 5):
            images = with_channels_last(images)
        if self.numpy is False or isinstance(self.module, nn.Module):
            return self.module(images)
        try:
            answer = self.module(images)
        except (TypeError, AttributeError) as error:
            if self.classes is not None:
                raise
            try:
                answer = self.module(images.cpu().numpy())
            except Exception:  # noqa: BLE001  the first error tells what is wrong
                raise error from None
            self.numpy = True
        return answer

    def _failure(self, images: Tensor, error: Exception) -> str:
        """The model's own error, with what is likely to cure it."""
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        message = (
            f"the model failed on images of shape {tuple(images.shape)}: {type(error).__name__}: {reason}"
        )
        if self.classes is not None:
            return f"{message}. It took one image before: pass batch_size=1"
        if self.channels_last and "view size is not compatible" in reason:
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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device or the machine ran out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "can't allocate memory", "failed to allocate")
    )


@contextmanager
def borrowed(model: object) -> Iterator[None]:
    """Inside the block the model is in evaluation mode and records no gradients.

    On the way out, also by an error, every training flag, every buffer and the random state are as they were.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    flags = [module.training for module in modules]
    buffers = copied_buffers(model)
    device = device_of(model)
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
        try:
            if any(flags):
                modules[0].eval()
            yield
        finally:
            for module, flag in zip(modules, flags, strict=True):
                if module.training != flag:
                    module.training = flag
            if restored(buffers):
                warn(
                    "the model changed its buffers while it was asked, so that its answers may depend on "
                    "what it was asked before; they are put back as they were"
                )


def copied_buffers(model: object) -> list[tuple[Tensor, int, Tensor]]:
    """Every buffer of a module with its version and a copy, but for those that cannot be changed.

    Nothing of a lazy module, which takes its shape when it is first asked.
    """
    if not isinstance(model, nn.Module) or any(map(is_lazy, [*model.parameters(), *model.buffers()])):
        return []
    buffers = [buffer for buffer in model.buffers() if not buffer.is_inference()]
    return [(buffer, buffer._version, buffer.clone()) for buffer in buffers]


def restored(buffers: list[tuple[Tensor, int, Tensor]]) -> bool:
    """Put back what was changed; whether anything was."""
    changed = [(buffer, copy) for buffer, version, copy in buffers if buffer._version != version]
    for buffer, copy in changed:
        buffer.copy_(copy)
    return bool(changed)


def mixes_images(model: object) -> bool:
    """Whether a module normalises by all images of a batch, so that an answer depends on those beside it."""
    return isinstance(model, nn.Module) and any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None
        for module in model.modules()
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
    return next((tensor for tensor in _tensors(model) if tensor.is_floating_point()), None)


def _tensors(model: object) -> Iterator[Tensor]:
    if isinstance(model, nn.Module):
        yield from model.parameters()
        yield from model.buffers()


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
    ] or [parameter.ndim for parameter in model.parameters()]
    return 3 if 5 in weights else 2 if 4 in weights else None


def _input_shape(model: object) -> tuple[int | None, ...] | None:
    """The shape ``[B, C, *space]`` that a model from a file wants, as far as it says."""
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


def _floating(autocast: bool | torch.dtype | str | None) -> torch.dtype | None:
    """The type for mixed precision; True is bfloat16, which every device has."""
    if autocast is None or autocast is False:
        return None
    wanted = torch.bfloat16 if autocast is True else autocast
    wanted = getattr(torch, wanted, None) if isinstance(wanted, str) else wanted  # type: ignore[assignment]
    if wanted not in (torch.bfloat16, torch.float16):
        raise ValueError(f"autocast must be True, torch.bfloat16 or torch.float16, got {autocast!r}")
    return wanted


def _binary(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.bool and not ((tensor == 0) | (tensor == 1)).all():
        raise ValueError(
            f"the model returned whole numbers from {tensor.min().item()} to {tensor.max().item()}: labels, "
            "not probabilities. Have it return probabilities, or pass output=lambda labels: "
            "torch.nn.functional.one_hot(labels.long(), K).movedim(-1, 1) with K classes"
        )
    return tensor.float()
