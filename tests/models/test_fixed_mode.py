"""Frozen and exported programs have their mode for good, and are asked all the same."""

import numpy as np
import pytest
import torch
from torch import nn

from interpret_segmentation import explain
from interpret_segmentation.models import Network
from interpret_segmentation.models.borrowing import borrow

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")

SPACE = (20, 26)


class Wrapped(nn.Module):
    """A network around another, with a mode of its own."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.dropout = inner, nn.Dropout(0.5)

    def forward(self, batch):
        return self.dropout(self.inner(batch))


def plain(dtype=torch.float32):
    torch.manual_seed(1)
    layers = (
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(3, 1, 1),
    )
    return nn.Sequential(*layers).to(dtype).eval()


def frozen(network):
    return torch.jit.freeze(torch.jit.script(network))


def exported(network, **options):
    example = torch.rand(2, 1, *SPACE, dtype=next(network.parameters()).dtype)
    shapes = ({0: torch.export.Dim.AUTO},)
    return torch.export.export(network, (example,), dynamic_shapes=shapes, **options).module()


def exported_for_one(network):
    return torch.export.export(network, (torch.rand(1, 1, *SPACE),)).module()


def optimised(network):
    return torch.jit.optimize_for_inference(torch.jit.script(network))


EVERY = {
    "frozen": frozen,
    "optimised": optimised,
    "exported": exported,
    "exported for one image": exported_for_one,
    "frozen in another": lambda network: Wrapped(frozen(network)),
    "exported in another": lambda network: Wrapped(exported(network)),
}


def drawn(model, method="occlusion", **settings):
    torch.manual_seed(2)
    image = torch.rand(1, *SPACE)
    target = np.ones(SPACE, dtype=bool)
    return explain(model, image, method, target=target, progress=False, **settings)


@pytest.mark.parametrize("settings", [
    {"method": "occlusion", "size": 5, "offset": 4},
    {"method": "hdm", "size": 5, "offset": 4},
    {"method": "rise", "N": 30, "s": 4, "seed": 1},
], ids=lambda settings: settings["method"])  # fmt: skip
@pytest.mark.parametrize("name", EVERY)
def test_the_map_is_that_of_the_plain_network(name, settings):
    network = plain()
    other = EVERY[name](network)
    assert np.allclose(drawn(network, **settings).saliency, drawn(other, **settings).saliency, atol=1e-6)


@pytest.mark.parametrize("name", ["frozen", "exported"])
def test_the_map_of_many_positions_is_too(name):
    network, settings = plain(), {"size": 3, "offset": 1}
    assert np.allclose(
        drawn(network, **settings).saliency, drawn(EVERY[name](network), **settings).saliency, atol=1e-6
    )


@pytest.mark.parametrize("name", EVERY)
def test_flags_come_back_as_they_were(name):
    model = EVERY[name](plain())
    modules = [module for module in model.modules() if hasattr(module, "training")]
    for module in modules:
        module.training = True
    with borrow(model):
        assert not any(module.training for module in modules)
    assert all(module.training for module in modules)


def test_a_frozen_network_in_a_file_is_opened_and_asked(tmp_path):
    network = plain()
    frozen(network).save(str(tmp_path / "frozen.ts"))
    settings = {"size": 5, "offset": 4}
    found = drawn(tmp_path / "frozen.ts", **settings).saliency
    assert np.allclose(drawn(network, **settings).saliency, found, atol=1e-6)


def test_a_frozen_network_is_asked_in_the_type_of_its_constants():
    network = plain(torch.float64)
    assert Network(frozen(network)).dtype == torch.float64
    settings = {"size": 5, "offset": 4}
    assert np.allclose(drawn(network, **settings).saliency, drawn(frozen(network), **settings).saliency)


def test_a_frozen_network_for_volumes_is_known_by_its_constants():
    network = nn.Sequential(nn.Conv3d(1, 1, 3, padding=1)).eval()
    assert Network(frozen(network)).dims == 3
    assert Network(frozen(plain())).dims == 2


def test_an_exported_network_says_how_many_images_it_takes():
    assert Network(exported_for_one(plain())).fixed_batch == 1
    assert Network(exported(plain())).fixed_batch is None
    assert Network(exported_for_one(plain())).dims == 2
