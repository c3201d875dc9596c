"""Channels may lie last in memory, where that is faster and changes nothing; the network stays as it is."""

import numpy as np
import pytest
import torch
from torch import nn

from interpret_segmentation import Explanation, SegmentationModel, explain
from interpret_segmentation.data.inputs import channels_last
from interpret_segmentation.inference import layouts


class Network(nn.Module):
    """Two convolutions, and a note of how the images lay in memory."""

    def __init__(self, channels=1, dims=2):
        super().__init__()
        torch.manual_seed(0)
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.first = convolution(channels, 4, 3, padding=1)
        self.second = convolution(4, 1, 3, padding=1)
        self.second.bias.data += 0.1
        self.seen = []

    def forward(self, images):
        self.seen.append(images.stride(1) == 1)
        return torch.sigmoid(self.second(torch.relu(self.first(images))))


@pytest.fixture
def image():
    return torch.from_numpy(np.random.default_rng(0).random((1, 13, 17), dtype=np.float32))


@pytest.fixture
def timed(monkeypatch):
    """Makes every image worth a trial, and layouts as fast as said."""

    def time_(network, *, usual, last):
        monkeypatch.setattr(layouts, "LEAST", 1)
        original = network.forward

        class Watch:
            now = 0.0

            def perf_counter(self):
                return self.now

        watch = Watch()

        def forward(images):
            answer = original(images)
            watch.now += last if network.seen[-1] else usual
            return answer

        network.forward = forward
        monkeypatch.setattr(layouts, "time", watch)

    return time_


def hidden(model, image, **options):
    return explain(model, image, "hdm", circle_size=4, offset=5, progress=False, **options)


@pytest.mark.parametrize("shape", [(2, 1, 3, 4), (2, 3, 3, 4), (1, 1, 1, 1), (2, 3, 4, 5, 6)])
def test_a_copy_with_the_channels_last_holds_the_same_and_has_them_side_by_side(shape):
    images = torch.arange(float(np.prod(shape))).view(shape)
    copy = channels_last(images)
    assert torch.equal(copy, images)
    assert copy.stride(1) == 1
    assert copy.data_ptr() != images.data_ptr()
    assert torch.equal(channels_last(images[..., ::2]), images[..., ::2])


def test_the_faster_layout_is_taken_and_recorded(image, timed):
    network = Network()
    timed(network, usual=2.0, last=1.0)
    result = hidden(network, image, incremental=False)
    assert all(network.seen[5:])
    assert result.settings["channels_last"] is True
    usual = hidden(network, image, incremental=False, channels_last=False)
    np.testing.assert_array_equal(result.segment, usual.segment)
    np.testing.assert_allclose(result.prediction, usual.prediction, atol=1e-6)
    np.testing.assert_array_equal(result.measured["distances"], usual.measured["distances"])


@pytest.mark.parametrize("last", [2.0, 1.0, 0.99])
def test_what_is_no_faster_is_left_alone(image, timed, last):
    network = Network()
    timed(network, usual=1.0, last=last)
    result = hidden(network, image)
    assert not any(network.seen[5:])
    assert result.settings["channels_last"] is False


def test_a_network_that_fails_or_draws_something_else_so_is_asked_as_it_was(image, timed):
    class Viewing(Network):
        def forward(self, images):
            self.seen.append(images.stride(1) == 1)
            return torch.sigmoid(
                self.first(images)[:, :1] + images.view(len(images), -1).mean(1)[:, None, None, None]
            )

    class Cheating(Network):
        def forward(self, images):
            return super().forward(images) * 0 + float(self.seen[-1])

    for network in (Viewing(2), Cheating(2)):
        two = image.repeat(2, 1, 1)
        two[1] = 0.3
        timed(network, usual=2.0, last=1.0)
        result = hidden(network, two)
        assert result.settings["channels_last"] is False
        assert True in network.seen
        assert not network.seen[-1]
        usual = hidden(network, two, channels_last=False)
        np.testing.assert_array_equal(result.prediction, usual.prediction)


def test_a_repetition_takes_the_layout_of_the_first_run(image, timed, tmp_path):
    network = Network()
    timed(network, usual=2.0, last=1.0)
    result = hidden(network, image, incremental=False)
    loaded = Explanation.load(result.save(tmp_path / "a.safetensors"))
    network.seen.clear()
    again = loaded.repeat(network)
    assert all(network.seen)
    np.testing.assert_array_equal(again.saliency, result.saliency)
    np.testing.assert_array_equal(again.prediction, result.prediction)


def test_windows_lie_in_memory_as_whole_images_do(image):
    network = Network()
    one = hidden(network, image, incremental=True, channels_last=True)
    other = hidden(network, image, incremental=True, channels_last=False)
    assert one.run["inference"]["path"] == other.run["inference"]["path"] == "incremental"
    np.testing.assert_array_equal(one.measured["distances"], other.measured["distances"])


@pytest.mark.parametrize("model", ["function", "small", "last already", "stated"])
def test_nothing_is_tried_where_nothing_can_be_gained(image, model, monkeypatch):
    network = Network(2)
    two = image.repeat(2, 1, 1)
    options = {}
    if model != "small":
        monkeypatch.setattr(layouts, "LEAST", 1)
    if model == "last already":
        network.to(memory_format=torch.channels_last)
    if model == "stated":
        options = {"channels_last": False}
    asked = (lambda batch: network(batch)) if model == "function" else network
    result = explain(asked, two, "rise", N=3, s=2, seed=0, progress=False, **options)
    assert len(network.seen) == 2 + result.run["checks"] - 4  # those beside others are asked together
    assert result.settings.get("channels_last") is (False if model == "stated" else None)


def test_volumes_have_a_layout_too(timed):
    network = Network(2, dims=3)
    timed(network, usual=2.0, last=1.0)
    volume = torch.from_numpy(np.random.default_rng(0).random((2, 4, 5, 6), dtype=np.float32))
    result = explain(network, volume, "rise", N=5, s=2, seed=0, progress=False)
    assert result.settings["channels_last"] is True
    assert network.seen[-1]


def test_the_weights_stay_as_they_are(image, timed):
    network = Network()
    before = [parameter.stride() for parameter in network.parameters()]
    timed(network, usual=2.0, last=1.0)
    hidden(network, image)
    assert [parameter.stride() for parameter in network.parameters()] == before


@pytest.mark.parametrize("choice", ["yes", 1, 0])
def test_what_is_no_choice_is_refused(choice):
    for name in ("channels_last", "incremental"):
        with pytest.raises(ValueError, match=f"{name} must be True, False or None, got {choice!r}"):
            SegmentationModel(Network(), **{name: choice})


def test_a_network_that_cannot_take_them_is_told_the_cure(image):
    class Viewing(Network):
        def forward(self, images):
            maps = super().forward(images)
            return maps + 0 * images.view(-1).mean()

    with pytest.raises(RuntimeError, match="leave channels_last= out"):
        hidden(Viewing(2), image.repeat(2, 1, 1), channels_last=True)
