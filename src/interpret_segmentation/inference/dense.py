"""What a model says about a few variations of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from interpret_segmentation.models.network import SegmentationModel


@dataclass(frozen=True, eq=False)
class Answers:
    """What the model says about a few variations, as to one class.

    Attributes:
        first: Number of the first variation.
        probability: Of the class, float32 ``[b, *space]``.
        segment: The pixels of the class, bool ``[b, *space]``.
    """

    first: int
    probability: Tensor
    segment: Tensor


def joined(parts: Sequence[Answers]) -> Answers:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    maps = [torch.cat([getattr(part, name) for part in parts]) for name in ("probability", "segment")]
    return Answers(parts[0].first, *maps)


def dense(model: SegmentationModel, label: int, images: Tensor, first: int) -> Answers:
    """Ask about whole images.

    Args:
        model: The network, borrowed.
        label: The class that is asked for.
        images: ``[b, C, *space]``.
        first: Number of the first.
    """
    maps = model.probabilities(images)
    return Answers(first, maps[:, label], model.segments(maps, label))
