"""Imports run one way: no room looks up into the rooms that use it."""

import ast
import re
from pathlib import Path

import interpret_segmentation

PACKAGE = Path(interpret_segmentation.__file__).parent
LAYERS = [
    {"_conventions", "_files", "_importing", "_methods", "_settings", "_types", "_warnings"},
    {"data"},
    {"targets", "perturb", "models"},
    {"results", "scores"},
    {"inference"},
    {"methods"},
    {"explaining", "hdm", "rise"},
    {"evaluate"},
    {"show"},
    {"testnet"},
    {"benchmark", "batch"},
    {"cli"},
    {""},
]


EXTRAS = {"parts.py"}
"""Files that import what an extra installs, when it is asked for."""


def room(module):
    return module.removeprefix("interpret_segmentation").removeprefix(".").split(".")[0]


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"), path


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("interpret_segmentation"):
            if node.module == "interpret_segmentation":
                yield from (f"interpret_segmentation.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("interpret_segmentation"))


def test_every_room_has_its_place():
    assert {room(name) for name, _ in modules()} == set().union(*LAYERS)


def test_rooms_import_only_what_lies_below_them():
    layer = {name: number for number, names in enumerate(LAYERS) for name in names}
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules()
        for imported in imports(path)
        if room(name) != room(imported) and layer[room(imported)] >= layer[room(name)]
    ]
    assert wrong == []


def test_there_are_arrows_to_check():
    assert sum(room(name) != room(imported) for name, path in modules() for imported in imports(path)) > 20


def test_the_core_does_not_need_torchvision_or_what_only_tests_need():
    found = {
        name.split(".")[0]
        for path in PACKAGE.rglob("*.py")
        if path.name not in EXTRAS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not found & {"torchvision", "skimage", "monai", "hypothesis", "pytest"}
    assert "torch" in found


def test_only_results_reach_up_and_only_when_they_are_asked_to_draw_load_or_repeat():
    late = {
        (room(name), room(imported))
        for name, path in modules()
        for imported in re.findall(
            r'import_module\("(interpret_segmentation\.\w+)"\)', path.read_text("utf-8")
        )
    }
    assert late == {("results", "explaining"), ("results", "methods"), ("results", "show")}
