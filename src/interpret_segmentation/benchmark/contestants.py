"""Who takes part: functions from (model, image, target) to a map, or to several maps that cost one run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from interpret_segmentation._importing import current_folder, import_name
from interpret_segmentation._types import BoolArray
from interpret_segmentation.benchmark.entering import as_function
from interpret_segmentation.benchmark.outsiders import captum
from interpret_segmentation.evaluate.baselines import BASELINES
from interpret_segmentation.explaining import explain
from interpret_segmentation.methods import all_methods, settings_of
from interpret_segmentation.methods.contestant import Contestant, Function, Map, seed_of
from interpret_segmentation.methods.contests import circles, contestants_of, rise

__all__ = ["baselines", "circles", "defaults", "documented", "everybody", "improved", "named", "rise"]

OLD_WORDS = {"opponents": "baselines"}
"""Words that the command line also accepts."""


def baselines() -> tuple[Contestant, ...]:
    """Maps that look at no network, or only at its segment.

    A method that does not beat them explains nothing about the network.
    """
    return tuple(Contestant((name,), partial(_know_nothing, name)) for name in BASELINES)


def _know_nothing(name: str, model: nn.Module, image: Tensor, target: BoolArray) -> Map:
    with torch.no_grad():
        probability = model(image[None])[0, 0].cpu().numpy()
    return BASELINES[name](image.numpy(), probability, target, 0)


def defaults(names: Collection[str] | None = None) -> tuple[Contestant, ...]:
    """What `explain` does when it is told nothing but the method.

    Args:
        names: Of the methods. None: every method there is.
    """
    return tuple(
        Contestant((f"{method.title or name} by default",), partial(_by_default, name))
        for name, method in all_methods().items()
        if names is None or name in names
    )


def _by_default(name: str, model: nn.Module, image: Tensor, target: BoolArray) -> Map:  # noqa: ARG001
    seeded = "seed" in settings_of(all_methods()[name])
    settings: dict[str, Any] = {"seed": seed_of(image)} if seeded else {}
    return explain(model, image, name, progress=False, **settings)


def documented(*, masks: int = 3000, offset: int = 5) -> tuple[Contestant, ...]:
    """The methods as they are documented, and with other sizes, scores, fills and estimators."""
    return contestants_of("documented", masks=masks, offset=offset)


def improved(*, masks: int = 1000) -> tuple[Contestant, ...]:
    """The methods with settings that were found later."""
    return contestants_of("improved", masks=masks, offset=5)


def everybody(*, masks: int = 1000, offset: int = 5) -> tuple[Contestant, ...]:
    """All of this package: hours on a CPU for every hundred images."""
    return (*defaults(), *documented(masks=masks, offset=offset), *improved(masks=masks), *baselines())


def named(names: Iterable[str], *, masks: int, offset: int) -> tuple[Contestant, ...]:
    """Contestants by what the command line calls them.

    Args:
        names: ``"defaults"``, ``"documented"``, ``"improved"``, ``"baselines"``, ``"captum"``, or
            a method, or ``"package.module:name"`` of a function or method. None: `everybody`.
        masks: Of RISE.
        offset: Pixels from one circle to the next.

    Raises:
        ValueError: There is nobody of that name.
        ImportError: A package is missing.
    """
    groups: dict[str, Callable[[], tuple[Contestant, ...]]] = {
        "defaults": defaults,
        "documented": lambda: documented(masks=masks, offset=offset),
        "improved": lambda: improved(masks=masks),
        "baselines": baselines,
        "captum": lambda: captum(offset=offset),
    }
    found: list[Contestant] = []
    for name in (OLD_WORDS.get(name, name) for name in names):
        if name in groups:
            found += groups[name]()
        elif ":" in name:
            found.append(Contestant((name,), as_function(_function(name))))
        elif name in all_methods():
            found += defaults((name,))
        else:
            raise ValueError(
                f"there is no contestant {name!r}; use {', '.join(groups)}, the name of a method, or "
                "package.module:function"
            )
    return tuple(found) or everybody(masks=masks, offset=offset)


def _function(name: str) -> Function:
    module, _, attribute = name.partition(":")
    try:
        with current_folder():
            function: Function = import_name(module, attribute)
    except AttributeError as error:
        raise ValueError(str(error)) from None
    if not callable(function):
        raise ValueError(f"{name} is no function, but {function!r}")  # noqa: TRY004  a name that does not fit
    return function
