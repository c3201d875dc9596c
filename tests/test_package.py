import importlib
import re
import runpy
import subprocess
import sys
from importlib.metadata import metadata, version
from pathlib import Path

import pytest

import interpret_segmentation

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_same_everywhere():
    assert interpret_segmentation.__version__ == version("interpret-segmentation")
    assert f"version: {interpret_segmentation.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {interpret_segmentation.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_everything_that_is_promised_is_there():
    for name in interpret_segmentation.__all__:
        assert getattr(interpret_segmentation, name) is not None
    assert sorted(interpret_segmentation.__all__) == sorted(set(interpret_segmentation.__all__))
    assert set(interpret_segmentation.__all__) <= set(dir(interpret_segmentation))
    with pytest.raises(AttributeError, match="has no attribute 'explode'"):
        interpret_segmentation.explode  # noqa: B018


@pytest.mark.slow
def test_every_module_can_be_imported_and_replaces_no_function():
    script = """
import importlib, pkgutil
import interpret_segmentation as package
for module in pkgutil.walk_packages(package.__path__, "interpret_segmentation."):
    importlib.import_module(module.name)
import numpy, torch
for name in package.__all__:
    assert getattr(package, name) is not None
made = package.explain(lambda batch: batch, torch.eye(9), "occlusion", progress=False)
package.explain_channels(lambda batch: batch[:, :1], torch.rand(2, 9, 9), "occlusion", progress=False)
assert package.evaluate.agreement(made, made).spearman == 1
assert callable(package.evaluate.localisation) and callable(package.evaluate.stability)
assert callable(package.benchmark.benchmark) and callable(package.testnet.train)
assert callable(package.show.report) and callable(package.show.figure)
functions = set()
for module in pkgutil.walk_packages(package.__path__, "interpret_segmentation."):
    loaded = importlib.import_module(module.name)
    parent = importlib.import_module(module.name.rpartition(".")[0])
    last = module.name.rpartition(".")[2]
    if last in getattr(parent, "__all__", ()) and not hasattr(loaded, "__path__"):
        functions.add(module.name)
print(sorted(functions - {"interpret_segmentation.hdm", "interpret_segmentation.rise"}))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert answer.stdout == "[]\n", answer.stderr


@pytest.mark.slow
def test_packages_are_there_without_being_imported_first():
    script = (
        "import interpret_segmentation as i; i.evaluate, i.show, i.testnet, i.benchmark, i.perturb, i.hdm"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("image_files", "read_image"), ("occlusion", "Occlusion"), ("preprocess", "Preprocess"),
        ("explanation", "Explanation"), ("channels", "ChannelExplanations"), ("model", "SegmentationModel"),
    ],
)  # fmt: skip
def test_import_paths_that_have_moved_still_work(former, name):
    moved = getattr(importlib.import_module(f"interpret_segmentation.{former}"), name)
    assert moved.__module__ != f"interpret_segmentation.{former}"
    assert moved is getattr(interpret_segmentation, name, moved)


def test_the_types_are_shipped():
    assert (Path(interpret_segmentation.__file__).parent / "py.typed").exists()
    assert metadata("interpret-segmentation")["License-Expression"] == "MIT"


def test_every_pinned_dependency_is_pinned_exactly():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(
        re.fullmatch(r'[a-z0-9.-]+==[0-9a-z.]+(; python_version (<|>=) "3\.11")?', pin) for pin in pins
    )
    assert "torch==2.13.0" in pins


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_links_and_pictures_of_the_pages_exist(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert links
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is never hidden")  # with the offsets that are put in here
@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("*.md")} - {ROOT / "docs" / "fills.md"})],
    ids=lambda p: p.name,
)
def test_the_python_code_of_the_pages_runs(page, tmp_path, monkeypatch):
    code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL))
    assert code
    monkeypatch.chdir(tmp_path)
    # The pages explain with thousands of masks; here a few have to do.
    script = tmp_path / "page.py"
    code = code.replace('"occlusion", progress', '"occlusion", offset=60, progress')
    script.write_text(re.sub(r"offset=\d+", "offset=60", re.sub(r"N=\d+", "N=20", code)), encoding="utf-8")
    names = runpy.run_path(str(script))
    assert any(name in names for name in ("result", "sample"))
