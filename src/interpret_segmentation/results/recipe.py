"""All that makes a result again, but for the image and the network themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from interpret_segmentation._settings import Setting, Unrecorded, as_data, same
from interpret_segmentation._types import AnyArray
from interpret_segmentation.data.inputs import as_copy, as_positive
from interpret_segmentation.models.options import ModelOptions
from interpret_segmentation.results.maker import Maker
from interpret_segmentation.targets.ground_truth import as_ignore
from interpret_segmentation.targets.targets import Target


@dataclass(frozen=True, eq=False, repr=False)
class Recipe(Setting):
    """What was asked of a network about an image, and how.

    Args:
        method: With its settings, sizes and seeds filled in.
        target: What is explained, its class filled in.
        reference: The ground truth as the user gave it, ``[*space]``; None: there is none.
        model: How the network was asked, what was found out filled in.
        batch_size: Images asked at once.
        ignore: Labels of the ground truth for pixels that do not count, in place of 255; None: 255.
    """

    kind: ClassVar[str] = "recipe"

    method: Maker
    target: Target | None = None
    reference: AnyArray | None = None
    model: ModelOptions = ModelOptions()  # noqa: RUF009  frozen
    batch_size: int | None = None
    ignore: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name, kinds in (("method", Maker), ("target", Target | None), ("model", ModelOptions)):
            if not isinstance(getattr(self, name), kinds):
                raise TypeError(f"{name} of a recipe cannot be {getattr(self, name)!r}")
        if self.reference is not None:
            object.__setattr__(self, "reference", as_copy(self.reference, "reference"))
        if self.batch_size is not None:
            object.__setattr__(self, "batch_size", as_positive(self.batch_size, "batch_size"))
        object.__setattr__(self, "ignore", as_ignore(self.ignore))

    @property
    def settings(self) -> dict[str, Any]:
        """The same as arguments of `explain`."""
        asked: dict[str, Any] = {"target": self.target, "reference": self.reference}
        if self.ignore is not None:
            asked["ignore"] = self.ignore
        return {**self.method.arguments(), **asked, **self.model.stated(), "batch_size": self.batch_size}

    def lost(self) -> Iterator[str]:
        """The arguments of `explain` in which there were functions that a file could not hold."""
        for name, value in self.settings.items():
            if any(isinstance(part, Unrecorded) for part in _parts(value)):
                yield name

    def difference(self, other: Recipe, *, but: Collection[str] = ()) -> tuple[str, Any, Any] | None:
        """What another recipe asks differently, of all that decides about the map.

        Args:
            other: The other one.
            but: Arguments of `explain` that may differ. The batch size, and what makes the same numbers in
                another way, always may.

        Returns:
            The name of the first argument that differs, its value here and there; None when both make the
            same map.
        """
        here, there = (recipe._deciding() for recipe in (self, other))
        for name in [*here, *(name for name in there if name not in here)]:
            one, two = here.get(name), there.get(name)
            if name not in but and not same(as_data(one), as_data(two)):
                return name, one, two
        return None

    def _deciding(self) -> dict[str, Any]:
        asked = {name: self.settings[name] for name in ("target", "reference") if name in self.settings}
        return {name: value for name, value in (asked | self.settings).items() if name not in BESIDE}


BESIDE = ("batch_size", "channels_last", "device", "dims", "incremental", "numpy")
"""Arguments that change nothing in a map once the image is the same."""


def _parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, Setting):
        for part in fields(value):
            yield from _parts(getattr(value, part.name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)


def shown(value: Any) -> str:
    """A setting in a few words, for errors and names."""
    return "an array" if isinstance(value, np.ndarray) else repr(value)
