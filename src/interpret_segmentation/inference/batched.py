"""Asks a model about many variations of one image, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from tqdm.auto import tqdm

from interpret_segmentation.inputs import as_positive
from interpret_segmentation.model import Model, foreground

# (pixels, images) at most in one batch. A CPU loses speed when a batch outgrows its caches.
CPU_BATCH = (2**18, 4)
ACCELERATOR_BATCH = (2**23, 128)


def ask(
    model: Model,
    variations: Callable[[int, int], Tensor],
    count: int,
    *,
    batch_size: int,
    label: str,
    progress: bool,
) -> Iterator[tuple[int, Tensor]]:
    """Ask for every variation once, in order; only one batch exists at a time.

    Args:
        model: The network, already borrowed.
        variations: ``(first, last) -> images [last - first, C, *space]``.
        count: Number of variations.
        batch_size: How many are asked at once.
        label: What the progress bar calls the work.
        progress: Show a progress bar with rate and time left.

    Yields:
        The number of the batch's first variation and the probabilities ``[b, *space]``.
    """
    _let_glibc_keep_freed_blocks()
    with tqdm(total=count, desc=label, unit="image", disable=not progress) as bar:
        for first in range(0, count, batch_size):
            last = min(first + batch_size, count)
            yield first, foreground(model, variations(first, last))
            bar.update(last - first)


def _let_glibc_keep_freed_blocks() -> None:
    """Save page faults on Linux CPUs, a seventh of the time on testnet; harmless elsewhere.

    Blocks above a threshold go back to the system when freed, and every batch pays for fresh pages. The
    threshold grows to the largest block freed so far, up to 32 MiB (M_MMAP_THRESHOLD in mallopt(3)).
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def batch_size_for(device: torch.device, pixels: int, wanted: int | None) -> int:
    """How many images to ask at once: as many as wanted, or what suits the device and the image's size."""
    if wanted is not None:
        return as_positive(wanted, "batch_size")
    most_pixels, most_images = CPU_BATCH if device.type == "cpu" else ACCELERATOR_BATCH
    return max(1, min(most_images, most_pixels // pixels))
