import dataclasses
import math

import numpy as np
import pytest
import torch

from interpret_segmentation import Explanation, explain
from interpret_segmentation.evaluate.robustness import noisy, stability
from interpret_segmentation.evaluate.similarity import agreement

SPACE = (18, 27)


def network(batch):
    return torch.sigmoid(12 * (batch.mean(dim=1, keepdim=True) - 0.5))


def picture(channels=1, space=SPACE):
    image = 0.3 * torch.rand(channels, *space, generator=torch.Generator().manual_seed(0))
    image[..., 4:10, 6:17] += 0.6
    return image


def explained(method="rise", model=network, image=None, **settings):
    if method == "rise":
        settings = {"N": 40, "s": 4, "seed": 3} | settings
    return explain(model, picture() if image is None else image, method, progress=False, **settings)


def test_without_noise_it_is_the_same_map():
    for explanation in (explained(), explained("occlusion", score="mse"), explained("hdm")):
        judged = stability(network, explanation, noise=0, times=2, progress=False)
        assert judged.noise.as_dict() == pytest.approx({"spearman": 1, "ssim": 1, "top_overlap": 1})
        assert all(one.segment_dice == 1 for one in judged.repetitions)


def test_each_number_is_that_of_an_explanation_of_the_noisy_image():
    explanation = explained("occlusion", score="mse", size=4, offset=2)
    within = np.arange(SPACE[0] * SPACE[1]).reshape(SPACE) % 3 == 0
    judged = stability(
        network, explanation, noise=0.1, times=2, seed=8, fraction=0.2, within=within, progress=False
    )
    for number, one in enumerate(judged.repetitions):
        image = noisy(explanation.image, 0.1, 8 + number)
        again = explained("occlusion", score="mse", size=4, offset=2, image=image)
        assert (one.changed, one.seed) == ("noise", 8 + number)
        assert one.agreement == agreement(explanation, again, fraction=0.2, within=within)
        assert one.forwards == again.run["forwards"]


def test_other_seeds_are_other_masks_on_the_same_image():
    explanation = explained()
    judged = stability(network, explanation, times=3, seed=2, progress=False)
    seeds = [one for one in judged.repetitions if one.changed == "seed"]
    assert [one.seed for one in seeds] == [2, 4, 5]  # 3 is its own
    for one in seeds:
        assert one.agreement == agreement(explanation, explained(seed=one.seed))
        assert one.agreement.spearman < 0.999
        assert one.segment_dice == 1


def test_methods_without_a_seed_have_no_other_one():
    judged = stability(network, explained("occlusion", score="mse"), times=2, progress=False)
    assert {one.changed for one in judged.repetitions} == {"noise"}
    assert math.isnan(judged.seeds.spearman)


def test_means_costs_and_rows_are_those_of_the_runs():
    explanation = explained()
    judged = stability(network, explanation, times=2, progress=False)
    assert len(judged.rows()) == 4
    assert judged.forwards == 4 * explanation.run["forwards"] == sum(row["forwards"] for row in judged.rows())
    by_noise = [row["ssim"] for row in judged.rows() if row["changed"] == "noise"]
    assert judged.noise.ssim == pytest.approx(np.mean(by_noise))


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_random_state_alone():
    explanation = explained()
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002  it must not be touched
    one = stability(network, explanation, times=2, progress=False)
    drawn = torch.rand(1), np.random.rand()  # noqa: NPY002
    other = stability(network, explanation, times=2, progress=False)
    assert one == other
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert drawn == (torch.rand(1), np.random.rand())  # noqa: NPY002


def test_more_noise_changes_more():
    explanation = explained("occlusion", score="mse", size=4, offset=2)
    little, much = (
        stability(network, explanation, noise=noise, times=2, progress=False).noise for noise in (0.01, 0.5)
    )
    assert little.spearman > 0.9 > much.spearman
    assert little.ssim > much.ssim


def test_noise_is_measured_by_the_range_of_each_channel():
    image = np.zeros((3, 200, 300), dtype=np.float32)
    image[0, 0, 0], image[1, 5, 7] = 2, -50
    noise = noisy(image, 0.1, 0) - image
    assert noise.std(axis=(1, 2)) == pytest.approx([0.2, 5, 0], rel=0.02)
    assert noise.dtype == np.float32
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] == pytest.approx(0, abs=0.02)


def test_says_when_the_network_gave_way_and_not_the_method():
    explanation = explained("occlusion", score="mse")
    judged = stability(network, explanation, noise=2, times=2, progress=False)
    assert all(one.segment_dice < 0.9 for one in judged.repetitions)


def test_volumes_and_several_channels():
    image = picture(2, (6, 18, 20))
    explanation = explained("occlusion", image=image, score="mse", dims=3, size=8, offset=6)
    judged = stability(network, explanation, noise=0.01, times=1, progress=False)
    assert judged.noise.spearman > 0.8


def test_a_loaded_explanation_can_be_judged_with_its_functions_passed_again(tmp_path):
    def far(output, reference):
        return float(np.abs(output - reference).sum())

    explanation = explained("occlusion", score=far)
    loaded = Explanation.load(explanation.save(tmp_path / "map"))
    with pytest.raises(ValueError, match="the setting 'score' was a function"):
        stability(network, loaded, times=1, progress=False)
    judged = stability(network, loaded, times=1, progress=False, score=far)
    assert judged == stability(network, explanation, times=1, progress=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"noise": -0.1}, "noise must be a share of the image's range, 0 or more; got -0.1"),
        ({"noise": math.nan}, "noise must be"),
        ({"times": 0}, "times must be at least 1"),
        ({"seed": None}, "seed must be a whole number, so that the noise can be drawn again"),
        ({"fraction": 2}, "fraction must be"),
    ],
)
def test_says_which_argument_is_out_of_range(wrong, message):
    with pytest.raises(ValueError, match=message):
        stability(network, explained("occlusion", score="mse"), progress=False, **wrong)


def test_needs_an_explanation_that_knows_how_it_was_made():
    with pytest.raises(TypeError, match=r"this needs an Explanation.*agreement\(a, b\)"):
        stability(network, np.zeros(SPACE))
    with pytest.raises(ValueError, match="without settings"):
        stability(network, dataclasses.replace(explained("occlusion", score="mse"), recipe=None))
    with pytest.raises(ValueError, match="without image"):
        stability(network, dataclasses.replace(explained("occlusion", score="mse"), image=None))


def test_progress_is_shown_unless_it_is_not_wanted(capsys):
    made = explained()
    stability(network, made, times=1, progress=False)
    assert "Stability" not in capsys.readouterr().err
    stability(network, made, times=1)
    assert "Stability" in capsys.readouterr().err
