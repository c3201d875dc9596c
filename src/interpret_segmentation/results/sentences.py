"""A result in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpret_segmentation.results.explanation import Explanation


def sentences(explanation: Explanation) -> tuple[str, ...]:
    """What was done, what a value of the map says, and what it cost."""
    told = [explanation.maker.describe(explanation)]
    if (why := explanation.maker.silence(explanation)) is not None:
        told.append(why)
    if explanation.meaning:
        unit = f", in {explanation.unit}" if explanation.unit else ""
        told.append(f"A value of the map is the {explanation.meaning}{unit}.")
    run = explanation.run
    if all(isinstance(run.get(name), int | float) for name in ("forwards", "seconds")):
        backwards = f" and differentiated {run['backwards']} times" if run.get("backwards") else ""
        told.append(
            f"The network was asked about {run['forwards']} images{backwards} in {run['seconds']:g} seconds."
        )
    told += explanation.notes
    return tuple(told)


def compared_with(explanation: Explanation) -> str:
    """What segments were compared with, in words."""
    known = explanation.recipe is not None and explanation.recipe.reference is not None
    return "the ground truth" if known else "its segment of the unmasked image"
