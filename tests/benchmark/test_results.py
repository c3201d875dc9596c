"""The figures in the documentation are those of the rows that are kept."""

from pathlib import Path

import pytest

from interpret_segmentation.benchmark import read_rows, summarised

ROOT = Path(__file__).parents[2]
FIGURES = {"cue AUC": ("cue_auc", 3), "hit": ("cue_hit", 3), "edge (px)": ("edge_width", 1)}


def lines():
    page = (ROOT / "docs" / "which-method.md").read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if line.startswith("|")]
    heads, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    return [dict(zip(heads, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def summary():
    return summarised(read_rows(ROOT / "benchmarks" / "results" / "testnet" / "rows.csv"))


@pytest.mark.parametrize("line", lines(), ids=lambda line: line["map"])
def test_the_page_says_what_was_measured(summary, line):
    assert int(line["images"]) == summary.images(line["map"])
    for head, (figure, digits) in FIGURES.items():
        numbers = (summary.mean(line["map"], figure), *summary.interval(line["map"], figure))
        mean, low, high = (f"{number:.{digits}f}" for number in numbers)
        assert line[head] == f"{mean} [{low}, {high}]"
