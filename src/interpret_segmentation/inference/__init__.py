"""How a model is asked thousands of times."""

from interpret_segmentation.inference.batches import ask

__all__ = ["ask"]
