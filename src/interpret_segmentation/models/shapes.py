"""Sees whether a tensor can be maps of some images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

STRIDES = range(1, 65)
FLAT = 32
"""The largest image, in pixels along a side, of which a single pixel can be a segmentation."""

CLASSIFIER = "; that is one number for each class, as a classifier returns, and no segmentation"


@dataclass(frozen=True)
class Sizes:
    """What maps have to fit.

    Attributes:
        space: The image's size.
        seen: Its size as the model saw it, after preprocessing.
        restated: The user says what the segmentation is, so that maps of the image's own size are meant so.
        channels_last: The model saw images ``[B, *space, C]``, and may answer in that way.
    """

    space: tuple[int, ...]
    seen: tuple[int, ...]
    restated: bool = False
    channels_last: bool = False

    def as_maps(self, output: Tensor, size: int) -> Tensor:
        """An output as maps ``[B, K, *any]``, of the size that the model saw, coarser, or the image's own.

        Args:
            output: What the model returned.
            size: B, the number of images asked.

        Raises:
            ValueError: Other axes, or a size that is none of these.
        """
        if self.restated and self.seen != self.space:
            try:
                maps = as_maps(output, size, self.space)
            except ValueError:
                pass
            else:
                if tuple(maps.shape[2:]) == self.space:
                    return maps
        last = self.channels_last and output.ndim == len(self.seen) + 2 and len(output) == size
        if last and coarser(output.shape[1:-1], self.seen):
            return output.movedim(-1, 1)
        return as_maps(output, size, self.seen)

    def are_own(self, maps: Tensor) -> bool:
        """Whether maps lie on the image itself already, because the user's function brought them there."""
        return self.restated and tuple(maps.shape[2:]) == self.space

    def fits(self, output: Tensor, size: int) -> bool:
        """Whether an output can be maps."""
        try:
            self.as_maps(output, size)
        except ValueError:
            return False
        return True


def as_maps(output: Tensor, size: int, space: tuple[int, ...]) -> Tensor:
    """An output as maps ``[B, K, *anywhere]``, checked to belong to images of that many pixels.

    Args:
        output: ``[B, K, *any]``, ``[B, *any]``, or, for one image, without the batch axis.
        size: B, the number of images asked.
        space: The images' size as the model saw them.

    Raises:
        ValueError: Other axes, or a size that is neither the image's nor that divided by a whole stride.
    """
    wanted = f"{size} x classes x {by(space)} or {size} x {by(space)}"
    came = f"for {size} images of {by(space)} pixels the model must return {wanted}, got {by(output.shape)}"
    if output.numel() == 0:
        raise ValueError(f"{came}: nothing at all")
    dims = len(space)
    maps = None
    whole = [side for side in (size, *space) if side > 1]
    of_all = output.ndim < dims + 2 or len(output) == size
    if output.ndim == dims + 2 and coarser(output.shape[2:], space):
        maps = output
    elif of_all and [side for side in output.shape if side > 1] == whole:
        maps = output.reshape(size, 1, *space)
    elif output.ndim == dims + 2:
        maps = output
    elif output.ndim == dims + 1 and len(output) == size and coarser(output.shape[1:], space):
        maps = output[:, None]
    elif size == 1 and tuple(output.shape[1:]) == space:
        maps = output[None]
    if maps is None or len(maps) != size:
        cure = ""
        if output.ndim == 2 and len(output) == size:
            cure = CLASSIFIER
        elif tuple(output.shape[:-1]) == space:
            cure = (
                "; pass output=lambda answer: answer.movedim(-1, -3)"
                if dims == 2
                else "; put the classes first"
            )
        elif output.ndim == dims + 2 and len(output) != size:
            cure = "; the model must keep the number of images, or be asked about one at a time: batch_size=1"
        elif output.ndim > 3 and output.ndim == dims + 3:
            volume = f"if the image is a volume, pass it as C x D x H x W with dims={dims + 1}; " * (
                dims == 2
            )
            cure = (
                f"; {volume}if there are several maps of each image, pass output=lambda answer: answer[:, 0]"
            )
        raise ValueError(came + cure)
    if max(space) > FLAT and all(side == 1 for side in maps.shape[2:]):
        raise ValueError(came + CLASSIFIER)
    if not coarser(maps.shape[2:], space):
        channels_last = tuple(maps.shape[1:-1]) == space
        cure = (
            "pass output=lambda answer: answer.movedim(-1, 1)"
            if channels_last
            else "a coarser output is resized where every side is the image's divided by a whole stride; "
            "if this one is cropped or padded, pass output=, a function that makes it the image's size"
        )
        raise ValueError(f"{came}; {cure}")
    return maps


def coarser(shape: Sequence[int], space: Sequence[int]) -> bool:
    """Whether the shape is the space divided by a whole stride, rounded either way."""
    pairs = list(zip(shape, space, strict=True))
    # Networks for thick slices leave the depth of a volume alone, or halve it less often.
    together = [pairs] if len(pairs) < 3 else [pairs[:1], pairs[1:]]
    return all(
        any(
            all(side in (max(1, whole // stride), -(-whole // stride)) for side, whole in axes)
            for stride in STRIDES
        )
        for axes in together
    )


def by(shape: Sequence[int]) -> str:
    """A shape in words."""
    return " x ".join(map(str, shape)) or "a single number"
