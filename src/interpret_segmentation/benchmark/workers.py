"""Runs of the benchmark, one after the other or side by side in processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from interpret_segmentation.benchmark.entering import Contestant
from interpret_segmentation.benchmark.judging import judge
from interpret_segmentation.benchmark.truth import Truths
from interpret_segmentation.testnet import Variant, draw_scene, pretrained

Found = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Setting:
    """What all runs share.

    Attributes:
        model: The user's own network; None: the one that is named.
        network: Name of the network, of `NETWORKS`.
        variant: Of the scenes.
        seed: Names their series.
        curved: Maps whose deletion and insertion are measured.
    """

    model: nn.Module | None
    network: str
    variant: Variant
    seed: int
    curved: frozenset[str]

    def run(self, number: int, contestant: Contestant) -> Found:
        """Let a contestant explain a scene, and judge what it says."""
        network = _pretrained(self.network) if self.model is None else self.model
        truth = None if self.model is not None else _truths(self.network, self.seed).get(self.variant, number)
        scene = draw_scene(self.seed, number, variant=self.variant)
        return judge(network, scene, contestant, set(self.curved), truth)


_pretrained, _truths = cache(pretrained), cache(Truths)

Task = tuple[int, Contestant]


def run_all(
    setting: Setting, tasks: Sequence[Task], workers: int
) -> Iterator[tuple[int, Contestant, Found | Exception]]:
    """What came of every run; a contestant that has failed is not asked again.

    Args:
        setting: What they share.
        tasks: Numbers of scenes and contestants.
        workers: Processes, each with its share of the cores. 1: this one.

    Raises:
        ValueError: A contestant or a model that other processes cannot be sent.
    """
    failed: set[tuple[str, ...]] = set()
    outcomes = _here(setting, tasks, failed) if workers == 1 else _beside(setting, tasks, workers, failed)
    for number, contestant, found in outcomes:
        if isinstance(found, Exception):
            if contestant.names in failed:
                continue
            failed.add(contestant.names)
        yield number, contestant, found


def _here(
    setting: Setting, tasks: Sequence[Task], failed: set[tuple[str, ...]]
) -> Iterator[tuple[int, Contestant, Found | Exception]]:
    for number, contestant in tasks:
        if contestant.names not in failed:
            yield number, contestant, _tried(setting, number, contestant)


def _tried(setting: Setting, number: int, contestant: Contestant) -> Found | Exception:
    try:
        return setting.run(number, contestant)
    except Exception as error:  # noqa: BLE001  whatever it is, the others go on
        return error


def _beside(
    setting: Setting, tasks: Sequence[Task], workers: int, failed: set[tuple[str, ...]]
) -> Iterator[tuple[int, Contestant, Found | Exception]]:
    for what, name in [(one, one.names[0]) for _, one in tasks] + [(setting, "the model")]:
        _check_can_be_sent(what, name)
    threads = max(1, (os.cpu_count() or 1) // workers)
    left, running = iter(tasks), dict[Future[Found | Exception], Task]()
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _begin, (setting, threads, sys.path, str(Path.cwd()))
    ) as pool:
        try:
            while True:
                for task in left:
                    if task[1].names in failed:
                        continue
                    running[pool.submit(_work, *task)] = task
                    if len(running) == 2 * workers:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    task = running.pop(future)
                    try:
                        yield (*task, future.result())
                    except BrokenExecutor:
                        names = ", ".join(one.names[0] for _, one in (task, *running.values()))
                        raise RuntimeError(
                            f"a worker has died, in the middle of one of {names}; all rows before are kept, "
                            "and the same call goes on from there; workers=1 shows which one it is"
                        ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _check_can_be_sent(what: object, name: str) -> None:
    try:
        pickle.dumps(what)
    except Exception as error:  # noqa: BLE001  pickle raises what it likes
        raise ValueError(
            f"{name} cannot be sent to another process ({type(error).__name__}: {error}); define it at the "
            "top of a module, or leave workers= at 1"
        ) from None


_setting: Setting | None = None


def _begin(setting: Setting, threads: int, path: list[str], folder: str) -> None:
    """Called once in each worker."""
    global _setting
    _setting = setting
    sys.path[:] = path if folder in path else [*path, folder]
    torch.set_num_threads(threads)


def _work(number: int, contestant: Contestant) -> Found | Exception:
    assert _setting is not None
    found = _tried(_setting, number, contestant)
    if isinstance(found, Exception):
        try:
            pickle.loads(pickle.dumps(found))
        except Exception:  # noqa: BLE001  errors may be of any kind
            return RuntimeError(f"{type(found).__name__}: {found}")
    return found
