"""RISE for segmentation."""
