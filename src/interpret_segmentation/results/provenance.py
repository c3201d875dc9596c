"""When, and with what, a result was made."""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from importlib.metadata import version


def versions() -> dict[str, str]:
    """Of everything that a map depends on."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("interpret-segmentation", "torch", "numpy", "scipy")},
    }


def now() -> str:
    """The time, in UTC and ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
