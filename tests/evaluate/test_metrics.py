import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from interpret_segmentation import evaluate, explain
from interpret_segmentation.evaluate import METRICS, Localisation, Metric, Subject, as_subject
from interpret_segmentation.evaluate.metrics import CURES

WITHOUT_DIRECTION = {
    "segment_mass", "margin_mass", "segment_hit", "segment_rank",
    "segment_iou_at_best", "segment_iou_at_otsu", "content_heatmap", "off_target_leakage",
}  # fmt: skip


def brightness(batch):
    """A network that segments what is bright."""
    return batch[:, :1]


def row(*values):
    return np.array([values], dtype=float)


def at(*columns, width=6):
    return np.isin(np.arange(width), columns)[None]


PLACES = {"segment": at(0), "distractor": at(2), "cue": at(3), "margin": 1}
"""From the left: segment, border, distractor, cue, and two pixels of the rest."""
GOOD, BAD = row(0, 0, 0, 4, 1, 0), row(0, 0, 4, 1, 2, 3)


def entropy_of(*shares):
    return -sum(share * math.log(share) for share in shares)


BY_HAND = {
    # name: (good value, bad value)
    "mass_accuracy": (4 / 5, 1 / 10),
    "rank_accuracy": (1, 0),
    "pointing_game": (1, 0),
    "roc_auc": (1, 2 / 5),
    "iou_at_best": (1, 1 / 4),
    "iou_at_otsu": (1, 0),
    "distractor_mass": (0, 4 / 10),
    "cue_mass": (4 / 5, 1 / 10),
    "rest_mass": (1 / 5, 5 / 10),
    "cue_auc": (1, 0),
    "cue_hit": (1, 0),
    "cue_rank": (1, 0),
    "cue_iou_at_best": (1, 1 / 3),
    "cue_iou_at_otsu": (1, 0),
    "cue_auc_others": (1, 0),
    "entropy": (entropy_of(0.8, 0.2), entropy_of(0.1, 0.2, 0.3, 0.4)),
    # four pixels, the first two of which are the segment, one hidden or shown after the other
    "deletion": ((0.75 + 0.25) / 4, (1 + 1 + 0.75 + 0.25) / 4),
    "insertion": ((0.25 + 0.75 + 1 + 1) / 4, (0.25 + 0.75) / 4),
    "necessity": (1 / 2, 0),
    "sufficiency": (1 / 2, 0),
}


def hand_worked(name):
    """Two subjects of a metric, the good and the bad one."""
    if "model" in METRICS[name].needs:
        maps = row(4, 3, 2, 1), row(1, 2, 3, 4)
        return [as_subject(one, row(1, 1, 0, 0), model=brightness, progress=False) for one in maps]
    return [as_subject(one, np.zeros((1, 6)), region=at(3), **PLACES) for one in (GOOD, BAD)]


@pytest.mark.parametrize("name", BY_HAND)
def test_the_value_is_the_one_worked_by_hand_and_the_good_map_is_at_the_good_end(name):
    values = [METRICS[name].measure(subject) for subject in hand_worked(name)]
    assert values == pytest.approx(BY_HAND[name])
    assert beats(name, *values)


def beats(name, good, bad):
    return (good > bad) is METRICS[name].higher_is_better and good != bad


def test_road_is_better_where_the_bright_pixels_go_first():
    image = np.zeros((6, 8))
    image[2:4, 2:5] = 1
    subjects = [as_subject(one, image, model=brightness, progress=False) for one in (image, -image)]
    assert beats("road", *(METRICS["road"].measure(one) for one in subjects))


def wide(**columns):
    """A row of 40 pixels, 0 but for a few columns."""
    values = np.zeros((1, 40))
    for column, value in columns.items():
        values[0, int(column.removeprefix("at"))] = value
    return values


WIDE = {"segment": at(0, width=40), "cue": at(20, 21, 22, 23, width=40), "margin": 1}
TRUTH = {
    "power": wide(at20=0.6, at21=0.3, at22=0.02, at35=0.06, at1=9),  # the last is on the border
    "contrast": wide(at22=0.5, at23=0.5),
}
# Two pixels hold more than a tenth of the largest power: 0.9 together.
TRUE_MAP, FALSE_MAP = wide(at20=5, at21=4, at22=1), wide(at35=5, at22=4, at20=1, at1=9)
BY_TRUTH = {
    "power_rank": (1, (0.06 + 0.02) / 0.9),
    "power_hit": (1, 0),
    "power_within": (1, (1 + 0.5) / 4),  # of 20 and 21 against 22 and 23 one is won, one tied
}


@pytest.mark.parametrize("name", BY_TRUTH)
def test_figures_of_the_truth_by_hand(name):
    subjects = [as_subject(one, np.zeros((1, 40)), **WIDE, **TRUTH) for one in (TRUE_MAP, FALSE_MAP)]
    values = [METRICS[name].measure(subject) for subject in subjects]
    assert values == pytest.approx(BY_TRUTH[name])
    assert beats(name, *values)


def test_what_is_claimed_is_the_largest_value_beyond_the_border_and_never_below_0():
    high, low = wide(at0=9, at1=8, at30=0.25), wide(at30=-3)
    subjects = [as_subject(one, np.zeros((1, 40)), **WIDE) for one in (high, low)]
    values = [METRICS["claimed"].measure(subject) for subject in subjects]
    assert values == [0.25, 0]
    assert beats("claimed", *values[::-1])


def test_the_contrast_ranks_against_the_map_of_the_contrast():
    subjects = [
        as_subject(one, np.zeros((1, 40)), **WIDE, **TRUTH) for one in (wide(at22=1, at23=2), wide(at20=3))
    ]
    good, bad = (METRICS["contrast_rank"].measure(subject) for subject in subjects)
    # Of the second map the other pixel of two is any of 37 that tie, two of which are right.
    assert (good, bad) == pytest.approx((1, 2 / 37 / 2))
    assert beats("contrast_rank", good, bad)


def test_infidelity_is_0_for_a_map_that_predicts_what_hiding_does():
    image = np.random.default_rng(0).random((9, 16))
    target = np.ones((9, 16))
    good, bad = (as_subject(one, image, target=target, model=brightness, progress=False) for one in (
        image, 1 - image
    ))  # fmt: skip
    values = [METRICS["infidelity"].measure(subject) for subject in (good, bad)]
    assert values[0] == pytest.approx(0, abs=1e-12)
    assert beats("infidelity", *values)


def test_an_edge_is_better_where_it_is_sharper():
    half = np.arange(60)[None].repeat(20, axis=0) < 30
    maps = half.astype(float), ndimage.gaussian_filter(half.astype(float), 4)
    subjects = [as_subject(one, np.zeros((20, 60)), region=half) for one in maps]
    values = [METRICS["edge_width"].measure(one) for one in subjects]
    assert values == pytest.approx([0.8, 2.563 * 4], rel=0.04)
    assert beats("edge_width", *values)


class TestChecksThatExplainAgain:
    """With explanations made by a rule, so that what repeats and what does not is known."""

    image = torch.rand(1, 12, 18, generator=torch.Generator().manual_seed(0))

    def value(self, name, rule, asked=None):
        segment = np.zeros((12, 18), dtype=bool)
        segment[3:6, 4:9] = True

        class Rule:
            def run(self, case):
                if asked is not None:
                    asked.append((case.batch_size, case.progress))
                pixels = case.objective.pixels
                return case.explanation(rule(case.network.module, case.pixels[0].numpy(), pixels), meaning="")

        network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Sigmoid())
        made = explain(network, self.image, Rule(), target=segment, progress=False)
        subject = as_subject(made, model=network, batch_size=3, progress=False)
        return METRICS[name].measure(subject)

    def test_stability_is_higher_for_a_map_that_stays(self):
        random, asked = np.random.default_rng(0), []
        good = self.value("stability", lambda _model, image, _pixels: image, asked)
        assert asked[1:] == [(3, False)] * 5
        bad = self.value("stability", lambda _model, image, _pixels: random.random(image.shape))
        assert good > 0.9
        assert abs(bad) < 0.3
        assert beats("stability", good, bad)

    def test_randomisation_is_lower_for_a_map_that_depends_on_the_weights(self):
        def of_weights(model, image, _pixels):
            weight = model[0].weight.detach().numpy()[0, 0]
            return ndimage.convolve(image, weight)

        name, asked = "cascading_randomisation", []
        good = self.value(name, of_weights, asked)
        assert asked[1:] == [(3, False)] * 2
        bad = self.value(name, lambda _model, image, _pixels: image)
        assert bad == pytest.approx(1)
        assert beats(name, good, bad)

    def test_another_target_is_lower_for_a_map_that_depends_on_the_target(self):
        asked = []
        good = self.value("random_target", lambda _model, _image, pixels: pixels * 1.0, asked)
        assert asked[1:] == [(3, False)] * 2
        bad = self.value("random_target", lambda _model, image, _pixels: image)
        assert bad == pytest.approx(1)
        assert beats("random_target", good, bad)


def test_every_metric_with_a_direction_has_been_tried():
    tried = {*BY_HAND, *BY_TRUTH, "contrast_rank", "claimed", "infidelity", "road", "edge_width"}
    tried |= {"stability", "cascading_randomisation", "random_target"}
    assert tried | WITHOUT_DIRECTION == set(METRICS)
    assert {name for name, metric in METRICS.items() if metric.higher_is_better is None} == WITHOUT_DIRECTION


def test_what_is_said_of_the_segment_is_that_of_localisation():
    (good, _), wanted = hand_worked("cue_auc"), evaluate.localisation(BAD, **PLACES).as_dict()
    bad = replace(good, saliency=BAD)
    assert {name: METRICS[name].measure(bad) for name in wanted} == pytest.approx(wanted)
    assert {part.name for part in fields(Localisation)} == set(wanted) <= set(METRICS)


def within_range(metric, value):
    low, high = metric.range
    return math.isnan(value) or low - 1e-9 <= value <= high + 1e-9


@pytest.mark.filterwarnings("ignore:the whole cue")
@given(st.integers(0, 2**32), st.sampled_from([(5, 8), (1, 9), (3, 4, 5)]))
def test_known_regions_give_values_in_range(seed, space):
    random = np.random.default_rng(seed)
    values = random.integers(-2, 4, space) / 3 if random.random() < 0.5 else random.normal(size=space)
    names = ("segment", "cue", "distractor", "region", "within")
    regions = {name: random.random(space) < random.random() for name in names}
    truth = {name: random.random(space) - 0.2 for name in ("power", "contrast")}
    subject = as_subject(values, np.zeros((1, *space)), margin=random.integers(0, 3), **regions, **truth)
    for metric in METRICS.values():
        if not {"model", "explanation"} & set(metric.needs):
            assert within_range(metric, metric.measure(subject)), metric


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_asking_gives_values_in_range(seed):
    random = np.random.default_rng(seed)
    image, values = random.random((1, 4, 6)), random.normal(size=(4, 6))

    def network(batch):
        return torch.sigmoid(9 * (batch + batch.roll(1, -1) - 1))

    subject = as_subject(values, image, target=np.ones((4, 6)), model=network, progress=False)
    for name in ("deletion", "insertion", "road", "necessity", "sufficiency", "infidelity"):
        assert within_range(METRICS[name], METRICS[name].measure(subject)), name


@pytest.mark.parametrize("name", METRICS)
class TestEveryRecord:
    def test_is_complete(self, name):
        metric = METRICS[name]
        assert isinstance(metric, Metric)
        assert metric.name == name
        assert metric.title
        assert metric.range[0] < metric.range[1]
        assert metric.paper.startswith(
            ("https://doi.org/10.", "https://arxiv.org/abs/", "http://www.dspguide.com")
        )
        assert set(metric.needs) <= set(CURES) <= {part.name for part in fields(Subject)}

    def test_says_what_its_function_says(self, name):
        metric, function = METRICS[name], getattr(evaluate, name, None)
        if name == "contrast_rank":  # is power_rank, of another counterfactual
            function = evaluate.power_rank
        if metric.higher_is_better is None and function is not None:
            assert "neither" in function.__doc__.lower()
        elif function is None:
            said = Localisation.__doc__.split(f"{name}: ")[1].split(".\n")[0]
            said = {"higher is better": True, "lower is better": False}.get(said.split("; ")[-1])
            assert said == metric.higher_is_better or name.startswith("cue_")
        else:
            word = "**higher**" if metric.higher_is_better else "**lower**"
            assert word in function.__doc__.lower()

    def test_asks_for_what_it_needs(self, name):
        nothing = Subject(np.zeros((2, 3)), torch.zeros(1, 2, 3))
        if name == "entropy":  # which the map alone suffices for
            assert METRICS[name].needs == ()
            return
        wanted = METRICS[name].needs[0]
        with pytest.raises(
            ValueError, match=rf"{name} needs the {wanted}, which is not known; pass as_subject"
        ):
            METRICS[name].measure(nothing)


def test_titles_tell_metrics_apart():
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)


def test_how_a_value_is_read():
    assert METRICS["cue_auc"].reading() == "0 to 1, higher is better"
    assert METRICS["road"].reading() == "-1 to 1, higher is better"
    assert METRICS["edge_width"].reading("sharper") == "lower is sharper"
    assert METRICS["segment_hit"].reading() == "0 to 1"
