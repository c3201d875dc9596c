"""A model whose answer is no function of the one image is noticed; asking one at a time may cure it."""

import functools
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from interpret_segmentation import explain


def scene():
    image = torch.zeros(1, 48, 64)
    image[:, 16:32, 24:44] = 1
    image[:, 4:7, 4:7] = 3
    return image


def explained(model, method="occlusion", **settings):
    if method == "occlusion":
        settings = {"size": 8, "offset": 6} | settings
    return explain(model, scene(), method, progress=False, **settings)


def steady(batch):
    return 20 * batch - 10


class Dropping(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, batch):
        return self.draw(steady(batch))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.before = 0

    def forward(self, batch):
        self.before = (batch.mean() + self.before) / 2
        return steady(batch) + self.before


class Counting:
    def __init__(self):
        self.asked = 0

    def __call__(self, batch):
        self.asked += 1
        return steady(batch) + 0.01 * self.asked


RANDOM = {
    "dropout": Dropping(lambda maps: F.dropout(maps + 1, 0.5)),
    "noise": Dropping(lambda maps: maps + torch.randn_like(maps)),
    "NumPy": lambda batch: steady(batch) + float(np.random.normal(0, 3)),  # noqa: NPY002
    "Python": lambda batch: steady(batch) + random.gauss(0, 3),
}


@pytest.mark.parametrize("model", RANDOM.values(), ids=RANDOM)
@pytest.mark.parametrize("method", ["occlusion", "hdm", "rise"])
def test_random_numbers_are_noticed_and_told_in_the_result(model, method):
    settings = {"N": 20} if method == "rise" else {}
    with pytest.warns(UserWarning, match=r"one and the same image differ, .*: it draws random numbers"):
        made = explained(model, method, **settings)
    (note,) = (one for one in made.run["notes"] if "one and the same image differ" in one)
    assert note.startswith("The model's answers for one and the same image differ")
    assert note in made.sentences()


@pytest.mark.parametrize("make", [Recurrent, Counting])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_state_between_questions_is_noticed(make, batch_size):
    with pytest.warns(UserWarning, match=r"differ, .*: it keeps something from one question to the next"):
        explained(make(), batch_size=batch_size)


def test_state_that_only_shows_in_the_end_is_noticed_too():
    class Tiring(Counting):
        def __call__(self, batch):
            self.asked += 1
            return steady(batch) + (self.asked > 12)

    with pytest.warns(UserWarning, match="it keeps something from one question to the next"):
        explained(Tiring())


def scaled(batch):
    return 20 * (batch - batch.min()) / (batch.max() - batch.min()) - 6


def standardised(batch):
    return 8 * (batch - batch.mean()) / batch.std()


def normalised(batch):
    return 8 * F.batch_norm(batch, None, None, training=True) - 4


def summed_up(batch):
    return steady(batch) + batch.cumsum(0) - batch


@pytest.mark.parametrize("model", [scaled, standardised, normalised, summed_up])
def test_a_model_that_mixes_the_images_of_a_batch_is_asked_one_at_a_time(model):
    truth = explained(model, batch_size=1)
    for batch_size in (None, 4):
        with pytest.warns(UserWarning, match="depends on the images beside it"):
            made = explained(model, batch_size=batch_size)
        assert made.run["batch_size"] == 1
        np.testing.assert_allclose(made.saliency, truth.saliency, atol=1e-6)


def test_a_model_that_cannot_take_more_contrast_is_tried_beside_a_masked_image():
    def rooted(batch):
        return steady(batch.sqrt()) * (batch.max() / 3)

    settings = {"fill": 6.0, "score": "probability", "target": (24, 30)}
    truth = explained(rooted, batch_size=1, **settings)
    with pytest.warns(UserWarning, match="depends on the images beside it"):
        made = explained(rooted, batch_size=4, **settings)
    np.testing.assert_allclose(made.saliency, truth.saliency, atol=1e-6)


class Real(nn.Module):
    """Convolutions, norm and up-sampling, whose rounding depends on the size of the batch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.down = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.up = nn.ConvTranspose2d(16, 16, 2, stride=2)
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, batch):
        return 30 * self.out(self.up(torch.relu(self.norm(self.down(batch)))))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_a_steady_network_is_not_suspected(kind, method):
    settings = {"N": 20, "seed": 0} if method == "rise" else {}
    made = explained(Real().eval().to(kind), method, target=(20, 30), **settings)
    assert made.run["notes"] in ([], ())
    assert made.run["checks"] > 1


def test_checks_are_counted_apart_from_the_work():
    made = explained(steady, batch_size=4)
    assert made.run["forwards"] == 1 + len(made.measured["scores"]) - made.run["inference"]["unchanged"]
    assert made.run["checks"] == 3 + 4 * 2 + 1


class Keeping(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 1)
        self.all, self.named, self.fails = [], {}, False

    def forward(self, batch):
        hidden = self.first(batch)
        self.last, self.pair = hidden, (hidden, 1)
        self.all.append(hidden)
        self.named["hidden"] = [hidden]
        if self.fails and type(batch) is not torch.Tensor:
            raise ValueError("no windows")
        return self.second(hidden.relu())


@pytest.mark.parametrize("fails", [False, True])
def test_a_network_that_keeps_what_it_computed_gets_plain_tensors_back(fails):
    network = Keeping().eval()
    network.fails = fails
    incremental = not fails or None
    made = explained(network, size=6, offset=4, target=(20, 30), incremental=incremental)
    assert made.run["inference"]["path"] == ("dense" if fails else "incremental")
    kept = [network.last, network.pair[0], *network.all, *network.named["hidden"]]
    assert {type(tensor) for tensor in kept} == {torch.Tensor}


class TestCompiled:
    def network(self):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1)).eval()

    def graphs(self):
        return torch._dynamo.utils.counters["stats"].get("unique_graphs", 0)

    @pytest.fixture(autouse=True)
    def anew(self):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()

    @pytest.mark.parametrize("incremental", [None, False])
    def test_a_compiled_network_gives_the_same_map_from_two_graphs(self, incremental):
        plain = explained(self.network(), target=(20, 30), incremental=incremental)
        compiled = torch.compile(self.network(), backend="eager")
        made = explained(compiled, target=(20, 30), incremental=incremental)
        np.testing.assert_allclose(made.saliency, plain.saliency, atol=1e-6)
        assert 1 <= self.graphs() <= 2

    def test_what_is_compiled_inside_a_function_or_in_place_is_asked_as_it_was_written(self):
        plain = explained(self.network(), target=(20, 30))
        compiled, in_place = torch.compile(self.network(), backend="eager"), self.network()
        in_place.compile(backend="eager")
        for model in (lambda batch: compiled(batch), in_place):
            np.testing.assert_allclose(explained(model, target=(20, 30)).saliency, plain.saliency, atol=1e-6)
        assert self.graphs() == 0


class TestSituationsThatBrokeIt:
    """Each gave a wrong map without a word, or a false alarm."""

    def test_noise_that_is_the_same_in_every_call_is_asked_one_at_a_time(self):
        def seeded(array):
            return steady(array) * (np.random.default_rng(0).random(array.shape) > 0.3)

        truth = explained(seeded, numpy=True, batch_size=1, target=(20, 30))
        with pytest.warns(UserWarning, match="depends on the images beside it"):
            made = explained(seeded, numpy=True, target=(20, 30))
        np.testing.assert_array_equal(made.saliency, truth.saliency)

    @pytest.mark.parametrize("turned", [lambda maps: maps.flip(0), lambda maps: maps.roll(1, 0)])
    def test_answers_in_another_order_are_noticed(self, turned):
        truth = explained(steady, batch_size=1, target=(20, 30))
        with pytest.warns(UserWarning, match="depends on the images beside it"):
            made = explained(lambda batch: turned(steady(batch)), target=(20, 30))
        np.testing.assert_array_equal(made.saliency, truth.saliency)

    @pytest.mark.parametrize("batch_size", [None, 1, 8])
    def test_state_that_begins_anew_with_another_batch_is_noticed(self, batch_size):
        class Smoothing(nn.Module):
            before = None

            def forward(self, batch):
                maps = steady(batch)
                if self.before is not None and self.before.shape == maps.shape:
                    maps = 0.6 * maps + 0.4 * self.before
                self.before = maps
                return maps

        with pytest.warns(UserWarning, match="it keeps something from one question to the next"):
            explained(Smoothing(), batch_size=batch_size)

    def test_a_network_that_looks_at_the_range_of_its_pixels_is_not_suspected(self):
        def checked(batch):
            assert batch.min() >= 0
            assert batch.max() <= 3
            return steady(batch)

        def whole_numbers(batch):
            assert torch.equal(batch, batch.round())
            return steady(batch)

        made = explained(whole_numbers, target=(20, 30), fill=0.0)
        assert made.notes == ()
        table = torch.linspace(-10, 10, 256)
        for model in (checked, lambda batch: table[(batch * 80).round().long()]):
            made = explained(model, target=(20, 30))
            assert made.notes == ()
            assert made.run["batch_size"] > 1

    @pytest.mark.parametrize("where", ["a list in a module", "a class", "a cache"])
    @pytest.mark.parametrize("batch_size", [None, 1])
    def test_a_network_in_training_mode_is_borrowed_wherever_it_hides(self, where, batch_size):
        hidden = Real().train()

        class Ensemble(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(1))
                self.parts = [hidden]

            def forward(self, batch):
                return self.weight * self.parts[0](batch)

        class Holder:
            net = hidden

        cached = functools.lru_cache(lambda: hidden)
        models = {
            "a list in a module": Ensemble().eval(),
            "a class": lambda batch: Holder.net(batch),
            "a cache": lambda batch: cached()(batch),
        }
        expected = explained(Real().eval(), target=(20, 30))
        made = explained(models[where], target=(20, 30), batch_size=batch_size)
        np.testing.assert_allclose(made.saliency, expected.saliency, atol=1e-6)
        assert hidden.training
        assert hidden.norm.training
        assert int(hidden.norm.num_batches_tracked) == 0

    def test_a_function_that_keeps_its_answer_gets_no_windows(self):
        network, store = Real().eval(), []

        def keeping(batch):
            store.append(network(batch))
            return store[-1]

        explained(keeping, target=(20, 30), size=6, offset=4, incremental=True)
        assert {type(tensor) for tensor in store} == {torch.Tensor}
