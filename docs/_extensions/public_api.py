"""The directives of the API pages, and what makes names in docstrings into links."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from typing import Any

from docutils import nodes
from public_names import ROOT, aliases, aliases_in_use, doc_of_constant, names_of, packages
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature
from sphinx.util.nodes import make_refnode


class Written(SphinxDirective):
    """A directive that stands for lines of reStructuredText."""

    def run(self) -> list[nodes.Node]:
        """Parse the lines in place of the directive."""
        return self.parse_text_to_nodes("\n".join(self.lines(*self.arguments)))


class Public(Written):
    """``.. public:: package``: what a package exports, each name with its docstring."""

    required_arguments = 1

    def lines(self, package: str) -> Iterator[str]:
        """Leave to autodoc what has a docstring."""
        yield from (f".. automodule:: {package}", "")
        if package != ROOT:
            yield from (
                ".. code-block:: python",
                "",
                f"   from {ROOT} import {package.rpartition('.')[2]}",
                "",
            )
        for name, thing in sorted_things(package):
            path = names_of(package)[name]
            if inspect.isclass(thing):
                yield from (f".. autoclass:: {path}", "   :members:")
                yield f"   :exclude-members: {', '.join(told_elsewhere(thing)) or '__init__'}"
                yield from (*["   :show-inheritance:"] * any(map(is_public, thing.__bases__)), "")
            elif inspect.isroutine(thing):
                yield from (f".. autofunction:: {path}", "")
            elif name in aliases():
                yield from (f".. py:type:: {name}", f"   :module: {package}")
                yield from (f"   :canonical: {aliases()[name].value}", "", *indented(aliases()[name].doc))
            else:
                value = [] if isinstance(thing, dict) else [f"   :value: {shown(thing)}"]
                yield from (f".. py:data:: {name}", f"   :module: {package}", *value, "")
                yield from indented(doc_of_constant(package, name))
                if isinstance(thing, dict):
                    yield from indented("Keys: " + ", ".join(f'``"{key}"``' for key in thing))


class Summary(Written):
    """``.. summary:: package``: what it is for, and a table of what it exports, one line each."""

    required_arguments = 1

    def lines(self, package: str) -> Iterator[str]:
        """Name and first sentence."""
        yield from (first_line(import_module(package).__doc__), "")
        yield from (".. list-table::", "   :widths: 30 70", "")
        for name, thing in sorted_things(package):
            documented = inspect.isclass(thing) or inspect.isroutine(thing)
            doc = inspect.getdoc(thing) if documented else doc_of_constant(package, name)
            text = first_line(doc) or f"``{aliases()[name].value if name in aliases() else shown(thing)}``"
            yield from (f"   * - :py:obj:`~{names_of(package)[name]}`", f"     - {text}")


class Types(Written):
    """``.. types::``: what the names for types in the signatures stand for."""

    def lines(self) -> Iterator[str]:
        """Name, type and text."""
        for alias in aliases_in_use():
            yield from (f".. py:type:: {alias.name}", f"   :canonical: {alias.value}", "")
            yield from indented(alias.doc)


class Docstring(GoogleDocstring):
    """Google style in which a colon in what a function returns belongs to the sentence."""

    def _consume_returns_section(self, preprocess_types: bool = False) -> list[tuple[str, str, list[str]]]:  # noqa: ARG002
        return [("", "", self._dedent(self._consume_to_next_section()))]


def read_docstring(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Make reStructuredText of a docstring; that of a property may have a colon, too."""
    kind = "method" if what in ("property", "attribute") else what
    lines[:] = Docstring(lines, app.config, app, kind, name, thing, options).lines()


def show_types_as_written(
    _app: Sphinx,
    what: str,
    _name: str,
    thing: Any,
    _options: object,
    signature: str | None,
    _returned: str | None,
) -> tuple[str, str] | None:
    """Take the types of a signature from the code, where they have their short names."""
    if not signature:
        return None
    if what == "class" and (issubclass(thing, Enum) or getattr(thing, "_is_protocol", False)):
        return "", ""
    found = inspect.signature(thing)
    parameters = [each for each in found.parameters.values() if each.name not in ("self", "cls")]
    returned = inspect.Signature.empty if what == "class" else found.return_annotation
    text = stringify_signature(found.replace(parameters=parameters, return_annotation=returned))
    text = text.replace("<factory>", "...")
    arguments, _, answer = text.rpartition(" -> ") if " -> " in text else (text, "", "")
    return arguments, answer


def sorted_things(package: str) -> list[tuple[str, Any]]:
    """What a package exports: functions, classes, then the rest."""
    things = [(name, getattr(import_module(package), name)) for name in names_of(package)]
    return sorted(things, key=lambda pair: (not inspect.isroutine(pair[1]), not inspect.isclass(pair[1])))


def told_elsewhere(thing: type) -> Iterator[str]:
    """The members that a public base has, and those that the docstring of the class lists."""
    listed = re.search(r"^Attributes:\n((?: .*\n?|\n)*)", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    yield from re.findall(r"^    (\w+):", listed[1] if listed else "", flags=re.MULTILINE)
    yield from (
        name for base in thing.__mro__[1:] if is_public(base) for name in vars(base) if name in vars(thing)
    )


def shown(value: object) -> str:
    """A value as one writes it."""
    return str(value) if not isinstance(value, Enum) else f"{type(value).__name__}.{value.name}"


def first_line(text: str | None) -> str:
    """The first line of a docstring."""
    return (text or "").partition("\n")[0]


def indented(text: str) -> Iterator[str]:
    """A text as the content of a directive."""
    yield from (f"   {line}" for line in [*text.splitlines(), ""])


def is_public(thing: object) -> bool:
    """Whether users can import it."""
    return any(getattr(import_module(page), name) is thing for page in packages() for name in names_of(page))


def keep_public_bases(_app: Sphinx, _name: str, _thing: object, _options: Any, bases: list[Any]) -> None:
    """Name no base class that users cannot import."""
    bases[:] = filter(is_public, bases)


def link_to_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Find what a docstring or a signature names without its package, or by the module where it lives."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    name, _, member = (target.rsplit(".", 1)[-1] if target.startswith(f"{ROOT}.") else target).partition(".")
    paths = {name: path for page in packages() for name, path in names_of(page).items()}
    path = f"{paths.get(name)}.{member}".removesuffix(".")
    entry = env.domains.python_domain.objects.get(path)
    if entry is None:
        return None
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, path)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive("public", Public)
    app.add_directive("summary", Summary)
    app.add_directive("types", Types)
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("autodoc-process-signature", show_types_as_written)
    app.connect("autodoc-process-bases", keep_public_bases)
    app.connect("missing-reference", link_to_public_name)
    return {"parallel_read_safe": True}
