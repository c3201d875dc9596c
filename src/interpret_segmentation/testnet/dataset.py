"""The testnet data set on disk: one folder for each image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from interpret_segmentation._files import write_whole
from interpret_segmentation._types import BoolArray, PathLike, UInt8Array
from interpret_segmentation.testnet.scenes import Scene, Variant, draw_scene

BARE = 4
"""One image of so many is without the deciding shape, where the segment needs it."""


class Sample(TypedDict):
    """One testnet image as the network wants it.

    ``input`` is float ``[1, 240, 240]`` from 0 to 1, ``[3, 240, 240]`` where the scene is in colour;
    ``segment`` (the ground truth) and ``cue`` (the deciding shape) are bool ``[240, 240]``.
    """

    filename: str
    input: Tensor
    segment: Tensor
    cue: Tensor


def sample_of(scene: Scene, filename: str = "") -> Sample:
    """Draw a scene without going through files.

    Example:
        >>> from interpret_segmentation.testnet import draw_scene, sample_of
        >>> sample = sample_of(draw_scene(seed=0))
        >>> sample["input"].shape, sample["segment"].dtype
        (torch.Size([1, 240, 240]), torch.bool)
    """
    return Sample(
        filename=filename,
        input=as_input(scene.image()),
        segment=torch.from_numpy(scene.segment),
        cue=torch.from_numpy(scene.cue.region()),
    )


def as_input(picture: UInt8Array) -> Tensor:
    """A picture, uint8 ``[H, W]`` or ``[H, W, 3]``, for a network: float ``[C, H, W]`` from 0 to 1."""
    pixels = torch.from_numpy(picture).float().div(255)
    return pixels[None] if picture.ndim == 2 else pixels.movedim(-1, 0).contiguous()


def generate_dataset(
    folder: PathLike,
    *,
    count: int = 1000,
    seed: int = 0,
    variant: Variant = "plain",
    progress: bool = True,
) -> Path:
    """Draw the data set: ``folder/<n>/`` with ``image.png``, ``segment.png`` and ``cue.png``.

    The same seed gives the same files; image n does not depend on how many are drawn. The folder appears only
    when it is complete. Of the variants in which the deciding shape is required every fourth image, from the
    fourth on, is without it: segment and cue are empty.

    Args:
        folder: Must not exist yet.
        count: Number of images.
        seed: Names the series of images.
        variant: Which of the variants of `draw_scene`.
        progress: Show a progress bar.

    Returns:
        The folder.

    Raises:
        FileExistsError: The folder exists; nothing is touched.
        ValueError: No images, or no such variant.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; remove it first, or name another")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    with write_whole(folder) as unfinished:
        unfinished.mkdir()
        for index in tqdm(range(count), desc="Drawing testnet", unit="image", disable=not progress):
            scene = draw_scene(seed, index, variant=variant)
            bare = scene.required and index % BARE == BARE - 1
            _write(scene.without_cue() if bare else scene, unfinished / str(index))
    return folder


def _write(scene: Scene, folder: Path) -> None:
    folder.mkdir()
    Image.fromarray(scene.image()).save(folder / "image.png")
    for name, region in (("segment", scene.segment), ("cue", scene.cue.region() & scene.cue_shown)):
        Image.fromarray(region.astype(np.uint8) * 255).save(folder / f"{name}.png")


class TestnetDataset(torch.utils.data.Dataset[Sample]):
    """Reads a folder made by ``generate_dataset``.

    Args:
        path: The data set's folder.
        part: ``"train"`` for the first 80 % of the images, ``"validation"`` for the rest, ``"all"``.

    Raises:
        FileNotFoundError: There is no data set in the folder.
    """

    __test__ = False  # the name starts like a test's

    def __init__(self, path: PathLike, part: str = "all") -> None:
        self.path = Path(path)
        names = [entry.parent.name for entry in self.path.glob("*/image.png")]
        if not names:
            raise FileNotFoundError(
                f"no testnet images in {self.path}; make them with examples/testnet/generate.py "
                "or examples/testnet/download.py"
            )
        names.sort(key=lambda name: (len(name), name))
        split = int(0.8 * len(names))
        parts = {"all": names, "train": names[:split], "validation": names[split:]}
        if part not in parts:
            raise ValueError(f"part must be one of {', '.join(parts)}, got {part!r}")
        self.names = parts[part]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        return self.get_sample(self.names[index])

    def __iter__(self) -> Iterator[Sample]:
        return (self.get_sample(name) for name in self.names)

    def get_sample(self, filename: str) -> Sample:
        """The image in the folder called ``filename``, such as ``"1"``."""
        folder = self.path / filename
        return Sample(
            filename=filename,
            input=as_input(_read(folder / "image.png")),
            segment=torch.from_numpy(_read_region(folder / "segment.png")),
            cue=torch.from_numpy(_read_region(folder / "cue.png")),
        )


def _read(path: Path) -> UInt8Array:
    try:
        with Image.open(path) as picture:
            return np.array(picture if picture.mode == "RGB" else picture.convert("L"))
    except OSError as error:
        raise ValueError(f"{path} is not a readable picture ({error}); draw the data set anew") from error


def _read_region(path: Path) -> BoolArray:
    region: BoolArray = _read(path) > 127
    return region
