import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from names import printed
from networks import brightness
from torch import nn
from torch.nn import functional as F

from interpret_segmentation import Occlusion, Preprocess, hdm
from interpret_segmentation import explain as explain_anything
from interpret_segmentation.models.borrowing import borrow
from interpret_segmentation.models.devices import device_of
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.rise import SegmentationRISE


class Noisy(nn.Module):
    """Has a batch norm and a dropout, draws random numbers, fails on demand."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 3, padding=1)
        self.norm = nn.BatchNorm2d(1)
        self.dropout = nn.Dropout(0.5)
        self.calls = 0
        self.fail_at = None

    def forward(self, images):
        self.calls += 1
        if self.calls == self.fail_at:
            raise RuntimeError("broken network")
        torch.rand(3)
        return self.dropout(self.norm(self.convolution(images))).sigmoid()


def explain(model, method, image=None):
    image = torch.rand(12, 14, generator=torch.Generator().manual_seed(0)) if image is None else image
    if method == "hdm":
        explainer = hdm.HausdorffDistanceMasks(14, 12)
        explainer.generate_masks(4, 4)
        return explainer.explain(model, image, None, "cpu", progress=False).distances(hdm.RAW)
    explainer = SegmentationRISE(model, (14, 12), "cpu", progress=False)
    explainer.generate_masks(10, 3, 0.5, savepath=None, seed=0)
    return explainer(image, torch.ones(12, 14)).mean()


@pytest.mark.parametrize("method", ["hdm", "rise"])
@pytest.mark.parametrize("fail_at", [None, 1, 2, 11])
def test_a_model_is_given_back_as_it_was_also_after_an_error(method, fail_at):
    model = Noisy().train()
    model.norm.eval()
    model.fail_at = fail_at
    model.convolution.weight.requires_grad_(False)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random_state, hooks = torch.get_rng_state(), len(model._forward_hooks)
    if fail_at is None:
        explain(model, method)
    else:
        with pytest.raises(RuntimeError, match="broken network"):
            explain(model, method)
    assert (model.training, model.norm.training, model.dropout.training) == (True, False, True)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in state.items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert len(model._forward_hooks) == hooks
    assert [p.requires_grad for p in model.parameters()] == [False, True, True, True]
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("method", ["hdm", "rise"])
def test_a_model_that_writes_into_its_input_changes_neither_image_nor_answer(method):
    def careful(images):
        return (images + 1) / 2

    def careless(images):
        return images.add_(1).div_(2)

    image = torch.full((12, 14), 0.4)
    assert (explain(careless, method, image) == explain(careful, method, image)).all()
    assert (image == 0.4).all()


@pytest.mark.parametrize("method", ["hdm", "rise"])
def test_a_model_in_training_mode_is_asked_in_evaluation_mode(method):
    model = Noisy()
    assert (explain(model.train(), method) == explain(model.eval(), method)).all()


def test_inside_the_block_no_gradients_are_recorded():
    model = Noisy()
    with borrow(model):
        assert not model(torch.ones(1, 1, 5, 5)).requires_grad
        assert not model.dropout.training


@pytest.mark.parametrize("method", ["hdm", "rise"])
def test_an_output_of_nothing_but_nan_is_one_clear_error(method):
    with pytest.raises(ValueError, match="the model returned NaN for 168 of 168 values"):
        explain(lambda images: images * torch.nan, method)


def test_the_device_follows_the_model_unless_one_is_wanted():
    assert device_of(Noisy()) == torch.device("cpu")
    assert device_of(Noisy(), "cpu") == device_of(Noisy(), "cpu:0") == torch.device("cpu")
    assert device_of(brightness) == torch.device("cpu")
    assert device_of(brightness, "meta") == torch.device("meta")
    assert device_of(Noisy().to("meta")) == torch.device("meta")


@pytest.mark.parametrize("wanted", ["cuda", "cuda:1", "meta"])
def test_a_model_on_another_device_than_wanted_is_refused(wanted):
    with pytest.raises(ValueError, match=rf"the model is on cpu .* run on {wanted}.*model\.to\('{wanted}'\)"):
        device_of(Noisy(), wanted)


@pytest.mark.parametrize(("wanted", "fits"), [("cuda", True), ("cuda:1", True), ("cuda:0", False)])
def test_a_device_without_a_number_is_any_of_its_kind(monkeypatch, wanted, fits):
    weights = SimpleNamespace(device=torch.device("cuda:1"))
    monkeypatch.setattr("interpret_segmentation.models.devices._first_tensor", lambda _model: weights)
    if fits:
        assert device_of(brightness, wanted) == torch.device("cuda:1")
    else:
        with pytest.raises(ValueError, match=r"the model is on cuda:1 .* run on cuda:0"):
            device_of(brightness, wanted)


@pytest.mark.parametrize("model", [None, "unet.pth", nn.Conv2d])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module or a function"):
        device_of(model)


@pytest.mark.parametrize("wanted", ["abacus", 3.5, object()])
def test_what_is_no_device_is_refused(wanted):
    with pytest.raises(ValueError, match="device must be such as 'cpu' or 'cuda:0'"):
        device_of(brightness, wanted)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so it can be used")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="device 'cuda' cannot be used here"):
        device_of(brightness, "cuda")


def test_values_too_large_for_the_models_type_are_blamed_on_the_image():
    image = torch.full((1, 12, 14), 1e6)
    with pytest.raises(ValueError, match=r"image has values up to 1e\+06, too large for the torch.float16"):
        SegmentationModel(Noisy().half()).probabilities(image[None])


def numbers(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_what_was_detected_is_written_down():
    model = SegmentationModel(Noisy().eval())
    model.probabilities(numbers(1, 1, 12, 17))
    decisions = dict(model.decisions)
    because = decisions.pop("activation_because")
    assert because.startswith("values from 0.")
    assert because.endswith("are probabilities")
    assert decisions == {
        "model": f"{Noisy.__module__}.Noisy",
        "output": "1 x 1 x 12 x 17",
        "classes": 1,
        "activation": "none",
        "resized": False,
        "device": "cpu",
        "dtype": "float32",
        "exclusive": False,
        "threshold": None,
    }


def test_what_it_was_built_with_can_be_given_to_it_again():
    said = {"output": "out", "activation": "softmax", "numpy": False, "autocast": "float16"}
    options = SegmentationModel(brightness, **said).options
    assert options == said
    assert SegmentationModel(brightness, **options).options == options
    assert SegmentationModel(brightness).options == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "relu"}, "activation must be one of none, sigmoid, softmax, log_softmax, got 'relu'"),
        ({"dims": 4}, "dims must be 2 or 3, got 4"),
        ({"dims": True}, "dims must be 2 or 3, got True"),
        ({"autocast": "int8"}, "autocast must be True, torch.bfloat16 or torch.float16, got 'int8'"),
        ({"autocast": torch.float64}, "autocast must be True"),
        ({"autocast": "relu"}, "autocast must be True"),
        ({"autocast": 3}, "autocast must be True"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SegmentationModel(brightness, **options)


@pytest.mark.parametrize("preprocess", [3, "imagenet", torch.ones(3)])
def test_what_is_no_preprocessing_is_refused(preprocess):
    with pytest.raises(TypeError, match="preprocess must be a function of a batch of images"):
        SegmentationModel(brightness, preprocess=preprocess)


@pytest.mark.parametrize(
    "returned",
    [None, np.zeros((2, 1, 6, 9)), torch.zeros(1, 1, 6, 9), torch.zeros(2, 6), [torch.zeros(1, 6, 9)] * 2],
    ids=["None", "array", "fewer", "flat", "list"],
)
def test_preprocessing_returns_as_many_images_as_it_got(returned):
    model = SegmentationModel(brightness, preprocess=lambda _batch: returned)
    with pytest.raises(TypeError, match="preprocess must return a batch of 2 images as a tensor, got"):
        model.probabilities(torch.zeros(2, 1, 6, 9))


def test_preprocessing_to_a_single_number_is_refused_like_the_rest():
    model = SegmentationModel(brightness, preprocess=torch.sum)
    with pytest.raises(TypeError, match="preprocess must return a batch of 2 images"):
        model.probabilities(torch.zeros(2, 1, 6, 9))


def test_nan_made_by_preprocessing_is_not_blamed_on_large_values():
    model = SegmentationModel(brightness, preprocess=lambda batch: (batch - batch.mean()) / batch.std())
    with pytest.raises(ValueError, match="preprocess") as caught:
        model.probabilities(torch.full((1, 1, 6, 9), 0.5))
    assert "too large" not in str(caught.value)


def test_any_function_can_prepare_the_images_and_may_change_their_size():
    seen = []

    def model(images):
        seen.append(images.shape)
        return images[:, :1]

    asked = SegmentationModel(model, preprocess=lambda batch: F.max_pool2d(batch, 3) / 2)
    batch = numbers(2, 1, 12, 18)
    maps = asked.probabilities(batch)
    assert seen == [(2, 1, 4, 6)]
    expected = F.interpolate(F.max_pool2d(batch, 3) / 2, size=(12, 18), mode="bilinear", align_corners=False)
    torch.testing.assert_close(maps, expected)


def test_preprocessing_and_a_coarser_answer_go_together():
    asked = SegmentationModel(lambda images: F.avg_pool2d(images, 4), preprocess=Preprocess(multiple=32))
    assert asked.probabilities(numbers(1, 1, 50, 70)).shape == (1, 1, 50, 70)


def test_whole_numbers_from_preprocessing_become_the_models_type():
    model = SegmentationModel(Noisy().half().eval(), preprocess=lambda batch: (10 * batch).to(torch.uint8))
    assert model.probabilities(numbers(1, 1, 12, 17)).dtype == torch.float32


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_images_come_in_the_type_of_the_weights(kind):
    class Network(Noisy):
        def forward(self, images):
            assert images.dtype == kind
            return super().forward(images)

    model = SegmentationModel(Network().to(kind).eval())
    for image in (numbers(1, 1, 12, 17), numbers(1, 1, 12, 17).double()):
        assert model.probabilities(image).dtype == torch.float32
    assert model.decisions["dtype"] == str(kind).removeprefix("torch.")


@pytest.mark.parametrize(
    ("autocast", "kind"),
    [
        (None, torch.float32),
        (False, torch.float32),
        (True, torch.bfloat16),
        ("bfloat16", torch.bfloat16),
        (torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float16),
    ],
)
def test_mixed_precision_is_what_was_asked_for_and_only_inside(autocast, kind):
    seen = []

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, images):
            answer = self.convolution(images)
            seen.append(answer.dtype)
            return answer

    maps = SegmentationModel(Network(), activation="sigmoid", autocast=autocast).probabilities(
        numbers(1, 1, 8, 9)
    )
    assert seen == [kind]
    assert maps.dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("model", "dims"),
    [
        (nn.Conv2d(1, 1, 1), 2),
        (nn.Sequential(nn.Conv2d(3, 1, 3), nn.BatchNorm2d(1)), 2),
        (nn.Conv3d(1, 1, 1), 3),
        (nn.ConvTranspose3d(1, 1, 1), 3),
        (nn.Linear(3, 3), None),
        (nn.Sequential(), None),
        (brightness, None),
    ],
    ids=printed,
)
def test_the_axes_of_space_are_those_of_the_convolutions(model, dims):
    assert SegmentationModel(model).dims == dims
    assert SegmentationModel(model, dims=3).dims == 3


def test_a_buffer_of_five_axes_makes_no_volume_of_an_image():
    network = nn.Conv2d(1, 1, 1)
    network.register_buffer("anchors", torch.zeros(1, 1, 1, 1, 2))
    assert SegmentationModel(network).dims == 2


def test_volumes_are_asked_like_images():
    torch.manual_seed(0)
    network = nn.Conv3d(2, 2, 3, padding=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the model returned logits for 2 classes")
        explanation = explain_anything(
            network, numbers(2, 5, 6, 8), "occlusion", size=4, offset=3, progress=False
        )
    assert explanation.saliency.shape == (5, 6, 8)
    assert explanation.model["activation"] == "softmax"


def test_a_model_without_weights_is_where_it_is_said_to_be():
    assert SegmentationModel(brightness).device == torch.device("cpu")
    assert SegmentationModel(brightness, device="meta").device == torch.device("meta")
    assert SegmentationModel(nn.Sequential(), device="cpu").device == torch.device("cpu")
    assert SegmentationModel(nn.Conv2d(1, 1, 1).to("meta")).device == torch.device("meta")
    with pytest.raises(
        ValueError, match=r"the model is on meta .* run on cpu; move the model with model\.to\('cpu'\)"
    ):
        SegmentationModel(nn.Conv2d(1, 1, 1).to("meta"), device="cpu")


def of_arrays(images):
    """A function that only knows NumPy."""
    assert images.dtype.kind == "f"
    return np.clip(images[:, :1].astype(np.float64), 0, 1)


def test_a_function_of_arrays_is_recognised_and_from_then_on_gets_arrays():
    model = SegmentationModel(of_arrays)
    batch = numbers(2, 3, 6, 9)
    torch.testing.assert_close(model.probabilities(batch), batch[:, :1])
    assert model.reading.numpy is True
    assert model.options["numpy"] is True


def test_a_function_of_arrays_is_tried_with_tensors_once():
    kinds = []

    def model(images):
        kinds.append(type(images))
        return of_arrays(images)

    asked = SegmentationModel(model)
    for _ in range(2):
        asked.probabilities(numbers(1, 1, 6, 9))
    assert kinds == [torch.Tensor, np.ndarray, np.ndarray]


@pytest.mark.parametrize(("numpy", "kind"), [(True, np.ndarray), (False, torch.Tensor), (None, torch.Tensor)])
def test_what_a_function_takes_can_be_stated(numpy, kind):
    def model(images):
        assert isinstance(images, kind)
        return images[:, :1] * 1.0

    assert SegmentationModel(model, numpy=numpy).probabilities(numbers(1, 1, 6, 9)).shape == (1, 1, 6, 9)


def test_an_error_that_arrays_do_not_cure_is_the_one_for_tensors():
    def model(images):
        raise TypeError(f"no {type(images).__name__}")

    with pytest.raises(RuntimeError, match=r"TypeError: no Tensor") as caught:
        SegmentationModel(model).probabilities(numbers(1, 1, 6, 9))
    assert str(caught.value.__cause__) == "no Tensor"


def test_a_function_of_arrays_that_is_said_to_take_tensors_fails_as_such():
    with pytest.raises(RuntimeError, match=r"AttributeError: .* has no attribute .kind."):
        SegmentationModel(of_arrays, numpy=False).probabilities(numbers(1, 1, 6, 9))


@pytest.mark.parametrize(
    "error", [RuntimeError, ValueError, KeyError, ZeroDivisionError, NotImplementedError]
)
def test_an_error_inside_the_model_keeps_its_cause(error):
    def model(_images):
        raise error("deep inside")

    with pytest.raises(
        RuntimeError, match=rf"failed on images of shape \(1, 1, 6, 9\): {error.__name__}.*deep inside"
    ) as caught:
        SegmentationModel(model).probabilities(numbers(1, 1, 6, 9))
    assert isinstance(caught.value.__cause__, error)


def test_an_error_inside_the_model_later_comes_as_it_is():
    model = Noisy()
    model.fail_at = 2
    asked = SegmentationModel(model)
    asked.probabilities(numbers(1, 1, 6, 9))
    with pytest.raises(RuntimeError, match=r"^broken network$"):
        asked.probabilities(numbers(1, 1, 6, 9))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_failure_of_the_model(error):
    def model(_images):
        raise error

    with pytest.raises(error):
        SegmentationModel(model).probabilities(numbers(1, 1, 6, 9))


def test_another_number_of_channels_is_told_with_its_cure():
    network = nn.Conv2d(3, 1, 3, padding=1)
    image = numbers(1, 1, 6, 9)
    with pytest.raises(
        RuntimeError, match=r"convolution takes 3 channels.* the image has 1.*channels=\(0, 0, 0\)"
    ):
        SegmentationModel(network).probabilities(image)
    cured = SegmentationModel(network, activation="sigmoid", preprocess=Preprocess(channels=(0, 0, 0)))
    assert cured.probabilities(image).shape == (1, 1, 6, 9)


def test_sides_that_do_not_fit_are_told_with_their_cure():
    def model(images):
        down = F.max_pool2d(images, 2)
        return torch.cat([images, F.interpolate(down, scale_factor=2.0)], dim=1).mean(dim=1, keepdim=True)

    image = numbers(1, 1, 7, 9)
    with pytest.raises(
        RuntimeError, match=r"multiples of a number, pass preprocess=Preprocess\(multiple=32\)"
    ):
        SegmentationModel(model).probabilities(image)
    assert SegmentationModel(model, preprocess=Preprocess(multiple=2)).probabilities(image).shape == (
        1,
        1,
        7,
        9,
    )


class OfTwo:
    """Takes two images at a time, no more and no less, as a file with a fixed batch does."""

    def __init__(self, wrap=lambda maps: maps):
        self.wrap = wrap
        self.asked = 0

    def __call__(self, images):
        assert images.shape == (2, 1, 6, 9)
        self.asked += 1
        return self.wrap(images / 2)


def of_two(network, **options):
    model = SegmentationModel(network, **options)
    model.network.fixed_batch = 2
    return model


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("wrap", "options"),
    [
        (lambda maps: maps, {}),
        (lambda maps: {"out": maps, "aux": maps * 0}, {}),
        (lambda maps: {"a": maps * 0, "b": maps}, {"output": "b"}),
        (lambda maps: (maps * 0, maps), {"output": 1}),
    ],
)
def test_a_fixed_batch_is_filled_up(wrap, options, count):
    batch, network = numbers(count, 1, 6, 9), OfTwo(wrap)
    torch.testing.assert_close(of_two(network, **options).probabilities(batch), batch / 2)
    assert network.asked == (count + 1) // 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_fixed_batch_and_a_function_that_finds_the_output_go_together(count):
    batch = numbers(count, 1, 6, 9)
    model = of_two(OfTwo(lambda maps: {"x": maps, "y": 0 * maps}), output=lambda answer: answer["x"])
    torch.testing.assert_close(model.probabilities(batch), batch / 2)


def test_where_the_output_was_found_is_written_down_also_for_a_fixed_batch():
    model = of_two(OfTwo(lambda maps: {"out": maps}))
    model.probabilities(numbers(1, 1, 6, 9))
    assert model.decisions["output"].startswith("['out']")


@pytest.mark.parametrize("shape", [9, (1, 9, 9), (6, 9), (None, 6, 9, 1), "1x6x9", []], ids=printed)
def test_an_input_shape_of_somebody_elses_is_not_believed(shape):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.input_shape = shape
            self.sizes = []

        def forward(self, images):
            self.sizes.append(len(images))
            return images[:, :1]

    network = Network()
    SegmentationModel(network).probabilities(numbers(2, 1, 6, 9))
    assert network.sizes == [2]


class Small:
    """Runs out of memory beyond a number of images; the first image always fits."""

    def __init__(self, room, error):
        self.room, self.error, self.sizes = room, error, []

    def __call__(self, images):
        self.sizes.append(len(images))
        if len(images) > self.room and len(self.sizes) > 1:
            raise self.error
        return images.clamp(0, 1)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("MPS backend out of memory"),
    MemoryError(),
]


def first_batch(sizes):
    """Where the work begins, after the unmasked image was asked about alone and beside others."""
    return sizes.index(8)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("room", "halvings"), [(8, 0), (7, 1), (4, 1), (3, 2), (1, 3)])
def test_when_memory_runs_out_the_batch_is_halved_and_the_map_is_the_same(error, room, halvings):
    image = numbers(1, 12, 17)
    method = Occlusion(size=5, offset=2, score="probability")
    expected = method.explain(brightness, image, batch_size=8, progress=False)
    network = Small(room, error)
    if halvings:
        with pytest.warns(RuntimeWarning, match="out of memory with . images at once") as said:
            found = method.explain(network, image, batch_size=8, progress=False)
        texts = [str(warning.message).split(" (")[0] for warning in said]
        assert texts == [
            f"out of memory with {size} images at once; going on with {size // 2}"
            for size in (8, 4, 2)[:halvings]
        ]
    else:
        found = method.explain(network, image, batch_size=8, progress=False)
    assert np.array_equal(found.saliency, expected.saliency)
    assert found.run["forwards"] == expected.run["forwards"]
    whole = [size for size in network.sizes[first_batch(network.sizes) + halvings :] if size > 1]
    assert max(whole, default=1) == 8 // 2**halvings


def test_when_memory_does_not_suffice_for_one_image_it_says_so_and_keeps_the_cause():
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    with pytest.raises(
        MemoryError, match=r"does not suffice for a single image: CUDA out of memory"
    ) as caught:
        Occlusion().explain(Small(0, error), numbers(1, 12, 17), batch_size=1, progress=False)
    assert caught.value.__cause__ is error


def test_when_memory_does_not_even_suffice_for_the_unmasked_image_it_says_so():
    def network(_images):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with pytest.raises(MemoryError, match="does not suffice for a single image"):
        Occlusion().explain(network, numbers(1, 12, 17), progress=False)


def test_another_error_is_no_reason_to_halve_the_batch():
    network = Small(3, RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        Occlusion().explain(
            SegmentationModel(network, incremental=False), numbers(1, 12, 17), batch_size=4, progress=False
        )
    assert network.sizes == [1, 1, 1, 1, 2, 2, 2, 2, 4]


@pytest.mark.parametrize("name", ["output", "preprocess"])
def test_an_explanation_with_a_function_is_repeated_with_it(name):
    def halved(answer):
        return answer / 2

    image = numbers(1, 12, 17)
    first = explain_anything(brightness, image, "occlusion", progress=False, **{name: halved})
    again = first.repeat(brightness, progress=False, **{name: halved})
    assert np.array_equal(again.saliency, first.saliency)
    assert np.array_equal(first.repeat(brightness, progress=False).saliency, first.saliency)


def test_what_was_detected_for_one_image_does_not_bind_the_next():
    model = SegmentationModel(lambda images: torch.cat([images, 1 - images], dim=1))
    method, image = Occlusion(score="dice"), numbers(1, 12, 17)
    first = method.explain(model, image, progress=False)
    with pytest.warns(UserWarning, match="logits for 2 classes"):
        other = method.explain(model, 8 * numbers(1, 9, 14) - 4, progress=False)
    again = method.explain(model, image, progress=False)
    assert [one.model["activation"] for one in (first, other, again)] == ["none", "softmax", "none"]
    assert np.array_equal(first.saliency, again.saliency)


def test_a_segment_that_fills_the_image_is_told_with_the_range_of_the_pixels():
    picture = np.random.default_rng(0).integers(60, 256, (20, 30)).astype(np.uint8)
    network = nn.Conv2d(1, 1, 1)
    nn.init.constant_(network.weight, 20.1)
    nn.init.constant_(network.bias, -10.3)
    for method in ("occlusion", "hdm", "rise"):
        settings = {"N": 10} if method == "rise" else {}
        with pytest.warns(
            UserWarning, match=r"fills the whole image.* run from 60 to 255\), with preproc.*/ 255"
        ):
            made = explain_anything(network, picture, method, progress=False, **settings)
        assert "The segment fills the whole image" in made.notes[0]
        fine = explain_anything(
            network, picture, method, preprocess=Preprocess(scale=1 / 255), progress=False, **settings
        )
        assert fine.notes == ()


@pytest.mark.parametrize(
    ("model", "settings", "cure"),
    [
        (nn.Linear(1, 1), {}, r"Preprocess\(layout='channels_last'\)"),
        (
            nn.Conv2d(1, 1, 3),
            {"preprocess": Preprocess(layout="channels_last")},
            "as layout= says: leave that",
        ),
        (lambda batch: [][batch.shape[2] == 64 or (_ for _ in ()).throw(AssertionError())], {}, r"size=224"),
    ],
)
def test_layouts_and_fixed_sizes_are_told_with_their_cure(model, settings, cure):
    with pytest.raises(RuntimeError, match=cure):
        explain_anything(model, torch.rand(1, 20, 30), "occlusion", progress=False, **settings)


def test_weights_without_their_network_are_told_in_a_line():
    with pytest.raises(TypeError, match=r"weights without their network: .* \(2 entries\)$"):
        explain_anything(nn.Conv2d(1, 1, 1).state_dict(), torch.rand(1, 20, 30), progress=False)


class OneAtATime(nn.Module):
    def forward(self, images):
        assert len(images) == 1
        return images


def test_a_network_that_takes_one_image_only_is_asked_so_and_that_is_said():
    image = torch.rand(1, 20, 30)
    with pytest.warns(
        UserWarning, match=r"takes one image at a time only \(to several it says: AssertionError"
    ):
        found = explain_anything(OneAtATime(), image, "rise", N=20, seed=0, progress=False)
    assert found.run["batch_size"] == 1
    stated = explain_anything(OneAtATime(), image, "rise", N=20, seed=0, batch_size=1, progress=False)
    np.testing.assert_array_equal(found.saliency, stated.saliency)


def test_a_network_that_normalises_by_its_batch_is_asked_about_one_image_at_a_time():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4, track_running_stats=False), nn.Conv2d(4, 1, 1)
    )
    image = torch.rand(1, 24, 30)
    settings = {"size": 8, "offset": 5, "score": "mae", "activation": "sigmoid", "progress": False}
    by_itself = explain_anything(network, image, "occlusion", batch_size=1, **settings)
    chosen = explain_anything(network, image, "occlusion", **settings)
    np.testing.assert_array_equal(chosen.saliency, by_itself.saliency)
    with pytest.warns(UserWarning, match="depends on the images beside it"):
        in_spite = explain_anything(network, image, "occlusion", batch_size=3, **settings)
    np.testing.assert_array_equal(in_spite.saliency, by_itself.saliency)
    assert in_spite.run["batch_size"] == chosen.run["batch_size"] == 1


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("asked", torch.zeros(1))

    def forward(self, images):
        self.asked += 1
        return images


def test_buffers_that_a_network_changes_are_put_back_and_that_is_said():
    network = Counting()
    with pytest.warns(UserWarning, match="changed its buffers while it was asked"):
        explain_anything(network, torch.rand(1, 20, 30), "rise", N=10, progress=False)
    assert network.asked == 0


def test_a_network_made_in_inference_mode_or_not_yet_in_shape_is_asked_too():
    image = torch.rand(1, 20, 30)
    with torch.inference_mode():
        frozen = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)).eval()
    lazy = nn.Sequential(nn.LazyConv2d(1, 3, padding=1), nn.LazyBatchNorm2d())
    for network in (frozen, lazy):
        made = explain_anything(
            network, image, "occlusion", size=9, offset=6, score="mae", activation="sigmoid", progress=False
        )
        assert made.saliency.any()
