"""Hausdorff Distance Masks, by the name under which they are documented; they live in `methods.hdm`."""

from interpret_segmentation.methods.hdm.method import (
    BETTER_ONLY,
    HDM,
    RAW,
    WORSE_ONLY,
    HausdorffDistanceMasks,
    HDMResult,
    ResultType,
)

__all__ = ["BETTER_ONLY", "HDM", "RAW", "WORSE_ONLY", "HDMResult", "HausdorffDistanceMasks", "ResultType"]
