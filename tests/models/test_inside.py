"""Networks are found in functions, put into evaluation mode, and given back."""

import functools

import pytest
import torch
from torch import nn

from interpret_segmentation import SegmentationModel, explain
from interpret_segmentation.models.inside import modules_inside

GLOBAL = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.Dropout())


def by_its_global_name(batch):
    return GLOBAL(batch)


class Holder:
    __slots__ = ("net",)

    def __init__(self, net):
        self.net = net

    def __call__(self, batch):
        return self.net(batch)

    def predict(self, batch):
        return self.net(batch)


def closure_of(net):
    def inner(batch):
        return net(batch)

    def outer(batch):
        return inner(batch)

    return outer


def default_of(net):
    def model(batch, net=net):
        return net(batch)

    return model


def wrapped(net):
    @functools.wraps(by_its_global_name)
    def model(batch):
        return next(one(batch) for one in {"a": [net]}["a"])

    return model


WAYS = {
    "itself": lambda net: net,
    "closure": lambda net: lambda batch: net(batch),
    "closure in a closure": closure_of,
    "bound method": lambda net: net.forward,
    "callable object": Holder,
    "method of an object": lambda net: Holder(net).predict,
    "partial": lambda net: functools.partial(lambda net, batch: net(batch), net),
    "partial by keyword": lambda net: functools.partial(lambda batch, net: net(batch), net=net),
    "default": default_of,
    "wrapped": wrapped,
    "list": lambda net: lambda batch, nets=(net,): sum(one(batch) for one in nets),
}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.Dropout(), nn.Sigmoid())


@pytest.mark.parametrize("way", WAYS)
def test_a_network_is_found_however_it_is_wrapped(way):
    net = network()
    assert net in modules_inside(WAYS[way](net))


def test_a_network_is_found_by_its_global_name():
    assert modules_inside(by_its_global_name) == (GLOBAL,)


def test_a_function_without_one_has_none():
    assert modules_inside(torch.sigmoid) == ()
    assert modules_inside(lambda batch: batch * 2) == ()


@pytest.mark.parametrize("way", WAYS)
def test_in_training_mode_it_gives_the_map_of_evaluation_mode_and_comes_back_untouched(way):
    net, image = network(), torch.rand(1, 20, 30)
    settings = {"size": 6, "offset": 6, "target": (10, 15), "progress": False}
    expected = explain(network().eval(), image, "occlusion", **settings).saliency
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    made = explain(WAYS[way](net.train()), image, "occlusion", **settings)
    torch.testing.assert_close(torch.from_numpy(made.saliency.copy()), torch.from_numpy(expected.copy()))
    assert all(module.training for module in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


class Opaque:
    """Hides its network where nobody looks."""

    def __init__(self, net):
        self._call = iter(lambda: net, None)
        self.net_of = lambda: next(self._call)

    def __call__(self, batch):
        return self.net_of()(batch)


def test_one_that_cannot_be_found_can_be_named():
    net, image = network().train(), torch.rand(1, 20, 30)
    opaque = Opaque(net)
    opaque.net_of.__closure__[0].cell_contents._call = opaque._call
    net_hidden = SegmentationModel(torch.jit.ignore(opaque), network=net)
    assert net in net_hidden.network.modules
    settings = {"size": 6, "offset": 6, "target": (10, 15), "progress": False}
    expected = explain(network().eval(), image, "occlusion", **settings).saliency
    made = explain(opaque, image, "occlusion", network=net, **settings)
    torch.testing.assert_close(torch.from_numpy(made.saliency.copy()), torch.from_numpy(expected.copy()))
    assert net.training


@pytest.mark.parametrize("wrong", ["net", 3, [nn.Identity(), "net"], lambda batch: batch])
def test_something_else_than_a_module_cannot_be_named(wrong):
    with pytest.raises(TypeError, match=r"network must be the torch.nn.Module that the function asks"):
        SegmentationModel(lambda batch: batch, network=wrong)


def test_probabilities_are_asked_in_evaluation_mode_without_gradients():
    net, image = network().train(), torch.rand(2, 1, 20, 30)
    for model in (net, lambda batch: net(batch)):
        found = SegmentationModel(model).probabilities(image)
        assert not found.requires_grad
        torch.testing.assert_close(found, network().eval()(image).detach())
        assert net.training
        assert int(net[1].num_batches_tracked) == 0


def test_a_bound_method_is_asked_in_the_type_of_its_network():
    net = nn.Conv2d(1, 1, 3, padding=1).double()
    assert SegmentationModel(net.forward).network.dtype == torch.float64
