"""Hausdorff Distance Masks."""

from interpret_segmentation.methods.hdm.method import HDM
from interpret_segmentation.methods.hdm.release_1 import HausdorffDistanceMasks
from interpret_segmentation.methods.hdm.result import (
    BETTER_ONLY,
    RAW,
    WORSE_ONLY,
    HDMResult,
    ResultType,
)

__all__ = ["BETTER_ONLY", "HDM", "RAW", "WORSE_ONLY", "HDMResult", "HausdorffDistanceMasks", "ResultType"]
