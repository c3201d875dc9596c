"""Which channel matters: the maps of all channels of one image, on one scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from interpret_segmentation._types import FloatArray, PathLike
from interpret_segmentation.results import doors, storage
from interpret_segmentation.results.explanation import Explanation, as_explanation

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


def check_names(names: tuple[str, ...], count: int) -> None:
    """Raise a ValueError unless there is one name for each channel."""
    if len(names) != count:
        raise ValueError(f"there are {count} channels, but {len(names)} names")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a channel's name must be text, got {name!r}")
        if names.count(name) > 1:
            raise ValueError(f"every channel must have a name of its own, but {name!r} comes twice")


@dataclass(frozen=True)
class ChannelExplanations:
    """One explanation for each channel, that channel alone hidden.

    Attributes:
        explanations: In the order of the channels.
        names: Of the channels.
    """

    explanations: tuple[Explanation, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        check_names(self.names, len(self.explanations))
        sizes = {explanation.saliency.shape for explanation in self.explanations}
        if len(sizes) != 1:
            found = " and ".join(map(str, sorted(sizes))) or "none"
            raise ValueError(f"there must be one map or more, all of one size, got {found}")

    def __len__(self) -> int:
        return len(self.explanations)

    def __getitem__(self, channel: int) -> Explanation:
        return self.explanations[channel]

    @property
    def saliency(self) -> FloatArray:
        """All maps, ``[C, *space]``, in one unit and so on one scale."""
        return np.stack([explanation.saliency for explanation in self.explanations])

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known before believing the maps, each with its channel."""
        pairs = zip(self.names, self.explanations, strict=True)
        return tuple(f"{name}: {note}" for name, one in pairs for note in one.notes)

    @property
    def importance(self) -> dict[str, float]:
        """The strongest value of each channel's map, whatever its sign, by name."""
        return {
            name: float(np.abs(explanation.saliency).max())
            for name, explanation in zip(self.names, self.explanations, strict=True)
        }

    def plot(
        self,
        *,
        figsize: tuple[float, float] | None = None,
        color_map: str | Colormap | None = None,
        limits: tuple[float, float] | None = None,
        depth: int | None = None,
        outline: bool = True,
    ) -> Figure:
        """Draw the maps side by side with one colour bar. See `interpret_segmentation.show.plot_channels`."""
        return doors.plot_channels(
            self, figsize=figsize, color_map=color_map, limits=limits, depth=depth, outline=outline
        )

    def save(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write everything to one file, as `Explanation.save` does."""
        parts = [{"kind": one.kind, "data": one.data()} for one in self.explanations]
        data = {"names": list(self.names), "channels": parts}
        return storage.write(path, "channels", data, overwrite=overwrite)

    @staticmethod
    def load(path: PathLike) -> ChannelExplanations:
        """Read what `save` wrote, as `Explanation.load` does."""
        return storage.read(path, _as_channels)


def _as_channels(kind: str, data: Any) -> ChannelExplanations:
    if kind != "channels":
        raise storage.OtherKindError("holds one map; load it with Explanation.load")
    parts = tuple(as_explanation(part["kind"], part["data"]) for part in data["channels"])
    return ChannelExplanations(parts, tuple(data["names"]))
