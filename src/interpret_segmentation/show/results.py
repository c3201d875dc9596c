"""Finds saved results, and reads them for a report or the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interpret_segmentation._warnings import warn
from interpret_segmentation.results.channels import ChannelExplanations
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.storage import check_file
from interpret_segmentation.show.reports.content import Entry

ENDING = ".safetensors"


@dataclass(frozen=True)
class Saved:
    """The results of one image.

    Attributes:
        name: Of the image: what the names of the files have in common.
        files: One for each result.
    """

    name: str
    files: Sequence[Path]

    def entries(self, failed: list[str] | None = None) -> list[Entry]:
        """The explanations in the files; of a file with a map for each channel, all of them.

        Args:
            failed: Where to note which files cannot be read, and why, so that the others are. None: that is
                an error.

        Raises:
            FileNotFoundError: A file is gone.
            ValueError: A file is damaged, or none of ours.
        """
        entries = []
        for file in self.files:
            try:
                maps = load(file)
            except (OSError, ValueError) as error:
                note(failed, error)
                continue
            if isinstance(maps, Explanation):
                entries.append(Entry(maps, self.name, file=file.name))
                continue
            for channel, one in zip(maps.names, maps.explanations, strict=True):
                entries.append(Entry(one, self.name, f"{one.method}, channel {channel}", file=file.name))
        return entries


def load(file: Path) -> Explanation | ChannelExplanations:
    """What a file holds: one map, or one for each channel."""
    try:
        return Explanation.load(file)
    except ValueError as error:
        try:
            return ChannelExplanations.load(file)
        except ValueError:
            raise error from None


def note(failed: list[str] | None, error: Exception) -> None:
    """Add to a list what has failed, once; where there is no list, raise it."""
    if failed is None:
        raise error
    reason = " ".join(str(error).split()) or type(error).__name__
    if reason not in failed:
        failed.append(reason)


def find_results(paths: Sequence[Path], failed: list[str] | None = None) -> list[Saved]:
    """The results in files and folders, those of one image together, in the order of their names.

    ``cell.hdm.safetensors`` and ``cell.rise.safetensors`` belong to the image ``cell``. Files in a folder
    that are no results, or cut off, are left out with a warning.

    Args:
        paths: Files and folders.
        failed: Where to note what is not there, none of ours or cut off, so that the others are found. None:
            that is an error, or in a folder a warning.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: A file that is no result, or a folder without results.
    """
    files: list[Path] = []
    for path in paths:
        files += _files_at(path, failed)
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file in dict.fromkeys(files):
        stem = file.stem
        groups.setdefault((file.parent, stem.rpartition(".")[0] or stem), []).append(file)
    return [Saved(name, group) for (_, name), group in groups.items()]


def _files_at(path: Path, failed: list[str] | None) -> list[Path]:
    try:
        if path.is_dir():
            files = [file for file in sorted(path.glob(f"*{ENDING}")) if _is_result(file, failed)]
            if not files:
                raise ValueError(f"the folder {path} has no results (*{ENDING})")
            return files
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {path}")
        check_file(path)
    except (OSError, ValueError) as error:
        note(failed, error)
        return []
    return [path]


def _is_result(file: Path, failed: list[str] | None) -> bool:
    try:
        check_file(file)
    except (OSError, ValueError) as error:
        if failed is None:
            warn(f"left out: {error}")
        else:
            note(failed, error)
        return False
    return True
