"""Lets contestants work in turns, each in a process of its own, and compares what they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol, final

import click
import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.environments import ROOT
from interpret_segmentation.testnet import draw_scene, pretrained, sample_of


class Pythons(Protocol):
    """Whatever has an interpreter."""

    def python(self) -> Path:
        """The interpreter."""


@dataclass(frozen=True)
class Here:
    """The environment that the benchmark runs in."""

    def python(self) -> Path:
        """The interpreter."""
        return Path(sys.executable)


HERE = Here()


@dataclass(frozen=True)
class Entry:
    """Who takes part, and how.

    Attributes:
        contestant: One of `contestants.CONTESTANTS`.
        amounts: Of work. With two the cost of one more position is the difference, so that what is done
            once for each image does not count as if it were done for each position.
        settings: Of the contestant.
        network: Arguments of `networks.built`.
        size: Height and width of the image.
        batches: Batch sizes to try; the best is taken.
        trial: The amount that they are tried on. None: the first.
        home: The environment.
    """

    contestant: str
    amounts: tuple[int, ...]
    network: Mapping[str, Any]
    size: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    batches: tuple[int | None, ...] = (None,)
    trial: int | None = None
    home: Pythons = HERE


@dataclass(frozen=True)
class Timing:
    """What a contestant took.

    Attributes:
        counts: Positions, masks or forwards of each amount.
        seconds: For each round, for each amount.
        batch: Images at once, the best of those that were tried; None where it chooses itself.
        extra_mib: Memory beyond that of one image through the network, in the worst round.
        values: What it answered for each position, if that can be compared.
        facts: What else it said.
        failure: Why there is nothing of all this.
    """

    counts: tuple[int, ...] = ()
    seconds: tuple[tuple[float, ...], ...] = ()
    batch: int | None = None
    extra_mib: float | None = None
    values: tuple[float, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None

    def each(self, round_: int | None = None) -> float:
        """Seconds for one more position; the median of all rounds, or those of one.

        Work of one amount is divided by its positions. Of several, the last is compared with the first.
        """
        if self.failure is not None:
            raise RuntimeError(self.failure)
        if round_ is None:
            return median(self.each(number) for number in range(len(self.seconds)))
        times, counts = self.seconds[round_], self.counts
        if len(counts) == 1:
            return times[0] / counts[0]
        # Two short measurements can be disturbed into a difference that cannot be.
        return max((times[-1] - times[0]) / (counts[-1] - counts[0]), 0.1 * times[-1] / counts[-1])

    def whole(self, count: int, round_: int | None = None) -> float:
        """Seconds for a job of so many positions, with what is done once for each image."""
        if round_ is None:
            return median(self.whole(count, number) for number in range(max(1, len(self.seconds))))
        if len(self.counts) == 1:
            return self.each(round_) * count
        return self.seconds[round_][-1] + self.each(round_) * (count - self.counts[-1])

    def extrapolated(self, count: int) -> str:
        """A remark where a job of so many positions was not measured whole."""
        return "" if count in self.counts else f"extrapolated from {max(self.counts)} positions"

    def as_data(self) -> dict[str, Any]:
        """For the JSON file."""
        said = {name: value for name, value in vars(self).items() if value and name != "values"}
        return said if self.failure else said | {"seconds_each": self.each()}


def ratio(slow: Timing, fast: Timing, count: int | None = None) -> float:
    """How many times longer one takes than the other: the median over rounds, each with its neighbour.

    Args:
        slow: The first.
        fast: The second.
        count: For a job of so many positions. None: for one more position.
    """
    if failure := slow.failure or fast.failure:
        raise RuntimeError(failure)
    rounds = range(min(len(slow.seconds), len(fast.seconds)))
    if count is None:
        return median(slow.each(number) / fast.each(number) for number in rounds)
    return median(slow.whole(count, number) / fast.whole(count, number) for number in rounds)


@final
@dataclass
class Contest:
    """What all sections share; a context that removes its images and weights when it is left.

    Attributes:
        threads: Of every contestant.
        quick: Small images and one round.
        rounds: Of every comparison. None: as many as each asks for.
        device: Where networks are.
    """

    threads: int
    quick: bool = False
    rounds: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)

    def __enter__(self) -> Contest:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def image(self, size: int) -> Path:
        """A testnet scene of any size, as a file. Its background is faint noise, so that no circle hides
        nothing: what equals the unmasked image is never asked about, and would be no measurement.
        """  # noqa: D205
        path = self.folder / f"image_{size}.npy"
        if not path.exists():
            scene = sample_of(draw_scene(seed=1))["input"]
            large = F.interpolate(scene[None], size=(size, size), mode="bilinear")[0]
            noise = np.random.default_rng(0).uniform(0.01, 0.04, large.shape).astype(np.float32)
            np.save(path, np.maximum(large.numpy(), noise))
        return path

    def shipped(self) -> dict[str, Any]:
        """The network that the package brings along, for `networks.built`."""
        path = self.folder / "shipped.pt"
        network = pretrained()
        if not path.exists():
            torch.save(network.state_dict(), path)
        settings = {name: network.settings[name] for name in ("width", "levels", "dilations")}
        return {"kind": "unet", "weights": str(path), **settings}

    def compete(self, entries: Mapping[str, Entry], rounds: int) -> dict[str, Timing]:
        """Let all work in turns, and gather what they took.

        Raises:
            RuntimeError: Two networks that should be the same differ in what they say about the image.
        """
        running: dict[str, _Process] = {}
        for name, entry in entries.items():
            running[name] = _Process(self._job(entry), entry.home)
        count = 1 if self.quick else self.rounds or rounds
        for number in range(count):
            click.echo(f"{', '.join(running)}: round {number + 1} of {count}", err=True)
            for process in running.values():
                process.round()
        timings = {name: process.ended() for name, process in running.items()}
        said = {name: process.fingerprint for name, process in running.items() if process.fingerprint}
        for name, fingerprint in said.items():
            alike = [
                other
                for other in said
                if (entries[other].network, entries[other].size)
                == (entries[name].network, entries[name].size)
            ]
            if any(abs(said[other] - fingerprint) > 1e-3 for other in alike):
                raise RuntimeError(f"the network of {name!r} is not that of the others: {said}")
        return timings

    def _job(self, entry: Entry) -> dict[str, Any]:
        return {
            "contestant": entry.contestant,
            "amounts": entry.amounts,
            "settings": dict(entry.settings),
            "network": dict(entry.network),
            "image": str(self.image(entry.size)),
            "batches": entry.batches,
            "threads": self.threads,
            "device": self.device,
        } | ({} if entry.trial is None else {"trial": entry.trial})


class _Process:
    """A worker in its own interpreter; a failure is kept, not raised."""

    def __init__(self, job: dict[str, Any], home: Pythons) -> None:
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed with the worker
        self._process = subprocess.Popen(
            [str(home.python()), "-m", "benchmarks.worker", json.dumps(job)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": str(job["threads"]), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._rounds: list[dict[str, Any]] = []
        self.failure: str | None = None
        answer = self._read()
        self.fingerprint, self._batch = answer.get("fingerprint"), answer.get("batch")

    def round(self) -> None:
        if self.failure is None:
            assert self._process.stdin is not None
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            if answer := self._read():
                self._rounds.append(answer)

    def ended(self) -> Timing:
        self._process.communicate()
        self._log.close()
        if self.failure is not None:
            return Timing(failure=self.failure)
        last, extra = self._rounds[-1], [part["extra_mib"] for part in self._rounds]
        return Timing(
            counts=tuple(last["counts"]),
            seconds=tuple(tuple(part["seconds"]) for part in self._rounds),
            batch=self._batch,
            extra_mib=None if None in extra else max(extra),
            values=None if last["values"] is None else tuple(last["values"]),
            facts=last["facts"],
        )

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"it ended: {self._last_words()}"}
        self.failure = answer.get("error")
        return {} if self.failure else answer

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        return (self._log.read().strip().splitlines() or ["without a word"])[-1]
