"""The site lists every page and every public name."""

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from docs._extensions.public_names import ROOT, aliases_in_use, doc_of_constant, names_of, packages

DOCS = Path(__file__).parents[1] / "docs"


def listed(page):
    blocks = re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line and not line.startswith(":")]
    assert lines
    return [page.parent / f"{line}.md" for line in lines]


@pytest.mark.parametrize("folder", [DOCS, DOCS / "api"], ids=lambda folder: folder.name)
def test_every_page_is_listed_once(folder):
    pages = listed(folder / "index.md")
    assert len(pages) == len(set(pages))
    assert {page for page in pages if page.parent == folder} == {*folder.glob("*.md")} - {folder / "index.md"}


def test_the_first_page_leads_to_the_api():
    assert DOCS / "api/index.md" in listed(DOCS / "index.md")


def test_every_public_package_has_its_page():
    for package in packages():
        page = DOCS / "api" / f"{package.rpartition('.')[2]}.md"
        assert f".. public:: {package}\n" in page.read_text(encoding="utf-8")
        assert f".. summary:: {package}\n" in (DOCS / "api/index.md").read_text(encoding="utf-8")


def test_every_public_name_stands_on_one_page():
    paths = [path for package in packages() for path in names_of(package).values()]
    assert len(paths) == len(set(paths))
    for package in packages():
        for name in import_module(package).__all__:
            thing = getattr(import_module(package), name)
            if not name.startswith("__") and not isinstance(thing, ModuleType):
                assert {f"{ROOT}.{name}", f"{package}.{name}"} & set(paths)


def test_a_name_stands_under_its_shortest_path():
    assert names_of(f"{ROOT}.hdm")["HDM"] == f"{ROOT}.HDM"
    assert names_of(f"{ROOT}.hdm")["RAW"] == f"{ROOT}.hdm.RAW"
    assert "HDM" not in names_of(ROOT)
    assert names_of(ROOT)["explain"] == f"{ROOT}.explain"


def test_types_and_constants_are_found_where_they_live():
    assert {"AnyArray", "AnyTarget", "Model"} <= {alias.name for alias in aliases_in_use()}
    assert doc_of_constant(f"{ROOT}.testnet", "SIZE").startswith("Height and width")
