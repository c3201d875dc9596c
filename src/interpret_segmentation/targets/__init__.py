"""What is explained: targets, and what follows from one for one image."""

from interpret_segmentation.targets.targets import (
    Border,
    Class,
    Component,
    FalseNegatives,
    FalsePositives,
    Pixel,
    Region,
    Target,
)
from interpret_segmentation.targets.words import as_target

__all__ = [
    "Border",
    "Class",
    "Component",
    "FalseNegatives",
    "FalsePositives",
    "Pixel",
    "Region",
    "Target",
    "as_target",
]
