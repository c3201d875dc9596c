"""The command line."""

from interpret_segmentation.cli.commands import main

__all__ = ["main"]
