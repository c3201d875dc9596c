"""Judges an explanation: should it be believed?"""

from interpret_segmentation.evaluate.baselines import BASELINES
from interpret_segmentation.evaluate.faithfulness import Curve, Road, deletion, insertion, road
from interpret_segmentation.evaluate.intervention import (
    Power,
    PowerAgreement,
    agreement_with_power,
    power,
    power_cost,
)
from interpret_segmentation.evaluate.location import Localisation, localisation
from interpret_segmentation.evaluate.metrics import METRICS, Metric
from interpret_segmentation.evaluate.minimal_sets import MinimalSet, minimal_set
from interpret_segmentation.evaluate.necessary import necessity, sufficiency
from interpret_segmentation.evaluate.power_figures import claimed, power_hit, power_rank, power_within
from interpret_segmentation.evaluate.published import (
    content_heatmap,
    entropy,
    infidelity,
    off_target_leakage,
)
from interpret_segmentation.evaluate.quantus import as_quantus
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
    "MinimalSet",
    "Power",
    "PowerAgreement",
    "RandomTarget",
    "Road",
    "Similarities",
    "Stability",
    "Subject",
    "agreement",
    "agreement_with_power",
    "as_judged",
    "as_quantus",
    "as_subject",
    "cascading_randomisation",
    "claimed",
    "content_heatmap",
    "deletion",
    "edge_width",
    "entropy",
    "infidelity",
    "insertion",
    "iou_at_best",
    "iou_at_otsu",
    "localisation",
    "mass_accuracy",
    "minimal_set",
    "necessity",
    "off_target_leakage",
    "pointing_game",
    "power",
    "power_cost",
    "power_hit",
    "power_rank",
    "power_within",
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
