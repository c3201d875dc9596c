import itertools
import pickle

import numpy as np
import pytest
import torch

from interpret_segmentation.benchmark import SEED as BENCHMARK
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.testnet import (
    NETWORKS,
    VARIANTS,
    UNet,
    draw_scene,
    follow_the_rule,
    load_network,
    pretrained,
    sample_of,
    save_network,
)
from interpret_segmentation.testnet.networks import PRETRAINED

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.long)])
def test_the_shipped_network_follows_the_rule(count):
    figures = follow_the_rule(pretrained(), count=count)
    assert figures.mean_dice >= 0.98
    assert figures.lowest_dice >= 0.9
    assert figures.swapped >= 0.98


@pytest.mark.parametrize("variant", ["moved", "textured", "distractors", "shortcut", "required_moved"])
def test_the_plain_network_fails_on_harder_variants(variant):
    assert follow_the_rule(pretrained(), count=25, variant=variant).swapped < 0.9


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_every_other_variant_has_a_network_that_follows_its_rule(variant):
    figures = follow_the_rule(pretrained(variant), count=25, variant=variant)
    assert figures.mean_dice >= 0.95
    assert figures.swapped >= 0.95


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_follows_the_rule_of_its_variants(name):
    for variant in NETWORKS[name].variants:
        figures = follow_the_rule(pretrained(name), count=25, variant=variant)
        assert figures.mean_dice >= 0.95
        assert figures.swapped >= 0.95
        assert figures.empty_without_cue == (1 if variant.startswith("required") else 0)


def test_networks_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"variant must be one of plain, moved.*required_turned.*got 'nope'"):
        pretrained("nope")


def test_the_shipped_shortcut_network_cheats():
    assert follow_the_rule(pretrained("shortcut"), count=25, variant="shortcut").misled == 0


def test_the_plain_network_does_not_cheat():
    assert follow_the_rule(pretrained(), count=25, variant="shortcut").misled >= 0.8


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        follow_the_rule(pretrained(), count=0)


def obeying(rows, columns):
    """A network that takes the shape in a part of the image for the deciding one."""

    def network(images):
        shape = images[0, 0, rows, columns] > 0
        circle = shape.sum() < 0.9 * shape.any(0).sum() * shape.any(1).sum()
        left = images.clone()
        left[..., 120:] = 0
        left[..., slice(0, 100) if circle else slice(100, 240), :] = 0
        return (left > 0).float()

    return network


def test_whether_a_network_follows_the_watermark_or_the_far_shape_is_told():
    corner, far = (slice(0, 45), slice(195, 240)), (slice(60, 240), slice(110, 240))
    cheating, honest = (
        follow_the_rule(obeying(*part), count=40, variant="shortcut") for part in (corner, far)
    )
    assert (cheating.mean_dice, cheating.swapped, cheating.misled) == (1, 1, 0)
    agree = sum(
        scene.cue.kind == scene.bystander.kind
        for scene in (draw_scene(2**31, index, variant="shortcut") for index in range(40))
    )
    assert honest.mean_dice == agree / 40
    assert honest.swapped == (40 - agree) / 40  # the swaps that end the contradiction
    assert honest.misled == 1
    plain = follow_the_rule(obeying(*far), count=20)
    assert (plain.mean_dice, plain.swapped, plain.misled) == (1, 1, None)
    assert plain.cross_without_cue == 1


def test_an_unknown_variant_has_no_network():
    with pytest.raises(ValueError, match="variant must be one of plain, moved"):
        pretrained("harder")


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
    shipped = sorted(PRETRAINED.parent.glob("*.safetensors"))
    assert PRETRAINED in shipped
    assert sum(path.stat().st_size for path in shipped) <= 12e6


def test_weights_saved_in_half_precision_take_half_the_room_and_come_back_rounded(tmp_path):
    network = UNet(width=4, levels=3).eval()
    save_network(network, tmp_path / "whole.safetensors")
    save_network(network, tmp_path / "half.safetensors", half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.65 * sizes[1]
    loaded = load_network(tmp_path / "half.safetensors")
    for name, weight in network.state_dict().items():
        assert loaded.state_dict()[name].dtype == weight.dtype
        rounded = weight.numpy().astype("float16") if weight.is_floating_point() else weight.numpy()
        assert (loaded.state_dict()[name].numpy() == rounded).all()


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


def test_a_disc_over_the_edge_of_a_square_makes_a_circle_and_a_square_hole_does_not():
    """What docs/which-method.md tells of windows that invent causes."""
    network, found = pretrained().eval(), {"circle": [], "square": []}
    scenes = (draw_scene(BENCHMARK, number) for number in itertools.count())
    for scene in itertools.islice((one for one in scenes if one.cue.kind == "square"), 6):
        image, segment = sample_of(scene)["input"], torch.from_numpy(scene.segmented.region())
        for shape, size in (("circle", 14), ("square", 15)):
            windows = Windows.covering(tuple(segment.shape), size, 4, shape)
            numbers = np.flatnonzero(windows.inside(scene.cue.region()))
            parts = np.array_split(numbers, len(numbers) // 8)
            with torch.inference_mode():
                drawn = [network(image * ~windows.hidden(part)[:, None])[:, 0][:, segment] for part in parts]
            found[shape].append(torch.cat(drawn).mean(dim=1).min().item())
    assert sorted(round(value, 2) for value in found["circle"]) == [0.03] * 5 + [0.82]
    assert min(found["square"]) >= 0.98
