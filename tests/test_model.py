from types import SimpleNamespace

import pytest
import torch
from networks import brightness
from torch import nn

from interpret_segmentation import hdm
from interpret_segmentation.model import SegmentationModel, borrowed, device_of
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
@pytest.mark.parametrize("fail_at", [None, 1, 3])
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
    with borrowed(model):
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
    monkeypatch.setattr("interpret_segmentation.model._first_tensor", lambda _model: weights)
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
