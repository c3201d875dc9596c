"""Names for the kinds of data that are handed from room to room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["AnyArray", "BoolArray", "FloatArray", "PathLike", "Sequence", "UInt8Array"]

BoolArray: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
UInt8Array: TypeAlias = NDArray[np.uint8]
AnyArray: TypeAlias = NDArray[Any] | Tensor
PathLike: TypeAlias = str | Path
