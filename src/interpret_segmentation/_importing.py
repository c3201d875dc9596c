"""Finds what the user's own modules hold, by name; modules in the current folder are found, too."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def current_folder() -> Iterator[None]:
    """As long as it lasts, modules in the current folder can be imported."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        importlib.invalidate_caches()
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)


def import_name(module_name: str, name: str) -> Any:
    """What a module calls by a name, which may have dots.

    Raises:
        ImportError: There is no such module, or an import inside it failed.
        AttributeError: It has nothing of that name.
    """
    found = _module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            close = difflib.get_close_matches(part, dir(found))
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
            raise AttributeError(f"{module_name!r} has no {name!r}{hint}")
        found = getattr(found, part)
    return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise ModuleNotFoundError(
                f"there is no module {name!r}: {error}; install it, or start in its folder"
            ) from None
        raise ImportError(
            f"the module {name!r} was found, but an import inside it failed: {error}"
        ) from error
