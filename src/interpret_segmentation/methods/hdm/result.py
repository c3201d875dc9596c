"""What Hausdorff Distance Masks measured, and the pictures that are made of it."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any, ClassVar

import matplotlib
import numpy as np
from matplotlib.colors import Colormap
from numpy.typing import NDArray
from PIL import Image

from interpret_segmentation._types import AnyArray, FloatArray
from interpret_segmentation.data.inputs import as_positive
from interpret_segmentation.perturb.masks.base import merged
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.results.checks import check_array, check_number
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.hidden_segments import check_runs
from interpret_segmentation.results.layers import Layer, Probes
from interpret_segmentation.results.sentences import compared_with


class ResultType(IntEnum):
    """What `HDMResult` shows; each member is also a name of the module `hdm`."""

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

    Besides the constructor of `Explanation`, with every part by its name, there is the documented one:

    Args:
        distances: One distance for each position, ``[rows, columns]``.
        baseline: The distance without any circle.
        image_width: Columns of the image.
        image_height: Rows of the image.
        circle_size: Diameter of the circle in pixels.
        offset: Pixels from one position to the next.
        **parts: Of an `Explanation`, in place of all these.

    Example:
        >>> from interpret_segmentation import hdm
        >>> result = hdm.HDMResult([[1.0, 3.0], [4.0, 5.0]], baseline=2.5, image_width=10, image_height=10,
        ...                        circle_size=5, offset=5)
        >>> result.distances(hdm.WORSE_ONLY)
        array([[0. , 0.5],
               [1.5, 2.5]])
    """

    kind: ClassVar[str] = "hdm"

    def __init__(
        self,
        distances: AnyArray | None = None,
        baseline: float = 0.0,
        image_width: int = 0,
        image_height: int = 0,
        circle_size: int = 0,
        offset: int = 0,
        **parts: Any,
    ) -> None:
        if distances is not None:
            space = (as_positive(image_height, "image_height"), as_positive(image_width, "image_width"))
            circles = Windows(space, as_positive(circle_size, "circle_size"), as_positive(offset, "offset"))
            parts = _by_hand(np.array(distances, dtype=float), float(baseline), circles)
        super().__init__(**parts)

    def _check(self) -> None:
        super()._check()
        largest = max(100, 4 * max(self.saliency.shape))
        if as_positive(self.measured["circle_size"], "circle_size") > largest:
            raise ValueError(f"circle_size must be at most {largest}, got {self.measured['circle_size']}")
        as_positive(self.measured["offset"], "offset")
        check_array(self._raw, "distances", (None,) * self.saliency.ndim, kinds="biuf", unknown=True)
        if not self._raw.size:
            raise ValueError("there must be at least one distance, got none")
        check_number(self.measured["baseline"], "baseline")
        if self.fits and {"turned", "turned_until"} & set(self.measured):
            check_runs(self.measured, self.saliency.size, int(np.count_nonzero(~np.isnan(self._raw))))

    @property
    def baseline(self) -> float:
        """The distance without any circle."""
        return float(self.measured["baseline"])

    @property
    def circles(self) -> Windows:
        """The positions."""
        return Windows(self.saliency.shape, int(self.measured["circle_size"]), int(self.measured["offset"]))

    def distances(self, result_type: ResultType | int) -> FloatArray:
        """The distances, one for each position of the circle.

        Args:
            result_type: ``hdm.RAW`` for the distances as they are; ``hdm.BETTER_ONLY`` for how much
                smaller than the baseline they are, 0 where they are not; ``hdm.WORSE_ONLY`` for how much
                larger.

        Returns:
            Float ``[rows, columns]``, in the unit of the distance: pixels, unless another was chosen. NaN at
            positions that ``within`` or ``spare`` left out.

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
        if not _fits(values, self.circles):
            have, most = (" x ".join(map(str, shape)) for shape in (values.shape, self.circles.grid))
            raise ValueError(
                f"there are {have} distances, but the image has only {most} positions of a circle"
            )
        return self.circles.spread(values.ravel(), numbers_of(self.circles, values.shape), "max")

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
        scaled = values - np.nanmin(values)
        if np.nanmax(scaled) > 0:
            scaled /= np.nanmax(scaled)
        spread = self._spread(scaled)
        rgb = (colors(spread)[..., :3] * 255).astype(np.uint8)
        rgb[np.isnan(spread)] = 0
        return Image.fromarray(rgb)

    def layers(self) -> tuple[Layer, ...]:
        """The map, and with the largest distance on top: as it is, what was worse, and what was better."""
        if not self.fits:
            return super().layers()
        name = self.meaning.removeprefix("growth of ").removeprefix("loss of ").removesuffix(" when hidden")
        kinds = {
            "raw": (RAW, f"{name}, the circle hidden"),
            "worse": (WORSE_ONLY, f"how much worse: {name} above {self.baseline:.4g}"),
            "better": (BETTER_ONLY, f"how much better: {name} below {self.baseline:.4g}"),
        }
        painted = [Layer(key, says, self.unit, self.painted(kind)) for key, (kind, says) in kinds.items()]
        return (*super().layers(), *painted)

    def probes(self) -> Probes | None:
        """What was hidden, its distance, also for distances that were measured elsewhere."""
        of_maker = super().probes()
        if of_maker is not None or not self.fits:
            return of_maker
        values = self._raw.ravel().astype(np.float64)
        there = ~np.isnan(values)
        return Probes(
            self.circles,
            numbers_of(self.circles, self._raw.shape)[there],
            values[there],
            self.baseline,
            "Hausdorff distance",
            self.unit,
            self.segment,
            self.measured,
        )

    def sentences(self) -> tuple[str, ...]:
        """What was done, what a value says and what it cost; also of an explainer with rules of its own."""
        first, *others = super().sentences()
        if self.recipe is None or self.maker.probes(self) is not None or not self.fits:
            return (first, *others)
        return (describe_circles(self, "hidden", "distance"), *others)

    @property
    def fits(self) -> bool:
        """Whether there are no more distances than positions."""
        return _fits(self._raw, self.circles)


def _by_hand(distances: FloatArray, baseline: float, circles: Windows) -> dict[str, Any]:
    """The parts of a result that was measured elsewhere."""
    if distances.ndim != len(circles.space) or not distances.size:
        raise ValueError(f"distances must be rows x columns, got shape {distances.shape}")
    if not (np.isfinite(distances).all() and math.isfinite(baseline)):
        raise ValueError("distances and baseline must be finite numbers, got NaN or infinity")
    painted = np.full(circles.space, np.nan)
    if _fits(distances, circles):
        numbers = numbers_of(circles, distances.shape)
        painted = merged(circles, distances.ravel() - baseline, numbers, "mean")
    return {
        "saliency": np.nan_to_num(painted, nan=0),
        "reached": ~np.isnan(painted),
        "meaning": "growth of Hausdorff distance when hidden",
        "unit": "pixels",
        "method": "hdm",
        "measured": {
            "distances": distances,
            "baseline": baseline,
            "circle_size": circles.size,
            "offset": circles.offset,
        },
    }


def describe_circles(result: HDMResult, fill: str, distance: str) -> str:
    """What was hidden, where, and what was measured, in two sentences."""
    count = int(np.count_nonzero(~np.isnan(result.measured["distances"])))
    shape = "circle" if result.saliency.ndim == 2 else "ball"
    return (
        f"A {fill} {shape} of {result.measured['circle_size']} pixels was laid over the image at {count} "
        f"positions, {result.measured['offset']} pixels apart. Each time the network segmented the image "
        f"anew, and the {distance} between what it drew and {compared_with(result)} was measured."
    )


def numbers_of(circles: Windows, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The numbers of the circles that a matrix of distances is of."""
    numbers = np.arange(len(circles)).reshape(circles.grid)
    return numbers[tuple(slice(0, count) for count in shape)].ravel()


def _fits(distances: FloatArray, circles: Windows) -> bool:
    return all(have <= most for have, most in zip(distances.shape, circles.grid, strict=True))
