"""Gradients and activations against autograd by hand, and the network as it was afterwards."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from interpret_segmentation import Border, Class, FalseNegatives, FalsePositives, Pixel, Preprocess, explain
from interpret_segmentation.inference.opening import open_case
from interpret_segmentation.inference.whitebox import NoGradientError
from interpret_segmentation.models import ModelOptions, Network


class Small(nn.Module):
    """Three classes; batch norm, dropout, a buffer that counts, an activation that writes into its input."""

    def __init__(self, dims=2):
        super().__init__()
        torch.manual_seed(0)
        conv, norm = (nn.Conv2d, nn.BatchNorm2d) if dims == 2 else (nn.Conv3d, nn.BatchNorm3d)
        self.first = conv(2, 4, 3, padding=1)
        self.norm = norm(4)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        self.last = conv(4, 3, 1)
        self.last.bias.data[1] += 0.4  # so that each class has some pixels

    def forward(self, images):
        return self.last(self.dropout(self.relu(self.norm(self.first(images)))))


def picture(*space):
    return torch.rand(2, *(space or (9, 13)), generator=torch.Generator().manual_seed(1))


def by_hand(network, image, label, pixels, expected=None, *, logit=False):
    """The mean agreement and its gradient, straight from autograd."""
    leaf = image.clone().requires_grad_()
    probability = network.eval()(leaf[None]).softmax(1)[0, label]
    agreement = probability if expected is None else torch.where(expected, probability, 1 - probability)
    chosen = agreement[pixels]
    value = (torch.logit(chosen) if logit else chosen).mean()
    return value.item(), torch.autograd.grad(value, leaf)[0]


def asked(run, network, image=None, target=None, reference=None, **options):
    """What a method makes of a case."""
    found = []

    class Ask:
        def run(self, case):
            found.append(run(case))
            return case.explanation(np.zeros(case.space), meaning="")

    image = picture() if image is None else image
    options.setdefault("activation", "softmax")
    made = explain(network, image, Ask(), target=target, reference=reference, progress=False, **options)
    return found[0], made


@pytest.mark.parametrize("space", [(9, 13), (1, 1), (5, 4, 6)])
def test_the_gradient_is_that_of_autograd(space):
    network = Small(len(space)).eval()
    (values, gradients), made = asked(lambda case: case.gradient(), network, picture(*space))
    value, gradient = by_hand(
        network, picture(*space), made.target.label, torch.from_numpy(made.pixels.copy())
    )
    assert values.tolist() == [pytest.approx(value)]
    torch.testing.assert_close(gradients[0], gradient)
    assert made.run["forwards"] == 2
    assert made.run["backwards"] == 1
    assert "differentiated 1 times" in " ".join(made.sentences())


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_many_images_are_differentiated_a_batch_at_a_time(batch_size):
    network = Small().eval()
    images = torch.stack([picture() * share for share in (0.2, 0.5, 0.9, 1.3, 0.1)])
    (values, gradients), made = asked(lambda case: case.gradient(images), network, batch_size=batch_size)
    pixels = torch.from_numpy(made.pixels.copy())
    for image, value, gradient in zip(images, values, gradients, strict=True):
        wanted = by_hand(network, image, made.target.label, pixels)
        assert value.item() == pytest.approx(wanted[0])
        torch.testing.assert_close(gradient, wanted[1])
    assert (made.run["forwards"], made.run["backwards"]) == (6, 5)


def test_the_number_is_the_target_s_own():
    network = Small().eval()
    truth = torch.zeros(9, 13)
    truth[2:7, 3:11] = 1
    for target in (
        Class(1),
        Pixel((3, 4)),
        Border(label=2),
        FalsePositives(label=1),
        FalseNegatives(label=1),
    ):
        reference = truth.bool() if "False" in type(target).__name__ else None
        found, _ = asked(
            lambda case: (case.gradient(), case.objective), network, target=target, reference=reference
        )
        (values, gradients), objective = found
        pixels, expected = (torch.from_numpy(part.copy()) for part in (objective.pixels, objective.expected))
        value, gradient = by_hand(network, picture(), objective.label, pixels, expected)
        assert values.item() == pytest.approx(value)
        torch.testing.assert_close(gradients[0], gradient)


def test_it_may_be_the_logit_or_a_function_of_the_user_s():
    network = Small().eval()
    (values, gradients), made = asked(
        lambda case: case.gradient(), network, target=Class(1, quantity="logit")
    )
    value, gradient = by_hand(network, picture(), 1, torch.from_numpy(made.pixels.copy()), logit=True)
    assert values.item() == pytest.approx(value, rel=1e-5)
    torch.testing.assert_close(gradients[0], gradient, rtol=1e-4, atol=1e-6)

    def corner(maps):
        return maps[:, 0, 0] ** 2

    cornered = Class(1, quantity=corner)
    (values, gradients), made = asked(lambda case: case.gradient(), network, target=cornered)
    place = torch.zeros(9, 13, dtype=torch.bool)
    place[0, 0] = True
    value, gradient = by_hand(network, picture(), 1, place)
    assert values.item() == pytest.approx(value**2)
    torch.testing.assert_close(gradients[0], 2 * value * gradient)
    (values, _), _ = asked(lambda case: case.gradient(of=corner), network, target=1)
    assert values.item() == pytest.approx(value**2)


@pytest.mark.parametrize("quantity", ["odds", 3, None])
def test_a_quantity_that_is_none_is_refused(quantity):
    with pytest.raises(ValueError, match="quantity must be one of 'probability', 'logit', or a function"):
        Class(1, quantity=quantity)


def test_a_quantity_that_returns_something_else_is_refused():
    with pytest.raises(ValueError, match=r"must return one number for each of the 1 maps it gets"):
        asked(lambda case: case.gradient(), Small().eval(), target=Class(1, quantity=lambda maps: maps))


def test_hidden_before_the_preprocess_step_the_gradient_reaches_the_users_pixels():
    step = Preprocess(scale=2.0, mean=0.5)
    (_, gradients), made = asked(lambda case: case.gradient(), Small().eval(), preprocess=step)
    network = Small().eval()
    leaf = picture().requires_grad_()
    chosen = network((leaf * 2 - 0.5)[None]).softmax(1)[0, made.target.label][made.pixels.copy()]
    torch.testing.assert_close(gradients[0], torch.autograd.grad(chosen.mean(), leaf)[0])


class TestActivations:
    def test_values_and_gradients_are_those_of_hooks_by_hand(self):
        network = Small().eval()
        found, made = asked(lambda case: case.activations(["first", "norm", "last"]), network)
        image, pixels = picture()[None], made.pixels.copy()
        for name in ("first", "norm", "last"):
            kept = []
            handle = network.get_submodule(name).register_forward_hook(
                lambda _module, _inputs, output: kept.append(output) or output.clone()  # noqa: B023
            )
            number = network(image.requires_grad_()).softmax(1)[0, made.target.label][pixels].mean()
            handle.remove()
            torch.testing.assert_close(found[name].values, kept[0].detach())
            torch.testing.assert_close(found[name].gradient, torch.autograd.grad(number, kept[0])[0])
        assert (made.run["forwards"], made.run["backwards"]) == (2, 1)

    def test_several_images_at_once(self):
        images = torch.stack([picture(), picture() / 2, picture() / 3])
        together, _ = asked(lambda case: case.activations(["norm"], images), Small().eval(), batch_size=2)
        alone, _ = asked(
            lambda case: [case.activations(["norm"], images[at : at + 1])["norm"] for at in range(3)],
            Small().eval(),
        )
        torch.testing.assert_close(together["norm"].values, torch.cat([one.values for one in alone]))
        torch.testing.assert_close(together["norm"].gradient, torch.cat([one.gradient for one in alone]))

    def test_a_layer_that_is_not_there_or_does_not_run_is_named(self):
        network = Small().eval()
        with pytest.raises(ValueError, match=r"the network has no layer 'frist'; the nearest are 'first'"):
            asked(lambda case: case.activations(["frist"]), network)
        network.spare = nn.Conv2d(1, 1, 1)
        with pytest.raises(ValueError, match="the layer 'spare' does not run"):
            asked(lambda case: case.activations(["spare"]), network)
        with pytest.raises(TypeError, match=r"layers are needed, but .* is a function; hand over the torch"):
            asked(lambda case: case.activations(["first"]), lambda images: network(images))


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda case: case.activations([]), ValueError, "layers must be one or more names of modules"),
        (lambda case: case.activations("first"), ValueError, "layers must be one or more names of modules"),
        (
            lambda case: case.gradient(case.pixels),
            ValueError,
            "images must be a batch, B x 2 x 9 x 13, got 2 x",
        ),
        (lambda case: case.gradient("image"), TypeError, "images must be a PyTorch tensor or an array"),
        (lambda case: case.gradient(torch.rand(2, 3, 9, 13)), ValueError, "images must be a batch"),
        (lambda case: case.gradient(torch.rand(2, 2, 5, 5)), ValueError, "images must be a batch"),
        (lambda case: case.gradient(of=lambda _: 1.0), ValueError, "of= must return one number .* got float"),
        (lambda case: case.gradient(case.pixels[None][:0]), ValueError, "images must be a batch"),
        (lambda case: case.gradient(of=lambda maps: maps), ValueError, "of= must return one number for each"),
        (lambda case: case.gradient(of=lambda maps: maps.mean()), ValueError, "of= must return one number"),
        (
            lambda case: list(case.ask(lambda *_: case.pixels.repeat(3, 1, 1, 1), 5, "five")),
            ValueError,
            "variations must return images number 0 to",
        ),
    ],
)
def test_wrong_questions_are_one_clear_error(run, error, message):
    with pytest.raises(error, match=message):
        asked(run, Small().eval())


def test_images_may_be_arrays():
    (one, other), _ = asked(
        lambda case: (case.gradient(picture()[None].numpy())[1], case.gradient()[1]), Small().eval()
    )
    assert torch.equal(one, other)


class Failing(Exception):
    """Comes out of the middle of a method."""


def state(network):
    """All that a borrowed network has to come back with."""
    return {
        "training": [module.training for module in network.modules()],
        "hooks": [len(module._forward_hooks) for module in network.modules()],
        "grads": [None if one.grad is None else one.grad.clone() for one in network.parameters()],
        "records": [one.requires_grad for one in network.parameters()],
        "buffers": [one.clone() for one in network.buffers()],
        "random": torch.get_rng_state(),
        "enabled": torch.is_grad_enabled(),
    }


def assert_same(one, other):
    for name, value in one.items():
        if isinstance(value, list) and any(isinstance(part, torch.Tensor) for part in value):
            for left, right in zip(value, other[name], strict=True):
                assert (left is None) == (right is None), name
                assert left is None or torch.equal(left, right), name
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, other[name]), name
        else:
            assert value == other[name], name


def careless(case):
    """A method that looks after nothing: it calls backward, hooks layers, draws numbers, and fails."""
    module = case.network.module
    module.first.register_forward_hook(lambda *_: None)
    module.last.register_full_backward_hook(lambda *_: None)
    torch.rand(3)
    with torch.enable_grad():
        leaf = case.pixels[None].clone().requires_grad_()
        module(leaf).sum().backward()
        assert leaf.grad is not None
    raise Failing


@pytest.mark.parametrize("run", [careless, lambda case: (case.gradient(), case.activations(["norm"]))])
def test_the_network_comes_back_as_it_was_also_on_error(run):
    network = Small().train()
    network.norm.eval()
    network.first.weight.requires_grad_(False)
    network.last.weight.grad = torch.full_like(network.last.weight, 3.0)
    network.last.register_forward_hook(lambda _module, _inputs, output: output)
    before, kept = state(network), network.last.weight.grad
    try:
        asked(run, network)
    except Failing:
        pass
    else:
        assert run is not careless
    assert_same(before, state(network))
    assert network.last.weight.grad is kept
    assert len(network.last._backward_hooks) == 0


def test_hooks_that_a_network_puts_on_itself_when_it_is_first_asked_stay():
    class Collects(Small):
        collected = None

        def forward(self, images):
            if self.collected is None:
                self.collected = []
                self.norm.register_forward_hook(
                    lambda _module, _inputs, output: self.collected.append(output)
                )
            answer = super().forward(images)
            assert self.collected
            return answer

    network = Collects().eval()
    for _ in range(2):
        asked(lambda case: case.gradient(), network)
    assert len(network.norm._forward_hooks) == 1


class Rewriting(Small):
    """Changes its running statistics behind PyTorch's back, and puts another buffer in place of one."""

    def forward(self, images):
        first = self.first(images)
        hidden = nn.functional.batch_norm(first, self.norm.running_mean, self.norm.running_var, training=True)
        self.norm.num_batches_tracked = self.norm.num_batches_tracked + 1
        return self.last(hidden)


def test_buffers_that_change_without_counting_as_written_are_put_back():
    network = Rewriting().eval()
    before, counter = state(network), network.norm.num_batches_tracked
    with pytest.warns(UserWarning, match="the model changed its buffers"):
        asked(lambda case: case.gradient(), network)
    assert_same(before, state(network))
    assert network.norm.num_batches_tracked is counter


def test_a_layer_that_is_cut_off_is_named():
    class CutOff(Small):
        def forward(self, images):
            with torch.no_grad():
                self.norm(self.first(images))
            return self.last(self.first(images))

    with pytest.raises(NoGradientError, match="what the layer 'norm' answers is cut off from the image"):
        asked(lambda case: case.activations(["norm"]), CutOff().eval())


class TestModelsWithoutGradients:
    def test_inference_mode_has_to_be_left_first(self):
        network = Small().eval()
        with torch.inference_mode(), pytest.raises(NoGradientError, match="leave it first"):
            asked(lambda case: case.gradient(), network)

    def test_functions_of_arrays_are_told_at_once(self):
        def of_arrays(images):
            assert isinstance(images, np.ndarray)
            return images[:, :1].clip(0, 1)

        with pytest.raises(NoGradientError, match=r"takes NumPy arrays; hand over the torch\.nn\.Module"):
            asked(lambda case: case.gradient(), of_arrays, numpy=True, activation="none")

    def test_answers_that_are_cut_off_are_told(self):
        network = Small().eval()
        for cut_off in (
            lambda images: network(images).detach(),
            torch.no_grad()(network.forward),
            lambda images: torch.from_numpy(network(images).detach().numpy()),
        ):
            with pytest.raises(NoGradientError, match="is cut off from the image"):
                asked(lambda case: case.gradient(), cut_off)

    @pytest.mark.slow
    def test_an_onnx_file_is_told_with_its_cure(self, tmp_path):
        path = tmp_path / "network.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(Small().eval(), (picture()[None],), path, dynamo=True, external_data=False)
        with pytest.raises(NoGradientError, match=r"run by onnxruntime; hand over the torch\.nn\.Module"):
            asked(lambda case: case.gradient(), str(path))

    def test_a_method_that_needs_gradients_is_refused_before_it_runs(self):
        from interpret_segmentation.methods.base import Own

        class Needs(Own):
            needs = frozenset({"gradients"})

        with pytest.raises(NoGradientError, match="takes NumPy arrays"):
            explain(lambda images: images[:, :1].clip(0, 1), picture(), Needs(None), numpy=True)


def test_one_network_serves_many_images_and_keeps_nothing_of_them():
    network = Network(Small().eval(), ModelOptions(activation="sigmoid"))
    before = dict(vars(network))
    for space in ((9, 13), (4, 6)):
        with open_case(network, picture(*space)) as case:
            assert case.reading.activation == "sigmoid"
            assert case.space == space
    assert vars(network) == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_the_gradient_is_the_same_on_a_gpu():
    network = Small().eval()
    (_, expected), _ = asked(lambda case: case.gradient(), network)
    (_, found), _ = asked(lambda case: case.gradient(), network.cuda())
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-5)
