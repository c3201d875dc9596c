"""The colour of an image's background, with which a hole looks like nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.data.inputs import as_copy, as_region
from interpret_segmentation.perturb.fills.base import Fill, StaticFill, everywhere


@dataclass(frozen=True, eq=False, repr=False)
class Background(StaticFill):
    """The median of each channel over the pixels outside the segment.

    A hole has to look like nothing. Black, or any other fixed colour, is an object itself where the
    background is another: a black circle on a bright wall is segmented, and the map then shows where such a
    circle is, not what the network looks at.

    Attributes:
        segment: The pixels ``[*space]`` of 0 and 1 that are not background. None: what the network draws in
            the image that is explained. Where that is all or nothing, the median is that of all pixels.

    Example:
        >>> image = torch.tensor([[[0.2, 0.2, 0.3, 0.9, 0.9, 0.9]]])
        >>> Background(torch.tensor([[0, 0, 0, 1, 1, 1]])).colour(image)
        (0.20000000298023224,)
    """

    kind: ClassVar[str] = "background"
    segment: AnyArray | None = None

    def __post_init__(self) -> None:
        if self.segment is not None:
            segment = as_copy(self.segment, "segment")
            if segment.ndim not in (2, 3):
                raise ValueError(f"segment of a background must be H x W or D x H x W, got {self.segment!r}")
            object.__setattr__(self, "segment", as_region(segment, segment.shape, name="segment"))

    def check_space(self, space: tuple[int, ...]) -> None:
        """Raise a ValueError when the segment is of images of another size."""
        if self.segment is not None:
            as_region(self.segment, space, name="segment")

    def for_segment(self, segment: BoolArray) -> Fill:
        """The same for an image of which this is the segment, unless another was said."""
        return Background(segment) if self.segment is None else self

    def picture(self, image: Tensor) -> Tensor:
        """The colour everywhere.

        Raises:
            ValueError: The segment is of another size.
        """
        return everywhere(image.new_tensor(self.colour(image)), image)

    def colour(self, image: Tensor) -> tuple[float, ...]:
        """The median of each channel of an image ``[C, *space]``, of an even number the lower of two."""
        pixels = image.detach().cpu().flatten(1)
        if self.segment is not None:
            outside = ~torch.from_numpy(as_region(self.segment, tuple(image.shape[1:]), name="segment"))
            if outside.any():
                pixels = pixels[:, outside.flatten()]
        return tuple(pixels.median(dim=1).values.tolist())
