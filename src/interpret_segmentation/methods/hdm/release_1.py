"""Hausdorff Distance Masks as release 1.0.0 has them: an explainer for images of one size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_positive, as_tensor
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.methods.base import Method, Own, run_method
from interpret_segmentation.methods.hdm.method import HDM, as_distance
from interpret_segmentation.methods.hdm.result import HDMResult
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.options import ModelOptions
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.fills.named import BLACK
from interpret_segmentation.perturb.hiding import Function, Variations
from interpret_segmentation.perturb.masks.base import Masks
from interpret_segmentation.perturb.masks.windows import Windows
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.scores.registry import AnyScore, Reference, as_score
from interpret_segmentation.targets.objective import Prediction
from interpret_segmentation.targets.targets import Region
from interpret_segmentation.targets.words import AnyTarget


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

    def __init__(self, image_width: int, image_height: int, *, distance: AnyScore = "hausdorff") -> None:
        self.width = as_positive(image_width, "image_width")
        self.height = as_positive(image_height, "image_height")
        self.distance = as_distance(distance)
        self._circles: Windows | None = None
        self._normalize = False

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
    def normalizes(self) -> bool:
        """Whether black is -1."""
        return self._normalize

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
        return run_case(
            lambda case: cast("HDMResult", run_method(self._method(channel), case)),
            model,
            image,
            target,
            segment,
            model_options=None if isinstance(model, SegmentationModel) else ModelOptions(device=device),
            space=circles.space,
            reference_name="segment",
            batch_size=batch_size,
            progress=progress,
        )

    def as_method(self, channel: int | None = None) -> Method:
        """The method that this explainer stands for, hiding one channel or all."""
        return _ForImagesOf(self._method(channel), space=self.circles.space)

    @property
    def measures(self) -> AnyScore:
        """How distances are measured: by name, unless `calculate_distance` is overridden."""
        return self.calculate_distance if self.overrides("calculate_distance") else self.distance

    def _method(self, channel: int | None) -> Method:
        channel = None if isinstance(channel, int) and channel == -1 else channel
        if type(self) is not HausdorffDistanceMasks or self.overrides("apply_mask"):
            return Own(self, {} if channel is None else {"channel": channel})
        circles = self.circles
        settings = (circles.size, circles.offset, self._normalize, self.measures, channel, BLACK)
        return _Documented(*settings, shape="circle", share="even")

    def run(self, case: Case, channel: int | None = None) -> Explanation:
        """Hide, ask and measure by the class's own rules, for a case that is open."""
        return _Overridden.of(self, channel).run(case)

    def variations(self, case: Case, channel: int | None) -> Variations:
        """Copies of the image, masked by the class's own `apply_mask`."""
        return Function(self._applying(case.pixels, case.channels(channel)), case.pixels)

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
        measure_of = as_score(self.distance).prepare(_reference_of(segment))
        return float(measure_of(output, output > THRESHOLD))

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

    def overrides(self, name: str) -> bool:
        """Whether the class has a rule of its own."""
        return getattr(getattr(self, name), "__func__", None) is not getattr(HausdorffDistanceMasks, name)


@dataclass(frozen=True, eq=False, repr=False)
class _ForImagesOf(Own):
    """A method for images of one size only; it becomes the method itself when it meets one."""

    space: tuple[int, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """Those of the method."""
        arguments: dict[str, Any] = self.method.arguments()
        return arguments

    def resolve(self, case: Case) -> Method:
        """The method, for an image of that size."""
        if self.space != case.space:
            raise ValueError(
                f"the explainer was built for images of {self.space} pixels, this one has {case.space}"
            )
        resolved: Method = self.method.resolve(case)
        return resolved

    def run(self, case: Case) -> Explanation:
        """Never by itself."""
        return self.resolve(case).run(case)


class _Documented(HDM):
    """Circles that were chosen by hand, gaps and all; becomes `HDM` when it meets an image."""

    def resolve(self, case: Case) -> HDM:  # noqa: ARG002
        """The same, without a word about what the circles leave out."""
        return HDM(**{part.name: getattr(self, part.name) for part in fields(self)})


class _Overridden(HDM):
    """The engine of an explainer whose class has rules of its own."""

    explainer: ClassVar[HausdorffDistanceMasks]  # of each object, but no setting

    @classmethod
    def of(cls, explainer: HausdorffDistanceMasks, channel: int | None) -> HDM:
        circles = explainer.circles
        settings = (circles.size, circles.offset, explainer.normalizes, explainer.measures, channel, BLACK)
        made = cls(*settings, shape="circle", share="even")
        object.__setattr__(made, "explainer", explainer)
        return made

    def fill_in_words(self) -> tuple[str, str]:
        if not self.explainer.overrides("apply_mask"):
            return super().fill_in_words()
        return "what apply_mask hides with", "hide with something that looks like the background"

    def variations(
        self, case: Case, masks: Masks, numbers: NDArray[np.int64], spare: BoolArray | None
    ) -> Variations:
        if self.explainer.overrides("apply_mask"):
            return self.explainer.variations(case, self.channel)
        return super().variations(case, masks, numbers, spare)


def _reference_of(segment: FloatArray) -> Reference:
    """A reference for a segment by itself, without a network."""
    mask = segment > THRESHOLD
    prediction = Prediction(torch.from_numpy(np.ones((1, *mask.shape), dtype=np.float32)), False)
    objective = Region(np.ones_like(mask), label=0).resolve(prediction, mask)
    return Reference(objective, segment)
