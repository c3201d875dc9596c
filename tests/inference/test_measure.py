import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from interpret_segmentation import Occlusion, explain
from interpret_segmentation.inference import measure as measuring
from interpret_segmentation.scores.registry import SCORES, Score

TOUCHING = 4 * 4 - 4
"""Circles that hide part of the bright square; those at its corners pass it by."""


def brightness(batch):
    """A network that segments what is bright."""
    return batch


def picture():
    image = torch.full((1, 30, 40), 0.01)
    image[:, 10:20, 10:20] = 0.9
    return image


def counting(score):
    """The same score, and the images it was asked about."""
    asked = []

    def prepare(reference):
        measure = score.prepare(reference)

        def measured(probability, segment):
            asked.append(threading.current_thread())
            return measure(probability, segment)

        return measured

    return replace(score, prepare=prepare), asked


def run(score, **settings):
    return explain(
        brightness,
        picture(),
        Occlusion(shape="circle", size=6, offset=5, score=score, fill="black"),
        progress=False,
        **settings,
    )


@pytest.mark.parametrize("name", SCORES)
def test_known_numbers_are_not_computed_again_and_the_map_is_the_same(name):
    knowing, asked = counting(SCORES[name])
    unknowing, all_asked = counting(replace(SCORES[name], looks_at=None))
    np.testing.assert_array_equal(run(knowing).saliency, run(unknowing).saliency)
    assert len(all_asked) == 1 + 6 * 8
    assert len(asked) == (1 + 6 * 8 if SCORES[name].looks_at == "probability" else 1 + TOUCHING)


def test_a_function_of_the_users_is_always_called():
    calls = []
    run(lambda output, reference: calls.append(0) or float(np.abs(output - reference).sum()))
    assert len(calls) == 1 + 6 * 8


@pytest.mark.parametrize("name", SCORES)
def test_a_thread_beside_gives_the_same_numbers(monkeypatch, name):
    expected = run(name)
    monkeypatch.setattr(measuring, "SHARING", ())
    score, asked = counting(SCORES[name])
    np.testing.assert_array_equal(run(score, batch_size=2).saliency, expected.saliency)
    assert {thread is threading.main_thread() for thread in asked} == {True, False}


def test_an_error_in_the_thread_beside_is_the_users(monkeypatch):
    monkeypatch.setattr(measuring, "SHARING", ())

    def failing(output, _):
        if output.max() < 0.8:
            raise ZeroDivisionError("by nothing")
        return 0.0

    with pytest.raises(ZeroDivisionError, match="by nothing"):
        explain(brightness, picture(), Occlusion(size=40, offset=9, score=failing), progress=False)
    assert threading.active_count() == 1 or all("ThreadPool" not in t.name for t in threading.enumerate())


def test_where_a_device_measures_the_numbers_are_the_same(monkeypatch):
    expected = run("hausdorff")
    prepared = []
    score = SCORES["hausdorff"]

    def prepare_on(reference, device):
        prepared.append(device)
        return score.prepare_on(reference, device)

    monkeypatch.setattr(measuring, "MEASURING", ("cpu",))
    np.testing.assert_allclose(
        run(replace(score, prepare_on=prepare_on)).saliency, expected.saliency, rtol=1e-12
    )
    assert [device.type for device in prepared] == ["cpu"]


def test_a_device_measures_inside_the_scope_of_the_target(monkeypatch):
    region = np.zeros((30, 40), dtype=bool)
    region[5:18, 12:30] = True
    network = nn.AvgPool2d(5, 1, 2)
    image = torch.rand(1, 30, 40, generator=torch.Generator().manual_seed(0))
    truth = (image[0] > 0.7).numpy()
    for target in (region, "false-positives", "false-negatives"):
        made = []
        for kinds in ((), ("cpu",)):
            monkeypatch.setattr(measuring, "MEASURING", kinds)
            made.append(
                explain(
                    network,
                    image,
                    Occlusion(shape="circle", size=9, offset=5),
                    target=target,
                    reference=truth,
                    progress=False,
                )
            )
        np.testing.assert_allclose(made[0].saliency, made[1].saliency, rtol=1e-12)
        assert made[0].saliency.any()


def test_a_score_of_ones_own_may_say_what_it_looks_at():
    calls = []
    score = Score("size", "pixels", False, lambda _: lambda __, segment: calls.append(0) or segment.sum(),
                  looks_at="segment")  # fmt: skip
    run(score)
    assert len(calls) == 1 + TOUCHING
