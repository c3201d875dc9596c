"""How a model file is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

Shape = tuple[int | None, ...]

WAY_OUT = (
    "save the network as TorchScript, with torch.export or as ONNX, or write a function that builds it and "
    "loads its weights with torch.load(path, weights_only=True), and pass 'package.module:function'"
)


MOST_TEXT = 64 * 2**20
"""Bytes of code or description that an archive may hold; those of real networks are a few million."""


def check_texts(path: Path, ending: str) -> None:
    """See, by the table of contents alone, that what is read of an archive as text is not absurdly large.

    Raises:
        ValueError: It is, or two entries have one name, of which each reader might take another.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError(f"{path} is damaged: two of its entries have one name; save or copy the model again")
    size = sum(entry.file_size for entry in entries if entry.filename.endswith(ending))
    if size > MOST_TEXT:
        raise ValueError(
            f"{path} is refused: the texts in it ({ending}) take {size / 2**20:,.0f} MiB, which is more than "
            f"the {MOST_TEXT / 2**20:.0f} MiB that is read of any network; export the model again"
        )


def damaged(path: Path, kind: str, error: Exception) -> ValueError:
    """The error for a file that cannot be opened."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ValueError(
        f"{path} cannot be opened as {kind}: {reason}; export the model again with this PyTorch"
    )


def only_input(names: list[str]) -> str:
    """The one input of a model; a ValueError when it takes more."""
    if len(names) != 1:
        raise ValueError(
            f"the model must take one tensor of images, but it takes {len(names)}: {', '.join(names)}; "
            "export it with the others fixed"
        )
    return names[0]
