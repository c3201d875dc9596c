"""Hausdorff Distance Masks."""
