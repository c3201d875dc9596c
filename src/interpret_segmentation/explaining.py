"""The front door: one call for any model, any image, any objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from interpret_segmentation._types import AnyArray
from interpret_segmentation.data.inputs import as_image
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.methods import (
    Method,
    all_methods,
    as_method,
    of_channel,
    run_method,
    settings_of,
)
from interpret_segmentation.methods.base import Own
from interpret_segmentation.models.answers import Output
from interpret_segmentation.models.network import Model, Network
from interpret_segmentation.models.options import NAMES, ModelOptions
from interpret_segmentation.models.stated import SegmentationModel, as_network
from interpret_segmentation.results.channels import ChannelExplanations, check_names
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.maker import Maker
from interpret_segmentation.results.recipe import Recipe
from interpret_segmentation.targets.words import AnyTarget, as_target

__all__ = ["Method", "explain", "explain_channels"]


def explain(
    model: Model | SegmentationModel | Network,
    image: AnyArray | Image.Image,
    method: str | Method = "hdm",
    *,
    target: AnyTarget = None,
    reference: AnyArray | Image.Image | None = None,
    output: Output | None = None,
    activation: str | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    numpy: bool | None = None,
    device: torch.device | str | None = None,
    autocast: bool | torch.dtype | str | None = None,
    incremental: bool | None = None,
    channels_last: bool | None = None,
    dims: int | None = None,
    threshold: float | None = None,
    network: nn.Module | Sequence[nn.Module] | None = None,
    ignore: int | Sequence[int] | None = None,
    model_options: ModelOptions | None = None,
    batch_size: int | None = None,
    progress: bool = True,
    **settings: Any,
) -> Explanation:
    """What in the image made the model draw this segment?

    Args:
        model: A `torch.nn.Module`; a function of a batch ``[B, C, *space]``, of tensors or NumPy arrays; the
            path of a TorchScript, torch.export or ONNX file; or ``"package.module:function"``.
        image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``; tensor, NumPy array or PIL image, in the
            pixels that ``preprocess`` or else the model expects. Nothing is rescaled. A PIL image is turned
            upright as its EXIF entry says; a single channel may also come last, ``[*space, 1]``.
        method: ``"hdm"``, ``"rise"``, ``"occlusion"`` or the name of another method that is installed; a
            `Method`; or an object with ``run(case)``.
        target: What is explained. None: the largest segment. A class number, (row, column), a region
            ``[*space]`` of 0 and 1, words such as ``"component:0"`` or ``"false-positives"``, or a target
            object; `as_target` lists them.
        reference: The ground truth ``[*space]``: a mask of the class, or labels; or a PIL image of one, which
            is turned upright and read as a file is. None: segments are compared with what the model draws
            itself.
        output: Where the segmentation is in the model's answer; see `SegmentationModel`, also for the next
            seven, and for ``threshold`` and ``network``.
        activation: What turns the model's numbers into probabilities.
        preprocess: What happens to images before the model sees them; masks hide before it.
        numpy: The model is a function of NumPy arrays.
        device: Where the model is.
        autocast: Run the model in mixed precision.
        incremental: Ask about images that differ in a patch by what the patch changes. None: where faster.
        channels_last: Hand images over with the channels of a pixel side by side. None: where faster.
        dims: Axes of space: 3 for volumes.
        threshold: What a probability has to exceed for a pixel to belong to the segment. None: 0.5; of
            classes that exclude each other the likeliest takes the pixel.
        network: The module, or several, that a function asks, where it cannot be found in the function.
        ignore: Labels of the ground truth for pixels that do not count. None: 255. Negative ones never do.
        model_options: The options of the model, all at once.
        batch_size: Images asked at once. None: what suits the device and the image's size.
        progress: Show a progress bar.
        **settings: Of the method that is named: those of `HDM`, `RISE`, `Occlusion`, ...

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
    asked = as_network(
        model,
        _one(
            model_options,
            output=output,
            activation=activation,
            preprocess=preprocess,
            numpy=numpy,
            device=device,
            autocast=autocast,
            dims=dims,
            incremental=incremental,
            channels_last=channels_last,
            threshold=threshold,
            network=network,
        ),
    )
    return _run(
        as_method(method, settings),
        model if isinstance(model, SegmentationModel) else asked,
        image,
        target,
        reference,
        ignore,
        batch_size=batch_size,
        progress=progress,
    )


def explain_channels(
    model: Model | SegmentationModel | Network,
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
        method: A method by name or one of its objects; one that has a setting ``channel``.
        names: Of the channels, for the pictures: ``("T1", "FLAIR")``. None: their numbers.
        **settings: All other arguments of `explain`, but ``channel``.

    Example:
        >>> image = torch.zeros(2, 30, 40)
        >>> image[0, 10:20, 10:20] = 1
        >>> first = lambda batch: batch[:, :1]  # a network that looks at the first channel only
        >>> settings = {"size": 4, "score": "dice", "progress": False}
        >>> maps = explain_channels(first, image, "occlusion", names=("a", "b"), **settings)
        >>> maps.importance["a"] > 0.05, maps.importance["b"]
        (True, 0.0)
    """
    if "channel" in settings:
        raise TypeError("explain_channels hides every channel in turn; to hide one, use explain(channel=...)")
    if isinstance(names, str):
        raise TypeError(f"names must be one for each channel, got {names!r}")
    asked: Any = model
    if not isinstance(model, SegmentationModel | Network):
        options = {name: settings.pop(name) for name in (*NAMES, "model_options") if name in settings}
        asked = as_network(model, _one(options.pop("model_options", None), **options))
    network = as_network(asked)
    count = len(as_image(image, network.dims, as_stated=network.options.dims is not None))
    called = tuple(map(str, range(count) if names is None else names))
    check_names(called, count)
    of_explain = ("target", "reference", "ignore", "batch_size", "progress")
    asking = {name: settings.pop(name) for name in of_explain if name in settings}
    given: object = method
    if not isinstance(given, str | Method):
        known = [type_.__name__ for type_ in all_methods().values() if "channel" in settings_of(type_)]
        raise TypeError(
            f"explain_channels needs a method by name, {', '.join(known[:-1])} or {known[-1]}; got {method!r}"
        )
    maps: list[Explanation] = []
    for channel in range(count):
        if maps and maps[0].recipe is not None:  # the same masks for every channel
            chosen = of_channel(as_method(maps[0].recipe.method, {}), channel)
        else:
            chosen = of_channel(as_method(method, settings), channel)
        maps.append(explain(asked, image, chosen, **asking))
    return ChannelExplanations(tuple(maps), called)


def follow_again(
    explanation: Explanation,
    model: Model | SegmentationModel | Network,
    image: AnyArray | None,
    *,
    progress: bool,
    changes: dict[str, Any],
) -> Explanation:
    """Run an explanation again; see `Explanation.repeat`."""
    pixels = explanation.image[None] if image is None and explanation.image is not None else image
    if pixels is None:
        raise ValueError("this explanation was built without an image, so it cannot be repeated; pass image=")
    if explanation.recipe is None:
        raise ValueError(
            "this explanation was built without a recipe (its settings), so it cannot be repeated"
        )
    recipe = changed(explanation.recipe, model, changes)
    for name in recipe.lost():
        raise ValueError(
            f"the setting {name!r} was a function, {recipe.settings[name]!r}, which a file cannot "
            f"hold; pass it again: repeat(model, {name}=...)"
        )
    asked = model if isinstance(model, SegmentationModel | Network) else as_network(model, recipe.model)
    return _run(
        as_method(recipe.method, {}),
        asked,
        pixels,
        recipe.target,
        recipe.reference,
        recipe.ignore,
        batch_size=recipe.batch_size,
        progress=progress,
    )


def changed(recipe: Recipe, model: object, changes: dict[str, Any]) -> Recipe:
    """A recipe with some arguments of `explain` changed.

    Args:
        recipe: What is changed.
        model: The network; one with options of its own brings them along.
        changes: Arguments of `explain`. Another method starts from its own settings.
    """
    changes = dict(changes)
    named = ("reference", "ignore", "batch_size")
    asked: dict[str, Any] = {name: changes.pop(name) for name in named if name in changes}
    if "target" in changes:
        asked["target"] = as_target(changes.pop("target"))
    options = {name: changes.pop(name) for name in NAMES if name in changes}
    if (told_at_once := changes.pop("model_options", None)) is not None:
        options |= _one(told_at_once, **options).stated()
    if isinstance(model, SegmentationModel | Network):
        recipe = replace(recipe, model=ModelOptions())
        as_network(model, ModelOptions(**options))  # refuses what is stated twice
    elif options:
        asked["model"] = replace(recipe.model, **options)
    method = changes.pop("method", recipe.method)
    if isinstance(recipe.method, Own):
        told = {**recipe.method.settings, **changes}
        same = method is recipe.method
        chosen: Maker = replace(recipe.method, settings=told) if same else as_method(method, told)
    elif method is recipe.method or (isinstance(method, str) and method == recipe.method.kind):
        chosen = _with_settings(recipe.method, changes)
    else:
        chosen = as_method(method, changes)
    return replace(recipe, method=chosen, **asked)


def _with_settings(maker: Maker, changes: dict[str, Any]) -> Maker:
    """A method with some settings changed, in whatever spelling."""
    if not changes:
        return maker
    method = as_method(maker, {})
    kept = {part.name: getattr(method, part.name) for part in fields(method)}
    changes = {method.spellings.get(name, name): value for name, value in changes.items()}
    return as_method(method.kind, kept | changes)


def _run(
    method: Method,
    model: SegmentationModel | Network,
    image: AnyArray | Image.Image,
    target: AnyTarget,
    reference: AnyArray | Image.Image | None,
    ignore: int | Sequence[int] | None,
    *,
    batch_size: int | None,
    progress: bool,
) -> Explanation:
    return run_case(
        lambda case: run_method(method, case),
        model,
        image,
        target,
        reference,
        ignore=ignore,
        batch_size=batch_size,
        progress=progress,
    )


def _one(model_options: ModelOptions | None, **options: Any) -> ModelOptions:
    """The options of a model, told all at once or one by one.

    Raises:
        TypeError: Both.
    """
    stated = [name for name, value in options.items() if value is not None]
    given: object = model_options
    if given is not None and not isinstance(given, ModelOptions):
        raise TypeError(f"model_options must be ModelOptions(...), got {given!r}")
    if model_options is None:
        return ModelOptions(**options)
    if stated:
        raise TypeError(f"{stated[0]} must be set in model_options, not beside it")
    return model_options
