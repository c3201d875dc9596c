"""What a model says about a few variations of an image."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from interpret_segmentation.model import SegmentationModel


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
