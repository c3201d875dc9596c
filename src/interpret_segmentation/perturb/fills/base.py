"""What every fill is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from interpret_segmentation._settings import Setting
from interpret_segmentation._types import BoolArray


class Fill(Setting, ABC):
    """What hidden pixels become.

    Attributes:
        static: Whether the values are the same for all masks.
    """

    static: ClassVar[bool]

    def for_segment(self, segment: BoolArray) -> Fill:  # noqa: ARG002 - for those that look at it
        """The fill for an image of which this is the segment, bool ``[*space]``.

        Most are the same for all. What a recipe holds is the fill before this, so that it means the same for
        another image.
        """
        return self

    def check_space(self, space: tuple[int, ...]) -> None:
        """Raise a ValueError when the fill is for images of another size."""

    @abstractmethod
    def values(self, image: Tensor, hidden: Tensor) -> Tensor:
        """What the pixels become; only the values at hidden pixels mean something, but all are finite.

        Args:
            image: Float ``[C, *space]``.
            hidden: Which pixels each mask hides, bool ``[B, *space]``.

        Returns:
            ``[B, C, *space]`` or, when all masks share them, ``[1, C, *space]``; of the image's dtype, where
            the image is.
        """


class StaticFill(Fill):
    """A fill that looks at the image only: one picture for all masks, worth keeping while it is explained."""

    static: ClassVar[bool] = True

    @abstractmethod
    def picture(self, image: Tensor) -> Tensor:
        """What the pixels of an image ``[C, *space]`` become, of the same shape, dtype and device."""

    def values(self, image: Tensor, hidden: Tensor) -> Tensor:  # noqa: ARG002 - the picture is for all masks
        """The picture, ``[1, C, *space]``."""
        return self.picture(image)[None]


def everywhere(numbers: Tensor, image: Tensor) -> Tensor:
    """One number for each channel as an image."""
    return numbers.view(-1, *(1,) * (image.ndim - 1)).expand(image.shape)


def sides_of(shape: Sequence[int]) -> str:
    """The sides of an array, for errors."""
    return " x ".join(map(str, shape)) or "a single number"
