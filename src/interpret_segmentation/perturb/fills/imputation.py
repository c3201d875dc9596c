"""Linear imputation: every hidden pixel becomes the weighted mean of all that surround it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from interpret_segmentation._types import BoolArray
from interpret_segmentation.perturb.fills.inpainting import SMALL, conjugate_gradients


def imputed(pixels: NDArray[np.float64], hidden: BoolArray) -> NDArray[np.float64]:
    """The values of one mask's hidden pixels in reading order, ``[hidden pixels, C]``.

    Solved directly or, for a large hole in a volume, step by step to about 8 digits.

    Args:
        pixels: The image, channels last, ``[*space, C]``.
        hidden: Bool ``[*space]``.
    """
    channels = pixels.shape[-1]
    where = np.nonzero(hidden)
    count = len(where[0])
    if count == 0:
        return np.empty((0, channels))
    if count == hidden.size:
        return np.broadcast_to(pixels.reshape(-1, channels).mean(0), (hidden.size, channels))
    # One pixel more on each side, as far as there is one, holds all that the hole touches.
    box = tuple(slice(max(0, int(side.min()) - 1), int(side.max()) + 2) for side in where)
    hole = hidden[box]
    rows, neighbours, weights = (np.concatenate(part) for part in zip(*_links(hole), strict=True))
    number = np.cumsum(hole) - 1
    rows = number[rows]
    inside = hole.ravel()[neighbours]
    degrees = sparse.diags(np.bincount(rows, weights, count))
    within = (weights[inside], (rows[inside], number[neighbours[inside]]))
    matrix = (degrees - sparse.csr_matrix(within, (count, count))).tocsc()
    around = sparse.csr_matrix((weights[~inside], (rows[~inside], neighbours[~inside])), (count, hole.size))
    seen = around @ pixels[box].reshape(-1, channels)
    # Factors of a volume's hole grow with the square of its size, those of a flat one hardly faster than it.
    if count > SMALL and sum(side > 1 for side in hole.shape) > 2:
        return conjugate_gradients(matrix.tocsr(), seen)
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    solved: NDArray[np.float64] = factors.solve(seen)
    return solved


def _links(
    hole: BoolArray,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Hidden pixels, a neighbour of each, and its weight, for every direction: places in reading order."""
    places = np.arange(hole.size).reshape(hole.shape)
    for step in product((-1, 0, 1), repeat=hole.ndim):
        if any(step):
            moves = list(zip(step, hole.shape, strict=True))
            here = places[tuple(slice(max(0, -by), side - max(0, by)) for by, side in moves)].ravel()
            there = places[tuple(slice(max(0, by), side - max(0, -by)) for by, side in moves)].ravel()
            kept = hole.ravel()[here]
            yield here[kept], there[kept], np.full(int(kept.sum()), 2.0 ** -np.count_nonzero(step))
