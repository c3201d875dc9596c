"""What windows leave out, what is too large, and a map that says nothing."""

import warnings

import numpy as np
import pytest
import torch

from interpret_segmentation import HDM, RISE, Explanation, Occlusion, explain
from interpret_segmentation.hdm import HausdorffDistanceMasks
from interpret_segmentation.perturb.masks.windows import Windows, size_without_gaps, suitable_size

HIDING = ["hdm", "occlusion"]


def bright(batch):
    return batch[:, :1]


def blob(*space):
    image = torch.zeros(1, *space)
    image[(slice(None), *(slice(side // 3, side // 2 + 1) for side in space))] = 1
    return image


def warned(run):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = run()
    return made, [str(one.message) for one in said if "never hidden" in str(one.message)]


def asked(method, space=(64, 64), **settings):
    return warned(
        lambda: explain(bright, blob(*space), method, target=0, dims=len(space), progress=False, **settings)
    )


def left_out(made):
    return 1 - made.reached.mean()


@pytest.mark.parametrize(
    ("dims", "offset"),
    [*((2, offset) for offset in (*range(1, 13), 17, 32, 33, 40)), *((3, o) for o in (1, 2, 3, 5, 8))],
)
@pytest.mark.parametrize("shape", ["circle", "square"])
def test_the_smallest_window_without_gaps_hides_every_pixel_and_a_smaller_one_does_not(dims, offset, shape):
    def hides(size):
        windows = Windows((7 * offset,) * dims, size, offset, shape)
        numbers = np.arange(len(windows))
        hidden = ~np.isnan(windows.spread(np.zeros(len(numbers)), numbers, "mean"))
        return hidden[(slice(3 * offset, 4 * offset),) * dims].all()

    size = size_without_gaps(offset, dims, shape)
    assert hides(size)
    if size > 1 and offset <= 32:  # from there on circles are not drawn, but estimated
        assert not hides(size - 1)
    assert size_without_gaps(offset, dims, shape, least=size + 3) >= size + 3


class TestAnOffsetByItself:
    @pytest.mark.parametrize("method", HIDING)
    @pytest.mark.parametrize(
        ("space", "offset"), [((64, 64), 8), ((50, 91), 20), ((64, 64), 33), ((24, 24, 24), 5)]
    )
    def test_the_windows_grow_with_it_and_nothing_is_left_out_but_edges(self, method, space, offset):
        made, said = asked(method, space, offset=offset)
        assert not said
        grown = made.settings["circle_size" if method == "hdm" else "size"]
        shape = "circle" if method == "hdm" else "square"
        least = suitable_size(space)
        assert grown == size_without_gaps(offset, len(space), shape, least=least)
        assert left_out(made) < (0.12 if method == "hdm" else 1e-9)

    def test_squares_grow_to_the_offset(self):
        made, _ = asked("occlusion", shape="square", offset=9)
        assert made.settings["size"] == 9
        assert made.reached.all()

    def test_where_windows_are_large_enough_already_they_stay(self):
        assert asked("occlusion", (96, 160), offset=5)[0].settings["size"] == 6

    @pytest.mark.parametrize("method", HIDING)
    def test_beyond_the_image_they_are_as_large_as_it(self, method):
        made, said = asked(method, (20, 30), offset=10**6)
        assert made.settings["circle_size" if method == "hdm" else "size"] == 30
        assert len(said) == (left_out(made) > 0.2)

    @pytest.mark.parametrize("method", HIDING)
    @pytest.mark.parametrize(
        "space", [(30, 40), (64, 64), (5, 200), (16, 16, 16), (8, 24, 24), (3, 3), (1, 30)]
    )
    def test_with_neither_there_are_no_gaps(self, method, space):
        made, said = asked(method, space)
        assert not said
        assert left_out(made) < (0.06 if method == "hdm" else 1e-9)


class TestGaps:
    @pytest.mark.parametrize("method", HIDING)
    @pytest.mark.parametrize("settings", [
        {"size": 4, "offset": 8}, {"size": 2, "offset": 40}, {"size": 1, "offset": 10**6},
        {"size": 5, "offset": 8, "within": np.arange(64 * 64).reshape(64, 64) < 2000},
    ])  # fmt: skip
    def test_the_warning_says_their_share_and_a_cure_that_cures(self, method, settings):
        made, (said,) = asked(method, **settings)
        within = settings.get("within", np.ones((64, 64), bool))
        assert said.startswith(f"{1 - made.reached[within].mean():.0%} of ")
        size, offset = (int(said.split(f"{name}=")[1].split()[0].rstrip(".")) for name in ("size", "offset"))
        for cure in ({"size": size}, {"offset": offset}):
            again, still = asked(method, **{**settings, **cure})
            assert not still
            assert 1 - again.reached[within].mean() < 0.2

    def test_several_sizes_fill_each_others_gaps(self):
        assert asked("occlusion", size=(3, 5), offset=8)[1]
        assert not asked("occlusion", size=(3, 12), offset=8)[1]

    def test_balls_are_called_so(self):
        assert "balls of 3 pixels, 5 pixels apart" in asked("hdm", (16, 16, 16), size=3, offset=5)[1][0]

    @pytest.mark.parametrize("method", HIDING)
    def test_the_result_says_the_share_too(self, method, tmp_path):
        made, _ = asked(method, size=8, offset=8, **({"shape": "circle"} if method == "occlusion" else {}))
        assert f"{left_out(made):.0%} of the image was never hidden." in made.sentences()[0]
        loaded = Explanation.load(made.save(tmp_path / "a.safetensors"))
        assert loaded.sentences() == made.sentences()
        assert "never hidden" not in " ".join(asked(method, size=8, offset=4)[0].sentences())

    def test_parts_that_leave_pixels_out_do_so_on_purpose(self):
        parts = np.full((64, 64), -1)
        parts[20:40, 20:40] = 1
        made, said = asked("occlusion", shape=parts)
        assert not said
        assert "90% of the image was never hidden." in made.sentences()[0]

    def test_the_documented_explainer_is_silent_and_as_it_was(self):
        explainer = HausdorffDistanceMasks(64, 64)
        explainer.generate_masks(4, 8)
        made, said = warned(lambda: explainer.explain(bright, blob(64, 64), progress=False))
        assert not said
        assert left_out(made) > 0.6
        assert type(made.recipe.method) is HDM
        _, said = warned(lambda: explain(bright, blob(64, 64), explainer, progress=False))
        assert not said


@pytest.mark.parametrize(("method", "settings", "name"), [
    ("hdm", {"circle_size": 10**9}, "circle_size"), ("hdm", {"size": 257}, "circle_size"),
    ("occlusion", {"size": 10**9}, "size"), ("occlusion", {"size": (3, 10**9)}, "size"),
])  # fmt: skip
def test_windows_far_larger_than_the_image_are_refused(method, settings, name):
    with pytest.raises(ValueError, match=rf"{name} is \d+ pixels, but the image's longest side 64"):
        explain(bright, blob(64, 64), method, target=0, progress=False, **settings)


class TestAMapThatIsZeroEverywhere:
    @pytest.mark.parametrize("method", [HDM(9, 8), Occlusion(size=9, offset=8), RISE(N=30, seed=0)])
    def test_says_that_nothing_moved(self, method, tmp_path):
        def stubborn(batch):
            return torch.ones(len(batch), 1, *batch.shape[2:]) * (torch.arange(64) > 40)

        made = method.explain(stubborn, blob(64, 64), progress=False)
        assert "nothing that was hidden changed the segment" in " ".join(made.sentences())
        loaded = Explanation.load(made.save(tmp_path / "a.safetensors"))
        assert loaded.sentences() == made.sentences()

    @pytest.mark.parametrize("method", [HDM(9, 8), Occlusion(size=9, offset=8), RISE(N=30, seed=0)])
    def test_and_one_that_is_not_does_not(self, method):
        made = method.explain(bright, blob(64, 64), progress=False)
        assert "nothing" not in " ".join(made.sentences())
