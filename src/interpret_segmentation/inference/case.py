"""One model, one image, one question: everything that is known before the first mask."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_copy, as_image, as_region, as_whole
from interpret_segmentation.inference.batches import ask, batch_size_for, fastest_batch_size, too_large
from interpret_segmentation.inference.dense import Answers
from interpret_segmentation.inference.layouts import in_faster_layout
from interpret_segmentation.inference.windows import Path, chosen
from interpret_segmentation.models.network import (
    Model,
    SegmentationModel,
    borrowed,
    is_out_of_memory,
    mixes_images,
)
from interpret_segmentation.models.reading import NoProbabilitiesError
from interpret_segmentation.results.explanation import now, versions
from interpret_segmentation.scores.registry import Reference
from interpret_segmentation.targets.objective import Prediction, Question
from interpret_segmentation.targets.targets import AnyTarget, as_target


@dataclass(eq=False)
class Case:
    """What every method starts from.

    Attributes:
        model: The network, borrowed.
        pixels: The image on the network's device, ``[C, *space]``.
        question: What is explained.
        probability: Of the class for the unmasked image, float32 ``[*space]``.
        segment: What the network draws as this class, bool ``[*space]``.
        truth: The ground truth as the user gave it.
        batch_size: Images asked at once.
        progress: Show a progress bar.
        finds_batch_size: A smaller batch may be chosen, when it turns out to be faster.
        forwards: Images asked so far.
        path: How masked images were asked.
    """

    model: SegmentationModel
    pixels: Tensor
    question: Question
    probability: FloatArray
    segment: BoolArray
    truth: AnyArray | None
    batch_size: int
    progress: bool
    finds_batch_size: bool = False
    forwards: int = 1
    path: Path = field(default_factory=Path)
    _began: float = field(default_factory=time.perf_counter)

    @property
    def space(self) -> tuple[int, ...]:
        """The image's size."""
        return tuple(self.pixels.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    def ask(
        self, variations: Callable[[int, int], Tensor], count: int, name: str, *, block: int | None = None
    ) -> Iterator[Answers]:
        """Ask for variations of the image, in order; no batch goes beyond a multiple of ``block``."""
        if self.finds_batch_size:
            self.batch_size = fastest_batch_size(self._ask_about, self.batch_size, count)
            self.finds_batch_size = False
        answers_to, self.path = chosen(
            self.model, self.pixels, self._unmasked(), self.question.label, variations, count, self.batch_size
        )
        before, answered = self.forwards, 0
        for answers in ask(
            answers_to,
            count,
            device=self.device,
            batch_size=self.path.at_once or self.batch_size,
            name=name,
            progress=self.progress,
            block=block,
        ):
            answered += len(answers.probability)
            self.forwards = before + answered - self.path.unchanged
            yield answers

    def _ask_about(self, count: int) -> None:
        """Ask about the unmasked image again, as often as that at once."""
        self.model.probabilities(self.pixels.repeat(count, *[1] * self.pixels.ndim))

    def _unmasked(self) -> Answers:
        """What the model says about the unmasked image."""
        maps = torch.from_numpy(self.probability), torch.from_numpy(self.segment)
        return Answers(0, *[part[None].to(self.device) for part in maps])

    def reference(self, spacing: tuple[float, ...] | None = None) -> Reference:
        """What segmentations of masked images are compared with."""
        graded = self.probability if self.truth is None else self.question.reference.astype(np.float32)
        return Reference(self.question, graded, spacing)

    def region(self, region: AnyArray | str | None, name: str) -> BoolArray | None:
        """A region of this image, bool ``[*space]``; ``"segment"`` is what the network draws."""
        if region is None:
            return None
        if isinstance(region, str):
            if region != "segment":
                raise ValueError(f"{name} must be 'segment' or a region of 0 and 1, got {region!r}")
            return self.segment
        return as_region(region, self.space, name=name)

    def channels(self, channel: object) -> slice:
        """The channels that masks hide: one, or all for None and -1.

        Raises:
            ValueError: There is no such channel.
        """
        count = len(self.pixels)
        whole = isinstance(channel, int | np.integer) and not isinstance(channel, bool)
        if channel is None or (whole and channel == -1):
            return slice(None)
        if not whole or channel not in range(count):
            raise ValueError(
                f"channel must be -1 for all, or 0 to {count - 1} for this image; got {channel!r}"
            )
        first = as_whole(channel, "channel")
        return slice(first, first + 1)

    def record(self, method: str, settings: dict[str, Any]) -> dict[str, Any]:
        """What an explanation knows of the case, whatever the method."""
        truth = None if self.truth is None else as_copy(self.truth, "reference")
        return {
            "method": method,
            "image": self.pixels.cpu().numpy().copy(),
            "prediction": self.probability,
            "segment": self.segment,
            "target": self.question.target,
            "pixels": self.question.pixels,
            "reference": self.question.reference,
            "settings": {
                "method": method,
                "target": self.question.target,
                "reference": truth,
                **settings,
                **self.model.options,
                **self.path.settings,
                "dims": len(self.space),
                "batch_size": self.batch_size,
            },
            "model": dict(self.model.decisions),
            "run": {
                "seconds": round(time.perf_counter() - self._began, 3),
                "forwards": self.forwards,
                "batch_size": self.batch_size,
                "inference": self.path.record(),
                "finished": now(),
                "versions": versions(),
            },
        }


@contextmanager
def opened(
    model: SegmentationModel,
    image: AnyArray | Image.Image,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
    *,
    space: tuple[int, ...] | None = None,
    reference_name: str = "reference",
    batch_size: int | None = None,
    progress: bool = True,
    tries_layouts: bool = False,
) -> Iterator[Case]:
    """Borrow the model for one case, and ask it about the unmasked image.

    Args:
        model: The network.
        image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``.
        target: What is explained.
        reference: The ground truth, ``[*space]``.
        space: The size that the image must have. None: any.
        reference_name: What the user calls the ground truth.
        batch_size: Images asked at once. None: what suits the device and the image's size.
        progress: Show a progress bar.
        tries_layouts: Find out which order of memory suits the network; it pays where more questions follow.
    """
    dims = model.dims if space is None else len(space)
    pixels = as_image(image, dims, space, as_stated=model.dims_are_stated)
    if model.device.type == "mps":  # which has no double precision
        pixels = pixels.float()
    pixels = pixels.to(model.device)
    with borrowed(model.module):
        try:
            maps = model.probabilities(pixels[None].clone())
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise too_large(error) from error
            raise
        if tries_layouts:
            maps = in_faster_layout(model, pixels[None], maps)
        prediction = Prediction(maps[0], model.exclusive)
        question = as_target(target).settle(prediction, reference, name=reference_name)
        size = model.fixed_batch or batch_size_for(
            model.device, maps[0, 0].numel(), batch_size, classes=prediction.classes
        )
        if mixes_images(model.module) and model.fixed_batch is None:
            if batch_size not in (None, 1):
                warn(
                    "the model normalises by all images of a batch, so that an answer depends on those "
                    "beside it: pass batch_size=1"
                )
            size = batch_size or 1
        probability = maps[0, question.label].cpu().numpy().copy()
        segment = prediction.segment(question.label)
        del maps, prediction
        finds = batch_size is None and model.fixed_batch is None and model.device.type == "cpu"
        yield Case(model, pixels, question, probability, segment, reference, size, progress, finds)


Answer = TypeVar("Answer")


def answered(
    run: Callable[[Case], Answer],
    model: Model | SegmentationModel,
    image: AnyArray | Image.Image,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
    *,
    dims: int | None = None,
    **options: Any,
) -> Answer:
    """Open a case and run a method; once more when a masked image shows that outputs are logits after all.

    Args:
        run: The method.
        model: The network, borrowed for the run.
        image: As for `opened`, like all that follows.
        target: What is explained.
        reference: The ground truth.
        dims: Axes of space, where the model does not tell.
        **options: The others of `opened`.
    """
    asked = model if isinstance(model, SegmentationModel) else SegmentationModel(model, dims=dims)
    asked.begin()
    try:
        with opened(asked, image, target, reference, tries_layouts=True, **options) as case:
            return run(case)
    except NoProbabilitiesError:
        asked.take_for_logits()
    with opened(asked, image, target, reference, **options) as case:
        return run(case)
