"""Holds what a model answered: a row of scores for every question."""

from __future__ import annotations

import tempfile
import weakref

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._types import FloatArray

MEMORY = 256 * 2**20
"""Bytes of scores that are held in memory; a larger table lives in a temporary file."""


class ScoreTable:
    """Scores ``[rows, columns]`` of float32, filled row by row and read column by column.

    A table larger than ``MEMORY`` goes to a temporary file, which vanishes with the table.

    Args:
        rows: Number of questions.
        columns: Number of scores for each.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns
        self.row_means = np.empty(rows, dtype=np.float32)
        self._filled = 0
        large = 4 * rows * columns > MEMORY
        self._array = np.empty((0 if large else rows, columns), dtype=np.float32)
        self._file = None
        if large:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed when the table goes
            weakref.finalize(self, self._file.close)

    def append(self, scores: FloatArray) -> None:
        """Fill the next rows, ``[n, columns]``."""
        rows = slice(self._filled, self._filled + len(scores))
        self.row_means[rows] = scores.mean(axis=1, dtype=np.float64)
        if self._file is None:
            self._array[rows] = scores
        else:
            self._file.write(np.ascontiguousarray(scores, dtype=np.float32).tobytes())
        self._filled = rows.stop

    @classmethod
    def of(cls, scores: FloatArray) -> ScoreTable:
        """A table that is full already."""
        table = cls(0, scores.shape[1])
        table.rows = table._filled = len(scores)
        table._array = scores
        table.row_means = scores.mean(axis=1, dtype=np.float64).astype(np.float32)
        return table

    def until(self, count: int) -> ScoreTable:
        """The first rows only, once they are filled."""
        self.rows = self._filled = count
        self.row_means = self.row_means[:count]
        self._array = self._array[:count]
        return self

    def array(self) -> FloatArray:
        """All of it, ``[rows, columns]``; a large one as a read-only mapping of its file."""
        if self._file is None:
            return self._array
        self._file.flush()
        return np.memmap(self._file, dtype=np.float32, mode="r", shape=(self.rows, self.columns))

    def read(self, columns: NDArray[np.int64]) -> FloatArray:
        """Some columns of every row, ``[rows, len(columns)]``."""
        # Mapped anew each time: a mapping that stays open keeps every page that was read.
        return np.asarray(self.array()[:, columns])
