"""Networks written by hand, whose true explanation is known."""

import torch
from torch import nn


def brightness(images):
    """Segments what is bright in the first channel."""
    return images[:, :1].clamp(0, 1)


class FarPatch(nn.Module):
    """Draws the left half of the image exactly when a distant patch is bright.

    The patch is a square of six pixels whose first pixel is at (row, column); the whole segment's
    probability is the patch's mean brightness.
    """

    def __init__(self, row, column):
        super().__init__()
        self.patch = (slice(row, row + 6), slice(column, column + 6))
        self.register_buffer("anchor", torch.zeros(1))

    def forward(self, images):
        decision = images[:, 0][:, self.patch[0], self.patch[1]].mean(dim=(1, 2))
        segment = torch.zeros(images.shape[-2:], device=images.device, dtype=images.dtype)
        segment[:, : images.shape[-1] // 2] = 1
        return decision[:, None, None] * segment
