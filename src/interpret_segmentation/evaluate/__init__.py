"""Judges an explanation: should it be believed?"""

from interpret_segmentation.evaluate.baselines import BASELINES
from interpret_segmentation.evaluate.faithfulness import Curve, Road, deletion, insertion, road
from interpret_segmentation.evaluate.location import Localisation, localisation
from interpret_segmentation.evaluate.metrics import METRICS, Metric
from interpret_segmentation.evaluate.necessary import necessity, sufficiency
from interpret_segmentation.evaluate.regions import (
    iou_at_best,
    iou_at_otsu,
    mass_accuracy,
    pointing_game,
    rank_accuracy,
    roc_auc,
)
from interpret_segmentation.evaluate.robustness import Stability, stability
from interpret_segmentation.evaluate.sanity import (
    RandomTarget,
    Similarities,
    cascading_randomisation,
    random_target,
)
from interpret_segmentation.evaluate.sharpness import edge_width
from interpret_segmentation.evaluate.similarity import Agreement, agreement, spearman, ssim, top_overlap
from interpret_segmentation.evaluate.subject import Subject, as_subject

Judged, as_judged, OPPONENTS = Subject, as_subject, BASELINES
"""What three public names were called before."""

__all__ = [
    "BASELINES",
    "METRICS",
    "OPPONENTS",
    "Agreement",
    "Curve",
    "Judged",
    "Localisation",
    "Metric",
    "RandomTarget",
    "Road",
    "Similarities",
    "Stability",
    "Subject",
    "agreement",
    "as_judged",
    "as_subject",
    "cascading_randomisation",
    "deletion",
    "edge_width",
    "insertion",
    "iou_at_best",
    "iou_at_otsu",
    "localisation",
    "mass_accuracy",
    "necessity",
    "pointing_game",
    "random_target",
    "rank_accuracy",
    "road",
    "roc_auc",
    "spearman",
    "ssim",
    "stability",
    "sufficiency",
    "top_overlap",
]
