import re

import numpy as np
import pytest
import torch

from interpret_segmentation import HDM, RISE, Occlusion, explain
from interpret_segmentation._telling import TELL
from interpret_segmentation.inference import batches, case
from interpret_segmentation.inference.estimate import Estimate, in_short, in_words


class Clock:
    """A time that passes only when it is told to."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def told():
    heard = []
    token = TELL.set(heard.append)
    yield heard
    TELL.reset(token)


@pytest.fixture
def said_by(told):
    def said_by(count, batch, *seconds, saving=None, **options):
        """What is said before the first batch and after each, when they take so long."""
        clock = Clock()
        estimate, said = Estimate(count, saving, clock), []
        for number, passed in enumerate((0, *seconds)):
            clock.seconds += passed
            estimate.after(min(count, number * batch), **options)
            said.append("".join(told))
            told.clear()
        return said

    return said_by


def test_long_work_is_announced_after_a_slow_first_batch(said_by):
    sentence = "1024 forwards of 3.5 s: about an hour; offset=64 gives 25"
    assert said_by(1024, 4, 14, 14, 14, saving=lambda: "offset=64 gives 25") == ["", sentence, "", ""]


def test_of_fast_batches_the_first_one_does_not_count(said_by):
    assert said_by(10_000, 10, 5, 0.9, 0.8, 0.8) == [
        "",
        "",
        "",
        "",
        "10000 forwards of 83 ms: about 14 minutes",
    ]


@pytest.mark.parametrize("seconds", [(5, 0.9, 0.9, 0.9), (12, 1, 1, 1), (0.01,) * 90, ()])
def test_short_work_is_not_announced(said_by, seconds):
    assert not any(said_by(100, 1 if len(seconds) > 9 else 20, *seconds))


def test_work_that_is_done_is_not_announced(said_by):
    assert not any(said_by(4, 4, 1000))


def test_a_saving_is_only_asked_for_when_it_is_told(said_by):
    def saving():
        raise AssertionError

    assert not any(said_by(100, 10, *[0.1] * 9, saving=saving))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (20, "about 20 seconds"),
        (60, "about a minute"),
        (90, "about a minute and a half"),
        (130, "about 2 minutes"),
        (1500, "about 25 minutes"),
        (3300, "about an hour"),
        (3584, "about an hour"),
        (5400, "about an hour and a half"),
        (7000, "about 2 hours"),
        (86400, "about a day"),
        (300000, "about 3 days"),
    ],
)
def test_a_time_in_words(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "short"),
    [(3.5, "3.5 s"), (0.085, "85 ms"), (0.00123, "1.2 ms"), (12.3, "12 s"), (140, "140 s")],
)
def test_a_time_in_short(seconds, short):
    assert in_short(seconds) == short


@pytest.fixture
def slow(monkeypatch):
    """Every look at the clock comes three seconds later."""
    clock = Clock()

    def later():
        clock.seconds += 14
        return clock.seconds

    monkeypatch.setattr(case, "Estimate", lambda count, saving: Estimate(count, saving, later))


def image(*space):
    pixels = np.zeros(space, np.float32)
    pixels[tuple(slice(side // 4, side // 2) for side in space)] = 1
    return pixels


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(
    ("method", "space", "sentence"),
    [
        (HDM(circle_size=4, offset=2), (30, 40), "offset=6 gives 36"),
        (Occlusion(size=4, offset=2), (30, 40), "offset=6 gives"),
        (Occlusion(size=4, offset=2), (12, 12, 12), "offset=4 gives"),
        (RISE(N=200, seed=0), (30, 40), "N=20 gives 21"),
        (Occlusion(shape=np.arange(1200).reshape(30, 40)), (30, 40), None),
    ],
)
def test_a_method_says_what_would_be_cheaper(method, space, sentence, told):
    made = method.explain(lambda batch: batch, image(*space), batch_size=4, dims=len(space))
    assert made.saliency.shape == space
    assert len(told) == 1
    assert re.search(r"^\d+ forwards of (3.5|0.88) s: about (\d+ minutes|an hour)", told[0])
    if sentence is None:
        assert ";" not in told[0]
    else:
        assert f"; {sentence}" in told[0]


@pytest.mark.usefixtures("slow")
def test_what_is_said_to_be_cheaper_is_what_it_asks(told):
    explain(lambda batch: batch, image(30, 40), "hdm", circle_size=8, offset=2, batch_size=4)
    forwards = int(told[0].rpartition(" ")[2])
    again = explain(lambda batch: batch, image(30, 40), "hdm", circle_size=8, offset=6, progress=False)
    assert len(again.probes().numbers) + 1 == forwards


@pytest.mark.usefixtures("slow")
def test_without_progress_nothing_is_said(told):
    explain(lambda batch: batch, image(30, 40), "hdm", offset=2, batch_size=4, progress=False)
    assert told == []


def test_a_trial_of_batches_says_the_most(said_by):
    sentence = "1000 forwards of 1 s: about 17 minutes at most"
    assert said_by(1000, 4, 4, 4, 4, trial=True) == ["", "", sentence, ""]


def test_after_a_trial_the_count_begins_anew(told):
    clock = Clock()
    estimate = Estimate(1000, None, clock)
    clock.seconds += 0.1
    estimate.after(8, trial=True)
    estimate.restart()
    for done in (4, 8):
        clock.seconds += 4
        estimate.after(done)
    assert told == ["1000 forwards of 1 s: about 17 minutes"]


@pytest.mark.usefixtures("slow")
def test_the_trial_of_batch_sizes_is_told_of(told):
    explain(lambda batch: batch, image(30, 40), "hdm", circle_size=4, offset=1)
    assert re.fullmatch(r"1200 forwards of 3.5 s: about an hour at most; offset=3 gives 141", told[0])
    assert len(told) == 1


def test_what_is_said_stands_above_the_bar(capsys):
    clock = Clock()

    def later():
        clock.seconds += 14
        return clock.seconds

    answers = batches.ask(
        lambda first, last: torch.arange(first, last),
        100,
        device=torch.device("cpu"),
        batch_size=4,
        name="Work",
        progress=True,
        estimate=Estimate(100, None, later),
    )
    assert torch.cat(list(answers)).tolist() == list(range(100))
    said = capsys.readouterr().err
    assert said.count("100 forwards of 3.5 s: about 6 minutes\n") == 1
