"""Hausdorff Distance Masks, by the name under which release 1.0.0 documents them."""

from interpret_segmentation.methods.hdm import (
    BETTER_ONLY,
    HDM,
    RAW,
    WORSE_ONLY,
    HausdorffDistanceMasks,
    HDMResult,
    ResultType,
)

__all__ = ["BETTER_ONLY", "HDM", "RAW", "WORSE_ONLY", "HDMResult", "HausdorffDistanceMasks", "ResultType"]
