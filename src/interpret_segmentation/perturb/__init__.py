"""What is hidden: where, and with what."""

from interpret_segmentation.perturb.masks.files import load_masks, save_masks
from interpret_segmentation.perturb.masks.grids import Grids, Masks, RenderedMasks, draw_grids
from interpret_segmentation.perturb.masks.windows import Windows

__all__ = ["Grids", "Masks", "RenderedMasks", "Windows", "draw_grids", "load_masks", "save_masks"]
