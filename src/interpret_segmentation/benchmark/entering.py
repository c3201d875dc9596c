"""Contestant: any function from (model, image, target) to a map, with the names of its maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from torch import Tensor, nn

from interpret_segmentation._types import BoolArray
from interpret_segmentation.methods import Method
from interpret_segmentation.methods.contestant import Contestant, Function, Map

__all__ = ["Contestant", "Function", "Map", "as_contestants"]


def as_function(given: object) -> Function:
    """What takes part for a function, or for a method with its settings."""
    if isinstance(given, type) and issubclass(given, Method):
        given = given()
    if isinstance(given, Method):
        return partial(_of_method, given)
    function: Function = given  # type: ignore[assignment]
    return function


def _of_method(method: Method, model: nn.Module, image: Tensor, target: BoolArray) -> Map:  # noqa: ARG001
    return method.explain(model, image, progress=False)


def as_contestants(given: object) -> tuple[Contestant, ...]:
    """Contestants as they are, or made from functions ``{name: function}``.

    Raises:
        TypeError: Something else.
        ValueError: Nobody, or two maps of one name.
    """
    if isinstance(given, Mapping):
        given = [Contestant((name,), as_function(function)) for name, function in given.items()]
    contestants = tuple(given) if isinstance(given, Iterable) else None
    if contestants is None or not all(_takes_part(one) for one in contestants):
        raise TypeError(
            "contestants must be functions by name, such as {'mine': function}, or Contestant objects, such "
            f"as those of baselines(), got {given!r}"
        )
    names = [name for contestant in contestants for name in contestant.names]
    if not names:
        raise ValueError("there is nobody to judge: contestants is empty")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two maps are called {twice[0]!r}; give each a name of its own")
    return contestants


def _takes_part(one: object) -> bool:
    return isinstance(one, Contestant) and callable(one.explain)
