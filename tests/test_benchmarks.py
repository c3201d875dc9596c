"""The figures in the README are those of the recorded run."""

import csv
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from benchmarks import choosing, fill_networks, fills, judged

from interpret_segmentation.benchmark import read_rows, summarised
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.testnet import draw_scene, pretrained

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
BENCHMARK = ROOT / "benchmarks" / "cue_share.py"


def test_the_table_of_the_readme_is_that_of_the_recorded_run():
    with (ROOT / "benchmarks" / "results" / "cue_share.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = {str(index): draw_scene(2, index).cue.kind for index in range(20)}
    expected = []
    for name in ("HDM worse", "RISE max", "RISE mean"):
        for wanted in ({"circle", "square"}, {"circle"}, {"square"}):
            chosen = [row for row in rows if row["map"] == name and kinds[row["image"]] in wanted]
            means = [
                np.mean([float(row[column]) for row in chosen]) for column in ("cue_half", "background_half")
            ]
            expected.append((str(len(chosen)), *(f"{mean:.1%}" for mean in means)))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\| +(\d+) +\| ([\d.]+%) +\| ([\d.]+%) +\|", readme) == expected


@pytest.fixture
def shares():
    return runpy.run_path(str(BENCHMARK))["shares"]


def test_a_perfect_map_marks_the_deciding_shape_and_no_background(shares):
    scene = draw_scene(0)
    perfect = (scene.segmented.region() | scene.cue.region()).astype(float)
    assert shares(perfect, scene) == [1, 0, 1, 0]


def test_a_map_of_the_segment_alone_does_not_mark_the_deciding_shape(shares):
    scene = draw_scene(0)
    half_cue, half_background, top_cue, top_background = shares(scene.segmented.region().astype(float), scene)
    assert (half_cue, half_background) == (0, 0)
    # The places that are left are shared by all pixels that tie.
    left = scene.cue.region().sum() / (~scene.segmented.region()).sum()
    assert top_cue == pytest.approx(left)
    assert top_background == pytest.approx(left)


@pytest.fixture
def parts():
    return runpy.run_path(str(ROOT / "benchmarks" / "cue_parts.py"))


def test_the_quarters_of_a_shape_make_it_up_and_share_nothing(parts):
    region = draw_scene(0).cue.region()
    quarters = parts["quarters"](region)
    np.testing.assert_array_equal(sum(part.astype(int) for part in quarters.values()), region)
    assert all(abs(4 * part.sum() / region.sum() - 1) < 0.1 for part in quarters.values())
    rows, columns = (axis.mean() for axis in np.nonzero(region))
    lower_right = [axis.mean() for axis in np.nonzero(quarters["lower right"])]
    assert lower_right[0] > rows
    assert lower_right[1] > columns


@pytest.mark.parametrize("index", range(8))
def test_the_shipped_network_looks_at_the_lower_right_quarter_of_a_circle_alone(parts, index):
    scene = draw_scene(parts["SEED"], index)
    stays = dict(zip(parts["QUARTERS"], parts["stays"](pretrained(), scene), strict=True))
    circle = scene.cue.kind == "circle"
    for name, (without, alone) in stays.items():
        decides = circle and name == "lower right"
        assert without == (not decides)
        assert alone == (decides or not circle)


def test_more_masks_of_rise_are_closer_to_many_more():
    correlations = runpy.run_path(str(ROOT / "benchmarks" / "rise_converges.py"))["correlations"]
    found = correlations(lambda batch: batch, 0, "RISE by default", [20, 200, 2000], 4000)
    assert found == sorted(found)
    assert found[0] < 0.9 < found[2] < 1


@pytest.mark.parametrize("part", ["testnet", "scenes", "photos", "distances"])
def test_the_page_of_fills_shows_the_recorded_rows(part):
    page = (ROOT / "docs" / "fills.md").read_text(encoding="utf-8").split("\n")
    table = list(fills.TABLES[part](fills.read(fills.RESULTS / f"{part}.csv")))
    assert len(table) > 4
    assert [line for line in table if line not in page] == []


def test_the_page_of_methods_shows_the_recorded_rows():
    page = (ROOT / "docs" / "which-method.md").read_text(encoding="utf-8").split("\n")
    lines = list(judged.table(["moved", "required", "photo"]))
    assert len(lines) > 10
    assert [line for line in lines if line not in page] == []
    lines = list(judged.worth(["moved", "required", "photo"]))
    assert len(lines) > 4
    assert [line for line in lines if line not in page] == []
    rows = read_rows(choosing.FOLDER / "rows.csv")
    variants = ("moved", "required", "photo")
    summaries = {name: summarised([row for row in rows if row.variant == name]) for name in variants}
    lines = list(choosing.docs_table(summaries))
    assert len(lines) > 10
    assert [line for line in lines if line not in page] == []


def test_values_between_windows_are_those_of_the_windows_at_their_centres():
    windows = Windows.covering((30, 41), 9, 8, "square")
    values = np.random.default_rng(0).normal(size=len(windows))
    between = choosing._linear(windows, values)
    centres = windows.corners(np.arange(len(windows))) + 4
    inside = ((centres >= 0) & (centres < windows.space)).all(axis=1)
    assert inside.sum() > 6
    np.testing.assert_allclose(between[tuple(centres[inside].T)], values[inside])
    assert values.min() <= between.min() < between.max() <= values.max()


def test_the_images_of_the_fills_are_those_of_their_seed_and_their_truth_is_in_them():
    for draw, classes in ((fill_networks.scene, 3), (fill_networks.photo, 1)):
        image, truth = draw(2, 1)
        assert image.shape == (3, *fill_networks.SPACE)
        assert truth.shape == (classes, *fill_networks.SPACE)
        assert truth.any()
        assert (draw(2, 1)[0] == image).all()
        assert not (draw(2, 2)[0] == image).all()
    assert 0.05 <= fill_networks.photo(2, 1)[1].mean() <= 0.25


def test_a_patch_comes_from_outside_the_hole_and_the_segment():
    image = np.arange(900.0).reshape(1, 30, 30)
    hidden, segment = np.zeros((2, 30, 30), dtype=bool)
    hidden[5:9, 5:9], segment[20:, 20:] = True, True
    taken = fills.patch(segment, 0)(image, hidden)[:, hidden]
    assert not np.isin(taken, image[:, hidden | segment]).any()
    assert len(np.unique(taken)) == 16


def test_ties_for_the_strongest_tenth_are_shared():
    region = np.zeros((10, 10), dtype=bool)
    region[:5] = True
    assert fills.strongest_in(np.ones((10, 10)), region) == pytest.approx(0.5)
    assert fills.strongest_in(region.astype(float), region) == pytest.approx(1)
