"""Runs ONNX files through onnxruntime."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import Tensor

from interpret_segmentation.models.files.external_data import check_external_data
from interpret_segmentation.models.files.refusals import Shape, only_input

_DTYPES = {
    "tensor(float16)": torch.float16,
    "tensor(float)": torch.float32,
    "tensor(double)": torch.float64,
    **{f"tensor({name})": getattr(torch, name) for name in ("uint8", "int8", "int16", "int32", "int64")},
}


class OnnxModel:
    """A network from an ONNX file, run by onnxruntime.

    Args:
        path: The ONNX file; its external data lies in the same folder.

    Attributes:
        input_shape: ``[B, C, *space]`` that the file declares; None where any size will do.
        output_names: In the order of the graph.

    Raises:
        ImportError: onnxruntime is not installed.
        ValueError: Not an ONNX file, one that names files outside of its folder, or it does not take exactly
            one tensor of numbers.
    """

    input_shape: Shape
    output_names: tuple[str, ...]

    def __init__(self, path: str | Path) -> None:
        try:
            onnxruntime = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise ImportError(
                f'ONNX files need onnxruntime ({error}); pip install "interpret-segmentation[onnx]"'
            ) from error
        check_external_data(Path(path))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = torch.get_num_threads()
        # Between two batches its threads would spin, on the cores that score the last one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry(
            "session.load_model_format", "ONNX"
        )  # whatever the file's ending says
        available = onnxruntime.get_available_providers()
        wanted = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=wanted)
        except Exception as error:
            raise ValueError(f"{path} cannot be opened as ONNX: {str(error).splitlines()[0]}") from error
        inputs = {node.name: node for node in self._session.get_inputs()}
        self._name = only_input(list(inputs))
        declared = inputs[self._name]
        if declared.type not in _DTYPES:
            raise ValueError(
                f"the model's input {self._name} must be a tensor of numbers, got {declared.type}"
            )
        self._dtype = _DTYPES[declared.type]
        self.input_shape = tuple(
            size if isinstance(size, int) and size > 0 else None for size in declared.shape
        )
        self.output_names = tuple(node.name for node in self._session.get_outputs())

    def __call__(self, batch: Tensor) -> Tensor | dict[str, Tensor]:
        """What the network says about ``[B, C, *space]``: a tensor, or one for each name of several outputs.

        Values are cast to the type that the file declares; for whole numbers rounded and clipped to its
        range. A file with a fixed batch size is asked several times; blank images fill its last batch.

        Raises:
            ValueError: The images have another number of axes, channels or pixels than the file wants.
        """
        self._check(tuple(batch.shape))
        images = batch.detach()
        if not self._dtype.is_floating_point:
            limits = torch.iinfo(self._dtype)
            images = images.round().clamp(limits.min, limits.max)
        images = images.to("cpu", self._dtype)
        size = self.input_shape[0] if self.input_shape else None
        outputs = self._ask(images) if size in (None, len(images)) else self._ask_in_pieces(images, size or 1)
        outputs = [output.to(batch.device) for output in outputs]
        return outputs[0] if len(outputs) == 1 else dict(zip(self.output_names, outputs, strict=True))

    def _check(self, given: tuple[int, ...]) -> None:
        wanted = self.input_shape
        if not wanted:  # the file does not say
            return
        if len(given) != len(wanted):
            raise ValueError(f"the model wants a batch of {_sizes(wanted)}, got {_sizes(given)}")
        if wanted[1] not in (None, given[1]):
            raise ValueError(
                f"the model wants {wanted[1]} channels, got {given[1]}: its input is {_sizes(wanted)}, "
                f"the batch {_sizes(given)}; a `preprocess` step can add or drop channels"
            )
        if any(size not in (None, came) for size, came in zip(wanted[2:], given[2:], strict=True)):
            raise ValueError(
                f"the model was exported for images of {_sizes(wanted[2:])} pixels, got {_sizes(given[2:])}; "
                f"{_resizing(wanted[2:])}export it with dynamic axes"
            )

    def _ask(self, images: Tensor) -> list[Tensor]:
        outputs = self._session.run(None, {self._name: images.numpy()})
        return [torch.from_numpy(output) for output in outputs]

    def _ask_in_pieces(self, images: Tensor, size: int) -> list[Tensor]:
        blank = images.new_zeros(-len(images) % size or size * (len(images) == 0), *images.shape[1:])
        answers = [self._ask(piece) for piece in torch.split(torch.cat([images, blank]), size)]
        for name, output in zip(self.output_names, answers[0], strict=True):
            if output.shape[:1] != (size,):
                raise ValueError(
                    f"the model was exported for {size} images at a time and its output {name} is "
                    f"{_sizes(tuple(output.shape))}, without an axis for them; export it with a dynamic batch"
                )
        return [torch.cat(pieces)[: len(images)] for pieces in zip(*answers, strict=True)]


def _resizing(sides: Shape) -> str:
    """The cure for images of another size, where the model says all its sides."""
    if None in sides:
        return ""
    size = f"({', '.join(map(str, sides))})"
    return f"pass preprocess=Preprocess(size={size}), with fit='letterbox' to keep their shape, or "


def _sizes(shape: Shape) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape) or "a single number"
