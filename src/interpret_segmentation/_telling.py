"""How long work says something to whoever waits for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar

Tell = Callable[[str], None]


def beside_bars(text: str) -> None:
    """Write a line to the standard error output, above the progress bars that are there."""
    from tqdm import tqdm  # which only work that takes its time has loaded

    tqdm.write(text, file=sys.stderr)
    sys.stderr.flush()


TELL: ContextVar[Tell] = ContextVar("TELL", default=beside_bars)
"""Who passes on what is told; the command line says it in its own words."""


def tell(text: str) -> None:
    """Say a line to whoever waits."""
    TELL.get()(text)
