"""Imports run one way: no room looks up into the rooms that use it."""

import ast
import re
from pathlib import Path

import interpret_segmentation

PACKAGE = Path(interpret_segmentation.__file__).parent
LAYERS = [
    {"_conventions", "_files", "_importing", "_methods", "_settings", "_telling", "_types", "_warnings"},
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
    {"cli", "former"},
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


def rooms_above():
    """Which rooms each room imports from; everything with an underscore is the ground."""
    graph = {}
    for name, path in modules():
        for imported in imports(path):
            one, other = (room(end) if not room(end).startswith("_") else "_" for end in (name, imported))
            if one and other and one != other:
                graph.setdefault(one, set()).add(other)
    return graph


def test_no_chain_of_imports_between_rooms_has_more_than_nine_floors():
    graph = rooms_above()

    def floors(name):
        return 1 + max((floors(below) for below in graph.get(name, ())), default=0)

    assert max(map(floors, graph)) <= 9


def test_no_files_import_each_other_in_a_circle():
    files = {name: set() for name, _ in modules()}
    for name, path in modules():
        files[name] = {imported for imported in imports_at_run_time(path, set(files)) if imported != name}
    done, under_way = set(), []

    def visit(name):
        assert name not in under_way, f"{' -> '.join([*under_way, name])} is a circle"
        if name in done:
            return
        under_way.append(name)
        for imported in sorted(files[name]):
            visit(imported)
        done.add(under_way.pop())

    for name in files:
        visit(name)


def imports_at_run_time(path, known):
    """What a file imports when it is imported itself: nothing for types only, nothing inside functions."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("interpret_segmentation."):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from inside & known or {node.module} & known


def test_only_the_doors_of_results_look_upwards():
    late = {
        name
        for name, path in modules()
        if re.search(r'import_module\("interpret_segmentation', path.read_text("utf-8"))
    }
    assert late == {"interpret_segmentation.results.doors"}


KNOWN = re.compile(r"^(hdm|rise|occlusion)$", re.IGNORECASE)
CLASSES = {
    "HDM",
    "RISE",
    "Occlusion",
    "HDMResult",
    "RISEResult",
    "HausdorffDistanceMasks",
    "SegmentationRISE",
}
EVERYWHERE = {"cli", "batch", "show", "evaluate", "benchmark", "results", "inference", "testnet"}


def names_of_methods(path):
    """Where a file names a method: as text that is no docstring, as a class, or by its module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            texts |= {id(part) for part in ast.walk(node.value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            if KNOWN.match(node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.Name) and node.id in CLASSES:
            yield node.lineno, node.id
        elif isinstance(node, ast.ImportFrom):
            if re.search(r"\.(hdm|rise|occlusion)\b", node.module or ""):
                yield node.lineno, node.module
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in CLASSES)


def test_nothing_outside_methods_knows_a_method_by_name():
    found = [
        f"{name}:{line} {what}"
        for name, path in modules()
        if room(name) in EVERYWHERE
        for line, what in names_of_methods(path)
    ]
    assert found == []
    methods = [path for name, path in modules() if name.endswith("methods.hdm.method")]
    assert list(names_of_methods(methods[0]))  # whoever names one is found


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
