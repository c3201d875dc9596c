"""Power, minimal sets and agreement as users ask for them."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpret_segmentation import SegmentationModel, explain
from interpret_segmentation.evaluate import (
    agreement_with_power,
    minimal_set,
    power,
    power_cost,
    power_hit,
    power_rank,
    power_within,
)
from interpret_segmentation.evaluate.intervention import standard_error
from interpret_segmentation.show import figure_of_power

LABELS = np.full((6, 9), -1)
LABELS[3:, :3], LABELS[3:, 3:6], LABELS[3:, 6:] = 0, 1, 2
SEGMENT = LABELS < 0


def votes(*weights, quota):
    """Draws the upper half when the parts below that are lit have enough weight together."""

    def network(batch):
        lit = torch.stack([(batch[:, 0][:, part == LABELS] > 0.5).all(dim=1) for part in range(3)], dim=1)
        there = (lit * torch.tensor(weights)).sum(dim=1) >= quota
        upper = torch.where(torch.from_numpy(SEGMENT), 0.9, 0.1)
        return torch.where(there[:, None, None, None], upper, torch.full_like(upper, 0.1))

    return network


def asked(network, **settings):
    settings = {"parts": LABELS, "fill": 0, "progress": False} | settings
    return power(network, torch.ones(1, 6, 9), SEGMENT, **settings)


def test_power_is_the_shapley_shubik_index_and_its_map_lies_on_the_parts():
    found = asked(votes(2, 1, 1, quota=3), orders=600)
    assert found.power == pytest.approx([4 / 6, 1 / 6, 1 / 6], abs=0.04)
    assert (np.abs(found.power - [4 / 6, 1 / 6, 1 / 6]) < 4 * found.standard_error).all()
    assert found.map[4].tolist() == np.repeat(found.power, 3).tolist()
    assert not found.map[:3].any()
    assert found.region.tolist() == (LABELS >= 0).tolist()
    assert (found.whole, found.nothing, found.orders) == (pytest.approx(0.9), pytest.approx(0.1), 600)
    assert found.effect == pytest.approx(0.8)
    assert "Most often it comes back with part 0" in str(found)


def test_one_part_that_decides_has_all_power_and_no_error():
    found = asked(votes(0, 1, 0, quota=1))
    assert found.power.tolist() == [0, 1, 0]
    assert found.standard_error.tolist() == [0, 0, 0]
    assert found.region.tolist() == (LABELS == 1).tolist()
    assert found.turned_back == 0


def test_it_costs_no_more_than_was_told_and_the_case_is_counted():
    network, asked_about = votes(2, 1, 1, quota=3), []

    def counted(batch):
        asked_about.append(len(batch))
        return network(batch)

    found = asked(counted, orders=10)
    # The image itself is asked about, and whether the answers are steady; 8 coalitions there are at most.
    assert found.forwards <= 1 + 8
    assert sum(asked_about) <= found.forwards + 12
    assert power_cost(3, orders=10) == 1 + 2**3
    assert power_cost(1, orders=10) == 1 + 2
    assert power_cost(64, orders=10) == 3 + 10 * (6 + 1)


def test_the_cost_is_said_before_it_begins(capsys):
    asked(votes(2, 1, 1, quota=3), orders=10, progress=True)
    assert "3 parts, 10 orders: about 9 forwards" in capsys.readouterr().err


def test_where_hiding_changes_nothing_that_is_what_is_said():
    found = asked(votes(0, 0, 0, quota=0))
    assert not found.turns_over
    assert not found.power.any()
    assert found.verdict.startswith("No removable cause among the 3 parts")
    with pytest.raises(ValueError, match="no power to agree with: No removable cause"):
        agreement_with_power(np.zeros((6, 9)), found)


def test_a_change_that_does_not_turn_the_segment_over_is_told_apart():
    def network(batch):
        lit = (batch[:, 0, 3:] > 0.5).float().mean(dim=(1, 2))
        return torch.from_numpy(SEGMENT).float() * (0.6 + 0.3 * lit)[:, None, None, None]

    found = asked(network)
    assert found.effect == pytest.approx(0.3)
    assert found.verdict.startswith("Hiding all 3 parts changes the segment and does not turn it over")
    assert asked(network, turns_at=0.8).turns_over


def test_what_is_not_there_is_refused():
    with pytest.raises(
        ValueError, match=r"not there in the image: the mean probability .* is 0\.10, not above"
    ):
        asked(votes(1, 1, 1, quota=9))


def test_spared_pixels_are_never_hidden():
    network, seen = votes(1, 1, 1, quota=1), []

    def watching(batch):
        seen.append(batch[:, 0, 4, 4].clone())
        return network(batch)

    spare = LABELS == 1
    found = asked(watching, spare=spare)
    assert torch.cat(seen).min() == 1
    assert len(found) == 2
    assert found.verdict.startswith("No removable cause")
    with pytest.raises(ValueError, match="spare= covers every part"):
        asked(network, spare=LABELS >= 0)


def test_parts_may_be_superpixels_a_grid_or_channels():
    image = torch.zeros(2, 20, 30)
    image[0, :, :15] = image[1, :, :15] = 1

    def network(batch):  # needs one of two channels
        return (batch.amax(dim=1, keepdim=True) > 0.5).float() * 0.9

    channels = power(network, image, parts="channels", fill=0, progress=False)
    assert channels.labels is None
    assert channels.power == pytest.approx([0.5, 0.5])
    assert "Hiding all 2 channels" in str(channels)
    for name in ("map", "region"):
        with pytest.raises(ValueError, match="channels, which have no place"):
            getattr(channels, name)
    grid = power(network, image, parts="grid", count=6, fill=0, progress=False)
    assert len(grid) == 6
    superpixels = power(network, image, parts="superpixels", count=10, fill=0, progress=False)
    assert 2 <= len(superpixels) <= 15
    with pytest.raises(ValueError, match="the parts are channels; leave it out"):
        power(network, image, parts="channels", spare="segment", progress=False)


def test_a_volume_is_taken_apart_like_an_image():
    volume = torch.zeros(1, 4, 8, 8)
    volume[:, 1:3, 2:6, 2:6] = 1
    labels = np.zeros((4, 8, 8), dtype=int)
    labels[2:] = 1
    network = SegmentationModel(lambda batch: (batch > 0.5).float() * 0.9, dims=3)
    found = power(network, volume, parts=labels, fill=0, progress=False)
    assert found.power == pytest.approx([0.5, 0.5])  # half of the segment is not enough: 0.45
    assert found.map.shape == (4, 8, 8)


def test_the_counterfactual_may_be_another_image():
    image, other = torch.ones(1, 6, 9), torch.ones(1, 6, 9)
    other[:, 3:, 6:] = 0
    found = power(votes(1, 1, 1, quota=3), image, SEGMENT, parts=LABELS, fill=other, progress=False)
    assert found.power.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"parts": "organs"},
            r"parts must be 'superpixels', 'grid', 'channels' or an array .*6 x 9.*got 'organs'",
        ),
        ({"parts": LABELS[:4]}, "parts are 4 x 9, but the image 6 x 9"),
        ({"parts": LABELS, "count": 3}, "count= is the number of superpixels or cells"),
        ({"parts": LABELS * 1.0}, "labels must be whole numbers"),
        ({"orders": 0}, "orders must be"),
        ({"turns_at": "half"}, "turns_at must lie between 0 and 1, got 'half'"),
        ({"turns_at": 1}, "turns_at must lie between 0 and 1"),
        ({"fill": "purple"}, "fill must be one of"),
        ({"parts": -np.ones((6, 9), dtype=int)}, "no pixel has a label"),
    ],
)
def test_wrong_arguments_are_refused(settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        asked(votes(1, 1, 1, quota=1), **settings)


def test_a_model_that_is_no_array_of_parts_is_a_type_error():
    with pytest.raises(TypeError, match="parts must be"):
        asked(votes(1, 1, 1, quota=1), parts=7)


def test_errors_and_other_targets_have_power_too():
    truth = np.zeros((6, 9))
    found = power(
        votes(0, 1, 0, quota=1), torch.ones(1, 6, 9), "false-positives", reference=truth, parts=LABELS,
        fill=0, progress=False,
    )  # fmt: skip
    assert found.power.tolist() == [0, 1, 0]


@pytest.mark.parametrize("batch_size", [1, 3, None])
def test_batches_do_not_matter(batch_size):
    one = asked(votes(2, 1, 1, quota=3), batch_size=batch_size)
    np.testing.assert_array_equal(one.power, asked(votes(2, 1, 1, quota=3)).power)


def test_seeds_draw_other_orders_and_the_same_again():
    powers = [asked(votes(2, 1, 1, quota=3), seed=seed, orders=8).power.tolist() for seed in (0, 0, 1, 2)]
    assert powers[0] == powers[1]
    assert len({tuple(one) for one in powers}) > 1


def test_as_dict_is_plain_data():
    import json

    found = asked(votes(2, 1, 1, quota=3), orders=1)
    told = json.loads(json.dumps(found.as_dict()))
    assert told["standard_error"] == [None] * 3
    assert told["power"] == found.power.tolist()
    assert told["verdict"] == str(found)


def smallest(network, kind, **settings):
    settings = {"parts": LABELS, "fill": 0, "progress": False} | settings
    return minimal_set(network, torch.ones(1, 6, 9), SEGMENT, kind=kind, **settings)


def test_smallest_sets_by_hand():
    network = votes(
        2, 1, 1, quota=3
    )  # {0 and another} suffices; without 0, or without both others, it is gone
    enough, needed = smallest(network, "sufficient"), smallest(network, "necessary")
    assert enough.parts in ((0, 1), (0, 2))
    assert enough.value == pytest.approx(0.9)
    assert enough.without == pytest.approx((0.1, 0.1))
    assert enough.region.sum() == 18
    assert needed.parts == (0,)
    assert needed.value == pytest.approx(0.1)
    assert needed.without == pytest.approx((0.9,))
    assert "2 parts (0, " in str(enough)
    assert "alone bring the segment back" in str(enough)
    assert str(needed) == "1 part (0) hidden turns the segment over: the mean probability is 0.10."


def test_no_set_decides_where_hiding_all_changes_nothing():
    with pytest.raises(ValueError, match=r"no set of these parts decides.*is 0\.90 \(in the image 0\.90\)"):
        smallest(votes(0, 0, 0, quota=0), "sufficient")
    with pytest.raises(ValueError, match="kind must be one of 'sufficient', 'necessary', got 'enough'"):
        smallest(votes(2, 1, 1, quota=3), "enough")


def test_a_map_is_held_against_power():
    found = asked(votes(0, 1, 0, quota=1))
    good, bad = (LABELS == 1) * 1.0, (LABELS == 0) * 1.0
    best = agreement_with_power(good, found)
    assert (best.rank, best.hit) == (1, 1)
    worst = agreement_with_power(bad, found)
    assert worst.rank == 0
    assert best.chance == worst.chance == pytest.approx(1 / 3)  # only parts count, not what is never hidden
    over_all = agreement_with_power(good, found, within=np.ones((6, 9)))
    assert over_all.chance == pytest.approx(9 / 54)
    assert agreement_with_power(good, found.map).chance == pytest.approx(9 / 54)


def test_an_explanation_is_held_against_power():
    network = votes(0, 1, 0, quota=1)
    made = explain(network, torch.ones(1, 6, 9), "occlusion", shape=LABELS, fill=0, score="probability",
                   target=SEGMENT, progress=False)  # fmt: skip
    assert agreement_with_power(made, asked(network)).rank == 1


@settings(deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_laws_of_the_figures(seed, coarse):
    random = np.random.default_rng(seed)
    values = random.integers(0, 3, (7, 11)) * 1.0 if coarse else random.normal(size=(7, 11))
    known = np.maximum(random.normal(size=(7, 11)), 0)
    rank = power_rank(values, known)
    assert -1e-9 <= rank <= 1 + 1e-9
    assert power_rank(known, known) == pytest.approx(1)
    assert power_rank(3 * values + 1, 2 * known) == pytest.approx(rank)
    within = random.random((7, 11)) < 0.6
    outside = np.where(within, values, 99)
    assert power_rank(outside, known, within=within) == pytest.approx(
        power_rank(values, known, within=within), nan_ok=True
    )
    assert power_hit(values, known, tolerance=20) == 1
    # By a loop: the K highest pixels, ties shared.
    strong = known > 0.1 * known.max()
    count, order = strong.sum(), np.sort(values.ravel())[::-1]
    cut = order[count - 1]
    above, level = values > cut, values == cut
    share = (count - above.sum()) / level.sum()
    assert rank == pytest.approx((known[above].sum() + share * known[level].sum()) / known[strong].sum())


def test_an_explanation_of_another_image_is_not_held_against_power():
    network = votes(0, 1, 0, quota=1)
    other = explain(network, torch.full((1, 6, 9), 0.75), "occlusion", shape=LABELS, fill=0, target=SEGMENT,
                    progress=False)  # fmt: skip
    with pytest.raises(
        ValueError, match=r"of another image than the power: its pixels differ by up to 0\.25"
    ):
        agreement_with_power(other, asked(network))


def test_a_set_of_other_parts_is_not_drawn_as_one_of_these():
    network, image = votes(2, 1, 1, quota=3), torch.ones(1, 6, 9)
    found = asked(network)
    sets = [
        minimal_set(network, image, SEGMENT, parts=parts, fill=0, progress=False)
        for parts in (LABELS, np.where(LABELS < 0, -1, 2 - LABELS), "channels")
    ]
    assert len(figure_of_power(found, sets[0]).axes) == 3
    for other in sets[1:]:
        with pytest.raises(ValueError, match="other parts"):
            figure_of_power(found, other)


def test_explanations_of_other_channels_and_of_tiny_values_are_not_held_against_power():
    network, image = votes(0, 1, 0, quota=1), torch.ones(1, 6, 9)
    found = power(lambda batch: network(batch * 1e9), image * 1e-9, SEGMENT, parts=LABELS, fill=0,
                  progress=False)  # fmt: skip
    settings = {"shape": LABELS, "fill": 0, "target": SEGMENT, "progress": False}
    dimmer = explain(lambda batch: network(batch * 1e9), image * 0.9e-9, "occlusion", **settings)
    with pytest.raises(ValueError, match="of another image"):
        agreement_with_power(dimmer, found)
    colour = explain(lambda batch: network(batch[:, :1]), torch.ones(3, 6, 9), "occlusion", **settings)
    with pytest.raises(ValueError, match="one of 3 channels, not of 1"):
        agreement_with_power(colour, found)


def test_a_fine_map_on_a_piece_of_the_part_is_not_the_worse_for_it():
    found = asked(votes(0, 1, 0, quota=1))
    fine = np.zeros((6, 9))
    fine[3, 3] = 1  # one pixel of the nine
    assert agreement_with_power(fine, found).rank == 1
    assert agreement_with_power(fine, found.map).rank < 1


def test_a_few_orders_have_no_standard_error_and_more_have_the_one_of_their_pairs():
    gains = np.array([[1, 0], [0, 1]] * 2 + [[1, 0], [1, 0]] + [[0, 1], [1, 0]])
    assert np.isnan(standard_error(gains[:6])).all()
    means = np.array([0.5, 0.5, 1, 0.5])
    assert standard_error(gains)[0] == pytest.approx(means.std(ddof=1) / 2)
    few = asked(votes(2, 1, 1, quota=3), orders=6)
    assert np.isnan(few.standard_error).all()
    assert "standard error" not in str(few)


def test_the_smaller_of_two_sets_that_are_enough_is_found():
    parts = np.full((6, 9), -1)
    parts[3:, :6], parts[3:, 6:8], parts[3:, 8:] = 0, 1, 2

    def network(batch):
        lit = torch.stack([(batch[:, 0][:, part == parts] > 0.5).all(dim=1) for part in range(3)], dim=1)
        upper = torch.where(torch.from_numpy(parts < 0), 0.9, 0.1)
        return torch.where(lit.any(dim=1)[:, None, None, None], upper, torch.full_like(upper, 0.1))

    found = minimal_set(network, torch.ones(1, 6, 9), parts < 0, parts=parts, fill=0, progress=False)
    assert found.parts == (2,)


def test_a_mean_that_falls_just_onto_the_threshold_has_turned_over():
    def network(batch):
        lit = (batch[:, 0][:, LABELS >= 0] > 0.5).all(dim=1)
        upper = torch.where(torch.from_numpy(SEGMENT), 0.75, 0.1)
        return torch.where(lit[:, None, None, None], upper, torch.full_like(upper, 0.5))

    assert asked(network).turns_over


@pytest.mark.parametrize("value", [9.0, -9.0])
def test_a_fill_of_another_range_is_told(value):
    fill = torch.full((1, 6, 9), value)
    with pytest.warns(UserWarning, match="bring it to the same range"):
        asked(votes(0, 1, 0, quota=1), fill=fill)


def test_the_set_is_drawn_on_its_parts_whatever_their_numbers():
    network, image = votes(0, 1, 0, quota=1), torch.ones(1, 6, 9)
    numbers = np.where(LABELS < 0, -1, 10 * LABELS + 7)
    found = power(network, image, SEGMENT, parts=numbers, fill=0, progress=False)
    chosen = minimal_set(network, image, SEGMENT, parts=numbers, fill=0, progress=False)
    assert chosen.parts == (17,)
    drawn = figure_of_power(found, chosen).axes[1]
    red = [one for one in drawn.collections if np.allclose(one.get_edgecolor()[:, :3], [1, 0, 0])]
    assert len(red) == 1
    corners = red[0].get_paths()[0].vertices
    assert corners.min(axis=0).tolist() == [2.5, 2.5]  # columns 3 to 5 of the lower half
    with pytest.raises(TypeError, match="found must be what minimal_set returned, got str"):
        figure_of_power(found, "17")
    dimmer = minimal_set(lambda batch: 0.9 * network(batch), image, SEGMENT, parts=numbers, fill=0,
                         progress=False)  # fmt: skip
    with pytest.raises(ValueError, match="of other parts, or of another image"):
        figure_of_power(found, dimmer)


def test_channels_of_a_set_are_red_bars():
    def network(batch):
        return batch[:, 1:2].clone()

    image = torch.ones(3, 6, 9) * 0.9
    settings = {"parts": "channels", "fill": 0, "progress": False}
    found, chosen = power(network, image, **settings), minimal_set(network, image, **settings)
    bars = figure_of_power(found, chosen).axes[1].patches
    assert [bar.get_facecolor()[:3] == (1, 0, 0) for bar in bars] == [False, True, False]


def test_a_volume_is_drawn_where_its_power_is():
    def network(batch):
        lit = batch[:, :, 3:5].mean(dim=(1, 2, 3, 4)) > 0.5
        drawn = torch.zeros_like(batch)
        drawn[:, :, 4, 0] = 0.9
        return drawn * lit[:, None, None, None, None]

    parts = np.zeros((8, 5, 6), dtype=int)
    parts[3:5] = 1
    found = power(network, torch.ones(1, 8, 5, 6), parts=parts, fill=0, dims=3, progress=False)
    assert found.power.tolist() == [0, 1]
    assert "slice 4 of 8" in figure_of_power(found).axes[0].get_title()


def test_numpy_numbers_are_plain_data_afterwards():
    json.dumps(asked(votes(0, 1, 0, quota=1), turns_at=np.float64(0.5)).as_dict())


def test_power_that_is_nowhere_has_no_answer():
    nothing = np.zeros((3, 4))
    assert np.isnan(power_rank(np.ones((3, 4)), nothing))
    assert np.isnan(power_hit(np.ones((3, 4)), nothing))
    assert np.isnan(power_within(np.ones((3, 4)), nothing, np.ones((3, 4))))
    with pytest.raises(ValueError, match="the map is 3 x 4, but the power 3 x 5"):
        power_rank(np.ones((3, 4)), np.ones((3, 5)))


def test_parts_keep_the_numbers_that_they_were_given():
    labels = np.where(LABELS >= 0, 50 * LABELS + 7, -1)
    network = votes(0, 0, 1, quota=1)
    found = asked(network, parts=labels, spare=LABELS == 0)
    assert found.numbers.tolist() == [57, 107]
    assert found.power.tolist() == [0, 1]
    assert "comes back with part 107" in str(found)
    assert found.as_dict()["numbers"] == [57, 107]
    needed = smallest(network, "necessary", parts=labels)
    assert needed.parts == (107,)
    assert needed.region.tolist() == (LABELS == 2).tolist()


def test_few_parts_are_asked_in_every_coalition_so_that_nothing_is_missed():
    # Part 1 spoils what part 0 does, unless part 2 is there.
    def network(batch):
        lit = [(batch[:, 0][:, part == LABELS] > 0.5).all(dim=1) for part in range(3)]
        there = lit[0] & (~lit[1] | lit[2])
        upper = torch.where(torch.from_numpy(SEGMENT), 0.9, 0.1)
        return torch.where(there[:, None, None, None], upper, torch.full_like(upper, 0.1))

    found = asked(network, orders=3000)
    # Of six orders: 012 +0 -1 +2, 021 +0, 102 +2, 120 +0, 201 +0, 210 +0.
    assert found.power == pytest.approx([5 / 6, -1 / 6, 2 / 6], abs=0.03)
    assert found.turned_back / 3000 == pytest.approx(1 / 6, abs=0.03)
    assert found.forwards <= 1 + 2**3
    assert "In " in str(found)
    assert "showing more made it go away again" in str(found)


def test_power_itself_is_taken_where_its_map_is_wanted():
    found = asked(votes(0, 1, 0, quota=1))
    assert power_rank((LABELS == 1) * 1.0, found) == 1
    with pytest.raises(ValueError, match="it is nowhere above 0"):
        agreement_with_power(np.ones((3, 4)), np.zeros((3, 4)))
