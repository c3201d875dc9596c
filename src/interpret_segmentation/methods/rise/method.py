"""RISE for segmentation: keep random parts of the image, average the masks that let the segment survive.

RISE (Petsiuk, Das, Saenko 2018, https://arxiv.org/abs/1806.07421) multiplies the image with random masks
M_i and estimates the importance of image pixel x for a score f by

    paper:    S(x) = 1 / (N E[M]) * sum_i f(image * M_i) M_i(x)

the expected score, given that x is kept. Dividing by what the masks really kept instead of what they keep on
average, and taking the mean score off, leaves far less noise:

    centred:  S(x) = sum_i f(image * M_i) M_i(x) / sum_i M_i(x) - mean_i f(image * M_i)

by how much the score is above its mean when x is kept. For segmentation every pixel of the output has a score
of its own: the probability of what the network said there. So there is one map for each explained pixel, and
`RISEResult` merges them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from interpret_segmentation._settings import Setting
from interpret_segmentation._types import AnyArray, BoolArray, FloatArray, PathLike
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_copy, as_positive, as_probability, as_seed, named
from interpret_segmentation.inference.case import Case, answered
from interpret_segmentation.inference.dense import Answers
from interpret_segmentation.methods.rise.moments import Moments
from interpret_segmentation.methods.rise.result import RISEResult
from interpret_segmentation.methods.rise.score_table import ScoreTable
from interpret_segmentation.models.network import Model, SegmentationModel
from interpret_segmentation.perturb.fills.simple import StaticFill, as_fill
from interpret_segmentation.perturb.hiding import Blend
from interpret_segmentation.perturb.masks.files import check_savepath, load_masks, save_masks
from interpret_segmentation.perturb.masks.grids import DESIGNS, Grids, Masks, draw_grids
from interpret_segmentation.scores.registry import Distance, Score, as_score, checked
from interpret_segmentation.targets.targets import AnyTarget

__all__ = ["RISE", "RISEResult", "SegmentationRISE"]

ESTIMATORS = {
    "paper": "expected probability if kept",
    "centred": "growth of the probability when kept",
}
"""How scores become a map, and what its values then say."""

KEEP = 0.25
"""Share of the cells that is kept unless said otherwise; docs/which-method.md has the figures."""

BLOCK = 100
"""Masks after which the precision is looked at, whatever the batch size."""


@dataclass(frozen=True, eq=False, repr=False)
class RISE(Setting):
    """Explain a segmentation with random masks: the settings, for an image or a volume of any size.

    Args:
        N: Number of masks.
        s: Cells along each side of the grid that a mask is enlarged from.
        p1: Probability that a cell is kept, above 0 and at most 1. None: 0.25, or what the file of masks
            says.
        seed: The same seed draws the same masks. None draws a seed, which is in the result.
        estimator: ``"centred"`` or ``"paper"``: how scores become a map; see the module.
        precision: Stop before N masks once the standard error of every pixel is at most this.
            It is looked at after every 100 masks. None: never.
        fill: What hidden pixels fade into: ``"black"`` (0), ``"white"``, ``"mean"``, ``"noise"``, ``"blur"``,
            a number or one for each channel, another image.
        channel: The channel that is hidden. None: all of them.
        within: Region ``[*space]``, or ``"segment"``, outside of which nothing is hidden.
        spare: Region ``[*space]`` in which nothing is hidden, or ``"segment"`` for what the network draws:
            what does the context contribute?
        masks: A file that `SegmentationRISE.generate_masks` or another program saved, instead of N, s and
            seed.
        design: ``"random"`` draws every mask by itself; ``"sobol"`` balances how often each cell is kept, see
            `draw_grids`: fewer masks for the same precision. Its ``standard_error`` is an upper bound.
        score: Compare segments instead of asking every explained pixel: a score as for `Occlusion`, of which
            a distance counts negative. The map then says how much more alike the segments are when a pixel
            is kept, and ``max`` and ``pixel`` have no other to offer. None: the explained pixels.

    Raises:
        ValueError: A setting out of its range.

    Example:
        >>> image = torch.zeros(30, 40)
        >>> image[10:20, 10:20] = 1
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> result = RISE(N=100, s=4, seed=0).explain(brightness, image, progress=False)
        >>> result.saliency.shape, bool(result.standard_error.max() < 0.1)
        ((30, 40), True)
    """

    kind: ClassVar[str] = "rise"

    N: int = 1000
    s: int = 8
    p1: float | None = None
    seed: int | None = None
    estimator: str = "centred"
    precision: float | None = None
    fill: Any = "black"
    channel: int | None = None
    within: AnyArray | str | None = None
    spare: AnyArray | str | None = None
    masks: PathLike | None = None
    design: str = "random"
    score: str | Distance | Score | None = None

    def __post_init__(self) -> None:
        if self.design not in DESIGNS:
            raise ValueError(f"design must be one of {', '.join(map(repr, DESIGNS))}, got {self.design!r}")
        if self.score is not None:
            as_score(self.score)
        for name in ("N", "s"):
            object.__setattr__(self, name, as_positive(getattr(self, name), name))
        if self.p1 is not None or self.masks is None:
            object.__setattr__(self, "p1", as_probability(KEEP if self.p1 is None else self.p1, "p1"))
        object.__setattr__(self, "seed", as_seed(self.seed))
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"estimator must be 'paper' or 'centred', got {self.estimator!r}")
        precision: object = self.precision
        if precision is not None and not (isinstance(precision, int | float) and precision > 0):
            raise ValueError(f"precision must be a number above 0, got {precision!r}")
        fill = as_fill(self.fill)
        if not isinstance(fill, StaticFill):
            raise ValueError(  # noqa: TRY004  a fill it is, but one that does not suit
                f"RISE hides softly, so that the fill cannot depend on the mask as {fill} does; use 'black', "
                "'white', 'mean', 'noise', 'blur', a number or an image"
            )
        object.__setattr__(self, "fill", fill)
        for name in ("within", "spare"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                object.__setattr__(self, name, as_copy(value, name))
        if self.masks is not None:
            object.__setattr__(self, "masks", _as_mask_file(self.masks))

    def explain(
        self,
        model: Model | SegmentationModel,
        image: AnyArray,
        target: AnyTarget = None,
        reference: AnyArray | None = None,
        *,
        dims: int | None = None,
        batch_size: int | None = None,
        progress: bool = True,
    ) -> RISEResult:
        """Explain one image; the arguments are those of `Occlusion.explain`."""
        return answered(
            self.run, model, image, target, reference, dims=dims, batch_size=batch_size, progress=progress
        )

    def run(self, case: Case) -> RISEResult:
        """Draw the masks and ask about each, for a case that is open."""
        if self.masks is not None:
            return self.run_with(case, load_masks(self.masks, p1=self.p1))
        grids = draw_grids(
            self.N, cells=self.s, keep=self.p1 or KEEP, space=case.space, seed=self.seed, design=self.design
        )
        return self.run_with(case, grids)

    def run_with(self, case: Case, masks: Masks) -> RISEResult:
        """Ask about every mask, or until the precision is reached, for a case that is open."""
        if masks.space != case.space:
            raise ValueError(
                f"the masks are for images of {masks.space} pixels, but this one has {case.space}"
            )
        case.question.check()
        spare = self._spared(case)
        summing = torch.device("cpu") if case.device.type == "mps" else case.device
        measure = self._of_pixels(case) if self.score is None else self._of_segments(case, self.score)
        scores = ScoreTable(
            rows=len(masks), columns=int(case.question.pixels.sum()) if self.score is None else 1
        )
        moments = Moments(masks, summing)
        blend = Blend(masks, case.pixels, self.fill, case.channels(self.channel), spare)
        block = None if self.precision is None else BLOCK
        done = 0
        for answers in case.ask(blend, len(masks), "RISE", block=block):
            rows = measure(answers)
            scores.append(rows)
            done += len(rows)
            if self.precision is not None and done % BLOCK == 0:
                moments.add(scores.row_means[moments.count : done])
                error = moments.standard_error(self.estimator, masks.expected_value)
                if (error if spare is None else error[~spare.ravel()]).max() <= self.precision:
                    break
        moments.add(scores.row_means[moments.count : done])
        if self.precision is not None and done == len(masks):
            self._warn_of_precision(moments, masks, spare)
        masks, scores = masks.until(done), scores.until(done)
        error = moments.standard_error(self.estimator, masks.expected_value).view(case.space)
        standard_error = error.cpu().numpy().astype(np.float32)
        if spare is not None:
            standard_error[spare] = 0
        return RISEResult(
            masks,
            scores,
            device=case.device,
            progress=case.progress,
            meaning=self._meaning(),
            reached=np.ones(case.space, dtype=bool) if spare is None else ~spare,
            measured={"scores": scores.array(), "standard_error": standard_error, **_drawn(masks)},
            **case.record("rise", self._settings(masks)),
        )

    @staticmethod
    def _of_pixels(case: Case) -> Callable[[Answers], FloatArray]:
        """How probable what the network said remains, one number for each explained pixel."""
        return lambda answers: case.question.agreement(answers.probability).cpu().numpy()

    @staticmethod
    def _of_segments(case: Case, score: str | Distance | Score) -> Callable[[Answers], FloatArray]:
        """How alike the segments are, one number for each mask."""
        chosen = as_score(score)
        measure, sign = checked(chosen.prepare(case.reference())), 1 if chosen.higher_is_better else -1

        def alike(answers: Answers) -> FloatArray:
            pairs = zip(answers.probability.cpu().numpy(), answers.segment.cpu().numpy(), strict=True)
            return np.array([[sign * measure(*pair)] for pair in pairs], dtype=np.float32)

        return alike

    def _warn_of_precision(self, moments: Moments, masks: Masks, spare: BoolArray | None) -> None:
        error = moments.standard_error(self.estimator, masks.expected_value)
        largest = (error if spare is None else error[~spare.ravel()]).max().item()
        if largest > (self.precision or 0):
            warn(
                f"the precision {self.precision:g} was not reached with {len(masks)} masks: the largest "
                f"standard error is {largest:.3g}; pass a larger N",
            )

    def _meaning(self) -> str:
        if self.score is None:
            return ESTIMATORS[self.estimator]
        score = as_score(self.score)
        what = score.meaning if score.higher_is_better else f"negative {score.meaning}"
        return ESTIMATORS[self.estimator].replace("the probability", what).replace("probability", what)

    def _spared(self, case: Case) -> BoolArray | None:
        """The pixels that are never hidden."""
        spare = case.region(self.spare, "spare")
        within = case.region(self.within, "within")
        if within is not None:
            spare = ~within if spare is None else ~within | spare
        if spare is not None and spare.all():
            raise ValueError("there is nothing to hide: no pixel lies within= and outside spare=")
        return spare

    def _settings(self, masks: Masks) -> dict[str, Any]:
        settings = {part.name: getattr(self, part.name) for part in fields(self)}
        settings |= {"N": len(masks) if self.masks else self.N, "p1": masks.expected_value}
        if isinstance(masks, Grids):
            settings |= {"s": masks.cells.shape[1], "seed": masks.seed}
            if masks.seed is not None:
                settings["masks"] = None
        return settings


def _drawn(masks: Masks) -> dict[str, Any]:
    """The numbers that make the masks, unless they are read from a file."""
    if not isinstance(masks, Grids):
        return {}
    return {"cells": masks.cells.numpy(), "shifts": masks.shifts.numpy()}


class SegmentationRISE:
    """Explain segmentations with random masks.

    Args:
        model: The network: a PyTorch module, or whatever else `SegmentationModel` takes. It is put in
            evaluation mode for each run and given back as it was.
        input_size: Width and height of the images to explain.
        device: Where the model is. None: wherever it is.
        batch_size: Images asked at once. None: what suits the device and the images' size.
        progress: Show progress bars.

    Raises:
        ValueError: A size that is not positive, or a model on another device.

    Example:
        >>> import torch
        >>> from interpret_segmentation.methods.rise.method import SegmentationRISE
        >>> image = torch.zeros(30, 40)
        >>> image[10:20, 10:20] = 1
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> explainer = SegmentationRISE(brightness, (40, 30), "cpu", progress=False)
        >>> explainer.generate_masks(N=100, s=4, p1=0.5, savepath=None, seed=0)
        >>> result = explainer(image)
        >>> result.mean().shape
        torch.Size([30, 40])
    """

    def __init__(
        self,
        model: Model | SegmentationModel,
        input_size: tuple[int, int],
        device: torch.device | str | None = None,
        batch_size: int | None = None,
        *,
        progress: bool = True,
    ) -> None:
        try:
            width, height = input_size
        except (TypeError, ValueError):
            raise ValueError(f"input_size must be (width, height), got {input_size!r}") from None
        self.width = as_positive(width, "the width in input_size")
        self.height = as_positive(height, "the height in input_size")
        self.model = (
            model if isinstance(model, SegmentationModel) else SegmentationModel(model, device=device)
        )
        self.batch_size = None if batch_size is None else as_positive(batch_size, "batch_size")
        self.progress = progress
        self._masks: Masks | None = None
        self._file: PathLike | None = None

    @property
    def masks(self) -> Masks:
        """The masks that `generate_masks` or `load_masks` provided."""
        if self._masks is None:
            raise RuntimeError(
                "there are no masks yet; call generate_masks(N, s, p1) or load_masks(path) first"
            )
        return self._masks

    def generate_masks(
        self,
        N: int,
        s: int,
        p1: float,
        savepath: PathLike | None = "masks.npy",
        *,
        seed: int | None = None,
        overwrite: bool = False,
    ) -> None:
        """Draw random masks and save them.

        Args:
            N: Number of masks.
            s: Cells along each side of the grid that a mask is enlarged from.
            p1: Probability that a cell is kept, above 0 and at most 1.
            savepath: ``.npz`` saves the grids and shifts, some kilobytes; ``.npy`` the rendered masks,
                ``N x 1 x H x W`` float32, as release 1.0.0 did (4 N H W bytes). None saves nothing.
            seed: The same seed draws the same masks. None draws others each time, whatever
                ``torch.manual_seed`` says.
            overwrite: Replace an existing file.

        Raises:
            ValueError: N or s not positive, p1 out of range, a negative seed, savepath with another ending.
            FileExistsError: savepath exists and overwrite is False.
        """
        N, s, p1, seed = as_positive(N, "N"), as_positive(s, "s"), as_probability(p1, "p1"), as_seed(seed)
        if savepath is not None:
            check_savepath(savepath, overwrite=overwrite)
        masks = draw_grids(N, cells=s, keep=p1, space=(self.height, self.width), seed=seed)
        if savepath is not None:
            save_masks(masks, savepath, overwrite=overwrite, progress=self.progress)
        self._masks = masks

    def load_masks(self, filepath: PathLike, *, p1: float | None = None) -> None:
        """Load masks saved by `generate_masks`, or by release 1.0.0.

        Args:
            filepath: ``.npz`` or ``.npy`` file. Rendered masks are read from it whenever they are needed.
            p1: What the masks of another program were drawn with; maps are divided by it. None takes what the
                file says, or else the mean of the masks.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: Not a mask file, damaged, drawn with another p1, or made for images of another size.
        """
        masks = load_masks(filepath, p1=p1)
        if masks.space != (self.height, self.width):
            rows, columns = masks.space[-2:]
            raise ValueError(
                f"the masks in {filepath} are for images of {rows} rows and {columns} columns, "
                f"but the explainer was built for {self.height} rows and {self.width} columns"
            )
        self._masks = masks

    def __call__(
        self, image: AnyArray, target: AnyTarget = None, reference: AnyArray | None = None
    ) -> RISEResult:
        """Explain one image: ask the model once for every mask. Maps are those of the paper.

        Args:
            image: ``[H, W]``, ``[C, H, W]`` or ``[1, C, H, W]``; tensor or NumPy array.
            target: What is explained: a region ``[H, W]`` of 0 and 1, or anything else that `as_target`
                takes. None: the largest segment.
            reference: The ground truth ``[H, W]``, for targets that need it.

        Returns:
            The scores, from which the merged maps and those of single pixels are made.

        Raises:
            RuntimeError: There are no masks yet.
            ValueError: Image or target do not fit, the target is empty, or the model's output is no
                segmentation of the image.
        """
        masks = self.masks
        if isinstance(masks, Grids):
            rise = RISE(len(masks), masks.cells.shape[1], masks.keep, masks.seed, estimator="paper")
        else:
            rise = RISE(len(masks), p1=masks.expected_value, estimator="paper", masks=_path_of(masks))

        return answered(
            lambda case: rise.run_with(case, masks),
            self.model,
            image,
            target,
            reference,
            space=(self.height, self.width),
            batch_size=self.batch_size,
            progress=self.progress,
        )


def _as_mask_file(path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"masks must be a file of saved masks, got {named(path)}; their number is N=")
    return str(Path(path).resolve())


def _path_of(masks: Masks) -> PathLike | None:
    return getattr(masks, "path", None)
