import pytest
import torch

from interpret_segmentation.testnet import UNet, load_network, save_network


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


@pytest.mark.parametrize(
    "settings", [{"residual": True}, {"attention": 4}, {"residual": True, "attention": 2}]
)
def test_residual_and_attentive_networks_begin_as_the_plain_one_where_what_is_new_is_0(settings, tmp_path):
    torch.manual_seed(0)
    plain, other = UNet(width=4, levels=3), UNet(width=4, levels=3, **settings)
    missing = other.load_state_dict(plain.state_dict(), strict=False)
    assert missing.missing_keys
    assert not missing.unexpected_keys
    for name, parameter in other.named_parameters():
        if name in missing.missing_keys and "norm" not in name and "in_proj" not in name:
            torch.nn.init.zeros_(parameter)
    image = torch.rand(2, 1, 21, 30)
    assert torch.allclose(plain.eval()(image), other.eval()(image), atol=1e-6)
    assert {**plain.settings, **settings} == other.settings
    save_network(other, tmp_path / "other.safetensors")
    again = load_network(tmp_path / "other.safetensors")
    assert torch.allclose(again(image), other(image), atol=1e-6)


def test_with_attention_every_place_sees_every_other():
    torch.manual_seed(0)
    network = UNet(width=4, levels=3, attention=4).eval()
    torch.nn.init.normal_(network.bottleneck[-1].attention.out_proj.weight)
    image = torch.rand(1, 1, 16, 240, requires_grad=True)
    network(image)[0, 0, 8, 2].backward()
    assert image.grad[0, 0, :, 230:].abs().max() > 0


def test_a_residual_block_adds_what_its_shortcut_answers():
    torch.manual_seed(0)
    network = UNet(width=2, levels=1, residual=True).eval()
    block, x = network.down[0], torch.rand(1, 1, 5, 6)
    layers = list(block)
    inner = x
    for layer in layers[:-1]:
        inner = layer(inner)
    assert torch.equal(block(x), inner + layers[-1](x))


@pytest.mark.parametrize("heads", [3, -1])
def test_heads_that_do_not_divide_the_channels_are_refused(heads):
    with pytest.raises(ValueError, match=f"attention must be a number of heads that divides 16, got {heads}"):
        UNet(width=4, levels=3, attention=heads)
