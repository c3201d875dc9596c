import csv
import sys

import numpy as np
import pytest
import torch

import interpret_segmentation.benchmark
from interpret_segmentation import RISE, Occlusion, explain
from interpret_segmentation.benchmark import (
    FIGURES,
    SEED,
    Contestant,
    Row,
    as_contestants,
    baselines,
    benchmark,
    captum,
    circles,
    defaults,
    documented,
    everybody,
    improved,
    read_rows,
    rise,
    summarised,
)
from interpret_segmentation.benchmark.contestants import named, seed_of
from interpret_segmentation.evaluate import deletion
from interpret_segmentation.testnet import draw_scene, pretrained, sample_of

pytestmark = pytest.mark.slow


def the_cue(_model, image, _target):
    """A map that knows the answer, by looking at what lies on the right of the plain variant."""
    saliency = torch.zeros(240, 240)
    saliency[:, 115:] = image[0, :, 115:]
    return saliency


def brightness(_model, image, _target):
    return image[0]


def counted(model, image, target):
    with torch.no_grad():
        model(image[None].repeat(3, 1, 1, 1))
    return torch.from_numpy(target).float()


def table_of(folder):
    with (folder / "rows.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_who_knows_the_cue_wins_and_who_repeats_the_segment_does_not_look_good(tmp_path):
    summary = benchmark(
        {"knows": the_cue, "segment": counted}, images=4, out=tmp_path, progress=False, model=pretrained()
    )
    assert summary.methods == ["knows", "segment"]
    assert summary.mean("knows", "cue_auc") == summary.mean("knows", "cue_hit") == 1
    assert summary.mean("knows", "cue_mass") == 1
    assert summary.mean("segment", "cue_auc") == 0.5
    assert summary.mean("segment", "cue_hit") < 0.1
    assert summary.mean("segment", "segment_mass") == 1
    assert summary.mean("segment", "forwards") == 3
    assert summary.images("knows") == 4
    assert (tmp_path / "plain.png").read_bytes().startswith(b"\x89PNG")
    table = (tmp_path / "plain.md").read_text()
    assert table.startswith(f"# Testnet, plain, seed {SEED}, a given network\n")
    assert "| knows " in table


def test_a_run_goes_on_where_it_stopped(tmp_path):
    seen = []

    def noted(_model, image, _target):
        seen.append(float(image.sum()))
        return image[0]

    run = {"noted": noted}
    benchmark(run, images=2, out=tmp_path, progress=False)
    text = (tmp_path / "rows.csv").read_text()
    (tmp_path / "rows.csv").write_text(text[:-7])  # cut in the middle of the second row
    benchmark(run, images=3, out=tmp_path, progress=False)
    rows = table_of(tmp_path)
    assert [row["image"] for row in rows] == ["0", "1", "2"]
    assert len(seen) == 2 + 2
    whole = benchmark(run, images=3, out=tmp_path / "other", progress=False)
    assert whole.mean("noted", "cue_auc") == benchmark(run, images=3, out=tmp_path, progress=False).mean(
        "noted", "cue_auc"
    )
    assert len(seen) == 4 + 3


def test_further_contestants_and_variants_add_to_the_file(tmp_path):
    benchmark({"a": brightness}, images=2, out=tmp_path, progress=False, model=pretrained())
    summary = benchmark({"b": the_cue}, images=1, out=tmp_path, progress=False, model=pretrained())
    assert sorted(summary.methods) == ["a", "b"]
    moved = benchmark(
        {"a": brightness}, images=1, variant="moved", out=tmp_path, progress=False, model=pretrained()
    )
    assert moved.methods == ["a"]
    assert {path.name for path in tmp_path.glob("*.md")} == {"plain.md", "moved.md"}
    assert len(table_of(tmp_path)) == 4


@pytest.mark.parametrize("kind", [lambda network: network.half().float(), lambda network: network.__call__])
def test_a_network_of_ones_own_goes_on_where_it_stopped_whatever_its_kind(kind, tmp_path):
    for images in (1, 2):
        benchmark({"a": brightness}, images=images, model=kind(pretrained()), out=tmp_path, progress=False)
    assert len(table_of(tmp_path)) == 2


def test_rows_of_another_series_are_not_mixed(tmp_path):
    benchmark({"a": brightness}, images=1, out=tmp_path, progress=False)
    with pytest.raises(ValueError, match="made with other settings"):
        benchmark({"a": brightness}, images=1, seed=3, out=tmp_path, progress=False)
    with pytest.raises(ValueError, match="made with other settings"):
        benchmark({"a": brightness}, images=1, model=pretrained("moved"), out=tmp_path, progress=False)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "rows.csv").write_text("my,own\n")
    with pytest.raises(ValueError, match="not told"):
        benchmark({"a": brightness}, images=1, out=tmp_path / "x", progress=False)
    assert (tmp_path / "x" / "rows.csv").read_text() == "my,own\n"


@pytest.mark.parametrize("wrong", [torch.zeros(3, 4), torch.full((240, 240), torch.nan), "map"])
def test_a_map_that_is_none_is_refused(wrong, tmp_path):
    with pytest.raises(RuntimeError, match="wrong failed on image 0"):
        benchmark({"wrong": lambda *_: wrong}, images=1, out=tmp_path, progress=False)
    assert table_of(tmp_path) == []


def test_contestants_have_names_of_their_own():
    with pytest.raises(ValueError, match="two maps are called 'a'"):
        as_contestants([Contestant(("a",), brightness), Contestant(("b", "a"), brightness)])
    with pytest.raises(ValueError, match="nobody to judge"):
        as_contestants({})


@pytest.mark.parametrize("wrong", ["baselines", ["defaults"], brightness, {"a": "b"}, [("a", brightness)], 3])
def test_other_things_than_contestants_are_refused(wrong):
    with pytest.raises(TypeError, match=r"must be functions by name, such as \{'mine': function\}, or"):
        as_contestants(wrong)


def test_a_contestant_returns_the_maps_that_it_announced(tmp_path):
    with pytest.raises(RuntimeError, match="were announced"):
        benchmark([Contestant(("a", "b"), lambda *_: {"a": torch.zeros(240, 240)})], images=1, out=tmp_path)


def test_curves_are_measured_where_they_are_asked_for(tmp_path):
    maps = {"good": the_cue, "bad": brightness}
    summary = benchmark(maps, images=1, curves=["good"], out=tmp_path, progress=False)
    scene = draw_scene(SEED, 0)
    image, target = sample_of(scene)["input"], scene.segmented.region()
    hidden = deletion(
        pretrained(), the_cue(None, image, None), image, target=target, steps=20, progress=False
    )
    assert summary.mean("good", "deletion") == pytest.approx(hidden.area("probability"), abs=1e-5)
    assert summary.mean("good", "insertion") != summary.mean("good", "deletion")
    assert np.isnan(summary.mean("bad", "deletion"))
    with pytest.raises(ValueError, match="no map is called so; the nearest: good"):
        benchmark(maps, images=1, curves=["goods"], out=tmp_path, progress=False)


def test_curves_are_added_to_maps_that_are_judged_already(tmp_path):
    run = {"a": the_cue, "b": brightness}
    benchmark(run, images=2, out=tmp_path, progress=False)
    later = benchmark(run, images=2, curves=["a"], out=tmp_path, progress=False)
    assert len(later.values["a"]["deletion"]) == later.images("a") == later.images("b") == 2
    assert "deletion" not in later.values["b"]
    before = (tmp_path / "rows.csv").read_text()
    benchmark(run, images=2, curves=["a"], out=tmp_path, progress=False)
    assert (tmp_path / "rows.csv").read_text() == before


def test_what_is_not_done_again_is_said(tmp_path, capsys):
    benchmark({"a": brightness}, images=1, out=tmp_path)
    assert "not done again" not in capsys.readouterr().err
    benchmark({"a": brightness, "b": the_cue}, images=2, out=tmp_path)
    assert "1 of 4 runs are in" in capsys.readouterr().err


def test_an_interval_covers_the_mean_of_a_normal_sample_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        rows = [
            Row("plain", number, "m", {"cue_auc": value})
            for number, value in enumerate(random.normal(size=60))
        ]
        low, high = summarised(rows).interval("m", "cue_auc")
        covered.append(low <= 0 <= high)
    assert 0.88 < np.mean(covered) < 0.99


def test_a_figure_that_is_the_same_everywhere_has_an_interval_of_one_point():
    rows = [Row("plain", number, "m", {"cue_hit": 1.0}) for number in range(5)]
    assert summarised(rows).interval("m", "cue_hit") == (1, 1)
    assert np.isnan(summarised(rows).mean("m", "cue_auc"))


def test_one_image_has_no_interval():
    summary = summarised([Row("plain", 0, "m", {"cue_hit": 1.0})])
    assert np.isnan(summary.interval("m", "cue_hit")).all()
    assert "| 1.000 " in summary.markdown()
    assert "[" not in summary.markdown()


def test_a_figure_that_does_not_exist_is_refused():
    summary = summarised([Row("plain", 0, "m", {"cue_hit": 1.0})])
    with pytest.raises(ValueError, match="no figure 'auc'; use one of cue_auc"):
        summary.mean("m", "auc")
    with pytest.raises(ValueError, match="no method 'n'; use one of m"):
        summary.interval("n", "cue_hit")


def test_the_plot_says_how_many_of_all_methods_it_shows(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    said = []
    monkeypatch.setattr(Figure, "suptitle", lambda _self, title, **_: said.append(title))
    summary = summarised([Row("plain", 0, f"m{number}", {"cue_auc": 0.5}) for number in range(5)], title="T")
    summary.draw(tmp_path / "all.png")
    summary.draw(tmp_path / "some.png", most=3)
    assert said == ["T", "T: the best 3 of 5"]


@pytest.fixture(scope="module")
def task():
    scene = draw_scene(SEED, 3)
    return pretrained(), sample_of(scene)["input"], scene.segmented.region()


@pytest.mark.slow
def test_maps_of_one_run_are_those_of_runs_of_their_own(task):
    network, image, target = task
    few = (("hausdorff", "truth"), ("mae", "output"))
    maps = circles((20, 25, 40), ((20, 25),), offset=40, comparisons=few).explain(network, image, target)
    alone = {"score": "mae", "share": "even", "progress": False}
    wanted = {
        "HDM 20/40 black hausdorff to truth": explain(
            network,
            image,
            Occlusion(shape="circle", size=20, offset=40, score="hausdorff", merge="max", share="even"),
            reference=target,
            progress=False,
        ),
        "occlusion 40/80 black mae to output": explain(
            network, image, "occlusion", shape="circle", size=40, offset=80, **alone
        ),
        "occlusion 20/40+25/40 black mae to output": explain(
            network, image, "occlusion", shape="circle", size=(20, 25), offset=40, **alone
        ),
    }
    for name, explanation in wanted.items():
        np.testing.assert_allclose(maps[name], explanation.saliency, atol=1e-9)
    assert len(maps) == 4 * 2 * 2


@pytest.mark.slow
def test_estimators_and_merges_share_one_run_of_rise(task):
    network, image, target = task
    maps = rise("r", merges=("max", "mean"), N=30, p1=0.5, seed=0).explain(network, image, target)
    for estimator in ("paper", "centred"):
        made = explain(network, image, RISE(N=30, p1=0.5, seed=0, estimator=estimator), progress=False)
        np.testing.assert_allclose(maps[f"r {estimator} mean"], made.mean(), atol=1e-6)
        np.testing.assert_allclose(maps[f"r {estimator} max"], made.max(), atol=1e-6)


def test_masks_are_drawn_for_each_image_and_the_same_in_every_run():
    def network(batch):
        return batch

    images = [sample_of(draw_scene(SEED, number))["input"] for number in (0, 0, 1)]
    first, again, other = map(seed_of, images)
    assert first == again != other
    for image in images:
        made = rise("r", N=5, s=2).explain(network, image, None)["r centred mean"]
        wanted, not_that = (
            RISE(N=5, s=2, seed=seed).explain(network, image, progress=False).mean().numpy()
            for seed in (seed_of(image), 0)
        )
        np.testing.assert_array_equal(made, wanted)
        assert (made != not_that).any()


def test_a_negative_seed_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="seed must be 0 or more, got -1"):
        benchmark({"a": brightness}, images=1, seed=-1, out=tmp_path / "new", progress=False)
    assert not (tmp_path / "new").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "rows.csv").touch()
    with pytest.raises(ValueError, match=r"out must be a folder, but .*rows\.csv is a file"):
        benchmark({"a": brightness}, images=1, out=tmp_path / "rows.csv", progress=False)


def test_a_contestant_may_change_its_network_without_harm_to_the_next(tmp_path):
    def spoils(model, image, _target):
        for weights in model.parameters():
            torch.nn.init.zeros_(weights)
        return image[0]

    def asks(model, image, _target):
        with torch.no_grad():
            return model(image[None])[0, 0]

    alone = benchmark({"asks": asks}, images=2, out=tmp_path / "alone", progress=False)
    after = benchmark({"spoils": spoils, "asks": asks}, images=2, out=tmp_path / "after", progress=False)
    for figure in ("segment_mass", "cue_auc"):
        np.testing.assert_array_equal(after.values["asks"][figure], alone.values["asks"][figure])


def test_maps_made_with_other_masks_or_offsets_have_other_names():
    for group in (documented, improved):
        few, many = ({name for one in group(masks=n) for name in one.names} for n in (10, 20))
        assert {name for name in few & many if name.startswith("RISE")} == set()
    near, far = ({name for one in documented(offset=n) for name in one.names} for n in (5, 8))
    assert {name for name in near & far if not name.startswith("RISE")} == set()


def test_a_name_does_not_break_the_table():
    table = summarised([Row("plain", 0, "a|b\nc", {"cue_hit": 1.0})]).markdown()
    (line,) = (line for line in table.splitlines() if line.startswith("| a"))
    assert line.startswith(r"| a\|b c ")


def test_everyone_who_takes_part_has_a_name():
    entered = as_contestants(everybody())
    for group in (defaults(), documented(masks=1000), improved(), baselines()):
        assert {one.names for one in group} <= {one.names for one in entered}
    assert [one.names for one in named([], masks=1000, offset=5)] == [one.names for one in entered]
    names = [name for contestant in entered for name in contestant.names]
    for size in (10, 15, 20, 25):
        assert f"HDM {size}/5 black hausdorff to truth" in names
    for p1 in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert f"RISE N=1000 p1={p1} s=8 paper max" in names
    assert "segment" in " ".join(name for one in baselines() for name in one.names)


def test_contestants_are_found_by_name():
    found = [one.names for one in named(["baselines"], masks=10, offset=5)]
    assert found == [one.names for one in baselines()]
    (own,) = named(["os.path:basename"], masks=10, offset=5)
    assert own.names == ("os.path:basename",)
    with pytest.raises(ValueError, match="there is no contestant 'nobody'"):
        named(["nobody"], masks=10, offset=5)
    with pytest.raises(ValueError, match="has no 'basenam'; did you mean 'basename'"):
        named(["os.path:basenam"], masks=10, offset=5)


def test_the_old_word_for_baselines_still_works():
    assert interpret_segmentation.benchmark.opponents is baselines
    found = [one.names for one in named(["opponents"], masks=10, offset=5)]
    assert found == [one.names for one in baselines()]
    with pytest.raises(
        ValueError,
        match="use defaults, documented, improved, baselines, captum, the name of a method, or package",
    ):
        named(["nobody"], masks=10, offset=5)


def test_captum_takes_part_when_it_is_installed(task):
    pytest.importorskip("captum", reason="Captum is not installed")
    network, image, target = task
    occlusion, gradients = captum(size=80, offset=80, steps=4)
    for contestant in (occlusion, gradients):
        assert contestant.explain(network, image, target).shape == (240, 240)


def test_rows_of_a_foreign_file_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("image,map\n1,2\n")
    with pytest.raises(ValueError, match="no file of the benchmark"):
        read_rows(tmp_path / "a.csv")


def test_a_contestant_may_lie_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "my_contestants.py").write_text(
        "def brightness(model, image, target):\n    return image[0]\n"
    )
    monkeypatch.chdir(tmp_path)
    (own,) = named(["my_contestants:brightness"], masks=10, offset=5)
    assert own.names == ("my_contestants:brightness",)
    assert str(tmp_path) not in sys.path
    with pytest.raises(ImportError, match="start in its folder"):
        named(["no_such_contestants:brightness"], masks=10, offset=5)


@pytest.mark.parametrize(
    ("draw", "why"),
    [
        (lambda image: image[0, :100], r"must be \[240, 240\] numbers, got \[100, 240\]"),
        (lambda image: image, r"must be \[240, 240\] numbers, got \[1, 240, 240\]"),
        (lambda image: image[0] * float("nan"), "NaN"),
        (lambda image: int(image.max()) // 0, "ZeroDivisionError"),
    ],
)
def test_a_contestant_that_fails_is_named_and_the_others_go_on(tmp_path, draw, why):
    asked = []

    def broken(_model, image, _target):
        asked.append(image)
        return draw(image)

    entered = {"broken": broken, "bright": brightness}
    with pytest.raises(
        RuntimeError,
        match=f"broken failed on image 0 of plain: .*{why}.*not asked about further images",
    ):
        benchmark(entered, images=2, out=tmp_path, progress=False)
    assert len(asked) == 1
    assert [row.key for row in read_rows(tmp_path / "rows.csv")] == [
        ("plain", number, "bright", "") for number in range(2)
    ]
    assert "| bright " in (tmp_path / "plain.md").read_text()


def test_where_everybody_fails_each_is_named(tmp_path):
    with pytest.raises(RuntimeError, match=r"a failed on image 0 .*; b failed on image 0 "):
        benchmark({"a": lambda *_: 1 / 0, "b": lambda *_: 1 / 0}, images=1, out=tmp_path, progress=False)


def test_how_each_figure_is_read_is_what_its_metric_says():
    found = {name: text.split(", ", 1)[1:] for name, text in FIGURES.items()}
    assert found == {
        "cue_auc": ["0 to 1, higher is better"],
        "cue_hit": ["0 to 1, higher is better"],
        "cue_mass": ["0 to 1, higher is better"],
        "distractor_mass": ["0 to 1, lower is better"],
        "segment_mass": ["0 to 1"],
        "segment_hit": ["0 to 1"],
        "cue_auc_others": ["0 to 1, higher is better"],
        "power_rank": [
            (
                "measured by intervention, on the map's highest pixels, of the most that can be, "
                "0 to 1, higher is better"
            )
        ],
        "power_hit": ["0 to 1, higher is better"],
        "power_within": ["0 to 1, higher is better"],
        "contrast_rank": ["for what decides between the two deciding shapes, 0 to 1, higher is better"],
        "claimed": ["in the map's unit, lower is better"],
        "edge_width": ["lower is sharper"],
        "deletion": ["0 to 1, lower is better"],
        "insertion": ["0 to 1, higher is better"],
        "backwards": [],
        "forwards": [],
        "seconds": ["which its maps share"],
    }
    assert FIGURES["distractor_mass"] == (
        "share of the positive relevance on the distractor, 0 to 1, lower is better"
    )
