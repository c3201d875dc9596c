"""Networks and functions as people have them, asked as they are; every number is also worked out by hand."""

import importlib
import importlib.util
import logging
import runpy
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial.distance import directed_hausdorff
from torch import nn
from torch.nn import functional as F

from interpret_segmentation import HDM, Preprocess, SegmentationModel, explain

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "text_detection.py"


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(4)


def wanted(name, needs=None):
    """A module of a package that the tests can do without."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:  # a torchvision for another PyTorch raises RuntimeErrors
        pytest.skip(f"{needs or name.partition('.')[0]} cannot be imported: {error}")


def image_of(*shape):
    """Noise with structure: smooth, so that a network's maps vary over it."""
    channels, *space = shape
    rough = torch.rand(1, channels, *(4 for _ in space), generator=torch.Generator().manual_seed(5))
    return F.interpolate(rough, size=space, mode="trilinear" if len(space) == 3 else "bilinear")[0]


def blocks(space):
    """The image in parts: halves of the last two axes, at different places."""
    rows, columns = np.ogrid[: space[-2], : space[-1]]
    flat = 2 * (rows >= space[-2] // 3) + (columns >= space[-1] // 2)
    return np.broadcast_to(flat, space).copy()


def asked(network, change=lambda answer: answer):
    """How the network is asked by hand: an image ``[C, *space]`` in, its classes ``[K, *space]`` out."""

    def probabilities(image):
        with torch.no_grad():
            logits = change(network.eval()(image[None].to(next(network.parameters()).dtype))).float()
            if logits.shape[2:] != image.shape[1:]:
                smooth = "trilinear" if image.ndim == 4 else "bilinear"
                logits = F.interpolate(logits, size=image.shape[1:], mode=smooth, align_corners=False)
            return logits.softmax(dim=1)[0]

    return probabilities


def close(came, expected, rtol=1e-3, atol=1e-7):
    came, expected = (np.asarray(part, dtype=np.float64) for part in (came, expected))
    np.testing.assert_allclose(came, expected, rtol=rtol, atol=atol)


def drawn(maps, label):
    return (maps.argmax(dim=0) == label).numpy()


def explained(model, image, probabilities, *, activation="softmax", parts=None, rtol=1e-3, **options):
    """Explain with one part hidden after the other, and compare with the same written out.

    Returns:
        The explanation.
    """
    parts = blocks(image.shape[1:]) if parts is None else parts
    settings = {"shape": parts, "score": "mse", "fill": "black", "progress": False, **options}
    explanation = explain(model, image, "occlusion", activation=activation, **settings)
    maps = probabilities(image)
    label = int(torch.bincount(maps.argmax(dim=0).flatten(), minlength=len(maps))[1:].argmax()) + 1
    if not drawn(maps, label).any():
        label = 0
    assert explanation.target.label == label
    assert explanation.model["classes"] == len(maps)
    assert explanation.model["activation"] == "softmax"
    assert explanation.saliency.shape == tuple(image.shape[1:])
    close(explanation.prediction, maps[label], rtol=rtol)
    assert (explanation.segment == drawn(maps, label)).mean() > 0.999
    for number in np.unique(parts):
        masked = image.clone()
        masked[:, torch.from_numpy(parts == number)] = 0
        change = (probabilities(masked)[label] - maps[label]).double().square().mean()
        assert change > 0
        came = explanation.saliency[parts == number]
        close(came, np.full_like(came, change), rtol=rtol)
    return explanation


# MONAI


def unet(space=2, channels=2, classes=3, **options):
    return wanted("monai.networks.nets").UNet(space, channels, classes, (4, 8, 16), (2, 2), **options)


@pytest.mark.parametrize("shape", [(2, 32, 48), (2, 16, 24, 32)], ids=["2D", "3D"])
def test_a_unet_of_monai_is_asked_as_it_is(shape):
    network = unet(len(shape) - 1)
    explanation = explained(network, image_of(*shape), asked(network))
    assert explanation.model["output"] == " x ".join(map(str, (1, 3, *shape[1:])))
    assert not explanation.model["resized"]


@pytest.mark.parametrize("name", ["BasicUNet", "SegResNet"])
def test_other_networks_of_monai_are_asked_as_they_are(name):
    nets = wanted("monai.networks.nets")
    if name == "BasicUNet":
        network, image = nets.BasicUNet(2, 3, 4, (4, 4, 8, 8, 8, 4)), image_of(3, 48, 32)
    else:
        network, image = nets.SegResNet(3, 8, 2, 4), image_of(2, 16, 24, 32)
    explained(network, image, asked(network))


def test_a_swin_unetr_of_monai_is_asked_as_it_is():
    network = wanted("monai.networks.nets").SwinUNETR(
        in_channels=2, out_channels=3, feature_size=12, spatial_dims=3
    )
    image = image_of(2, 32, 32, 64)
    explained(network, image, asked(network), parts=blocks(image.shape[1:]) // 2, batch_size=1)


def test_several_logits_whose_meaning_is_not_stated_are_taken_to_exclude_each_other_with_a_warning():
    network, image = unet(), image_of(2, 32, 48)
    with pytest.warns(UserWarning, match="logits for 3 classes.* taken to exclude each other"):
        guessed = explained(network, image, asked(network), activation=None)
    assert "classes are taken to exclude each other" in guessed.model["activation_because"]


def test_classes_that_may_overlap_are_thresholded_one_by_one():
    network, image = unet(), image_of(2, 32, 48)
    explanation = explain(
        network, image, "occlusion", target=1, activation="sigmoid", offset=16, progress=False
    )
    with torch.no_grad():
        probability = network.eval()(image[None]).sigmoid()[0, 1]
    close(explanation.prediction, probability)
    assert (explanation.segment == (probability > 0.5).numpy()).all()
    assert not explanation.model["exclusive"]


# nnU-Net


@pytest.mark.parametrize("deep_supervision", [True, False])
@pytest.mark.parametrize("shape", [(2, 24, 32), (2, 16, 24, 32)], ids=["2D", "3D"])
def test_an_nnunet_is_asked_as_it_is_and_of_its_deep_supervision_the_first_output(shape, deep_supervision):
    volume = len(shape) == 4
    network = wanted("dynamic_network_architectures.architectures.unet").PlainConvUNet(
        input_channels=2,
        n_stages=3,
        features_per_stage=(4, 8, 8),
        conv_op=nn.Conv3d if volume else nn.Conv2d,
        kernel_sizes=3,
        strides=(1, 2, 2),
        n_conv_per_stage=1,
        num_classes=3,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d if volume else nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=deep_supervision,
    )
    first = (lambda answer: answer[0]) if deep_supervision else (lambda answer: answer)
    explanation = explained(network, image_of(*shape), asked(network, first))
    assert explanation.model["output"].startswith("[0] 1 x 3" if deep_supervision else "1 x 3")
    assert network.decoder.deep_supervision == deep_supervision


# transformers


def segformer(channels=3):
    transformers = wanted("transformers")
    config = transformers.SegformerConfig(
        num_channels=channels,
        depths=[1] * 4,
        hidden_sizes=[8] * 4,
        num_attention_heads=[1] * 4,
        decoder_hidden_size=8,
        num_labels=4,
    )
    return transformers.SegformerForSemanticSegmentation(config)


def logits_of(answer):
    return answer.logits


@pytest.mark.parametrize("channels", [3, 5])
def test_a_segformer_answers_at_a_quarter_of_the_size_and_is_brought_to_the_images(channels):
    network = segformer(channels)
    explanation = explained(network, image_of(channels, 64, 96), asked(network, logits_of))
    assert explanation.model["output"] == "['logits'] 1 x 4 x 16 x 24"
    assert explanation.model["resized"]


def upernet(transformers):
    stages = [f"stage{number}" for number in range(1, 5)]
    backbone = transformers.ConvNextConfig(hidden_sizes=[8] * 4, depths=[1] * 4, out_features=stages)
    return transformers.UperNetForSemanticSegmentation(
        transformers.UperNetConfig(
            backbone_config=backbone,
            hidden_size=8,
            auxiliary_in_channels=8,
            auxiliary_channels=8,
            num_labels=3,
        )
    )


TINY = {
    "image_size": 64,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_labels": 3,
    "initializer_range": 0.5,  # with the usual 0.02 so small a network hardly sees the image
}


def beit(transformers):
    config = transformers.BeitConfig(**TINY, patch_size=16, intermediate_size=16, out_indices=[1, 2, 3, 4])
    return transformers.BeitForSemanticSegmentation(config)


def dpt(transformers):
    config = transformers.DPTConfig(
        **TINY,
        patch_size=16,
        intermediate_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8] * 4,
        fusion_hidden_size=8,
    )
    return transformers.DPTForSemanticSegmentation(config)


@pytest.mark.parametrize(
    ("build", "space"),
    [(upernet, (64, 96)), (beit, (64, 64)), (dpt, (64, 64))],
    ids=["UperNet", "BEiT", "DPT"],
)
def test_other_networks_of_transformers_are_asked_as_they_are(build, space):
    network = build(wanted("transformers"))
    explained(network, image_of(3, *space), asked(network, logits_of))


SWIN = {"embed_dim": 8, "depths": [1] * 4, "num_heads": [1] * 4, "window_size": 4}


def queries(kind):
    transformers = wanted("transformers")
    backbone = transformers.SwinConfig(**SWIN, out_features=[f"stage{number}" for number in range(1, 5)])
    if kind == "MaskFormer":
        decoder = transformers.DetrConfig(
            backbone_config=None,
            use_timm_backbone=False,
            d_model=8,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=1,
            decoder_attention_heads=1,
            encoder_ffn_dim=8,
            decoder_ffn_dim=8,
            num_queries=5,
        )
        return transformers.MaskFormerForInstanceSegmentation(
            transformers.MaskFormerConfig(
                backbone_config=backbone,
                decoder_config=decoder,
                fpn_feature_size=32,
                mask_feature_size=32,
                num_labels=3,
            )
        )
    return transformers.Mask2FormerForUniversalSegmentation(
        transformers.Mask2FormerConfig(
            backbone_config=backbone,
            feature_size=32,
            mask_feature_size=32,
            hidden_dim=32,
            encoder_feedforward_dim=16,
            encoder_layers=1,
            decoder_layers=2,
            num_attention_heads=2,
            dim_feedforward=16,
            num_queries=5,
            num_labels=3,
        )
    )


def semantic(answer):
    """Per pixel and class the sum over queries, written as loops; the last class is "no object"."""
    classes = answer.class_queries_logits[0].softmax(dim=-1)
    masks = answer.masks_queries_logits[0].sigmoid()
    queries, labels = classes.shape
    return torch.stack([sum(classes[q, k] * masks[q] for q in range(queries)) for k in range(labels - 1)])


@pytest.mark.parametrize("kind", ["MaskFormer", "Mask2Former"])
def test_the_queries_of_a_maskformer_become_maps_of_classes(kind):
    network, image = queries(kind), image_of(3, 64, 96)
    explanation = explain(network, image, "occlusion", target=1, score="mse", offset=32, progress=False)
    with torch.no_grad():
        coarse = semantic(network.eval()(image[None]))
    maps = F.interpolate(
        coarse[None] / coarse.sum(0).clamp(min=1), size=(64, 96), mode="bilinear", align_corners=False
    )[0]
    close(explanation.prediction, maps[1])
    assert explanation.model["output"].startswith("queries: sum of class probability x mask probability")
    assert np.isfinite(explanation.saliency).all()
    assert explanation.saliency.any()


@pytest.mark.parametrize("kind", ["MaskFormer", "Mask2Former"])
def test_the_classes_of_a_maskformer_exclude_each_other(kind):
    network, image = queries(kind), image_of(3, 64, 96)
    explanation = explain(network, image, "occlusion", target=1, score="mse", offset=32, progress=False)
    with torch.no_grad():
        coarse = semantic(network.eval()(image[None]))
    maps = F.interpolate(coarse[None], size=(64, 96), mode="bilinear", align_corners=False)[0]
    assert explanation.model["exclusive"]
    assert (explanation.segment == drawn(maps, 1)).all()


# torchvision, segmentation_models_pytorch


def test_a_deeplab_of_torchvision_is_asked_as_it_is():
    models = wanted("torchvision.models.segmentation")
    network = models.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=4)
    explanation = explained(network, image_of(3, 64, 96), asked(network, lambda answer: answer["out"]))
    assert explanation.model["output"] == "['out'] 1 x 4 x 64 x 96"


@pytest.mark.parametrize("name", ["Unet", "DeepLabV3Plus"])
def test_a_network_of_segmentation_models_pytorch_is_asked_as_it_is(name):
    models = wanted("segmentation_models_pytorch")
    network = getattr(models, name)("resnet18", encoder_weights=None, in_channels=4, classes=3)
    explained(network, image_of(4, 64, 96), asked(network))


# the methods


def test_distances_of_hdm_are_those_of_the_masked_image_by_hand():
    network, image = segformer(2), image_of(2, 48, 80)
    probabilities = asked(network, logits_of)
    circles = HDM(circle_size=20, offset=16, distance="hausdorff", fill="black")
    result = explain(network, image, circles, activation="softmax", progress=False)
    label = result.target.label
    reference = np.argwhere(drawn(probabilities(image), label))
    assert result.measured["distances"].shape == (3, 5)
    assert result.baseline == 0
    for row, column in [(0, 0), (1, 2), (2, 4)]:
        circle = Image.new("1", (80, 48))
        top, left = 16 * row, 16 * column
        ImageDraw.Draw(circle).ellipse((left, top, left + 20, top + 20), fill=1)
        masked = image * torch.from_numpy(~np.asarray(circle))
        moved = np.argwhere(drawn(probabilities(masked), label))
        distance = max(directed_hausdorff(reference, moved)[0], directed_hausdorff(moved, reference)[0])
        assert result.measured["distances"][row, column] == pytest.approx(distance)
    assert result.measured["distances"].any()


@pytest.mark.filterwarnings("ignore:.*is never hidden")
def test_balls_of_hdm_hide_parts_of_a_volume():
    network, image = unet(3), image_of(2, 16, 24, 32)
    balls = HDM(circle_size=8, offset=8, distance="hausdorff", fill="black")
    result = explain(network, image, balls, activation="softmax", progress=False)
    label, probabilities = result.target.label, asked(network)
    depth, row, column = np.ogrid[:16, :24, :32]
    middle = np.array([8, 8, 16]) + 4
    ball = (depth - middle[0]) ** 2 + (row - middle[1]) ** 2 + (column - middle[2]) ** 2 <= 4.5**2
    moved = np.argwhere(drawn(probabilities(image * torch.from_numpy(~ball)), label))
    reference = np.argwhere(drawn(probabilities(image), label))
    distance = max(directed_hausdorff(reference, moved)[0], directed_hausdorff(moved, reference)[0])
    assert result.measured["distances"].shape == (2, 3, 4)
    assert result.measured["distances"][1, 1, 2] == pytest.approx(distance)
    assert distance > 0


def test_scores_of_rise_are_those_of_the_masked_images_by_hand(tmp_path):
    # Unlike one that normalises each image, this network sees how dark a mask makes it.
    network, image = unet(norm="batch"), image_of(2, 48, 80)
    masks = np.random.default_rng(6).random((12, 1, 48, 80), dtype=np.float32)
    np.save(tmp_path / "masks.npy", masks)
    result = explain(
        network, image, "rise", masks=tmp_path / "masks.npy", fill="black", activation="softmax",
        progress=False,
    )  # fmt: skip
    label, probabilities = result.target.label, asked(network)
    pixels = drawn(probabilities(image), label)
    assert result.measured["scores"].shape == (12, pixels.sum())
    for number in (0, 5, 11):
        kept = probabilities(image * torch.from_numpy(masks[number]))
        close(result.measured["scores"][number], kept[label][torch.from_numpy(pixels)], atol=1e-5)
    assert result.saliency.shape == (48, 80)
    assert np.isfinite(result.saliency).all()


# files and functions


@pytest.fixture
def quiet():
    """Exporters warn of their own age, and log what is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        yield
        logging.disable(before)


def as_torchscript(network, batch, path):
    torch.jit.trace(network, batch, strict=False).save(str(path))


def as_exported(network, batch, path):
    with path.open("wb") as file:
        torch.export.save(program_of(network, batch), file)


def as_onnx(network, batch, path):
    wanted("onnxruntime")
    wanted("onnxscript")
    torch.onnx.export(program_of(network, batch), (), path, verbose=False)


def program_of(network, batch):
    return torch.export.export(network, (batch,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("build", "save"),
    [
        (unet, as_torchscript),
        (unet, as_exported),
        (unet, as_onnx),
        (segformer, as_torchscript),
        (segformer, as_exported),
    ],
)
def test_a_file_of_a_network_gives_the_map_of_the_network(tmp_path, save, build):
    network = build(channels=2).eval()
    image, options = image_of(2, 32, 48), {"offset": 16, "score": "mse", "activation": "softmax"}
    path = tmp_path / "network"
    save(network, image.expand(2, -1, -1, -1), path)
    from_file = explain(path, image, "occlusion", progress=False, **options)
    from_network = explain(network, image, "occlusion", progress=False, **options)
    assert from_network.saliency.any()
    close(from_file.saliency, from_network.saliency)
    close(from_file.prediction, from_network.prediction, atol=1e-5)
    assert from_file.model["model"] == str(path)


@pytest.mark.usefixtures("quiet")
def test_an_onnx_file_for_one_image_at_a_time_is_asked_so(tmp_path):
    wanted("onnxruntime")
    wanted("onnxscript")
    network, image = unet().eval(), image_of(2, 32, 48)
    torch.onnx.export(network, (image[None],), tmp_path / "network.onnx", dynamo=True, verbose=False)
    explanation = explained(tmp_path / "network.onnx", image, asked(network), batch_size=3)
    assert explanation.run["batch_size"] == 1


@pytest.mark.usefixtures("quiet")
def test_an_exported_file_for_three_images_at_a_time_is_asked_so(tmp_path):
    network, image = unet().eval(), image_of(2, 32, 48)
    with (tmp_path / "network.pt2").open("wb") as file:
        torch.export.save(torch.export.export(network, (image.expand(3, -1, -1, -1),)), file)
    explanation = explained(tmp_path / "network.pt2", image, asked(network))
    assert explanation.run["batch_size"] == 3


def test_the_function_that_builds_a_network_is_named(tmp_path, monkeypatch):
    wanted("monai")
    (tmp_path / "nets_of_a_paper").mkdir()
    (tmp_path / "nets_of_a_paper" / "unet.py").write_text(
        "import torch\n"
        "from monai.networks.nets import UNet\n\n\n"
        "def build():\n"
        "    torch.manual_seed(8)\n"
        "    return UNet(2, 2, 3, (4, 8, 16), (2, 2))\n"
    )
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(8)
    network = unet()
    explanation = explained("nets_of_a_paper.unet:build", image_of(2, 32, 48), asked(network))
    assert explanation.model["model"] == "nets_of_a_paper.unet:build"


@pytest.mark.parametrize("numpy", [None, True])
def test_a_function_of_numpy_arrays_is_explained(numpy):
    filters = wanted("skimage.filters")
    page = wanted("skimage.data").page()[:96, :].astype(np.float32)

    def ink(batch):
        """Darker than Otsu's threshold of the same image."""
        return np.stack([gray < filters.threshold_otsu(np.ascontiguousarray(gray)) for gray, *_ in batch])

    explanation = explain(
        ink, page, "occlusion", shape=blocks(page.shape), score="dice", fill="black", numpy=numpy,
        progress=False,
    )  # fmt: skip
    segment = page < filters.threshold_otsu(page)
    assert (explanation.segment == segment).all()
    for number in range(4):
        masked = np.where(blocks(page.shape) == number, np.float32(0), page)
        found = masked < filters.threshold_otsu(masked)
        overlap = 2 * (found & segment).sum() / (found.sum() + segment.sum())
        came = explanation.saliency[blocks(page.shape) == number]
        close(came, np.full_like(came, 1 - overlap), rtol=1e-9)


# types and modes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_in_half_precision_is_asked_in_it(dtype):
    network = unet().to(dtype)
    explanation = explained(network, image_of(2, 32, 48), asked(network), rtol=0.02)
    assert explanation.model["dtype"] == str(dtype).removeprefix("torch.")
    assert explanation.prediction.dtype == np.float32


def test_mixed_precision_is_near_full_precision():
    network, image = unet(), image_of(2, 32, 48)
    mixed = explain(
        network, image, "occlusion", activation="softmax", autocast=True, progress=False, offset=16
    )
    full = asked(network)(image)[mixed.target.label].numpy()
    assert 0 < np.abs(mixed.prediction - full).max() < 0.05


@pytest.mark.parametrize("method", ["hdm", "rise", "occlusion"])
def test_a_network_in_training_is_given_back_in_training_with_its_statistics_as_they_were(method):
    network, image = unet(norm="batch", dropout=0.3), image_of(2, 32, 48)
    network.train()
    frozen = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    flags = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    settings = {"rise": {"N": 6, "seed": 1}}.get(method, {"offset": 16})
    in_training = explain(network, image, method, activation="softmax", progress=False, **settings)
    assert [module.training for module in network.modules()] == flags
    assert not frozen.training
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    in_evaluation = explain(network.eval(), image, method, activation="softmax", progress=False, **settings)
    assert np.array_equal(in_training.saliency, in_evaluation.saliency)


# a pretrained network


@pytest.fixture(scope="module")
def detector():
    """PP-OCRv4's text detection: the file's path."""
    wanted("onnxruntime")
    package = importlib.util.find_spec("rapidocr_onnxruntime")
    if package is None:
        pytest.skip("rapidocr-onnxruntime, which holds the network, is not installed")
    return Path(package.submodule_search_locations[0]) / "models" / "ch_PP-OCRv4_det_infer.onnx"


@pytest.fixture(scope="module")
def page():
    return wanted("skimage.data").page()


PREPROCESS = Preprocess(scale=1 / 255, mean=0.5, std=0.5, channels=(0, 0, 0), multiple=32)


def test_a_text_detector_finds_the_text_where_it_is(detector, page):
    model = SegmentationModel(detector, preprocess=PREPROCESS)
    segment = model.probabilities(torch.tensor(page, dtype=torch.float32)[None, None])[0, 0].numpy() > 0.5
    assert model.decisions["resized"]  # 191 rows become 192
    lines, count = ndimage.label(segment, structure=np.ones((3, 3)))
    # Rows and columns read off the page: a title, five lines of text, and one of code.
    middles = [(23, 150), (57, 200), (75, 200), (93, 200), (110, 200), (127, 90), (179, 100)]
    assert count == 7
    assert len({int(lines[at]) for at in middles} - {0}) == 7
    assert not segment[36:48].any()
    assert not segment[138:165].any()
    assert not segment[168:, 250:].any()


def test_the_text_detector_gets_what_its_own_package_gives_it(detector, page):
    page = page[:160]  # a multiple of 32, so that nothing is resized
    session = wanted("onnxruntime").InferenceSession(str(detector), providers=["CPUExecutionProvider"])

    def answer(gray):
        blue_green_red = np.stack([gray] * 3)[None].astype(np.float32)
        normalized = ((blue_green_red / 255 - 0.5) / 0.5).astype(np.float32)
        return session.run(None, {session.get_inputs()[0].name: normalized})[0][0, 0]

    parts = blocks(page.shape)
    explanation = explain(
        detector,
        page,
        "occlusion",
        target="component:23,150",
        preprocess=PREPROCESS,
        fill=255,
        shape=parts,
        score="probability",
        progress=False,
    )
    close(explanation.prediction, answer(page), atol=1e-4)
    assert explanation.model["activation"] == "none"
    title = explanation.pixels
    assert title[:40].sum() == title.sum() > 1000
    loss = answer(page)[title].mean() - answer(np.where(parts == 0, 255, page))[title].mean()
    assert loss > 0.2
    assert explanation.saliency[0, 0] == pytest.approx(loss, abs=1e-4)


def test_how_other_lines_move_does_not_count_for_the_component_that_is_explained(detector, page):
    explanation = explain(
        detector,
        page,
        "occlusion",
        target="component:179,100",
        preprocess=PREPROCESS,
        shape=np.where(np.arange(191)[:, None] < 40, 0, -1).repeat(384, axis=1),
        fill="inpaint",
        progress=False,
    )
    assert explanation.saliency.max() < 50


def run_the_example(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    plt.close("all")
    return ended.value.code


@pytest.mark.usefixtures("detector", "page")
def test_the_example_of_text_detection_leaves_its_picture(monkeypatch, tmp_path, capsys):
    out = tmp_path / "text.png"
    assert run_the_example(monkeypatch, "--out", out, "--size", 40, "--offset", 60) == 0
    with Image.open(out) as picture:
        assert min(picture.size) > 300
        colours = np.asarray(picture.convert("RGB")).astype(int)
    assert (np.ptp(colours, axis=-1) > 100).sum() > 500
    assert f"{out} generated" in capsys.readouterr().out
    assert "there is no text at (150, 200)" in run_the_example(monkeypatch, "--at", 150, 200, "--out", out)


@pytest.mark.usefixtures("page")
def test_the_example_of_text_detection_says_what_to_install(monkeypatch):
    find, missing = importlib.util.find_spec, "rapidocr_onnxruntime"

    def found(name, *rest):
        return None if name == missing else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", found)
    said = run_the_example(monkeypatch)
    assert "pip install --no-deps rapidocr-onnxruntime==1.4.4" in said
    assert "\n" not in said
