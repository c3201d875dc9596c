"""What a RISE run measured, and the maps that are made from it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import AnyArray, FloatArray
from interpret_segmentation.data.inputs import as_positive, as_tensor
from interpret_segmentation.methods.rise.maps import Maps
from interpret_segmentation.methods.rise.score_table import ScoreTable
from interpret_segmentation.perturb.masks.grids import Grids, RandomMasks, RenderedMasks, as_share
from interpret_segmentation.results.checks import check_array
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.layers import Layer

LARGEST = 1000
"""Explained pixels whose maximum is a layer, at most; of more, some are passed over."""


class RISEResult(Explanation):
    """The scores of a RISE run; maps are made from them when asked for.

    The map of the explanation, ``saliency``, is the mean map.

    Attributes:
        progress: Show a progress bar when `max` takes more than two seconds.
    """

    kind: ClassVar[str] = "rise"

    progress: ClassVar[bool] = False

    def _check(self) -> None:
        super()._check()
        if np.ndim(self.measured["scores"]) != 2 or "standard_error" not in self.measured:
            raise ValueError("it has no scores of masks")
        if self.pixels is None or self.recipe is None or self.recipe.method.kind != self.kind:
            raise ValueError("it does not know which pixels it explains, or how")
        columns = 1 if self._scores_segments else int(np.count_nonzero(self.pixels))
        check_array(self.measured["scores"], "scores", (None, columns))
        check_array(self.standard_error, "standard_error", self.saliency.shape, least=0, most=np.inf)
        if not self.measured["scores"].size:
            raise ValueError("there must be a score of one mask at least, got none")
        if "cells" in self.measured:
            check_array(
                self.measured["cells"],
                "cells",
                (len(self.measured["scores"]), *[None] * self.saliency.ndim),
                kinds="b",
            )
            check_array(self.measured["shifts"], "shifts", (None, None), kinds="iu")
            self._grids()
        elif not isinstance(self._setting("masks"), str):
            raise ValueError("it has no masks")
        else:
            as_share(self._setting("p1"), "p1")

    def take_over(self, maps: Maps, *, progress: bool) -> None:
        """Go on with the masks and scores of the run, which need not be made again."""
        vars(self).update(_maps=maps, progress=progress)

    def estimated(self, estimator: str) -> RISEResult:
        """The same run with another estimator, ``"paper"`` or ``"centred"``."""
        assert self.recipe is not None
        maps = replace(self._maps, estimator=estimator)
        method = replace(self.recipe.method, estimator=estimator)  # type: ignore[call-arg]
        other = replace(self, saliency=maps.mean().numpy(), recipe=replace(self.recipe, method=method))
        other.take_over(maps, progress=self.progress)
        return other

    @cached_property
    def _maps(self) -> Maps:
        cpu = torch.device("cpu")
        return Maps(self._masks(), ScoreTable.of(self.measured["scores"]), self.estimator, self.reached, cpu)

    def _masks(self) -> RandomMasks:
        if "cells" in self.measured:
            return self._grids()
        # Opened when a map is asked for.
        rows, space = len(self.measured["scores"]), tuple(self.saliency.shape)
        return RenderedMasks(Path(self._setting("masks")), rows, space, self._setting("p1"))

    def _grids(self) -> Grids:
        cells, shifts = (np.asarray(self.measured[name]) for name in ("cells", "shifts"))
        space = tuple(self.saliency.shape)
        return Grids.checked(cells, shifts, space, self._setting("p1"), self._setting("seed"))

    def _setting(self, name: str) -> Any:
        return self.settings.get(name)

    def __repr__(self) -> str:
        return f"RISEResult({len(self.masks)} masks, {self.scores.columns} explained pixels)"

    @property
    def masks(self) -> RandomMasks:
        """The masks that the image was multiplied with."""
        return self._maps.masks

    @property
    def scores(self) -> ScoreTable:
        """The probability of every explained pixel under every mask, ``[N, P]``.

        The pixels in the order of ``numpy.argwhere(pixels)``. With a ``score`` of segments one number for
        each mask.
        """
        return self._maps.scores

    @property
    def device(self) -> torch.device:
        """Where maps are computed."""
        return self._maps.device

    @property
    def estimator(self) -> str:
        """How scores become maps, ``"paper"`` or ``"centred"``; see `interpret_segmentation.rise`."""
        return str(self._setting("estimator"))

    @property
    def _scores_segments(self) -> bool:
        """Whether there is one number for each mask, and not one for each explained pixel."""
        return self._setting("score") is not None

    @property
    def standard_error(self) -> FloatArray:
        """Of each pixel of the mean map, float32 ``[*space]``, in its unit.

        How far it is likely to be from what infinitely many masks would give.
        """
        error: FloatArray = self.measured["standard_error"]
        return error

    def layers(self) -> tuple[Layer, ...]:
        """The mean map, where pixels have maps of their own the largest of them, and the standard error."""
        first, *others = super().layers()
        layers = [
            Layer(first.name, first.meaning, first.unit, first.values, first.signed,
                  "mean of the segment's pixels"),
            *others,
        ]  # fmt: skip
        if not self._scores_segments:
            stride = max(1, int(np.ceil((self.scores.columns / LARGEST) ** (1 / self.saliency.ndim))))
            some = "" if stride == 1 else f", one of {stride} along each side"
            meaning = f"{self.meaning}, of the pixel that gains most{some}"
            largest = self.max(stride).numpy()
            layers.append(Layer("max", meaning, self.unit, largest, self.signed, "maximum"))
        meaning = f"standard error of the {self.meaning}"
        layers.append(Layer("error", meaning, self.unit, self.standard_error, title="standard error"))
        return tuple(layers)

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
        return self._maps.largest(chosen, progress=self.progress)

    def mean(self) -> Tensor:
        """Merge the maps of all explained pixels by their mean.

        Returns:
            Float32 ``[*space]`` on the CPU: with the estimator of the paper the expected mean probability of
            the explained pixels, given that this input pixel is kept; centred, what of it is above the mean.
        """
        return self._maps.mean()

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
        return self._maps.of_column(index)

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
        return self._maps.of_columns(columns)

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
