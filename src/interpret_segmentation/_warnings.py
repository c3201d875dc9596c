"""Warnings that point at the user's line, however deep in the package they are said."""

from __future__ import annotations

import sys
import warnings

PACKAGE = __name__.partition(".")[0]


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, at the line that called into this package."""
    frame, level, above = sys._getframe(), 1, 2
    while frame.f_back is not None:
        frame, level = frame.f_back, level + 1
        if frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
            above = level + 1
    warnings.warn(message, category, stacklevel=above)
