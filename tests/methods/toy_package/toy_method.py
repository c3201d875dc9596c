"""A method in a package of its own, as docs/explaining.md tells how to write one."""

from dataclasses import dataclass
from typing import ClassVar

from interpret_segmentation import Case, Explanation, Method


@dataclass(frozen=True)
class Contrast(Method):
    """How far a pixel is from the image's mean.

    Args:
        power: Of the distance.
        channel: The channel that is looked at. None: all.
    """

    kind: ClassVar[str] = "contrast"
    power: float = 1.0
    channel: int | None = None

    def run(self, case: Case) -> Explanation:
        """The distance of every pixel, whatever the network thinks."""
        image = case.pixels[case.channels(self.channel)]
        return case.explanation((image - image.mean()).abs().mean(0) ** self.power, meaning="contrast")
