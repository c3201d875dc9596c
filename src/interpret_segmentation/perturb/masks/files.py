"""Mask files: compact ``.npz`` (grids and shifts) and ``.npy`` (rendered masks, for any program).

An ``.npy`` file of ours is a plain NumPy file, ``[N, 1, H, W]`` of float32, with one line of JSON behind
the array: NumPy reads just the array, and we find there the expected mask value that the map is divided by.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from interpret_segmentation._files import check_ordinary, write_whole
from interpret_segmentation._types import PathLike
from interpret_segmentation.data.files import check_header, reason_of
from interpret_segmentation.data.inputs import as_probability
from interpret_segmentation.perturb.masks.base import BUDGET
from interpret_segmentation.perturb.masks.grids import Grids, RandomMasks, RenderedMasks, as_share

FORMAT = "interpret-segmentation masks 1"

MOST = 2**40
"""Pixels of an image; a byte for each would be a terabyte."""

SMALL = 4096
"""Bytes that a number or a size in a file takes at most."""


def check_savepath(path: PathLike, *, overwrite: bool) -> Path:
    """The path, if masks may be written there.

    Raises:
        ValueError: It ends neither in .npy nor in .npz.
        FileExistsError: It exists and may not be overwritten.
        IsADirectoryError: It is a folder.
    """
    path = Path(path)
    if path.suffix.lower() not in (".npy", ".npz"):
        raise ValueError(f"savepath must end in .npy (rendered masks) or .npz (compact), got {str(path)!r}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; savepath must be a file")
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
    with write_whole(path) as unfinished, unfinished.open("wb") as file:
        if path.suffix.lower() == ".npz":
            np.savez_compressed(
                file,
                format=FORMAT,
                cells=np.packbits(masks.cells.numpy(), axis=None),
                shape=np.array(masks.cells.shape, dtype=np.int64),
                shifts=masks.shifts.numpy().astype(np.min_scalar_type(max(masks.space))),
                size=np.array(masks.space, dtype=np.int64),
                keep=masks.keep,
                seed=-1 if masks.seed is None else masks.seed,
            )
        else:
            shape = (len(masks), 1, *masks.space)
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            chunk = max(1, BUDGET // (4 * math.prod(masks.space)))
            with tqdm(total=len(masks), desc="Rendering masks", unit="mask", disable=not progress) as bar:
                for first in range(0, len(masks), chunk):
                    rendered = masks.render(first, min(first + chunk, len(masks)))
                    file.write(rendered.numpy().astype("<f4", copy=False).tobytes())
                    bar.update(len(rendered))
            file.write(json.dumps({"format": FORMAT, "expected_value": masks.keep}).encode() + b"\n")


def load_masks(path: PathLike, *, p1: float | None = None) -> RandomMasks:
    """Load masks saved by `save_masks` or by release 1.0.0. Nothing is ever unpickled.

    Args:
        path: An ``.npz`` or ``.npy`` file.
        p1: The expected value of a mask, for rendered masks that another program wrote (release 1.0.0, say).
            None takes what the file says, or else the mean of the masks.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not a mask file, a damaged one, or one that says another p1.
    """
    path = Path(path)
    check_ordinary(path)
    p1 = None if p1 is None else as_probability(p1, "p1")
    if not path.exists():
        raise FileNotFoundError(
            f"there is no mask file {path}; generate_masks(N, s, p1, savepath=...) makes one"
        )
    try:
        masks, said = _load(path)
    except Exception as error:
        raise ValueError(f"{path} is not a readable mask file: {reason_of(error)}") from error
    if p1 is None or p1 == masks.expected_value:
        return masks
    if said or not isinstance(masks, RenderedMasks):
        raise ValueError(
            f"the masks in {path} were drawn with p1={masks.expected_value:g}, not {p1:g}; leave p1 out"
        )
    return replace(masks, expected_value=p1)


def _load(path: Path) -> tuple[RandomMasks, bool]:
    """The masks, and whether the file itself says their expected value."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic == b"\x93NUMPY":
        return _load_rendered(path)
    if magic[:4] == b"PK\x03\x04":
        return _load_compact(path), True
    raise ValueError("it is neither an .npy nor an .npz file")


def _load_compact(path: Path) -> Grids:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        if "format" not in file or str(file["format"]) != FORMAT:
            raise ValueError(f"it lacks the mark {FORMAT!r}")
        sizes = {member.filename: member.file_size for member in file.zip.infolist()}
        if any(sizes[f"{name}.npy"] > SMALL for name in ("shape", "size", "keep", "seed")):
            raise ValueError("its sizes are no sizes")
        count, *sides = _whole_numbers(file["shape"], "shape")
        space = _whole_numbers(file["size"], "size")
        (seed,) = _whole_numbers(file["seed"], "seed")
        keep = file["keep"][()]
        if math.prod(space) > MOST:
            raise ValueError(f"no image has {' x '.join(map(str, space))} pixels")
        if len(space) not in (2, 3) or sides != [sides[0]] * len(space) or min(count, *sides, *space) < 1:
            raise ValueError("its sizes contradict each other")
        bits = count * math.prod(sides)
        if sizes["cells.npy"] > SMALL + bits // 8 or sizes["shifts.npy"] > SMALL + 8 * count * len(space):
            raise ValueError(f"its cells and shifts are more than those of {count} grids")
        packed, shifts = file["cells"], file["shifts"]
    if packed.dtype != np.uint8 or packed.shape != (-(-bits // 8),):
        raise ValueError(f"its cells are not those of {count} grids of {' x '.join(map(str, sides))}")
    cells = np.unpackbits(packed, count=bits).astype(bool).reshape(count, *sides)
    return Grids.checked(cells, shifts, tuple(space), keep, None if seed == -1 else seed)


def _whole_numbers(array: NDArray[Any], name: str) -> list[int]:
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise ValueError(f"its {name} is not of whole numbers")
    return [int(number) for number in array.reshape(-1)]


def _load_rendered(path: Path) -> tuple[RenderedMasks, bool]:
    with path.open("rb") as file:
        check_header(file)
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim not in (4, 5) or array.shape[1] != 1 or not array.size or array.dtype.kind != "f":
        raise ValueError(f"it holds {array.dtype} of shape {array.shape}, not float masks N x 1 x H x W")
    count, _, *space = array.shape
    masks = RenderedMasks(path.resolve(), count, tuple(space), expected_value=1.0)
    mean = _checked_mean(masks)
    said = _said_behind(path, array.offset + array.nbytes)
    return replace(masks, expected_value=as_share(said or mean, "its mean mask value")), said is not None


def _checked_mean(masks: RenderedMasks) -> float:
    """The mean over all masks and pixels, once every value is seen to be a weight."""
    total = 0.0
    chunk = max(1, BUDGET // (4 * math.prod(masks.space)))
    for first in range(0, len(masks), chunk):
        part = masks.render(first, min(first + chunk, len(masks)))
        if not (part.min() >= -1e-6 and part.max() <= 1 + 1e-6):
            raise ValueError("its values are not all from 0 to 1")
        total += part.sum(dtype=torch.float64).item()
    return total / (len(masks) * math.prod(masks.space))


def _said_behind(path: Path, start: int) -> float | None:
    """The expected value in the line of JSON behind the array; None when there is nothing behind it."""
    with path.open("rb") as file:
        file.seek(start)
        line = file.read(4096)
    if not line:
        return None
    try:
        settings = json.loads(line)
        if settings["format"] != FORMAT:
            raise ValueError
        return as_share(settings["expected_value"], "expected_value")
    except (ValueError, TypeError, KeyError):
        raise ValueError("what stands behind the array is damaged or not ours") from None
