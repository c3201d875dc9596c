import warnings
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from names import printed
from torch.nn import functional as F

from interpret_segmentation import HDM, RISE, Occlusion, explain
from interpret_segmentation.models.answers import described, find
from interpret_segmentation.models.reading import detected_activation
from interpret_segmentation.models.shapes import as_maps
from interpret_segmentation.models.stated import SegmentationModel

SPACES = [(6, 9), (7, 4), (1, 1), (1, 5), (3, 4, 5), (1, 2, 3)]


def numbers(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def asked(answer, size=1, space=(6, 9), **options):
    """What comes of a model that always gives this answer, and what was detected."""
    model = SegmentationModel(lambda _images: answer, numpy=False, **options)
    return model.probabilities(torch.zeros(size, 1, *space)), model


def shares(classes, space=(6, 9), size=1):
    """Probabilities of classes that exclude each other."""
    return (3 * numbers(size, classes, *space, seed=classes)).softmax(dim=1)


@pytest.mark.parametrize("space", SPACES, ids=printed)
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("classes", [1, 2, 3, 150])
def test_classes_by_pixels_are_taken_as_they_are(space, size, classes):
    answer = numbers(size, classes, *space)
    maps, model = asked(answer, size, space)
    assert torch.equal(maps, answer)
    assert model.reading.classes == model.decisions["classes"] == classes
    assert model.decisions["resized"] is False


@pytest.mark.parametrize("space", SPACES, ids=printed)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_one_class_may_come_without_its_axis(space, size):
    answer = numbers(size, *space)
    maps, _ = asked(answer, size, space)
    assert torch.equal(maps, answer[:, None])


@pytest.mark.parametrize("space", [(6, 9), (7, 4), (3, 4, 5)], ids=printed)
@pytest.mark.parametrize("classes", [1, 2, 6, 150])
def test_one_image_may_come_without_its_axis(space, classes):
    answer = numbers(classes, *space)
    maps, _ = asked(answer, 1, space)
    assert torch.equal(maps, answer[None])


@pytest.mark.parametrize("space", SPACES, ids=printed)
def test_one_class_of_one_image_may_come_without_either(space):
    answer = numbers(*space)
    maps, _ = asked(answer, 1, space)
    assert torch.equal(maps, answer[None, None])


@pytest.mark.parametrize("size", [1, 2])
def test_one_class_may_come_with_its_axis_last(size):
    answer = numbers(size, 6, 9, 1)
    maps, _ = asked(answer, size)
    assert torch.equal(maps, answer.movedim(-1, 1))


@dataclass
class Named:
    logits: torch.Tensor
    hidden_states: tuple = ()


class ModelOutput(OrderedDict):
    """Like those of Hugging Face: a mapping whose keys are attributes."""

    __getattr__ = OrderedDict.__getitem__


Pair = namedtuple("Pair", ["features", "out"])


@pytest.mark.parametrize(
    ("wrap", "place"),
    [
        (lambda maps: maps, ""),
        (lambda maps: maps.numpy(), ""),
        (lambda maps: {"out": maps, "aux": maps * 0}, "['out']"),
        (lambda maps: {"aux": maps * 0, "out": maps}, "['out']"),
        (lambda maps: {"loss": maps.mean(), "logits": maps}, "['logits']"),
        (lambda maps: {"probabilities": maps, "features": maps * 0}, "['probabilities']"),
        (lambda maps: {"lesion": maps}, "['lesion']"),
        (lambda maps: {"lesion": maps, "epoch": 3, "names": ["a"]}, "['lesion']"),
        (lambda maps: {"lesion": maps.numpy()}, "['lesion']"),
        (lambda maps: OrderedDict(out=[maps, maps[..., :3]]), "['out'][0]"),
        (lambda maps: ModelOutput(logits=maps, hidden_states=(maps * 0,)), "['logits']"),
        (lambda maps: Named(maps), ".logits"),
        (lambda maps: SimpleNamespace(out=maps), ".out"),
        (lambda maps: Pair(maps * 0, maps), ".out"),
        (lambda maps: (maps, maps[:, :1] * 0), "[0]"),
        (lambda maps: [maps, maps[..., :4, :5]], "[0]"),
        (lambda maps: [[maps, maps[:, :1] * 0], "x"], "[0][0]"),
        (lambda maps: (maps.mean(), maps), "[1]"),
        (lambda maps: (None, maps), "[1]"),
        (lambda maps: (maps[..., :3, :4], maps), "[1]"),
        (lambda maps: [maps[..., ::2, ::2], maps], "[1]"),
        (lambda maps: {"features": torch.zeros(3), "mine": maps}, "['mine']"),
        (lambda maps: ({"out": maps}, 3), "[0]['out']"),
        (lambda maps: (Named(maps),), "[0].logits"),
    ],
)
@pytest.mark.parametrize("size", [1, 2])
def test_the_segmentation_is_found_in_whatever_a_model_returns(wrap, place, size):
    wanted = numbers(size, 2, 6, 9)
    maps, model = asked(wrap(wanted), size)
    assert torch.equal(maps, wanted)
    assert model.decisions["output"] == f"{place} {size} x 2 x 6 x 9".strip()


@pytest.mark.parametrize(
    ("wrap", "output"),
    [
        (lambda maps: {"a": maps * 0, "b": maps}, "b"),
        (lambda maps: {"a": maps * 0, 3: maps}, 3),
        (lambda maps: {"a": maps * 0, "b": [maps, maps[0, 0]]}, "b"),
        (lambda maps: {"a": maps * 0, "1959": maps}, 1959),
        (lambda maps: {"a": maps * 0, "1959": maps}, "1959"),
        (lambda maps: {"a": maps * 0, "b": maps}, 1),
        (lambda maps: {"a": maps * 0, "b": maps}, "-1"),
        (lambda maps: maps, 0),
        (lambda maps: maps, -1),
        (lambda maps: maps, lambda answer: [answer]),
        (lambda maps: maps, lambda answer: list(answer)),
        (lambda maps: maps, lambda answer: {"mine": answer}),
        (lambda maps: (maps * 0, maps), 1),
        (lambda maps: (maps * 0, maps), -1),
        (lambda maps: SimpleNamespace(out=maps * 0, masks=maps), "masks"),
        (lambda maps: Pair(maps, maps * 0), "features"),
        (lambda maps: {"a": {"b": (maps * 0, maps)}}, lambda answer: answer["a"]["b"][1]),
        (lambda maps: maps.movedim(1, -1), lambda answer: answer.movedim(-1, 1)),
        (lambda maps: maps.movedim(1, -1).numpy(), lambda answer: np.moveaxis(answer, -1, 1)),
    ],
)
def test_the_user_can_say_where_the_segmentation_is(wrap, output):
    wanted = numbers(2, 3, 6, 9)
    maps, _ = asked(wrap(wanted), 2, output=output)
    assert torch.equal(maps, wanted)


@pytest.mark.parametrize("output", ["mask", 5, "5", -2])
@pytest.mark.parametrize(
    "answer", [{"a": torch.zeros(1, 1, 6, 9)}, (torch.zeros(1, 1, 6, 9),), torch.zeros(1, 1, 6, 9)]
)
def test_a_place_that_is_not_there_is_refused_with_what_is(answer, output):
    with pytest.raises(KeyError, match=r"the model's answer (has no|is one float32) .*1 x 1 x 6 x 9"):
        asked(answer, output=output)


def test_several_unknown_outputs_are_listed():
    answer = {"left": torch.zeros(1, 1, 6, 9), "right": torch.zeros(1, 2, 6, 9), "n": 3}
    with pytest.raises(
        TypeError, match="say which part is the segmentation: output='left' or 'right'"
    ) as caught:
        asked(answer)
    assert "'left': float32 of shape 1 x 1 x 6 x 9, 'right': float32 of shape 1 x 2 x 6 x 9" in str(
        caught.value
    )


@pytest.mark.parametrize(
    "answer",
    [None, 3.5, "mask", {}, {"a": 3}, [], (), object(), [None], np.array(["a"]), {"out": None}],
    ids=printed,
)
def test_an_answer_without_a_tensor_is_refused(answer):
    with pytest.raises(TypeError, match=r"the model('s answer| must return a tensor)"):
        asked(answer)


@pytest.mark.parametrize(
    "maps", [torch.ones(1, 1, 6, 9) + 0j, np.ones((1, 1, 6, 9), complex)], ids=["torch", "numpy"]
)
def test_complex_numbers_are_refused(maps):
    with pytest.raises(TypeError, match="the model must return"):
        asked(maps)


def test_an_answer_is_described_by_types_and_shapes():
    answer = {"a": torch.zeros(2, 3), "b": [np.zeros(4), None], "c": 3}
    assert described(answer) == (
        "{'a': float32 of shape 2 x 3, 'b': list of 2: [float64 of shape 4, NoneType], 'c': int}"
    )


def test_an_array_that_cannot_be_written_to_is_accepted():
    array = numbers(1, 2, 6, 9).numpy()
    array.flags.writeable = False
    assert torch.equal(asked(array)[0], numbers(1, 2, 6, 9))


def test_an_array_of_foreign_byte_order_is_accepted():
    array = numbers(1, 2, 6, 9).numpy()
    assert torch.equal(asked(array.astype(array.dtype.newbyteorder()))[0], numbers(1, 2, 6, 9))


def test_semantic_maps_come_from_the_queries_of_a_mask_transformer():
    generator = torch.Generator().manual_seed(0)
    classes = torch.randn(2, 5, 4, generator=generator)
    masks = torch.randn(2, 5, 6, 9, generator=generator)
    maps, model = asked(
        {"class_queries_logits": classes, "masks_queries_logits": masks}, 2, activation="none"
    )
    by_hand = np.zeros((2, 3, 6, 9))
    for image in range(2):
        for query in range(5):
            share = np.exp(classes[image, query].numpy())
            share = share / share.sum()
            for label in range(3):
                by_hand[image, label] += share[label] / (1 + np.exp(-masks[image, query].numpy()))
    by_hand /= by_hand.sum(axis=1, keepdims=True).clip(min=1)
    np.testing.assert_allclose(maps.numpy(), by_hand, rtol=1e-5)
    assert "queries" in model.decisions["output"]
    assert model.reading.exclusive


@pytest.mark.parametrize("stride", [2, 3, 4, 8, 16, 32])
@pytest.mark.parametrize("space", [(50, 37), (64, 96), (33, 65), (9, 17, 21)], ids=printed)
@pytest.mark.parametrize("up", [False, True])
def test_coarser_logits_are_resized_before_they_become_probabilities(stride, space, up):
    coarse = [max(1, side // stride + (1 if up and side % stride else 0)) for side in space]
    if set(coarse) == {1}:
        coarse[-1] = 2  # a single pixel is what a classifier returns
        space = (*space[:-1], 2 * stride)
    answer = 6 * numbers(2, 2, *coarse) - 3
    maps, model = asked(answer, 2, space, activation="sigmoid")
    mode = "bilinear" if len(space) == 2 else "trilinear"
    expected = F.interpolate(answer, size=space, mode=mode, align_corners=False).sigmoid()
    torch.testing.assert_close(maps, expected)
    assert model.decisions["resized"] is True


def test_resizing_is_linear_between_the_centres_of_the_pixels():
    maps, _ = asked(torch.tensor([[0.0, 1.0]]).expand(1, 1, 1, 2), 1, (2, 8))
    expected = [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1]
    np.testing.assert_allclose(maps[0, 0].numpy(), [expected, expected], atol=1e-6)


def test_a_coarser_class_may_come_without_its_axis():
    answer = numbers(2, 3, 5)
    assert asked(answer, 2, (12, 20))[0].shape == (2, 1, 12, 20)


def test_the_strides_of_a_volume_may_differ():
    assert asked(numbers(1, 2, 3, 8, 16), 1, (3, 16, 32))[0].shape == (1, 2, 3, 16, 32)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 32), st.booleans())
def test_every_size_divided_by_a_stride_is_accepted(height, width, stride, up):
    coarse = [max(1, -(-side // stride) if up else side // stride) for side in (height, width)]
    assume(coarse != [1, 1] or max(height, width) <= 32)
    assert as_maps(torch.zeros(2, 3, *coarse), 2, (height, width)).shape == (2, 3, *coarse)


@pytest.mark.parametrize(
    "shape", [(1, 2, 28, 38), (1, 1, 32, 42), (1, 2, 40, 30), (1, 2, 30, 38), (1, 3, 60, 80)]
)
def test_a_cropped_padded_transposed_or_finer_output_is_refused(shape):
    with pytest.raises(
        ValueError, match=r"for 1 images of 30 x 40 pixels .* got .*cropped or padded, pass output="
    ):
        asked(torch.zeros(shape), 1, (30, 40))


@pytest.mark.parametrize(("shape", "space"), [((2, 30, 40, 3), (30, 40)), ((2, 9, 16, 20, 2), (9, 16, 20))])
def test_channels_last_is_refused_and_its_cure_works(shape, space):
    answer = numbers(*shape)
    with pytest.raises(ValueError, match=r"pass output=lambda answer: answer\.movedim\(-1, 1\)"):
        asked(answer, 2, space)
    maps, _ = asked(answer, 2, space, output=lambda answer: answer.movedim(-1, 1))
    assert torch.equal(maps, answer.movedim(-1, 1))


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 21])
@pytest.mark.parametrize("side", [64, 96])
def test_channels_last_is_refused_also_for_square_images(classes, side):
    with pytest.raises(ValueError, match=r"movedim\(-1, 1\)"):
        asked(numbers(1, side, side, classes), 1, (side, side))


def test_the_cure_for_channels_last_works_also_without_the_batch_axis():
    answer = numbers(30, 40, 3)
    with pytest.raises(ValueError, match=r"movedim\(-1, -3\)|movedim\(-1, 0\)"):
        asked(answer, 1, (30, 40))


@pytest.mark.parametrize("shape", [(1, 10), (1, 1000), (2, 2)])
def test_a_classifier_is_told_that_it_is_none(shape):
    with pytest.raises(ValueError, match="as a classifier returns, and no segmentation"):
        asked(torch.zeros(shape), shape[0], (30, 40))


def test_a_classifier_that_keeps_its_axes_is_told_so_too():
    with pytest.raises(ValueError, match="classifier"):
        asked(numbers(1, 1000, 1, 1), 1, (64, 48))


@pytest.mark.parametrize("size", [2, 3])
def test_the_number_of_images_must_be_kept(size):
    with pytest.raises(ValueError, match="the model must keep the number of images"):
        asked(numbers(1, 2, 30, 40), size, (30, 40))


def test_a_volume_taken_for_an_image_is_told_of_dims():
    with pytest.raises(ValueError, match="pass it as C x D x H x W with dims=3"):
        asked(numbers(1, 2, 5, 6, 9), 1, (6, 9))


@pytest.mark.parametrize("shape", [(1, 0, 6, 9), (0, 1, 6, 9), (1, 1, 6, 0)])
def test_an_empty_output_is_refused(shape):
    with pytest.raises(ValueError, match="nothing at all"):
        asked(torch.zeros(shape))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int64, np.int64, np.uint8])
@pytest.mark.parametrize("axes", [0, 1])
def test_labels_are_refused_and_their_cure_works(kind, axes):
    labels = (numbers(1, *[1] * axes, 6, 9) * 4).floor()
    labels = labels.to(kind) if isinstance(kind, torch.dtype) else labels.numpy().astype(kind)
    with pytest.raises(ValueError, match=r"whole numbers from 0 to 3: labels, not probabilities.*one_hot\("):
        asked(labels)
    if axes or not isinstance(kind, torch.dtype):
        return
    maps, model = asked(labels, output=lambda labels: F.one_hot(labels.long(), 4).movedim(-1, 1))
    assert torch.equal(maps.argmax(dim=1), labels.long())
    assert (model.reading.classes, model.reading.exclusive) == (4, True)


def test_labels_as_floats_are_no_logits():
    with pytest.raises(ValueError, match="labels"):
        asked((numbers(1, 6, 9) * 4).floor())


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, bool, np.uint8, np.int32])
def test_a_mask_is_a_probability_of_0_or_1(kind):
    mask = numbers(1, 6, 9) > 0.5
    answer = mask.to(kind) if isinstance(kind, torch.dtype) else mask.numpy().astype(kind)
    maps, model = asked(answer)
    assert torch.equal(maps, mask[:, None].float())
    assert model.decisions["activation"] == "none"


def test_labels_that_come_up_later_are_refused_too():
    model = SegmentationModel(lambda images: images[:, 0].round().long(), numpy=False)
    model.probabilities(torch.ones(1, 1, 6, 9))
    with pytest.raises(ValueError, match="whole numbers from 3 to 3: labels"):
        model.probabilities(torch.full((1, 1, 6, 9), 3.0))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [2, 3, 150])
def test_probabilities_that_add_up_to_one_exclude_each_other(kind, classes):
    maps, model = asked(shares(classes).to(kind))
    assert maps.dtype == torch.float32
    assert (model.reading.activation, model.reading.exclusive) == ("none", True)
    assert "are probabilities" in model.decisions["activation_because"]
    label = int(maps[0, :, 2, 3].argmax())
    assert torch.equal(model.reading.segments(maps, label), maps.argmax(dim=1) == label)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [2, 3, 150])
def test_logarithms_of_probabilities_are_recognised(kind, classes):
    wanted = shares(classes)
    maps, model = asked(wanted.log().to(kind))
    assert (model.reading.activation, model.reading.exclusive) == ("log_softmax", True)
    torch.testing.assert_close(maps, wanted, rtol=0.05, atol=1e-3)


def test_the_logarithm_of_0_is_a_probability_of_0():
    maps, model = asked(torch.tensor([1.0, 0.0]).log()[:, None, None].expand(1, 2, 6, 9))
    assert model.reading.activation == "log_softmax"
    assert maps[0, :, 0, 0].tolist() == [1, 0]


@pytest.mark.parametrize("classes", [2, 3, 150])
def test_probabilities_that_do_not_add_up_may_overlap(classes):
    maps, model = asked(numbers(1, classes, 6, 9))
    assert (model.reading.activation, model.reading.exclusive) == ("none", False)
    assert torch.equal(model.reading.segments(maps, 1), maps[:, 1] > 0.5)


def test_logits_of_one_class_go_through_a_sigmoid():
    answer = 8 * numbers(2, 1, 6, 9) - 4
    maps, model = asked(answer, 2)
    np.testing.assert_allclose(maps.numpy(), 1 / (1 + np.exp(-answer.numpy())), rtol=1e-5)
    assert (model.reading.activation, model.reading.exclusive) == ("sigmoid", False)
    assert "logits, of one class" in model.decisions["activation_because"]


def test_logits_of_two_classes_go_through_a_softmax():
    answer = 8 * numbers(2, 2, 6, 9) - 4
    with pytest.warns(UserWarning, match=r"class 0 has 45 pixels then, but 46 if classes may overlap"):
        maps, model = asked(answer, 2)
    powers = np.exp(answer.numpy())
    np.testing.assert_allclose(maps.numpy(), powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)
    assert (model.reading.activation, model.reading.exclusive) == ("softmax", True)


def test_that_several_logits_exclude_each_other_is_an_assumption_and_said_so():
    with pytest.warns(UserWarning, match="logits for 3 classes, which are taken to exclude each other"):
        _, model = asked(8 * numbers(1, 3, 6, 9) - 4)
    assert (model.reading.activation, model.reading.exclusive) == ("softmax", True)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_what_is_stated_is_neither_questioned_nor_warned_about(activation):
    answer = numbers(1, 3, 6, 9)
    maps, model = asked(answer, activation=activation)
    expected = answer.sigmoid() if activation == "sigmoid" else answer.softmax(dim=1)
    torch.testing.assert_close(maps, expected)
    assert model.reading.exclusive is (activation == "softmax")
    assert (model.decisions["activation"], model.decisions["activation_because"]) == (activation, "stated")


@pytest.mark.parametrize("value", [-0.5, 1.5, -torch.inf])
def test_stated_probabilities_outside_0_to_1_are_refused(value):
    answer = numbers(1, 2, 6, 9)
    answer[0, 1, 3, 4] = value
    with pytest.raises(
        ValueError, match=r"probabilities from 0 to 1, got values from .*pass activation='sigmoid'"
    ):
        asked(answer, activation="none")


def test_probabilities_may_be_a_rounding_error_off():
    assert asked(torch.full((1, 1, 6, 9), 1 + 1e-4))[1].reading.activation == "none"
    assert asked(torch.full((1, 1, 6, 9), -1e-4))[1].reading.activation == "none"
    assert asked(torch.full((1, 1, 6, 9), 1.01))[1].reading.activation == "sigmoid"


@pytest.mark.parametrize("activation", [None, "none", "sigmoid", "softmax", "log_softmax"])
def test_a_nan_is_counted(activation):
    answer = numbers(1, 2, 6, 9)
    answer[0, 1, 3, 4] = answer[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="the model returned NaN for 2 of 108 values"):
        asked(answer, activation=activation)


def test_a_logit_of_minus_infinity_is_a_probability_of_0():
    answer = 8 * numbers(1, 1, 6, 9) - 4
    answer[0, 0, 3, 4] = -torch.inf
    assert asked(answer)[0][0, 0, 3, 4].item() == 0


def test_infinite_logits_are_not_called_nan():
    answer = 8 * numbers(1, 2, 6, 9) - 4
    answer[0, 1, 3, 4] = torch.inf
    with pytest.raises(ValueError, match="infinite") as caught:
        asked(answer)
    assert "returned NaN" not in str(caught.value)


def test_half_precision_logits_come_as_single_precision_probabilities():
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        answer = (8 * numbers(1, 2, 3, 4) - 4).to(kind)
        maps, _ = asked(answer, 1, (6, 8), activation="sigmoid")
        assert maps.dtype == torch.float32
        expected = F.interpolate(answer.float(), size=(6, 8), mode="bilinear", align_corners=False).sigmoid()
        torch.testing.assert_close(maps, expected)


def test_another_number_of_classes_later_is_refused():
    model = SegmentationModel(lambda images: images.expand(-1, 2 + len(images), -1, -1), numpy=False)
    model.probabilities(numbers(1, 1, 6, 9))
    with pytest.raises(ValueError, match="the model returned 3 classes before, and 4 now"):
        model.probabilities(numbers(2, 1, 6, 9))


@given(st.integers(1, 6), st.floats(-20, 20), st.floats(0.01, 20), st.integers(0, 99))
def test_what_is_detected_always_gives_probabilities(classes, lowest, span, seed):
    answer = lowest + span * numbers(2, classes, 3, 4, seed=seed)
    activation, because = detected_activation(answer)
    assert because
    maps, model = asked(answer, 2, (3, 4), activation=activation)
    assert maps.min() >= -1e-3
    assert maps.max() <= 1 + 1e-3
    if model.reading.exclusive:
        torch.testing.assert_close(maps.sum(dim=1), torch.ones(2, 3, 4), rtol=0.03, atol=0.03)


def disguised(images):
    """Logits that lie between 0 and 1 for the image below, but not for dark pixels."""
    return 5 * images[:, :1] - 3.6


def two_disguised(images):
    """The same for two classes, which even add up to one."""
    return torch.cat([disguised(images), 1 - disguised(images)], dim=1)


METHODS = {
    "hdm": lambda: HDM(fill="black"),
    "occlusion": lambda: Occlusion(fill="black"),
    "rise": lambda: RISE(N=20, s=3, seed=1, fill="black"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("model", "meant"), [(disguised, "sigmoid"), (two_disguised, "softmax")])
def test_logits_that_looked_like_probabilities_are_recognised_on_a_masked_image(model, meant, method):
    image = 0.74 + 0.16 * numbers(1, 12, 17)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the model returned logits for 2 classes")
        found = explain(model, image, METHODS[method](), incremental=False, progress=False)
    stated = explain(model, image, METHODS[method](), activation=meant, incremental=False, progress=False)
    assert np.array_equal(found.saliency, stated.saliency)
    assert np.array_equal(found.prediction, stated.prediction)
    assert found.model["activation"] == found.settings["activation"] == meant
    assert found.model["activation_because"] == "a masked image gave values outside 0 to 1: logits"
    assert found.model["exclusive"] is (meant == "softmax")
    assert stated.model["activation_because"] == "stated"


def test_also_when_the_method_is_called_by_itself():
    image = 0.74 + 0.16 * numbers(1, 12, 17)
    model = SegmentationModel(disguised)
    made = Occlusion(fill="black").explain(model, image, progress=False)
    assert made.model["activation"] == "sigmoid"


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_that_were_stated_are_not_taken_back(method):
    image = 0.74 + 0.16 * numbers(1, 12, 17)
    with pytest.raises(ValueError, match="the model must return probabilities from 0 to 1"):
        explain(disguised, image, METHODS[method](), activation="none", progress=False)


def test_the_assumption_is_also_said_when_it_is_made_late():
    image = 0.74 + 0.16 * numbers(1, 12, 17)
    with pytest.warns(UserWarning, match=r"logits for 2 classes.* class 1 has 111 pixels then, but 204 if"):
        explain(two_disguised, image, "occlusion", fill="black", progress=False)


def test_picking_never_changes_what_it_picks_from():
    maps = numbers(1, 2, 6, 9)
    answer = {"a": 1, "out": (maps, None)}
    path = find(answer, None, 1, lambda _tensor, _size: True)
    assert path.follow(answer, None) is maps
    assert str(path) == "['out'][0]"
