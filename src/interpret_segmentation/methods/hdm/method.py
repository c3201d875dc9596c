"""Hausdorff Distance Masks: hide a circle, segment again, measure how far the segment moved.

A filled circle walks over the image. For each position the network segments the image with the circle
hidden, and the distance between that segment and the ground truth becomes the value of the position:

    value(r, c) = d(network(image with circle (r, c) hidden), segment)

From the author's thesis, https://github.com/andef4/thesis-doc/releases/download/release/thesis.pdf. It is
`Occlusion` with black circles and a Hausdorff distance; its picture, the circle map, has the largest on top.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import matplotlib
import numpy as np
import torch
from matplotlib.colors import Colormap
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from interpret_segmentation._settings import Setting
from interpret_segmentation._types import AnyArray, FloatArray
from interpret_segmentation.data.inputs import as_positive, as_tensor
from interpret_segmentation.inference.case import Case, answered
from interpret_segmentation.inference.measure import measured
from interpret_segmentation.models.network import Model, SegmentationModel
from interpret_segmentation.perturb.fills.simple import Constant
from interpret_segmentation.perturb.hiding import Hiding
from interpret_segmentation.perturb.masks.windows import Windows, merged, suitable_offset, suitable_size
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.hidden_segments import Turned
from interpret_segmentation.scores.registry import SCORES, Distance, Reference, Score, as_score
from interpret_segmentation.targets.objective import THRESHOLD, Prediction
from interpret_segmentation.targets.targets import AnyTarget, Region

__all__ = ["BETTER_ONLY", "HDM", "RAW", "WORSE_ONLY", "HDMResult", "HausdorffDistanceMasks", "ResultType"]


DISTANCES = tuple(name for name, score in SCORES.items() if not score.higher_is_better)
"""The scores that HDM can measure, by name."""


class ResultType(IntEnum):
    """What `HDMResult` shows; each member is also a name of this module."""

    RAW = 1
    """The distances as they are."""
    BETTER_ONLY = 2
    """How much the circle improved the output: baseline - distance, where positive, else 0."""
    WORSE_ONLY = 3
    """How much the circle harmed the output: distance - baseline, where positive, else 0."""


RAW = ResultType.RAW
BETTER_ONLY = ResultType.BETTER_ONLY
WORSE_ONLY = ResultType.WORSE_ONLY


class HDMResult(Explanation):
    """The distance for every position of the circle.

    The map of the explanation, ``saliency``, is the distance above the baseline, or for an error below it;
    where circles overlap, their mean. `painted` and `circle_map` have the largest on top instead.

    Args:
        distances: One distance for each position, ``[rows, columns]``.
        baseline: The distance without any circle.
        image_width: Columns of the image.
        image_height: Rows of the image.
        circle_size: Diameter of the circle in pixels.
        offset: Pixels from one position to the next.

    Example:
        >>> from interpret_segmentation import hdm
        >>> result = hdm.HDMResult([[1.0, 3.0], [4.0, 5.0]], baseline=2.5, image_width=10, image_height=10,
        ...                        circle_size=5, offset=5)
        >>> result.distances(hdm.WORSE_ONLY)
        array([[0. , 0.5],
               [1.5, 2.5]])
    """

    kind: ClassVar[str] = "hdm"

    baseline: float
    circles: Windows

    def __init__(
        self,
        distances: AnyArray,
        baseline: float,
        image_width: int,
        image_height: int,
        circle_size: int,
        offset: int,
    ) -> None:
        space = (as_positive(image_height, "image_height"), as_positive(image_width, "image_width"))
        circles = Windows(space, as_positive(circle_size, "circle_size"), as_positive(offset, "offset"))
        self._fill(np.array(distances, dtype=float), baseline, circles)

    @classmethod
    def of(
        cls,
        distances: FloatArray,
        baseline: float,
        circles: Windows,
        support: FloatArray | None = None,
        turned: Mapping[str, AnyArray] | None = None,
        **record: Any,
    ) -> HDMResult:
        """A result for an image or a volume, with all that an explanation knows of its making.

        Args:
            distances: One distance for each position.
            baseline: The distance without any circle.
            circles: The positions.
            support: What is painted as the map. None: the distances above the baseline.
            turned: How the segments looked; see `Turned.arrays`.
            **record: The other parts of an `Explanation`.
        """
        result = cls.__new__(cls)
        result._fill(distances, baseline, circles, support, turned, **record)
        return result

    @classmethod
    def _from_fields(cls, values: dict[str, Any]) -> HDMResult:
        measured = values["measured"]
        circles = Windows(
            tuple(values["saliency"].shape),
            as_positive(measured["circle_size"], "circle_size"),
            as_positive(measured["offset"], "offset"),
        )
        distances, baseline = measured["distances"], measured["baseline"]
        del values["measured"]
        turned = {name: measured[name] for name in ("turned", "turned_until") if name in measured}
        return cls.of(distances, baseline, circles, turned=turned, **values)

    def _fill(
        self,
        distances: FloatArray,
        baseline: float,
        circles: Windows,
        support: FloatArray | None = None,
        turned: Mapping[str, AnyArray] | None = None,
        **record: Any,
    ) -> None:
        baseline = float(baseline)
        if distances.ndim != len(circles.space) or not distances.size:
            raise ValueError(f"distances must be rows x columns, got shape {distances.shape}")
        if not (np.isfinite(distances).all() and math.isfinite(baseline)):
            raise ValueError("distances and baseline must be finite numbers, got NaN or infinity")
        object.__setattr__(self, "baseline", baseline)
        object.__setattr__(self, "circles", circles)
        fits = all(have <= most for have, most in zip(distances.shape, circles.grid, strict=True))
        support = distances - baseline if support is None else support
        painted = np.full(circles.space, np.nan)
        if fits:
            painted = merged(circles, support.ravel(), self._numbers(distances.shape), "mean")
        record.setdefault("method", "hdm")
        record.setdefault("meaning", "growth of Hausdorff distance when hidden")
        record.setdefault("unit", "pixels")
        record.setdefault("saliency", np.nan_to_num(painted, nan=0))
        record.setdefault("reached", ~np.isnan(painted))
        super().__init__(
            measured={
                "distances": distances,
                "baseline": baseline,
                "circle_size": circles.size,
                "offset": circles.offset,
                **(turned or {}),
            },
            **record,
        )

    def distances(self, result_type: ResultType | int) -> FloatArray:
        """The distances, one for each position of the circle.

        Args:
            result_type: ``hdm.RAW`` for the distances as they are; ``hdm.BETTER_ONLY`` for how much
                smaller than the baseline they are, 0 where they are not; ``hdm.WORSE_ONLY`` for how much
                larger.

        Returns:
            Float ``[rows, columns]``, in the unit of the distance: pixels, unless another was chosen.

        Raises:
            ValueError: Unknown result type.
        """
        changes: dict[int, FloatArray] = {
            RAW: self._raw,
            BETTER_ONLY: (self.baseline - self._raw).clip(0),
            WORSE_ONLY: (self._raw - self.baseline).clip(0),
        }
        if result_type not in changes:
            raise ValueError(
                f"result_type must be hdm.RAW, hdm.BETTER_ONLY or hdm.WORSE_ONLY, got {result_type!r}"
            )
        distances: FloatArray = changes[result_type].copy()
        return distances

    @property
    def _raw(self) -> FloatArray:
        distances: FloatArray = self.measured["distances"]
        return distances

    def __repr__(self) -> str:
        positions = " x ".join(map(str, self._raw.shape))
        return f"HDMResult({positions} distances, baseline {self.baseline:g}, {self.circles})"

    def painted(self, result_type: ResultType | int) -> FloatArray:
        """The distances painted onto the image: each pixel has the largest among the circles that cover it.

        Args:
            result_type: As for `distances`.

        Returns:
            Float ``[*space]``; NaN where no circle reaches.

        Raises:
            ValueError: Unknown result type, or more distances than positions.
        """
        return self._spread(self.distances(result_type))

    def _spread(self, values: FloatArray) -> FloatArray:
        if any(have > most for have, most in zip(values.shape, self.circles.grid, strict=True)):
            have, most = (" x ".join(map(str, shape)) for shape in (values.shape, self.circles.grid))
            raise ValueError(
                f"there are {have} distances, but the image has only {most} positions of a circle"
            )
        return self.circles.spread(values.ravel(), self._numbers(values.shape), "max")

    def _numbers(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """The numbers of the circles that a matrix of distances is of."""
        numbers = np.arange(len(self.circles)).reshape(self.circles.grid)
        return numbers[tuple(slice(0, count) for count in shape)].ravel()

    def circle_map(self, result_type: ResultType | int, color_map: str | Colormap = "Reds") -> Image.Image:
        """The picture of the method: every circle, drawn in the colour of its distance.

        Where circles overlap, the largest distance is on top. The colours run from the smallest to the
        largest distance; when all are equal, every circle has the first colour. Pixels that no circle
        reaches are black.

        Args:
            result_type: As for `distances`.
            color_map: A Matplotlib colour map or its name.

        Returns:
            RGB picture of the image's size.

        Raises:
            ValueError: Unknown result type or colour map, or a volume, which has no one picture.
        """
        if len(self.circles.space) != 2:
            raise ValueError(
                "a volume has no circle map; painted(kind) gives its values, plot() shows a slice"
            )
        if not isinstance(color_map, Colormap) and color_map not in matplotlib.colormaps:
            raise ValueError(
                f"{color_map!r} is not a Matplotlib colour map; try 'Reds', 'Blues' or 'viridis' "
                "(list(matplotlib.colormaps) names all)"
            )
        colors = matplotlib.colormaps.get_cmap(color_map)
        values = self.distances(result_type)
        scaled = values - values.min()
        if scaled.max() > 0:
            scaled /= scaled.max()
        spread = self._spread(scaled)
        rgb = (colors(spread)[..., :3] * 255).astype(np.uint8)
        rgb[np.isnan(spread)] = 0
        return Image.fromarray(rgb)


class HausdorffDistanceMasks:
    """Explain a segmentation by hiding circles and measuring how far the segment moves.

    Args:
        image_width: Columns of the images to explain.
        image_height: Rows of the images to explain.
        distance: What is measured between the network's output and the segment. ``"hausdorff"``: the
            Hausdorff distance in pixels, the output thresholded at 0.5; 0 when both are empty, the
            image's diagonal when one is. ``"hausdorff95"``, ``"surface_distance"``, ``"mse"``, ``"mae"``,
            ``"hausdorff_graded"``, ``"hausdorff_levels"``: see `Occlusion`. ``"hausdorff_of_rows"``: what
            release 1.0.0 measured. Or a function of (output, segment), two float arrays ``[H, W]`` from 0 to
            1, that returns a number.

    Raises:
        ValueError: A size that is not positive, an unknown distance.

    Example:
        >>> import torch
        >>> from interpret_segmentation import hdm
        >>> image = torch.zeros(30, 40)
        >>> image[10:20, 10:20] = 1
        >>> explainer = hdm.HausdorffDistanceMasks(40, 30)
        >>> explainer.generate_masks(circle_size=8, offset=5)
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> result = explainer.explain(brightness, image, image, "cpu", progress=False)
        >>> result.distances(hdm.WORSE_ONLY).shape
        (6, 8)
    """

    def __init__(
        self, image_width: int, image_height: int, *, distance: str | Distance | Score = "hausdorff"
    ) -> None:
        self.width = as_positive(image_width, "image_width")
        self.height = as_positive(image_height, "image_height")
        self.distance = _as_distance(distance)
        self._circles: Windows | None = None
        self._normalize = False
        self._channel: int | None = None

    def generate_masks(self, circle_size: int, offset: int, normalize: bool = False) -> None:
        """Choose the circles. A circle_size of 15 to 25 and an offset of 5 suit an image of 240 x 240 pixels.

        Args:
            circle_size: Diameter of the circles in pixels.
            offset: Pixels from one circle to the next. Circles start at every multiple of it inside the
                image, so ``ceil(height / offset)`` rows of ``ceil(width / offset)`` circles.
            normalize: For images normalised with mean 0.5 and standard deviation 0.5: black is -1
                instead of 0.

        Raises:
            TypeError: A size that is no whole number.
            ValueError: A size that is not positive.
        """
        size, offset = as_positive(circle_size, "circle_size"), as_positive(offset, "offset")
        self._circles = Windows((self.height, self.width), size, offset)
        self._normalize = bool(normalize)

    @property
    def circles(self) -> Windows:
        """The circles that `generate_masks` chose."""
        if self._circles is None:
            raise RuntimeError("there are no masks yet; call generate_masks(circle_size, offset) first")
        return self._circles

    @property
    def _black(self) -> float:
        return -1.0 if self._normalize else 0.0

    def mask(self, row: int, column: int) -> FloatArray:
        """The mask of one position, float32 ``[H, W]``: 1 outside the circle, black inside.

        Raises:
            IndexError: There is no such position.
        """
        rows, columns = self.circles.grid
        if row not in range(rows) or column not in range(columns):
            raise IndexError(
                f"there are {rows} rows and {columns} columns of circles, so none at ({row}, {column})"
            )
        number = int(row) * columns + int(column)
        mask: FloatArray = self._masks(number, number + 1)[0]
        return mask

    def _masks(self, first: int, last: int) -> FloatArray:
        hidden = self.circles.hidden(np.arange(first, last)).numpy()
        masks: FloatArray = np.where(hidden, np.float32(self._black), np.float32(1))
        return masks

    def explain(
        self,
        model: Model | SegmentationModel,
        image: AnyArray,
        segment: AnyArray | None = None,
        device: torch.device | str | None = None,
        channel: int = -1,
        *,
        target: AnyTarget = None,
        batch_size: int | None = None,
        progress: bool = True,
    ) -> HDMResult:
        """Explain one image.

        Args:
            model: The network: a PyTorch module, or whatever else `SegmentationModel` takes. It is put in
                evaluation mode for the run and given back as it was.
            image: ``[H, W]``, ``[C, H, W]`` or ``[1, C, H, W]``; tensor or NumPy array.
            segment: The ground truth, ``[H, W]`` of 0 and 1, or labels for several classes. None compares
                with the network's own output for the unmasked image.
            device: Where the model is. None: wherever it is.
            channel: Channel that the circle hides, -1 for all.
            target: What is explained; see `as_target`. None: the largest segment.
            batch_size: Images asked at once. None: what suits the device and the image's size.
            progress: Show a progress bar.

        Returns:
            A distance for every position of the circle.

        Raises:
            RuntimeError: `generate_masks` was not called.
            ValueError: Image, segment, channel or device do not fit; the model's output is no
                segmentation of the image.
        """
        circles = self.circles
        return answered(
            lambda case: self.run(case, channel),
            model if isinstance(model, SegmentationModel) else SegmentationModel(model, device=device),
            image,
            target,
            segment,
            space=circles.space,
            reference_name="segment",
            batch_size=batch_size,
            progress=progress,
        )

    def of_channel(self, channel: int | None) -> HausdorffDistanceMasks:
        """The same explainer, hiding one channel only when `explain` uses it as a method."""
        other = copy(self)
        other._channel = channel
        return other

    def run(self, case: Case, channel: int | None = None) -> HDMResult:
        """Hide, ask and measure, for a case that is open."""
        circles = self.circles
        channel = self._channel if channel is None else channel
        if circles.space != case.space:
            raise ValueError(
                f"the explainer was built for images of {circles.space} pixels, this one has {case.space}"
            )
        channels = case.channels(channel)
        if self._overrides("apply_mask"):
            variations = self._applying(case.pixels, channels)
        else:
            variations = Hiding(
                circles, np.arange(len(circles)), case.pixels, Constant(self._black), channels
            )
        score = self._score()
        turned = Turned(case.segment, len(circles))
        baseline, distances = measured(
            case, variations, len(circles), score, case.reference(), name="HDM", turned=turned
        )
        support, meaning = score.support(baseline, distances, case.question)
        return HDMResult.of(
            distances.reshape(circles.grid),
            baseline,
            circles,
            support,
            meaning=meaning,
            unit=score.unit,
            turned=turned.arrays(),
            **case.record("hdm", self._settings(channel)),
        )

    def apply_mask(self, image: FloatArray, mask: FloatArray) -> AnyArray:
        """Hide part of one channel; override it to hide with something else than black.

        By default the circle takes the mask's value, which is black; outside, the image stays as it is,
        whatever its range of values.

        Args:
            image: One channel of the image, float32 ``[H, W]``; a copy that may be changed.
            mask: 1 outside the circle; inside 0, or -1 when normalised. Float32 ``[H, W]``.

        Returns:
            The channel with the circle hidden, ``[H, W]``; array or tensor.
        """
        return np.where(mask < 1, mask, image)

    def calculate_distance(self, output: FloatArray, segment: FloatArray) -> float:
        """Measure how far an output is from the segment; override it to measure something else.

        Args:
            output: The network's probabilities for one image, float32 ``[H, W]``.
            segment: The ground truth, float32 ``[H, W]`` of 0 and 1; when none was given, the network's
                probabilities for the unmasked image.

        Returns:
            The distance that the constructor's ``distance`` names.
        """
        measure = as_score(self.distance).prepare(_reference_of(segment))
        return float(measure(output, output > THRESHOLD))

    def _score(self) -> Score:
        """How distances are measured: by name, unless `calculate_distance` is overridden."""
        return as_score(self.calculate_distance if self._overrides("calculate_distance") else self.distance)

    def _settings(self, channel: int | None) -> dict[str, Any]:
        """What `explain` needs to do the same; a class of the user's own is a function to it."""
        if type(self) is not HausdorffDistanceMasks or self._overrides("apply_mask"):
            return {"method": self} | ({} if channel in (None, -1) else {"channel": channel})
        return {
            "circle_size": self.circles.size,
            "offset": self.circles.offset,
            "normalize": self._normalize,
            "distance": self._score() if self._overrides("calculate_distance") else self.distance,
            "channel": channel,
        }

    def _applying(self, pixels: Tensor, channels: slice) -> Callable[[int, int], Tensor]:
        """Copies of the image, masked by the user's own `apply_mask`."""

        def variations(first: int, last: int) -> Tensor:
            batch = pixels.repeat(last - first, 1, 1, 1)
            for image, mask in zip(batch, self._masks(first, last), strict=True):
                for plane in image[channels]:
                    plane.copy_(self._applied(plane, mask))
            return batch

        return variations

    def _applied(self, plane: Tensor, mask: FloatArray) -> Tensor:
        channel = plane.float().cpu().numpy().copy()
        masked = as_tensor(self.apply_mask(channel, mask.copy()), "the result of apply_mask")
        if masked.shape != plane.shape:
            raise ValueError(
                f"apply_mask must return an array of shape {tuple(plane.shape)}, got {tuple(masked.shape)}"
            )
        if not torch.isfinite(masked).all():
            raise ValueError("apply_mask must return finite values, got NaN or infinity")
        return masked

    def _overrides(self, name: str) -> bool:
        return getattr(getattr(self, name), "__func__", None) is not getattr(HausdorffDistanceMasks, name)


@dataclass(frozen=True, eq=False, repr=False)
class HDM(Setting):
    """Hausdorff Distance Masks: the settings, for an image or a volume of any size.

    Args:
        circle_size: Diameter of the circle, in a volume of the ball, in pixels. None: a sixteenth of the
            geometric mean of the image's sides, a fifth in a volume, at most the shortest side.
        offset: Pixels from one circle to the next. None: as many as give about 1000 positions.
        normalize: Black is -1 instead of 0.
        distance: As for `HausdorffDistanceMasks`. Default: the Hausdorff distance over nine levels of
            probability, which sees what no threshold sees; ``"hausdorff"`` is the documented one.
        channel: The channel that is hidden. None or -1: all of them.

    Example:
        >>> HDM(circle_size=25, offset=5)
        HDM(circle_size=25, offset=5)
    """

    kind: ClassVar[str] = "hdm"

    circle_size: int | None = None
    offset: int | None = None
    normalize: bool = False
    distance: str | Distance | Score = "hausdorff_levels"
    channel: int | None = None

    def __post_init__(self) -> None:
        for name in ("circle_size", "offset"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_positive(getattr(self, name), name))
        _as_distance(self.distance)

    def run(self, case: Case) -> HDMResult:
        """Hide, ask and measure, for a case that is open."""
        explainer = HausdorffDistanceMasks(case.space[-1], case.space[-2], distance=self.distance)
        explainer._normalize = self.normalize
        explainer._circles = Windows(
            case.space,
            self.circle_size or suitable_size(case.space),
            self.offset or suitable_offset(case.space),
        )
        return explainer.run(case, self.channel)


def _as_distance(distance: str | Distance | Score) -> str | Distance | Score:
    """A distance, checked: what is larger for what is more alike is none."""
    try:
        likeness = as_score(distance).higher_is_better
    except TypeError:
        raise TypeError(
            f"distance must be a name or a function of (output, segment), got {distance!r}"
        ) from None
    if likeness:
        raise ValueError(
            f"there is no distance {distance!r}; use {', '.join(map(repr, DISTANCES))} or a function of "
            "(output, segment)"
        )
    return distance


def _reference_of(segment: FloatArray) -> Reference:
    """A reference for a segment by itself, without a network."""
    mask = segment > THRESHOLD
    prediction = Prediction(torch.from_numpy(np.ones((1, *mask.shape), dtype=np.float32)), False)
    question = Region(np.ones_like(mask), label=0).settle(prediction, mask)
    return Reference(question, segment)
