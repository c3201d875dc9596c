"""The engine of methods that hide one part of the image after the other.

For every mask m and score s the damage is s of the masked image against that of the unmasked one,

    damage(m) = s(network(image)) - s(network(image with m hidden))

(the other way round for a distance, and for an error). A mask shares its damage among the pixels that it
hides, by how much it changes each,

    share(m, pixel) = damage(m) * |image - fill|(pixel) / mean over m of |image - fill|

and a pixel has the mean, or the strongest, of its shares of the masks over it, scaled so that no pixel has
more than the strongest damage. With ``share="even"`` every pixel has all of the damage.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.measure import measure
from interpret_segmentation.inference.movements import Movements
from interpret_segmentation.methods.base import Cost, Method
from interpret_segmentation.perturb.change import change_of, shared
from interpret_segmentation.perturb.fills.base import Fill, StaticFill
from interpret_segmentation.perturb.fills.named import BLACK, called, told
from interpret_segmentation.perturb.hiding import Hiding, Variations
from interpret_segmentation.perturb.masks.base import Masks
from interpret_segmentation.perturb.masks.windows import gaps
from interpret_segmentation.results.checks import check_channel, check_number, check_region
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.layers import Layer, Probes
from interpret_segmentation.results.maker import NOTHING_HIDDEN
from interpret_segmentation.scores.registry import AnyScore, as_score, score_name

MOVEMENTS = {
    "lost": "pixels of the segment that vanish when hidden",
    "gained": "pixels that become segment elsewhere when hidden",
    "gained_inside": "pixels that become segment where they are hidden",
    "old_to_new": "how far the segment reaches beyond what is drawn when hidden",
    "new_to_old": "how far what is drawn when hidden reaches beyond the segment",
}
"""What a hidden part does to the segment, beside the score, and what each of these maps says."""

GAPS = 0.05
"""Share of the image that may never be hidden without a word: the edges of round windows."""

LARGE_GAPS = 0.2
"""Share from which there is a warning, too."""

STRONG = 0.05
"""Share of the largest answer from which one is asked for again with the other shape."""

TELLING, DOUBTFUL = 0.25, 0.25
"""Of an answer above the first share of the largest less than the second is left with the other shape."""

SHARES = ("change", "even")
"""How a mask shares what was measured of it among its pixels."""

MANY = 0.1
"""Share of such answers from which the reader is told."""


def agreed(first: FloatArray, second: FloatArray) -> FloatArray:
    """What two answers have in common: the one nearer to 0, and 0 where their signs differ.

    Example:
        >>> agreed(np.array([0.5, -0.3, 0.2]), np.array([0.1, -0.4, -0.2])).tolist()
        [0.1, -0.3, 0.0]
    """
    nearer = np.where(np.abs(first) < np.abs(second), first, second)
    return np.where(first * second > 0, nearer, 0.0)


def _is_strong(damage: FloatArray) -> BoolArray:
    """Which answers are asked for again."""
    size = np.abs(damage)
    strong: BoolArray = (size > 0) & (size >= STRONG * size.max(initial=0))
    return strong


def check_share(share: object) -> None:
    """Raise a ValueError for a share that there is not."""
    if share is not None and share not in SHARES:
        raise ValueError(f"share must be {' or '.join(map(repr, SHARES))}, got {share!r}")


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
        share: How a mask shares its damage among its pixels: ``"change"`` or ``"even"``; None: see
            `shares_by_change`.
    """

    family: ClassVar[str] = "perturbation"
    nothing: ClassVar[str] = NOTHING_HIDDEN
    missing: ClassVar[Mapping[str, Any]] = {"fill": BLACK}
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

        @property
        def share(self) -> str | None:
            """How a mask shares what was measured of it among its pixels."""

    @abstractmethod
    def masks(self, case: Case) -> Masks:
        """What is hidden one after the other."""

    @abstractmethod
    def masks_of(self, explanation: Explanation) -> Masks | None:
        """The masks of a result; None where they are not known any more."""

    @abstractmethod
    def filled_with(self) -> Fill:
        """What hidden pixels become."""

    def told_fill(self, explanation: Explanation) -> str:
        """The fill in words, with the colour that it became."""
        return told(self.filled_with(), explanation.image, explanation.segment)

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
        reaches = None if not score.is_distance else spacing or (1.0,) * len(case.space)
        moved = Movements(case.objective, case.segment, masks, numbers, spare, distances=reaches)
        baseline, values = measure(
            case,
            self.variations(case, masks, numbers, spare),
            len(numbers),
            score,
            case.reference(spacing),
            name=self.title[:1].upper() + self.title[1:],
            segments=moved,
        )
        asked_again: dict[str, Any] = {}
        if (second := self.second_masks(case)) is not None:
            values, asked_again = self._confirm(case, second, numbers, spare, baseline, values)
        if moved.draws_holes and case.is_steady:
            lost = bool(np.any(moved.arrays()["lost"]))
            case.note(self._of_holes(*moved.drawn, lost=lost))
        support, meaning = score.support(baseline, values, case.objective)
        change = self._change(case.segment, case.pixels, case.channels(self.channel))
        painted = shared(masks, support, numbers, self.merge, change, spare)
        if spare is not None:
            painted[spare] = np.nan
        reached = ~np.isnan(painted)
        return case.explanation(
            np.where(reached, painted, 0),
            meaning=meaning,
            unit=score.unit if spacing is None else score.unit.replace("pixels", "unit of the spacing"),
            reached=reached,
            measured={**self.measured(masks, numbers, baseline, values), **moved.arrays(), **asked_again},
            kind=self.result,
            method=self.kind,
        )

    @property
    def has_windows(self) -> bool:
        """Whether windows are hidden, and not parts that somebody has cut out."""
        return True

    @property
    def shares_by_change(self) -> bool:
        """Whether a mask shares its damage by how much it changes each pixel.

        Unless something is said, it does where windows are hidden and the fill is one picture for all of
        them. Parts that somebody has cut out mean something as a whole, and of a fill that looks at the hole
        there is no picture.
        """
        static = isinstance(self.filled_with(), StaticFill)
        return self.share == "change" or (self.share is None and self.has_windows and static)

    def check_sharing(self) -> None:
        """Raise a ValueError where damage is to be shared by change, but the fill depends on the hole."""
        if self.share == "change" and not isinstance(self.filled_with(), StaticFill):
            raise ValueError(
                "share='change' needs a fill that is one picture for all masks, but "
                f"{self.fill_in_words()[0]} depends on what is hidden; use share='even', or another fill="
            )

    def _change(self, segment: BoolArray, image: Tensor, channels: slice) -> FloatArray | None:
        """How much hiding changes each pixel; None where that does not count."""
        fill = self.filled_with().for_segment(segment)
        if not self.shares_by_change or not isinstance(fill, StaticFill):
            return None
        return change_of(fill, image, channels)

    def _change_in(self, explanation: Explanation) -> FloatArray | None:
        """The same of a result, as far as it has what it takes.

        Raises:
            ValueError: The fill does not fit the image.
        """
        if explanation.image is None or explanation.segment is None:
            return None
        first = None if self.channel in (None, -1) else self.channel
        channels = slice(None) if first is None else slice(first, first + 1)
        image = torch.from_numpy(np.array(explanation.image))
        return self._change(np.array(explanation.segment), image, channels)

    def told_share(self, masks: str) -> str:
        """What a pixel has of the masks over it, which are called so."""
        strongest = "strongest" if self.merge == "max" else "mean"
        if not self.shares_by_change:
            return f"a pixel has the {strongest} of the {masks} over it"
        return (
            f"each shares its number among its pixels by how much hiding changes them, and a pixel has the "
            f"{strongest} share of the {masks} over it, scaled so that the strongest pixel has no more "
            "than was measured"
        )

    def second_masks(self, case: Case) -> Masks | None:  # noqa: ARG002  for those that have them
        """Masks of another shape at the same positions, with which every strong answer is asked for again."""
        return None

    def _confirm(
        self,
        case: Case,
        second: Masks,
        numbers: NDArray[np.int64],
        spare: BoolArray | None,
        baseline: float,
        first: FloatArray,
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Ask for every strong answer again with the second masks, and keep what both have in common.

        Returns:
            The values of both, and what a result keeps of each: those of the first masks, and those of the
            second, NaN where the answer was weak and nothing was asked.
        """
        found = np.full(len(first), np.nan)
        strong = np.flatnonzero(_is_strong(first - baseline))
        both = first.copy()
        if len(strong):
            score, reference = as_score(self.compared_by()), case.reference(self._spacing(case))
            name = f"{self.title}, the other shape"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # all of it was said of the first masks
                again = self.variations(case, second, numbers[strong], spare)
                _, found[strong] = measure(case, again, len(strong), score, reference, name=name, again=True)
            both[strong] = baseline + agreed(first[strong] - baseline, found[strong] - baseline)
        self._note_doubts(case, first - baseline, both - baseline)
        return both, {"first_scores": first, "second_scores": found}

    def _note_doubts(self, case: Case, first: FloatArray, both: FloatArray) -> None:
        """Say so when many answers are to the shape of the hole and not to what it hides."""
        strong = np.abs(first) > TELLING * np.abs(first).max(initial=0)
        doubted = int((np.abs(both[strong]) < DOUBTFUL * np.abs(first[strong])).sum())
        if doubted >= MANY * max(1, int(strong.sum())) and case.is_steady:
            first_shape, second_shape = self.shapes_in_words()
            case.notes.append(
                f"{doubted} of {int(strong.sum())} strong positions answer to {first_shape} and hardly to "
                f"{second_shape}: there it is the shape of the hole that counts, and the map shows what both "
                "have in common."
            )

    def shapes_in_words(self) -> tuple[str, str]:
        """What the holes of the first and of the second masks are called."""
        return "the first shape", "the second"

    def _of_holes(self, drawn: int, changed: int, *, lost: bool) -> str:
        """That holes are objects to the network."""
        fill, cure = self.fill_in_words()
        layer = ", or look at result.with_layer('lost'), which counts only what vanishes" if lost else ""
        return (
            f"in {drawn} of the {changed} positions that changed the segment the hole itself, or part of it, "
            f"became segment: with {fill} a hole looks like what is explained, so that the map "
            f"shows the hole and not the image there; {cure}{layer}"
        )

    def fill_in_words(self) -> tuple[str, str]:
        """What the fill is called, and how to take another."""
        fill = called(self.filled_with())
        others = [name for name in ("background", "inpaint") if name not in fill]
        return f"the fill {fill}", f"see whether fill={' or '.join(map(repr, others))} does better"

    def layers(self, explanation: Explanation) -> tuple[Layer, ...]:
        """What of the segment is lost, what is gained, and how far it moves each way."""
        masks = self.masks_of(explanation)
        if masks is None:
            return ()
        numbers, spare = self.scores_of(explanation)[1], self._spared(explanation)
        change = self._change_in(explanation)
        found = []
        for name, says in MOVEMENTS.items():
            values = explanation.measured.get(name)
            if values is None or not np.any(values):
                continue
            lost = np.asarray(values, dtype=np.float64)
            painted = shared(masks, lost, numbers, self.merge, change, spare)
            if explanation.reached is not None:
                painted[~explanation.reached] = np.nan
            unit = explanation.unit if name.endswith(("_new", "_old")) else "pixels"
            found.append(Layer(name, says, unit, painted, title=name.replace("_", " ")))
        return tuple(found)

    def check_gaps(self, case: Case) -> None:
        """Warn where windows leave a large share unasked of what is meant to be hidden."""
        masks, within = self.masks(case), case.region(self.within, "within")
        if not (windows := masks.as_windows()):
            return
        numbers = np.arange(len(masks)) if within is None else np.flatnonzero(masks.inside(within))
        hidden = ~np.isnan(masks.spread(np.zeros(len(numbers)), numbers, "mean"))
        meant = np.ones(case.space, dtype=bool) if within is None else within
        left = 1 - hidden[meant].mean() if meant.any() else 0
        if len(numbers) and left > LARGE_GAPS:
            what = "the image" if within is None else "what lies within="
            warn(f"{left:.0%} of {what} is never hidden: {gaps(windows)}")

    def told_gaps(self, explanation: Explanation) -> str:
        """A sentence about what was never hidden, after a space, where it is a noticeable share."""
        left = 0 if explanation.reached is None else 1 - explanation.reached.mean()
        return f" {left:.0%} of the image was never hidden." if left > GAPS else ""

    def variations(
        self, case: Case, masks: Masks, numbers: NDArray[np.int64], spare: BoolArray | None
    ) -> Variations:
        """Copies of the image, in each of which one of the masks hides its pixels."""
        fill = self.filled_with().for_segment(case.segment)
        return Hiding(masks, numbers, case.pixels, fill, case.channels(self.channel), spare)

    def cost(self, case: Case) -> Cost:
        """One forward for each mask, and one for the unmasked image."""
        masks, spare = self.masks(case), case.region(self.spare, "spare")
        return Cost(1 + len(self._numbers(masks, case, spare)))

    def cheaper(self, case: Case) -> Method | None:
        """Positions so much further apart that there are about a tenth of them."""
        offset = getattr(self, "offset", None)
        if offset is None:
            return None
        further = offset * round(10 ** (1 / len(case.space)))
        return replace(self, offset=min(further, max(case.space)))  # type: ignore[call-arg]

    def check(self, explanation: Explanation) -> None:
        """The masks are of this image, and each value that was measured is of one of them."""
        space = explanation.saliency.shape
        for name in ("within", "spare"):
            check_region(getattr(self, name), name, space)
        check_channel(self.channel, explanation)
        self.filled_with().check_space(space)
        if self.spacing is not None and len(self.spacing) != len(space):
            raise ValueError(f"spacing must be one number for each of {len(space)} axes, got {self.spacing}")
        check_number(explanation.measured["baseline"], "baseline")
        probes = self.probes(explanation)
        if probes is not None and (not len(probes) or probes.masks.space != space):
            raise ValueError(f"the masks must be one or more of {space}, got {len(probes)} of others")
        for name in ("first_scores", "second_scores"):
            values = explanation.measured.get(name)
            if values is None or probes is None:
                continue
            fits = isinstance(values, np.ndarray) and values.dtype.kind == "f"
            if not fits or values.shape != (len(probes),) or np.isinf(values).any():
                raise ValueError(f"{name} must be {len(probes)} numbers")
        for name in MOVEMENTS:
            values = explanation.measured.get(name)
            if values is None or probes is None:
                continue
            fits = isinstance(values, np.ndarray) and values.dtype.kind in "iuf"
            if not fits or values.shape != (len(probes),) or not (values >= 0).all():
                raise ValueError(f"{name} must be {len(probes)} numbers of 0 or more")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite numbers")
        self.check_sharing()
        self._change_in(explanation)

    def probes(self, explanation: Explanation) -> Probes | None:
        """What was hidden, its number, and the segment then."""
        masks = self.masks_of(explanation)
        if masks is None:
            return None
        values, numbers = self.scores_of(explanation)
        return Probes(
            masks,
            np.asarray(numbers),
            np.asarray(values, dtype=np.float64).ravel(),
            float(explanation.measured["baseline"]),
            score_name(self.compared_by(), "the score"),
            explanation.unit,
            explanation.segment,
            explanation.measured,
            self._spared(explanation),
        )

    def _spared(self, explanation: Explanation) -> BoolArray | None:
        """The pixels that no mask hid, whatever it covered."""
        if self.spare is None:
            return None
        return explanation.segment if isinstance(self.spare, str) else np.asarray(self.spare) > 0

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
