"""The engine of methods that hide one part of the image after the other.

For every mask m and score s the damage is s of the masked image against that of the unmasked one,

    damage(m) = s(network(image)) - s(network(image with m hidden))

(the other way round for a distance, and for an error), and a pixel has the mean, or the strongest, damage of
the masks over it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.measure import measure
from interpret_segmentation.methods.base import Cost, Method
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.hiding import Hiding, Variations
from interpret_segmentation.perturb.masks.base import Masks, merged
from interpret_segmentation.results.checks import check_channel, check_number, check_region
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.hidden_segments import HiddenSegments
from interpret_segmentation.results.layers import Probes
from interpret_segmentation.scores.registry import AnyScore, as_score, score_name


class OneByOne(Method):
    """Hides part after part and compares the segmentations.

    A member says with which masks, fill and score. Whatever it calls its settings, these it has.

    Attributes:
        result: The kind of its results.
        merge: What a pixel gets of the masks that hide it: the ``"mean"``, or for ``"max"`` the value
            furthest from 0.
        channel: The channel that is hidden. None or -1: all of them.
        within: Region ``[*space]``, or ``"segment"``, that masks are limited to.
        spare: Region ``[*space]`` that no mask hides, or ``"segment"`` for what the network draws.
        spacing: Distance between neighbouring pixels along each axis.
    """

    family: ClassVar[str] = "perturbation"
    result: ClassVar[type[Explanation]] = Explanation

    if TYPE_CHECKING:

        @property
        def merge(self) -> str:
            """How values become one."""

        @property
        def channel(self) -> int | None:
            """What channel is hidden."""

        @property
        def within(self) -> AnyArray | str | None:
            """Where masks are."""

        @property
        def spare(self) -> AnyArray | str | None:
            """What no mask hides."""

        @property
        def spacing(self) -> Sequence[float] | None:
            """How far pixels are apart."""

    @abstractmethod
    def masks(self, case: Case) -> Masks:
        """What is hidden one after the other."""

    @abstractmethod
    def masks_of(self, explanation: Explanation) -> Masks | None:
        """The masks of a result; None where they are not known any more."""

    @abstractmethod
    def filled_with(self) -> Fill:
        """What hidden pixels become."""

    @abstractmethod
    def compared_by(self) -> AnyScore:
        """How segmentations are compared, as the user says."""

    def measured(
        self, masks: Masks, numbers: NDArray[np.int64], baseline: float, values: FloatArray
    ) -> dict[str, Any]:
        """What a result keeps of what was measured."""
        labels = masks.as_labels()
        made = {} if labels is None else {"parts": labels}
        return {"baseline": baseline, "scores": values, "numbers": numbers, **made}

    def scores_of(self, explanation: Explanation) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """What was measured of each mask, and the number of the mask."""
        return explanation.measured["scores"], explanation.measured["numbers"]

    def run(self, case: Case) -> Explanation:
        """Hide, ask, compare and merge, for a case that is open."""
        masks, spare = self.masks(case), case.region(self.spare, "spare")
        numbers = self._numbers(masks, case, spare)
        score, spacing = as_score(self.compared_by()), self._spacing(case)
        segments = HiddenSegments(case.segment, len(numbers))
        baseline, values = measure(
            case,
            self.variations(case, masks, numbers, spare),
            len(numbers),
            score,
            case.reference(spacing),
            name=self.title[:1].upper() + self.title[1:],
            segments=segments,
        )
        support, meaning = score.support(baseline, values, case.objective)
        painted = merged(masks, support, numbers, self.merge)
        if spare is not None:
            painted[spare] = np.nan
        reached = ~np.isnan(painted)
        return case.explanation(
            np.where(reached, painted, 0),
            meaning=meaning,
            unit=score.unit if spacing is None else score.unit.replace("pixels", "unit of the spacing"),
            reached=reached,
            measured={**self.measured(masks, numbers, baseline, values), **segments.arrays()},
            kind=self.result,
            method=self.kind,
        )

    def variations(
        self, case: Case, masks: Masks, numbers: NDArray[np.int64], spare: BoolArray | None
    ) -> Variations:
        """Copies of the image, in each of which one of the masks hides its pixels."""
        return Hiding(masks, numbers, case.pixels, self.filled_with(), case.channels(self.channel), spare)

    def cost(self, case: Case) -> Cost:
        """One forward for each mask, and one for the unmasked image."""
        masks, spare = self.masks(case), case.region(self.spare, "spare")
        return Cost(1 + len(self._numbers(masks, case, spare)))

    def check(self, explanation: Explanation) -> None:
        """The masks are of this image, and each value that was measured is of one of them."""
        space = explanation.saliency.shape
        for name in ("within", "spare"):
            check_region(getattr(self, name), name, space)
        check_channel(self.channel, explanation)
        if self.spacing is not None and len(self.spacing) != len(space):
            raise ValueError(f"spacing must be one number for each of {len(space)} axes, got {self.spacing}")
        check_number(explanation.measured["baseline"], "baseline")
        probes = self.probes(explanation)
        if probes is not None and (not len(probes) or probes.masks.space != space):
            raise ValueError(f"the masks must be one or more of {space}, got {len(probes)} of others")

    def probes(self, explanation: Explanation) -> Probes | None:
        """What was hidden, its number, and the segment then."""
        masks = self.masks_of(explanation)
        if masks is None:
            return None
        values, numbers = self.scores_of(explanation)
        spare: BoolArray | None = None
        if self.spare is not None:
            spare = explanation.segment if isinstance(self.spare, str) else np.asarray(self.spare) > 0
        return Probes(
            masks,
            np.asarray(numbers),
            np.asarray(values, dtype=np.float64).ravel(),
            float(explanation.measured["baseline"]),
            score_name(self.compared_by(), "the score"),
            explanation.unit,
            explanation.segment,
            explanation.measured,
            spare,
        )

    def _spacing(self, case: Case) -> tuple[float, ...] | None:
        spacing = None if self.spacing is None else tuple(self.spacing)
        if spacing is not None and len(spacing) != len(case.space):
            raise ValueError(
                f"spacing must be one positive number for each of the {len(case.space)} axes, got {spacing}"
            )
        return spacing

    def _numbers(self, masks: Masks, case: Case, spare: BoolArray | None) -> NDArray[np.int64]:
        """The masks that are used: within the region, and not entirely spared."""
        chosen = np.ones(len(masks), dtype=bool)
        within = case.region(self.within, "within")
        if within is not None:
            chosen &= masks.inside(within)
        numbers = np.flatnonzero(chosen)
        if spare is not None:
            hides = [
                bool((masks.hidden(numbers[at : at + 1])[0].numpy() & ~spare).any())
                for at in range(len(numbers))
            ]
            numbers = numbers[np.array(hides, dtype=bool)]
        if not len(numbers):
            raise ValueError("there is nothing to hide: no mask lies within= and outside spare=")
        return numbers
