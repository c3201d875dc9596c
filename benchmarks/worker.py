"""One contestant in a process of its own: ``python -m benchmarks.worker JOB``, with the job as JSON.

It answers with one line of JSON when it is ready, and with another for every line that it reads: one round.
It needs torch, NumPy, SciPy, Pillow and the contestant's own package, so that any environment can run it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import contestants, networks


class Worker:
    """A contestant that is ready for its first round.

    Args:
        job: ``contestant`` and ``settings``: which one, and how it is set; ``network``: arguments of
            `networks.built`; ``image``: a ``.npy`` file ``[1, H, W]``; ``amounts``: of work, one after the
            other in each round; ``batches``: batch sizes to try, on the amount ``trial``; ``threads``;
            ``device``.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        torch.set_num_threads(job["threads"])
        self.device = torch.device(job.get("device", "cpu"))
        self.amounts: list[int] = job["amounts"]
        image = torch.from_numpy(np.load(job["image"]))
        network = networks.built(image=image, **job["network"]).to(self.device)
        image = image.to(self.device)
        probability = _asked_once(network, image)
        self.fingerprint = round(probability.double().mean().item(), 4)
        task = contestants.Task(network, image, probability > 0.5, job.get("settings", {}))
        self.run = contestants.CONTESTANTS[job["contestant"]](task)
        self.batch = self._best_batch(job.get("batches", [None]), job.get("trial", self.amounts[0]))
        _forget_peak(self.device)
        _asked_once(network, image)
        self._mib_before = self._peak_mib()
        _forget_peak(self.device)

    def ready(self) -> dict[str, Any]:
        """What the network makes of the image, and the batch size that was chosen."""
        return {"fingerprint": self.fingerprint, "batch": self.batch}

    def round(self) -> dict[str, Any]:
        """Do every amount of work once, and say how long it took."""
        seconds, counts, answer = [], [], contestants.Answer(0)
        for amount in self.amounts:
            taken, answer = self._timed(amount, self.batch)
            seconds.append(taken)
            counts.append(answer.count)
        values = None if answer.values is None else [round(float(value), 6) for value in answer.values]
        peak = self._peak_mib()
        return {
            "seconds": seconds,
            "counts": counts,
            "values": values,
            "facts": answer.facts,
            "peak_mib": peak,
            "extra_mib": None if peak is None or self._mib_before is None else peak - self._mib_before,
        }

    def _best_batch(self, batches: list[int | None], trial: int) -> int | None:
        self._timed(trial, batches[0])
        if len(batches) == 1:
            return batches[0]
        best = {batch: min(self._timed(trial, batch)[0] for _ in range(2)) for batch in batches}
        return min(best, key=best.__getitem__)

    def _timed(self, amount: int, batch: int | None) -> tuple[float, contestants.Answer]:
        with torch.no_grad():
            self._finish()
            began = time.perf_counter()
            answer = self.run(amount, batch)
            self._finish()
            return time.perf_counter() - began, answer

    def _finish(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _peak_mib(self) -> float | None:
        """The most memory that this process, or on a GPU its tensors, ever had; None where nothing tells."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        try:
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM")), None)


def _asked_once(network: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        probability: torch.Tensor = network(image[None])[0, 0]
    return probability


def _forget_peak(device: torch.device) -> None:
    """Let what was done so far, such as larger batches that were tried, not count as memory."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError, AttributeError):  # on another system it does count
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    """Answer on the standard output, and let nobody else write there."""
    answers, sys.stdout = sys.stdout, sys.stderr

    def say(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    try:
        worker = Worker(json.loads(sys.argv[1]))
        say(worker.ready())
        for _ in sys.stdin:
            say(worker.round())
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        say({"error": f"{type(error).__name__}: {reason}"})
        raise


if __name__ == "__main__":
    main()
