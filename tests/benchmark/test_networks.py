"""Several networks of a variant, paired differences, and runs side by side."""

import numpy as np
import pytest
import torch
from torch import nn

from interpret_segmentation.benchmark import Row, baselines, benchmark, read_rows, summarised
from interpret_segmentation.benchmark.contestants import defaults, documented, improved
from interpret_segmentation.benchmark.rows import RowFile
from interpret_segmentation.benchmark.workers import _check_can_be_sent
from interpret_segmentation.testnet import pretrained


def brightness(_model, image, _target):
    return image[0]


def asks(model, image, _target):
    return model(image[None])[0, 0].detach()


def fails(_model, _image, _target):
    raise ValueError("on purpose")


def rows_of(method, network, values, figure="power_rank"):
    return [Row("moved", number, method, {figure: float(one)}, network) for number, one in enumerate(values)]


def test_the_mean_is_that_of_networks_however_many_images_each_has():
    summary = summarised([*rows_of("m", "", np.ones(100)), *rows_of("m", "other", np.zeros(20))])
    assert summary.mean("m", "power_rank") == 0.5
    assert summary.interval("m", "power_rank") == (0, 1)  # two networks tell little of a third
    assert summary.images("m") == 120


def test_an_interval_over_networks_and_images_covers_the_mean_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = []
    for _ in range(100):
        rows = [
            row
            for name in range(12)
            for row in rows_of("m", str(name), random.normal(random.normal(), size=15))
        ]
        low, high = summarised(rows).interval("m", "power_rank")
        covered.append(low <= 0 <= high)
    assert 0.82 < np.mean(covered) < 1


def test_a_difference_is_paired_by_network_and_image():
    random = np.random.default_rng(0)
    base = random.normal(size=30)
    rows = [*rows_of("a", "", base + 0.1), *rows_of("b", "", base), *rows_of("a", "other", [9, 9])]
    found = summarised(rows).difference("a", "b", "power_rank")
    assert found.mean == pytest.approx(0.1)
    assert found.low == pytest.approx(found.high)
    assert found.images == 30
    assert str(found) == "+0.100 [+0.100, +0.100]"
    apart = summarised([*rows_of("a", "", [1, 2]), *rows_of("b", "other", [1, 2])])
    with pytest.raises(ValueError, match="no image has power_rank of both a and b"):
        apart.difference("a", "b", "power_rank")


def test_the_best_map_that_knows_nothing_is_found_in_the_direction_of_the_figure():
    rows = [
        Row("plain", 0, name, {"power_rank": rank, "claimed": claimed, "segment_hit": 1})
        for name, rank, claimed in (("random", 0.1, 3), ("lower right", 0.7, 5), ("mine", 0.6, 4))
    ]
    summary = summarised(rows)
    assert summary.best_baseline("power_rank") == "lower right"
    assert summary.best_baseline("claimed") == "random"
    assert summarised(rows[2:]).best_baseline("power_rank") is None
    with pytest.raises(ValueError, match="of 'segment_hit' neither direction is better"):
        summary.best_baseline("segment_hit")


def test_a_figure_that_a_map_which_knows_nothing_wins_is_marked():
    better = [Row("plain", n, "mine", {"power_rank": 0.6, "cue_auc": 0.9}) for n in range(3)]
    nothing = [Row("plain", n, "lower right", {"power_rank": 0.5, "cue_auc": 0.9}) for n in range(3)]
    summary = summarised([*better, *nothing])
    assert not summary.is_won_by_nothing("power_rank")
    assert summary.is_won_by_nothing("cue_auc")  # as good is enough
    assert not summarised(nothing).is_won_by_nothing("cue_auc")  # against nobody
    text = summary.markdown()
    assert "cue auc (!)" in text
    assert "power rank (!)" not in text
    assert "is won by a map that knows nothing" in text
    assert "+0.100 [+0.100, +0.100]" in text
    assert summary.methods == ["mine", "lower right"]


def test_lower_is_marked_in_its_own_direction():
    rows = [
        Row("plain", 0, name, {"distractor_mass": value}) for name, value in (("mine", 0.1), ("random", 0.3))
    ]
    assert not summarised(rows).is_won_by_nothing("distractor_mass")


def test_a_file_of_an_earlier_version_is_read_and_grows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("variant,image,method,cue_auc,forwards\nplain,0,m,0.5,3\nplain,1,m,,3\n")
    path.with_suffix(".json").write_text("{}")
    before = read_rows(path)
    assert [row.figures for row in before] == [{"cue_auc": 0.5, "forwards": 3}, {"forwards": 3}]
    RowFile(path, {}).add([Row("plain", 2, "m", {"power_rank": 0.25}, "other")])
    after = read_rows(path)
    assert after[:2] == before
    assert after[2].key == ("plain", 2, "m", "other")
    assert after[2].figures == {"power_rank": 0.25}


@pytest.mark.slow
def test_rows_of_two_networks_become_one_table(tmp_path):
    run = {"asks": asks}
    benchmark(run, variant="moved", images=1, out=tmp_path, progress=False)
    both = benchmark(run, variant="moved", network="moved_mirrored", images=1, out=tmp_path, progress=False)
    assert [row.network for row in read_rows(tmp_path / "rows.csv")] == ["", "moved_mirrored"]
    assert both.images("asks") == 2
    again = benchmark(run, variant="moved", network="moved", images=1, out=tmp_path, progress=False)
    assert again.images("asks") == 2
    later = benchmark(run, variant="moved", images=1, first=3, out=tmp_path, progress=False)
    assert {row.image for row in read_rows(tmp_path / "rows.csv")} == {0, 3}
    assert later.images("asks") == 3


def test_a_network_that_does_not_suit_is_refused(tmp_path):
    options = {"images": 1, "out": tmp_path, "progress": False}
    with pytest.raises(
        ValueError, match=r"network must be one of moved, .* for moved, got 'photo'; photo has learnt photo"
    ):
        benchmark({"a": brightness}, variant="moved", network="photo", **options)
    with pytest.raises(ValueError, match="both say which network is asked"):
        benchmark({"a": brightness}, variant="moved", network="moved", model=pretrained("moved"), **options)
    for name in ("workers", "first"):
        with pytest.raises(ValueError, match=name):
            benchmark({"a": brightness}, **options, **{name: -1})


@pytest.mark.slow
def test_workers_write_the_rows_that_one_process_writes(tmp_path):
    contestants = {"bright": brightness, "asks": asks}
    alone = benchmark(contestants, images=2, out=tmp_path / "alone", progress=False)
    shared = benchmark(contestants, images=2, out=tmp_path / "shared", workers=2, progress=False)
    for method in contestants:
        for figure in ("cue_auc", "cue_hit", "segment_mass", "forwards"):
            assert shared.mean(method, figure) == alone.mean(method, figure)
    with pytest.raises(RuntimeError, match=r"fails failed on image . of plain: ValueError: on purpose"):
        benchmark(
            {"fails": fails, "bright": brightness}, images=2, out=tmp_path / "f", workers=2, progress=False
        )
    assert {row.method for row in read_rows(tmp_path / "f" / "rows.csv")} == {"bright"}


def test_what_other_processes_cannot_be_sent_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ValueError, match=r"hidden cannot be sent to another process .*leave workers= at 1"):
        benchmark({"hidden": lambda *_: None}, images=2, out=tmp_path, workers=2, progress=False)


def test_all_contestants_of_the_package_can_be_sent():
    for one in (*baselines(), *defaults(), *documented(masks=10, offset=40), *improved(masks=10)):
        _check_can_be_sent(one, one.names[0])


def test_backwards_are_counted(tmp_path):
    def gradient(model, image, target):
        images = image[None].repeat(3, 1, 1, 1).requires_grad_()
        (found,) = torch.autograd.grad(model(images)[:, 0, torch.from_numpy(target)].sum(), images)
        return found[0, 0].abs()

    network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Sigmoid())
    summary = benchmark({"g": gradient}, images=1, model=network, out=tmp_path, progress=False)
    assert (summary.mean("g", "forwards"), summary.mean("g", "backwards")) == (3, 3)
