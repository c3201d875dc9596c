import numpy as np
import pytest
import torch

from interpret_segmentation import explain
from interpret_segmentation.inference import batches as batched
from interpret_segmentation.inference.batches import fastest_batch_size


class Clock:
    """A clock that only moves when somebody asks."""

    def __init__(self, monkeypatch, seconds):
        self.now, self.seconds, self.asked = 0.0, seconds, []
        monkeypatch.setattr(batched.time, "perf_counter", lambda: self.now)

    def __call__(self, size):
        first = size not in self.asked
        self.asked.append(size)
        self.now += self.seconds[size] + 100 * first  # the first time everything is slow


@pytest.mark.parametrize(
    ("seconds", "best"),
    [({4: 4.0, 2: 1.8, 1: 1.0}, 2), ({4: 3.0, 2: 1.8, 1: 1.0}, 4), ({4: 9.0, 2: 4.0, 1: 1.0}, 1)],
)
def test_the_size_that_takes_the_least_time_for_each_image_is_found(monkeypatch, seconds, best):
    clock = Clock(monkeypatch, seconds)
    assert fastest_batch_size(clock, 4, 1000) == best
    assert clock.asked == [4, 2, 1, 4, 2, 1]


@pytest.mark.parametrize(("most", "count"), [(4, 279), (1, 10_000), (128, 8000)])
def test_nothing_is_tried_where_it_would_not_pay(monkeypatch, most, count):
    clock = Clock(monkeypatch, {})
    assert fastest_batch_size(clock, most, count) == most
    assert clock.asked == []


def test_a_size_that_memory_does_not_hold_is_not_chosen():
    def ask_about(size):
        if size > 1:
            raise MemoryError

    assert fastest_batch_size(ask_about, 4, 1000) == 1


def sizes_of(**settings):
    asked = []

    def network(batch):
        asked.append(len(batch))
        return torch.sigmoid(8 * (batch - 0.5))

    image = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    made = explain(network, image, "rise", N=300, seed=0, progress=False, **settings)
    return asked, made


def test_a_run_finds_its_batch_size_records_it_and_repeats_it():
    asked, made = sizes_of()
    assert asked[:8] == [1, 1, 1, 1, 2, 2, 2, 2]  # the unmasked image: alone, and beside others
    assert asked[8:14] == [4, 2, 1, 4, 2, 1]
    size = made.settings["batch_size"]
    assert asked[14:] == [size] * (300 // size) + [1]  # at the end once more
    assert made.run["batch_size"] == size
    assert made.run["forwards"] == 301
    assert made.run["checks"] == 12
    again, repeated = sizes_of(batch_size=size)
    assert again[again.index(size, 8) if size > 1 else 4 :][: 300 // size] == [size] * (300 // size)
    np.testing.assert_array_equal(made.saliency, repeated.saliency)


def test_a_size_that_is_given_is_kept():
    asked, _ = sizes_of(batch_size=3)
    assert set(asked[8:-1]) == {3}
