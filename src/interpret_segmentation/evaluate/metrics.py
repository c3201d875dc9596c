"""Metrics: every single number that judges a map, with its direction, its range and its paper.

A metric is a function and a record in ``METRICS``. Each takes one `Subject` and leaves everything else at the
defaults of its function, which is where to look for formula and cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.evaluate.faithfulness import deletion, insertion, road
from interpret_segmentation.evaluate.location import NUMBERS
from interpret_segmentation.evaluate.necessary import necessity, sufficiency
from interpret_segmentation.evaluate.power_figures import claimed, power_hit, power_rank, power_within
from interpret_segmentation.evaluate.published import (
    content_heatmap,
    entropy,
    infidelity,
    off_target_leakage,
)
from interpret_segmentation.evaluate.regions import (
    iou_at_best,
    iou_at_otsu,
    mass_accuracy,
    pointing_game,
    rank_accuracy,
    roc_auc,
)
from interpret_segmentation.evaluate.robustness import stability
from interpret_segmentation.evaluate.sanity import cascading_randomisation, random_target
from interpret_segmentation.evaluate.sharpness import edge_width
from interpret_segmentation.evaluate.subject import Subject

CURES = {
    "model": "as_subject(..., model=...)",
    "segment": "as_subject(..., segment=...)",
    "cue": "as_subject(..., cue=...)",
    "distractor": "as_subject(..., distractor=...)",
    "others": "as_subject(..., others=...)",
    "power": "as_subject(..., power=...)",
    "contrast": "as_subject(..., contrast=...)",
    "region": "as_subject(..., region=...)",
    "explanation": "as_subject(explanation) in place of its map",
}
"""What a metric may need of a subject, and how the subject gets it."""


@dataclass(frozen=True)
class Metric:
    """A number that judges a map, and how it is read.

    Attributes:
        name: What it is called in ``METRICS``.
        title: What it is called in a table or a plot.
        higher_is_better: Its direction. None: neither direction is better.
        range: The lowest and the highest value that it can have; NaN aside, which says that there is none.
        paper: Where it is defined, an address; of the formula, for one that is a formula on a known region.
        needs: What the subject must know: attributes of `Subject` that must not be None.
        of: The function of a subject; `measure` checks what it needs.
    """

    name: str
    title: str
    higher_is_better: bool | None
    range: tuple[float, float]
    paper: str
    needs: tuple[str, ...]
    of: Callable[[Subject], float] = field(repr=False)

    def measure(self, subject: Subject) -> float:
        """Judge a map.

        Raises:
            ValueError: The subject does not know what the metric needs.

        Example:
            >>> import numpy as np
            >>> from interpret_segmentation.evaluate import as_subject
            >>> subject = as_subject(np.eye(2, 3), np.ones((2, 3)), region=[[1, 0, 0], [0, 0, 1]])
            >>> METRICS["mass_accuracy"].measure(subject)
            0.5
        """
        for name in self.needs:
            if getattr(subject, name) is None:
                raise ValueError(f"{self.name} needs the {name}, which is not known; pass {CURES[name]}")
        return self.of(subject)

    def reading(self, better: str = "better") -> str:
        """How a value is read.

        Args:
            better: What the values at the good end are.

        Example:
            >>> METRICS["deletion"].reading(), METRICS["edge_width"].reading("sharper")
            ('0 to 1, lower is better', 'lower is sharper')
        """
        said = []
        if all(map(math.isfinite, self.range)):
            said.append(f"{self.range[0]:g} to {self.range[1]:g}")
        if self.higher_is_better is not None:
            said.append(f"{'higher' if self.higher_is_better else 'lower'} is {better}")
        return ", ".join(said)


SHARE, SIGNED, LENGTH, ANY = (0.0, 1.0), (-1.0, 1.0), (0.0, math.inf), (-math.inf, math.inf)

ARRAS = "https://arxiv.org/abs/2003.07258"
JACCARD = "https://doi.org/10.1111/j.1469-8137.1912.tb05611.x"
MANN_WHITNEY = "https://doi.org/10.1214/aoms/1177730491"
OTSU = "https://doi.org/10.1109/TSMC.1979.4310076"
PETSIUK = "https://arxiv.org/abs/1806.07421"
SHAPLEY = "https://doi.org/10.2307/1951053"
WATSON = "https://arxiv.org/abs/2103.14651"
ZHANG = "https://arxiv.org/abs/1608.00507"


def _in_region(metric: Callable[..., float]) -> Callable[[Subject], float]:
    return lambda subject: metric(subject, subject.region, within=subject.within)


def _roc_auc_of_region(subject: Subject) -> float:
    region = cast(BoolArray, subject.region)
    within = True if subject.within is None else subject.within
    return roc_auc(subject, region & within, ~region & within)


def _in_place(name: str) -> Callable[[Subject], float]:
    """One of the numbers of `Localisation`."""
    return lambda subject: NUMBERS[name](subject.saliency, subject.places)


def _context(subject: Subject) -> BoolArray:
    """All that lies beyond the segment and its border, distractors too, bool ``[*space]``."""
    at = subject.places
    return at.context | at.distractor


def _by_power(metric: Callable[..., float], name: str) -> Callable[[Subject], float]:
    """A figure of the truth that was measured in the context."""
    return lambda subject: metric(subject, getattr(subject, name), within=_context(subject))


def _repeated(check: Callable[..., Any], subject: Subject, **settings: Any) -> Any:
    """What a check that explains again says of the subject's explanation."""
    if subject.batch_size is not None:
        settings["batch_size"] = subject.batch_size
    return check(subject.model, subject.explanation, progress=subject.progress, **settings)


ASKED, REPEATED = ("model",), ("model", "explanation")
REGION, SEGMENT, CUE = ("region",), ("segment",), ("segment", "cue")
POWER = ("segment", "power")

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("deletion", "Deletion", False, SHARE, PETSIUK, ASKED, lambda one: deletion(one).area()),
        Metric("insertion", "Insertion", True, SHARE, PETSIUK, ASKED, lambda one: insertion(one).area()),
        Metric("road", "ROAD", True, SIGNED, "https://arxiv.org/abs/2202.00449", ASKED,
               lambda one: road(one).score),
        Metric("necessity", "Necessity", True, ANY, WATSON, ASKED, necessity),
        Metric("sufficiency", "Sufficiency", True, ANY, WATSON, ASKED, sufficiency),

        Metric("mass_accuracy", "Mass in the region", True, SHARE, ARRAS, REGION, _in_region(mass_accuracy)),
        Metric("rank_accuracy", "Rank in the region", True, SHARE, ARRAS, REGION, _in_region(rank_accuracy)),
        Metric("pointing_game", "Pointing game", True, SHARE, ZHANG, REGION, _in_region(pointing_game)),
        Metric("roc_auc", "AUC of the region", True, SHARE, MANN_WHITNEY, REGION, _roc_auc_of_region),
        Metric("iou_at_best", "IoU at best", True, SHARE, JACCARD, REGION, _in_region(iou_at_best)),
        Metric("iou_at_otsu", "IoU at Otsu's threshold", True, SHARE, OTSU, REGION, _in_region(iou_at_otsu)),
        Metric("edge_width", "Edge width in pixels", False, LENGTH, "http://www.dspguide.com", REGION,
               _in_region(edge_width)),

        Metric("segment_mass", "Mass on the segment", None, SHARE, ARRAS, SEGMENT, _in_place("segment_mass")),
        Metric("margin_mass", "Mass on the border", None, SHARE, ARRAS, SEGMENT, _in_place("margin_mass")),
        Metric("segment_hit", "Segment hit", None, SHARE, ZHANG, SEGMENT, _in_place("segment_hit")),
        Metric("segment_rank", "Segment rank", None, SHARE, ARRAS, SEGMENT, _in_place("segment_rank")),
        Metric("segment_iou_at_best", "Segment IoU at best", None, SHARE, JACCARD, SEGMENT,
               _in_place("segment_iou_at_best")),
        Metric("segment_iou_at_otsu", "Segment IoU at Otsu's threshold", None, SHARE, OTSU, SEGMENT,
               _in_place("segment_iou_at_otsu")),
        Metric("distractor_mass", "Mass on the distractor", False, SHARE, ARRAS, ("segment", "distractor"),
               _in_place("distractor_mass")),
        Metric("rest_mass", "Mass elsewhere", False, SHARE, ARRAS, CUE, _in_place("rest_mass")),
        Metric("cue_mass", "Mass on the cue", True, SHARE, ARRAS, CUE, _in_place("cue_mass")),
        Metric("cue_auc", "Cue AUC", True, SHARE, MANN_WHITNEY, CUE, _in_place("cue_auc")),
        Metric("cue_auc_others", "Cue against other regions", True, SHARE, MANN_WHITNEY, CUE,
               _in_place("cue_auc_others")),
        Metric("cue_hit", "Cue hit", True, SHARE, ZHANG, CUE, _in_place("cue_hit")),
        Metric("cue_rank", "Cue rank", True, SHARE, ARRAS, CUE, _in_place("cue_rank")),
        Metric("cue_iou_at_best", "Cue IoU at best", True, SHARE, JACCARD, CUE, _in_place("cue_iou_at_best")),
        Metric("cue_iou_at_otsu", "Cue IoU at Otsu's threshold", True, SHARE, OTSU, CUE,
               _in_place("cue_iou_at_otsu")),

        Metric("power_rank", "Power rank", True, SHARE, SHAPLEY, POWER, _by_power(power_rank, "power")),
        Metric("power_hit", "Power hit", True, SHARE, SHAPLEY, POWER, _by_power(power_hit, "power")),
        Metric("power_within", "Power within the cue", True, SHARE, SHAPLEY, (*POWER, "cue"),
               lambda one: power_within(one, cast(AnyArray, one.power), one.places.cue)),
        Metric("contrast_rank", "Contrast rank", True, SHARE, SHAPLEY, ("segment", "contrast"),
               _by_power(power_rank, "contrast")),
        Metric("claimed", "Claimed in the context", False, LENGTH, SHAPLEY, SEGMENT,
               lambda one: claimed(one, within=_context(one))),

        Metric("infidelity", "Infidelity", False, LENGTH, "https://arxiv.org/abs/1901.09392", ASKED,
               lambda one: infidelity(one)),
        Metric("entropy", "Entropy", False, LENGTH, "https://arxiv.org/abs/2005.00631", (), entropy),
        Metric("content_heatmap", "Content heat map", None, SHARE, "https://arxiv.org/abs/2110.00527",
        SEGMENT,
               lambda one: content_heatmap(one, cast(AnyArray, one.segment))),
        Metric("off_target_leakage", "Off-target leakage", None, SHARE, "https://arxiv.org/abs/2603.22624",
               SEGMENT, lambda one: off_target_leakage(one, cast(AnyArray, one.segment))),

        Metric("stability", "Rank correlation under noise", True, SIGNED, "https://arxiv.org/abs/1806.08049",
               REPEATED, lambda one: _repeated(stability, one).noise.spearman),
        Metric("cascading_randomisation", "Rank correlation with random weights", False, SIGNED,
               "https://arxiv.org/abs/1810.03292", REPEATED,
               lambda one: _repeated(cascading_randomisation, one).last.spearman),
        Metric("random_target", "Rank correlation with a random target", False, SIGNED,
               "https://arxiv.org/abs/1912.09818", REPEATED,
               lambda one: _repeated(random_target, one).agreement.spearman),
    )
}  # fmt: skip
"""Every metric by name. How alike two maps are (`agreement`) judges neither of them, and is none."""
