import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import FarPatch

from interpret_segmentation import SegmentationModel, explain
from interpret_segmentation.evaluate import (
    Curve,
    Road,
    deletion,
    insertion,
    necessity,
    road,
    sufficiency,
)
from interpret_segmentation.perturb.fills.named import as_fill
from interpret_segmentation.scores.registry import dice, iou

CURVES = {"deletion": deletion, "insertion": insertion}
EVERY = {**CURVES, "road": road, "necessity": necessity, "sufficiency": sufficiency}
SPACES = st.tuples(st.integers(1, 5), st.integers(1, 7)) | st.tuples(*[st.integers(1, 3)] * 3)


def brightness(images):
    return images[:, :1]


def network(images):
    """Not linear, and every pixel depends on its neighbours."""
    mixed = (2 * images[:, :1] + images[:, -1:] + images[:, :1].roll(1, -1)) / 4
    return torch.sigmoid(9 * (mixed - 0.5))


def picture(space, channels=2, seed=0):
    return torch.rand(channels, *space, generator=torch.Generator().manual_seed(seed))


def random_map(space, seed=1):
    return np.random.default_rng(seed).normal(size=space)


def weighted(weights):
    """A linear network: every output pixel is the weighted mean of all image pixels."""
    weights = torch.as_tensor(weights / weights.sum(), dtype=torch.float64)

    def ask(images):
        means = (images[:, :1].double() * weights).flatten(1).sum(dim=1)
        return means.view(-1, 1, *[1] * weights.ndim).expand(-1, 1, *weights.shape)

    return ask


def asked(image, hidden, fill):
    """Probability and segment of `network` for the image with some pixels hidden, by hand."""
    masked = image.clone()
    values = as_fill(fill).values(image, torch.from_numpy(hidden)[None])[0]
    for place in np.argwhere(hidden):
        masked[(slice(None), *place)] = values[(slice(None), *place)]
    probability = network(masked[None])[0, 0].numpy()
    return probability, probability > 0.5


def by_brute_force(image, hidden_sets, fill):
    """Mean probability of the unmasked segment, Dice and IoU with it, mask by mask."""
    _, unmasked = asked(image, np.zeros(image.shape[1:], dtype=bool), 0.0)
    rows = []
    for hidden in hidden_sets:
        probability, segment = asked(image, hidden, fill)
        rows.append((probability[unmasked].mean(), dice(segment, unmasked), iou(segment, unmasked)))
    return np.array(rows).T


def check(curve, expected):
    for measure, values in zip(("probability", "dice", "iou"), expected, strict=True):
        np.testing.assert_allclose(getattr(curve, measure), values, atol=1e-6)


def sets_in_order(saliency, counts):
    """The most important pixels, so many of them, found without sorting ranks: by a threshold."""
    for count in counts:
        chosen = np.zeros(saliency.shape, dtype=bool)
        if count:
            chosen = saliency >= np.sort(saliency, axis=None)[-count]
        assert chosen.sum() == count
        yield chosen


class TestByHand:
    image = np.array([[0.9, 0.1, 0.8], [0.6, 0.0, 0.7]])

    def test_deletion_takes_one_bright_pixel_after_the_other(self):
        curve = deletion(brightness, self.image, self.image, steps=6, progress=False)
        np.testing.assert_allclose(curve.fractions, np.arange(7) / 6)
        np.testing.assert_allclose(curve.probability, np.array([3, 2.1, 1.3, 0.6, 0, 0, 0]) / 4, atol=1e-7)
        np.testing.assert_allclose(curve.dice, [1, 6 / 7, 4 / 6, 2 / 5, 0, 0, 0])
        np.testing.assert_allclose(curve.iou, [1, 3 / 4, 2 / 4, 1 / 4, 0, 0, 0])
        assert curve.area() == pytest.approx((3 / 2 + 2.1 + 1.3 + 0.6) / 4 / 6)
        assert curve.area("iou") == pytest.approx((1 / 2 + 3 / 4 + 2 / 4 + 1 / 4) / 6)

    def test_insertion_gives_them_back_in_the_same_order(self):
        curve = insertion(brightness, self.image, self.image, steps=6, progress=False)
        np.testing.assert_allclose(curve.fractions, np.arange(7) / 6)
        np.testing.assert_allclose(curve.probability, np.array([0, 0.9, 1.7, 2.4, 3, 3, 3]) / 4, atol=1e-7)
        np.testing.assert_allclose(curve.iou, [0, 1 / 4, 2 / 4, 3 / 4, 1, 1, 1])

    def test_fewer_steps_take_more_pixels_each(self):
        curve = deletion(brightness, self.image, self.image, steps=2, progress=False)
        np.testing.assert_allclose(curve.fractions, [0, 0.5, 1])
        np.testing.assert_allclose(curve.probability, [3 / 4, 0.6 / 4, 0], atol=1e-7)

    def test_a_negative_value_is_the_least_important(self):
        curve = deletion(
            brightness, np.where(self.image > 0.5, -1.0, 0.0), self.image, steps=3, progress=False
        )
        np.testing.assert_allclose(curve.iou, [1, 1, 0.5, 0])

    def test_one_pixel_is_one_step(self):
        for ask, values in ((deletion, [0.75, 0]), (insertion, [0, 0.75])):
            curve = ask(brightness, np.zeros((1, 1)), np.full((1, 1), 0.75), progress=False)
            np.testing.assert_array_equal(curve.fractions, [0, 1])
            np.testing.assert_array_equal(curve.probability, values)

    def test_a_white_fill_adds_to_the_segment(self):
        curve = deletion(brightness, -self.image, self.image, fill="white", steps=3, progress=False)
        np.testing.assert_allclose(curve.dice, [1, 8 / 10, 8 / 10, 8 / 10])
        np.testing.assert_allclose(curve.probability, [0.75, 0.75, 0.75 + 0.7 / 4, 1], atol=1e-7)

    def test_regions_go_as_a_whole_by_their_mean(self):
        regions = np.array([[0, 0, 1], [-1, 0, 1]])
        curve = deletion(brightness, self.image, self.image, regions=regions, progress=False)
        np.testing.assert_allclose(curve.fractions, [0, 2 / 5, 1])
        np.testing.assert_allclose(curve.probability, [3 / 4, 1.5 / 4, 0.6 / 4], atol=1e-7)
        curve = insertion(brightness, self.image, self.image, regions=regions, progress=False)
        np.testing.assert_allclose(curve.fractions, [0, 2 / 5, 1])
        np.testing.assert_allclose(curve.probability, [0.6 / 4, 2.1 / 4, 3 / 4], atol=1e-7)


@pytest.mark.parametrize("space", [(6, 9), (3, 4, 5)])
@pytest.mark.parametrize("fill", ["black", "mean", "blur", "noise", "local_mean", "noisy_linear", 0.3])
@pytest.mark.parametrize("steps", [7, 54])
class TestAgainstHidingByHand:
    def counts(self, space, steps):
        return np.rint(np.linspace(0, math.prod(space), steps + 1)).astype(int)

    def test_deletion(self, space, fill, steps):
        image, saliency = picture(space), random_map(space)
        curve = deletion(network, saliency, image, fill=fill, steps=steps, progress=False)
        counts = self.counts(space, steps)
        np.testing.assert_allclose(curve.fractions, counts / math.prod(space))
        check(curve, by_brute_force(image, sets_in_order(saliency, counts), fill))

    def test_insertion(self, space, fill, steps):
        image, saliency = picture(space), random_map(space)
        curve = insertion(network, saliency, image, fill=fill, steps=steps, progress=False)
        shown = sets_in_order(saliency, self.counts(space, steps))
        check(curve, by_brute_force(image, [~pixels for pixels in shown], fill))


@pytest.mark.parametrize("name", CURVES)
def test_regions_of_any_shape_against_hiding_by_hand(name):
    space = (6, 9)
    image, saliency = picture(space), random_map(space)
    regions = np.random.default_rng(2).integers(-1, 6, space)
    means = {number: saliency[regions == number].mean() for number in range(6)}
    order = sorted(means, key=means.get, reverse=True)
    gone = [np.isin(regions, order[:count]) for count in range(7)]
    hidden = gone if name == "deletion" else [~pixels & (regions >= 0) for pixels in gone]
    curve = CURVES[name](network, saliency, image, regions=torch.from_numpy(regions), progress=False)
    check(curve, by_brute_force(image, hidden, "black"))
    np.testing.assert_allclose(curve.fractions, [pixels.sum() / (regions >= 0).sum() for pixels in gone])


@settings(max_examples=30)
@given(SPACES, st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 4))
def test_what_deletion_leaves_of_a_linear_network_insertion_lacks(space, seed, steps, levels):
    random = np.random.default_rng(seed)
    image, weights = random.random(space), random.random(space) + 0.1
    saliency = random.integers(0, levels, space).astype(float)
    model = SegmentationModel(weighted(weights), dims=len(space))
    curves = [
        ask(model, saliency, image, target=np.ones(space), steps=steps, progress=False)
        for ask in (deletion, insertion)
    ]
    whole = (image * weights).sum() / weights.sum()
    np.testing.assert_allclose(sum(curve.probability for curve in curves), whole, atol=1e-6)
    assert sum(curve.area() for curve in curves) == pytest.approx(whole, abs=1e-6)


class TestGoodAndBadMaps:
    space = (14, 22)
    patch = (slice(5, 11), slice(13, 19))

    def maps(self):
        """One that marks what decides, and ten that mark anything."""
        good = np.zeros(self.space)
        good[self.patch] = 1
        return good, [random_map(self.space, seed) for seed in range(10)]

    def values(self, ask, **options):
        image = 0.2 * picture(self.space, 1)
        image[(0, *self.patch)] = 0.95
        good, bad = self.maps()
        made = [ask(FarPatch(5, 13), one, image, progress=False, **options) for one in [good, *bad]]
        return made[0], made[1:]

    @pytest.mark.parametrize("fill", ["black", "mean", 0.1])
    @pytest.mark.parametrize("measure", ["probability", "dice", "iou"])
    def test_deletion_is_lower_for_the_good_one(self, measure, fill):
        good, bad = self.values(deletion, fill=fill, steps=20)
        assert good.area(measure) < 0.6 * min(curve.area(measure) for curve in bad)

    @pytest.mark.parametrize("measure", ["probability", "dice", "iou"])
    def test_insertion_is_higher_for_the_good_one(self, measure):
        good, bad = self.values(insertion, steps=20)
        assert good.area(measure) > 1.3 * max(curve.area(measure) for curve in bad)

    def test_road_is_higher_for_the_good_one(self):
        good, bad = self.values(road, percentages=(15, 50))
        assert good.score > 0.4
        assert all(abs(made.score) < 0.2 for made in bad)

    @pytest.mark.parametrize("ask", [necessity, sufficiency])
    def test_its_top_is_necessary_and_sufficient(self, ask):
        good, bad = self.values(ask, fraction=36 / 308)
        assert good == pytest.approx(1)
        assert max(bad) < 0.4


class TestRoad:
    space = (6, 9)

    def test_is_the_mean_gap_between_both_orders(self):
        image, saliency = picture(self.space), random_map(self.space)
        made = road(network, saliency, image, percentages=(10, 45, 90), progress=False)
        counts = [5, 24, 49]
        most = list(sets_in_order(saliency, counts))
        least = list(sets_in_order(-saliency, counts))
        check(made.most, by_brute_force(image, most, "noisy_linear"))
        check(made.least, by_brute_force(image, least, "noisy_linear"))
        np.testing.assert_allclose(made.most.fractions, np.array(counts) / 54)
        np.testing.assert_array_equal(made.least.fractions, made.most.fractions)
        gap = made.least.probability - made.most.probability
        assert made.score == pytest.approx(gap.mean())
        assert (gap != 0).all()

    def test_of_the_map_turned_round_is_the_negative(self):
        image, saliency = picture(self.space), random_map(self.space)
        there, back = (road(network, one, image, progress=False).score for one in (saliency, -saliency))
        assert there == pytest.approx(-back)
        assert there != 0

    def test_takes_away_10_to_90_percent_by_default(self):
        made = road(network, random_map((10, 20)), picture((10, 20)), progress=False)
        np.testing.assert_allclose(made.most.fractions, np.arange(1, 10) / 10)

    def test_up_to_100_percent_where_both_orders_have_taken_all(self):
        options = {"percentages": [50, 100], "fill": "black", "progress": False}
        made = road(network, random_map(self.space), picture(self.space), **options)
        np.testing.assert_array_equal(made.most.fractions, [0.5, 1])
        assert made.most.probability[1] == made.least.probability[1]
        assert made.most.probability[0] != made.least.probability[0]

    def test_of_a_map_without_content_is_about_0(self):
        model, image = weighted(np.ones(self.space)), picture(self.space, 1)
        scores = [
            road(
                model, np.zeros(self.space), image,
                target=np.ones(self.space), fill="black", seed=seed, progress=False,
            ).score
            for seed in range(30)
        ]  # fmt: skip
        assert abs(np.mean(scores)) < 0.02
        assert np.std(scores) > 0.005

    def test_in_volumes(self):
        space = (3, 4, 5)
        image, saliency = picture(space), random_map(space)
        made = road(network, saliency, image, percentages=[30], progress=False)
        check(made.most, by_brute_force(image, sets_in_order(saliency, [18]), "noisy_linear"))

    @pytest.mark.parametrize("percentages", [[], [0, 10], [50, 101], [20, 20], [30, 10], 50, [float("nan")]])
    def test_percentages_that_are_none_are_refused(self, percentages):
        with pytest.raises(ValueError, match="percentages must be"):
            road(network, random_map(self.space), picture(self.space), percentages=percentages)


class TestNecessityAndSufficiency:
    space = (3, 4)
    image = np.ones((3, 4))
    left = (0, 0)
    right = (2, 3)

    def both(self, decide, **options):
        """Of the left pixel, for a network whose every output pixel is decided by the left and the right."""

        def model(images):
            left, right = images[:, 0, 0, 0], images[:, 0, 2, 3]
            return decide(left, right).view(-1, 1, 1, 1).expand(-1, 1, 3, 4)

        region = np.zeros(self.space, dtype=bool)
        region[self.left] = True
        return [
            ask(model, np.zeros(self.space), self.image, region=region, progress=False, **options)
            for ask in (necessity, sufficiency)
        ]

    def test_one_of_two_that_are_both_needed_is_necessary_but_not_sufficient(self):
        assert self.both(torch.minimum) == [1, 0]

    def test_one_of_two_of_which_either_will_do_is_sufficient_but_not_necessary(self):
        assert self.both(torch.maximum) == [0, 1]

    def test_what_decides_alone_is_both(self):
        assert self.both(lambda left, right: left + 0 * right) == [1, 1]

    def test_what_nothing_depends_on_is_neither(self):
        assert self.both(lambda left, right: right + 0 * left) == [0, 0]

    def test_only_what_hiding_everything_costs_counts(self):
        made = self.both(lambda left, right: 0.5 + 0.1 * left + 0.3 * right)
        assert made == pytest.approx([0.25, 0.25], abs=1e-5)

    def test_what_speaks_against_the_segment_is_below_0(self):
        made = self.both(lambda left, right: 0.2 - 0.2 * left + 0.8 * right)
        assert made == pytest.approx([-1 / 3, -1 / 3], abs=1e-5)

    def test_a_network_that_does_not_look_has_no_answer(self):
        with pytest.warns(
            UserWarning, match="hiding everything costs the model no probability.*another fill"
        ):
            made = self.both(lambda left, right: 1 + 0 * left * right)
        assert np.isnan(made).all()

    def test_a_fill_that_changes_nothing_has_no_answer(self):
        with pytest.warns(UserWarning, match="choose another fill"):
            assert np.isnan(self.both(torch.minimum, fill="mean")).all()

    @settings(max_examples=30)
    @given(SPACES, st.integers(0, 2**32))
    def test_of_a_linear_network_both_are_the_regions_share(self, space, seed):
        random = np.random.default_rng(seed)
        image, weights, region = (random.random(space) for _ in range(3))
        image, weights, region = 0.1 + 0.9 * image, 0.1 + weights, region < 0.5
        model = SegmentationModel(weighted(weights), dims=len(space))
        options = {"target": np.ones(space), "region": region, "progress": False}
        share = (image * weights)[region].sum() / (image * weights).sum()
        for ask in (necessity, sufficiency):
            assert ask(model, np.zeros(space), image, **options) == pytest.approx(share, abs=1e-5)

    def test_the_most_important_pixels_are_the_region_unless_one_is_given(self):
        image, saliency = picture((6, 9)), random_map((6, 9))
        (top,) = sets_in_order(saliency, [5])
        for ask in (necessity, sufficiency):
            made = ask(network, saliency, image, progress=False)
            assert made == ask(network, saliency, image, region=top, progress=False)
            assert made != ask(network, saliency, image, fraction=0.3, progress=False)

    @pytest.mark.parametrize("ask", [necessity, sufficiency])
    def test_a_region_and_a_fraction_are_one_too_many(self, ask):
        with pytest.raises(ValueError, match="pass one of them"):
            ask(network, random_map((3, 4)), picture((3, 4)), region="segment", fraction=0.1, progress=False)

    def test_the_segment_is_a_region(self):
        image = np.where(np.eye(3, 4) > 0, 0.75, 0.25)
        for ask in (necessity, sufficiency):
            assert ask(brightness, np.zeros((3, 4)), image, region="segment", progress=False) == 1
            assert ask(brightness, np.zeros((3, 4)), image, region=image < 0.5, progress=False) == 0


class TestWhatIsAsked:
    def test_batches_of_any_size_give_the_same(self):
        image, saliency = picture((6, 9)), random_map((6, 9))
        for name, ask in EVERY.items():
            made = [
                ask(network, saliency, image, batch_size=size, fill="noisy_linear", progress=False)
                for size in (1, 7, 64)
            ]
            if isinstance(made[0], Road):
                made = [value.least for value in made]
            values = [value.probability if isinstance(value, Curve) else value for value in made]
            np.testing.assert_allclose(values[1], values[0], rtol=1e-6, err_msg=name)
            np.testing.assert_allclose(values[2], values[0], rtol=1e-6, err_msg=name)

    @pytest.mark.parametrize(("name", "forwards"), [
        ("deletion", 51), ("insertion", 51), ("road", 19), ("necessity", 3), ("sufficiency", 3),
    ])  # fmt: skip
    def test_as_often_as_said_and_never_more_images_at_once_than_a_batch(self, name, forwards):
        sizes = []

        def counting(images):
            sizes.append(len(images))
            return network(images)

        EVERY[name](counting, random_map((6, 9)), picture((6, 9)), batch_size=4, progress=False)
        # once about the unmasked image, then whether the answer is a function of it alone
        checks = [1, 1, 1, 2, 2, 2, 2]
        assert sizes[:8] == [1, *checks]
        assert sum(sizes) - sum(checks) == forwards
        assert max(sizes) == min(4, max(2, forwards - 1))

    @pytest.mark.parametrize("name", EVERY)
    def test_the_model_is_given_back_as_it_was(self, name):
        model = torch.nn.Sequential(
            torch.nn.Conv2d(2, 1, 3, padding=1), torch.nn.BatchNorm2d(1), torch.nn.Sigmoid()
        )
        torch.nn.init.constant_(model[0].weight, 0.1)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        image = picture((6, 9))
        EVERY[name](model.train(), random_map((6, 9)), image, target=np.ones((6, 9)), progress=False)
        assert model.training
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        torch.testing.assert_close(image, picture((6, 9)))

    @pytest.mark.parametrize("name", EVERY)
    def test_outputs_that_turn_out_to_be_logits_are_taken_for_logits(self, name):
        def logits(images):
            return 1.5 * images[:, :1] - 0.6

        image, saliency = 0.6 + picture((6, 9), 1) / 3, random_map((6, 9))
        stated = SegmentationModel(logits, activation="sigmoid")
        made, wanted = (
            EVERY[name](model, saliency, image, target=np.ones((6, 9)), fill="black", progress=False)
            for model in (logits, stated)
        )
        if isinstance(made, Road):
            made, wanted = made.score, wanted.score
        if isinstance(made, Curve):
            made, wanted = made.probability, wanted.probability
        np.testing.assert_allclose(made, wanted)

    def test_a_map_without_content_is_not_hidden_in_the_order_of_reading(self):
        top = np.zeros((20, 30))
        top[:10] = 0.9
        curve = deletion(brightness, np.ones((20, 30)), top, steps=2, progress=False)
        assert 0.4 < curve.iou[1] < 0.6
        other = deletion(brightness, np.ones((20, 30)), top, steps=2, seed=1, progress=False)
        again = deletion(brightness, np.ones((20, 30)), top, steps=2, progress=False)
        assert other.iou[1] != curve.iou[1] == again.iou[1]


class TestTheTarget:
    image = np.array([[0.9, 0.8, 0.0, 0.0, 0.0, 0.7, 0.6], [0.9, 0.8, 0.0, 0.0, 0.0, 0.0, 0.6]])

    def test_an_explanation_brings_everything_along(self):
        image = picture((6, 9))
        made = explain(
            network, image, "occlusion", size=3, offset=2, target=(2, 3), score="mse", progress=False
        )
        for ask in CURVES.values():
            of_it = ask(network, made, progress=False)
            by_hand = ask(network, made.saliency, image, target=(2, 3), progress=False)
            np.testing.assert_array_equal(of_it.probability, by_hand.probability)
            np.testing.assert_array_equal(of_it.dice, by_hand.dice)

    def test_segments_are_compared_where_the_target_looks(self):
        regions = np.array([[0, 0, 2, 2, 2, 1, 1], [0, 0, 2, 2, 2, 2, 1]])
        curves = [
            deletion(brightness, regions / 2, self.image, target=target, regions=regions, progress=False)
            for target in ("component:0", "component:1", None)
        ]
        background_first = [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 4 / 7, 0]]
        np.testing.assert_allclose([curve.iou for curve in curves], background_first)
        left = [[0.85, 0.85, 0.85, 0], [1.9 / 3, 1.9 / 3, 0, 0], [5.3 / 7, 5.3 / 7, 3.4 / 7, 0]]
        np.testing.assert_allclose([curve.probability for curve in curves], left, atol=1e-6)

    def test_segments_are_compared_with_the_prediction_not_with_the_ground_truth(self):
        truth = np.zeros((2, 7))
        truth[:, :1] = 1
        curve = deletion(brightness, self.image, self.image, reference=truth, progress=False)
        assert curve.dice[0] == curve.iou[0] == 1

    def test_what_is_missing_is_agreed_upon_by_not_being_there(self):
        truth = np.ones((2, 7))
        curve = deletion(
            brightness, -self.image, self.image,
            target="false-negatives", reference=truth, fill=1.0, steps=14, progress=False,
        )  # fmt: skip
        np.testing.assert_allclose(curve.probability[:8], np.arange(7, -1, -1) / 7, atol=1e-6)
        assert curve.dice[0] == 1
        assert curve.dice[7] == pytest.approx(14 / (14 + 7))

    @pytest.mark.parametrize("name", EVERY)
    @pytest.mark.parametrize("reference", [None, np.ones((2, 7))])
    def test_an_empty_segment_has_nothing_to_lose(self, name, reference):
        with pytest.raises(ValueError, match="the network puts no pixel in this segment"):
            EVERY[name](brightness, self.image, self.image / 2, reference=reference, progress=False)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("options", "error", "message"), [
    ({"fill": "grey"}, ValueError, "fill must be one of"),
    ({"seed": -1}, ValueError, "seed must be"),
    ({"image": None}, ValueError, "pass it as image="),
    ({"image": np.zeros((4, 3))}, ValueError, "explanation is 3 x 4, but the image 4 x 3"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_before_the_model_is_asked(name, options, error, message):
    def never(_):
        raise AssertionError

    with pytest.raises(error, match=message):
        EVERY[name](never, np.zeros((3, 4)), **{"image": np.zeros((3, 4)), **options})


@pytest.mark.parametrize("name", CURVES)
def test_steps_and_regions_that_are_none_are_refused(name):
    with pytest.raises(ValueError, match="steps must be at least 1"):
        CURVES[name](brightness, np.zeros((3, 4)), np.ones((3, 4)), steps=0)
    with pytest.raises(ValueError, match="regions must number the pixels"):
        CURVES[name](brightness, np.zeros((3, 4)), np.ones((3, 4)), regions=np.zeros((4, 3), dtype=int))


def test_an_area_is_under_one_of_the_measures():
    curve = Curve(np.array([0, 0.2, 1]), np.array([1, 0.5, 0]), np.array([1, 1, 0]), np.array([1, 0, 0]))
    assert curve.area() == pytest.approx(0.2 * 0.75 + 0.8 * 0.25)
    assert curve.area("dice") == pytest.approx(0.2 + 0.8 * 0.5)
    assert curve.area("iou") == pytest.approx(0.1)
    with pytest.raises(
        ValueError, match="measure must be one of 'probability', 'dice', 'iou', got 'hausdorff'"
    ):
        curve.area("hausdorff")
