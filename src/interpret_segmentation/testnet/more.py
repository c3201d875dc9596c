"""Networks and truths that are too large for the package: from a checkout, or fetched from a release.

A manifest in the package names every file with its size and SHA-256, so that a file that is not the right
one is never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from interpret_segmentation._files import write_whole
from interpret_segmentation._types import PathLike
from interpret_segmentation.testnet.scenes import VARIANTS, Variant

MANIFEST = Path(__file__).parent / "testnet_data.json"
"""Of every file: size in bytes and SHA-256."""

CHECKOUT = Path(__file__).parents[3] / "testnet-data"
"""Where the files are in a checkout of the repository."""

RELEASE = "https://github.com/andef4/interpret-segmentation/releases/download/testnet-data-1"

FOLDER_VARIABLE = "INTERPRET_SEGMENTATION_DATA"
"""Environment variable that names another folder for the files."""

TIMEOUT = 30
"""Seconds that a server may be silent."""


@dataclass(frozen=True)
class TestnetNetwork:
    """A network that has learnt a variant.

    Attributes:
        variants: Of the data set that it follows; it is judged on the first.
        shipped: It comes with the package; others with `download_data`.
    """

    __test__ = False  # the name starts like a test's

    variants: tuple[Variant, ...]
    shipped: bool = False

    @property
    def variant(self) -> Variant:
        """The one that it is judged on."""
        return self.variants[0]


NETWORKS: dict[str, TestnetNetwork] = {
    "plain": TestnetNetwork(("plain",), shipped=True),
    "moved": TestnetNetwork(("moved",), shipped=True),
    "textured": TestnetNetwork(("textured",), shipped=True),
    "distractors": TestnetNetwork(("distractors",), shipped=True),
    "shortcut": TestnetNetwork(("shortcut",), shipped=True),
    "moved_mirrored": TestnetNetwork(("moved",)),
    "moved_turned": TestnetNetwork(("moved",)),
    "required": TestnetNetwork(("required", "required_moved")),
    "required_mirrored": TestnetNetwork(("required", "required_moved")),
    "required_turned": TestnetNetwork(("required", "required_moved")),
    "photo": TestnetNetwork(("photo", "photo_moved")),
    "photo_mirrored": TestnetNetwork(("photo", "photo_moved")),
}
"""Every network by name. The first of a variant is called after it; the others look at other parts."""


def networks_of(variant: Variant) -> tuple[str, ...]:
    """The names of all networks that have learnt a variant, the one called after it first.

    Raises:
        ValueError: No such variant.

    Example:
        >>> networks_of("moved")
        ('moved', 'moved_mirrored', 'moved_turned')
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    return tuple(name for name, network in NETWORKS.items() if variant in network.variants)


def data_folder() -> Path:
    """Where downloads are kept: the folder that INTERPRET_SEGMENTATION_DATA names, or one of the user's."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "interpret-segmentation" / "testnet-data"


def find_data(name: str) -> Path:
    """The file of a name such as ``"networks/required.safetensors"``, in a checkout or downloaded.

    Raises:
        FileNotFoundError: It is in neither place.
    """
    for folder in (CHECKOUT, data_folder()):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"there is no {name} in {CHECKOUT} or {data_folder()}: it is too large for the package; fetch it "
        "with interpret_segmentation.testnet.download_data(), or examples/testnet/download.py in a checkout"
    )


def download_data(
    folder: PathLike | None = None, *, source: str | None = None, progress: bool = True
) -> Path:
    """Put networks and truths in place: copied from a checkout, else fetched from the release.

    Files that are there already and right stay. What comes is checked against the SHA-256 in the package,
    and a file is written whole or not at all.

    Args:
        folder: Where. None: where they are looked for.
        source: A folder or an address that holds the files. None: the checkout that this package runs from,
            else the release.
        progress: Show a progress bar.

    Returns:
        The folder.

    Raises:
        ConnectionError: The release cannot be reached, and there is no checkout.
        ValueError: A file that came is not the right one.
    """
    from tqdm.auto import tqdm

    into = data_folder() if folder is None else Path(folder)
    if into.exists() and not into.is_dir():
        raise ValueError(f"folder must be a folder, but {into} is a file")
    manifest: dict[str, dict[str, object]] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    for name, told in tqdm(manifest.items(), desc="Testnet data", unit="file", disable=not progress):
        path = into / name
        if path.is_file() and _digest(path) == told["sha256"]:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as unfinished:
            where = _bring(name, unfinished, source)
            if (got := _digest(unfinished)) != told["sha256"]:
                raise ValueError(
                    f"{where} is not the file that this version knows: its SHA-256 is {got[:12]}..., wanted "
                    f"{str(told['sha256'])[:12]}...; nothing was kept"
                )
    return into


def _bring(name: str, path: Path, source: str | None) -> str:
    """Copy or fetch one file to a path, and tell where from."""
    here = CHECKOUT / name if source is None else Path(source) / name
    if source is None or "://" not in source:
        if here.is_file():
            shutil.copyfile(here, path)
            return str(here)
        if source is not None:
            raise FileNotFoundError(f"there is no {here}")
    # A release has no folders.
    address = f"{(source or RELEASE).rstrip('/')}/{name.replace('/', '-')}"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ConnectionError(
            f"{address} cannot be fetched ({reason}), and there is no {CHECKOUT / name}; run this in a "
            "checkout of the repository, or pass source= with a folder that holds the files"
        ) from None
    return address


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
