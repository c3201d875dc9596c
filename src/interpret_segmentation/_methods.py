"""The names of all methods, ours and those of other packages, without importing one."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

GROUP = "interpret_segmentation.methods"
"""Entry points of this group are classes of methods, by the names that their ``kind`` says."""

DEFAULT = "hdm"
"""The method where none is named."""


def entry_point(name: str) -> EntryPoint | None:
    """Where the method of this name is, as far as an installed package says so."""
    return next(iter(entry_points(group=GROUP, name=name)), None)


def method_names() -> tuple[str, ...]:
    """All that installed packages have, by name."""
    return tuple(sorted(entry_points(group=GROUP).names))
