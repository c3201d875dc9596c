import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpret_segmentation import HDM, Occlusion, SegmentationModel, explain, hdm
from interpret_segmentation.perturb.fills.named import as_fill
from interpret_segmentation.perturb.fills.simple import Noise
from interpret_segmentation.perturb.masks.parts import slic
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.scores.registry import dice, hausdorff, hausdorff_of_rows, iou
from interpret_segmentation.scores.surface import average_surface_distance, hausdorff95

SPACE, VOLUME = (17, 26), (5, 9, 11)


def picture(space=SPACE, channels=2):
    image = 0.3 * torch.rand(channels, *space, generator=torch.Generator().manual_seed(0))
    image[(..., *(slice(side // 4, side // 4 + side // 3 + 1) for side in space))] += 0.6
    return image


def network(images):
    bright = (2 * images[:, :1] + images[:, -1:]) / 3
    return torch.sigmoid(12 * ((bright + bright.roll(1, -1)) / 2 - 0.5))


def asked(image):
    """Probability and segment of one image, as arrays."""
    probability = network(image[None])[0, 0].numpy()
    return probability, probability > 0.5


def occlude(image=None, model=network, target=None, reference=None, batch_size=None, **arguments):
    image = picture() if image is None else image
    asked_as = SegmentationModel(model, dims=image.ndim - 1)
    return Occlusion(**{"fill": "black", "shape": "circle"} | arguments).explain(
        asked_as, image, target, reference, batch_size=batch_size, progress=False
    )


BY_HAND = {
    "hausdorff": lambda _p, s, _q, r: hausdorff(s, r),
    "hausdorff95": lambda _p, s, _q, r: hausdorff95(s, r),
    "surface_distance": lambda _p, s, _q, r: average_surface_distance(s, r),
    "hausdorff_of_rows": lambda p, _s, q, _r: hausdorff_of_rows(p, q),
    "mse": lambda p, _s, q, _r: np.square(p.astype(float) - q).mean(),
    "dice": lambda _p, s, _q, r: -dice(s, r),
    "iou": lambda _p, s, _q, r: -iou(s, r),
    "probability": lambda p, _s, _q, r: -p[r].mean(dtype=float),
}
"""How bad a segmentation is: probability p and segment s against those of the unmasked image, q and r."""


def windows_by_hand(space, size, offset, shape):
    """Every position, pixel by pixel; the first windows begin as far outside as the last ones end there."""
    side = size + 1 if shape == "circle" else size
    start = -((side - offset) // 2) if side > offset else 0
    grid = np.stack(np.indices(space), axis=-1)
    for corner in itertools.product(*(range(start, start + whole, offset) for whole in space)):
        inside = grid - np.array(corner)
        hidden = ((inside >= 0) & (inside < side)).all(axis=-1)
        if shape == "circle":
            if len(space) == 2:
                disc = Windows((side, side), size, side).hidden(np.array([0]))[0].numpy()
                hidden[hidden] = disc[tuple(inside[hidden].T)]
            else:
                hidden &= np.square(inside - size / 2).sum(axis=-1) <= (side / 2) ** 2
        yield hidden


def by_brute_force(
    image, masks, score, merge="mean", *, fill=0.0, channel=None, spare=None, within=None, share="change"
):
    """Map and reached pixels, mask by mask; ``within`` says for each mask whether it is used."""
    changes = []
    for plane in range(len(image)) if channel is None else [channel]:
        away = np.abs(np.asarray((fill if isinstance(fill, float) else fill[plane]) - image[plane], float))
        changes.append(away / (away.max() or 1))
    change = np.mean(changes, axis=0)
    masks = [mask if spare is None else mask & ~spare for mask in masks]
    kept = [mask for number, mask in enumerate(masks) if within is None or within[number]]
    probability, segment = asked(image)
    values, strongest = np.full((len(kept), *image.shape[1:]), np.nan), 0.0
    badness = BY_HAND[score]
    for number, mask in enumerate(kept):
        seen = image.clone()
        for plane in range(len(image)):
            if channel in (None, plane):
                seen[plane][torch.from_numpy(mask)] = fill if isinstance(fill, float) else fill[plane][mask]
        damage = badness(*asked(seen), probability, segment) - badness(
            probability, segment, probability, segment
        )
        strongest = max(strongest, abs(damage))
        changed = change[mask] / (change[mask].mean() if change[mask].any() else 1)
        values[number][mask] = damage * (changed if share == "change" else 1)
    reached = ~np.isnan(values).all(axis=0)
    painted = np.zeros(image.shape[1:])
    painted[reached] = (np.nanmean if merge == "mean" else np.nanmax)(values[:, reached], axis=0)
    if np.abs(painted).max() > strongest:
        painted *= strongest / np.abs(painted).max()
    return painted, reached


def check(made, expected):
    painted, reached = expected
    np.testing.assert_array_equal(made.reached, reached)
    np.testing.assert_allclose(made.saliency, painted, atol=1e-6)
    assert painted.any()
    assert (made.saliency[~reached] == 0).all()


class TestAgainstHidingByHand:
    @pytest.mark.parametrize("merge", ["mean", "max"])
    @pytest.mark.parametrize("score", BY_HAND)
    def test_every_score(self, score, merge):
        masks = list(windows_by_hand(SPACE, 5, 4, "circle"))
        made = occlude(size=5, offset=4, score=score, merge=merge)
        check(made, by_brute_force(picture(), masks, score, merge))
        assert made.measured["scores"].shape == (len(masks),)

    @pytest.mark.parametrize("score", [score for score in BY_HAND if score != "hausdorff_of_rows"])
    @pytest.mark.parametrize("shape", ["circle", "square"])
    def test_in_volumes(self, shape, score):
        volume = picture(VOLUME)
        masks = list(windows_by_hand(VOLUME, 4, 3, shape))
        made = occlude(volume, size=4, offset=3, shape=shape, score=score)
        check(made, by_brute_force(volume, masks, score))

    @pytest.mark.filterwarnings("ignore:.*is never hidden")
    @settings(max_examples=25)
    @given(
        st.tuples(st.integers(1, 14), st.integers(1, 14)) | st.tuples(*[st.integers(1, 6)] * 3),
        st.sampled_from(["circle", "square"]),
        st.integers(1, 9),
        st.integers(1, 7),
        st.sampled_from(["mean", "max"]),
    )
    def test_every_size(self, space, shape, size, offset, merge):
        image = picture(space, 3)
        made = occlude(
            image, target=np.ones(space), size=size, offset=offset, shape=shape, merge=merge, score="mse"
        )
        painted, reached = by_brute_force(image, windows_by_hand(space, size, offset, shape), "mse", merge)
        np.testing.assert_array_equal(made.reached, reached)
        np.testing.assert_allclose(made.saliency, painted, atol=1e-6)

    @pytest.mark.parametrize("fill", [0.0, "mean", "noise", "blur", "white"])
    @pytest.mark.parametrize("channel", [None, 0, 1])
    def test_fills_and_channels(self, fill, channel):
        image = picture()
        pixels = image.numpy()
        planes = {
            "mean": lambda: np.broadcast_to(pixels.mean(axis=(1, 2), keepdims=True), pixels.shape),
            "noise": lambda: Noise().picture(image).numpy(),
            "blur": lambda: as_fill("blur").picture(image).numpy(),
            "white": lambda: np.ones_like(pixels),
        }
        expected = by_brute_force(
            image, windows_by_hand(SPACE, 5, 4, "square"), "probability",
            fill=fill if isinstance(fill, float) else torch.tensor(planes[fill]()), channel=channel,
        )  # fmt: skip
        check(
            occlude(shape="square", size=5, offset=4, score="probability", fill=fill, channel=channel),
            expected,
        )

    def test_another_picture_as_the_fill(self):
        other = picture().flip(-1)
        expected = by_brute_force(picture(), windows_by_hand(SPACE, 6, 5, "circle"), "dice", fill=other)
        for fill in (other, other.numpy(), other.double()):
            check(occlude(size=6, offset=5, score="dice", fill=fill), expected)

    @pytest.mark.parametrize("space", [SPACE, VOLUME])
    def test_spare_and_within(self, space):
        image = picture(space)
        segment = asked(image)[1]
        spare, within = segment, np.zeros(space, dtype=bool)
        within[..., : space[-1] // 2] = True
        masks = list(windows_by_hand(space, 4, 3, "square"))
        start = Windows.covering(space, 4, 3, "square").start
        corners = itertools.product(*(range(start, start + whole, 3) for whole in space))
        centres = [tuple(np.clip(np.add(corner, 2), 0, np.array(space) - 1)) for corner in corners]
        made = occlude(
            image, shape="square", size=4, offset=3, score="probability", spare="segment", within=within
        )
        expected = by_brute_force(
            image, masks, "probability", spare=spare, within=[within[centre] for centre in centres]
        )
        check(made, expected)
        assert not (made.reached & segment).any()
        same = occlude(
            image, shape="square", size=4, offset=3, score="probability", spare=segment.astype(int),
            within=torch.from_numpy(within).float(),
        )  # fmt: skip
        np.testing.assert_array_equal(same.saliency, made.saliency)

    def test_the_users_own_parts(self):
        parts = np.random.default_rng(0).integers(-1, 6, SPACE) * 7
        masks = [parts == number for number in (0, 7, 14, 21, 28, 35)]
        for shape in (parts, torch.from_numpy(parts), parts.astype(np.int8)):
            made = occlude(shape=shape, score="probability")
            check(made, by_brute_force(picture(), masks, "probability", share="even"))
            np.testing.assert_array_equal(made.reached, parts >= 0)

    def test_parts_within_a_region(self):
        parts = np.arange(17 * 26).reshape(SPACE) // 40
        within = np.zeros(SPACE, dtype=bool)
        within[:9] = True
        masks = [parts == number for number in range(12)]
        used = [(mask & within).sum() * 2 >= mask.sum() for mask in masks]
        assert 0 < sum(used) < 12
        made = occlude(shape=parts, score="probability", within=within)
        check(made, by_brute_force(picture(), masks, "probability", within=used, share="even"))

    def test_superpixels(self):
        labels = slic(picture(), 20).labels
        masks = [labels == number for number in range(labels.max() + 1)]
        made = occlude(shape="superpixels", count=20, score="probability")
        check(made, by_brute_force(picture(), masks, "probability", share="even"))
        np.testing.assert_array_equal(made.measured["parts"], labels)

    def test_parts_share_by_change_when_told_and_windows_evenly(self):
        parts = np.arange(17 * 26).reshape(SPACE) // 40
        masks = [parts == number for number in range(12)]
        made = occlude(shape=parts, score="probability", share="change")
        check(made, by_brute_force(picture(), masks, "probability"))
        means = np.array([made.saliency[mask].mean() for mask in masks])
        damages = made.measured["baseline"] - made.measured["scores"]
        factor = means.sum() / damages.sum()
        assert 0 < factor <= 1
        np.testing.assert_allclose(means, factor * damages, atol=1e-6)
        assert np.abs(made.saliency).max() == pytest.approx(np.abs(damages).max())
        windows = list(windows_by_hand(SPACE, 5, 4, "square"))
        made = occlude(shape="square", size=5, offset=4, score="mse", share="even")
        check(made, by_brute_force(picture(), windows, "mse", share="even"))


def test_a_pixel_that_is_like_the_fill_has_no_share():
    image, _ = scene(stray=False)
    made = occlude(image, clamped, size=6, offset=3, shape="square", score="mae")
    assert (made.saliency[image[0].numpy() == 0] == 0).all()
    even = occlude(image, clamped, size=6, offset=3, shape="square", score="mae", share="even")
    assert even.saliency[3, 8] > 0
    assert "by how much hiding changes them" in made.sentences()[0]
    assert "by how much" not in even.sentences()[0]
    lost, whole = (np.nan_to_num(one.with_layer("lost").saliency) for one in (made, even))
    assert not lost[image[0].numpy() == 0].any()
    assert whole[3, 8] > 0


def test_channels_count_alike_whatever_their_units():
    image = picture()
    scaled, weight = image.clone(), torch.ones(len(image), 1, 1)
    weight[0] = 1000.0
    scaled[0] *= 1000
    maps = [
        occlude(given, lambda images, weight=weight: network(images / weight), size=5, offset=4, score="mse")
        for given, weight in ((image, torch.ones(len(image), 1, 1)), (scaled, weight))
    ]
    np.testing.assert_allclose(maps[0].saliency, maps[1].saliency, atol=1e-6)


@pytest.mark.parametrize("fill", ["inpaint", "local_mean", "noisy_linear"])
def test_fills_that_look_at_the_hole_share_evenly(fill):
    made = occlude(size=6, offset=5, score="mse", fill=fill, shape="square")
    assert not made.recipe.method.shares_by_change
    black = made.repeat(network, fill="black", progress=False)
    assert black.recipe.method.shares_by_change
    assert not black.repeat(network, fill=fill, progress=False).recipe.method.shares_by_change
    with pytest.raises(ValueError, match=r"share='change' needs a fill that is one picture .* share='even'"):
        occlude(size=6, offset=5, score="mse", fill=fill, share="change")


def test_there_are_two_ways_to_share():
    with pytest.raises(ValueError, match="share must be 'change' or 'even', got 'all'"):
        Occlusion(share="all")
    with pytest.raises(ValueError, match="share must be 'change' or 'even', got 3"):
        explain(network, picture(), "hdm", share=3)


@settings(max_examples=15)
@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from(["hausdorff", "probability", "mse"]))
def test_the_batch_size_does_not_matter(one, other, score):
    parts = np.arange(17 * 26).reshape(SPACE) // 11
    for shape, fill in (("circle", "local_mean"), (parts, "noise")):
        maps = [
            occlude(shape=shape, size=5, offset=4, fill=fill, score=score, batch_size=size).saliency
            for size in (one, other)
        ]
        # The network itself may round differently, a batch or an image at a time.
        np.testing.assert_allclose(*maps, atol=0 if score == "hausdorff" else 1e-9)


@pytest.mark.parametrize("space", [SPACE, VOLUME])
@pytest.mark.parametrize("distance", ["hausdorff", "hausdorff95", "mse"])
def test_hausdorff_distance_masks_are_occlusion_with_circles_from_the_corner(monkeypatch, space, distance):
    image = picture(space)
    mine = explain(
        network, image, "hdm", circle_size=4, offset=3, distance=distance, fill="black", dims=len(space),
        progress=False,
    )  # fmt: skip
    monkeypatch.setattr(Windows, "covering", classmethod(lambda cls, *what: cls(*what, start=0)))
    same = occlude(image, size=4, offset=3, score=distance)
    np.testing.assert_array_equal(mine.saliency, same.saliency)
    np.testing.assert_array_equal(mine.reached, same.reached)
    np.testing.assert_array_equal(mine.distances(hdm.RAW).ravel(), same.measured["scores"])
    assert mine.baseline == same.measured["baseline"]
    assert (mine.meaning, mine.unit) == (same.meaning, same.unit)


def scene(*, stray):
    """A bright block, which is right, and one apart from it, which is not; and the truth."""
    image, truth = torch.zeros(1, *SPACE), np.zeros(SPACE, dtype=bool)
    image[0, 4:12, 6:14] = 1
    truth[4:12, 6:14] = True
    if stray:
        image[0, 2:4, 22:24] = 1
    return image, truth


def clamped(images):
    return images.clamp(0, 1)


@pytest.mark.parametrize("merge", ["mean", "max"])
@pytest.mark.parametrize("score", BY_HAND)
def test_hiding_what_helps_is_positive(score, merge):
    image, truth = scene(stray=False)
    made = occlude(
        image, clamped, reference=truth, size=3, offset=2, score=score, shape="square", merge=merge
    )
    assert (made.saliency >= 0).all()
    assert made.saliency[truth].max() > 0
    assert (made.saliency[15:, :3] == 0).all()
    assert not made.signed


@pytest.mark.parametrize("score", [score for score in BY_HAND if score != "probability"])
def test_hiding_what_harms_is_negative(score):
    image, truth = scene(stray=True)
    made = occlude(image, clamped, reference=truth, size=3, offset=2, score=score, shape="square")
    assert (made.saliency[2:4, 22:24] < 0).all()
    assert made.signed


def test_a_function_is_a_distance():
    def missing(output, reference):
        return float((reference - output).clip(0).sum())

    made = occlude(size=5, offset=4, score=missing)
    assert made.saliency.max() > 0
    assert made.meaning == "growth of missing when hidden"
    assert made.unit == ""


def spot_makes_an_error(images):
    """Draws a true square, and a false one as far as a distant spot in the second channel is bright."""
    maps = torch.full_like(images[:, :1], -6)
    maps[:, :, 5:15, 5:15] = 6
    maps[:, :, 25:35, 10:20] = (images[:, 1:2, 20:26, 40:46].mean((2, 3), keepdim=True) - 0.5) * 12
    return maps


def with_a_spot():
    image = torch.zeros(2, 40, 60)
    image[1, 20:26, 40:46] = 1
    truth = np.zeros((40, 60))
    truth[5:15, 5:15] = 1
    return image, truth


@pytest.mark.parametrize(("method", "settings"), [
    ("hdm", {}), ("occlusion", {}), ("occlusion", {"merge": "max"}), ("rise", {"N": 600, "seed": 0}),
    ("occlusion", {"score": "dice", "size": 5}), ("occlusion", {"score": "probability"}),
])  # fmt: skip
def test_what_makes_a_false_positive_is_positive_with_every_method_and_score(method, settings):
    image, truth = with_a_spot()
    asked = {"target": "false-positives", "reference": truth, "progress": False}
    made = explain(spot_makes_an_error, image, method, **asked, **settings)
    row, column = np.unravel_index(np.abs(made.saliency).argmax(), made.saliency.shape)
    assert np.hypot(row - 22.5, column - 42.5) < 12
    assert made.saliency[row, column] > 0
    if method != "rise":  # whose estimate is noisy everywhere
        assert (made.saliency[:, :25] == 0).all()


@pytest.mark.parametrize("method", ["hdm", "occlusion"])
def test_what_makes_a_false_negative_is_positive(method):
    image, truth = with_a_spot()

    def suppressed(images):
        return -spot_makes_an_error(images)

    missing = np.zeros_like(truth)
    missing[25:35, 10:20] = 1
    made = explain(suppressed, image, method, target="false-negatives", reference=missing, progress=False)
    assert made.saliency[20:26, 40:46].max() == np.abs(made.saliency).max() > 0


def test_an_improvement_does_not_vanish_under_neighbours_that_change_nothing():
    image, truth = with_a_spot()
    hide = Occlusion(shape="circle", score="hausdorff", size=5, merge="max")
    for method in (hide, HDM(circle_size=5, distance="hausdorff")):
        made = explain(spot_makes_an_error, image, method, reference=truth, progress=False)
        assert made.saliency[20:26, 40:46].min() < 0
        assert made.meaning == "growth of Hausdorff distance when hidden"


def test_a_pixel_left_out_is_explained_alike_with_one_class_and_with_two():
    image = torch.zeros(1, 40, 60)
    image[0, 20:26, 40:46] = 1

    def one(images):
        return (0.5 - images[:, :1, 20:26, 40:46].mean((2, 3), keepdim=True)) * torch.full_like(images, 12)

    def two(images):
        return torch.cat([-one(images) / 2, one(images) / 2], dim=1)

    hide = Occlusion(shape="circle", score="probability", size=8, offset=4)
    maps = [explain(model, image, hide, target=(30, 15), progress=False) for model in (one, two)]
    assert maps[0].saliency[23, 43] > 0.5
    np.testing.assert_allclose(maps[0].saliency, maps[1].saliency, atol=1e-6)


def test_an_empty_segment_is_said_to_be_empty():
    with pytest.warns(UserWarning, match="the network puts no pixel in this segment .*what makes one appear"):
        explain(lambda images: images * 9 - 20, torch.rand(1, 20, 30), "occlusion", progress=False)


def test_a_warning_points_at_the_line_of_the_user():
    with pytest.warns(UserWarning, match="no pixel in this segment") as caught:
        explain(lambda images: images * 9 - 20, torch.rand(1, 20, 30), "occlusion", progress=False)
    assert [warning.filename for warning in caught] == [__file__]


def test_what_cannot_be_explained_is_not_warned_about_as_well(recwarn):
    with pytest.raises(ValueError, match="there is nothing to explain"):
        explain(lambda images: images * 9 - 20, torch.rand(1, 20, 30), "rise", N=10, progress=False)
    assert not recwarn.list


def test_a_window_much_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="size is 5000 pixels, but the image's longest side 50"):
        explain(lambda images: images, torch.rand(1, 40, 50), "occlusion", size=5000, progress=False)


def test_a_function_that_writes_into_what_it_gets_changes_nothing():
    def gentle(output, reference):
        return float(abs(output - reference).mean())

    def rude(output, reference):
        value = gentle(output, reference)
        output[:] = reference[:] = 0
        return value

    np.testing.assert_array_equal(
        occlude(size=5, offset=4, score=rude).saliency, occlude(size=5, offset=4, score=gentle).saliency
    )
    assert occlude(size=5, offset=4, score=rude).prediction.any()


def test_the_map_says_what_it_means():
    assert occlude(score="dice").meaning == "loss of Dice coefficient when hidden"
    made = occlude(score="hausdorff", spacing=(2, 0.5))
    assert (made.meaning, made.unit) == ("growth of Hausdorff distance when hidden", "unit of the spacing")
    assert occlude(score="hausdorff").unit == "pixels"
    assert occlude(score="dice", spacing=(2, 0.5)).unit == ""


@pytest.mark.parametrize("score", ["hausdorff", "hausdorff95", "surface_distance"])
def test_distances_are_in_the_unit_of_the_spacing(score):
    plain, wide = (occlude(size=5, offset=4, score=score, spacing=spacing) for spacing in (None, (3, 3)))
    np.testing.assert_allclose(wide.saliency, 3 * plain.saliency, atol=1e-6)
    assert wide.saliency.any()


class TestNothingToHide:
    @pytest.mark.parametrize("arguments", [
        {"within": np.zeros(SPACE)},
        {"spare": np.ones(SPACE)},
        {"spare": "segment", "within": "segment", "shape": "square", "size": 1, "offset": 1},
        {"shape": np.zeros(SPACE, int), "spare": np.ones(SPACE)},
        {"shape": np.zeros(SPACE, int), "within": np.eye(*SPACE)},
    ], ids=str)  # fmt: skip
    def test_is_one_clear_error(self, arguments):
        with pytest.raises(ValueError, match="there is nothing to hide"):
            occlude(**arguments)

    def test_parts_that_are_all_negative(self):
        with pytest.raises(ValueError, match="hold no part"):
            occlude(shape=np.full(SPACE, -1))


def test_settings_print_compare_and_are_hashed():
    one, other = (Occlusion(size=5, within=np.ones(SPACE)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != Occlusion(size=5)
    assert repr(Occlusion()) == "Occlusion(fill=Constant())" or repr(Occlusion()) == "Occlusion()"
    assert repr(HDM()) == "HDM()"
    assert "size=5" in repr(one)
    with pytest.raises(AttributeError):
        one.size = 7
