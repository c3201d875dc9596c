"""The benchmark harness: what it makes of timings, and that contestants are given the same task."""

import pytest
import torch
from benchmarks import contestants, networks, report
from benchmarks.__main__ import main
from benchmarks.contest import Contest, Entry, Timing, ratio
from benchmarks.report import Section, Table
from benchmarks.sections import speedup
from click.testing import CliRunner

pytestmark = pytest.mark.slow

ROOT_PAGE = "before\n\n<!-- table: {} -->\nold\n<!-- end -->\n\nafter\n"


def test_with_two_amounts_a_position_costs_the_difference():
    timing = Timing(counts=(10, 30), seconds=((3.0, 5.0), (3.0, 7.0), (3.0, 9.0)))
    assert [timing.each(number) for number in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    assert timing.each() == pytest.approx(0.2)


def test_a_whole_job_holds_what_is_done_once():
    timing = Timing(counts=(10, 30), seconds=((3.0, 5.0),))
    assert timing.whole(30) == 5
    assert timing.whole(130) == pytest.approx(15)
    assert timing.extrapolated(30) == ""
    assert "30 positions" in timing.extrapolated(130)


def test_with_one_amount_a_position_costs_its_share():
    assert Timing(counts=(4,), seconds=((2.0,),)).whole(10) == 5


def test_two_short_measurements_cannot_make_a_position_free():
    assert Timing(counts=(10, 20), seconds=((2.0, 1.0),)).each() == pytest.approx(0.1 * 1.0 / 20)


def test_a_ratio_compares_neighbours_in_a_round():
    slow = Timing(counts=(1,), seconds=((10.0,), (20.0,), (90.0,)))
    fast = Timing(counts=(1,), seconds=((5.0,), (5.0,), (30.0,)))
    assert ratio(slow, fast) == 3


def test_who_failed_has_no_ratio():
    with pytest.raises(RuntimeError, match="no memory"):
        ratio(Timing(failure="no memory"), Timing(counts=(1,), seconds=((1.0,),)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (3.14159, "3.14"),
        (1234.5, "1,234"),
        (0.00012, "1e-04"),
        ("a", "a"),
        (0, "0"),
    ],
)
def test_a_cell_shows_three_digits(value, text):
    assert report.cell(value) == text


def test_a_page_gets_the_tables_that_it_asks_for(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(ROOT_PAGE.format("speed/one"), encoding="utf-8")
    section = Section(
        "speed", "Speed", [Table("one", "One", [{"who": "we", "s": 1.5}]), Table("two", "Two", [])]
    )
    section.write(tmp_path)
    assert Section.read(tmp_path / "speed.json").markdown() == section.markdown()
    for _ in range(2):
        report.write_into_page(page, tmp_path)
        text = page.read_text(encoding="utf-8")
        assert "| we  | 1.50 |" in text
        assert "old" not in text
        assert "Two" not in text
        assert text.startswith("before")
        assert text.endswith("after\n")


@pytest.mark.parametrize("kind", ["unet", "dilated", "residual"])
def test_an_untrained_network_draws_a_compact_segment_that_it_is_sure_of(kind):
    image = torch.zeros(1, 64, 80)
    image[0, 20:40, 30:60] = 0.8
    image += 0.03 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng([]):
        network = networks.built(kind, image, width=8)
    probability = network(image[None])[0, 0]
    bright = image[0] > networks.BRIGHT
    assert ((probability > 0.5) == bright).float().mean() > 0.85
    assert probability[24:36, 34:56].mean() > 0.8


def test_squares_lie_inside_the_image_and_every_pixel_is_hidden():
    where = contestants.corners(50, 15, 20)
    assert where[0] == (0, 0)
    assert max(where) == (30, 30)
    assert len(where) == 9


@pytest.mark.slow
def test_contestants_in_processes_of_their_own_give_the_same_numbers():
    network = {"kind": "dilated", "width": 4}
    entries = {
        "by hand": Entry("hand_circles", (20,), network, 60, {"circle_size": 13}, batches=(1, 2)),
        "ours": Entry("ours_hdm", (20,), network, 60, {"circle_size": 13}),
        "nobody": Entry("ours_hdm", (20,), network, 60, {"circle_size": -1}),
    }
    with Contest(threads=1, quick=True) as contest:
        timings = contest.compete(entries, rounds=1)
    assert timings["by hand"].values == pytest.approx(timings["ours"].values, abs=1e-5)
    assert timings["by hand"].counts == timings["ours"].counts == (9,)
    assert "circle_size" in (timings["nobody"].failure or "")


def test_every_goal_of_the_speed_up_is_for_a_network_and_a_size_that_are_measured():
    for network, goals in speedup.NETWORKS.values():
        assert network["kind"] in networks.NETWORKS
        assert set(goals) <= set(speedup.AMOUNTS)


def test_throw_away_figures_do_not_reach_the_documentation(tmp_path):
    refused = CliRunner().invoke(main, ["--quick"])
    assert refused.exit_code == 2
    assert "--quick needs --out" in refused.output
    (tmp_path / "file").touch()
    nowhere = CliRunner().invoke(main, ["--only", "gpu", "--out", str(tmp_path / "file" / "folder")])
    assert nowhere.exit_code == 2
    assert "cannot be made" in nowhere.output
