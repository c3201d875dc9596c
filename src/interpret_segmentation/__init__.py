"""Interpretability of image segmentation models.

What in the image made the network draw this segment, and what made it go wrong?
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "2.0.0.dev0"

__path__.append(str(Path(__file__).with_name("former")))  # import paths that have moved


def _homes() -> dict[str, str]:
    """The module that each public name is imported from, as the stub beside this file says."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


_HOMES = _homes()
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  names, from the stub


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that the command line need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    return import_module(f"{__name__}.{name}") if home == __name__ else getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
