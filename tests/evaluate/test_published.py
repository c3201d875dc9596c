"""Figures under their published names, and the bridge to Quantus."""

import numpy as np
import pytest
import torch

from interpret_segmentation.evaluate import (
    as_quantus,
    as_subject,
    content_heatmap,
    entropy,
    infidelity,
    off_target_leakage,
)
from interpret_segmentation.perturb.pieces import grid

IMAGE = np.random.default_rng(0).random((12, 20))
SEGMENT = np.zeros((12, 20), dtype=bool)
SEGMENT[3:9, 5:12] = True


def network(batch):
    """The segment is as probable as the image is bright to its right."""
    bright = batch[..., 14:].mean(dim=(-2, -1), keepdim=True)
    return torch.from_numpy(SEGMENT) * bright


def test_entropy_is_that_of_the_shares():
    from scipy.stats import entropy as shannon

    values = np.random.default_rng(1).normal(size=(7, 9))
    assert entropy(values) == pytest.approx(shannon(np.abs(values).ravel()))
    assert entropy(1e300 * values) == pytest.approx(entropy(values))
    assert entropy(np.zeros((7, 9))) == pytest.approx(np.log(63))
    assert entropy(np.eye(1, 9)) == 0


def test_what_lies_on_the_object_and_what_leaks_are_one_together():
    values = np.random.default_rng(1).normal(size=SEGMENT.shape)
    inside = np.maximum(values, 0)[SEGMENT].sum() / np.maximum(values, 0).sum()
    assert content_heatmap(values, SEGMENT) == pytest.approx(inside)
    assert content_heatmap(values, SEGMENT) + off_target_leakage(values, SEGMENT) == 1


def test_infidelity_is_that_of_a_loop_by_hand():
    values = np.random.default_rng(2).normal(size=SEGMENT.shape)
    found = infidelity(network, values, IMAGE, target=SEGMENT, samples=13, seed=5, progress=False)
    labels = grid(SEGMENT.shape, 64).labels
    hides = np.random.default_rng(5).random((13, labels.max() + 1)) < 0.5
    promised, lost = [], []
    whole = IMAGE[:, 14:].mean()
    for row in hides:
        hidden = row[labels]
        promised.append(values[hidden].sum())
        lost.append(whole - np.where(hidden, 0, IMAGE)[:, 14:].mean())
    promised, lost = np.array(promised), np.array(lost)
    factor = (promised @ lost) / (promised @ promised)
    assert found == pytest.approx(np.mean((factor * promised - lost) ** 2), rel=1e-4)


def test_infidelity_of_a_map_that_is_nothing_is_what_there_was_to_say():
    assert infidelity(network, np.zeros((12, 20)), IMAGE, target=SEGMENT, progress=False) > 0
    with pytest.raises(ValueError, match="samples must be"):
        infidelity(network, IMAGE, IMAGE, target=SEGMENT, samples=0, progress=False)


def subject(saliency, **more):
    return as_subject(saliency, IMAGE, target=SEGMENT, model=network, progress=False, **more)


def test_the_network_becomes_a_classifier_of_what_is_explained():
    told = as_quantus(subject(IMAGE, region=SEGMENT))
    model = told["model"]
    answer = model(torch.from_numpy(told["x_batch"]))
    assert answer.shape == (1, 2)
    assert answer[0, 0].item() == pytest.approx(IMAGE[:, 14:].mean(), rel=1e-5)
    assert answer.sum().item() == pytest.approx(1)
    assert told["s_batch"].shape == told["a_batch"].shape == (1, 1, 12, 20)
    assert as_quantus(subject(IMAGE))["s_batch"] is None
    with pytest.raises(TypeError, match="there is no model to ask"):
        as_quantus(as_subject(IMAGE, IMAGE))


def test_the_classifier_has_the_weights_of_the_network_and_gives_it_back_as_it_was():
    own = torch.nn.Sequential(
        torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Dropout(0.9), torch.nn.Sigmoid()
    ).train()
    told = as_quantus(as_subject(IMAGE, IMAGE, target=SEGMENT, model=own, progress=False))
    assert len(list(told["model"].parameters())) == 2
    batch = torch.from_numpy(told["x_batch"])
    own.train()
    assert torch.equal(told["model"](batch), told["model"](batch))
    assert own.training


def test_metrics_of_quantus_judge_a_map_that_knows_better_than_one_that_does_not():
    quantus = pytest.importorskip("quantus", reason="Quantus is not installed")
    knows = np.zeros((12, 20))
    knows[:, 14:] = IMAGE[:, 14:]
    flips = quantus.PixelFlipping(features_in_step=12, perturb_baseline="black", disable_warnings=True)
    good, bad = (np.mean(flips(**as_quantus(subject(one)))[0]) for one in (knows, 1 - knows))
    assert good < bad
    hit = quantus.PointingGame(disable_warnings=True)
    assert hit(**as_quantus(subject(SEGMENT * 1.0, region=SEGMENT))) == [True]
