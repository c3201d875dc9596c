"""Who is measured: every contestant is prepared with a task, and then does an amount of work when asked.

For occlusions the amount is the offset between positions in pixels, for RISE the number of masks, for plain
forwards their number. Peers that cannot leave gaps hide larger squares at larger offsets. Packages are
imported when they are needed: no environment has all of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """What a contestant is given.

    Attributes:
        network: Probabilities ``[B, 1, H, W]`` for images of the same shape; in evaluation mode.
        image: ``[1, H, W]``.
        region: Bool ``[H, W]``: what the network takes for segment.
        settings: Of the contestant.
    """

    network: nn.Module
    image: Tensor
    region: Tensor
    settings: dict[str, Any]

    @property
    def size(self) -> int:
        """Height and width of the image."""
        return self.image.shape[-1]


@dataclass(frozen=True)
class Answer:
    """What came of the work.

    Attributes:
        count: Positions, masks or forwards.
        values: One number for each position, to be compared between contestants.
        facts: Whatever else the table tells.
    """

    count: int
    values: Sequence[float] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


Run: TypeAlias = Callable[[int, int | None], Answer]
"""Amount and batch size in, the answer out."""

CONTESTANTS: dict[str, Callable[[Task], Run]] = {}
"""By name."""


def contestant(prepare: Callable[[Task], Run]) -> Callable[[Task], Run]:
    """Enter the competition."""
    CONTESTANTS[prepare.__name__] = prepare
    return prepare


def batches(count: int, size: int | None) -> Iterator[range]:
    """The numbers from 0 to ``count - 1``, some at a time."""
    for first in range(0, count, size or 1):
        yield range(first, min(first + (size or 1), count))


class MeanOfSegment(nn.Module):
    """What peers for classifiers need: one number for each image, the mean probability of the segment."""

    def __init__(self, network: nn.Module, region: Tensor, *, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.region, self.shape = network, region, shape

    def forward(self, batch: Tensor) -> Tensor:
        """One number for each image, in the shape that the peer wants."""
        probability: Tensor = self.network(batch)
        return probability[:, 0, self.region].mean(dim=1).view(-1, *self.shape)


# Plain forwards, and the loops that one would write by hand


@contestant
def forwards(task: Task) -> Run:
    """The network alone, on batches that are there already: what nobody can be faster than."""
    torch.empty(31 * 2**20, dtype=torch.uint8)  # as in `inference.batched`: glibc keeps freed blocks

    def run(count: int, batch: int | None) -> Answer:
        images = task.image.repeat(batch or 1, 1, 1, 1).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            for numbers in batches(count, batch):
                task.network(images[: len(numbers)])
        return Answer(count)

    return run


def corners(size: int, offset: int, window: int) -> list[tuple[int, int]]:
    """Where squares begin that lie inside the image, the last in each row and column perhaps not entirely."""
    starts = range(0, size - window + offset, offset)
    return [(row, column) for row in starts for column in starts]


@contestant
def hand_squares(task: Task) -> Run:
    """Hide squares, ask in batches, take the mean probability of the segment."""
    window = task.settings["size"]

    def run(offset: int, batch: int | None) -> Answer:
        where, values = corners(task.size, offset, window), []
        for numbers in batches(len(where), batch):
            images = task.image.repeat(len(numbers), 1, 1, 1)
            for image, number in zip(images, numbers, strict=True):
                row, column = where[number]
                image[:, row : row + window, column : column + window] = 0
            values.append(task.network(images)[:, 0, task.region].mean(dim=1))
        return Answer(len(where), torch.cat(values).tolist())

    return run


@contestant
def hand_circles(task: Task) -> Run:
    """Hide circles, ask in batches, take the Hausdorff distance with SciPy's distance transform."""
    from PIL import Image, ImageDraw
    from scipy.ndimage import distance_transform_edt

    circle = task.settings["circle_size"]
    picture = Image.new("L", (circle + 1, circle + 1), 1)
    ImageDraw.Draw(picture).ellipse((0, 0, circle, circle), fill=0)
    kernel = torch.from_numpy(np.asarray(picture)).to(task.image)
    reference = task.region.cpu().numpy()

    def run(offset: int, batch: int | None) -> Answer:
        to_reference = distance_transform_edt(~reference)
        starts = range(0, task.size, offset)
        where, values = [(row, column) for row in starts for column in starts], []
        for numbers in batches(len(where), batch):
            images = task.image.repeat(len(numbers), 1, 1, 1)
            for image, number in zip(images, numbers, strict=True):
                row, column = where[number]
                window = image[:, row : row + circle + 1, column : column + circle + 1]
                window *= kernel[: window.shape[1], : window.shape[2]]
            for segment in (task.network(images)[:, 0] > 0.5).cpu().numpy():
                there = to_reference[segment].max(initial=0)
                back = distance_transform_edt(~segment)[reference].max(initial=0)
                values.append(float(max(there, back)))
        return Answer(len(where), values)

    return run


# This package


@contestant
def ours_squares(task: Task) -> Run:
    """`Occlusion` with the squares and the score of the peers."""
    from interpret_segmentation import Occlusion, explain

    settings = dict(task.settings)
    incremental = settings.pop("incremental", None)

    def run(offset: int, batch: int | None) -> Answer:
        method = Occlusion(
            shape="square", offset=offset, score="probability", fill="black", share="even", **settings
        )
        result = explain(
            task.network, task.image, method, incremental=incremental, batch_size=batch, progress=False
        )
        values = result.measured["scores"]
        return Answer(len(values), values.tolist(), {"inference": dict(result.run["inference"])})

    return run


@contestant
def ours_hdm(task: Task) -> Run:
    """`HDM`: the Hausdorff distance, true and in pixels."""
    from interpret_segmentation import HDM, explain, hdm

    settings = dict(task.settings)
    incremental = settings.pop("incremental", None)

    def run(offset: int, batch: int | None) -> Answer:
        method = HDM(offset=offset, distance="hausdorff", fill="black", share="even", **settings)
        result = explain(
            task.network, task.image, method, incremental=incremental, batch_size=batch, progress=False
        )
        assert isinstance(result, hdm.HDMResult)
        values = result.distances(hdm.RAW).ravel()
        return Answer(len(values), values.tolist(), {"inference": dict(result.run["inference"])})

    return run


def above_mean(task: Task) -> Tensor:
    """The pixels that release 1.0.0 explains."""
    with torch.no_grad():
        probability: Tensor = task.network(task.image[None])[0, 0]
    return probability > probability.mean()


@contestant
def ours_rise(task: Task) -> Run:
    """`RISE` of the segment, or of the pixels that 1.0.0 explains, and the mean map."""
    from interpret_segmentation import RISE, RISEResult, explain

    settings = dict(task.settings)
    target = above_mean(task).cpu() if settings.pop("above_mean", False) else None
    merge = settings.pop("merge", "mean")

    def run(count: int, batch: int | None) -> Answer:
        method = RISE(N=count, s=8, p1=0.1, seed=0, estimator="paper", fill="black", **settings)
        result = explain(task.network, task.image, method, target=target, batch_size=batch, progress=False)
        assert isinstance(result, RISEResult)
        getattr(result, merge)()
        return Answer(count, facts={"pixels": result.scores.columns})

    return run


@contestant
def ours_rise_maximum(task: Task) -> Run:
    """The maximum over as many maps as the amount says, for scores that are there already."""
    from interpret_segmentation.methods.rise.maps import Maps
    from interpret_segmentation.methods.rise.score_table import ScoreTable
    from interpret_segmentation.perturb.masks.grids import draw_grids

    space = (task.size, task.size)
    masks = draw_grids(task.settings["masks"], cells=8, keep=0.1, space=space, seed=0)
    random = np.random.default_rng(0)

    def run(pixels: int, batch: int | None) -> Answer:  # noqa: ARG001  it asks nothing
        scores = ScoreTable.of(random.random((len(masks), pixels), dtype=np.float32))
        maps = Maps(masks, scores, "paper", None, task.image.device)
        maps.largest(np.arange(pixels), progress=False)
        return Answer(pixels)

    return run


# Release 1.0.0


class WithoutChannel(nn.Module):
    """What 1.0.0 needs: ``[B, H, W]``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Tensor) -> Tensor:
        """Probabilities ``[B, H, W]``."""
        probability: Tensor = self.network(batch)
        return probability[:, 0]


@contestant
def release_hdm(task: Task) -> Run:
    """HDM of 1.0.0, with its own distance: between the rows of two arrays of probabilities."""
    from interpret_segmentation import hdm

    network = WithoutChannel(task.network).eval()
    segment = task.region.float().cpu().numpy()

    def run(offset: int, batch: int | None) -> Answer:  # noqa: ARG001  it asks one image at a time
        explainer = hdm.HausdorffDistanceMasks(task.size, task.size)
        explainer.generate_masks(circle_size=task.settings["circle_size"], offset=offset)
        result = explainer.explain(network, task.image.cpu(), segment, task.image.device)
        return Answer(result.distances(hdm.RAW).size)

    return run


@contestant
def release_rise(task: Task) -> Run:
    """RISE of 1.0.0, masks and both merged maps included."""
    from interpret_segmentation.rise import SegmentationRISE

    explainer = SegmentationRISE(
        WithoutChannel(task.network).eval(), (task.size, task.size), task.image.device
    )
    pixels = int(above_mean(task).sum())

    def run(count: int, batch: int | None) -> Answer:  # noqa: ARG001  it asks one image at a time
        np.random.seed(0)  # noqa: NPY002  the generator that it draws from
        with tempfile.TemporaryDirectory() as folder:
            explainer.generate_masks(N=count, s=8, p1=0.1, savepath=Path(folder) / "masks.npy")
        result = explainer(task.image[None])
        result.max(), result.mean()
        return Answer(count, facts={"pixels": pixels})

    return run


# Peers


@contestant
def captum_occlusion(task: Task) -> Run:
    """Captum's `Occlusion`, with the window that slides over the image."""
    from captum.attr import Occlusion

    asked = MeanOfSegment(task.network, task.region, shape=()).eval()
    occlusion = Occlusion(asked)

    def run(offset: int, batch: int | None) -> Answer:
        window = max(task.settings["size"], offset)
        where = corners(task.size, offset, window)
        attribution = occlusion.attribute(
            task.image[None],
            sliding_window_shapes=(1, window, window),
            strides=(1, offset, offset),
            perturbations_per_eval=batch or 1,
        )
        values = None
        if offset == window:  # where windows overlap it gives their mean only
            baseline = asked(task.image[None])
            values = [float(baseline - attribution[0, 0, row, column]) for row, column in where]
        return Answer(len(where), values)

    return run


@contestant
def captum_feature_ablation(task: Task) -> Run:
    """Captum's `FeatureAblation`, with squares side by side as features."""
    from captum.attr import FeatureAblation

    asked = MeanOfSegment(task.network, task.region, shape=()).eval()
    ablation = FeatureAblation(asked)

    def run(offset: int, batch: int | None) -> Answer:
        window = offset  # features do not overlap
        where = corners(task.size, offset, window)
        features = torch.zeros(task.size, task.size, dtype=torch.long, device=task.image.device)
        for number, (row, column) in enumerate(where):
            features[row : row + window, column : column + window] = number
        attribution = ablation.attribute(
            task.image[None], feature_mask=features[None, None], perturbations_per_eval=batch or 1
        )
        baseline = asked(task.image[None])
        return Answer(len(where), [float(baseline - attribution[0, 0, row, column]) for row, column in where])

    return run


@contestant
def monai_occlusion(task: Task) -> Run:
    """MONAI's `OcclusionSensitivity`, with squares of 0."""
    from monai.visualize import OcclusionSensitivity

    asked = MeanOfSegment(task.network, task.region, shape=(1,)).eval()

    def run(offset: int, batch: int | None) -> Answer:
        window = max(task.settings["size"], offset)
        occlusion = OcclusionSensitivity(
            asked,
            mask_size=window,
            n_batch=batch or 1,
            mode=0.0,
            overlap=1 - (offset + 0.5) / window if offset < window else 0,
            activate=False,
            verbose=False,
        )
        sensitivity, _ = occlusion(task.image[None])
        where = corners(task.size, offset, window)
        values = None
        if offset == window:  # where windows overlap it gives their mean only
            values = [float(sensitivity[0, 0, row, column]) for row, column in where]
        return Answer(len(where), values)

    return run
