"""Opens a case: borrows the network and asks it about the unmasked image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

from PIL import Image

from interpret_segmentation._types import AnyArray
from interpret_segmentation.data.inputs import as_array, as_image
from interpret_segmentation.inference.batches import batch_size_for, too_large
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.layouts import find_layout
from interpret_segmentation.inference.windows import forget_windows
from interpret_segmentation.models.borrowing import borrow
from interpret_segmentation.models.devices import is_out_of_memory
from interpret_segmentation.models.network import Model, Network
from interpret_segmentation.models.options import ModelOptions
from interpret_segmentation.models.reading import NoProbabilitiesError, Reading
from interpret_segmentation.models.stated import SegmentationModel, as_network
from interpret_segmentation.targets.ground_truth import Ignore, as_ignore
from interpret_segmentation.targets.objective import Prediction
from interpret_segmentation.targets.words import AnyTarget, as_target


@contextmanager
def open_case(
    network: Network,
    image: AnyArray | Image.Image,
    target: AnyTarget = None,
    reference: AnyArray | Image.Image | None = None,
    *,
    space: tuple[int, ...] | None = None,
    reference_name: str = "reference",
    batch_size: int | None = None,
    progress: bool = True,
    reading: Reading | None = None,
    tries_layouts: bool = False,
    ignore: Ignore = None,
) -> Iterator[Case]:
    """Borrow the network for one case, and ask it about the unmasked image.

    Args:
        network: The network.
        image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``.
        target: What is explained.
        reference: The ground truth, ``[*space]``.
        space: The size that the image must have. None: any.
        reference_name: What the user calls the ground truth.
        batch_size: Images asked at once. None: what suits the device and the image's size.
        progress: Show a progress bar.
        reading: How the answer is read. None: it is found out.
        ignore: Labels of the ground truth for pixels that do not count, in place of 255.
        tries_layouts: Find out which order of memory suits the network; it pays where more questions follow.
    """
    dims = network.dims if space is None else len(space)
    pixels = as_image(image, dims, space, as_stated=network.options.dims is not None)
    truth: AnyArray | None = as_array(reference, reference_name)
    if network.device.type == "mps":  # which has no double precision
        pixels = pixels.float()
    pixels = pixels.clone().to(network.device)  # the user's own stay as they are
    with borrow(network.modules, compiled=network.is_compiled) as hooks:
        try:
            with nullcontext() if network.is_compiled else hooks.adopt():
                if reading is None:
                    reading, maps = network.read(pixels[None].clone())
                else:
                    reading, maps = network.read_again(pixels[None].clone(), reading)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise too_large(error) from error
            raise
        hooks.keep()
        if tries_layouts:
            reading, maps = find_layout(network, reading, pixels[None], maps)
        prediction = Prediction(maps[0], reading.exclusive, reading.threshold)
        objective = as_target(target).resolve(prediction, truth, name=reference_name, ignore=ignore)
        reading.warn_of_softmax(objective.label)
        size = network.fixed_batch or batch_size_for(
            network.device, maps[0, 0].numel(), batch_size, classes=prediction.classes
        )
        if network.mixes_images and network.fixed_batch is None and batch_size is None:
            size = 1
        probability = maps[0, objective.label].cpu().numpy().copy()
        segment = prediction.segment(objective.label)
        del maps, prediction
        steady = network.fixed_batch is not None or network.is_compiled
        finds = batch_size is None and not steady and network.device.type == "cpu"
        try:
            yield Case(
                network,
                reading,
                pixels,
                objective,
                probability,
                segment,
                truth,
                size,
                progress,
                finds,
                ignore=as_ignore(ignore),
            )
        finally:
            forget_windows([network.module, *(part for one in network.modules for part in one.modules())])


Answer = TypeVar("Answer")


def run_case(
    run: Callable[[Case], Answer],
    model: Model | SegmentationModel | Network,
    image: AnyArray | Image.Image,
    target: AnyTarget = None,
    reference: AnyArray | Image.Image | None = None,
    *,
    dims: int | None = None,
    model_options: ModelOptions | None = None,
    **options: Any,
) -> Answer:
    """Open a case and ask; once more when a masked image shows that outputs are logits after all.

    Args:
        run: What is asked.
        model: The network, borrowed for the run.
        image: As for `open_case`, like all that follows.
        target: What is explained.
        reference: The ground truth.
        dims: Axes of space, where a model without options of its own does not tell.
        model_options: How a model without options of its own is asked.
        **options: The others of `open_case`.
    """
    if dims is not None and not isinstance(model, SegmentationModel | Network):
        model_options = replace(model_options or ModelOptions(), dims=dims)
    network = as_network(model, model_options)
    reading: Reading | None = None
    while True:
        with open_case(
            network, image, target, reference, reading=reading, tries_layouts=reading is None, **options
        ) as case:
            if isinstance(model, SegmentationModel):
                model.reading = case.reading
            try:
                return run(case)
            except NoProbabilitiesError:
                reading = case.reading.as_logits()
