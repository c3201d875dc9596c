from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interpret_segmentation import RISE, Explanation, explain
from interpret_segmentation._settings import as_data, from_data
from interpret_segmentation.perturb.fills import imputation
from interpret_segmentation.perturb.fills.imputation import imputed
from interpret_segmentation.perturb.fills.named import as_fill
from interpret_segmentation.perturb.fills.simple import Mean, NoisyLinear

SPACES = [(1, 1), (1, 9), (6, 9), (9, 4), (4, 5, 6), (1, 3, 4)]
WEIGHTS = {2: {1: 1 / 6, 2: 1 / 12}, 3: {1: 1 / 14, 2: 1 / 28, 3: 1 / 56}}
"""Of a neighbour, by the axes in which it differs; they sum up to 1."""


def draw(space, channels=2, masks=3, seed=0, density=0.5):
    random = torch.Generator().manual_seed(seed)
    image = torch.randn(channels, *space, generator=random, dtype=torch.float64) * 3 + 1
    return image, torch.rand(masks, *space, generator=random) < density


def applied(fill, image, hidden):
    return torch.where(hidden[:, None], fill.values(image, hidden), image)


def brute_force(image, hidden):
    """Each equation written down as a row of a dense matrix: a pixel less its neighbours' mean is 0."""
    places = [tuple(place) for place in np.argwhere(hidden)]
    left, right = np.eye(len(places)), np.zeros((len(places), len(image)))
    for row, place in enumerate(places):
        steps = [step for step in product((-1, 0, 1), repeat=hidden.ndim) if any(step)]
        around = {tuple(np.add(place, step)): WEIGHTS[hidden.ndim][np.abs(step).sum()] for step in steps}
        around = {
            at: weight
            for at, weight in around.items()
            if all(0 <= p < side for p, side in zip(at, hidden.shape, strict=True))
        }
        whole = sum(around.values())
        for at, weight in around.items():
            if hidden[at]:
                left[row, places.index(at)] -= weight / whole
            else:
                right[row] += weight / whole * image[(slice(None), *at)]
    filled = image.copy()
    filled[:, hidden] = np.linalg.solve(left, right).T
    return filled


@pytest.mark.parametrize("dims", [2, 3])
def test_the_weights_of_a_pixel_inside_the_image_sum_up_to_1(dims):
    steps = [np.abs(step).sum() for step in product((-1, 0, 1), repeat=dims) if any(step)]
    assert sum(WEIGHTS[dims][step] for step in steps) == pytest.approx(1)


@given(st.integers(0, 2**32), st.sampled_from(SPACES), st.floats(0.05, 0.95))
def test_hidden_pixels_solve_the_equations_as_a_dense_solver_does(seed, space, density):
    image, hidden = draw(space, seed=seed, density=density)
    filled = applied(NoisyLinear(noise=0), image, hidden)
    for mask, result in zip(hidden.numpy(), filled.numpy(), strict=True):
        if not mask.all():
            np.testing.assert_allclose(result, brute_force(image.numpy(), mask), atol=1e-10)


def test_one_hidden_pixel_is_the_weighted_mean_of_the_eight_around_it():
    image = torch.tensor([[[1.0, 2, 3], [4, 100, 5], [6, 7, 8]]])
    hidden = torch.zeros(1, 3, 3, dtype=torch.bool)
    hidden[0, 1, 1] = True
    wanted = (2 + 4 + 5 + 7) / 6 + (1 + 3 + 6 + 8) / 12
    assert NoisyLinear(noise=0).values(image, hidden)[0, 0, 1, 1].item() == pytest.approx(wanted)


def test_in_a_corner_the_three_neighbours_that_exist_count_for_all():
    image = torch.tensor([[[100.0, 2], [4, 6], [0, 0]]])
    hidden = torch.zeros(1, 3, 2, dtype=torch.bool)
    hidden[0, 0, 0] = True
    assert NoisyLinear(noise=0).values(image, hidden)[0, 0, 0, 0].item() == pytest.approx(
        (2 / 6 + 4 / 6 + 6 / 12) / (1 / 6 + 1 / 6 + 1 / 12)
    )


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_volume_of_equal_slices_is_filled_like_one_slice(depth):
    image, hidden = draw((7, 10), density=0.6)
    flat = applied(NoisyLinear(noise=0), image, hidden)
    volume = applied(
        NoisyLinear(noise=0),
        image[:, None].expand(-1, depth, -1, -1),
        hidden[:, None].expand(-1, depth, -1, -1),
    )
    torch.testing.assert_close(volume, flat[:, :, None].expand_as(volume))


@pytest.mark.parametrize("space", SPACES)
def test_where_everything_is_hidden_the_mean_is_left(space):
    image, _ = draw(space)
    filled = applied(NoisyLinear(noise=0), image, torch.ones(2, *space, dtype=torch.bool))
    torch.testing.assert_close(filled, Mean().picture(image).expand_as(filled))


def test_where_nothing_is_hidden_there_is_nothing_to_solve():
    assert imputed(np.ones((3, 4, 2)), np.zeros((3, 4), dtype=bool)).shape == (0, 2)
    image, hidden = draw((4, 5), masks=0)
    assert NoisyLinear().values(image, hidden).shape == (0, 2, 4, 5)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_fit_the_batch_and_are_finite(space, dtype):
    image, hidden = draw(space)
    hidden[0], hidden[1] = True, False
    values = NoisyLinear().values(image.to(dtype), hidden)
    assert values.shape == (3, *image.shape)
    assert values.dtype == dtype
    assert torch.isfinite(values).all()


def test_a_large_hole_in_a_volume_is_solved_by_steps_to_the_same_answer(monkeypatch):
    image, hidden = draw((18, 20, 22), masks=1, density=0.7)
    assert int(hidden.sum()) > imputation.SMALL
    by_steps = applied(NoisyLinear(), image, hidden)
    monkeypatch.setattr(imputation, "SMALL", 10**6)
    direct = applied(NoisyLinear(), image, hidden)
    torch.testing.assert_close(by_steps, direct, rtol=1e-8, atol=1e-7)
    assert not torch.equal(by_steps, direct)


class TestNoise:
    def noise(self, image, **settings):
        hidden = torch.ones(1, *image.shape[1:], dtype=torch.bool)
        hidden[..., 0] = False
        filled, smooth = (fill.values(image, hidden) for fill in (NoisyLinear(**settings), NoisyLinear(0)))
        return (filled - smooth)[0, :, hidden[0]]

    def test_it_is_a_hundredth_of_each_channels_range(self):
        image, _ = draw((60, 80))
        image[1] = 40 * image[1] + 1000
        spread = self.noise(image).std(dim=1) / (image.flatten(1).amax(1) - image.flatten(1).amin(1))
        torch.testing.assert_close(spread, torch.full_like(spread, 0.01), rtol=0.05, atol=0)

    def test_on_an_image_from_0_to_1_it_is_the_papers_hundredth(self):
        image = torch.linspace(0, 1, 4800, dtype=torch.float64).view(1, 60, 80)
        assert self.noise(image).std().item() == pytest.approx(0.01, rel=0.05)

    def test_a_flat_channel_has_none(self):
        assert not self.noise(torch.full((1, 5, 7), 3.0)).any()

    def test_it_grows_with_its_setting(self):
        image, _ = draw((8, 9))
        torch.testing.assert_close(self.noise(image, noise=0.3), 30 * self.noise(image))

    def test_another_seed_draws_another_one(self):
        image, hidden = draw((8, 9))
        one, other = NoisyLinear(seed=1).values(image, hidden), NoisyLinear(seed=2).values(image, hidden)
        assert not torch.equal(one, other)

    def test_the_random_state_of_the_user_is_left_alone(self):
        image, hidden = draw((8, 9))
        before = torch.get_rng_state()
        NoisyLinear().values(image, hidden)
        assert torch.equal(torch.get_rng_state(), before)


@given(st.permutations(range(4)))
def test_the_same_mask_gets_the_same_values_whatever_stands_beside_it(order):
    image, hidden = draw((6, 9), masks=4)
    whole = NoisyLinear().values(image, hidden)
    assert torch.equal(NoisyLinear().values(image, hidden[order]), whole[order])
    for number in order:
        assert torch.equal(NoisyLinear().values(image, hidden[number : number + 1])[0], whole[number])


@pytest.mark.parametrize("setting", [
    {"noise": -0.1}, {"noise": float("nan")}, {"noise": float("inf")}, {"noise": "much"}, {"noise": True},
    {"seed": None}, {"seed": -1}, {"seed": 0.5},
])  # fmt: skip
def test_settings_out_of_their_range_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        NoisyLinear(**setting)


def test_it_has_a_name_and_survives_being_saved():
    assert as_fill("noisy_linear") == NoisyLinear() == NoisyLinear(0.01, 0)
    assert from_data(as_data(NoisyLinear(0.2, 7))) == NoisyLinear(0.2, 7)
    with pytest.raises(ValueError, match="'noisy_linear'"):
        as_fill("noisy")


def test_every_method_that_hides_sharply_takes_it(tmp_path):
    image = torch.rand(1, 10, 13, generator=torch.Generator().manual_seed(0))
    made = explain(lambda batch: batch, image, "occlusion", fill="noisy_linear", score="mse", progress=False)
    path = made.save(tmp_path / "map.safetensors")
    again = Explanation.load(path).repeat(lambda batch: batch, progress=False)
    np.testing.assert_array_equal(again.saliency, made.saliency)
    assert made.saliency.any()
    with pytest.raises(ValueError, match="RISE hides softly"):
        RISE(fill="noisy_linear")
