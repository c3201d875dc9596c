"""Opens a segmentation model by the name of a file or function; no code that a file brings is run unasked."""

from __future__ import annotations

import inspect
import os
import re
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from interpret_segmentation._files import check_ordinary
from interpret_segmentation._importing import current_folder, import_name
from interpret_segmentation.models.files.exported import open_exported
from interpret_segmentation.models.files.foreign import foreign
from interpret_segmentation.models.files.onnx_model import OnnxModel
from interpret_segmentation.models.files.refusals import WAY_OUT, check_texts, damaged

_ENDINGS = {".ckpt", ".onnx", ".pickle", ".pkl", ".pt", ".pt2", ".pth", ".safetensors", ".torchscript", ".ts"}


def load_model(source: str | Path) -> Callable[..., Any]:
    """The model that a file holds, or that a function of the user's builds.

    Only ``"package.module:function"`` runs Python code: the function's, and its module's. A file is
    recognised by its content and read as data; what has to be unpickled is refused.

    Args:
        source: A TorchScript, torch.export or ONNX file; or ``"package.module:function"``, a function without
            arguments that returns the model (a module that exists already is taken as it is). The current
            folder is searched for the package too. A file of that very name goes first.

    Returns:
        A TorchScript module on the CPU, an `ExportedModel`, an `OnnxModel`, or what the function returned.

    Raises:
        FileNotFoundError: There is no such file.
        IsADirectoryError: A folder.
        ValueError: Not a model file, a damaged one, or one that would run code when opened.
        ImportError: The function's module cannot be imported, or onnxruntime is missing.
        AttributeError: The module has no such function.
        TypeError: The function needs arguments, or what it returns is no model.

    Example:
        >>> import torch
        >>> network = load_model("interpret_segmentation.testnet:pretrained")
        >>> network(torch.zeros(1, 1, 64, 96)).shape
        torch.Size([1, 1, 64, 96])
    """
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"the model must be a file's path or 'package.module:function', got {source!r}")
    path = Path(source).expanduser()
    if path.is_dir():
        if (framework := foreign(path)) is not None:
            raise framework.error(path)
        raise IsADirectoryError(f"the model must be a file, but {path} is a folder; name the file in it")
    if path.exists():
        check_ordinary(path)
        return _from_file(path)
    if isinstance(source, str):
        module, _, name = source.partition(":")
        if all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
            return _from_function(module, name)
        if path.suffix.lower() not in _ENDINGS and path.name == source:
            raise ValueError(
                f"the model must be an existing file or 'package.module:function', got {source!r}: "
                f"there is no such file in {Path.cwd()}, and a function's name looks like 'my_networks:build'"
            )
    raise FileNotFoundError(f"there is no model file {path}; relative paths start at {Path.cwd()}")


def _from_function(module_name: str, name: str) -> Callable[..., Any]:
    with current_folder():
        found = import_name(module_name, name)
        model = found if isinstance(found, nn.Module) else _built(found, f"{module_name}:{name}")
    if not callable(model) or isinstance(model, type):
        raise TypeError(f"{module_name}:{name} must return a model that can be called, got {model!r}")
    answer: Callable[..., Any] = model
    return answer


def _built(function: Any, name: str) -> Any:
    if not callable(function):
        raise TypeError(f"{name} must be a function that returns the model, got {function!r}")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise TypeError(
            f"{name} must be callable without arguments, but: {error}; write a function that fills them in"
        ) from None
    except ValueError:  # a built-in that does not tell its signature
        pass
    return function()


def _from_file(path: Path) -> Callable[..., Any]:
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise ValueError(f"{path} is empty; save or copy the model again")
    if (framework := foreign(path, head)) is not None:
        raise framework.error(path)
    if head.startswith(b"PK"):
        return _from_zip(path)
    if head.startswith(b"\x80"):
        raise _pickled(path)
    if head[6:9] == b"\0\0{":  # safetensors: the header's length, then its JSON
        raise ValueError(f"{path} holds weights only, without the network they belong to; {WAY_OUT}")
    if head.startswith(b"\x08") or path.suffix.lower() == ".onnx":
        return OnnxModel(path)
    raise ValueError(f"{path} is no model file: it begins with {head[:8]!r}; {WAY_OUT}")


def _from_zip(path: Path) -> Callable[..., Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        raise ValueError(f"{path} is cut short or damaged; save or copy the model again") from None
    endings = {name.partition("/")[2] for name in names}
    if "constants.pkl" in endings and any(ending.startswith("code/") for ending in endings):
        return _torchscript(path)
    if "archive_format" in endings or "serialized_exported_program.json" in names:
        return open_exported(path)
    if "data.pkl" in endings:
        raise _pickled(path)
    raise ValueError(f"{path} is a zip archive without a model; {WAY_OUT}")


def _pickled(path: Path) -> ValueError:
    kind = "is pickled, and unpickling runs whatever code it holds"
    with suppress(Exception):
        torch.load(path, map_location="meta", weights_only=True)
        kind = "holds weights only, without the network they belong to"
    return ValueError(f"{path} {kind}; {WAY_OUT}")


_TOUCHES_FILES = re.compile(r"\b(?:save|from_file)\b")
_ASKS_BY_NAME = re.compile(r"getattr\s*\(")


def _writes_files(source: str) -> bool:
    """Whether TorchScript reads or writes files, or asks for a name that is spelled with backslashes."""
    if _TOUCHES_FILES.search(source):
        return True
    for part in source.split(")"):  # so that every letter is looked at a few times only
        asks = _ASKS_BY_NAME.search(part)
        if asks and part.rfind("\\") >= asks.end():
            return True
    return False


def _torchscript(path: Path) -> Callable[..., Any]:
    check_texts(path, ".py")
    try:
        reader = torch._C.PyTorchFileReader(str(path))
        sources = [reader.get_record(name) for name in reader.get_all_records() if name.endswith(".py")]
        if not any(_writes_files(source.decode()) for source in sources):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call, no-any-return]
    except Exception as error:
        raise damaged(path, "TorchScript", error) from error
    raise ValueError(f"{path} is refused: its code reads or writes files (torch.save or torch.from_file)")
