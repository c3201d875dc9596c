"""What a hidden part takes from the segment and what it adds, against a loop by hand."""

import warnings

import numpy as np
import pytest
import torch
from scipy.spatial.distance import directed_hausdorff

from interpret_segmentation import HDM, Explanation, Occlusion, explain
from interpret_segmentation.scores.hausdorff_distance import HausdorffTo

SPACE = (31, 44)
NAMES = ("lost", "gained", "gained_inside")


def image():
    pixels = torch.full((1, *SPACE), 0.3)
    pixels[:, 10:20, 12:25] = 0.9
    pixels[:, 3:6, 30:40] = 0.6
    return pixels


def network(batch):
    """Bright pixels, and dark ones; the far bar only as long as the object has its corner."""
    corner = batch[:, :, 10:12, 12:14].amin((2, 3), keepdim=True)
    bar = torch.zeros_like(batch)
    bar[..., 3:6, 30:40] = 1
    bright = torch.where(bar > 0, corner - 0.5, batch - 0.7)
    return 20 * torch.maximum(bright, 0.1 - batch)


def by_hand(made):
    """The same from the images themselves."""
    old = made.segment
    rows = []
    fill = (
        made.recipe.method.filled_with().for_segment(old).values(image()[0][None], torch.zeros(1, *SPACE) > 0)
    )
    for probe in made.probes():
        masked = torch.where(torch.from_numpy(probe.hidden), fill[0], image())
        new = (network(masked[None])[0, 0] > 0).numpy()
        both = old.any() and new.any()
        far = float(np.linalg.norm(np.array(SPACE) - 1))
        there = directed_hausdorff(np.argwhere(new), np.argwhere(old))[0] if both else 0.0
        back = directed_hausdorff(np.argwhere(old), np.argwhere(new))[0] if both else far * old.any()
        gained = new & ~old
        rows.append(
            (
                (old & ~new).sum(), (gained & ~probe.hidden).sum(), (gained & probe.hidden).sum(),
                back, there if old.any() else far * new.any(),
            )
        )  # fmt: skip
    return np.array(rows, dtype=float).T


@pytest.mark.parametrize("fill", ["black", "background", 0.8])
@pytest.mark.parametrize("incremental", [True, False])
def test_every_position_has_what_a_loop_by_hand_finds(fill, incremental):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="incremental=True, but")
        made = explain(
            network, image(), HDM(circle_size=7, offset=4, fill=fill, distance="hausdorff"), progress=False,
            incremental=incremental,
        )  # fmt: skip
    found = [made.measured[name] for name in (*NAMES, "old_to_new", "new_to_old")]
    np.testing.assert_allclose(found, by_hand(made))
    distances = made.measured["distances"].ravel()
    np.testing.assert_allclose(np.maximum(*found[3:]), distances)  # the Hausdorff distance is the larger


@pytest.mark.parametrize("share", ["change", "even"])
def test_layers_are_painted_like_the_map_and_kept_in_the_file(share, tmp_path):
    method = Occlusion(shape="circle", size=7, offset=4, fill="black", share=share)
    made = explain(network, image(), method, progress=False)
    layers = {layer.name: layer for layer in made.layers()}
    assert list(layers) == ["map", "lost", "gained_inside"]  # nothing was gained elsewhere
    lost = np.zeros(SPACE)
    count = np.zeros(SPACE)
    change = np.abs(made.image[0]).astype(np.float64) if share == "change" else np.ones(SPACE)
    for probe, value in zip(made.probes(), made.measured["lost"], strict=True):
        lost[probe.hidden] += value * change[probe.hidden] / (change[probe.hidden].mean() or 1)
        count[probe.hidden] += 1
    wanted = lost / count
    if share == "change":
        wanted *= made.measured["lost"].max() / wanted.max()
    np.testing.assert_allclose(layers["lost"].values, wanted, rtol=1e-6)
    loaded = Explanation.load(made.save(tmp_path / "a.safetensors"))
    assert [layer.name for layer in loaded.layers()] == list(layers)
    np.testing.assert_allclose(loaded.layers()[1].values, layers["lost"].values)
    assert all(np.array_equal(one.values, layers[one.name].values) for one in loaded.layers())
    drawn = loaded.with_layer("gained_inside")
    np.testing.assert_array_equal(drawn.saliency, layers["gained_inside"].values)
    assert (drawn.unit, drawn.target) == ("pixels", made.target)
    with pytest.raises(ValueError, match="no layer 'found'; this result has 'map', 'lost', 'gained_inside'"):
        made.with_layer("found")


@pytest.mark.parametrize("kind", [HDM, Occlusion])
def test_layers_leave_out_what_is_spared_and_count_the_channel_that_is_hidden(kind, tmp_path):
    pixels = torch.stack([image()[0], image()[0].flip(-1)])
    spare = np.zeros(SPACE, dtype=bool)
    spare[:, ::3] = True
    method = kind(size=7, offset=4, fill="black", shape="circle", spare=spare, channel=0)
    made = explain(lambda batch: network(batch[:, :1]), pixels, method, progress=False)
    change = pixels[0].abs().double().numpy()
    lost, count = np.zeros(SPACE), np.zeros(SPACE)
    for probe, value in zip(made.probes(), made.measured["lost"], strict=True):
        lost[probe.hidden] += value * change[probe.hidden] / (change[probe.hidden].mean() or 1)
        count[probe.hidden] += 1
    assert not count[spare].any()
    wanted = lost / np.where(count == 0, np.nan, count)
    wanted *= min(1, made.measured["lost"].max() / np.nanmax(wanted))
    for one in (made, Explanation.load(made.save(tmp_path / "a.safetensors"))):
        (found,) = [layer.values for layer in one.layers() if layer.name == "lost"]
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("method", ["hdm", "occlusion"])
def test_a_result_with_another_layer_can_be_told_drawn_and_kept(method, tmp_path):
    made = explain(network, image(), method, size=7, offset=4, fill="black", progress=False)
    for name in [layer.name for layer in made.layers()]:
        other = made.with_layer(name)
        assert type(other) is type(made)
        assert other.sentences()
        loaded = Explanation.load(other.save(tmp_path / f"{name}.safetensors"))
        np.testing.assert_array_equal(loaded.saliency, other.saliency)
        assert loaded.meaning == other.meaning


def test_only_what_counts_for_the_target_is_told():
    made = explain(
        network, image(), Occlusion(shape="circle", size=7, offset=4), target="component:0", progress=False
    )
    assert made.measured["lost"].max() > 0
    whole = explain(network, image(), Occlusion(shape="circle", size=7, offset=4), progress=False)
    assert made.measured["lost"].sum() < whole.measured["lost"].sum()  # without the bar


class TestHolesThatAreObjects:
    def wall(self):
        pixels = torch.full((1, 60, 80), 0.7)
        pixels[:, 20:40, 30:50] = 0.05
        return pixels

    def dark(self, batch):
        return 20 * (0.4 - batch)

    @pytest.mark.parametrize("method", ["hdm", "occlusion"])
    def test_they_are_told_in_warning_result_figure_and_report(self, method, tmp_path):
        with pytest.warns(
            UserWarning, match=r"in \d+ of the \d+ positions that changed the segment the hole"
        ):
            made = explain(self.dark, self.wall(), method, fill="black", progress=False)
        (note,) = made.notes
        assert note.endswith("see whether fill='background' or 'inpaint' does better.")  # nothing is lost
        assert note in made.sentences()
        loaded = Explanation.load(made.save(tmp_path / "a.safetensors"))
        assert loaded.notes == (note,)
        assert "became segment" in loaded.figure().get_supxlabel()
        assert "became segment" in made.report(tmp_path / "a.html").read_text(encoding="utf-8")

    def test_the_layer_of_what_is_lost_is_named_where_there_is_one(self):
        pixels = self.wall()
        pixels[:, 20:40, 30:50] = 0.05
        with pytest.warns(UserWarning, match=r"or look at result.with_layer\('lost'\)"):
            made = explain(
                lambda batch: 20 * (0.4 - batch) - 30 * (batch.amin(dim=(-2, -1), keepdim=True) < 0.01) * (
                    torch.arange(80) < 40
                ) * (batch > 0.01),
                pixels, "occlusion", fill="black", progress=False,
            )  # fmt: skip
        assert made.with_layer("lost").saliency.any()

    @pytest.mark.parametrize("method", ["hdm", "occlusion", "rise"])
    def test_the_default_fill_makes_none(self, method):
        settings = {"N": 30, "seed": 0} if method == "rise" else {}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made = explain(self.dark, self.wall(), method, progress=False, **settings)
        assert made.notes == ()
        assert made.saliency.max() > 0

    def test_a_twentieth_of_the_positions_is_the_measure_and_half_of_a_hole(self):
        from interpret_segmentation.inference.movements import Movements
        from interpret_segmentation.perturb.masks.windows import Windows
        from interpret_segmentation.targets.objective import Prediction
        from interpret_segmentation.targets.targets import Class

        segment = np.zeros((4, 40), dtype=bool)
        segment[:, 0] = True
        windows = Windows((4, 40), 4, 4, "square")
        prediction = Prediction(torch.from_numpy(segment[None].astype(np.float32)), exclusive=False)
        objective = Class(0).resolve(prediction)

        def drawing(holes, share, changed=20):
            moved = Movements(objective, segment, windows, np.tile(np.arange(10), 2), None)
            for number in range(changed):
                new = segment.copy()
                hole = windows.hidden(np.array([number % 10]))[0].numpy()
                if number < holes:
                    new.flat[np.flatnonzero(hole & ~segment)[: int(share * hole.sum())]] = True
                else:
                    new[0, 0] = False
                moved.take(number, new)
            return moved.draws_holes

        assert not drawing(1, 0.75)  # one of twenty
        assert drawing(2, 0.75)
        assert not drawing(20, 0.04)
        assert drawing(20, 0.1)  # nothing is lost


def test_directed_distances_are_those_of_scipy():
    random = np.random.default_rng(0)
    for trial in range(200):
        shape = (13, 17) if trial % 2 else (5, 6, 7)
        one, other = (random.random(shape) < random.choice([0.02, 0.3, 0.9]) for _ in range(2))
        if trial % 3 == 0:
            one = other ^ (random.random(shape) < 0.05)
        spacing = None if trial % 5 else (0.5, 2.0, 1.0)[: len(shape)]
        scale = np.array(spacing or (1,) * len(shape))
        if not (one.any() and other.any()):
            continue
        expected = [
            directed_hausdorff(np.argwhere(a) * scale, np.argwhere(b) * scale)[0]
            for a, b in ((one, other), (other, one))
        ]
        np.testing.assert_allclose(HausdorffTo(other, spacing=spacing).directed(one), expected)
    empty, some = np.zeros((3, 4), dtype=bool), np.eye(3, 4) > 0
    far = float(np.hypot(2, 3))
    assert HausdorffTo(some).directed(empty) == (0, far)
    assert HausdorffTo(empty).directed(some) == (far, 0)
    assert HausdorffTo(empty).directed(empty) == (0, 0)


def test_holes_that_are_drawn_with_a_margin_are_told_too():
    wall = torch.full((1, 60, 80), 0.9)
    wall[:, 16:44, 26:58] = 0.1

    def with_margin(batch):
        return 20 * (-torch.nn.functional.max_pool2d(-(batch < 0.2).float(), 9, 1, 4)) - 10

    with pytest.warns(UserWarning, match="the hole itself, or part of it, became segment"):
        explain(with_margin, wall, "hdm", fill="black", circle_size=16, offset=4, progress=False)
