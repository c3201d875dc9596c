"""Reads images and ground truths from picture and NumPy files, and says so when it cannot do it exactly."""

from __future__ import annotations

import os
import warnings
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from interpret_segmentation._files import check_ordinary
from interpret_segmentation.data.pictures import as_truth, labels_in, stored, upright

__all__ = ["MODES", "read_image", "read_reference"]

Numbers: TypeAlias = NDArray[Any]

MODES = ("keep", "L", "RGB")
"""What pictures are converted to; "keep" leaves their channels as they are."""

FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy")
BITS_PER_SAMPLE, SAMPLE_FORMAT, SIGNED = 258, 339, 2


def read_image(path: Path, *, dims: int | None = None, mode: str = "keep", raw: bool = False) -> Numbers:
    """The image in a file.

    8-bit pictures are divided by 255 and 16-bit ones by 65535; wider numbers, floating ones, and NumPy files
    are taken as they are. A photo is turned upright as its EXIF entry says; a palette is replaced by its
    colours.

    Args:
        path: PNG, JPEG, TIFF, BMP, or ``.npy``. The pages of a TIFF are the slices of a volume.
        dims: Axes of space. A TIFF of several pages is only read when they are 3.
        mode: What pictures are converted to: ``"L"`` (grey), ``"RGB"``, or ``"keep"``: what they are.
        raw: Do not divide.

    Returns:
        ``[C, *space]`` of a picture; of a NumPy file, whatever it holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not such a file, damaged, or one that cannot be read without loss.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if path.suffix.lower() == ".npy":
        return _array(path)
    pages = [_channels(page, mode, raw=raw) for page in _pages(path, dims)]
    numbers = np.stack(pages, axis=1) if dims == 3 else pages[0]
    # True and False of a 1-bit picture are 1 and 0 in either case.
    top = {1: 255, 2: 65535}.get(numbers.dtype.itemsize, 1) if numbers.dtype.kind == "u" and not raw else 1
    scaled: Numbers = numbers.astype(np.float32) / np.float32(top)
    return scaled


def read_reference(path: Path, *, dims: int | None = None) -> Numbers:
    """The ground truth in a file: a mask or labels.

    Labels are the numbers in the file, of a picture with a palette the indices. In an 8-bit mask that holds
    only 0 and 255, 255 counts as 1. In a JPEG, whose 0 and 255 are never exact, what is 128 or more counts
    as 1, with a warning.

    Args:
        path: As for `read_image`.
        dims: As for `read_image`.

    Returns:
        ``[*space]``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not such a file, damaged, a picture with colours, or labels in a JPEG.
    """
    if path.suffix.lower() == ".npy":
        return as_truth(_array(path), str(path))
    pages = _pages(path, dims)
    labels = [labels_in(page, str(path)) for page in pages]
    numbers = np.stack(labels) if dims == 3 else labels[0]
    return as_truth(numbers, str(path), inexact=any(page.info["inexact"] for page in pages))


def _array(path: Path) -> Numbers:
    check_ordinary(path)
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header is a text of Python, which is parsed as such
            check_header(file)
            array: Numbers = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except PermissionError:
        raise
    except Exception as error:  # noqa: BLE001  whatever NumPy's parser meets in a header
        raise ValueError(
            f"{path} is no array that numpy.save wrote, or damaged: {reason_of(error)}"
        ) from None
    return array


def check_header(file: BinaryIO) -> None:
    """See that an ``.npy`` file holds what its header says, before there is room made for it.

    Args:
        file: Open at its beginning, where it is left.

    Raises:
        ValueError: It holds less, or Python objects. NumPy raises many other errors for broken headers.
    """
    version = np.lib.format.read_magic(file)
    # What the third version spells differently are names, which no image has.
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never unpickled")
    there = os.fstat(file.fileno()).st_size - file.tell()
    if min(shape, default=0) < 0 or prod(shape) * max(1, dtype.itemsize) > there:
        said = " x ".join(map(str, shape))
        raise ValueError(f"its header speaks of {said} numbers ({dtype}), but the file holds {there} bytes")
    file.seek(0)


def reason_of(error: Exception) -> str:
    """What an error says, in one line."""
    said = error.args[0] if isinstance(error, SyntaxError | TokenError) and error.args else error
    return " ".join(str(said).split()) or type(error).__name__


def _pages(path: Path, dims: int | None) -> list[Image.Image]:
    """A picture's pages, turned upright: as many as the axes of space want."""
    check_ordinary(path)
    try:
        with warnings.catch_warnings():
            # Half of what Pillow refuses it warns of; whoever names a file of that size means it.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=FORMATS)
        with picture:
            # What else has several frames is one picture with extras: previews, an animation.
            frames = ImageSequence.Iterator(picture) if picture.format == "TIFF" else [picture]
            pages = [_upright(frame, path) for frame in frames]
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except UnidentifiedImageError:
        raise ValueError(
            f"{path} is no PNG, JPEG, TIFF or BMP picture, damaged, or of a kind that Pillow does not read; "
            "save its numbers with numpy.save"
        ) from None
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path} cannot be read: {error} Cut out the part that you mean, or make the picture smaller; "
            "or, if you trust the file, open it in Python with PIL.Image.MAX_IMAGE_PIXELS = None, save its "
            "numbers with numpy.save, H x W or C x H x W, and pass that file"
        ) from None
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if len(pages) > 1 and dims != 3:
        raise ValueError(
            f"{path} has {len(pages)} pages; pass --dims 3 if they are the slices of a volume, or save "
            "the one that you mean by itself"
        )
    if len(pages) == 1 and dims == 3:
        raise ValueError(
            f"{path} is a flat picture, but volumes are wanted: a TIFF of several pages, or .npy"
        )
    kinds = {(page.size, page.mode) for page in pages}
    if len(kinds) > 1:
        found = ", ".join(sorted(f"{height}x{width} {mode}" for (width, height), mode in kinds))
        raise ValueError(
            f"the pages of {path} must be equal to be the slices of a volume, but they are {found}"
        )
    return pages


def _upright(picture: Image.Image, path: Path) -> Image.Image:
    """One page, decoded and turned upright, unless Pillow would change its numbers."""
    tags = getattr(picture, "tag_v2", {})
    bits = max(tags.get(BITS_PER_SAMPLE, (16 if ";16" in stored(picture) else 8,)))
    if bits > 8 and len(picture.getbands()) > 1:
        raise ValueError(
            f"{path} has {bits} bits in each of several channels, of which Pillow reads 8; save its "
            "numbers with numpy.save"
        )
    turned = upright(picture)
    signed = SIGNED in tags.get(SAMPLE_FORMAT, ())
    if (bits == 8 and signed) or (picture.mode == "I" and not signed and turned.getextrema()[0] < 0):  # type: ignore[operator]
        kind = "signed 8-bit" if signed else "32-bit"
        raise ValueError(
            f"{path} has {kind} numbers, which Pillow misreads; save its numbers with numpy.save"
        )
    if picture.format == "PNG" and picture.mode == "I":  # what older Pillows make of 16 bits
        known, turned = turned.info, Image.fromarray(np.asarray(turned).astype(np.uint16))
        turned.info.update(known)
    return turned


def _channels(page: Image.Image, mode: str, *, raw: bool) -> Numbers:
    """One page as ``[C, H, W]``."""
    stretched = page.info["stretched"] if raw else 1
    if page.mode in ("P", "PA"):
        transparent = page.convert("RGBA")
        page = transparent if page.mode == "PA" else transparent.convert("RGB")
    wide = page.mode in ("1", "I", "F") or page.mode.startswith("I;16")
    if mode != "keep" and not wide and page.mode != mode:
        grey = page.mode == "L"
        page = page if grey else page.convert(mode)
    numbers = np.asarray(page)
    numbers = numbers[None] if numbers.ndim == 2 else np.moveaxis(numbers, -1, 0)
    if mode == "RGB" and len(numbers) == 1:
        numbers = np.repeat(numbers, 3, axis=0)
    return numbers // stretched if stretched > 1 else numbers
