"""Opens torch.export files, once it is seen that nothing in them could run."""

from __future__ import annotations

import inspect
import json
import logging
import operator
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from interpret_segmentation.models.files.refusals import WAY_OUT, Shape, check_texts, damaged, only_input


class ExportedModel(nn.Module):
    """A network from a torch.export file; the export fixed its mode, `train` and `eval` change nothing.

    Args:
        program: The exported program.

    Attributes:
        input_shape: ``[B, C, *space]`` that it was exported for; None where any size will do.

    Raises:
        ValueError: It does not take exactly one tensor.
    """

    input_shape: Shape

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        names = program.graph_signature.user_inputs
        inputs = {name: value for name, value in _inputs(program.graph).items() if name in names}
        self.input_shape = _known(inputs[only_input(list(inputs))])
        # the guards are Python source that the file brings along; sizes are checked without them too
        self.program = program.module(check_guards=False)

    def forward(self, batch: Tensor) -> Any:
        """What the network says about ``[B, C, *space]``."""
        return self.program(batch)

    def train(self, mode: bool = True) -> ExportedModel:
        """Notes the flag only; an exported program refuses to change its mode."""
        self.training = mode
        return self


def exported_shape(graph: torch.fx.GraphModule) -> Shape | None:
    """The shape that an exported program in memory takes, as ``input_shape``; None where it does not say."""
    inputs = list(_inputs(graph.graph).values())
    return _known(inputs[0]) if len(inputs) == 1 else None


def _inputs(graph: torch.fx.Graph) -> dict[str, Tensor]:
    """The tensors that stand for a program's inputs, by name."""
    values = {node.name: node.meta.get("val") for node in graph.nodes if node.op == "placeholder"}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def _known(example: Tensor) -> Shape:
    sizes: list[object] = list(example.shape)  # a size that is left open is a symbol
    return tuple(size if isinstance(size, int) else None for size in sizes)


def open_exported(path: Path) -> ExportedModel:
    """The network in a torch.export file; a ValueError when the file is damaged or could run code."""
    if "check_guards" not in inspect.signature(torch.export.ExportedProgram.module).parameters:
        raise ValueError(f"{path}: torch.export files need a newer PyTorch than {torch.__version__}")
    check_texts(path, ".json")
    try:
        suspect = _suspect(path)
        if suspect is None:
            with _weights_only(), path.open("rb") as file:
                program = torch.export.load(file)
    except pickle.UnpicklingError:
        suspect = "pickled objects"
    except Exception as error:
        raise damaged(path, "a torch.export file", error) from error
    if suspect is not None:
        raise ValueError(
            f"{path} is refused: it holds {suspect}, which could run code when opened; {WAY_OUT}"
        )
    return ExportedModel(program)


@contextmanager
def _weights_only() -> Iterator[None]:
    force, release = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = {name: os.environ.pop(name, None) for name in (force, release)}
    silenced, gradients = logging.root.manager.disable, torch.is_grad_enabled()
    os.environ[force] = "1"
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(silenced)
        torch.set_grad_enabled(gradients)  # a program that fails half-way leaves them off
        os.environ.pop(force)
        os.environ.update({name: value for name, value in before.items() if value is not None})


# torch.export.load unpickles objects and loads libraries, evaluates sizes with sympy, looks functions up by
# their dotted names, imports modules that the input's structure names, and pastes names into Python source.
_RECORD = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/\w+|extra/.*|models/model\.json"
    r"|data/sample_inputs/model\.pt|data/(?:weights|constants)/model(?:\.pt|_(?:weights|constants)_config\.json)"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+"
)
_NAME = re.compile(r"[\w.:+-]*", re.ASCII)
_SIZE_TOKEN = re.compile(
    r"'[a-z]+\d+'|[A-Z]\w*|floor\b|ceiling\b|[a-z]+(?:\d+\b|=(?!=))|[\d\s.,()<>=!&|~*/%+-]", re.ASCII
)
_IMPORTS = re.compile(r'__enum__|default_factory|\\(?!")')
_OPERATOR = re.compile(
    r"_operator\.(?:[lgn][et]|eq|neg|pos|mul|add|sub|floordiv|truediv|mod|pow|and_|or_)"
    r"|math\.(?:trunc|ceil|floor)|torch\.sym_[a-z]+"
    r"|torch\.ops\.higher_order\.(?:wrap_with_set_grad_enabled|wrap_with_autocast|cond)",
    re.ASCII,
)
# never run: texts are quoted, notes stay notes, and `module` is asked for without its guards
_FREE_TEXT = {
    *("as_string", "as_strings", "guards_code"),
    *("custom", "from_node", "nn_module_stack", "source_fn_stack", "stack_trace", "torch_fn"),
}


def _suspect(path: Path) -> str | None:
    documents: list[bytes] = []
    with suppress(RuntimeError):  # the layout before PyTorch 2.8 is a zip file that this reader does not open
        reader = torch._C.PyTorchFileReader(str(path))
        for record in reader.get_all_records():
            if not _RECORD.fullmatch(record):
                return f"the entry {record!r}"
            if record.endswith(".json") and not record.startswith("extra/"):
                documents.append(reader.get_record(record))
    with zipfile.ZipFile(path) as archive:
        documents += [archive.read(name) for name in archive.namelist() if re.fullmatch(r"[^/]*\.json", name)]
    texts = (pair for document in documents for pair in _texts(json.loads(document)))
    return next((f"{text[:80]!r} as {key}" for key, text in texts if not _is_harmless(key, text)), None)


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield "a key", name
            yield from _texts(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str):
        yield key, value


def _is_harmless(key: str, text: str) -> bool:
    if key in _FREE_TEXT:
        return True
    if key == "expr_str":
        return not _SIZE_TOKEN.sub("", text)
    if key in ("in_spec", "out_spec"):
        return not _IMPORTS.search(text)
    if key in ("target", "as_operator"):
        return _OPERATOR.fullmatch(text) is not None or _is_tensor_operator(text)
    return _NAME.fullmatch(text) is not None


def _is_tensor_operator(name: str) -> bool:
    if not re.fullmatch(r"torch\.ops\.(?:aten|prims)\.(?!save\b|from_file\b)\w+\.\w+", name, re.ASCII):
        return False
    try:
        return isinstance(operator.attrgetter(name.removeprefix("torch."))(torch), torch._ops.OpOverload)
    except AttributeError:
        return False
