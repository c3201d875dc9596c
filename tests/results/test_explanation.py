import json
import struct
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from interpret_segmentation import (
    HDM,
    RISE,
    Border,
    Class,
    Component,
    Explanation,
    FalseNegatives,
    FalsePositives,
    HausdorffDistanceMasks,
    HDMResult,
    Occlusion,
    Pixel,
    Preprocess,
    Region,
    RISEResult,
    SegmentationModel,
    SegmentationRISE,
    explain,
    hdm,
)
from interpret_segmentation.perturb.fills.simple import Blur, Constant, Noise
from interpret_segmentation.results import Recipe, storage

HEIGHT, WIDTH = 17, 26


def picture(channels=2, space=(HEIGHT, WIDTH)):
    """A bright block on a dim, noisy ground, and a small one apart from it."""
    image = 0.3 * torch.rand(channels, *space, generator=torch.Generator().manual_seed(0))
    image[..., 4:10, 6:17] += 0.6
    image[..., 13:15, 20:24] += 0.6
    return image


def network(images):
    """One class: bright in the mean over all channels, smoothed along the rows."""
    bright = images.mean(dim=1, keepdim=True)
    return torch.sigmoid(12 * ((bright + bright.roll(1, -1)) / 2 - 0.5))


def classes(images):
    """Three classes that exclude each other."""
    bright = images.mean(dim=1, keepdim=True)
    return (-30 * (bright - torch.tensor([0.0, 0.4, 0.8]).view(1, 3, 1, 1)) ** 2).softmax(dim=1)


def truth():
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[3:9, 8:19] = True
    return mask


def labels():
    values = np.zeros((HEIGHT, WIDTH), dtype=np.int16)
    values[3:9, 8:19] = 2
    values[12:16, 2:6] = 1
    return values


def corner():
    region = np.zeros((HEIGHT, WIDTH), dtype=bool)
    region[:9, :14] = True
    return region


FAST = {
    "hdm": {"circle_size": 5, "offset": 4},
    "occlusion": {"size": 5, "offset": 4},
    "rise": {"N": 30, "s": 4, "seed": 3},
}


def run(method, model=network, image=None, **arguments):
    arguments = FAST.get(method, {}) | arguments
    return explain(model, picture() if image is None else image, method, progress=False, **arguments)


def check_recomputed(made, path, model=network, *, flat=False, **again):
    """What is saved, loaded and made again from its own settings is the same to the last bit."""
    loaded = Explanation.load(made.save(path / "made.safetensors"))
    assert loaded == made
    assert type(loaded) is type(made)
    assert bool(made.saliency.any()) != flat
    repeated = [
        loaded.repeat(model, progress=False, **again),
        made.repeat(model, progress=False, **again),
        explain(model, loaded.image, progress=False, **{**loaded.settings, **again}),
    ]
    for one in repeated:
        np.testing.assert_array_equal(one.saliency, made.saliency, strict=True)
        np.testing.assert_array_equal(one.reached, made.reached, strict=True)
        assert one.target == made.target
        assert (one.meaning, one.unit, one.method) == (made.meaning, made.unit, made.method)
    return loaded


EVERY_TARGET = [
    None,
    0,
    (6, 9),
    "segment",
    "class:0",
    "pixel:6,9",
    "component",
    "component:1",
    "component:13,21",
    "border:2",
    "false-positives",
    "false-negatives@0",
    Class(0),
    Pixel((13, 22)),
    Component((6, 9)),
    Component(rank=0, of="truth"),
    Border(2),
    FalsePositives(),
    FalseNegatives(label=0),
    Region(corner()),
    corner().astype(int).tolist(),
    torch.from_numpy(corner()),
]


@pytest.mark.slow
class TestRecomputedFromItsOwnSettings:
    @pytest.mark.parametrize("target", EVERY_TARGET, ids=str)
    @pytest.mark.parametrize("method", ["hdm", "occlusion", "rise"])
    def test_every_target(self, tmp_path, method, target):
        check_recomputed(run(method, target=target, reference=truth()), tmp_path)

    @pytest.mark.parametrize("target", [None, 1, "component@1", "border@2", Pixel((6, 9)), corner()], ids=str)
    @pytest.mark.parametrize("method", ["hdm", "occlusion", "rise"])
    def test_several_classes_and_labels(self, tmp_path, method, target):
        made = run(method, classes, target=target, reference=labels())
        # Near the component there is no ground truth, so that no Hausdorff distance changes.
        flat = isinstance(target, str) and target == "component@1" and method == "hdm"
        check_recomputed(made, tmp_path, classes, flat=flat)

    @pytest.mark.parametrize("reference", [
        truth(), truth().astype(np.uint8), truth().astype(">f4"), torch.from_numpy(truth()).half(),
        torch.from_numpy(truth()).to(torch.bfloat16), truth()[::-1, ::-1][::-1, ::-1], truth().tolist(),
        truth().astype(np.uint16),
    ])  # fmt: skip
    def test_every_kind_of_reference(self, tmp_path, reference):
        check_recomputed(run("occlusion", reference=reference), tmp_path)

    @pytest.mark.parametrize("fill", [
        "black", "white", "mean", "local_mean", "noise", "blur", "inpaint", 0.25, (0.1, 0.7), [1, 0],
        np.array([0.5, 0.25]), torch.tensor(0.3), Constant(2), Noise(seed=7), Blur(2.5), picture().flip(-1),
        picture().flip(-1).numpy()[0], picture().flip(-1).double(), (picture() * 255).byte(),
    ], ids=str)  # fmt: skip
    def test_every_fill(self, tmp_path, fill):
        check_recomputed(run("occlusion", fill=fill), tmp_path)

    @pytest.mark.parametrize(
        "fill", ["white", "mean", "noise", "blur", 0.25, (0.1, 0.7), Noise(seed=7), picture()[:1].flip(-1)]
    )
    def test_every_fill_that_rise_takes(self, tmp_path, fill):
        image = picture(1) if isinstance(fill, torch.Tensor) else picture()
        check_recomputed(run("rise", image=image, fill=fill), tmp_path)

    @pytest.mark.parametrize("merge", ["mean", "max"])
    @pytest.mark.parametrize(
        "score",
        [
            "hausdorff",
            "hausdorff95",
            "surface_distance",
            "hausdorff_of_rows",
            "mse",
            "dice",
            "iou",
            "probability",
        ],
    )
    def test_every_score(self, tmp_path, score, merge):
        check_recomputed(run("occlusion", score=score, merge=merge), tmp_path)

    @pytest.mark.parametrize(
        "distance", ["hausdorff", "hausdorff95", "surface_distance", "hausdorff_of_rows", "mse"]
    )
    def test_every_distance_of_hdm(self, tmp_path, distance):
        check_recomputed(run("hdm", distance=distance, channel=1), tmp_path)

    @pytest.mark.parametrize("settings", [
        {"shape": "circle"},
        {"shape": "square", "size": 1, "offset": 1},
        {"shape": "superpixels", "count": 20},
        {"shape": np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) // 40 - 1},
        {"shape": torch.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).int() // 30},
        {"size": None, "offset": None},
        {"size": 100, "offset": 100, "score": "dice"},
        {"channel": 1},
        {"channel": np.int64(0)},
        {"within": "segment"},
        {"within": corner(), "spare": "segment", "score": "probability", "fill": "white"},
        {"spare": torch.from_numpy(corner()).float()},
        {"spacing": (0.5, 3)},
        {"spacing": np.array([2.0, 1]), "score": "hausdorff95"},
        {"batch_size": 3},
    ], ids=str)  # fmt: skip
    def test_every_setting_of_occlusion(self, tmp_path, settings):
        check_recomputed(run("occlusion", **settings), tmp_path)

    @pytest.mark.parametrize("settings", [
        {"seed": None},
        {"estimator": "paper"},
        {"estimator": "paper", "spare": "segment", "p1": 0.3},
        {"within": corner(), "spare": "segment"},
        {"channel": 0, "s": 1},
        {"N": 400, "precision": 0.03, "p1": 0.8},
        {"N": 400, "precision": 0.03, "p1": 0.8, "seed": None, "batch_size": 7},
        {"p1": 1, "estimator": "paper"},
    ], ids=str)  # fmt: skip
    def test_every_setting_of_rise(self, tmp_path, settings):
        loaded = check_recomputed(run("rise", **settings), tmp_path)
        assert isinstance(loaded.seed, int)
        assert loaded.seed == loaded.masks.seed

    @pytest.mark.parametrize("settings", [
        {}, {"normalize": True}, {"channel": -1}, {"channel": 0}, {"circle_size": None, "offset": None},
        {"batch_size": np.int64(5)},
    ], ids=str)  # fmt: skip
    def test_every_setting_of_hdm(self, tmp_path, settings):
        check_recomputed(run("hdm", **settings), tmp_path)

    @pytest.mark.parametrize("method", [
        HDM(circle_size=5, offset=4, channel=1), Occlusion(shape="square", size=4, spare=corner()), RISE(N=20,
    s=3), ], ids=str)  # fmt: skip
    def test_methods_as_objects(self, tmp_path, method):
        check_recomputed(run(method), tmp_path)

    @pytest.mark.parametrize("method", ["hdm", "occlusion", "rise"])
    def test_volumes(self, tmp_path, method):
        volume = picture(2, (6, HEIGHT, WIDTH))
        check_recomputed(run(method, image=volume, dims=3, target="component"), tmp_path)

    @pytest.mark.parametrize("method", ["hdm", "occlusion", "rise"])
    def test_a_volume_of_one_channel_that_nobody_called_a_volume(self, tmp_path, method):
        volume = picture(1, (6, HEIGHT, WIDTH))[None]
        made = run(method, image=volume)
        assert made.saliency.shape == (6, HEIGHT, WIDTH)
        check_recomputed(made, tmp_path)

    def test_an_image_three_pixels_wide_with_many_channels(self, tmp_path):
        made = run("occlusion", image=picture(20, (20, 26))[None, ..., 14:17], size=3)
        loaded = Explanation.load(made.save(tmp_path / "made"))
        for one in (made, loaded):
            np.testing.assert_array_equal(one.repeat(network, progress=False).saliency, made.saliency)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.uint8, torch.bool])
    def test_images_of_every_type(self, tmp_path, dtype):
        image = (picture() * 1.2).round() if dtype in (torch.uint8, torch.bool) else picture()
        loaded = check_recomputed(run("occlusion", image=image.to(dtype)), tmp_path)
        assert loaded.image.dtype == (np.float64 if dtype is torch.float64 else np.float32)
        np.testing.assert_array_equal(loaded.image, image.to(dtype).float().numpy())

    @pytest.mark.parametrize(("model", "options"), [
        (network, {"activation": "none"}),
        (lambda images: 9 * images[:, :1] - 5, {}),
        (lambda images: 9 * images[:, :1] - 5, {"activation": "sigmoid"}),
        (lambda images: {"aux": 0 * images, "main": network(images)}, {"output": "main"}),
        (lambda images: (0 * images, network(images)), {"output": 1}),
        (lambda images: images[:, :1].astype(np.float64).clip(0, 1), {}),
        (lambda images: images[:, :1].astype(np.float64).clip(0, 1), {"numpy": True}),
        (torch.nn.Sequential(torch.nn.Conv2d(2, 1, 3), torch.nn.ReplicationPad2d(1)), {"autocast": True,
                                                                                     "target": corner()}),
        (network, {"dims": 2, "device": "cpu"}),
    ])  # fmt: skip
    def test_every_option_of_the_model(self, tmp_path, model, options):
        check_recomputed(run("occlusion", model, score="probability", **options), tmp_path, model)

    @pytest.mark.parametrize("preprocess", [
        Preprocess(scale=1 / 255, mean=(0.1, 0.2), std=(0.5, 0.7)), Preprocess(scale=1 / 255, channels=(1, 0,
        0)), Preprocess(scale=1 / 255, multiple=8),
    ], ids=str)  # fmt: skip
    @pytest.mark.parametrize("method", ["hdm", "occlusion", "rise"])
    def test_preprocessing(self, tmp_path, method, preprocess):
        check_recomputed(
            run(method, image=(255 * picture()).byte(), preprocess=preprocess, target=corner()), tmp_path
        )

    def test_it_was_made_by_the_classes_of_old(self, tmp_path):
        explainer = HausdorffDistanceMasks(WIDTH, HEIGHT)
        explainer.generate_masks(5, 4, normalize=True)
        check_recomputed(explainer.explain(network, picture(), truth(), "cpu", 1, progress=False), tmp_path)
        check_recomputed(run(explainer), tmp_path / "again")
        rise = SegmentationRISE(network, (WIDTH, HEIGHT), progress=False)
        rise.generate_masks(30, 4, 0.3, savepath=None)
        check_recomputed(rise(picture(), corner()), tmp_path / "rise")

    @pytest.mark.parametrize("name", ["masks.npz", "masks.npy"])
    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    def test_masks_from_a_file(self, tmp_path, name, estimator):
        rise = SegmentationRISE(network, (WIDTH, HEIGHT), progress=False)
        rise.generate_masks(30, 4, 0.2, tmp_path / name)
        loaded = check_recomputed(
            run("rise", N=1000, s=8, seed=None, masks=tmp_path / name, estimator=estimator), tmp_path
        )
        np.testing.assert_array_equal(loaded.mean().numpy(), loaded.saliency)

    def test_masks_of_another_program_with_the_p1_that_was_said(self, tmp_path):
        rise = SegmentationRISE(network, (WIDTH, HEIGHT), progress=False)
        rise.generate_masks(30, 4, 0.2, tmp_path / "masks.npy")
        np.save(tmp_path / "old.npy", np.load(tmp_path / "masks.npy"))
        rise.load_masks(tmp_path / "old.npy", p1=0.2)
        loaded = check_recomputed(rise(picture()), tmp_path)
        np.testing.assert_array_equal(loaded.mean().numpy(), loaded.saliency)

    @settings(max_examples=25)
    @given(st.data())
    def test_settings_drawn_at_random(self, tmp_path_factory, data):
        made = run(
            "occlusion",
            target=data.draw(st.sampled_from(EVERY_TARGET)),
            reference=data.draw(st.sampled_from([truth(), truth().astype(float)])),
            shape=data.draw(st.sampled_from(["circle", "square"])),
            size=data.draw(st.integers(2, 9)),
            offset=data.draw(st.integers(3, 6)),
            fill=data.draw(st.sampled_from(["mean", "noise", 0.5, "local_mean"])),
            score=data.draw(st.sampled_from(["mse", "probability"])),
            merge=data.draw(st.sampled_from(["mean", "max"])),
            channel=data.draw(st.sampled_from([None, 0, 1])),
            within=data.draw(st.sampled_from([None, corner()])),
            batch_size=data.draw(st.integers(1, 40)),
        )
        # A region that masks do not reach may leave nothing to see.
        if made.saliency.any():
            check_recomputed(made, tmp_path_factory.mktemp("made"))


def halves(batch):
    return batch / 2


def own_score(output, reference):
    return float(abs(output - reference).mean())


def own_fill(image, hidden):
    return np.where(hidden, image.mean(), image)


class TestFunctionsInSettings:
    @pytest.mark.parametrize(("method", "name", "function"), [
        ("occlusion", "score", own_score),
        ("hdm", "distance", own_score),
        ("occlusion", "fill", own_fill),
        ("occlusion", "preprocess", lambda batch: 1.5 * batch),
        ("occlusion", "output", lambda answer: answer),
    ])  # fmt: skip
    def test_are_named_once_loaded_and_can_be_passed_again(self, tmp_path, method, name, function):
        made = run(method, **{name: function})
        loaded = Explanation.load(made.save(tmp_path / "made.safetensors"))
        assert loaded == made
        assert function.__name__ in repr(loaded.settings[name])
        with pytest.raises(
            ValueError, match=rf"the setting '{name}' was a function.*repeat\(model, {name}=...\)"
        ):
            loaded.repeat(network, progress=False)
        check_recomputed(made, tmp_path / "again", **{name: function})
        np.testing.assert_array_equal(made.repeat(network, progress=False).saliency, made.saliency)

    def test_a_distance_put_on_the_explainer(self, tmp_path):
        explainer = HausdorffDistanceMasks(WIDTH, HEIGHT)
        explainer.generate_masks(5, 4)
        explainer.calculate_distance = own_score
        made = explainer.explain(network, picture(), progress=False)
        loaded = Explanation.load(made.save(tmp_path / "made.safetensors"))
        assert loaded == made
        with pytest.raises(ValueError, match="the setting 'distance' was a function"):
            loaded.repeat(network, progress=False)
        check_recomputed(made, tmp_path / "again", distance=own_score)

    @pytest.mark.parametrize("channel", [-1, 1])
    def test_a_class_that_overrides_what_is_hidden_or_measured(self, tmp_path, channel):
        class Own(HausdorffDistanceMasks):
            def apply_mask(self, image, mask):
                return np.where(mask < 1, 0.3, image)

            def calculate_distance(self, output, segment):
                return own_score(output, segment)

        explainer = Own(WIDTH, HEIGHT)
        explainer.generate_masks(5, 4)
        made = explainer.explain(network, picture(), channel=channel, progress=False)
        loaded = Explanation.load(made.save(tmp_path / "made.safetensors"))
        assert loaded == made
        with pytest.raises(ValueError, match=r"the setting 'method' was a function.*Own"):
            loaded.repeat(network, progress=False)
        for again in (
            made.repeat(network, progress=False),
            loaded.repeat(network, method=explainer, progress=False),
        ):
            np.testing.assert_array_equal(again.saliency, made.saliency)


class TestResultsComeBackAsTheyWere:
    def test_hdm(self, tmp_path):
        made = run("hdm", reference=truth())
        loaded = Explanation.load(made.save(tmp_path / "made"))
        assert isinstance(loaded, HDMResult)
        assert loaded.baseline == made.baseline > 0
        for kind in hdm.ResultType:
            np.testing.assert_array_equal(loaded.distances(kind), made.distances(kind))
            np.testing.assert_array_equal(loaded.painted(kind), made.painted(kind))
            assert loaded.circle_map(kind, "Blues").tobytes() == made.circle_map(kind, "Blues").tobytes()

    @pytest.mark.parametrize("estimator", ["paper", "centred"])
    @pytest.mark.parametrize("spare", [None, "segment"])
    def test_rise(self, tmp_path, estimator, spare):
        made = run("rise", estimator=estimator, spare=spare, p1=0.3)
        loaded = Explanation.load(made.save(tmp_path / "made"))
        assert isinstance(loaded, RISEResult)
        assert loaded.estimator == estimator
        assert torch.equal(loaded.max(), made.max())
        assert torch.equal(loaded.mean(), made.mean())
        np.testing.assert_array_equal(loaded.mean().numpy(), loaded.saliency)
        np.testing.assert_array_equal(loaded.standard_error, made.standard_error)
        for at in np.argwhere(made.pixels)[[0, 5, -1]]:
            assert torch.equal(loaded.pixel(*at), made.pixel(*at))
        assert torch.equal(loaded.masks.render(0, 30), made.masks.render(0, 30))

    def test_distances_of_the_users_own(self, tmp_path):
        made = HDMResult([[1.0, 3.0], [4.0, 5.0]], 2.5, 12, 9, circle_size=5, offset=6)
        loaded = Explanation.load(made.save(tmp_path / "made"))
        assert loaded == made
        np.testing.assert_array_equal(loaded.distances(hdm.WORSE_ONLY), [[0, 0.5], [1.5, 2.5]])
        with pytest.raises(ValueError, match="built without an image"):
            loaded.repeat(network)

    def test_with_the_same_model_wrapped(self):
        made = run("occlusion")
        wrapped = SegmentationModel(network)
        np.testing.assert_array_equal(made.repeat(wrapped, progress=False).saliency, made.saliency)

    def test_with_something_changed(self):
        made = run("occlusion")
        np.testing.assert_array_equal(
            made.repeat(network, fill="white", progress=False).saliency,
            run("occlusion", fill="white").saliency,
        )
        with pytest.raises(TypeError, match="'occlusion' has no setting 'seed'"):
            made.repeat(network, seed=3)

    def test_with_another_method_on_the_same_question(self):
        made = run("occlusion", target="border@0", reference=truth(), activation="none")
        other = made.repeat(network, method="rise", N=20, seed=0, progress=False)
        expected = run("rise", target="border@0", reference=truth(), activation="none", N=20, s=8, seed=0)
        np.testing.assert_array_equal(other.saliency, expected.saliency)


class TestFrozen:
    @pytest.mark.parametrize("method", ["hdm", "occlusion", "rise"])
    def test_nothing_can_be_replaced_and_no_array_written_to(self, method):
        made = run(
            method, target=corner(), **({} if method == "hdm" else {"spare": "segment", "fill": "blur"})
        )
        with pytest.raises(AttributeError):
            made.saliency = made.saliency * 2
        with pytest.raises(AttributeError):
            made.unit = "cm"
        for name in ("saliency", "image", "prediction", "segment", "pixels", "reference", "reached"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(made, name)[..., 0] = 1
        for array in made.measured.values():
            if isinstance(array, np.ndarray):
                assert not array.flags.writeable
        assert not made.target.mask.flags.writeable

    def test_neither_can_those_inside_its_settings(self):
        made = run("occlusion", fill=picture().flip(-1), within=corner(), spare=corner() & False)
        assert not made.settings["within"].flags.writeable
        assert not made.settings["fill"].image.flags.writeable

    def test_the_users_own_arrays_stay_theirs(self):
        mine = {
            "reference": truth(),
            "within": np.ones((HEIGHT, WIDTH), dtype=bool),
            "spare": np.zeros((HEIGHT, WIDTH)),
            "fill": picture().numpy()[:, ::-1].copy(),
            "shape": np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) // 40,
            "target": corner(),
        }
        image = picture().numpy()
        before = {name: array.copy() for name, array in mine.items()} | {"image": image.copy()}
        made = run("occlusion", image=image, **mine)
        saliency = made.saliency.copy()
        for name, array in {**mine, "image": image}.items():
            np.testing.assert_array_equal(array, before[name], strict=True)
            array[:] = 1 - array
        np.testing.assert_array_equal(made.repeat(network, progress=False).saliency, saliency)
        np.testing.assert_array_equal(made.image, before["image"])
        np.testing.assert_array_equal(made.pixels, before["target"])
        np.testing.assert_array_equal(made.settings["reference"], before["reference"])

    def test_the_segment_given_to_hdm_stays_the_users(self):
        segment = torch.from_numpy(truth()).float()
        explainer = HausdorffDistanceMasks(WIDTH, HEIGHT)
        explainer.generate_masks(5, 4)
        made = explainer.explain(network, picture(), segment, progress=False)
        segment.zero_()
        assert made.reference.any()
        assert made.settings["reference"].any()

    def test_a_map_of_the_users_own_stays_theirs(self):
        mine = np.zeros((3, 4))
        made = Explanation(saliency=mine)
        mine[0, 0] = 1
        assert made.saliency[0, 0] == 0


class TestEquality:
    def test_everything_counts_and_nan_is_nan(self):
        def made(**changes):
            parts = {"saliency": np.array([[0.5, 1.0]]), "unit": "pixels", "measured": {"a": np.nan}}
            return Explanation(**(parts | changes))

        assert made() == made()
        for changes in (
            {"saliency": np.array([[0.5, 2.0]])},
            {"saliency": np.array([[0.5, 1.0]], dtype=np.float32)},
            {"saliency": np.array([[0.5], [1.0]])},
            {"unit": ""},
            {"measured": {"a": 1.0}},
            {"measured": {"b": np.nan}},
            {"target": Class(0)},
            {"recipe": Recipe(Occlusion(size=3))},
        ):
            assert made() != made(**changes)
            assert made(**changes) != made()
        assert made() != "made"
        assert made() is not None

    def test_one_kind_of_result_is_not_another(self):
        result = run("hdm")
        parts = {part.name: getattr(result, part.name) for part in fields(Explanation)}
        assert Explanation(**parts) != result

    def test_it_cannot_be_hashed(self):
        with pytest.raises(TypeError, match="unhashable"):
            {run("hdm")}

    def test_it_prints_in_a_line(self):
        assert repr(run("occlusion")) == "Explanation(occlusion, 17 x 26, Class(label=0))"
        assert repr(run("rise")) == f"RISEResult(30 masks, {run('rise').pixels.sum()} explained pixels)"
        assert repr(run("hdm")).startswith("HDMResult(5 x 7 distances, baseline 0, Windows(")
        target = repr(run("occlusion", target=corner()).target)
        assert target == "Region(mask=<126 of 17 x 26 pixels>, label=0)"
        assert repr(Explanation(saliency=np.zeros((2, 3)))) == "Explanation(, 2 x 3)"

    def test_a_subclass_of_the_users_leaves_other_files_alone(self, tmp_path):
        path = run("occlusion").save(tmp_path / "made")

        class Own(Explanation):
            pass

        try:
            assert type(Explanation.load(path)) is Explanation
        finally:
            Explanation._kinds["explanation"] = Explanation


@pytest.fixture(scope="module")
def made():
    return run("hdm", target=corner(), reference=truth())


class TestSave:
    def test_it_makes_the_folder_and_tells_the_path(self, made, tmp_path):
        path = made.save(str(tmp_path / "some" / "where" / "made.safetensors"))
        assert path == tmp_path / "some" / "where" / "made.safetensors"
        assert [file.name for file in path.parent.iterdir()] == ["made.safetensors"]

    def test_it_replaces_only_when_told_to(self, made, tmp_path):
        path = tmp_path / "made"
        path.write_bytes(b"precious")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            made.save(path)
        assert path.read_bytes() == b"precious"
        made.save(path, overwrite=True)
        assert Explanation.load(path) == made

    def test_a_folder_is_no_file(self, made, tmp_path):
        for overwrite in (False, True):
            with pytest.raises(IsADirectoryError, match="needs the name of a file"):
                made.save(tmp_path, overwrite=overwrite)

    def test_a_write_that_fails_leaves_the_old_file(self, made, tmp_path, monkeypatch):
        path = made.save(tmp_path / "made")
        before = path.read_bytes()

        def failing(_arrays, unfinished, metadata):  # noqa: ARG001
            Path(unfinished).write_bytes(b"half")
            raise OSError("no space left on device")

        monkeypatch.setattr(storage, "save_file", failing)
        with pytest.raises(OSError, match="no space left"):
            made.save(path, overwrite=True)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("measured", [
        {"number": np.float32(3), "flag": np.bool_(True), "none": None, "words": ["a", {"b": (1, 2.5)}]},
        {"empty": np.zeros((0, 3)), "tensor": torch.ones(2, 3), "view": np.eye(3, 4).T[::-1]},
        {"infinite": float("inf"), "nan": float("nan"), "path": Path("a"), "deep": {"a": {"b": np.ones(3)}}},
        {"point": np.array(3.0)},
        {"a.b": np.ones(2), "a": {"b": np.zeros(2)}},
        {"kind": "of my own"},
        {"a": {"array": "of my own"}},
    ], ids=str)  # fmt: skip
    def test_whatever_a_method_of_the_users_measures_comes_back(self, tmp_path, measured):
        made = Explanation(saliency=np.ones((2, 3)), measured=measured)
        assert Explanation.load(made.save(tmp_path / "made")) == made

    @pytest.mark.parametrize("array", [np.array(["a"]), np.zeros(2, complex), np.array([None])], ids=str)
    def test_what_no_file_can_hold_is_named(self, tmp_path, array):
        made = Explanation(saliency=np.ones((2, 3)), measured={"mine": array})
        with pytest.raises((TypeError, ValueError), match="mine"):
            made.save(tmp_path / "made")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        "saliency", [np.ones((2, 3), dtype=int), torch.ones(2, 3), np.ones((2, 3), np.float16)]
    )
    def test_maps_of_every_type_come_back(self, tmp_path, saliency):
        made = Explanation(saliency=saliency)
        assert Explanation.load(made.save(tmp_path / "made")) == made


def parts_of(path):
    """Header as a dict, and what follows it."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def rewritten(path, header, body):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def changed(path, change):
    """The file with its description changed, as if it had been written like that."""
    header, body = parts_of(path)
    head = json.loads(header["__metadata__"]["interpret-segmentation"])
    change(head)
    text = json.dumps(head)
    digest = storage._digest(text, load_file(path))
    header["__metadata__"] = {"interpret-segmentation": text, "sha256": digest}
    return rewritten(path, header, body)


class TestLoad:
    def test_there_must_be_such_a_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            Explanation.load(tmp_path / "none")
        with pytest.raises(IsADirectoryError, match="is a folder"):
            Explanation.load(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"x", b"\0" * 8, b"\xff" * 100, b"garbage" * 1000, b"{}" * 50])
    def test_garbage(self, tmp_path, content):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ValueError, match=r"file is not a safetensors file, or damaged"):
            Explanation.load(tmp_path / "file")

    @pytest.mark.parametrize("metadata", [
        None, {"format": "pt"}, {"interpret-segmentation": "nonsense"}, {"interpret-segmentation": "[1]"},
        {"interpret-segmentation": "{}"}, {"interpret-segmentation": "null"},
        {"interpret-segmentation": '{"mark": "interpret-segmentation explanation", "format": "1"}'},
    ], ids=str)  # fmt: skip
    def test_a_safetensors_file_of_another_program(self, tmp_path, metadata):
        save_file({"weight": np.ones((2, 3))}, tmp_path / "file", metadata=metadata)
        with pytest.raises(ValueError, match="not an explanation that save"):
            Explanation.load(tmp_path / "file")

    def test_a_newer_version(self, made, tmp_path):
        path = changed(made.save(tmp_path / "file"), lambda head: head.update(format=99))
        with pytest.raises(ValueError, match=r"newer version \(format 99.*upgrade"):
            Explanation.load(path)

    @pytest.mark.parametrize("method", ["hdm", "rise", "occlusion"])
    def test_any_array_missing(self, tmp_path, method):
        complete = run(method, target=corner(), reference=truth()).save(tmp_path / "complete")
        header, body = parts_of(complete)
        names = set(header) - {"__metadata__"}
        assert len(names) > 8
        for name in names:
            content = {key: np.frombuffer(body[slice(*entry["data_offsets"])], np.uint8)
                       for key, entry in header.items() if key not in ("__metadata__", name)}  # fmt: skip
            text = header["__metadata__"]["interpret-segmentation"]
            for digest in (header["__metadata__"]["sha256"], storage._digest(text, content)):
                metadata = {"interpret-segmentation": text, "sha256": digest}
                save_file(content, tmp_path / "file", metadata=metadata)
                with pytest.raises(ValueError, match="file is damaged"):
                    Explanation.load(tmp_path / "file")

    @pytest.mark.parametrize("kind", ["hdm", "rise", "channels", "nonsense", None, 3, ["hdm"], {"a": 1}])
    @pytest.mark.parametrize("method", ["hdm", "rise", "occlusion"])
    def test_another_kind_than_it_was(self, tmp_path, method, kind):
        if method == kind:
            return
        path = changed(run(method).save(tmp_path / "file"), lambda head: head.update(kind=kind))
        wanted = r"ChannelExplanations\.load" if kind == "channels" else "damaged"
        with pytest.raises(ValueError, match=wanted):
            Explanation.load(path)

    @pytest.mark.parametrize("change", [
        lambda head: head.pop("data"),
        lambda head: head.pop("kind"),
        lambda head: head.update(data=None),
        lambda head: head.update(data=[1]),
        lambda head: head["data"].pop("saliency"),
        lambda head: head["data"].update(more=1),
        lambda head: head["data"].update(further=1),
        lambda head: head["data"].update(recipe=3),
        lambda head: head["data"]["recipe"].pop("method"),
        lambda head: head["data"]["recipe"].update(further=1),
        lambda head: head["data"]["recipe"]["method"].update(further=1),
        lambda head: head["data"]["recipe"].update(method={"kind": ["hdm"]}),
        lambda head: head["data"].update(saliency=None),
        lambda head: head["data"].update(saliency=3.5),
        lambda head: head["data"].update(measured=None),
        lambda head: head["data"].update(measured={}),
        lambda head: head["data"].update(target={"kind": "region"}),
        lambda head: head["data"].update(target={"kind": "pixel", "at": 3}),
        lambda head: head["data"].update(target={"kind": "border", "width": 1e999}),
        lambda head: head["data"]["measured"].update(offset=0),
        lambda head: head["data"]["measured"].update(offset=-3),
        lambda head: head["data"]["measured"].update(offset="a"),
        lambda head: head["data"]["measured"].update(circle_size=-9),
        lambda head: head["data"]["measured"].update(circle_size=2.5),
        lambda head: head["data"]["measured"].update(baseline="a"),
        lambda head: head["data"]["measured"].update(distances=[1, 2]),
    ])  # fmt: skip
    def test_a_description_that_makes_no_sense(self, made, tmp_path, change):
        path = changed(made.save(tmp_path / "file"), change)
        with pytest.raises(ValueError, match="damaged"):
            Explanation.load(path)

    @settings(max_examples=60)
    @given(st.data())
    def test_cut_off_anywhere(self, made, tmp_path_factory, data):
        folder = tmp_path_factory.mktemp("cut")
        content = made.save(folder / "file").read_bytes()
        (folder / "file").write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        with pytest.raises(ValueError, match="damaged"):
            Explanation.load(folder / "file")

    @pytest.mark.parametrize("method", ["hdm", "occlusion", "rise"])
    def test_a_byte_changed_in_the_header_raises_a_valueerror_or_nothing(self, tmp_path, method):
        content = run(method, target=corner(), reference=truth()).save(tmp_path / "file").read_bytes()
        length = 8 + struct.unpack("<Q", content[:8])[0]
        random = np.random.default_rng(0)
        for position in random.integers(0, length, 700):
            flipped = bytearray(content)
            flipped[position] ^= 1 << random.integers(8)
            (tmp_path / "file").write_bytes(flipped)
            try:
                Explanation.load(tmp_path / "file")
            except ValueError as error:
                assert "file" in str(error)  # noqa: PT017

    def test_a_byte_changed_anywhere_is_noticed(self, made, tmp_path):
        content = made.save(tmp_path / "file").read_bytes()
        for position in np.random.default_rng(1).integers(0, len(content), 200):
            flipped = bytearray(content)
            flipped[position] ^= 1
            (tmp_path / "file").write_bytes(flipped)
            with pytest.raises(ValueError, match="file"):
                Explanation.load(tmp_path / "file")

    def test_nothing_in_the_file_is_run(self, tmp_path):
        path = changed(
            run("occlusion", score=own_score).save(tmp_path / "file"),
            lambda head: head["data"]["recipe"]["method"].update(score={"function": "os.system"}),
        )
        loaded = Explanation.load(path)
        assert repr(loaded.settings["score"]) == "<function os.system, not saved>"
