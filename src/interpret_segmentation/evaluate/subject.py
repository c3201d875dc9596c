"""Subject: what a metric judges. A map, what is known about it, and how its network is asked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from interpret_segmentation._settings import Unrecorded
from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_image, as_region, as_tensor
from interpret_segmentation.evaluate.places import MARGIN, Places, as_places
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.options import NAMES
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.targets.ground_truth import Ignore
from interpret_segmentation.targets.words import AnyTarget

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Subject:
    """A map and everything that metrics are told about it, said once.

    ``dataclasses.replace(subject, cue=...)`` gives another one with something changed.

    Attributes:
        saliency: The map, finite float64 ``[*space]``; larger is more important.
        image: The explained image, float ``[C, *space]``.
        target: What is explained. None: the largest segment.
        reference: The ground truth ``[*space]``. None: there is none.
        options: How the model was asked: arguments of `SegmentationModel`.
        model: The network, borrowed. None: metrics that ask it cannot be measured.
        batch_size: Images asked at once. None: what suits the device and the image's size.
        progress: Show progress bars.
        segment: What was segmented, bool ``[*space]``. None: not known.
        cue: What decides about the segment, bool ``[*space]``. None: not known.
        distractor: What looks as if it decided, but does not, bool ``[*space]``. None: there is none.
        others: Other regions that could have been the cause, bool ``[*space]``. None: the distractor.
        margin: Pixels around the segment that belong to neither segment nor context.
        power: Of the part that each pixel belongs to, as measured by intervention, ``[*space]``. None: not
            known.
        contrast: The same against the scene that gives another segment, ``[*space]``. None: not known.
        region: Where the map should lie, for metrics of a single region, bool ``[*space]``. None: not known.
        within: The only pixels that count for metrics of a single region, bool ``[*space]``. None: all.
        explanation: The Explanation that the map is from, which can be repeated. None: a plain map.
        ignore: Labels of the ground truth for pixels that do not count. None: 255.
    """

    saliency: NDArray[np.float64]
    image: Tensor
    target: AnyTarget = None
    reference: AnyArray | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    model: Model | SegmentationModel | None = None
    batch_size: int | None = None
    progress: bool = True
    segment: BoolArray | None = None
    cue: BoolArray | None = None
    distractor: BoolArray | None = None
    margin: float = MARGIN
    region: BoolArray | None = None
    within: BoolArray | None = None
    explanation: Explanation | None = None
    ignore: Ignore = None
    others: BoolArray | None = None
    power: NDArray[np.float64] | None = None
    contrast: NDArray[np.float64] | None = None

    @property
    def space(self) -> tuple[int, ...]:
        """The image's size."""
        return self.saliency.shape

    @cached_property
    def places(self) -> Places:
        """The image taken apart into segment, border, distractor, cue and the rest.

        Raises:
            ValueError: The segment is not known.
        """
        if self.segment is None:
            raise ValueError("the segment is not known; pass it: as_subject(..., segment=...)")
        return as_places(self.space, self.segment, self.cue, self.distractor, self.margin, self.others)

    def run_case(
        self,
        run: Callable[[Case], Answer],
        model: Model | SegmentationModel | None = None,
        *,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> Answer:
        """Ask a model about this image and target; see `interpret_segmentation.inference.case.run_case`.

        Args:
            run: What is asked, a function of the open case.
            model: The network, borrowed. A `SegmentationModel` brings its own options along. None: the
                subject's own, like the next two.
            batch_size: Images asked at once.
            progress: Show a progress bar.

        Raises:
            TypeError: There is no model.
            ValueError: The way that the model was asked has a function in it that was not saved.
        """
        asked = self.model if model is None else model
        if asked is None:
            raise TypeError("there is no model to ask; pass it: as_subject(..., model=...)")
        if not isinstance(asked, SegmentationModel):
            lost = [name for name, value in self.options.items() if isinstance(value, Unrecorded)]
            if lost:
                raise ValueError(
                    f"the setting {lost[0]!r} was a function, {self.options[lost[0]]!r}, which a file cannot "
                    f"hold; pass SegmentationModel(model, {lost[0]}=...) in place of the model"
                )
            asked = SegmentationModel(asked, **self.options)
        options: dict[str, Any] = {
            "batch_size": self.batch_size if batch_size is None else batch_size,
            "progress": self.progress if progress is None else progress,
            "ignore": self.ignore,
        }
        return run_case(run, asked, self.image[None], self.target, self.reference, **options)


AnyMap: TypeAlias = Explanation | Subject | AnyArray
"""What has a map, or is one."""


def as_saliency(explanation: AnyMap, name: str = "explanation") -> NDArray[np.float64]:
    """The map of an explanation or a subject, or any map, as finite float64 ``[*space]``; read-only.

    Raises:
        TypeError: Neither an explanation nor an array of numbers.
        ValueError: A map without pixels, or with values that are not finite.
    """
    given = explanation.saliency if isinstance(explanation, Explanation | Subject) else explanation
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
    model: Model | SegmentationModel | None = None,
    batch_size: int | None = None,
    progress: bool = True,
    segment: AnyArray | None = None,
    cue: AnyArray | None = None,
    distractor: AnyArray | None = None,
    margin: float = MARGIN,
    region: AnyArray | None = None,
    within: AnyArray | None = None,
    ignore: Ignore = None,
    others: AnyArray | None = None,
    power: AnyArray | None = None,
    contrast: AnyArray | None = None,
) -> Subject:
    """An explanation, or a plain map, with what is known about it: what metrics judge.

    Args:
        explanation: An `Explanation`, which knows its image, target, ground truth and how the model was
            asked; or a map ``[*space]``, H x W or D x H x W.
        image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``. None: the explanation's own.
        target: What is explained; see `as_target`. None: the explanation's own, or else the largest segment.
        reference: The ground truth ``[*space]``. None: the explanation's own, or else there is none.
        model: The network; see `SegmentationModel` for what it may be. None: it cannot be asked.
        batch_size: Images asked at once. None: what suits the device and the image's size.
        progress: Show progress bars.
        segment: What was segmented, ``[*space]`` of 0 and 1. None: the explanation's own, or else not known.
        cue: What decides about the segment, ``[*space]``. None: not known.
        distractor: What looks as if it decided, but does not, ``[*space]``. None: there is none.
        margin: Pixels around the segment that belong to neither segment nor context; see `localisation`.
        region: Where the map should lie, ``[*space]``, for metrics of a single region. None: not known.
        within: The only pixels that count for these, ``[*space]``. None: all.
        ignore: Labels of the ground truth for pixels that do not count. None: the explanation's own, or 255.
        others: Other regions that could have been the cause, ``[*space]``. None: the distractor.
        power: Of the part that each pixel belongs to, as measured by intervention, ``[*space]``; `Power.map`.
        contrast: The same against the scene that gives another segment, ``[*space]``.

    Raises:
        TypeError: Neither an explanation nor an array of numbers.
        ValueError: No image, another size than the image's, values that are not finite, or a region that is
            not binary.

    Example:
        >>> subject = as_subject(np.eye(3, 4), np.ones((3, 4)), target=(0, 1))
        >>> subject.saliency.shape, tuple(subject.image.shape), subject.target
        ((3, 4), (1, 3, 4), (0, 1))
    """
    if isinstance(explanation, Subject):
        raise TypeError("this is a Subject already; change it with dataclasses.replace(subject, ...)")
    options: dict[str, Any] = {}
    if isinstance(explanation, Explanation):
        settings = explanation.settings
        image = explanation.image if image is None else image
        target = settings.get("target", explanation.target) if target is None else target
        reference = settings.get("reference") if reference is None else reference
        ignore = settings.get("ignore") if ignore is None else ignore
        segment = explanation.segment if segment is None else segment
        options = {name: settings[name] for name in NAMES if name in settings}
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
    known = {
        "segment": segment,
        "cue": cue,
        "distractor": distractor,
        "region": region,
        "within": within,
        "others": others,
    }
    regions: dict[str, Any] = {
        name: None if given is None else as_region(given, saliency.shape, name=name)
        for name, given in known.items()
    } | {
        name: None if given is None else _truth_of(given, saliency.shape, name)
        for name, given in (("power", power), ("contrast", contrast))
    }
    return Subject(
        saliency,
        pixels,
        target,
        reference,
        options,
        model,
        batch_size,
        progress,
        margin=margin,
        explanation=explanation if isinstance(explanation, Explanation) else None,
        ignore=ignore,
        **regions,
    )


def subject_of(
    model: Model | SegmentationModel | Subject,
    explanation: Explanation | AnyArray | None,
    image: AnyArray | Image.Image | None,
    target: AnyTarget,
    reference: AnyArray | None,
    batch_size: int | None,
    progress: bool,
) -> Subject:
    """The Subject that stands in place of the model, or the one that all these arguments describe.

    Raises:
        TypeError: A Subject, and something beside it that it knows already.
    """
    if not isinstance(model, Subject):
        return as_subject(
            explanation,  # type: ignore[arg-type]  # None is refused there
            image,
            target=target,
            reference=reference,
            model=model,
            batch_size=batch_size,
            progress=progress,
        )
    beside = {"explanation": explanation, "image": image, "target": target, "reference": reference}
    if twice := [name for name, given in beside.items() if given is not None]:
        raise TypeError(
            f"a Subject knows its {twice[0]}; change it with dataclasses.replace(subject, ...), or pass the "
            "model, the explanation and so on in place of the Subject"
        )
    return replace(
        model,
        batch_size=model.batch_size if batch_size is None else batch_size,
        progress=model.progress and progress,
    )


def _truth_of(given: AnyArray, space: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """A map of power, of the image's size."""
    values = as_saliency(given, name)
    if values.shape != space:
        raise ValueError(f"{name} is {_by(values.shape)}, but the image {_by(space)}")
    return values


def _flat(shape: tuple[int, ...]) -> bool:
    """Whether the slices of a volume look like channels of a picture: few, and large."""
    return len(shape) == 3 and shape[0] <= 4 and min(shape[1:]) > 16


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
