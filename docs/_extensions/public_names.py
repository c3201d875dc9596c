"""What users can import, and where: the API pages have no list of their own."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import interpret_segmentation

ROOT = interpret_segmentation.__name__


@cache
def packages() -> list[str]:
    """The public packages, the one that holds them first."""
    public = (name for name in interpret_segmentation.__all__ if isinstance(_found(ROOT, name), ModuleType))
    return [ROOT, *(f"{ROOT}.{name}" for name in sorted(public))]


@cache
def names_of(package: str) -> dict[str, str]:
    """Each name on the page of a package, and the shortest import path of what it names.

    What can be imported from `interpret_segmentation` and from a package stands on the page of the package.
    """
    exported = [name for name in import_module(package).__all__ if not name.startswith("__")]
    things = {name: _found(package, name) for name in exported}
    if package == ROOT:
        elsewhere = {name for other in packages()[1:] for name in names_of(other)}
        return {
            name: f"{ROOT}.{name}"
            for name, thing in things.items()
            if not isinstance(thing, ModuleType) and name not in elsewhere
        }
    return {
        name: f"{ROOT if getattr(interpret_segmentation, name, None) is thing else package}.{name}"
        for name, thing in things.items()
    }


class Alias(NamedTuple):
    """A name for a type, as the code has it."""

    name: str
    value: str
    doc: str


@cache
def aliases() -> dict[str, Alias]:
    """Every name for a type in the package, wherever it lives."""
    folder = Path(str(interpret_segmentation.__file__)).parent
    found = {}
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
            match node:
                case (
                    ast.AnnAssign(
                        target=ast.Name(id=name),
                        annotation=ast.Name(id="TypeAlias"),
                        value=ast.expr() as value,
                    )
                    | ast.Assign(
                        targets=[ast.Name(id=name)],
                        value=ast.Subscript(value=ast.Name(id="Literal")) as value,
                    )
                ):
                    found[name] = Alias(name, ast.unparse(value), _text(after))
    return found


def aliases_in_use() -> list[Alias]:
    """The names for types in what is public, but for those that are public themselves."""
    known, public = aliases(), {name: path for page in packages() for name, path in names_of(page).items()}
    wanted = [word for path in public.values() for text in _annotations(path) for word in _words(text)]
    used: dict[str, Alias] = {}
    while wanted:
        name = wanted.pop()
        if name in known and name not in used:
            used[name] = known[name]
            wanted += _words(known[name].value)
    return [used[name] for name in sorted(used) if name not in public]


def _annotations(path: str) -> Iterator[str]:
    """What the code says of the types of a class, its members, or a function."""
    thing = _found(*path.rsplit(".", 1))
    members = [thing, *vars(thing).values()] if inspect.isclass(thing) else [thing]
    for member in members:
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        yield from map(str, getattr(function, "__annotations__", {}).values())


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def doc_of_constant(package: str, name: str) -> str:
    """The text below a constant, in the module where it is set."""
    spec = find_spec(package)
    tree = ast.parse(Path(str(spec and spec.origin)).read_text(encoding="utf-8"))
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        match node:
            case ast.ImportFrom(module=str(home)) if any(alias.name == name for alias in node.names):
                return doc_of_constant(home, name)
            case ast.Assign(targets=[ast.Name(id=found)]) | ast.AnnAssign(target=ast.Name(id=found)):
                if found == name:
                    return _text(after)
    return ""


def _text(node: ast.stmt | None) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text)
    return ""


def _found(package: str, name: str) -> Any:
    return getattr(import_module(package), name)
