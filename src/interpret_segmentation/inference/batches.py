"""Asks a model about many variations of one image, a batch at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from tqdm.auto import tqdm

from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_positive
from interpret_segmentation.inference.estimate import Estimate
from interpret_segmentation.models.devices import is_out_of_memory

Answer = TypeVar("Answer")

# (pixels, images) at most in one batch. A CPU loses speed when a batch outgrows its caches.
CPU_BATCH = (2**17, 4)
ACCELERATOR_BATCH = (2**23, 128)

TRIAL = 0.05
"""Share of the work that finding the best batch size may cost."""


def ask(
    answers_to: Callable[[int, int], Answer],
    count: int,
    *,
    device: torch.device,
    batch_size: int,
    name: str,
    progress: bool,
    block: int | None = None,
    estimate: Estimate | None = None,
) -> Iterator[Answer]:
    """Ask for every variation once, in order; only one batch exists at a time.

    When memory runs out the batch is halved and the same variations are asked again.

    Args:
        answers_to: ``(first, last) -> answers``: asks about the variations ``first`` to ``last - 1``.
        count: Number of variations.
        device: Where the network is.
        batch_size: How many are asked at once.
        name: What the progress bar calls the work.
        progress: Show a progress bar with rate and time left.
        block: No batch goes beyond a multiple of this number.
        estimate: Says how long it will take, where that is long.

    Raises:
        MemoryError: Memory does not even suffice for one image.
    """
    _let_glibc_keep_freed_blocks()
    with tqdm(total=count, desc=name, unit="image", disable=not progress) as bar:
        first = 0
        while first < count:
            if estimate is not None:
                estimate.after(first)
            last = min(first + batch_size, count)
            if block is not None:
                last = min(last, (first // block + 1) * block)
            try:
                answers = answers_to(first, last)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                batch_size = _halved(last - first, error)
                if device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            bar.update(last - first)
            first = last
            yield answers


def _halved(asked: int, error: BaseException) -> int:
    if asked == 1:
        raise too_large(error) from error
    warn(
        f"out of memory with {asked} images at once; going on with {asked // 2} "
        "(batch_size= sets it from the start)",
        RuntimeWarning,
    )
    return asked // 2


def too_large(error: BaseException) -> MemoryError:
    """The error for an image that does not fit into memory even by itself."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return MemoryError(f"memory does not suffice for a single image: {reason}")


def _let_glibc_keep_freed_blocks() -> None:
    """Save page faults on Linux CPUs, a seventh of the time on testnet; harmless elsewhere.

    Blocks above a threshold go back to the system when freed, and every batch pays for fresh pages. The
    threshold grows to the largest block freed so far, up to 32 MiB (M_MMAP_THRESHOLD in mallopt(3)).
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def batch_size_for(device: torch.device, pixels: int, wanted: int | None, *, classes: int = 1) -> int:
    """How many images to ask at once: as many as wanted, or what suits the device and the images' size."""
    if wanted is not None:
        return as_positive(wanted, "batch_size")
    most_pixels, most_images = CPU_BATCH if device.type == "cpu" else ACCELERATOR_BATCH
    return max(1, min(most_images, most_pixels // (pixels * max(1, classes // 8))))


def fastest_batch_size(ask_about: Callable[[int], object], most: int, count: int) -> int:
    """How many images to ask at once, ``most`` or a half or a quarter of it: the fastest for each image.

    Which it is depends on the network and on the caches of the CPU. Every size is tried twice, so that what
    is done only the first time does not count; where the work is too small for that, it is ``most``.

    Args:
        ask_about: Asks about so many images.
        most: The largest size.
        count: Images that there are to ask about.
    """
    sizes = [most >> halvings for halvings in range(3) if most >> halvings]
    if len(sizes) == 1 or 2 * sum(sizes) > TRIAL * count:
        return most
    best, least = most, math.inf
    for size in sizes * 2:
        began = time.perf_counter()
        try:
            ask_about(size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            continue
        each = (time.perf_counter() - began) / size
        if each < least:
            best, least = size, each
    return best
