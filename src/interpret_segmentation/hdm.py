"""Hausdorff Distance Masks: hide a circle, segment again, measure how far the segment moved.

A filled circle walks over the image. For each position the network segments the image with the circle
hidden, and the distance between that segment and the ground truth becomes the value of the position:

    value(r, c) = d(network(image with circle (r, c) hidden), segment)

From the author's thesis, https://github.com/andef4/thesis-doc/releases/download/release/thesis.pdf.
"""

from __future__ import annotations

import math
from enum import IntEnum

import matplotlib
import numpy as np
import torch
from matplotlib.colors import Colormap
from PIL import Image
from torch import Tensor

from interpret_segmentation._types import AnyArray, FloatArray
from interpret_segmentation.inference.batched import ask, batch_size_for
from interpret_segmentation.inputs import as_image, as_positive, as_region, as_tensor
from interpret_segmentation.model import Model, borrowed, device_of, foreground, on_model
from interpret_segmentation.perturb.circles import Circles
from interpret_segmentation.scores import Distance, DistanceToReference, distance_to, named_distance

__all__ = ["BETTER_ONLY", "RAW", "WORSE_ONLY", "HDMResult", "HausdorffDistanceMasks", "ResultType"]


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


class HDMResult:
    """The distance for every position of the circle.

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

    def __init__(
        self,
        distances: AnyArray,
        baseline: float,
        image_width: int,
        image_height: int,
        circle_size: int,
        offset: int,
    ) -> None:
        self._distances: FloatArray = np.array(distances, dtype=float)
        if self._distances.ndim != 2 or not self._distances.size:
            raise ValueError(f"distances must be rows x columns, got shape {self._distances.shape}")
        self.baseline = float(baseline)
        if not (np.isfinite(self._distances).all() and math.isfinite(self.baseline)):
            raise ValueError("distances and baseline must be finite numbers, got NaN or infinity")
        self.circles = Circles(
            height=as_positive(image_height, "image_height"),
            width=as_positive(image_width, "image_width"),
            diameter=as_positive(circle_size, "circle_size"),
            offset=as_positive(offset, "offset"),
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
            RAW: self._distances,
            BETTER_ONLY: (self.baseline - self._distances).clip(0),
            WORSE_ONLY: (self._distances - self.baseline).clip(0),
        }
        if result_type not in changes:
            raise ValueError(
                f"result_type must be hdm.RAW, hdm.BETTER_ONLY or hdm.WORSE_ONLY, got {result_type!r}"
            )
        distances: FloatArray = changes[result_type].copy()
        return distances

    def __repr__(self) -> str:
        rows, columns = self._distances.shape
        return f"HDMResult({rows} x {columns} distances, baseline {self.baseline:g}, {self.circles})"

    def saliency(self, result_type: ResultType | int) -> FloatArray:
        """The distances painted onto the image: each pixel has the largest among the circles that cover it.

        Args:
            result_type: As for `distances`.

        Returns:
            Float ``[H, W]``; NaN where no circle reaches.

        Raises:
            ValueError: Unknown result type, or more distances than positions.
        """
        return self._spread(self.distances(result_type))

    def _spread(self, values: FloatArray) -> FloatArray:
        rows, columns = values.shape
        if rows > self.circles.rows or columns > self.circles.columns:
            raise ValueError(
                f"there are {rows} x {columns} distances, but the image has only {self.circles.rows} x "
                f"{self.circles.columns} positions of a circle"
            )
        return self.circles.spread(values)

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
            ValueError: Unknown result type or colour map.
        """
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
            image's diagonal when one is. ``"hausdorff_of_rows"``: what release 1.0.0 measured
            (`interpret_segmentation.scores.hausdorff_of_rows`). Or a function of (output, segment), two
            float arrays ``[H, W]`` from 0 to 1, that returns a number.

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
        self, image_width: int, image_height: int, *, distance: str | Distance = "hausdorff"
    ) -> None:
        self.width = as_positive(image_width, "image_width")
        self.height = as_positive(image_height, "image_height")
        if isinstance(distance, str):
            named_distance(distance)
        elif not callable(distance):
            raise TypeError(f"distance must be a name or a function of (output, segment), got {distance!r}")
        self.distance = distance
        self._circles: Circles | None = None
        self._black = 0.0

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
        self._circles = Circles(
            height=self.height,
            width=self.width,
            diameter=as_positive(circle_size, "circle_size"),
            offset=as_positive(offset, "offset"),
        )
        self._black = -1.0 if normalize else 0.0

    @property
    def circles(self) -> Circles:
        """The circles that `generate_masks` chose."""
        if self._circles is None:
            raise RuntimeError("there are no masks yet; call generate_masks(circle_size, offset) first")
        return self._circles

    def mask(self, row: int, column: int) -> FloatArray:
        """The mask of one position, float32 ``[H, W]``: 1 outside the circle, black inside.

        Raises:
            IndexError: There is no such position.
        """
        if row not in range(self.circles.rows) or column not in range(self.circles.columns):
            raise IndexError(
                f"there are {self.circles.rows} rows and {self.circles.columns} columns of circles, "
                f"so none at ({row}, {column})"
            )
        number = int(row) * self.circles.columns + int(column)
        mask: FloatArray = self._masks(number, number + 1)[0]
        return mask

    def _masks(self, first: int, last: int) -> FloatArray:
        hidden = self.circles.hidden(first, last).numpy()
        masks: FloatArray = np.where(hidden, np.float32(self._black), np.float32(1))
        return masks

    def explain(
        self,
        model: Model,
        image: AnyArray,
        segment: AnyArray | None = None,
        device: torch.device | str | None = None,
        channel: int = -1,
        *,
        batch_size: int | None = None,
        progress: bool = True,
    ) -> HDMResult:
        """Explain one image.

        Args:
            model: A PyTorch module, or a function, that returns probabilities ``[B, 1, H, W]`` or
                ``[B, H, W]`` for images ``[B, C, H, W]``. It is put in evaluation mode for the run and given
                back as it was.
            image: ``[H, W]``, ``[C, H, W]`` or ``[1, C, H, W]``; tensor or NumPy array.
            segment: The ground truth, ``[H, W]`` of 0 and 1. None compares with the network's own output
                for the unmasked image.
            device: Where the model is. None: wherever it is.
            channel: Channel that the circle hides, -1 for all.
            batch_size: Images asked at once. None: what suits the device and the image's size.
            progress: Show a progress bar.

        Returns:
            A distance for every position of the circle.

        Raises:
            RuntimeError: `generate_masks` was not called.
            ValueError: Image, segment, channel or device do not fit; the model's output is no
                probability map of the image's size.
        """
        circles = self.circles
        device = device_of(model, device)
        pixels = on_model(model, as_image(image, self.height, self.width), device)
        channels = self._channels(channel, len(pixels))
        batch_size = batch_size_for(device, self.height * self.width, batch_size)
        truth = None if segment is None else as_region(segment, self.height, self.width, name="segment")

        with borrowed(model):
            unmasked = foreground(model, pixels[None].clone())[0].cpu().numpy()
            reference = unmasked if truth is None else truth.astype(np.float32)
            measure = self._measure(reference)
            distances = np.empty(len(circles))
            outputs = ask(
                model,
                lambda first, last: self._hide(pixels, first, last, channels),
                len(circles),
                batch_size=batch_size,
                label="HDM",
                progress=progress,
            )
            for first, batch in outputs:
                distances[first : first + len(batch)] = [measure(output) for output in batch.cpu().numpy()]
            baseline = measure(unmasked)
        return HDMResult(
            distances.reshape(circles.rows, circles.columns),
            baseline,
            self.width,
            self.height,
            circles.diameter,
            circles.offset,
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
        return distance_to(segment, self.distance)(output)

    def _channels(self, channel: object, count: int) -> slice:
        if channel == -1:
            return slice(None)
        if not isinstance(channel, int | np.integer) or channel not in range(count):
            raise ValueError(
                f"channel must be -1 for all, or 0 to {count - 1} for this image; got {channel!r}"
            )
        return slice(int(channel), int(channel) + 1)

    def _hide(self, pixels: Tensor, first: int, last: int, channels: slice) -> Tensor:
        """Copies ``[last - first, C, H, W]`` of the image, one circle hidden in each."""
        batch = pixels.repeat(last - first, 1, 1, 1)
        if self._overrides("apply_mask"):
            for image, mask in zip(batch, self._masks(first, last), strict=True):
                for plane in image[channels]:
                    channel = plane.float().cpu().numpy().copy()
                    masked = as_tensor(self.apply_mask(channel, mask.copy()), "the result of apply_mask")
                    if masked.shape != plane.shape:
                        raise ValueError(
                            f"apply_mask must return an array of shape {tuple(plane.shape)}, "
                            f"got {tuple(masked.shape)}"
                        )
                    if not torch.isfinite(masked).all():
                        raise ValueError("apply_mask must return finite values, got NaN or infinity")
                    plane.copy_(masked)
        else:
            hidden = self.circles.hidden(first, last, pixels.device)
            batch[:, channels].masked_fill_(hidden[:, None], self._black)
        return batch

    def _measure(self, reference: FloatArray) -> DistanceToReference:
        """The distance to one reference, prepared once unless `calculate_distance` is overridden."""
        overridden = self._overrides("calculate_distance")
        measure = distance_to(reference, self.calculate_distance if overridden else self.distance)

        def checked(output: FloatArray) -> float:
            distance = measure(output)
            try:
                finite = math.isfinite(distance)
            except (TypeError, ValueError):
                finite = False
            if not finite:
                raise ValueError(
                    f"the distance between output and segment must be a finite number, got {distance!r}; "
                    "see that it returns one, also for an empty output"
                )
            return float(distance)

        return checked

    def _overrides(self, name: str) -> bool:
        return getattr(getattr(self, name), "__func__", None) is not getattr(HausdorffDistanceMasks, name)
