"""What is hidden: where, and with what."""

from interpret_segmentation.perturb.masks.base import Masks
from interpret_segmentation.perturb.masks.coalitions import Coalitions
from interpret_segmentation.perturb.masks.files import load_masks, save_masks
from interpret_segmentation.perturb.masks.grids import Grids, RenderedMasks, draw_grids
from interpret_segmentation.perturb.masks.parts import Parts
from interpret_segmentation.perturb.masks.windows import Windows

__all__ = [
    "Coalitions", "Grids", "Masks", "Parts", "RenderedMasks", "Windows", "draw_grids", "load_masks",
    "save_masks",
]  # fmt: skip
