"""The truth by intervention: what is measured, kept and read again, and what it says of networks."""

import json

import numpy as np
import pytest
import torch

from interpret_segmentation.benchmark import SEED, Truths, benchmark, measure_truth, truth
from interpret_segmentation.benchmark.truth import Truth, as_line, from_line, read_truths, scene_tiles
from interpret_segmentation.testnet import NETWORKS, draw_scene, pretrained, sample_of
from interpret_segmentation.testnet.more import CHECKOUT


def looks_at(rows, columns):
    """Draws the segment of a plain scene as long as enough of a window of the image is bright."""

    def network(batch):
        window = batch[:, :, rows, columns]
        there = (window > 0).float().mean(dim=(1, 2, 3), keepdim=True) > 0.5
        return (there * (batch > 0) * 0.9).float()

    return network


@pytest.fixture(scope="module")
def circle():
    scene = draw_scene(SEED, next(n for n in range(50) if draw_scene(SEED, n).cue.kind == "circle"))
    assert scene.cue.kind == "circle"
    return scene


def test_tiles_are_numbered_where_pictures_differ_and_nowhere_else():
    image, other = np.zeros((2, 20, 13), dtype=np.uint8)
    other[0, 0] = other[5, 5] = other[19, 12] = 3
    tiles = scene_tiles(image, other)
    assert (tiles[0, 0], tiles[5, 5], tiles[19, 12]) == (0, 0, 1)
    assert (tiles == -1).sum() == image.size - 3
    coloured = np.stack([image] * 3, axis=-1), np.stack([image, image, other], axis=-1)
    assert scene_tiles(*coloured).tolist() == tiles.tolist()


def test_the_power_lies_on_the_tiles_that_a_network_looks_at(circle):
    rows, columns = np.nonzero(circle.cue.region())
    # Half of a window of 12 x 12 in the lower right of the circle has to be bright.
    low, right = int(np.percentile(rows, 75)), int(np.percentile(columns, 75))
    window = slice(low - 6, low + 6), slice(right - 6, right + 6)
    whole, removed, power, contrast = measure_truth(looks_at(*window), circle)
    assert whole == pytest.approx(0.9)
    assert removed == pytest.approx(0)
    seen = np.zeros((240, 240), dtype=bool)
    seen[window] = True
    touched = np.isin(power.labels, np.unique(power.labels[seen & (power.labels >= 0)]))
    assert (power.map[~touched] == 0).all()
    assert power.power.sum() == pytest.approx(1)
    assert power.turned_back == 0
    assert power.without <= 0.5 < power.alone
    assert power.without <= power.without_powerful
    first, second = power.halves
    np.testing.assert_allclose((first + second) / 2, power.map)
    assert np.isfinite(power.standard_error).all()
    assert 0 < power.standard_error.max() < 0.12
    assert contrast is None or contrast.power.sum() == pytest.approx(1)


def test_the_standard_error_is_that_of_the_mean_over_pairs():
    gains = np.array([[[1, 0], [0, 1]], [[1, 0], [1, 0]]])  # pairs of one tile, [sets, pairs, both orders]
    pairs = gains.sum(axis=2)
    one = truth.Measured(
        np.zeros((1, 1), dtype=np.int64),
        pairs.sum(axis=1)[:, None],
        (pairs**2).sum(axis=1)[:, None],
        orders=4,
        turned_back=0,
        without=0,
        without_powerful=0,
        alone=1,
    )
    means = (pairs / 2).ravel()
    assert one.power.tolist() == [means.mean()]
    assert one.standard_error == pytest.approx([means.std(ddof=1) / np.sqrt(len(means))])


def test_where_nothing_is_removed_there_is_nothing_to_find(circle):
    whole, removed, power, contrast = measure_truth(lambda batch: (batch > 0).float(), circle)
    assert (whole, removed, power, contrast) == (1, 1, None, None)
    assert Truth("plain", 0, whole, removed, power, contrast).kind == "nothing"


@pytest.mark.parametrize(
    ("removed", "kind"), [(0.94, "between"), (0.97, "nothing"), (1.02, "nothing"), (0.6, "between")]
)
def test_effects_between_are_neither(removed, kind):
    assert Truth("plain", 0, 0.99, removed, None, None).kind == kind


def test_a_removal_that_helps_is_an_effect_too():
    assert Truth("plain", 0, 0.5, 0.9, None, None).kind == "between"


def test_an_effect_that_does_not_cross_one_half_has_no_power(circle):
    def network(batch):  # loses from 0.99 to 0.6
        right = (batch[..., 120:] > 0).float().amax(dim=(1, 2, 3), keepdim=True)
        return ((0.6 + 0.39 * right) * (batch > 0)).float()

    whole, removed, power, _ = measure_truth(network, circle)
    assert whole - removed == pytest.approx(0.39)
    assert power is None


@pytest.mark.slow
def test_a_truth_is_the_same_after_a_file(tmp_path):
    network, number = pretrained("moved"), 1
    scene = draw_scene(SEED, number, variant="moved")
    made = Truth("moved", number, *measure_truth(network, scene, seed=number, orders=4))
    again = from_line(as_line(made), SEED)
    assert again.kind == made.kind == "power"
    for name in ("power", "contrast"):
        one, other = getattr(made, name), getattr(again, name)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.gains, other.gains)
        np.testing.assert_array_equal(one.map, other.map)
        np.testing.assert_array_equal(one.standard_error, other.standard_error)
    (tmp_path / "a.jsonl").write_text(as_line(made) + "\n" + as_line(made)[:-50])
    assert list(read_truths(tmp_path / "a.jsonl", SEED)) == [1]
    assert not read_truths(tmp_path / "none.jsonl", SEED)


def test_a_line_that_does_not_fit_its_scene_is_refused():
    told = {"orders": 2, "turned_back": 0, "without": 0, "without_powerful": 0, "alone": 1, "tiles": [9999]}
    told |= {"gains": [[1], [1]], "squares": [[1], [1]]}
    line = json.dumps({"variant": "plain", "image": 0, "whole": 1, "removed": 0, "power": told})
    with pytest.raises(ValueError, match="tells of tile 9999, but the scene has"):
        from_line(line, SEED)


@pytest.mark.parametrize(
    "name", [name for name in NETWORKS if (CHECKOUT / "truth" / f"{name}.jsonl").exists()]
)
def test_what_is_kept_obeys_intervention(name):
    """Hiding what has power alone turns the segment over; hiding all of the rest does not."""
    truths = read_truths(CHECKOUT / "truth" / f"{name}.jsonl", SEED)
    found = [one.power for one in truths.values() if one.power is not None]
    assert len(truths) >= 10
    if not found:
        return
    # Where power is spread over many tiles, 64 orders do not find all of them.
    assert np.mean([one.without <= 0.5 for one in found]) >= 0.5
    assert np.mean([one.alone > 0.5 for one in found]) >= 0.9
    for one in found:
        assert one.power.sum() == pytest.approx(1)
        assert one.turned_back < 2 * one.orders


def test_truths_are_there_for_the_series_of_the_benchmark_alone():
    known = Truths("moved", SEED)
    assert len(known) >= 30
    assert known.get("moved", 1).image == 1
    assert known.get("plain", 1) is None
    assert len(Truths("moved", SEED + 1)) == len(Truths("no such network", SEED)) == 0


@pytest.mark.slow
def test_figures_of_the_truth_are_in_the_rows_where_it_is_known(tmp_path):
    cases = {n: Truths("moved", SEED).get("moved", n) for n in range(3)}
    kinds = {n: one.kind for n, one in cases.items()}
    assert set(kinds.values()) >= {"power"}

    def knows(_model, image, _target):
        number = next(
            n
            for n in range(3)
            if torch.equal(sample_of(draw_scene(SEED, n, variant="moved"))["input"], image)
        )
        power = cases[number].power
        return np.zeros((240, 240)) if power is None else power.map

    summary = benchmark({"knows": knows}, variant="moved", images=3, out=tmp_path, progress=False)
    assert summary.mean("knows", "power_rank") == pytest.approx(1)
    assert summary.mean("knows", "power_hit") == 1
    assert len(summary.values["knows"]["power_rank"]) == list(kinds.values()).count("power")
    assert len(summary.values["knows"].get("claimed", [])) == list(kinds.values()).count("nothing")
    with pytest.raises(ValueError, match="no figure 'truth'"):
        summary.mean("knows", "truth")
    text = (tmp_path / "moved.md").read_text()
    assert "## What was measured by intervention" in text
    assert "power rank" in text
