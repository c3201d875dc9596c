"""The figures in the documentation are those of the rows that are kept."""

from pathlib import Path

import pytest

from interpret_segmentation.benchmark import read_rows, summarised
from interpret_segmentation.testnet import VARIANTS

ROOT = Path(__file__).parents[2]
FIGURES = {
    "deletion": ("deletion", 3),
    "insertion": ("insertion", 3),
    "cue AUC": ("cue_auc", 3),
    "other shapes": ("distractor_mass", 3),
    "hit": ("cue_hit", 3),
    "edge (px)": ("edge_width", 1),
}
ROWS = ROOT / "benchmarks" / "results" / "testnet" / "rows.csv"


def lines():
    """Every line of a table of maps, by its heads."""
    page = (ROOT / "docs" / "which-method.md").read_text(encoding="utf-8")
    tables = [block.split("\n") for block in page.split("\n\n") if block.startswith("|")]
    found = []
    for table in tables:
        heads, _, *rows = ([cell.strip() for cell in line.strip("| ").split("|")] for line in table)
        if {"cue AUC", "deletion"} & set(heads):
            found += [{"variant": "plain"} | dict(zip(heads, row, strict=True)) for row in rows]
    return found


@pytest.fixture(scope="module")
def summaries():
    rows = read_rows(ROWS)
    return {name: summarised(row for row in rows if row.variant == name) for name in VARIANTS}


@pytest.mark.parametrize("line", lines(), ids=lambda line: f"{line['variant']} {line['map']}")
def test_the_page_says_what_was_measured(summaries, line):
    summary, name = summaries[line["variant"]], line["map"]
    if "images" in line:
        assert int(line["images"]) == summary.images(name)
    for head, (figure, digits) in FIGURES.items():
        if head in line:
            numbers = (summary.mean(name, figure), *summary.interval(name, figure))
            mean, low, high = (f"{number:.{digits}f}" for number in numbers)
            assert line[head] == f"{mean} [{low}, {high}]"
