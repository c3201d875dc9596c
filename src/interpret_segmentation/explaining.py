"""The front door: one call for any model, any image, any question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from interpret_segmentation._types import AnyArray
from interpret_segmentation.data.inputs import as_image
from interpret_segmentation.inference.case import Case, answered
from interpret_segmentation.methods.hdm.method import HDM, HausdorffDistanceMasks
from interpret_segmentation.methods.occlusion import Occlusion
from interpret_segmentation.methods.rise.method import RISE
from interpret_segmentation.models.network import Model, SegmentationModel
from interpret_segmentation.models.reading import Output
from interpret_segmentation.perturb.masks.grids import draw_grids
from interpret_segmentation.results.channels import ChannelExplanations, check_names
from interpret_segmentation.results.explanation import MODEL_OPTIONS, Explanation
from interpret_segmentation.targets.targets import AnyTarget

METHODS: dict[str, type[HDM | RISE | Occlusion]] = {"hdm": HDM, "rise": RISE, "occlusion": Occlusion}
"""The methods by name."""


class Method(Protocol):
    """Anything that explains a case: the methods here, or one of your own."""

    def run(self, case: Case) -> Explanation:
        """Explain a case; ``case.record(name, settings)`` has most of what an `Explanation` needs."""


def explain(
    model: Model | SegmentationModel,
    image: AnyArray | Image.Image,
    method: str | Method = "hdm",
    *,
    target: AnyTarget = None,
    reference: AnyArray | None = None,
    output: Output | None = None,
    activation: str | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    numpy: bool | None = None,
    device: torch.device | str | None = None,
    autocast: bool | torch.dtype | str | None = None,
    incremental: bool | None = None,
    channels_last: bool | None = None,
    dims: int | None = None,
    batch_size: int | None = None,
    progress: bool = True,
    **settings: Any,
) -> Explanation:
    """What in the image made the model draw this segment?

    Args:
        model: A `torch.nn.Module`; a function of a batch ``[B, C, *space]``, of tensors or NumPy arrays; the
            path of a TorchScript, torch.export or ONNX file; or ``"package.module:function"``.
        image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``; tensor, NumPy array or PIL image, in the
            pixels that ``preprocess`` or else the model expects. Nothing is rescaled.
        method: ``"hdm"``, ``"rise"``, ``"occlusion"``, or an object with ``run(case)``.
        target: What is explained. None: the largest segment. A class number, (row, column), a region
            ``[*space]`` of 0 and 1, words such as ``"component:0"`` or ``"false-positives"``, or a target
            object; `as_target` lists them.
        reference: The ground truth ``[*space]``: a mask of the class, or labels. None: segments are compared
            with what the model draws itself.
        output: Where the segmentation is in the model's answer; see `SegmentationModel`, also for the next
            eight.
        activation: What turns the model's numbers into probabilities.
        preprocess: What happens to images before the model sees them; masks hide before it.
        numpy: The model is a function of NumPy arrays.
        device: Where the model is.
        autocast: Run the model in mixed precision.
        incremental: Ask about images that differ in a patch by what the patch changes. None: where faster.
        channels_last: Hand images over with the channels of a pixel side by side. None: where faster.
        dims: Axes of space: 3 for volumes.
        batch_size: Images asked at once. None: what suits the device and the image's size.
        progress: Show a progress bar.
        **settings: Of the method: those of `HDM`, `RISE` or `Occlusion`.

    Returns:
        The map, with all that was measured, and that it takes to make it again.

    Raises:
        TypeError: An argument that does not exist, or of a wrong type.
        ValueError: An argument that does not fit.
        RuntimeError: The model fails on the image.

    Example:
        >>> image = torch.zeros(30, 40)
        >>> image[10:20, 10:20] = 1
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> explanation = explain(brightness, image, "occlusion", score="dice", progress=False)
        >>> explanation
        Explanation(occlusion, 30 x 40, Class(label=0))
        >>> bool(explanation.saliency[15, 15] > explanation.saliency[25, 35])
        True
    """
    options: dict[str, Any] = {
        "output": output,
        "activation": activation,
        "preprocess": preprocess,
        "numpy": numpy,
        "device": device,
        "autocast": autocast,
        "incremental": incremental,
        "channels_last": channels_last,
        "dims": dims,
    }
    if isinstance(model, SegmentationModel):
        if stated := [name for name, value in options.items() if value is not None]:
            raise TypeError(f"{stated[0]} must be set in the SegmentationModel itself, not beside it")
        asked = model
    else:
        asked = SegmentationModel(model, **options)
    chosen = as_method(method, settings)

    return answered(chosen.run, asked, image, target, reference, batch_size=batch_size, progress=progress)


def explain_channels(
    model: Model | SegmentationModel,
    image: AnyArray | Image.Image,
    method: str | Method = "hdm",
    *,
    names: Sequence[str] | None = None,
    **settings: Any,
) -> ChannelExplanations:
    """Which channel matters: one map for each channel of the image, hidden by itself, on one common scale.

    Args:
        model: As for `explain`.
        image: As for `explain`.
        method: A method by name, or one of its objects.
        names: Of the channels, for the pictures: ``("T1", "FLAIR")``. None: their numbers.
        **settings: All other arguments of `explain`, but ``channel``.

    Example:
        >>> image = torch.zeros(2, 30, 40)
        >>> image[0, 10:20, 10:20] = 1
        >>> first = lambda batch: batch[:, :1]  # a network that looks at the first channel only
        >>> hide = Occlusion(size=4, score="dice")
        >>> maps = explain_channels(first, image, hide, names=("a", "b"), progress=False)
        >>> maps.importance["a"] > 0.05, maps.importance["b"]
        (True, 0.0)
    """
    if "channel" in settings:
        raise TypeError("explain_channels hides every channel in turn; to hide one, use explain(channel=...)")
    if isinstance(names, str):
        raise TypeError(f"names must be one for each channel, got {names!r}")
    asked = model
    if not isinstance(asked, SegmentationModel):
        options = {name: settings.pop(name) for name in (*MODEL_OPTIONS, "device") if name in settings}
        asked = SegmentationModel(asked, **options)
    count = len(as_image(image, asked.dims, as_stated=asked.dims_are_stated))
    called = tuple(map(str, range(count) if names is None else names))
    check_names(called, count)
    seed = draw_grids(1, cells=1, keep=1, space=(1,), seed=None).seed  # the same masks for every channel
    if method == "rise" and settings.get("seed") is None:
        settings["seed"] = seed
    elif isinstance(method, RISE) and method.seed is None:
        method = replace(method, seed=seed)
    chosen: list[dict[str, Any]] = [{"method": method, "channel": number} for number in range(count)]
    if not isinstance(method, str):
        if not isinstance(method, HDM | RISE | Occlusion):
            raise TypeError(
                f"explain_channels needs a method by name, HDM, RISE or Occlusion; got {method!r}"
            )
        chosen = [{"method": replace(method, channel=number)} for number in range(count)]
    maps = tuple(explain(asked, image, **one, **settings) for one in chosen)
    return ChannelExplanations(maps, called)


def as_method(method: str | Method, settings: dict[str, Any]) -> Method:
    """A method by name with its settings, or as it is.

    Raises:
        TypeError: Settings that the method does not have, or for a method that has its own.
        ValueError: There is no method of that name.
    """
    if not isinstance(method, str):
        if isinstance(method, type) or not hasattr(method, "run"):
            raise TypeError(
                f"method must be one of {', '.join(map(repr, METHODS))} or have run(case); got {method!r}"
            )
        if isinstance(method, HausdorffDistanceMasks) and set(settings) == {"channel"}:
            return method.of_channel(settings["channel"])
        if settings:
            raise TypeError(f"{sorted(settings)} must be set in the method itself, not beside it")
        return method
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; use one of {', '.join(map(repr, METHODS))}")
    known = {part.name for part in fields(METHODS[method])}
    if unknown := sorted(set(settings) - known):
        raise TypeError(f"{method!r} has no setting {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return METHODS[method](**settings)
