"""Whole sets of images."""
