import pytest
import torch

from interpret_segmentation.testnet import UNet


@pytest.mark.parametrize("size", [(240, 240), (16, 16), (17, 50), (101, 33)])
@pytest.mark.parametrize("channels", [(1, 1), (3, 4)])
def test_the_output_has_the_size_of_the_input_whatever_that_is(size, channels):
    network = UNet(*channels, width=2).eval()
    output = network(torch.rand(2, channels[0], *size))
    assert output.shape == (2, channels[1], *size)
    assert output.min() >= 0
    assert output.max() <= 1


def test_the_default_is_the_usual_u_net_of_width_64():
    # 31,037,633 parameters are counted for three channels and one class by a much used implementation
    # (milesial/Pytorch-UNet, transposed convolutions, batch norm).
    assert sum(parameter.numel() for parameter in UNet(in_channels=3).parameters()) == 31_037_633


@pytest.mark.parametrize(("dilations", "seen"), [((), (188, 204)), ((2, 4), (380, 396))])
def test_the_receptive_field_is_as_documented(dilations, seen):
    network = UNet(width=1, dilations=dilations).double().eval()
    network.pool = torch.nn.AvgPool2d(2)  # no gradient may be lost in a pooling or a dead activation
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            torch.nn.init.constant_(module.weight, 0.05)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
    sides = set()
    for row in range(320, 336):
        image = torch.rand(1, 1, 656, 16, dtype=torch.float64).requires_grad_()
        network.logits(image)[0, 0, row, 8].backward()
        rows = image.grad[0, 0].abs().amax(1).nonzero()
        sides.add(int(rows.max() - rows.min()) + 1)
    assert (min(sides), max(sides)) == seen


def test_settings_rebuild_the_network():
    network = UNet(2, 3, width=4, levels=3, dilations=(2, 4))
    twin = UNet(**network.settings)
    twin.load_state_dict(network.state_dict())


@pytest.mark.parametrize("wrong", [{"width": 0}, {"levels": 0}, {"in_channels": 0}, {"dilations": (2, 0)}])
def test_sizes_must_be_positive(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        UNet(**wrong)
