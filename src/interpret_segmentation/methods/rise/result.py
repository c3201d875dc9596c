"""What a RISE run measured, and the maps that are made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from interpret_segmentation._types import AnyArray, FloatArray
from interpret_segmentation.data.inputs import as_positive, as_tensor
from interpret_segmentation.methods.rise.score_table import ScoreTable
from interpret_segmentation.perturb.masks.grids import BUDGET, Grids, Masks, RenderedMasks
from interpret_segmentation.results.explanation import Explanation

COLUMNS = 4096
"""Explained pixels whose scores are read at one time."""


class RISEResult(Explanation):
    """The scores of a RISE run; maps are made from them when asked for.

    The map of the explanation, ``saliency``, is the mean map.

    Attributes:
        masks: The masks that the image was multiplied with.
        scores: The probability of every explained pixel under every mask, ``[N, P]``; the pixels in the
            order of ``numpy.argwhere(pixels)``. With a ``score`` of segments one number for each mask.
        standard_error: Of each pixel of the mean map, float32 ``[*space]``: how far it is likely to be
            from what infinitely many masks would give.
        estimator: ``"paper"`` or ``"centred"``; see `interpret_segmentation.methods.rise.method`.
        device: Where maps are computed.
        progress: Show a progress bar when `max` takes more than two seconds.
    """

    kind: ClassVar[str] = "rise"

    masks: Masks
    scores: ScoreTable
    device: torch.device
    progress: bool

    def __init__(
        self, masks: Masks, scores: ScoreTable, *, device: torch.device | None = None, progress: bool = False,
        **record: Any,
    ) -> None:  # fmt: skip
        own = {
            "masks": masks,
            "scores": scores,
            "device": device or torch.device("cpu"),
            "progress": progress,
        }
        # The mean map, which becomes the saliency, needs some of the record before it is complete.
        for name, value in (own | record).items():
            object.__setattr__(self, name, value)
        saliency = record.pop("saliency", None)
        saliency = self.mean().numpy() if saliency is None else saliency
        super().__init__(saliency=saliency, **record)

    @classmethod
    def _from_fields(cls, values: dict[str, Any]) -> RISEResult:
        measured, settings = values["measured"], values["settings"]
        table = ScoreTable.of(measured["scores"])
        masks: Masks
        if "cells" in measured:
            space = tuple(values["saliency"].shape)
            masks = Grids(
                torch.from_numpy(np.array(measured["cells"])),
                torch.from_numpy(np.array(measured["shifts"])),
                space,
                settings["p1"],
                settings["seed"],
            )
        else:  # opened when a map is asked for
            path, space = Path(settings["masks"]), tuple(values["saliency"].shape)
            masks = RenderedMasks(path, table.rows, space, settings["p1"])
        return cls(masks, table, **values)

    def __repr__(self) -> str:
        return f"RISEResult({len(self.masks)} masks, {self.scores.columns} explained pixels)"

    @property
    def estimator(self) -> str:
        """How scores become maps: ``"paper"`` or ``"centred"``."""
        return str(self.settings["estimator"])

    @property
    def _scores_segments(self) -> bool:
        """Whether there is one number for each mask, and not one for each explained pixel."""
        return self.settings.get("score") is not None

    @property
    def standard_error(self) -> FloatArray:
        """Of each pixel of the mean map, float32 ``[*space]``, in its unit."""
        error: FloatArray = self.measured["standard_error"]
        return error

    def max(self, stride: int = 1) -> Tensor:
        """Merge the maps of all explained pixels by their maximum.

        Args:
            stride: Above 1 only some of the explained pixels take part, about one of ``stride ** 2`` (one of
                ``stride ** 3`` in a volume), which is that much faster, and a lower bound of the map. Of
                every block of ``stride`` pixels along each axis, counted from the image's first pixel, it is
                the first explained one in reading order: in a full block the one whose row and column are
                multiples of ``stride``; and no part of a thin segment is passed over.

        Returns:
            Float32 ``[*space]`` on the CPU: the value for the pixel that gains most when this input pixel is
            kept.

        Raises:
            TypeError: stride is not a whole number.
            ValueError: stride is below 1.
        """
        stride = as_positive(stride, "stride")
        chosen = np.zeros(1, dtype=np.int64) if self._scores_segments else self._first_of_each_block(stride)
        chunk = max(1, BUDGET // (32 * len(self.masks)))
        merged = torch.full(self.masks.space, -torch.inf, device=self.device)
        with tqdm(
            total=len(chosen), desc="RISE maximum", unit="pixel", delay=2, disable=not self.progress
        ) as bar:
            for columns in np.split(chosen, range(chunk, len(chosen), chunk)):
                largest = self.masks.largest(self._weights(self.scores.read(columns)))
                merged = torch.maximum(merged, largest)
                bar.update(len(columns))
        kept = self.masks.combine(torch.ones(1, len(self.masks), device=self.device))
        return self._map(merged, kept[0]).cpu()

    def mean(self) -> Tensor:
        """Merge the maps of all explained pixels by their mean.

        Returns:
            Float32 ``[*space]`` on the CPU: with the estimator of the paper the expected mean probability of
            the explained pixels, given that this input pixel is kept; centred, what of it is above the mean.
        """
        return self._map_of(self.scores.row_means).cpu()

    def pixel(self, *at: int) -> Tensor:
        """The map of one output pixel.

        Args:
            *at: Row and column; depth, row and column in a volume.

        Returns:
            Float32 ``[*space]`` on the CPU.

        Raises:
            IndexError: The pixel was not explained, or segments were compared as a whole.
        """
        assert self.pixels is not None
        self._check_pixels()
        space = self.pixels.shape
        inside = len(at) == len(space) and all(
            value in range(side) for value, side in zip(at, space, strict=True)
        )
        place = tuple(int(value) for value in at) if inside else ()
        if not inside or not self.pixels[place]:
            raise IndexError(
                f"pixel {at} is not among the {self.scores.columns} explained pixels; "
                "run the explainer with a target= that includes it"
            )
        index = int(np.count_nonzero(self.pixels.ravel()[: np.ravel_multi_index(place, space)]))
        return self._map_of(self.scores.read(np.array([index]))[:, 0]).cpu()

    def region(self, region: AnyArray) -> Tensor:
        """The mean of the maps of some explained pixels.

        Args:
            region: ``[*space]`` of 0 and 1; pixels in it that were not explained do not count.

        Returns:
            Float32 ``[*space]`` on the CPU.

        Raises:
            ValueError: Another size than the image's.
            IndexError: No pixel in it was explained, or segments were compared as a whole.
        """
        assert self.pixels is not None
        self._check_pixels()
        chosen = np.asarray(as_tensor(region, "region").detach().cpu()) > 0
        if chosen.shape != self.pixels.shape:
            raise ValueError(f"region must be {self.pixels.shape} as the image is, got {chosen.shape}")
        columns = np.flatnonzero(chosen[self.pixels])
        if not len(columns):
            raise IndexError(f"none of the {np.count_nonzero(chosen)} pixels of the region was explained")
        scores = [
            self.scores.read(part).sum(axis=1, dtype=np.float64)
            for part in np.split(columns, range(COLUMNS, len(columns), COLUMNS))
        ]
        return self._map_of((np.sum(scores, axis=0) / len(columns)).astype(np.float32)).cpu()

    def _check_pixels(self) -> None:
        if self._scores_segments:
            raise IndexError(
                "segments were compared as a whole (score=), so that no pixel has a map of its own; explain "
                "again without score="
            )

    def _first_of_each_block(self, stride: int) -> NDArray[np.int64]:
        """Which explained pixels take part."""
        assert self.pixels is not None
        blocks = [axis // stride for axis in np.nonzero(self.pixels)]
        numbers = np.ravel_multi_index(blocks, self.pixels.shape)
        return np.sort(np.unique(numbers, return_index=True)[1])

    def _map_of(self, scores: FloatArray) -> Tensor:
        """The map for scores ``[N]``."""
        weights = self._weights(scores[:, None])
        total, kept = self.masks.combine(torch.cat([weights, torch.ones_like(weights)]))
        return self._map(total, kept)

    def _weights(self, scores: FloatArray) -> Tensor:
        """What is summed up over the masks, for scores ``[N, p]``: their distance to a middle, ``[p, N]``."""
        middle = scores.mean(axis=0, dtype=np.float64) if self.estimator == "centred" else self._middle
        left = np.empty(scores.shape, dtype=np.float32)
        np.subtract(scores, middle, out=left, dtype=np.float64, casting="same_kind")
        return torch.from_numpy(left).to(self.device).T

    @property
    def _middle(self) -> float:
        """What is taken off the scores of all pixels alike: sums of what is left lose far fewer digits."""
        return float(self.scores.row_means.mean(dtype=np.float64))

    def _map(self, total: Tensor, kept: Tensor) -> Tensor:
        """The map for the weighted and the plain sum of the masks."""
        if self.estimator == "paper":
            values = (total + self._middle * kept) / (len(self.masks) * self.masks.expected_value)
        else:
            values = torch.where(kept > 0, total / kept, torch.zeros_like(kept))
        if self.reached is None or self.reached.all():
            return values
        return values * torch.from_numpy(self.reached.copy()).to(self.device)
