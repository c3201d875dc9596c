"""What is hidden: where, and with what."""

from interpret_segmentation.perturb.circles import Circles
from interpret_segmentation.perturb.grids import Grids, Masks, RenderedMasks, draw_grids
from interpret_segmentation.perturb.mask_files import load_masks, save_masks

__all__ = ["Circles", "Grids", "Masks", "RenderedMasks", "draw_grids", "load_masks", "save_masks"]
