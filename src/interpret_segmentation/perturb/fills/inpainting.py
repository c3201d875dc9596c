"""Harmonic inpainting: every hidden pixel becomes the mean of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg, splu

from interpret_segmentation._types import BoolArray

SMALL = 4096
"""Hidden pixels up to which the factors of a hole are kept: 2 MB of them in an image, 8 in a volume."""


def inpainted(pixels: NDArray[np.float64], hidden: BoolArray) -> NDArray[np.float64]:
    """The values of one mask's hidden pixels in reading order, ``[hidden pixels, C]``.

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
    hole = np.ascontiguousarray(hidden[box])
    key = (hole.shape, np.packbits(hole).tobytes())
    equations = _equations(*key) if count <= SMALL else _equations.__wrapped__(*key)
    return equations.solve(pixels[box].reshape(-1, channels))


@dataclass(frozen=True, eq=False)
class _Equations:
    """The linear equations of a hole: ``matrix @ hidden = around @ pixels``, for the pixels of its box."""

    matrix: Any
    around: Any
    factors: Any

    def solve(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        seen = self.around @ pixels
        if self.factors is None:
            return conjugate_gradients(self.matrix, seen)
        solved: NDArray[np.float64] = self.factors.solve(seen)
        return solved


# Masks of one shape that walk over an image make equal holes, but for those that its edges cut.
@lru_cache(maxsize=16)
def _equations(shape: tuple[int, ...], packed: bytes) -> _Equations:
    """The equations of a hole in its box, of which `packed` are the bits."""
    count = int(np.prod(shape))
    hole = np.unpackbits(np.frombuffer(packed, np.uint8), count=count).astype(bool)
    number = np.cumsum(hole) - 1
    places = np.arange(count).reshape(shape)
    pairs = []
    for axis in range(len(shape)):
        along = np.moveaxis(places, axis, 0)
        before, after = along[:-1].ravel(), along[1:].ravel()
        pairs += [(before, after), (after, before)]
    here = np.concatenate([pair[0] for pair in pairs])
    there = np.concatenate([pair[1] for pair in pairs])
    here, there = here[hole[here]], there[hole[here]]
    rows, size = number[here], int(hole.sum())
    inside = hole[there]
    degrees = sparse.diags(np.bincount(rows, minlength=size).astype(float))
    links = sparse.csr_matrix((np.ones(inside.sum()), (rows[inside], number[there[inside]])), (size, size))
    around = sparse.csr_matrix((np.ones((~inside).sum()), (rows[~inside], there[~inside])), (size, count))
    matrix = (degrees - links).tocsc()
    # Factors of a volume's hole grow with the square of its size, those of a flat one hardly faster than it.
    if size > SMALL and sum(side > 1 for side in shape) > 2:
        return _Equations(matrix.tocsr(), around, None)
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return _Equations(None, around, factors)


def conjugate_gradients(matrix: Any, right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve ``matrix @ x = right``, one column for each channel, to about 8 digits."""
    links = np.asarray(matrix.sum(axis=0)).sum()
    jacobi = sparse.diags(1 / matrix.diagonal())
    # Begin at the mean of what is seen, so that digits are counted of the contrast, not of the brightness.
    start = np.tile(right.sum(0) / links, (len(right), 1))
    rest = right - matrix @ start
    atol = 1e-14 * np.linalg.norm(right, axis=0)
    change = [
        cg(matrix, column, rtol=1e-9, atol=least, M=jacobi)[0]
        for column, least in zip(rest.T, atol, strict=True)
    ]
    solution: NDArray[np.float64] = start + np.stack(change, axis=1)
    return solution
