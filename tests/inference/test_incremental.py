import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from interpret_segmentation import Occlusion, SegmentationModel, explain
from interpret_segmentation.hdm import HDM
from interpret_segmentation.inference.incremental import Changed, RefusedError, Tape
from interpret_segmentation.inference.incremental.changed import Part, overlay, uniform
from interpret_segmentation.perturb.fills.named import as_fill
from interpret_segmentation.perturb.hiding import Hiding
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.testnet import UNet


class Does(nn.Module):
    """A network that is one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def random_numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolution(*args, seed=0, **kwargs):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Conv2d(*args, **kwargs)


def batch_norm(channels, dims=2):
    norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dims](channels)
    norm.running_mean += 0.3
    norm.running_var *= 2
    return norm


def patches_of(image, size, count, seed):
    """Corners and values of squares at random places, and the whole images with them."""
    random = np.random.default_rng(seed)
    space = image.shape[2:]
    corners = np.stack([random.integers(0, side - size + 1, count) for side in space], axis=1)
    values = random_numbers(count, image.shape[1], *[size] * len(space), seed=seed)
    images = image.repeat(count, *[1] * (image.ndim - 1))
    for number, corner in enumerate(corners):
        place = tuple(slice(int(at), int(at) + size) for at in corner)
        images[number][(slice(None), *place)] = values[number]
    return corners, values, images


def as_whole(part, tensor, *, dropped=False):
    """The full tensor that a changed one stands for."""
    whole = tensor.repeat(len(part.values), *[1] * (tensor.ndim - 1))
    for number, corner in enumerate(part.corners):
        place = tuple(slice(int(at), int(at) + side) for at, side in zip(corner, part.size, strict=True))
        if dropped:
            whole[number][place] = part.values[number, 0]
        else:
            whole[number][(slice(None), *place)] = part.values[number]
    return whole


def carried_and_dense(network, space=(45, 52), *, size=9, count=5, seed=0, channels_last=False, channels=3):
    """What a network says when asked by windows, twice over one tape, and when asked whole."""
    network.eval()
    image = random_numbers(1, channels, *space, seed=seed)
    if channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    tape = Tape(2**40)
    with torch.no_grad():
        for turn in (seed, seed + 100):
            corners, values, images = patches_of(image, size, count, turn)
            tape.begin()
            changed = network(Changed([Part(tape.baseline("image", lambda: image), values, corners)], tape))
            part = changed.one_part()
            if tape.is_recording:
                tape.keep_what_was_read()
        return as_whole(part, network(image), dropped=changed.dropped), network(images), part


# What the networks below add or join to the image is made once, of the image's size.
MAP = random_numbers(1, 3, 45, 52, seed=3)
COLOUR = random_numbers(1, 3, 1, 1, seed=4)
THREE = convolution(3, 3, 3, padding=1)
GATE = convolution(3, 1, 5, padding=2)
WIDE = convolution(6, 2, 3)

LOCAL = {
    "convolution": convolution(3, 4, 3, padding=1),
    "convolution without padding": convolution(3, 4, (3, 5)),
    "stride": convolution(3, 4, 3, padding=1, stride=2),
    "stride without padding": convolution(3, 4, 2, stride=3),
    "dilation": convolution(3, 4, 3, padding=4, dilation=2),
    "groups": convolution(3, 6, 5, groups=3, padding=(2, 1)),
    "reflected border": convolution(3, 4, 3, padding=2, padding_mode="reflect"),
    "repeated border": convolution(3, 4, 3, padding=1, padding_mode="replicate"),
    "transposed": nn.ConvTranspose2d(3, 4, 2, 2),
    "transposed and overlapping": nn.ConvTranspose2d(3, 4, 4, 2, 1),
    "transposed with output padding": nn.ConvTranspose2d(3, 4, 3, 2, 1, output_padding=1),
    "transposed with gaps at the end": nn.ConvTranspose2d(3, 6, 3, 3, 0, output_padding=2, groups=3),
    "transposed with gaps and no bias": nn.ConvTranspose2d(3, 4, 3, 3, output_padding=2, bias=False),
    "transposed with dilation": nn.ConvTranspose2d(3, 4, 2, 3, dilation=2),
    "batch norm": batch_norm(3),
    "relu in place": nn.Sequential(THREE, nn.ReLU(inplace=True)),
    "prelu": nn.PReLU(3),
    "activations": nn.Sequential(nn.LeakyReLU(), nn.ELU(), nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.ReLU6()),
    "softplus": nn.Sequential(nn.Softplus(), nn.Mish(), nn.Tanh(), nn.Hardsigmoid()),
    "max pooling": nn.MaxPool2d(2),
    "overlapping max pooling": nn.MaxPool2d(3, 2, 1),
    "max pooling to the last pixel": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "dilated max pooling": nn.MaxPool2d(3, 1, 1, dilation=2),
    "average pooling": nn.AvgPool2d(2),
    "average pooling with a border": nn.AvgPool2d(3, 2, 1),
    "average pooling that leaves out the border": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "average pooling to the last pixel": nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "average pooling by another number": nn.AvgPool2d(2, ceil_mode=True, divisor_override=3),
    "nearest": nn.Upsample(scale_factor=2),
    "nearest to a size": nn.Upsample(size=(100, 77)),
    "nearest by a fraction": nn.Upsample(scale_factor=1.7),
    "nearest, smaller": nn.Upsample(size=(20, 30)),
    "nearest exact": nn.Upsample(scale_factor=2, mode="nearest-exact"),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear by three": nn.Upsample(scale_factor=3, mode="bilinear"),
    "bilinear with aligned corners": nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    "bilinear to a size": nn.Upsample(size=(100, 77), mode="bilinear"),
    "bilinear to a size with aligned corners": nn.Upsample((91, 60), mode="bilinear", align_corners=True),
    "bilinear, smaller": nn.Upsample(size=(20, 31), mode="bilinear"),
    "bilinear by a fraction": nn.Upsample(scale_factor=1.7, mode="bilinear"),
    "pixel shuffle": nn.Sequential(convolution(3, 8, 1), nn.PixelShuffle(2)),
    "pixel unshuffle": nn.Sequential(nn.ZeroPad2d((0, 0, 1, 2)), nn.PixelUnshuffle(2)),
    "softmax": nn.Softmax(1),
    "log softmax": nn.LogSoftmax(1),
    "border of zeros": nn.ZeroPad2d((1, 2, 3, 4)),
    "border of ones": nn.ConstantPad2d(3, 1.0),
    "cropped": nn.ZeroPad2d((-3, 2, -13, -4)),
    "mirrored border": nn.ReflectionPad2d((5, 6, 3, 7)),
    "slices": Does(lambda x: x[:, 1:, 3:-2, :20]),
    "mean over channels": Does(lambda x: x.mean(1, keepdim=True).squeeze(1).sigmoid()),
    "one channel": Does(lambda x: x[:, 1]),
    "one channel and back": Does(lambda x: x[:, 1][:, None] * 2),
    "channels by number": Does(lambda x: x[:, [2, 0, 0]]),
    "joined": Does(lambda x: WIDE(torch.cat([x, F.avg_pool2d(x, 3, 1, 1)], 1))),
    "joined, then a function of channels": Does(lambda x: F.softmax(torch.cat([x, THREE(x)], 1), 1)),
    "joined, then enlarged": Does(lambda x: F.interpolate(torch.cat([x, THREE(x)], 1), scale_factor=2.0)),
    "joined with a map": nn.Sequential(Does(lambda x: torch.cat([x, MAP.expand(len(x), -1, -1, -1)], 1))),
    "residual": Does(lambda x: F.relu(THREE(x) + x)),
    "gate": Does(lambda x: x * torch.sigmoid(GATE(x))),
    "plus a map": Does(lambda x: x + MAP),
    "normalised": Does(lambda x: (x - COLOUR) / COLOUR.square()),
    "one minus": Does(lambda x: 1 - 2 * x),
    "split": Does(lambda x: torch.cat(x.split(2, 1)[::-1], 1) * 1.5),
    "added in place": Does(lambda x: THREE(x).add_(x)),
    "other types": Does(lambda x: x.double().exp().float()),
    "where": Does(lambda x: torch.where(x > 0.1, x, 0.5 * x)),
    "dropout": nn.Sequential(THREE, nn.Dropout(), nn.Dropout2d()),
}  # fmt: skip


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", LOCAL)
def test_windows_give_what_whole_images_give(name, channels_last):
    for seed in range(3):
        got, wanted, _ = carried_and_dense(LOCAL[name], seed=seed, channels_last=channels_last)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=2e-5)


VOLUMES = {
    "convolution": nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), batch_norm(4, 3), nn.ReLU()),
    "stride": nn.Conv3d(3, 4, 3, stride=(1, 2, 2), padding=1),
    "transposed": nn.ConvTranspose3d(3, 4, 2, 2),
    "max pooling": nn.MaxPool3d((1, 2, 2)),
    "average pooling": nn.AvgPool3d(2, ceil_mode=True),
    "nearest": nn.Upsample(scale_factor=2),
    "trilinear": nn.Upsample(scale_factor=2, mode="trilinear"),
    "trilinear with aligned corners": nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True),
    "border": nn.ReplicationPad3d(2),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_windows_of_volumes_give_what_whole_volumes_give(name):
    for seed in range(3):
        got, wanted, _ = carried_and_dense(VOLUMES[name], (11, 17, 14), size=5, seed=seed)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("levels", [1, 3])
def test_a_u_net_is_computed_in_windows_that_are_smaller_than_the_image(levels):
    torch.manual_seed(0)
    network = UNet(in_channels=3, width=4, levels=levels)
    got, wanted, part = carried_and_dense(network, (95, 120), count=3)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-6)
    grown = 9 + 4 if levels == 1 else 9 + 55
    assert max(part.size) <= grown
    assert levels != 1 or part.size == (grown, grown)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2),
    st.integers(1, 6), st.tuples(st.integers(9, 23), st.integers(9, 23)), st.integers(0, 99),
)  # fmt: skip
def test_any_convolution_is_exact(kernel, stride, padding, dilation, size, space, seed):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = nn.Conv2d(2, 3, kernel, stride, padding, dilation)
        back = nn.ConvTranspose2d(
            2, 3, kernel, stride, min(padding, dilation * (kernel - 1)), dilation=dilation
        )
    for layer in (network, back):
        got, wanted, _ = carried_and_dense(layer, space, size=size, count=3, seed=seed, channels=2)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["nearest", "nearest-exact", "bilinear", "aligned"]),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(3, 23), st.integers(3, 23)),
    st.integers(0, 99),
)
def test_any_change_of_size_is_exact(mode, out, space, seed):
    aligned = {"align_corners": True} if mode == "aligned" else {}
    layer = nn.Upsample(size=out, mode="bilinear" if aligned else mode, **aligned)
    got, wanted, _ = carried_and_dense(layer, space, size=3, count=4, seed=seed)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=2e-5)


GLOBAL = {
    "instance norm": (nn.InstanceNorm2d(3), "normalisation"),
    "group norm": (nn.GroupNorm(3, 3), "group normalisation"),
    "batch norm without running mean": (nn.BatchNorm2d(3, track_running_stats=False), "normalisation"),
    "global pooling": (nn.AdaptiveAvgPool2d(1), "mean over the image"),
    "max over the image": (Does(lambda x: x / x.amax((2, 3), keepdim=True)), "maximum over the image"),
    "attention": (Does(lambda x: x.flatten(2).softmax(-1).view_as(x)), "axes of an activation"),
    "axes swapped": (Does(lambda x: x.transpose(2, 3)), "axes of an activation"),
    "softmax over rows": (nn.Softmax(2), "along an axis of space"),
    "every second pixel": (Does(lambda x: x[:, :, ::2]), "every second pixel"),
    "a row": (Does(lambda x: x[:, :, 3]), "picked"),
    "half of the batch": (Does(lambda x: x[1:]), "single images"),
    "joined along rows": (Does(lambda x: torch.cat([x, x], 2)), "joined along another axis"),
    "control flow": (Does(lambda x: x if x.mean() > 0 else -x), "mean over the image"),
    "a number of it": (Does(lambda x: x * x[0, 0, 0, 0].item()), "picked"),
    "its own weights": (Does(lambda x: F.conv2d(x, x[:, :, :3, :3])), "weights of a convolution"),
    "written to": (Does(lambda x: x[:, 0].zero_()), "not known"),
    "part of it changed in place": (Does(lambda x: x[:, :1].add_(1)), "in place"),
    "roll": (Does(lambda x: x.roll(1, 2)), "not known"),
    "cubic": (nn.Upsample(scale_factor=2, mode="bicubic"), "not known"),
    "a batch of other tensors": (Does(lambda x: x + torch.ones(len(x), 3, 45, 52)), "from image to image"),
    "random numbers": (Does(lambda x: x * torch.rand_like(x)), "not known"),
    "numpy": (Does(lambda x: x.tolist()), "single values"),
}


@pytest.mark.parametrize("name", GLOBAL)
def test_what_is_not_local_is_refused_with_the_reason(name):
    network, reason = GLOBAL[name]
    with pytest.raises(RefusedError, match=reason):
        carried_and_dense(network)


def test_a_network_that_takes_other_steps_the_next_time_is_refused():
    turns = []

    def changing(x):
        turns.append(0)
        return F.relu(x) if len(turns) < 2 else torch.tanh(x)

    with pytest.raises(RefusedError, match="same steps"):
        carried_and_dense(Does(changing))


def test_windows_have_one_size_and_lie_inside_the_image():
    corners, size = uniform(np.array([[-3, 4], [8, 0]]), np.array([[2, 6], [15, 1]]), (10, 9))
    assert size == (2, 2)
    assert corners.tolist() == [[0, 4], [8, 0]]


def test_what_lies_outside_a_window_is_cut_off():
    windows, values = torch.zeros(3, 1, 2, 3), torch.arange(1.0, 13).view(3, 1, 2, 2)
    overlay(windows, values, np.array([[-1, 2], [1, -1], [5, 5]]))
    assert windows[:, 0].tolist() == [[[0, 0, 3], [0, 0, 0]], [[0, 0, 0], [6, 0, 0]], [[0, 0, 0], [0, 0, 0]]]


# From here on: the choice of the way.


def striped(rows=60, columns=70, channels=1):
    return torch.linspace(-1, 1, channels * rows * columns).view(channels, rows, columns).sin()


def shallow():
    """A network that sees few pixels, so that windows are small."""
    layers = convolution(1, 12, 3, padding=1), nn.ReLU(), convolution(12, 12, 3, padding=1), nn.ReLU()
    return nn.Sequential(*layers, convolution(12, 1, 1), nn.Sigmoid()).eval()


def hiding(image, size=9, offset=5, fill="white", shape="circle"):
    windows = Windows.covering(tuple(image.shape[1:]), size, offset, shape)
    return Hiding(windows, np.arange(len(windows)), image, as_fill(fill), slice(None))


@pytest.mark.parametrize("fill", ["white", "noise", "blur", "local_mean", "inpaint", 0.3])
@pytest.mark.parametrize("shape", ["circle", "square"])
def test_patches_are_what_the_masked_images_differ_in(fill, shape):
    image = striped(23, 31, 2)
    variations = hiding(image, fill=fill, shape=shape)
    for first in range(0, 35, 7):
        images, patches = variations(first, first + 7), variations.patches(first, first + 7)
        got = as_whole(Part(None, patches.values, patches.corners), image[None])
        assert torch.equal(got, images)
        assert patches.differ.tolist() == [not torch.equal(masked, image) for masked in images]


@pytest.mark.parametrize("method", [HDM(9, 4), Occlusion(size=9, offset=4, fill="inpaint", score="dice")])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_map_is_the_same_either_way(method, channels):
    network = nn.Sequential(
        convolution(channels, 6, 3, padding=1), nn.ReLU(), convolution(6, 3, 3, padding=1)
    )
    image = random_numbers(channels, 41, 52)
    made = [
        explain(network, image, method, activation="softmax", incremental=wanted, progress=False)
        for wanted in (True, False)
    ]
    assert [each.run["inference"]["path"] for each in made] == ["incremental", "dense"]
    np.testing.assert_allclose(made[0].saliency, made[1].saliency, atol=1e-9)


def test_a_volume_is_explained_by_windows():
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 1, 1), nn.Sigmoid())
    image = random_numbers(1, 9, 21, 24)
    method = Occlusion(size=4, offset=4, score="probability", shape="square")
    windows, whole = (
        explain(network, image, method, dims=3, incremental=wanted, progress=False)
        for wanted in (True, False)
    )
    assert windows.run["inference"]["path"] == "incremental"
    np.testing.assert_allclose(windows.saliency, whole.saliency, atol=1e-6)


def test_a_result_says_why_the_whole_image_was_asked():
    def reason(network, image=None, **options):
        image = random_numbers(1, 40, 50) if image is None else image
        made = explain(network, image, HDM(7, 5), progress=False, **options)
        assert made.run["inference"]["path"] == "dense"
        return made.run["inference"]["because"]

    hooked = shallow()
    hooked[0].register_forward_hook(lambda *_: None)
    normalised = nn.Sequential(convolution(1, 2, 3, padding=1), nn.InstanceNorm2d(2), convolution(2, 1, 1))
    assert "normal" in reason(nn.Sequential(normalised, nn.Sigmoid()))
    assert "hooks" in reason(hooked)
    assert "incremental=False" in reason(shallow(), incremental=False)
    assert "float64" in reason(shallow().double())
    assert "mixed precision" in reason(shallow(), autocast=True)
    assert "too few" in reason(shallow(), random_numbers(1, 20, 20))
    assert "few masks change" in reason(shallow(), torch.zeros(1, 40, 50))
    assert "arrays" in reason(lambda batch: 1 / (1 + np.exp(-np.asarray(batch))), numpy=True)
    assert "whole image" in explain(
        shallow(), striped(), "rise", N=20, target=striped()[0] > 0, progress=False
    ).run["inference"]["because"]  # fmt: skip


class Forgetful(nn.Module):
    """A network whose answer depends on what else is in the batch."""

    def forward(self, x):
        return torch.sigmoid(x * (1 if type(x) is torch.Tensor else 2))


def test_an_answer_that_differs_from_the_whole_image_is_never_used():
    image = random_numbers(1, 40, 50)
    method = Occlusion(size=9, offset=5, score="mse")
    right = explain(Forgetful(), image, method, incremental=False, progress=False)
    with pytest.warns(UserWarning, match="incremental=True, but whole images are asked about: windows gave"):
        wrong = explain(Forgetful(), image, method, incremental=True, progress=False)
    assert wrong.run["inference"]["path"] == "dense"
    assert "other answers" in wrong.run["inference"]["because"]
    np.testing.assert_array_equal(wrong.saliency, right.saliency)


def test_a_failure_in_the_middle_is_taken_over_by_the_whole_image():
    calls = []

    class Breaking(nn.Module):
        def forward(self, x):
            calls.append(type(x))
            if type(x) is not torch.Tensor and len(calls) > 14:
                raise RuntimeError("no more")
            return torch.sigmoid(3 * x)

    image = random_numbers(1, 60, 70)
    made = explain(Breaking(), image, HDM(9, 5), incremental=True, batch_size=2, progress=False)
    wanted = explain(Breaking(), image, HDM(9, 5), incremental=False, progress=False)
    assert "windows failed from image" in made.run["inference"]["because"]
    np.testing.assert_allclose(made.saliency, wanted.saliency, atol=1e-9)


def test_activations_over_the_budget_are_not_kept(monkeypatch):
    from interpret_segmentation.inference import windows as engine

    monkeypatch.setattr(engine, "free_memory", lambda: 100_000)
    image = random_numbers(1, 60, 70)
    with pytest.warns(UserWarning, match="incremental=True, but whole images are asked about"):
        made = explain(shallow(), image, HDM(9, 5), incremental=True, progress=False)
    assert made.run["inference"]["path"] == "dense"
    assert "MiB" in made.run["inference"]["because"]


def test_only_activations_that_windows_are_taken_from_are_kept():
    network = nn.Sequential(
        convolution(1, 8, 3, padding=1), *[nn.ReLU() for _ in range(9)], convolution(8, 1, 3)
    )
    image = random_numbers(1, 60, 70)
    made = explain(
        nn.Sequential(network, nn.Sigmoid(), nn.ZeroPad2d(1)),
        image,
        HDM(9, 5),
        incremental=True,
        progress=False,
    )
    assert made.run["inference"]["path"] == "incremental"
    assert made.run["inference"]["activations_mib"] < 3 * 8 * 4 * 62 * 72 / 2**20


def test_masks_that_change_nothing_are_not_asked_about():
    asked = []

    def network(batch):
        asked.append(len(batch))
        return batch

    image = torch.zeros(1, 60, 60)
    image[:, 20:30, 20:30] = 1
    made = explain(network, image, HDM(9, 5), incremental=False, progress=False)
    whole = explain(network, image + 1e-9, HDM(9, 5), incremental=False, progress=False)
    assert made.run["inference"]["unchanged"] == 144 - 9
    assert made.run["forwards"] == 1 + 9 + 9  # circles, and squares where circles matter
    np.testing.assert_array_equal(made.saliency, whole.saliency)


def test_the_model_comes_back_as_it_was():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = convolution(1, 1, 3, padding=1)
            self.register_buffer("calls", torch.zeros(1))

        def forward(self, x):
            self.calls += 1
            return self.layer(x).sigmoid()

    network, image = Counting().train(), random_numbers(1, 60, 70)
    state = torch.get_rng_state()
    with (
        pytest.warns(UserWarning, match="incremental=True, but whole images are asked about"),
        pytest.warns(UserWarning, match="changed its buffers while it was asked, .* put back as they were"),
    ):
        made = explain(network, image, HDM(9, 5), incremental=True, batch_size=4, progress=False)
    assert "buffers" in made.run["inference"]["because"]
    assert network.calls.item() == 0
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.slow
def test_windows_are_chosen_where_they_are_much_faster_and_not_where_they_are_slower():
    image = random_numbers(1, 300, 320)
    made = explain(shallow(), image, Occlusion(size=11, offset=14, score="dice"), progress=False)
    assert made.run["inference"]["path"] == "incremental"
    assert made.run["inference"]["speedup"] > 1.1
    wide = nn.Sequential(convolution(1, 8, 3, padding=48, dilation=48), convolution(8, 1, 1), nn.Sigmoid())
    assert explain(
        nn.Sequential(wide, *[Does(lambda x: F.avg_pool2d(x, 65, 1, 32)) for _ in range(3)]),
        random_numbers(1, 50, 60), Occlusion(size=31, offset=3), progress=False,
    ).run["inference"]["path"] == "dense"  # fmt: skip


def test_the_choice_is_saved_and_repeated(tmp_path):
    image = random_numbers(1, 60, 70)
    made = explain(shallow(), image, HDM(9, 5), incremental=True, progress=False)
    made.save(tmp_path / "map.safetensors")
    again = type(made).load(tmp_path / "map.safetensors")
    assert again.run["inference"] == made.run["inference"]
    assert again.repeat(shallow(), progress=False).run["inference"]["because"] == "incremental=True"


def test_what_incremental_may_be_is_said():
    with pytest.raises(ValueError, match="incremental must be True, False or None"):
        SegmentationModel(shallow(), incremental="fast")
