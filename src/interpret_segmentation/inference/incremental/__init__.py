"""Exactly-incremental inference: where only a patch of the image changes, compute only what depends on it.

The activations of the unmasked image are kept. For each masked image only a window of every activation is
computed anew: the pixels that the hidden patch can reach at that depth. The user's network runs as it is; it
is handed a tensor type, `Changed`, that carries the windows through every operation it knows and refuses all
others. Krypton (Nakandala et al. 2019, https://doi.org/10.1145/3299869.3319874) did this for classifiers.
"""

from interpret_segmentation.inference.incremental.changed import Changed, RefusedError, Tape

__all__ = ["Changed", "RefusedError", "Tape"]
