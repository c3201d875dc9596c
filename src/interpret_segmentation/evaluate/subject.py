"""The door to every judgement: an explanation, or any map, with all that it takes to ask again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from interpret_segmentation._settings import Unrecorded
from interpret_segmentation._types import AnyArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_image, as_tensor
from interpret_segmentation.inference.case import Case, answered
from interpret_segmentation.models.network import Model, SegmentationModel
from interpret_segmentation.results.explanation import MODEL_OPTIONS, Explanation
from interpret_segmentation.targets.targets import AnyTarget

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Subject:
    """A map and what it explains.

    Attributes:
        saliency: The map, finite float64 ``[*space]``; larger is more important.
        image: The explained image, float ``[C, *space]``.
        target: What is explained. None: the largest segment.
        reference: The ground truth ``[*space]``. None: there is none.
        options: How the model was asked: arguments of `SegmentationModel`.
    """

    saliency: NDArray[np.float64]
    image: Tensor
    target: AnyTarget = None
    reference: AnyArray | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def space(self) -> tuple[int, ...]:
        """The image's size."""
        return self.saliency.shape

    def answered(
        self,
        run: Callable[[Case], Answer],
        model: Model | SegmentationModel,
        *,
        batch_size: int | None = None,
        progress: bool = True,
    ) -> Answer:
        """Ask a model about this image and target; see `answered` of `interpret_segmentation.inference.case`.

        Args:
            run: What is asked, a function of the open case.
            model: The network, borrowed. A `SegmentationModel` brings its own options along.
            batch_size: Images asked at once. None: what suits the device and the image's size.
            progress: Show a progress bar.

        Raises:
            ValueError: The way that the model was asked has a function in it that was not saved.
        """
        asked = model
        if not isinstance(asked, SegmentationModel):
            lost = [name for name, value in self.options.items() if isinstance(value, Unrecorded)]
            if lost:
                raise ValueError(
                    f"the setting {lost[0]!r} was a function, {self.options[lost[0]]!r}, which a file cannot "
                    f"hold; pass SegmentationModel(model, {lost[0]}=...) in place of the model"
                )
            asked = SegmentationModel(asked, **self.options)
        image, options = self.image[None], {"batch_size": batch_size, "progress": progress}
        return answered(run, asked, image, self.target, self.reference, **options)


def as_saliency(explanation: Explanation | AnyArray, name: str = "explanation") -> NDArray[np.float64]:
    """The map of an explanation, or any map, as finite float64 ``[*space]`` that cannot be written to.

    Raises:
        TypeError: Neither an explanation nor an array of numbers.
        ValueError: A map without pixels, or with values that are not finite.
    """
    given = explanation.saliency if isinstance(explanation, Explanation) else explanation
    values = as_tensor(given, name).detach()
    if values.is_complex():
        raise TypeError(f"{name} must hold real numbers, got complex ones")
    if values.ndim not in (2, 3) or not values.numel():
        raise ValueError(
            f"{name} must be a map H x W or D x H x W with one number for each pixel, got "
            f"{_by(values.shape)}; merge its channels, with map.sum(axis=0) say"
        )
    if not torch.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinite values; see where they come from")
    saliency: NDArray[np.float64] = values.cpu().double().numpy().copy()
    saliency.flags.writeable = False
    return saliency


def as_subject(
    explanation: Explanation | AnyArray,
    image: AnyArray | Image.Image | None = None,
    *,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
) -> Subject:
    """An explanation, or a plain map, as what can be subject.

    Args:
        explanation: An `Explanation`, which knows its image, target, ground truth and how the model was
            asked; or a map ``[*space]``, H x W or D x H x W.
        image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``. None: the explanation's own.
        target: What is explained; see `as_target`. None: the explanation's own, or else the largest segment.
        reference: The ground truth ``[*space]``. None: the explanation's own, or else there is none.

    Raises:
        TypeError: Neither an explanation nor an array of numbers.
        ValueError: No image, another size than the image's, or values that are not finite.

    Example:
        >>> subject = as_subject(np.eye(3, 4), np.ones((3, 4)), target=(0, 1))
        >>> subject.saliency.shape, tuple(subject.image.shape), subject.target
        ((3, 4), (1, 3, 4), (0, 1))
    """
    options: dict[str, Any] = {}
    if isinstance(explanation, Explanation):
        settings = explanation.settings
        image = explanation.image if image is None else image
        target = settings.get("target", explanation.target) if target is None else target
        reference = settings.get("reference") if reference is None else reference
        options = {name: settings[name] for name in MODEL_OPTIONS if name in settings}
    saliency = as_saliency(explanation)
    if image is None:
        raise ValueError("the explanation does not know its image; pass it as image=")
    options["dims"] = saliency.ndim
    if not isinstance(explanation, Explanation) and _flat(saliency.shape):
        warn(
            f"a map of {_by(saliency.shape)} is taken for a volume of {len(saliency)} slices; if those are "
            "channels of a flat image, pass map[0], or map.sum(axis=0)"
        )
    pixels = as_image(image, saliency.ndim, as_stated=True)
    if tuple(pixels.shape[1:]) != saliency.shape:
        raise ValueError(
            f"the explanation is {_by(saliency.shape)}, but the image {_by(pixels.shape[1:])}; a map has one "
            "number for each pixel, and an image its channels first"
        )
    return Subject(saliency, pixels, target, reference, options)


def _flat(shape: tuple[int, ...]) -> bool:
    """Whether the slices of a volume look like channels of a picture: few, and large."""
    return len(shape) == 3 and shape[0] <= 4 and min(shape[1:]) > 16


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
