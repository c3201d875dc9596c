"""Maps lie on the user's image, whatever was done to it before the model saw it, or there is an error."""

import re
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from interpret_segmentation import Explanation, Preprocess, SegmentationModel, explain
from interpret_segmentation.models.placement import moved_by


def scene(*space):
    space = space or (60, 80)
    image = torch.zeros(1, *space)
    image[(slice(None), *(slice(side // 3, side // 3 + side // 4) for side in space))] = 1
    return image


def bright(batch):
    return 20 * batch - 10


def explained(model=bright, image=None, **settings):
    image = scene() if image is None else image
    return explain(model, image, "occlusion", size=10, offset=8, progress=False, **settings)


MOVES = {
    "padded at the end": lambda batch: F.pad(batch, (0, 16, 0, 4)),
    "padded around": lambda batch: F.pad(batch, (8, 8, 2, 2)),
    "letterboxed": lambda batch: F.pad(F.interpolate(batch, scale_factor=0.8), (0, 0, 8, 8)),
    "cropped": lambda batch: batch[..., 6:54, 8:72],
    "cropped and resized": lambda batch: F.interpolate(batch[..., 6:54, 8:72], size=(60, 80)),
    "flipped": lambda batch: batch.flip(-1),
    "turned": lambda batch: batch.rot90(1, (2, 3)),
    "transposed": lambda batch: batch.transpose(2, 3),
    "rolled": lambda batch: batch.roll(5, -1),
    "rolled in part": lambda batch: torch.cat([batch[..., :40], batch[..., 40:].roll(8, -1)], -1),
    "padded and standardised": lambda batch: (F.pad(batch, (0, 16, 0, 4)) - batch.mean()) / batch.std(),
}
STAYS = {
    "scaled": lambda batch: batch * 3 - 1,
    "standardised": lambda batch: (batch - batch.mean()) / (batch.std() + 1e-6),
    "brought to 0 and 1": lambda batch: (batch - batch.min()) / (batch.max() - batch.min() + 1e-6),
    "halved": lambda batch: F.interpolate(batch, scale_factor=0.5, mode="bilinear"),
    "to another shape": lambda batch: F.interpolate(batch, size=(96, 64), mode="bilinear"),
    "larger, corners aligned": lambda batch: F.interpolate(
        batch, size=(128, 128), mode="bilinear", align_corners=True
    ),
    "to the nearest": lambda batch: F.interpolate(batch, size=(48, 64)),
    "pooled": lambda batch: F.avg_pool2d(batch, 4),
    "blurred": lambda batch: F.avg_pool2d(batch, 3, stride=1, padding=1),
    "three channels": lambda batch: batch.repeat(1, 3, 1, 1),
    "as whole numbers": lambda batch: (255 * batch).round(),
    "rooted": lambda batch: batch.clamp(min=0).sqrt(),
}
NOISE = torch.rand(1, 60, 80, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("image", [scene(), NOISE, 200 * NOISE - 100, 0 * NOISE + 7], ids=str)
@pytest.mark.parametrize("step", MOVES.values(), ids=MOVES)
def test_a_step_that_moves_pixels_is_seen(step, image):
    made = step(image[None])
    told = moved_by(step, image, tuple(made.shape[2:]))
    assert (told is None) == bool(made.isnan().any())  # of which nothing can be seen


@pytest.mark.parametrize("image", [scene(), NOISE, 200 * NOISE - 100, 0 * NOISE + 7], ids=str)
@pytest.mark.parametrize("step", STAYS.values(), ids=STAYS)
def test_a_step_that_leaves_them_in_place_is_not_suspected(step, image):
    seen = tuple(step(image[None]).shape[2:])
    assert moved_by(step, image, seen) is None


def test_a_mask_of_the_image_moves_nothing_and_a_thin_image_is_let_be():
    masked = lambda batch: batch * (torch.arange(80) > 20)  # noqa: E731
    assert moved_by(masked, NOISE, (60, 80)) is None
    assert moved_by(lambda batch: batch * 0, NOISE, (60, 80)) is None
    assert moved_by(lambda batch: F.pad(batch, (0, 2)), torch.rand(1, 60, 10), (60, 12)) is None


def test_volumes_and_channels_last_are_seen_through_too():
    volume = torch.rand(1, 18, 20, 24)
    assert moved_by(lambda batch: F.pad(batch, (0, 8)), volume, (18, 20, 32))
    assert moved_by(lambda batch: batch * 2, volume, (18, 20, 24)) is None
    assert moved_by(lambda batch: batch.movedim(1, -1), NOISE, (60, 80), channels_last=True) is None
    padded = lambda batch: F.pad(batch, (0, 16)).movedim(1, -1)  # noqa: E731
    assert moved_by(padded, NOISE, (60, 96), channels_last=True)


@pytest.mark.parametrize("step", [MOVES["padded at the end"], MOVES["padded around"]])
def test_the_error_for_padding_gives_the_function_that_takes_it_off(step):
    with pytest.raises(ValueError, match="preprocess pads the image") as caught:
        explained(preprocess=step)
    function = re.search(r"output=(lambda answer: answer\[.*?\])", str(caught.value)).group(1)
    made = explained(preprocess=step, output=eval(function))
    expected = explained()
    np.testing.assert_array_equal(made.segment, expected.segment)
    np.testing.assert_allclose(made.saliency, expected.saliency, atol=1e-6)


def test_an_output_function_may_bring_any_answer_back_to_the_image():
    expected = explained()
    for there, back in (
        (lambda batch: batch.flip(-1), lambda answer: answer.flip(-1)),
        (lambda batch: batch.movedim(1, -1), lambda answer: answer.movedim(-1, 1)),
        (lambda batch: batch.transpose(2, 3), lambda answer: answer.transpose(2, 3)),
    ):
        made = explained(preprocess=there, output=back)
        np.testing.assert_allclose(made.saliency, expected.saliency, atol=1e-6)


@pytest.mark.parametrize("layout", ["a function", "Preprocess"])
def test_channels_last_needs_no_output_function(layout):
    def keras(batch):
        assert batch.shape[-1] == 1
        return bright(batch)

    step = (
        (lambda batch: batch.movedim(1, -1)) if layout == "a function" else Preprocess(layout="channels_last")
    )
    made = explained(keras, preprocess=step)
    np.testing.assert_allclose(made.saliency, explained().saliency, atol=1e-6)
    coarse = explained(
        lambda batch: F.avg_pool2d(bright(batch.movedim(-1, 1)), 4).movedim(1, -1), preprocess=step
    )
    assert coarse.saliency.shape == (60, 80)


FITTING = [
    Preprocess(size=96, fit="letterbox"),
    Preprocess(size=(48, 100), fit="letterbox", position="top_left"),
    Preprocess(size=(64, 96), fit="pad", pad_value=0.2),
    Preprocess(multiple=32, fit="pad", position="top_left"),
    Preprocess(multiple=32, fit="letterbox"),
    Preprocess(size=(120, 160)),
    Preprocess(size=96, fit="letterbox", layout="channels_last"),
]


@pytest.mark.parametrize("step", FITTING, ids=str)
@pytest.mark.parametrize("space", [(60, 80), (47, 83), (64, 33)])
def test_what_is_fitted_comes_back_to_where_it_was(step, space):
    batch = torch.rand(2, 3, *space)
    if (
        step.fit == "pad"
        and step.size
        and any(a > b for a, b in zip(space, step.size_of(space), strict=True))
    ):
        pytest.skip("it does not fit")
    ready = step(batch)
    ready = ready.movedim(-1, 1) if step.layout == "channels_last" else ready
    assert tuple(ready.shape[2:]) == step.size_of(space)
    smooth = F.interpolate(torch.rand(2, 3, 5, 6), size=space, mode="bilinear")
    there = step(smooth).movedim(-1, 1) if step.layout == "channels_last" else step(smooth)
    back = step.restore(there, space)
    assert back.shape == smooth.shape
    same = step.fit == "pad" or step.size is None
    torch.testing.assert_close(back, smooth, atol=1e-6 if same else 0.1, rtol=0)


@pytest.mark.parametrize("step", FITTING, ids=str)
def test_a_map_lies_on_the_image_and_is_repeated_from_its_file(step, tmp_path):
    model = (
        bright
        if step.layout == "channels_first"
        else lambda batch: bright(batch.movedim(-1, 1)).movedim(1, -1)
    )
    made = explained(model, preprocess=step)
    expected = explained()
    overlap = (made.segment & expected.segment).sum() / (made.segment | expected.segment).sum()
    assert overlap > 0.85
    loaded = Explanation.load(made.save(tmp_path / "a.safetensors"))
    assert loaded.settings["preprocess"] == step
    np.testing.assert_array_equal(loaded.repeat(model).saliency, made.saliency)


def test_letterboxing_is_what_one_does_by_hand():
    image = 255 * torch.rand(1, 3, 50, 80, generator=torch.Generator().manual_seed(0))
    step = Preprocess(scale=1 / 255, size=64, fit="letterbox", pad_value=114)
    ready = step(image)
    inner = F.interpolate(image / 255, size=(40, 64), mode="bilinear")
    torch.testing.assert_close(ready[:, :, 12:52], inner)
    torch.testing.assert_close(ready[:, :, :12], torch.full((1, 3, 12, 64), 114 / 255))
    maps = torch.rand(1, 2, 16, 16)  # a coarser answer
    whole = F.interpolate(maps, size=(64, 64), mode="bilinear")[:, :, 12:52]
    expected = F.interpolate(whole, size=(50, 80), mode="bilinear")
    torch.testing.assert_close(step.restore(maps, (50, 80)), expected)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be at least 1"),
        ({"size": "large"}, TypeError, "size must be a whole number"),
        ({"size": ()}, ValueError, "size must be one number, or one for each side"),
        ({"size": 64, "multiple": 32}, ValueError, "size and multiple both say"),
        ({"fit": "letterbox"}, ValueError, "needs a size to fit images into: pass size= or multiple="),
        ({"fit": "crop"}, ValueError, "fit must be one of 'stretch', 'letterbox', 'pad', got 'crop'"),
        ({"position": "left"}, ValueError, "position must be one of"),
        ({"layout": "NHWC"}, ValueError, "layout must be one of"),
        ({"pad_value": np.nan}, ValueError, "pad_value must be a finite number"),
    ],
)
def test_wrong_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        Preprocess(**settings)


def test_an_image_that_does_not_fit_is_told_the_cure():
    with pytest.raises(ValueError, match="cannot be padded to 32 x 32; pass fit='letterbox'"):
        explained(preprocess=Preprocess(size=32, fit="pad"))
    with pytest.raises(ValueError, match=r"a size of 3 sides, \(8, 8, 8\), but the image has 2"):
        explained(preprocess=Preprocess(size=(8, 8, 8)))


class TestThreshold:
    def weak(self, batch):
        return 0.4 * batch

    def test_it_decides_what_the_segment_is(self):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is empty")
            assert not explained(self.weak).segment.any()
        made = explained(self.weak, threshold=0.3)
        assert int(made.segment.sum()) == 15 * 20
        assert made.model["threshold"] == made.settings["threshold"] == 0.3
        assert made.pixels.sum() == 15 * 20

    @pytest.mark.parametrize("score", ["dice", "hausdorff", "hausdorff_levels", "hausdorff_graded", "mae"])
    @pytest.mark.parametrize("incremental", [True, False])
    def test_it_is_what_shifted_logits_give(self, score, incremental):
        def shifted(answer):
            return torch.logit(answer.clamp(1e-6, 1 - 1e-6)) - torch.logit(torch.tensor(0.3))

        settings = {"score": score, "fill": 0.2}
        made = explained(self.weak, threshold=0.3, incremental=incremental, **settings)
        by_hand = explained(self.weak, output=shifted, activation="sigmoid", **settings)
        np.testing.assert_array_equal(made.segment, by_hand.segment)
        if score in ("dice", "hausdorff", "hausdorff_levels"):
            np.testing.assert_allclose(made.saliency, by_hand.saliency, atol=1e-6)

    def test_of_classes_that_exclude_each_other_a_pixel_may_be_in_several_or_none(self):
        def three(batch):
            return torch.cat([0.5 - 0.1 * batch, 0.3 + 0 * batch, 0.2 + 0.1 * batch], 1)

        inside = scene()[0].bool().numpy()
        made = explained(three, activation="none", target=2, threshold=0.25)
        np.testing.assert_array_equal(made.segment, inside)
        assert explained(three, activation="none", target=1, threshold=0.25).segment.all()
        default = explained(three, activation="none", threshold=0.25)
        assert default.target.label == 1  # the background does not count

    @pytest.mark.parametrize("wrong", [0, 1, -0.2, 1.5, "half", True, None.__class__])
    def test_something_else_than_a_probability_is_refused(self, wrong):
        with pytest.raises(ValueError, match="threshold must be a probability between 0 and 1"):
            SegmentationModel(self.weak, threshold=wrong)
