"""Sanity: a map that does not depend on the network's weights, or on the target, explains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.signal import correlate
from torch import nn
from tqdm.auto import tqdm

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_positive, as_seed
from interpret_segmentation.evaluate.robustness import check_repeatable
from interpret_segmentation.evaluate.similarity import Agreement, agreement
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.targets import Region

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 24
"""So many layers can be named below a plot before their names are too crowded to be read."""

LINES = {
    "spearman": ("Spearman", "#0072b2", "o"),
    "ssim": ("SSIM", "#d55e00", "s"),
    "top_overlap": ("overlap of the highest pixels", "#009e73", "^"),
}
"""What is plotted: label, colour, marker."""


@dataclass(frozen=True, eq=False)
class Step:
    """The network with its last layers randomised.

    Attributes:
        depth: How many layers have been randomised so far, counted from the output.
        layers: Those that this step added, by name.
        agreement: Of the map with that of the trained network.
        saliency: The map, ``[*space]``.
        forwards: What it cost.
    """

    depth: int
    layers: tuple[str, ...]
    agreement: Agreement
    saliency: FloatArray
    forwards: int


@dataclass(frozen=True, eq=False)
class Similarities:
    """How alike the maps of ever more randomised networks are to that of the trained one.

    Attributes:
        original: What the others are compared with: the trained network's map for the same pixels.
        steps: From the output layer alone to the whole network.
    """

    original: Explanation
    steps: tuple[Step, ...]

    @property
    def last(self) -> Agreement:
        """With every chosen layer randomised: nothing that was learnt is left."""
        return self.steps[-1].agreement

    @property
    def forwards(self) -> int:
        """What all maps cost together."""
        return int(self.original.run["forwards"]) + sum(step.forwards for step in self.steps)

    def rows(self) -> list[dict[str, Any]]:
        """One flat row for each step, for a table."""
        return [
            {"depth": step.depth, "layers": " ".join(step.layers), **step.agreement.as_dict(),
             "forwards": step.forwards}
            for step in self.steps
        ]  # fmt: skip

    def plot(self, axes: Axes | None = None, *, title: str | None = None) -> Axes:
        """Draw similarity against depth, from the trained network on the left to the last step.

        Args:
            axes: Where. None: a new figure.
            title: Above the plot. None: the method.

        Returns:
            The axes; ``axes.figure.savefig(...)`` saves them.
        """
        from matplotlib import pyplot as plt

        few = len(self.steps) <= NAMED
        if axes is None:
            width = max(5.5, 0.32 * len(self.steps) + 3) if few else 8.5
            axes = plt.subplots(figsize=(width, 4.2), layout="constrained")[1]
        places = range(len(self.steps) + 1)
        for name, (label, colour, marker) in LINES.items():
            values = [1.0, *(getattr(step.agreement, name) for step in self.steps)]
            axes.plot(places, values, color=colour, marker=marker, markersize=4, label=label)
        axes.axhline(0, color="0.6", linewidth=0.8)
        if few:
            names = ["trained", *(_called(step.layers) for step in self.steps)]
            axes.set_xticks(places, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
            axes.set_xlabel("randomised down to")
        else:
            axes.set_xlabel("steps from the output")
        axes.set_ylabel("similarity to the trained network's map")
        axes.set_ylim(min(-0.05, *(value - 0.05 for value in axes.dataLim.intervaly)), 1.05)
        axes.set_title(f"{self.original.method}: weights randomised" if title is None else title)
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        return axes


@dataclass(frozen=True, eq=False)
class RandomTarget:
    """The map of another target beside that of the explained one.

    Attributes:
        agreement: Of the two.
        pixels: The other target, bool ``[*space]``.
        original: The explanation of the explained pixels.
        other: The explanation of the other target.
    """

    agreement: Agreement
    pixels: BoolArray
    original: Explanation
    other: Explanation

    @property
    def forwards(self) -> int:
        """What both maps cost together."""
        return int(self.original.run["forwards"]) + int(self.other.run["forwards"])


def cascading_randomisation(
    model: Model | SegmentationModel,
    explanation: Explanation,
    *,
    layers: Sequence[str] | None = None,
    steps: int | None = None,
    seed: int = 0,
    fraction: float = 0.1,
    within: AnyArray | None = None,
    progress: bool = True,
    **changes: Any,
) -> Similarities:
    """Randomise the network's weights from the output to the input, and explain it again after each step.

    Every number is an `Agreement` with the trained network's map, up to 1. **Lower** is better, above all at
    the last step: a map that does not change does not depend on what the network has learnt. Some parts of a
    map stay with any weights. A network that sees only a few pixels around each one has every map around the
    segment; and hiding black pixels with black changes nothing. ``within`` leaves such pixels out. It costs
    1 + steps times the forwards of the explanation.

    A copy of the network is randomised; the network itself is left alone. A layer is a module with weights of
    its own. It is drawn anew by its ``reset_parameters``; weights that this does not change, or that have
    none, are drawn from a normal distribution of their own mean and standard deviation. Where all weights of
    a layer are equal, nothing has been learnt, and they stay.

    Every step explains the pixels that the explanation explains, whatever the randomised network draws. The
    map of the trained network is made again for these pixels too, so that only the weights differ.

    Args:
        model: A `torch.nn.Module`, or a `SegmentationModel` of one.
        explanation: Has the image and the settings that are used again.
        layers: Names of modules, as in ``named_modules()``, in the order in which they are randomised; a name
            stands for all that is in the module. None: all layers, those registered last first. That is from
            output to input where the network registers its layers in the order in which it uses them.
        steps: In how many steps, each about as many layers. None: one for each layer.
        seed: Of the new weights, which are the same on every device.
        fraction: Of the pixels, which are compared as the highest; see `top_overlap`.
        within: The only pixels at which maps are compared, ``[*space]``; see `agreement`. None: all.
        progress: Show a progress bar.
        **changes: Arguments of `explain` that shall be different, as for `Explanation.repeat`, except the
            target.

    Raises:
        TypeError: A model without weights that could be randomised: a function, an ONNX file.
        ValueError: There is no such layer, or the explanation cannot be repeated.

    References:
        Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim, "Sanity checks for saliency maps", 2018,
        https://arxiv.org/abs/1810.03292.

    Example:
        >>> from interpret_segmentation import explain
        >>> image = torch.rand(20, 30, generator=torch.Generator().manual_seed(0))
        >>> layers = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1), nn.Sigmoid()
        >>> network = nn.Sequential(*layers)
        >>> explanation = explain(network, image, "occlusion", score="mse", target=(4, 5), progress=False)
        >>> similarities = cascading_randomisation(network, explanation, progress=False)
        >>> [(step.depth, step.layers) for step in similarities.steps]
        [(1, ('1',)), (2, ('0',))]
    """
    check_repeatable(explanation)
    _check_no_target(changes)
    network, options = _network(model)
    start = _as_seed(seed)
    names = _layers(network, layers)
    count = len(names) if steps is None else min(as_positive(steps, "steps"), len(names))
    groups = np.array_split(np.arange(len(names)), count)
    changes = {**options, **changes, "progress": False}
    target = _same_pixels(explanation)
    randomised = deepcopy(network)
    modules = dict(randomised.named_modules())

    original, done = explanation.repeat(randomised, target=target, **changes), []
    for group in tqdm(groups, desc="Randomisation", unit="map", disable=not progress):
        for number in group:
            for part in _with_weights(modules[names[number]]):
                _randomise(part, int(np.random.SeedSequence([start, number]).generate_state(1)[0]))
        again = explanation.repeat(randomised, target=target, **changes)
        done.append(
            Step(
                int(group[-1]) + 1,
                tuple(names[number] for number in group),
                agreement(original, again, fraction=fraction, within=within),
                again.saliency,
                int(again.run["forwards"]),
            )
        )
    return Similarities(original, tuple(done))


def random_target(
    model: Model | SegmentationModel,
    explanation: Explanation,
    *,
    scattered: bool = False,
    seed: int = 0,
    fraction: float = 0.1,
    within: AnyArray | None = None,
    **changes: Any,
) -> RandomTarget:
    """Explain other pixels in the same way: a map that does not depend on what is explained explains nothing.

    The explained pixels are moved to a random place where they overlap least with where they were, or pixels
    are drawn one by one. Both maps are made for a region, so that they differ in its place alone. The
    `Agreement` is up to 1, and **lower** is better. It costs twice the forwards of the explanation.

    Args:
        model: The network that was explained.
        explanation: Has the image and the settings that are used again.
        scattered: Draw as many single pixels, outside the explained ones as long as there are any, instead of
            moving the explained ones together.
        seed: Of the place.
        fraction: Of the pixels, which are compared as the highest; see `top_overlap`.
        within: The only pixels at which maps are compared, ``[*space]``; see `agreement`. None: all.
        **changes: Arguments of `explain` that shall be different, as for `Explanation.repeat`, except the
            target.

    Raises:
        ValueError: There is no other place, or the explanation cannot be repeated.

    References:
        Sixt, Granz and Landgraf, "When explanations lie: why many modified BP attributions fail", 2020,
        https://arxiv.org/abs/1912.09818, with random logits; here with random pixels.

    Example:
        >>> from interpret_segmentation import explain
        >>> image = torch.zeros(20, 30)
        >>> image[5:10, 8:16] = 1
        >>> brightness = lambda batch: batch.clamp(0, 1)  # a network that segments what is bright
        >>> explanation = explain(brightness, image, "rise", N=100, s=5, seed=0, progress=False)
        >>> random_target(brightness, explanation, progress=False).agreement.top_overlap < 0.5
        True
    """
    check_repeatable(explanation)
    _check_no_target(changes)
    target = _same_pixels(explanation)
    random = np.random.default_rng(_as_seed(seed))
    pixels = _scattered(target.mask, random) if scattered else _moved(target.mask, random)
    changes = {"progress": False, **changes}
    original = explanation.repeat(model, target=target, **changes)
    other = explanation.repeat(model, target=Region(pixels, label=target.label), **changes)
    return RandomTarget(agreement(original, other, fraction=fraction, within=within), pixels, original, other)


def _network(model: Model | SegmentationModel) -> tuple[nn.Module, dict[str, Any]]:
    """The module whose weights can be randomised, and how it is asked."""
    options = model.options if isinstance(model, SegmentationModel) else {}
    module = model.module if isinstance(model, SegmentationModel) else model
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"only the weights of a torch.nn.Module can be randomised, got {type(module).__name__}; pass the "
            "module itself, with preprocess= or output= for what the function does around it"
        )
    if next(module.parameters(), None) is None:
        raise TypeError(f"{type(module).__name__} has no weights that could be randomised")
    return module, options


def _layers(network: nn.Module, layers: Sequence[str] | None) -> list[str]:
    """Names of modules with weights, in the order in which they are randomised."""
    if layers is None:
        return [name for name, part in network.named_modules() if _own(part)][::-1]
    modules = dict(network.named_modules())
    if isinstance(layers, str) or not layers:
        raise ValueError(f"layers must be a list of names of modules, got {layers!r}")
    for name in layers:
        if name not in modules:
            known = ", ".join(map(repr, _layers(network, None)[:8]))
            raise ValueError(f"the network has no layer {name!r}; it has {known}, ... (named_modules())")
        if not _with_weights(modules[name]):
            raise ValueError(f"the layer {name!r} has no weights that could be randomised")
    return list(layers)


def _with_weights(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if _own(part)]


def _own(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters(recurse=False))


@torch.no_grad()
def _randomise(layer: nn.Module, seed: int) -> None:
    """Draw a layer's own weights anew, on the CPU: there every device gets the same."""
    device = _own(layer)[0].device
    layer.cpu()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        before = [(weights, weights.detach().clone()) for weights in _own(layer)]
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset):
            reset()
        for weights, old in before:
            if weights.is_floating_point() and torch.equal(weights, old):
                mean, spread = old.double().mean(), old.double().std(correction=0)
                if old.numel() == 1:
                    spread = mean.abs()
                weights.copy_(mean + spread * torch.randn(old.shape, dtype=torch.float64))
    layer.to(device)


def _check_no_target(changes: dict[str, Any]) -> None:
    if "target" in changes:
        raise ValueError(
            "target= cannot be changed here, for the maps compared are of the pixels that were explained; "
            "explain the other target, and judge that explanation"
        )


def _same_pixels(explanation: Explanation) -> Region:
    """The explained pixels, whatever another network may draw."""
    if explanation.pixels is None or not explanation.pixels.any():
        raise ValueError("this explanation explains no pixel, so there is no target to keep or to move")
    return Region(explanation.pixels.copy(), label=getattr(explanation.target, "label", None))


def _moved(pixels: BoolArray, random: np.random.Generator) -> BoolArray:
    """The same set of pixels at another place in the image, chosen among those of least overlap."""
    found = np.argwhere(pixels)
    low, high = found.min(axis=0), found.max(axis=0) + 1
    part = pixels[tuple(slice(*ends) for ends in zip(low, high, strict=True))]
    overlap = np.rint(correlate(pixels.astype(np.float64), part.astype(np.float64), mode="valid"))
    overlap[tuple(low)] = np.inf
    if not np.isfinite(overlap).any():
        raise ValueError(
            "the explained pixels reach from side to side of the image, so there is no other place for them; "
            "pass scattered=True for single pixels"
        )
    place = random.choice(np.argwhere(overlap == overlap.min()))
    moved = np.zeros_like(pixels)
    moved[tuple(slice(first, first + side) for first, side in zip(place, part.shape, strict=True))] = part
    return moved


def _scattered(pixels: BoolArray, random: np.random.Generator) -> BoolArray:
    """As many pixels at random, others than these as long as there are any."""
    order = random.permutation(pixels.size)
    order = order[np.argsort(pixels.ravel()[order], kind="stable")]
    drawn = np.zeros(pixels.size, dtype=bool)
    drawn[order[: np.count_nonzero(pixels)]] = True
    return drawn.reshape(pixels.shape)


def _as_seed(seed: int) -> int:
    start = as_seed(seed)
    if start is None:
        raise ValueError("seed must be a whole number, so that the same can be drawn again; got None")
    return start


def _called(layers: tuple[str, ...]) -> str:
    return layers[-1] or "(the network itself)"
