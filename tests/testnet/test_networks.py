import pickle

import pytest
import torch

from interpret_segmentation.testnet import UNet, follow_the_rule, load_network, pretrained, save_network
from interpret_segmentation.testnet.networks import PRETRAINED


def test_the_shipped_network_follows_the_rule():
    figures = follow_the_rule(pretrained(), count=200)
    assert figures.mean_dice >= 0.98
    assert figures.lowest_dice >= 0.9
    assert figures.swapped >= 0.98


def test_a_network_that_draws_both_left_shapes_is_found_out():
    def both(images):
        images = images.clone()
        images[..., 120:] = 0
        return (images > 0).float()

    figures = follow_the_rule(both, count=20)
    assert 0.4 < figures.mean_dice < 0.9
    assert figures.swapped == 0
    assert figures.cross_without_cue == 0


def test_what_a_network_draws_without_the_deciding_shape_is_told():
    def crosses(images):  # the cross lies above, the triangle below row 100
        images = images.clone()
        images[..., 120:] = 0
        images[..., 100:, :] = 0
        return (images > 0).float()

    figures = follow_the_rule(crosses, count=20)
    assert figures.cross_without_cue == 1
    assert 0 < figures.mean_dice < 1


def test_the_shipped_weights_are_small_and_safe():
    assert PRETRAINED.suffix == ".safetensors"
    assert PRETRAINED.stat().st_size <= 8e6


@pytest.mark.parametrize("name", ["network.pth", "network.safetensors"])
def test_a_saved_network_answers_as_before(tmp_path, name):
    network = UNet(2, 3, width=4, levels=3, dilations=(2,)).eval()
    save_network(network, tmp_path / name)
    loaded = load_network(tmp_path / name)
    assert loaded.settings == network.settings
    assert not loaded.training
    image = torch.rand(1, 2, 20, 24)
    torch.testing.assert_close(loaded(image), network(image))


class Bomb:
    exploded = False

    def __reduce__(self):
        return (setattr, (Bomb, "exploded", True))


@pytest.mark.parametrize("name", ["network.pth", "network.safetensors"])
@pytest.mark.parametrize("kind", ["empty", "text", "pickle", "bomb", "weights only", "other settings"])
def test_a_foreign_file_is_refused_and_never_run(tmp_path, name, kind):
    path = tmp_path / name
    network = UNet(width=2, levels=2)
    if kind == "bomb":
        torch.save({"unet": network.settings, "weights": Bomb()}, path)
    elif kind == "weights only":
        torch.save(network.state_dict(), path)
    elif kind == "other settings":
        torch.save({"unet": UNet(width=3, levels=2).settings, "weights": network.state_dict()}, path)
    else:
        path.write_bytes({"empty": b"", "text": b"hello", "pickle": pickle.dumps(Bomb(), protocol=2)}[kind])
    with pytest.raises(ValueError, match="is not a testnet network"):
        load_network(path)
    assert not Bomb.exploded


def test_a_missing_network_is_told_where_to_get_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"download\.py"):
        load_network(tmp_path / "testnet.pth")
