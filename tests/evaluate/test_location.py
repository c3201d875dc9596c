import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.stats import mannwhitneyu
from skimage.filters import threshold_otsu

from interpret_segmentation import Explanation
from interpret_segmentation.evaluate.location import Localisation, localisation
from interpret_segmentation.evaluate.regions import (
    highest,
    iou_at_best,
    iou_at_otsu,
    mass_accuracy,
    otsu,
    pointing_game,
    rank_accuracy,
    roc_auc,
)
from interpret_segmentation.evaluate.sharpness import edge_width
from interpret_segmentation.evaluate.subject import as_saliency

SPACES = [(7, 11), (1, 13), (4, 3, 5)]


def random_case(space, seed, levels=6):
    """A map with ties and negative values, a region, and pixels that count."""
    random = np.random.default_rng(seed)
    return random.integers(-2, levels, space) / 4, random.random(space) < 0.3, random.random(space) < 0.7


def box(space, *sides):
    region = np.zeros(space, dtype=bool)
    region[tuple(slice(*side) for side in sides)] = True
    return region


class TestMass:
    def test_is_the_positive_share_inside(self):
        values = np.array([[4.0, -7.0, 1.0], [0.0, 2.0, 1.0]])
        assert mass_accuracy(values, np.array([[1, 1, 0], [0, 1, 0]])) == pytest.approx(6 / 8)

    def test_counts_only_what_it_is_told_to(self):
        values = np.array([[4.0, 2.0, 1.0]])
        assert mass_accuracy(values, [[1, 1, 0]], within=[[0, 1, 1]]) == pytest.approx(2 / 3)

    @pytest.mark.parametrize("level", [0, -3, 5])
    def test_of_a_constant_map_is_the_share_of_the_region(self, level):
        assert mass_accuracy(np.full((4, 5), level), box((4, 5), (0, 2), (0, 3))) == pytest.approx(0.3)

    def test_of_an_empty_region_is_zero(self):
        assert mass_accuracy(np.eye(3, 4), np.zeros((3, 4))) == 0

    def test_does_not_overflow(self):
        assert mass_accuracy(np.full((2, 2), 1e308), box((2, 2), (0, 1))) == pytest.approx(0.5)


class TestRank:
    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize("seed", range(4))
    def test_is_the_mean_over_all_ways_to_break_ties(self, space, seed):
        values, region, _ = random_case(space, seed)
        random = np.random.default_rng(0)
        size = region.sum()
        found = []
        for _ in range(4000):
            top = np.lexsort((random.random(values.size), -values.ravel()))[:size]
            found.append(region.ravel()[top].mean())
        assert rank_accuracy(values, region) == pytest.approx(np.mean(found), abs=0.02)

    def test_without_ties_counts_the_highest(self):
        values = np.array([[9.0, 8.0, 7.0, 1.0, 0.0]])
        assert rank_accuracy(values, [[1, 0, 1, 1, 0]]) == pytest.approx(2 / 3)

    def test_of_a_constant_map_is_the_share_of_the_region(self):
        assert rank_accuracy(np.zeros((4, 5)), box((4, 5), (0, 2), (0, 3))) == pytest.approx(0.3)

    def test_of_everything_is_one_and_of_nothing_unanswered(self):
        assert rank_accuracy(np.eye(3, 4), np.ones((3, 4))) == 1
        assert math.isnan(rank_accuracy(np.eye(3, 4), np.zeros((3, 4))))

    @given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(0, 30))
    def test_the_highest_are_as_many_as_asked_for(self, values, count):
        values = np.array(values, dtype=float)
        shares = highest(values, count)
        assert shares.sum() == pytest.approx(min(count, len(values)))
        assert (np.diff(shares[np.argsort(-values, kind="stable")]) <= 0).all()


class TestPointing:
    def test_hits_or_misses(self):
        values = np.array([[0.0, 5.0, 1.0], [0.0, 0.0, 0.0]])
        assert pointing_game(values, [[0, 1, 0], [0, 0, 0]]) == 1
        assert pointing_game(values, [[1, 0, 1], [1, 1, 1]]) == 0

    def test_of_several_strongest_pixels_is_their_share(self):
        assert pointing_game(np.array([[5.0, 5.0, 5.0, 1.0]]), [[1, 0, 0, 1]]) == pytest.approx(1 / 3)

    @pytest.mark.parametrize(("tolerance", "hit"), [(0, 0), (4.9, 0), (5, 1)])
    def test_tolerates_a_distance_in_pixels(self, tolerance, hit):
        values, region = np.zeros((10, 12)), box((10, 12), (0, 2), (0, 3))
        values[4, 6] = 1  # 3 rows and 4 columns from the nearest pixel
        assert pointing_game(values, region, tolerance=tolerance) == hit

    def test_looks_for_the_strongest_among_what_counts(self):
        values = np.array([[9.0, 1.0, 2.0]])
        assert pointing_game(values, [[0, 0, 1]], within=[[0, 1, 1]]) == 1
        assert math.isnan(pointing_game(values, [[1, 0, 0]], within=[[0, 1, 1]], tolerance=5))

    def test_of_an_empty_region_has_no_answer(self):
        assert math.isnan(pointing_game(np.eye(3, 4), np.zeros((3, 4)), tolerance=3))

    def test_refuses_a_negative_tolerance(self):
        with pytest.raises(ValueError, match="tolerance must be a number of pixels, 0 or more; got -1"):
            pointing_game(np.eye(3, 4), np.ones((3, 4)), tolerance=-1)


class TestAuc:
    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize("seed", range(5))
    def test_is_the_chance_over_all_pairs(self, space, seed):
        values, region, counts = random_case(space, seed)
        high, low = values[region & counts], values[~region & counts]
        pairs = np.sign(high[:, None] - low[None])
        wanted = (pairs > 0).mean() + (pairs == 0).mean() / 2
        assert roc_auc(values, region & counts, ~region & counts) == pytest.approx(wanted)
        statistic = mannwhitneyu(high, low).statistic / (len(high) * len(low))
        assert roc_auc(values, region & counts, ~region & counts) == pytest.approx(statistic)

    @given(st.integers(0, 999))
    def test_turns_round_with_the_sign_and_ignores_any_rising_function(self, seed):
        values, region, _ = random_case((5, 7), seed)
        region[0, :2] = True, False
        auc = roc_auc(values, region, ~region)
        assert roc_auc(-values, region, ~region) == pytest.approx(1 - auc)
        assert roc_auc(np.exp(values), region, ~region) == pytest.approx(auc)

    def test_needs_both_kinds(self):
        full, none = np.ones((3, 4)), np.zeros((3, 4))
        assert math.isnan(roc_auc(np.eye(3, 4), full, none))
        assert math.isnan(roc_auc(np.eye(3, 4), none, full))
        with pytest.raises(ValueError, match="share pixels"):
            roc_auc(np.eye(3, 4), full, full)

    def test_is_exact_for_large_maps(self):
        region = box((700, 900), (0, 350))
        assert roc_auc(region, region, ~region) == 1


class TestIou:
    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize("seed", range(5))
    def test_at_best_is_the_best_of_all_thresholds(self, space, seed):
        values, region, counts = random_case(space, seed)
        wanted = max(
            ((values >= level) & region & counts).sum() / (((values >= level) | region) & counts).sum()
            for level in np.unique(values[counts])
        )
        assert iou_at_best(values, region, within=counts) == pytest.approx(wanted)

    @pytest.mark.parametrize("seed", range(8))
    def test_the_threshold_is_that_of_scikit_image(self, seed):
        random = np.random.default_rng(seed)
        values = np.concatenate([random.normal(0, 1, 300), random.normal(4, 0.5 + seed / 4, 200)])
        assert otsu(values) == pytest.approx(threshold_otsu(values), rel=1e-9)

    @pytest.mark.parametrize("seed", range(4))
    def test_at_otsu_marks_what_lies_above_it(self, seed):
        random = np.random.default_rng(seed)
        values, region = random.random((13, 21)) ** 3, random.random((13, 21)) < 0.2
        marked = values > threshold_otsu(values)
        assert iou_at_otsu(values, region) == pytest.approx((marked & region).sum() / (marked | region).sum())

    def test_at_otsu_finds_a_region_whatever_the_levels(self):
        region = box((9, 14), (2, 5), (3, 9))
        for low, high in ((0, 1), (-5, -4), (1, 1 + 1e-12), (0, 1e-300)):
            assert iou_at_otsu(np.where(region, high, low), region) == 1

    def test_of_a_constant_map(self):
        region = box((4, 5), (0, 2), (0, 3))
        assert iou_at_best(np.full((4, 5), 2.0), region) == pytest.approx(0.3)
        assert iou_at_otsu(np.full((4, 5), 2.0), region) == 0

    def test_of_an_empty_region_has_no_answer(self):
        assert math.isnan(iou_at_best(np.eye(3, 4), np.zeros((3, 4))))
        assert math.isnan(iou_at_otsu(np.eye(3, 4), np.zeros((3, 4))))


def disc(space=(120, 140), centre=(60, 70), radius=30):
    grid = np.indices(space)
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


class TestEdgeWidth:
    def test_of_an_ideal_step_is_below_a_pixel(self):
        half = box((40, 60), (0, 40), (0, 30))
        assert edge_width(half, half) == pytest.approx(0.8)
        assert 0.8 <= edge_width(disc(), disc()) < 1.1

    @pytest.mark.parametrize("sigma", [1.5, 3, 6])
    def test_of_a_blurred_straight_edge_is_the_gaussians_own(self, sigma):
        half = box((30, 100), (0, 30), (0, 50))
        blurred = ndimage.gaussian_filter(half.astype(float), sigma, truncate=8)
        assert edge_width(blurred, half) == pytest.approx(2.563 * sigma, rel=0.04)

    @pytest.mark.parametrize("sigma", [1.5, 3, 6])
    def test_of_a_blurred_disc_is_nearly_that(self, sigma):
        blurred = ndimage.gaussian_filter(disc().astype(float), sigma)
        assert edge_width(blurred, disc()) == pytest.approx(2.563 * sigma, rel=0.1)

    def test_of_a_blurred_ball(self):
        ball = disc((60, 50, 54), (30, 24, 27), 18)
        blurred = ndimage.gaussian_filter(ball.astype(float), 2)
        assert edge_width(blurred, ball) == pytest.approx(2.563 * 2, rel=0.15)

    def test_ignores_level_and_factor(self):
        blurred = ndimage.gaussian_filter(disc().astype(float), 3)
        assert edge_width(7 * blurred - 100, disc()) == pytest.approx(edge_width(blurred, disc()))

    def test_of_a_ramp_is_its_steepness_worked_by_hand(self):
        half = box((20, 60), (0, 20), (0, 30))
        ramp = np.broadcast_to(-np.arange(60.0), (20, 60))
        assert edge_width(ramp, half) == pytest.approx(0.8 * 49)  # 50 columns are looked at, 49 steps
        assert edge_width(ramp, half, reach=10) == pytest.approx(0.8 * 19)

    @pytest.mark.parametrize(
        ("level", "fall", "width"), [(0, 1e-12, 0.8), (1, 1e-8, 0.8), (1e12, 1, math.nan)]
    )
    def test_a_fall_is_one_by_its_share_of_the_largest_value(self, level, fall, width):
        half = box((20, 60), (0, 20), (0, 30))
        assert edge_width(level + fall * half, half) == pytest.approx(width, rel=1e-6, nan_ok=True)

    def test_the_largest_value_may_lie_far_from_the_edge(self):
        half = box((20, 80), (0, 20), (0, 30))
        far = 1e12 * box((20, 80), (0, 20), (70, 80))
        assert math.isnan(edge_width(half + far, half, reach=10))

    def test_can_leave_out_what_lies_near(self):
        blurred = ndimage.gaussian_filter(disc().astype(float), 3)
        neighbour = box(blurred.shape, (0, 120), (110, 140))
        disturbed = np.where(neighbour, 1, blurred)
        assert edge_width(disturbed, disc(), within=~neighbour) == pytest.approx(
            edge_width(blurred, disc()), rel=0.02
        )
        assert edge_width(disturbed, disc()) != pytest.approx(edge_width(blurred, disc()), rel=0.02)

    @pytest.mark.parametrize("values", [np.ones((120, 140)), 0.1 * np.ones((120, 140)), ~disc()])
    def test_of_a_map_that_does_not_fall_has_no_answer(self, values):
        assert math.isnan(edge_width(values, disc()))

    @pytest.mark.parametrize("region", [np.zeros((120, 140)), np.ones((120, 140))])
    def test_of_a_region_without_an_edge_has_no_answer(self, region):
        assert math.isnan(edge_width(disc(), region))

    def test_is_no_more_than_what_is_looked_at(self):
        assert edge_width(np.random.default_rng(0).random((120, 140)), disc(), reach=10) < 20
        with pytest.raises(ValueError, match="reach must be at least 1"):
            edge_width(disc(), disc(), reach=0)


SPACE = (60, 110)
SEGMENT = box(SPACE, (20, 30), (5, 15))
CUE = box(SPACE, (20, 40), (80, 100))
DISTRACTOR = box(SPACE, (50, 60), (50, 60))
NEAR = ndimage.distance_transform_edt(~SEGMENT) <= 25
CONTEXT = ~NEAR & ~DISTRACTOR


class TestApart:
    def test_a_map_that_repeats_the_segment_does_not_look_good(self):
        judged = localisation(SEGMENT, segment=SEGMENT, cue=CUE, distractor=DISTRACTOR)
        share = (CUE & CONTEXT).sum() / CONTEXT.sum()
        assert judged.segment_mass == judged.segment_hit == judged.segment_rank == 1
        assert judged.segment_iou_at_best == judged.segment_iou_at_otsu == 1
        assert judged.cue_auc == 0.5
        assert judged.cue_hit == judged.cue_rank == judged.cue_iou_at_best == pytest.approx(share)
        assert judged.cue_mass == judged.cue_iou_at_otsu == 0

    def test_a_map_of_the_cue_does(self):
        judged = localisation(SEGMENT + 0.1 * CUE, segment=SEGMENT, cue=CUE, distractor=DISTRACTOR)
        assert judged.cue_auc == judged.cue_hit == judged.cue_rank == 1
        assert judged.cue_iou_at_best == judged.cue_iou_at_otsu == 1
        assert judged.cue_mass == pytest.approx(0.1 * CUE.sum() / (SEGMENT.sum() + 0.1 * CUE.sum()))

    def test_the_distractor_and_the_border_are_not_held_against_the_cue(self):
        spilled = 5 * NEAR + 4 * DISTRACTOR + CUE
        judged = localisation(spilled, segment=SEGMENT, cue=CUE, distractor=DISTRACTOR)
        assert judged.cue_auc == judged.cue_hit == 1
        assert localisation(spilled, segment=SEGMENT, cue=CUE).cue_hit == 0

    def test_what_of_the_cue_lies_in_the_border_counts_as_excluded(self):
        cue = box(SPACE, (20, 30), (30, 60))  # its first columns are within 25 pixels
        assert (cue & NEAR).any()
        only_there = (cue & NEAR).astype(float)
        judged = localisation(only_there, segment=SEGMENT, cue=cue)
        assert judged.cue_auc == 0.5
        assert judged.cue_mass == 0
        assert judged.margin_mass == 1

    @pytest.mark.parametrize("seed", range(4))
    def test_cue_auc_and_hit_are_those_of_the_definition(self, seed):
        values = np.random.default_rng(seed).integers(0, 9, SPACE).astype(float)
        judged = localisation(values, segment=SEGMENT, cue=CUE, distractor=DISTRACTOR)
        high, low = values[CUE & CONTEXT], values[CONTEXT & ~CUE]
        wins = (high[:, None] > low[None]).mean() + (high[:, None] == low[None]).mean() / 2
        assert judged.cue_auc == pytest.approx(wins)
        strongest = CONTEXT & (values == values[CONTEXT].max())
        assert judged.cue_hit == pytest.approx((strongest & CUE).sum() / strongest.sum())

    @pytest.mark.filterwarnings("ignore:the whole cue")
    @given(st.integers(0, 999), st.integers(0, 40))
    def test_masses_sum_to_one(self, seed, margin):
        random = np.random.default_rng(seed)
        values = random.normal(size=(9, 14)) - 1
        regions = random.random((3, 9, 14)) < random.random()
        judged = localisation(
            values, segment=regions[0], cue=regions[1], distractor=regions[2], margin=margin
        )
        masses = [value for name, value in judged.as_dict().items() if name.endswith("_mass")]
        assert len(masses) == 5
        assert sum(masses) == pytest.approx(1)

    def test_each_mass_is_that_of_its_part(self):
        values = np.random.default_rng(0).random(SPACE)
        judged = localisation(values, segment=SEGMENT, cue=CUE, distractor=DISTRACTOR)
        parts = {
            "segment": SEGMENT, "margin": NEAR & ~SEGMENT, "distractor": DISTRACTOR, "cue": CUE,
            "rest": CONTEXT & ~CUE,
        }  # fmt: skip
        for name, part in parts.items():
            assert getattr(judged, f"{name}_mass") == pytest.approx(values[part].sum() / values.sum()), name

    def test_without_a_cue_nothing_is_said_about_it(self):
        judged = localisation(SEGMENT, segment=SEGMENT).as_dict()
        unanswered = {name for name, value in judged.items() if math.isnan(value)}
        assert unanswered == {
            "cue_auc", "cue_auc_others", "cue_hit", "cue_rank", "cue_iou_at_best", "cue_iou_at_otsu"
        }  # fmt: skip

    def test_a_cue_that_the_margin_swallows_is_told(self):
        segment, cue = np.zeros((2, 20, 20), dtype=bool)
        segment[5:8, 5:8] = cue[15:18, 15:18] = True
        with pytest.warns(UserWarning, match=r"within 25 pixels of it.*smaller margin="):
            assert np.isnan(localisation(cue, segment=segment, cue=cue).cue_auc)
        assert localisation(cue, segment=segment, cue=cue, margin=3).cue_auc == 1

    def test_an_empty_segment_has_no_border_and_leaves_the_rest_as_context(self):
        judged = localisation(CUE, segment=np.zeros(SPACE), cue=CUE)
        assert judged.cue_auc == judged.cue_hit == judged.cue_mass == 1
        assert judged.margin_mass == judged.segment_mass == 0
        assert math.isnan(judged.segment_hit)

    def test_a_segment_that_leaves_no_context(self):
        with pytest.warns(UserWarning, match="within 1000 pixels of it or on the distractor"):
            judged = localisation(CUE, segment=SEGMENT, cue=CUE, margin=1000)
        assert math.isnan(judged.cue_auc)
        assert judged.margin_mass == 1

    def test_a_constant_map_knows_nothing(self):
        judged = localisation(np.zeros(SPACE), segment=SEGMENT, cue=CUE)
        assert judged.cue_auc == 0.5
        assert judged.segment_mass == pytest.approx(SEGMENT.mean())

    def test_volumes_are_judged_the_same(self):
        space = (12, 40, 44)
        segment, cue = box(space, (2, 6), (3, 9), (3, 9)), box(space, (4, 9), (30, 36), (34, 40))
        judged = localisation(segment + 0.5 * cue, segment=segment, cue=cue, margin=10)
        assert (judged.cue_auc, judged.cue_hit, judged.segment_hit) == (1, 1, 1)

    def test_takes_explanations_arrays_and_tensors_of_any_type(self):
        values = np.random.default_rng(0).random(SPACE).astype(np.float32)
        wanted = localisation(values, segment=SEGMENT, cue=CUE)
        for given_map in (Explanation(values), torch.from_numpy(values), values.astype(np.float64)):
            assert localisation(given_map, segment=torch.from_numpy(SEGMENT), cue=CUE.astype(int)) == wanted

    def test_says_what_is_wrong(self):
        with pytest.raises(ValueError, match="cue has 110 rows and 60 columns"):
            localisation(SEGMENT, segment=SEGMENT, cue=CUE.T)
        with pytest.raises(ValueError, match="margin must be a number of pixels, 0 or more; got '3'"):
            localisation(CUE, segment=SEGMENT, margin="3")
        with pytest.raises(ValueError, match="margin must be a number of pixels, 0 or more; got -2"):
            localisation(SEGMENT, segment=SEGMENT, margin=-2)
        with pytest.raises(ValueError, match="holds NaN"):
            localisation(np.full(SPACE, np.nan), segment=SEGMENT)

    def test_every_number_is_documented(self):
        assert all(f"{part.name}:" in Localisation.__doc__ for part in fields(Localisation))


class TestAMap:
    @pytest.mark.parametrize("values", [np.zeros(5), np.zeros((1, 2, 3, 4)), np.zeros((0, 4))])
    def test_has_one_number_for_each_pixel(self, values):
        with pytest.raises(ValueError, match="must be a map H x W or D x H x W"):
            as_saliency(values)

    def test_is_an_array_of_real_numbers(self):
        with pytest.raises(TypeError, match="explanation must be a PyTorch tensor or an array of numbers"):
            as_saliency("map.png")
        with pytest.raises(TypeError, match="real numbers"):
            as_saliency(torch.zeros(2, 3, dtype=torch.complex64))

    def test_may_be_of_half_precision_or_need_gradients(self):
        for tensor in (
            torch.ones(2, 3).bfloat16(),
            torch.ones(2, 3).half(),
            torch.ones(2, 3).requires_grad_(),
        ):
            assert as_saliency(tensor).dtype == np.float64
