"""Localisation: does the map lie where the cause is, and not merely on the segment?

A map of a segmentation that just repeats the segment looks good to every metric that asks whether importance
lies on the object. `localisation` therefore judges the segment, the context and a known cue apart. It costs 0
forwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._types import AnyArray
from interpret_segmentation.evaluate.places import MARGIN, Places, as_places
from interpret_segmentation.evaluate.regions import (
    iou_at_best,
    iou_at_otsu,
    mass_accuracy,
    pointing_game,
    rank_accuracy,
    roc_auc,
)
from interpret_segmentation.evaluate.subject import AnyMap, Subject, as_saliency

NUMBERS: dict[str, Callable[[NDArray[np.float64], Places], float]] = {
    "segment_mass": lambda values, at: mass_accuracy(values, at.segment),
    "margin_mass": lambda values, at: mass_accuracy(values, at.border),
    "distractor_mass": lambda values, at: mass_accuracy(values, at.distractor),
    "cue_mass": lambda values, at: mass_accuracy(values, at.cue),
    "rest_mass": lambda values, at: mass_accuracy(values, at.rest),
    "segment_hit": lambda values, at: pointing_game(values, at.segment),
    "segment_rank": lambda values, at: rank_accuracy(values, at.segment),
    "segment_iou_at_best": lambda values, at: iou_at_best(values, at.segment),
    "segment_iou_at_otsu": lambda values, at: iou_at_otsu(values, at.segment),
    "cue_auc": lambda values, at: roc_auc(values, at.cue, at.rest),
    "cue_auc_others": lambda values, at: roc_auc(values, at.cue, at.others),
    "cue_hit": lambda values, at: pointing_game(values, at.cue, within=at.context),
    "cue_rank": lambda values, at: rank_accuracy(values, at.cue, within=at.context),
    "cue_iou_at_best": lambda values, at: iou_at_best(values, at.cue, within=at.context),
    "cue_iou_at_otsu": lambda values, at: iou_at_otsu(values, at.cue, within=at.context),
}
"""How each number of `Localisation` is computed, from a map and the places of its image."""


@dataclass(frozen=True)
class Localisation:
    """Where a map lies: on the segment, around it, on the cue, on the distractor, or elsewhere.

    The *context* is all that is neither segment, nor border of ``margin`` pixels around it, nor distractor.
    What is said of the cue is said of the context alone, so that a map that repeats the segment gets a cue
    AUC of 0.5 and as cue hit no more than the cue's share of the context. Parts of the cue in the border are
    no context. Numbers about a cue or a segment without any pixel are NaN.

    Attributes:
        segment_mass: Share of the positive relevance on the segment, 0 to 1. The five masses sum to 1. A
            pixel counts for the first of the five that it lies on.
        margin_mass: On the border around the segment.
        distractor_mass: On the distractor; lower is better.
        cue_mass: On the cue; higher is better.
        rest_mass: Elsewhere; lower is better.
        segment_hit: `pointing_game` of the segment.
        segment_rank: `rank_accuracy` of the segment.
        segment_iou_at_best: `iou_at_best` of the segment.
        segment_iou_at_otsu: `iou_at_otsu` of the segment.
        cue_auc: `roc_auc` of the cue's pixels against the others of the context.
        cue_auc_others: `roc_auc` of the cue's pixels against those of other regions that could have been
            the cause, such as the other shapes; where background is black, cue AUC can be had for the image
            itself.
        cue_hit: `pointing_game` of the cue in the context.
        cue_rank: `rank_accuracy` of the cue in the context.
        cue_iou_at_best: `iou_at_best` of the cue in the context.
        cue_iou_at_otsu: `iou_at_otsu` of the cue in the context.
    """

    segment_mass: float
    margin_mass: float
    distractor_mass: float
    cue_mass: float
    rest_mass: float
    segment_hit: float
    segment_rank: float
    segment_iou_at_best: float
    segment_iou_at_otsu: float
    cue_auc: float
    cue_auc_others: float
    cue_hit: float
    cue_rank: float
    cue_iou_at_best: float
    cue_iou_at_otsu: float

    def as_dict(self) -> dict[str, float]:
        """Every number by its name."""
        return asdict(self)


def localisation(
    explanation: AnyMap,
    *,
    segment: AnyArray | None = None,
    cue: AnyArray | None = None,
    distractor: AnyArray | None = None,
    others: AnyArray | None = None,
    margin: float = MARGIN,
) -> Localisation:
    """Judge a map on the segment, in its context, and on a known cue, each by itself.

    Ranges and directions are those of each number, see `Localisation`. It costs 0 forwards.

    Args:
        explanation: An `Explanation`, or a map ``[*space]``; or a `Subject`, which knows its regions.
        segment: What was segmented, ``[*space]`` of 0 and 1.
        cue: What decides about it, ``[*space]``. None: not known.
        distractor: What looks as if it might, but does not, ``[*space]``. None: there is none.
        others: Other regions that could have been the cause, ``[*space]``: other shapes, other organs. The
            cue is also judged against them. None: the distractor.
        margin: Pixels around the segment that belong to neither segment nor context: a coarse map spills
            over the segment, and is not punished for it.

    Raises:
        TypeError: Not an array of numbers, or no segment.
        ValueError: A region of another size than the map's, a map that is not finite, a negative margin.

    Example:
        >>> segment, cue = np.zeros((2, 40, 60), dtype=bool)
        >>> segment[10:20, 5:15] = cue[10:20, 45:55] = True
        >>> only_the_segment = localisation(segment, segment=segment, cue=cue)
        >>> only_the_segment.segment_mass, only_the_segment.cue_auc, round(only_the_segment.cue_hit, 3)
        (1.0, 0.5, 0.112)
        >>> both = localisation(segment + 0.5 * cue, segment=segment, cue=cue)
        >>> round(both.cue_mass, 3), both.cue_auc, both.cue_hit
        (0.333, 1.0, 1.0)
    """
    if isinstance(explanation, Subject):
        if not (segment is cue is distractor is others is None and margin == MARGIN):
            raise TypeError(
                "a Subject knows its regions; change them with dataclasses.replace(subject, cue=...)"
            )
        places = explanation.places
    elif segment is None:
        raise TypeError("localisation needs the segment; pass it as segment=")
    else:
        places = as_places(as_saliency(explanation).shape, segment, cue, distractor, margin, others)
    values = as_saliency(explanation)
    return Localisation(**{name: number(values, places) for name, number in NUMBERS.items()})
