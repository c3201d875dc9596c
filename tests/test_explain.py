import inspect
import typing
from pathlib import Path

import numpy as np
import pytest
import torch
from names import printed
from PIL import Image

from interpret_segmentation import (
    HDM,
    RISE,
    Explanation,
    HausdorffDistanceMasks,
    HDMResult,
    Occlusion,
    Preprocess,
    RISEResult,
    SegmentationModel,
    explain,
)

BY_NAME = ["hdm", "occlusion", "rise"]


def bright(images):
    """Segments what is bright in the mean over the channels."""
    return images.mean(dim=1, keepdim=True).clamp(0, 1)


def levels(count):
    """A network of so many classes that exclude each other, each a level of brightness; class 0 is dark."""

    def model(images):
        level = torch.linspace(0, 1, count).view(1, -1, *[1] * (images.ndim - 2))
        distance = images.mean(dim=1, keepdim=True) - level
        return (-4 * (count * distance) ** 2).softmax(dim=1)

    return model


def blob(*shape):
    """Bright in the middle, dark at the edges; the smallest images are all bright."""
    image = torch.zeros(shape)
    image[tuple(slice(side // 4, max(1, side // 4 + side // 2 + 1)) for side in shape)] = 0.9
    return image


def quick(model, image, method="occlusion", **arguments):
    return explain(model, image, method, progress=False, **arguments)


def few(method):
    return {"N": 40} if method == "rise" else {}


class TestMethods:
    def test_by_name_and_as_objects_are_the_same(self):
        image = blob(23, 31)
        for method, arguments, kind in (
            (HDM, {"circle_size": 6, "offset": 5}, HDMResult),
            (RISE, {"N": 30, "s": 4, "seed": 1}, RISEResult),
            (Occlusion, {"shape": "square", "size": 6, "score": "iou"}, Explanation),
        ):
            by_name = quick(bright, image, method.kind, **arguments)
            as_object = quick(bright, image, method(**arguments))
            assert type(by_name) is type(as_object) is kind
            np.testing.assert_array_equal(by_name.saliency, as_object.saliency)
            assert by_name.saliency.any()
            assert by_name.method == method.kind

    def test_the_default_is_hdm(self):
        image = blob(23, 31)
        np.testing.assert_array_equal(
            explain(bright, image, progress=False).saliency, quick(bright, image, "hdm").saliency
        )

    def test_an_explainer_with_its_masks(self):
        explainer = HausdorffDistanceMasks(31, 23)
        explainer.generate_masks(6, 5)
        expected = quick(bright, blob(23, 31), "hdm", circle_size=6, offset=5, distance="hausdorff")
        result = quick(bright, blob(23, 31), explainer)
        np.testing.assert_array_equal(result.distances(1), expected.distances(1))

    def test_an_explainer_without_its_masks(self):
        with pytest.raises(RuntimeError, match="call generate_masks"):
            quick(bright, blob(23, 31), HausdorffDistanceMasks(31, 23))

    def test_an_explainer_for_images_of_another_size(self):
        explainer = HausdorffDistanceMasks(31, 23)
        explainer.generate_masks(6, 5)
        with pytest.raises(ValueError, match="built for images of"):
            quick(bright, blob(31, 23), explainer)

    def test_a_method_of_the_users_own(self):
        class Brightness:
            def run(self, case):
                assert not torch.is_grad_enabled()
                return Explanation(
                    saliency=case.pixels.mean(0).numpy(), **case.record("brightness", {"method": self})
                )

        method = Brightness()
        made = quick(bright, blob(3, 23, 31), method, target=(12, 15))
        np.testing.assert_array_equal(made.saliency, blob(3, 23, 31).mean(0))
        assert made.method == "brightness"
        assert repr(made) == "Explanation(brightness, 23 x 31, Pixel(at=(12, 15), label=0))"
        assert made.run["forwards"] == 1
        np.testing.assert_array_equal(made.repeat(bright).saliency, made.saliency)

    @pytest.mark.parametrize("method", [HDM(circle_size=9), RISE(N=30), Occlusion()])
    def test_the_settings_of_an_object_do_not_stand_beside_it(self, method):
        with pytest.raises(TypeError, match="must be set in the method itself"):
            quick(bright, blob(23, 31), method, channel=0)

    def test_every_setting_and_argument_has_its_line_in_the_documentation(self):
        for thing in (HDM, RISE, Occlusion, explain):
            described = inspect.getdoc(thing)
            for name in inspect.signature(thing).parameters:
                assert f"{name}:" in described, f"{thing.__name__}({name})"
        assert set(typing.get_type_hints(explain)) > {"model", "image", "return"}


class TestSizes:
    @pytest.mark.parametrize("space", [(1, 1), (1, 50), (50, 1), (2, 3), (7, 500), (103, 77)])
    @pytest.mark.parametrize("method", BY_NAME)
    def test_the_defaults_suit_images_of_every_size(self, method, space):
        made = quick(bright, blob(*space), method, **few(method))
        assert (
            made.saliency.shape == made.prediction.shape == made.segment.shape == made.reached.shape == space
        )
        assert made.image.shape == (1, *space)
        assert np.isfinite(made.saliency).all()
        # Circles that start at the first pixel, as those of HDM do, miss a few in the corners.
        assert made.reached.mean() >= (0.9 if method == "hdm" else 1)
        # Hidden entirely, the pixel is gone, but a Hausdorff distance in an image of one pixel is always 0.
        assert made.saliency.any() or space == (1, 1)

    @pytest.mark.parametrize("space", [(1, 1, 1), (1, 5, 40), (5, 14, 11), (2, 60, 50)])
    @pytest.mark.parametrize("method", BY_NAME)
    def test_and_volumes(self, method, space):
        volume = blob(2, *space)
        volume[1] = volume[0]
        made = quick(bright, volume, method, dims=3, **few(method))
        assert made.saliency.shape == space
        assert np.isfinite(made.saliency).all()
        assert made.reached.mean() >= (0.9 if method == "hdm" else 1)

    @pytest.mark.parametrize(
        "space", [(240, 240), (7, 500), (1, 10000), (10, 512, 512), (4, 400, 400), (64, 64, 64)]
    )
    def test_the_default_windows_leave_no_gaps(self, space):
        from interpret_segmentation.perturb.masks.windows import suitable_offset, suitable_size

        assert suitable_size(space) + 1 >= suitable_offset(space)

    @pytest.mark.parametrize("method", BY_NAME)
    @pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
    def test_any_number_of_channels(self, method, channels):
        image = blob(23, 31).expand(channels, 23, 31)
        made = quick(bright, image, method, **few(method))
        assert made.image.shape == (channels, 23, 31)
        one = quick(
            bright, image[:1], method, **{**few(method), **({"seed": made.seed} if method == "rise" else {})}
        )
        np.testing.assert_allclose(made.saliency, one.saliency, atol=1e-6)

    @pytest.mark.parametrize("count", [1, 2, 3, 21, 150])
    @pytest.mark.parametrize("method", BY_NAME)
    def test_any_number_of_classes(self, method, count):
        model = levels(count) if count > 1 else bright
        made = quick(model, blob(23, 31), method, **few(method))
        assert made.model["classes"] == count
        np.testing.assert_array_equal(made.segment, blob(23, 31) > 0)
        np.testing.assert_array_equal(made.prediction, model(blob(1, 1, 23, 31))[0, made.target.label])
        assert made.saliency.max() > 0
        with pytest.raises(ValueError, match=f"there is no class {count}"):
            quick(model, blob(23, 31), method, target=count, **few(method))


@pytest.mark.slow
class TestImages:
    @pytest.mark.parametrize("method", BY_NAME)
    def test_of_every_kind_and_layout(self, method):
        settings = {"seed": 2, "N": 40} if method == "rise" else {}
        image = (blob(3, 23, 31) > 0).float()
        expected = quick(bright, image, method, **settings)
        wide = torch.zeros(3, 23, 62)
        wide[:, :, ::2] = image
        leaf = image.clone().requires_grad_()
        for same in (
            image.half(), image.double(), image.byte(), image.bool(), image.int(), image.to(torch.bfloat16),
            image.numpy(), image.numpy().astype(np.uint16), image.numpy().astype(">f8"),
            image.numpy().tolist(), np.asfortranarray(image.numpy()), image.numpy()[:, ::-1][:, ::-1], wide[:,
            :, ::2], image[None], image.transpose(1, 2).contiguous().transpose(1, 2), leaf, leaf * 1,
            image.numpy().astype(bool), torch.nn.Parameter(image),
        ):  # fmt: skip
            made = quick(bright, same, method, **settings)
            np.testing.assert_array_equal(made.saliency, expected.saliency)
            np.testing.assert_array_equal(made.image, expected.image)
        assert leaf.grad is None
        frozen = image.numpy().copy()
        frozen.flags.writeable = False
        np.testing.assert_array_equal(quick(bright, frozen, method, **settings).saliency, expected.saliency)

    @pytest.mark.parametrize(
        ("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4), ("1", 1), ("I;16", 1), ("F", 1)]
    )
    def test_pictures(self, mode, channels):
        grey = (blob(23, 31) > 0).numpy()
        top = {"1": 1, "F": 1, "I;16": 65535}.get(mode, 255)
        picture = Image.fromarray(grey.astype(np.uint8) * 255)
        if mode == "I;16":
            picture = Image.fromarray(grey.astype(np.uint16) * 65535)
        elif mode == "F":
            picture = Image.fromarray(grey.astype(np.float32))
        elif mode != "L":
            picture = picture.convert(mode)
        assert picture.mode == mode
        made = quick(bright, picture, preprocess=Preprocess(scale=1 / top), score="dice")
        assert made.image.shape == (channels, 23, 31)
        np.testing.assert_array_equal(made.segment, grey)

    def test_a_picture_of_palette_indices_is_no_picture_of_brightness(self):
        picture = Image.fromarray((blob(23, 31) * 250).byte().numpy()).convert(
            "P", palette=Image.Palette.ADAPTIVE
        )
        try:
            made = quick(bright, picture, preprocess=Preprocess(scale=1 / 255), score="dice")
        except (TypeError, ValueError):
            return
        np.testing.assert_array_equal(made.segment, blob(23, 31) > 0)

    def test_are_not_changed_by_a_model_that_writes_into_them(self):
        def rude(images):
            answer = bright(images)
            images.zero_()
            return answer

        image = blob(3, 23, 31)
        made = quick(rude, image)
        assert torch.equal(image, blob(3, 23, 31))
        np.testing.assert_array_equal(made.saliency, quick(bright, image).saliency)
        np.testing.assert_array_equal(made.image, image)


class TestWrongInput:
    @pytest.mark.parametrize(("image", "error", "message"), [
        ("cat.png", TypeError, "image must be"),
        (Path("cat.png"), TypeError, "image must be"),
        (None, TypeError, "image must be"),
        (object(), TypeError, "image must be"),
        (torch.zeros(9, 9, dtype=torch.complex64), TypeError, "image must hold real numbers"),
        (torch.full((9, 9), torch.nan), ValueError, "NaN or infinite"),
        (np.full((9, 9), np.inf), ValueError, "NaN or infinite"),
        (torch.zeros(9), ValueError, "image must be"),
        (torch.zeros(()), ValueError, "image must be"),
        (torch.zeros(0, 9), ValueError, "no pixels"),
        (torch.zeros(0, 9, 9), ValueError, "no channels"),
        (torch.zeros(20, 20, 3), ValueError, "channels first"),
        (torch.zeros(20, 20, 4).numpy(), ValueError, "numpy.moveaxis"),
        (torch.zeros(1, 1, 1, 1, 9, 9), ValueError, "image must be"),
    ], ids=printed)  # fmt: skip
    @pytest.mark.parametrize("method", BY_NAME)
    def test_images_that_are_none(self, method, image, error, message):
        with pytest.raises(error, match=message):
            quick(bright, image, method)

    @pytest.mark.parametrize("path", ["cat.png", Path("cat.png")])
    def test_a_path_is_told_to_be_opened(self, path):
        with pytest.raises(TypeError, match=r"Image\.open"):
            quick(bright, path)

    def test_a_batch_of_images_for_a_network_of_images(self):
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 1), torch.nn.Sigmoid())
        for model, options in ((network, {}), (bright, {"dims": 2})):
            with pytest.raises(ValueError, match="explain the images of a batch one by one"):
                quick(model, torch.rand(2, 3, 20, 20), **options)

    def test_a_batch_of_images_for_a_function_is_not_silently_a_volume(self):
        with pytest.raises(ValueError, match=r"dims=3|one by one"):
            quick(bright, torch.rand(2, 3, 20, 20))

    @pytest.mark.parametrize(("arguments", "error", "message"), [
        ({"method": "lime"}, ValueError, "there is no method 'lime'; use one of 'hdm', 'occlusion', 'rise'"),
        ({"method": None}, TypeError, "method must be one of"),
        ({"method": 3}, TypeError, "method must be one of"),
        ({"sise": 3}, TypeError, "'occlusion' has no setting 'sise'; it has channel"),
        ({"method": "hdm", "merge": "max"}, TypeError, "'hdm' has no setting 'merge'"),
        ({"method": "hdm", "score": "dice"}, ValueError, "there is no distance 'dice'"),
        ({"method": "hdm", "score": "mae", "distance": "mse"}, TypeError, "score and distance are one"),
        ({"method": "hdm", "size": 5, "circle_size": 6}, TypeError, "size and circle_size are one"),
        ({"method": "rise", "size": 3}, TypeError, "'rise' has no setting 'size'"),
        ({"method": "hdm", "distance": "dice"}, ValueError, "there is no distance 'dice'"),
        ({"score": "dise"}, ValueError, "there is no score 'dise'"),
        ({"score": None}, TypeError, "score must be a name or a function"),
        ({"fill": "purple"}, ValueError, "fill must be one of"),
        ({"fill": None}, TypeError, "fill must be one of"),
        ({"fill": torch.zeros(9, 9)}, ValueError, "fill must be a picture of the image's size"),
        ({"fill": (1, 2, 3)}, ValueError, "fill has 3 values"),
        ({"method": "rise", "fill": "inpaint"}, ValueError, "RISE hides softly"),
        ({"method": "rise", "p1": 0}, ValueError, "p1 must be"),
        ({"method": "rise", "N": 0}, ValueError, "N must be at least 1"),
        ({"method": "rise", "s": 2.5}, TypeError, "s must be a whole number"),
        ({"method": "rise", "seed": -1}, ValueError, "seed must be"),
        ({"method": "rise", "estimator": "median"}, ValueError, "estimator must be"),
        ({"method": "rise", "precision": 0}, ValueError, "precision must be"),
        ({"method": "rise", "precision": float("nan")}, ValueError, "precision must be"),
        ({"method": "rise", "precision": "high"}, ValueError, "precision must be"),
        ({"method": "rise", "masks": "nowhere.npz"}, FileNotFoundError, "there is no mask file"),
        ({"method": "rise", "masks": 20}, TypeError, "a file of saved masks, got 20; their number is N="),
        ({"size": 0}, ValueError, "size must be at least 1"),
        ({"size": 2.5}, TypeError, "size must be a whole number"),
        ({"size": float("inf")}, TypeError, "size must be a whole number"),
        ({"method": "hdm", "circle_size": -3}, ValueError, "circle_size must be at least 1"),
        ({"shape": "hexagon"}, ValueError, "shape must be"),
        ({"shape": None}, (TypeError, ValueError), "shape must be"),
        ({"shape": np.zeros((31, 23), int)}, ValueError, "shape has the parts of an image of"),
        ({"shape": np.zeros((23, 31))}, TypeError, "whole numbers"),
        ({"merge": "sum"}, ValueError, "merge must be"),
        ({"channel": 1}, ValueError, "channel must be"),
        ({"channel": "red"}, ValueError, "channel must be"),
        ({"channel": [0, 1]}, ValueError, "channel must be"),
        ({"channel": np.array([0, 1])}, ValueError, "channel must be"),
        ({"within": "everywhere"}, ValueError, "within must be 'segment' or a region"),
        ({"within": torch.zeros(31, 23)}, ValueError, "within has 31 rows"),
        ({"within": torch.full((23, 31), 0.5)}, ValueError, "within must be binary"),
        ({"spare": object()}, TypeError, "spare must be"),
        ({"spacing": (1, 2, 3)}, ValueError, "spacing must be one"),
        ({"spacing": (1, 2, 3), "score": "dice"}, ValueError, "spacing must be"),
        ({"spacing": (0, 1)}, ValueError, "spacing must be"),
        ({"spacing": (float("nan"), 1)}, ValueError, "spacing must be"),
        ({"spacing": 2}, (TypeError, ValueError), "spacing must be"),
        ({"spacing": "mm"}, (TypeError, ValueError), "spacing must be"),
        ({"target": 1}, ValueError, "there is no class 1"),
        ({"target": -1}, ValueError, "label must be a class"),
        ({"target": "nose"}, ValueError, "there is no target 'nose'"),
        ({"target": 1.5}, TypeError, "target must be"),
        ({"target": True}, TypeError, "target must be"),
        ({"target": (23, 0)}, ValueError, r"there is no pixel \(23, 0\)"),
        ({"target": (1, 2, 3)}, ValueError, r"there is no pixel \(1, 2, 3\)"),
        ({"target": torch.zeros(31, 23)}, ValueError, "target has 31 rows"),
        ({"target": torch.zeros(23, 31)}, ValueError, "target is empty"),
        ({"target": "false-positives"}, ValueError, "needs the ground truth; pass reference="),
        ({"target": "component:1"}, ValueError, "has 1 components"),
        ({"reference": torch.zeros(31, 23)}, ValueError, "reference has 31 rows"),
        ({"reference": torch.full((23, 31), 0.5)}, ValueError, "reference must be binary"),
        ({"reference": "truth.png"}, TypeError, "reference must be"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be a whole number"),
        ({"dims": 4}, ValueError, "dims must be 2 or 3"),
        ({"dims": 3}, ValueError, "image must be D x H x W"),
        ({"activation": "relu"}, ValueError, "activation must be one of"),
        ({"preprocess": 3}, TypeError, "preprocess must be a function"),
        ({"output": "out"}, KeyError, "has no 'out'"),
        ({"autocast": "int8"}, ValueError, "autocast must be"),
        ({"device": "gpu"}, ValueError, "device must be such as"),
    ], ids=printed)  # fmt: skip
    def test_arguments_that_do_not_fit(self, arguments, error, message):
        with pytest.raises(error, match=message) as raised:
            explain(bright, blob(23, 31), **{"method": "occlusion", "progress": False, **arguments})
        assert len(str(raised.value)) < 400

    @pytest.mark.parametrize("method", [HDM, RISE, Occlusion, HausdorffDistanceMasks, Explanation])
    def test_a_class_is_no_method(self, method):
        with pytest.raises(TypeError, match="method must be"):
            quick(bright, blob(23, 31), method)

    @pytest.mark.parametrize("model", [None, 3, torch.nn.Conv2d, torch.zeros(3, 3)])
    def test_what_is_no_model(self, model):
        with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module or a function"):
            quick(model, blob(23, 31))

    def test_options_beside_a_model_that_has_its_own(self):
        with pytest.raises(TypeError, match="activation"):
            quick(SegmentationModel(bright), blob(23, 31), activation="sigmoid")

    @pytest.mark.parametrize(("model", "error", "message"), [
        (lambda images: images.mean(dim=(2, 3)), ValueError, "classifier"),
        (lambda images: images.flatten(1)[:, :10], ValueError, "classifier"),
        (lambda images: images * torch.nan, ValueError, "NaN"),
        (lambda _images: None, TypeError, "must return a tensor"),
        (lambda images: images[..., 1:], ValueError, "must return"),
        (lambda images: images[:, :, 0], ValueError, "must return"),
        (lambda _images: 1 / 0, RuntimeError, "the model failed on images of shape"),
        (torch.nn.Conv2d(3, 1, 1), RuntimeError, "takes 3 channels"),
        (lambda images: images * 0.4, ValueError, "nothing to explain"),
    ])  # fmt: skip
    def test_models_that_do_not_segment(self, model, error, message):
        with pytest.raises(error, match=message):
            quick(model, blob(23, 31), score="probability")

    @pytest.mark.parametrize("method", BY_NAME)
    def test_a_model_that_fails_half_way_comes_back_as_it_was(self, method):
        class Failing(torch.nn.Module):
            asked = 0

            def forward(self, images):
                self.asked += 1
                if self.asked > 3:
                    raise KeyError("half-way")
                return bright(images)

        model = Failing().train()
        with pytest.raises(KeyError, match="half-way"):
            quick(model, blob(23, 31), method)
        assert model.training
        assert torch.is_grad_enabled()


def test_outputs_that_look_like_probabilities_until_a_mask_shows_logits():
    def logits(images):
        return images[:, :1] * 0.9 - 1.5 * (images[:, :1, 10:11, 3:4] < 0.1).float()

    image = blob(23, 31)
    image[10, 3] = 0.5
    for method in ("hdm", "occlusion", "rise"):
        made = quick(logits, image, method, **few(method))
        assert made.model["activation"] == "sigmoid"
        assert made.settings["activation"] == "sigmoid"
        again = made.repeat(logits, progress=False)
        np.testing.assert_array_equal(again.saliency, made.saliency)


def test_the_seed_is_in_the_result_and_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    made = quick(bright, blob(23, 31), "rise", N=20)
    assert torch.equal(torch.get_rng_state(), before)
    same = quick(bright, blob(23, 31), "rise", N=20, seed=made.seed)
    np.testing.assert_array_equal(same.saliency, made.saliency)
    assert quick(bright, blob(23, 31), "rise", N=20).seed != made.seed
    assert quick(bright, blob(23, 31), "hdm").seed is None


def test_the_record_says_what_was_done():
    made = quick(bright, blob(23, 31) + 0.01, size=6, offset=5, batch_size=7, fill="black")
    assert made.run["forwards"] == 1 + 5 * 7
    assert made.run["batch_size"] == 7
    assert set(made.run["versions"]) == {"python", "interpret-segmentation", "torch", "numpy", "scipy"}
    assert made.model["classes"] == 1
    assert made.model["device"] == "cpu"
    assert made.settings["size"] == 6
    assert not made.signed
    defaults = quick(bright, blob(23, 31))
    assert (defaults.settings["size"], defaults.settings["offset"]) == (2, 1)
    hdm = quick(bright, blob(23, 31), "hdm")
    assert (hdm.settings["circle_size"], hdm.settings["offset"]) == (2, 1)
