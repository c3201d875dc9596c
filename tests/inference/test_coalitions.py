"""Turning pieces and smallest sets, against all orders and all sets of games small enough to try them all."""

from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpret_segmentation.evaluate import minimal_set, power
from interpret_segmentation.inference.coalitions import (
    Game,
    forwards_for,
    smallest_sufficient,
    turning_pieces,
)
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.perturb.fills.named import as_fill
from interpret_segmentation.perturb.masks.parts import Parts
from interpret_segmentation.perturb.pieces import PixelPieces, draw_orders

EXPLAINED = 2
"""Rows of the image that are explained, above the row with the parts."""


class Table(torch.nn.Module):
    """Draws the upper rows where a rule says yes to the set of lit pixels of the lowest row."""

    def __init__(self, rule):
        super().__init__()
        self.rule, self.asked = rule, []

    def forward(self, batch):
        out = torch.zeros_like(batch)
        for number, image in enumerate(batch):
            shown = frozenset(np.flatnonzero(image[0, -1].numpy() > 0.5).tolist())
            self.asked.append(shown)
            out[number, 0, :EXPLAINED] = 0.9 if self.rule(shown) else 0.1
        return out


def opened(rule, parts, run):
    image = torch.ones(1, EXPLAINED + 1, parts)
    labels = np.full(image.shape[1:], -1)
    labels[-1] = np.arange(parts)
    network = Table(rule)

    def played(case):
        return run(Game(case, PixelPieces(Parts(labels)), as_fill(0)))

    return run_case(played, network, image, labels < 0, progress=False, batch_size=4), network


def weighted(weights, quota):
    return lambda shown: sum(weights[part] for part in shown) >= quota


def shapley(rule, parts):
    """How often each part turns the rule over, for a rule that may turn back the sum of ups and downs."""
    total = np.zeros(parts)
    for order in permutations(range(parts)):
        for length, part in enumerate(order):
            total[part] += rule(frozenset(order[: length + 1])) - rule(frozenset(order[:length]))
    return total / len(list(permutations(range(parts))))


def every_order(parts):
    return np.array(list(permutations(range(parts))))


def test_three_voters_of_whom_one_is_a_dictator_by_hand():
    turned, _ = opened(weighted([3, 1, 1], 3), 3, lambda game: turning_pieces(game, every_order(3)))
    assert turned.gains.mean(axis=0).tolist() == [1, 0, 0]
    assert turned.turned_back == 0


def test_the_index_of_shapley_and_shubik_by_hand():
    # Weights 2, 1, 1 and quota 3: the first is pivotal in 4 of 6 orders, each other in one.
    turned, _ = opened(weighted([2, 1, 1], 3), 3, lambda game: turning_pieces(game, every_order(3)))
    assert turned.gains.mean(axis=0) == pytest.approx([4 / 6, 1 / 6, 1 / 6])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=5), st.data())
def test_bisection_finds_what_all_orders_say_of_any_weighted_game(weights, data):
    quota = data.draw(st.integers(1, max(1, sum(weights))))
    rule = weighted(weights, quota)
    if sum(weights) < quota:
        return
    turned, _ = opened(rule, len(weights), lambda game: turning_pieces(game, every_order(len(weights))))
    assert turned.gains.mean(axis=0) == pytest.approx(shapley(rule, len(weights)))
    assert turned.turned_back == 0


def test_a_game_that_turns_back_is_walked_through_and_every_turn_counts():
    # Parts 0 and 1 are wanted, but part 2 spoils it as long as part 3 is missing.
    def rule(shown):
        return {0, 1} <= shown and (2 not in shown or 3 in shown)

    def run(game):
        return [turning_pieces(game, every_order(4), seed=seed) for seed in range(8)]

    found, _ = opened(rule, 4, run)
    wanted = shapley(rule, 4)
    back = sum(
        any(
            rule(frozenset(order[:a])) and not rule(frozenset(order[:b]))
            for a in range(5)
            for b in range(a, 5)
        )
        for order in permutations(range(4))
    )
    assert wanted.min() < 0 < back
    for turned in found:
        assert turned.gains.sum(axis=1).tolist() == [1] * 24
        assert 0 < turned.turned_back <= back
        trusted = 24 - turned.turned_back
        assert np.abs(turned.gains.mean(axis=0) - wanted).max() <= 2 * trusted / 24
    assert max(turned.turned_back for turned in found) > back / 2


def test_an_order_that_is_walked_through_is_exact():
    # Four parts: bisection asks one prefix or two, the check another; here it has to find the contradiction.
    def rule(shown):
        return len(shown) in (1, 4)

    def run(game):
        return turning_pieces(game, np.arange(4)[None], seed=0)

    turned, _ = opened(rule, 4, run)
    assert turned.gains.tolist() in ([[1, -1, 0, 1]], [[0, 0, 0, 1]])
    assert (turned.turned_back == 1) == (turned.gains.tolist() == [[1, -1, 0, 1]])


def test_no_more_is_asked_than_was_told_and_nothing_twice():
    rule = weighted([1] * 16, 8)
    orders = draw_orders(10, 16, seed=3)
    _, network = opened(rule, 16, lambda game: turning_pieces(game, orders))
    played = network.asked[1:]  # the first is the image itself
    asked = [one for one in played if one]
    assert len(set(asked)) <= forwards_for(16, 10)
    # The checks of steadiness ask the image again; everything else is asked once.
    full = frozenset(range(16))
    assert len([one for one in asked if one != full]) == len({one for one in asked if one != full})


@pytest.mark.parametrize("rule", [lambda _: True, lambda _: False, lambda shown: not shown])
def test_a_game_that_is_never_lost_or_never_won_is_refused(rule):
    with pytest.raises(ValueError, match="must hold with everything shown"):
        opened(rule, 3, lambda game: turning_pieces(game, every_order(3)))
    with pytest.raises(ValueError, match="must hold with everything shown"):
        opened(rule, 3, lambda game: smallest_sufficient(game, every_order(3), np.ones(3, int)))


def smallest(rule, parts, *, hiding):
    """The size of the smallest set, by trying all of them."""
    full = frozenset(range(parts))
    for size in range(parts + 1):
        for chosen in map(frozenset, combinations(range(parts), size)):
            if (not rule(full - chosen)) if hiding else rule(chosen):
                return size
    return None


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=5), st.data(), st.booleans())
def test_the_smallest_set_of_any_weighted_game_is_found_over_all_orders(weights, data, hiding):
    quota = data.draw(st.integers(1, max(1, sum(weights))))
    rule, parts = weighted(weights, quota), len(weights)
    if sum(weights) < quota:
        return

    def run(game):
        return smallest_sufficient(game, every_order(parts), np.ones(parts, int), hiding=hiding)

    found, _ = opened(rule, parts, run)
    assert found.chosen.sum() == smallest(rule, parts, hiding=hiding)
    chosen = frozenset(np.flatnonzero(found.chosen).tolist())
    full = frozenset(range(parts))
    assert found.value == pytest.approx(0.9 if rule(full - chosen if hiding else chosen) else 0.1)
    assert (found.value > 0.5) != hiding
    # The proof: without any one of its parts the set no longer decides.
    assert len(found.without) == len(chosen)
    assert all((value > 0.5) == hiding for value in found.without)


def test_of_sets_with_equally_many_parts_the_one_with_fewest_pixels_wins():
    def rule(shown):
        return bool(shown & {1, 2})

    found, _ = opened(rule, 3, lambda game: smallest_sufficient(game, every_order(3), np.array([5, 9, 2])))
    assert found.chosen.tolist() == [False, False, True]


def test_a_set_of_a_game_that_turns_back_still_decides():
    def rule(shown):
        return {0, 1} <= shown and (2 not in shown or 3 in shown)

    found, _ = opened(rule, 4, lambda game: smallest_sufficient(game, every_order(4), np.ones(4, int)))
    assert found.chosen.tolist() == [True, True, False, False]


def test_the_parts_of_an_absence_are_found_too():
    # The upper rows are drawn as long as the three pixels of part 5 are dark: hiding them in light ends it.
    def network(batch):
        lit = batch[..., 2, :].mean(dim=(-2, -1))
        return (0.9 - 0.8 * (lit > 0.4).float()).view(-1, 1, 1, 1).expand(-1, 1, 3, 4)

    labels = np.full((3, 4), -1)
    labels[2] = [5, 5, 5, 9]
    decided = minimal_set(
        network, torch.zeros(1, 3, 4), labels < 0, parts=labels, fill=1, kind="necessary", progress=False
    )
    assert decided.parts == (5,)
    assert decided.region.sum() == 3
    found = power(network, torch.zeros(1, 3, 4), labels < 0, parts=labels, fill=1, progress=False)
    assert found.power.tolist() == [1, 0]
    assert found.standard_error.tolist() == [0, 0]


def test_a_number_on_the_threshold_is_not_above_it():
    def network(batch):  # half of the light on: exactly one half
        return batch[:, :, -1:, :].mean(dim=-1, keepdim=True).expand_as(batch)

    labels = np.full((3, 2), -1)
    labels[-1] = [0, 1]
    found = power(network, torch.ones(1, 3, 2), labels < 0, parts=labels, fill=0, orders=2, progress=False)
    needed = minimal_set(network, torch.ones(1, 3, 2), labels < 0, parts=labels, fill=0, progress=False)
    assert found.power.tolist() == [0.5, 0.5]
    assert needed.parts == (0, 1)


def test_the_smallest_of_many_candidates_is_the_one_that_is_taken():
    pairs = ({1, 2}, {3, 4}, {5, 6}, {1, 4})

    def rule(shown):
        return 0 in shown or any(pair <= shown for pair in pairs)

    orders = draw_orders(60, 7, seed=0)
    found, _ = opened(rule, 7, lambda game: smallest_sufficient(game, orders, np.ones(7, int)))
    assert found.chosen.tolist() == [True] + [False] * 6


def test_what_turned_out_to_be_spared_is_dropped():
    # In this order part 3 is kept because part 1 spoils what 0 and 2 do; without 1 it is not needed.
    def rule(shown):
        return {0, 2} <= shown and (1 not in shown or 3 in shown)

    order = np.arange(4)[None]
    found, _ = opened(rule, 4, lambda game: smallest_sufficient(game, order, np.ones(4, int)))
    assert found.chosen.tolist() == [True, False, True, False]


def walked(rule, order):
    """What each part does in an order, asked step by step."""
    there = [rule(frozenset(order[:length].tolist())) for length in range(len(order) + 1)]
    gains = np.zeros(len(order), dtype=int)
    gains[order] = np.diff(np.array(there, dtype=int))
    return gains.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_bisection_of_many_parts_is_what_a_walk_finds(seed):
    weights = np.random.default_rng(seed).integers(0, 9, 20)
    rule, orders = weighted(weights, int(weights.sum() * 0.6)), draw_orders(9, 20, seed=seed)
    turned, network = opened(rule, 20, lambda game: turning_pieces(game, orders, seed=seed))
    assert turned.gains.tolist() == [walked(rule, order) for order in orders]
    assert turned.turned_back == 0
    assert len(set(network.asked)) < 9 * 20 / 2  # fewer than a walk


def test_orders_of_many_parts_that_are_found_to_turn_back_are_exact_and_no_other_is_counted():
    def rule(shown):  # part 0 blocks until most of the others are there
        return len(shown - {0}) >= (15 if 0 in shown else 8)

    many = 0
    for seed in range(8):
        orders = draw_orders(40, 20, seed=seed)
        turned, _ = opened(rule, 20, lambda game, o=orders, n=seed: turning_pieces(game, o, seed=n))
        right = [walked(rule, order) for order in orders]
        found = [min(gains) < 0 for gains in turned.gains.tolist()]
        assert sum(found) == turned.turned_back <= sum(min(gains) < 0 for gains in right)
        for gains, wanted, odd in zip(turned.gains.tolist(), right, found, strict=True):
            assert sum(gains) == 1
            assert gains == wanted or not odd
        many += turned.turned_back
    assert many >= 8
