"""Mask files: compact ``.npz`` (grids and shifts) and ``.npy`` (rendered masks, for any program).

An ``.npy`` file of ours is a plain NumPy file, ``[N, 1, H, W]`` of float32, with one line of JSON behind
the array: NumPy reads just the array, and we find there the expected mask value that the map is divided by.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from interpret_segmentation._files import written_whole
from interpret_segmentation._types import PathLike
from interpret_segmentation.perturb.grids import BUDGET, Grids, Masks, RenderedMasks, cell_size

FORMAT = "interpret-segmentation masks 1"


def check_savepath(path: PathLike, *, overwrite: bool) -> Path:
    """The path, if masks may be written there.

    Raises:
        ValueError: It ends neither in .npy nor in .npz.
        FileExistsError: It exists and may not be overwritten.
    """
    path = Path(path)
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"savepath must end in .npy (rendered masks) or .npz (compact), got {str(path)!r}")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists already; load it with load_masks, choose another savepath, pass overwrite=True "
            "to replace it, or savepath=None to save nothing"
        )
    return path


def save_masks(masks: Grids, path: PathLike, *, overwrite: bool = False, progress: bool = False) -> None:
    """Save masks: compact when the path ends in ``.npz``, rendered when it ends in ``.npy``.

    Args:
        masks: What to save.
        path: Where. The file is written whole or not at all.
        overwrite: Replace an existing file.
        progress: Show a progress bar while rendering.
    """
    path = check_savepath(path, overwrite=overwrite)
    with written_whole(path) as unfinished, unfinished.open("wb") as file:
        if path.suffix == ".npz":
            np.savez_compressed(
                file,
                format=FORMAT,
                cells=np.packbits(masks.cells.numpy(), axis=None),
                shape=np.array(masks.cells.shape, dtype=np.int64),
                shifts=masks.shifts.numpy().astype(np.min_scalar_type(max(masks.height, masks.width))),
                size=np.array([masks.height, masks.width], dtype=np.int64),
                keep=masks.keep,
                seed=-1 if masks.seed is None else masks.seed,
            )
        else:
            shape = (len(masks), 1, masks.height, masks.width)
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            chunk = max(1, BUDGET // (4 * masks.height * masks.width))
            with tqdm(total=len(masks), desc="Rendering masks", unit="mask", disable=not progress) as bar:
                for first in range(0, len(masks), chunk):
                    rendered = masks.render(first, min(first + chunk, len(masks)))
                    file.write(rendered.numpy().astype("<f4", copy=False).tobytes())
                    bar.update(len(rendered))
            file.write(json.dumps({"format": FORMAT, "expected_value": masks.keep}).encode() + b"\n")


def load_masks(path: PathLike, *, p1: float | None = None) -> Masks:
    """Load masks saved by `save_masks` or by release 1.0.0. Nothing is ever unpickled.

    Args:
        path: An ``.npz`` or ``.npy`` file.
        p1: The expected value of a mask, for rendered masks that another program wrote (release 1.0.0, say).
            None takes the mean of the masks.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not a mask file, or a damaged one.
    """
    path = Path(path)
    with path.open("rb") as file:
        magic = file.read(6)
    try:
        if magic == b"\x93NUMPY":
            return _load_rendered(path, p1)
        if magic[:4] == b"PK\x03\x04":
            return _load_compact(path)
        raise ValueError("it is neither an .npy nor an .npz file")
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a readable mask file: {error}") from error


def _load_compact(path: Path) -> Grids:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        if "format" not in file or str(file["format"]) != FORMAT:
            raise ValueError(f"it lacks the mark {FORMAT!r}")
        count, rows, columns = map(int, file["shape"])
        height, width = map(int, file["size"])
        keep, seed = float(file["keep"]), int(file["seed"])
        packed, shifts = file["cells"], file["shifts"].astype(np.int64)
    if min(count, rows, height, width) < 1 or rows != columns or not 0 < keep <= 1:
        raise ValueError("its sizes contradict each other")
    if packed.dtype != np.uint8 or packed.shape != (-(-count * rows * columns // 8),):
        raise ValueError(f"its cells are not those of {count} grids of {rows} x {columns}")
    largest = [cell_size(height, rows), cell_size(width, rows)]
    if shifts.shape != (count, 2) or (shifts < 0).any() or (shifts >= largest).any():
        raise ValueError("its shifts lie outside the masks")
    cells = np.unpackbits(packed, count=count * rows * columns).astype(bool).reshape(count, rows, columns)
    return Grids(
        torch.from_numpy(cells), torch.from_numpy(shifts), height, width, keep, None if seed < 0 else seed
    )


def _load_rendered(path: Path, p1: float | None) -> RenderedMasks:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim != 4 or array.shape[1] != 1 or not array.size or array.dtype.kind != "f":
        raise ValueError(f"it holds {array.dtype} of shape {array.shape}, not float masks N x 1 x H x W")
    count, _, height, width = array.shape
    masks = RenderedMasks(path.resolve(), count, height, width, expected_value=1.0)
    mean = _checked_mean(masks)
    expected = (
        p1 if p1 is not None else _trailer(path, array.offset + array.nbytes).get("expected_value", mean)
    )
    if not (isinstance(expected, float | int) and 0 < expected <= 1):
        raise ValueError(f"the expected value of a mask must be above 0 and at most 1, got {expected!r}")
    return replace(masks, expected_value=float(expected))


def _checked_mean(masks: RenderedMasks) -> float:
    """The mean over all masks and pixels, once every value is seen to be a weight."""
    total = 0.0
    chunk = max(1, BUDGET // (4 * masks.height * masks.width))
    for first in range(0, len(masks), chunk):
        part = masks.render(first, min(first + chunk, len(masks)))
        if not (part.min() >= -1e-6 and part.max() <= 1 + 1e-6):
            raise ValueError("its values are not all from 0 to 1")
        total += part.sum(dtype=torch.float64).item()
    return total / (len(masks) * masks.height * masks.width)


def _trailer(path: Path, start: int) -> dict[str, Any]:
    """The line of JSON behind the array; empty when another program wrote the file."""
    with path.open("rb") as file:
        file.seek(start)
        line = file.read(4096)
    try:
        settings = json.loads(line)
    except ValueError:
        return {}
    return settings if isinstance(settings, dict) and settings.get("format") == FORMAT else {}
