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
    as_target,
)

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
