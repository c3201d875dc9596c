"""Finds the networks that a function asks: in its closure, its globals, what it is bound to, its defaults."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

DEEPEST = 6
"""Steps from a function to its network: a method of an object that a closure of a wrapper holds."""

REGISTERED = ("_parameters", "_buffers", "_modules")
"""Where a module keeps what PyTorch knows of."""

MOST = 2000
"""Objects that are looked at."""


def modules_inside(model: object) -> tuple[nn.Module, ...]:
    """The networks that a model is made of: itself, or those that a function or object leads to.

    Only what is there is read: names of the function's code among its globals and closure, what it is bound
    to, arguments of `functools.partial`, defaults, and attributes and items of plain objects. Nothing is
    called.
    """
    if isinstance(model, torch.jit.ScriptModule):
        return (model,)
    found: dict[int, nn.Module] = {}
    seen: set[int] = set()
    layer: list[object] = [model]
    for _ in range(DEEPEST):
        further: list[object] = []
        for thing in layer:
            if id(thing) in seen or len(seen) > MOST:
                continue
            seen.add(id(thing))
            if isinstance(thing, nn.Module):
                found[id(thing)] = thing
                if not isinstance(thing, torch.jit.ScriptModule):
                    further += _kept_aside(thing)
            else:
                further += _behind(thing)
        layer = further
    parts = {id(part) for module in found.values() for part in module.modules() if part is not module}
    return tuple(module for key, module in found.items() if key not in parts)


def _behind(thing: object) -> Iterator[object]:
    """What a function or object leads to."""
    if isinstance(thing, FunctionType):
        for cell in thing.__closure__ or ():
            with suppress(ValueError):  # not filled yet
                yield cell.cell_contents
        yield from _named(thing)
        yield from thing.__defaults__ or ()
        yield from (thing.__kwdefaults__ or {}).values()
        if "__wrapped__" in vars(thing):
            yield vars(thing)["__wrapped__"]
        yield from vars(thing).values()
    elif isinstance(thing, MethodType):
        yield thing.__self__
        yield thing.__func__
    elif isinstance(thing, functools.partial):
        yield thing.func
        yield from thing.args
        yield from thing.keywords.values()
    elif isinstance(thing, Mapping):
        yield from list(thing.values())[:MOST]
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from list(thing)[:MOST]
    elif not isinstance(thing, type | ModuleType | BuiltinFunctionType | str | bytes | int | float):
        yield from _attributes(thing)


def _kept_aside(module: nn.Module) -> Iterator[object]:
    """What modules in a module keep in plain lists, dicts and attributes, where PyTorch does not see it."""
    for part in module.modules():
        for name, value in vars(part).items():
            if name not in REGISTERED and isinstance(value, list | tuple | dict | nn.Module):
                yield value


def _named(function: FunctionType) -> Iterator[object]:
    """The globals that a function names; of a Python module the parts that it names."""
    names = set(_names(function.__code__))
    for name in names & set(function.__globals__):
        value = function.__globals__[name]
        if isinstance(value, ModuleType):
            yield from (
                vars(value)[part] for part in names & set(vars(value)) if _may_hold(vars(value)[part])
            )
        else:
            yield value


def _may_hold(value: object) -> bool:
    """Whether something in another Python module may be a network; functions of libraries are none."""
    return isinstance(value, nn.Module | list | tuple | dict)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _attributes(thing: object) -> Iterator[Any]:
    """The attributes of a plain object, and of a callable one what its ``__call__`` names."""
    yield from vars(thing).values() if hasattr(thing, "__dict__") else ()
    for owner in type(thing).__mro__:
        yield from (value for value in vars(owner).values() if _may_hold(value))
        slots = vars(owner).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(thing, name):
                yield getattr(thing, name)
    for owner in type(thing).__mro__:
        if isinstance(call := vars(owner).get("__call__"), FunctionType):
            yield call
            return
