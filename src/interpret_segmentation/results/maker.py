"""What made a result, as far as the result has to know: it can say in words and maps what was done."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from interpret_segmentation._settings import Setting, as_data
from interpret_segmentation._types import BoolArray, FloatArray

if TYPE_CHECKING:
    from interpret_segmentation.results.explanation import Explanation
    from interpret_segmentation.results.layers import Layer, PixelMaps, Probes


NOTHING_HIDDEN = "nothing that was hidden changed the segment; hide larger parts, or with another fill"


class Maker(Setting):
    """The part of a method that its results lean on. Methods themselves derive from `methods.Method`.

    Attributes:
        title: What it is called in a sentence or above a picture.
        nothing: What a map says that is 0 everywhere.
    """

    title: ClassVar[str] = ""
    nothing: ClassVar[str] = "nothing that the method looked at matters to what is explained"

    def arguments(self) -> dict[str, Any]:
        """The arguments of `explain` that choose it: its name and its settings."""
        return {"method": self.kind} | {part.name: getattr(self, part.name) for part in fields(self)}

    def check(self, explanation: Explanation) -> None:
        """Raise a ValueError unless its settings and what was measured fit a result that comes from a file.

        What the result then answers, `layers`, `probes`, `of_pixels` and the rest, may rely on it.
        """

    def describe(self, explanation: Explanation) -> str:
        """What was done, in a sentence or two."""
        return f"The method {explanation.method or 'without a name'}."

    def silence(self, explanation: Explanation) -> str | None:
        """Why the map says nothing, in a sentence; None where it says something."""
        return None if explanation.saliency.any() else f"The map is 0 everywhere: {self.nothing}."

    def layers(self, explanation: Explanation) -> tuple[Layer, ...]:  # noqa: ARG002
        """The maps that follow from what was measured, beside the one of the result itself."""
        return ()

    def probes(self, explanation: Explanation) -> Probes | None:  # noqa: ARG002
        """What was hidden one after the other; None for a method that does something else."""
        return None

    def of_pixels(self, explanation: Explanation, region: BoolArray) -> FloatArray:  # noqa: ARG002
        """The map of some of the explained pixels, float ``[*space]``.

        Raises:
            LookupError: There is one map for all of them together.
        """
        raise LookupError(
            f"{self.title or explanation.method or 'this method'} makes one map for all explained pixels "
            "together; explain again with target= the pixels that you mean"
        )

    @property
    def maps_pixels(self) -> bool:
        """Whether every explained pixel has a map of its own."""
        return False

    def pixel_maps(self, explanation: Explanation, step: int) -> PixelMaps | None:  # noqa: ARG002
        """The maps of all explained pixels, in blocks of so many pixels; None where there is one for all."""
        return None


@dataclass(frozen=True, eq=False, repr=False)
class Unregistered(Maker):
    """Stands for a method that is in a file, but not in this program.

    Args:
        name: The method's kind.
        settings: Its settings.
    """

    kind: ClassVar[str] = "unregistered"

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """What was in the file."""
        return {"kind": self.name} | {name: as_data(value) for name, value in self.settings.items()}

    def arguments(self) -> dict[str, Any]:
        """The name and the settings as they were."""
        return {"method": self.name, **self.settings}
