"""Two segmentations become one number."""

from interpret_segmentation.scores.registry import SCORES, Score, as_score

__all__ = ["SCORES", "Score", "as_score"]
