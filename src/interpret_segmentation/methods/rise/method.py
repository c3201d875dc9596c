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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray, PathLike
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_copy, as_positive, as_probability, as_seed, named
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.strategy import Answers
from interpret_segmentation.methods.base import Cost, Method
from interpret_segmentation.methods.contestant import Contestant
from interpret_segmentation.methods.rise.maps import Maps
from interpret_segmentation.methods.rise.moments import Moments
from interpret_segmentation.methods.rise.pixel_maps import MatrixOfMaps
from interpret_segmentation.methods.rise.result import RISEResult
from interpret_segmentation.methods.rise.score_table import ScoreTable
from interpret_segmentation.perturb.fills.base import StaticFill
from interpret_segmentation.perturb.fills.named import BACKGROUND, BLACK, as_fill, told
from interpret_segmentation.perturb.hiding import Blend
from interpret_segmentation.perturb.masks.files import load_masks
from interpret_segmentation.perturb.masks.grids import DESIGNS, RandomMasks, draw_grids, drawn_seed
from interpret_segmentation.results.checks import check_channel, check_region
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.layers import PixelMaps
from interpret_segmentation.results.maker import NOTHING_HIDDEN
from interpret_segmentation.scores.registry import AnyScore, as_score, checked

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
class RISE(Method):
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
        fill: What hidden pixels fade into: ``"background"`` (the default: the median of each channel outside
            the segment), ``"black"`` (0), ``"white"``, ``"mean"``, ``"noise"``, ``"blur"``, a number or one
            for each channel, another image.
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
    title: ClassVar[str] = "RISE"
    family: ClassVar[str] = "perturbation"
    nothing: ClassVar[str] = NOTHING_HIDDEN
    missing: ClassVar[Mapping[str, Any]] = {"fill": BLACK}

    N: int = 1000
    s: int = 8
    p1: float | None = None
    seed: int | None = None
    estimator: str = "centred"
    precision: float | None = None
    fill: Any = BACKGROUND
    channel: int | None = None
    within: AnyArray | str | None = None
    spare: AnyArray | str | None = None
    masks: PathLike | None = None
    design: str = "random"
    score: AnyScore | None = None

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
                f"RISE hides softly, so that the fill cannot depend on the mask as {fill} does; use "
                "'background', 'black', 'white', 'mean', 'noise', 'blur', a number or an image"
            )
        object.__setattr__(self, "fill", fill)
        for name in ("within", "spare"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                object.__setattr__(self, name, as_copy(value, name))
        if self.masks is not None:
            object.__setattr__(self, "masks", _as_mask_file(self.masks))

    def resolve(self, case: Case) -> RISE:
        """The seed, and what a file of masks says itself."""
        if self.masks is None:
            return replace(self, seed=drawn_seed() if self.seed is None else self.seed)
        masks = load_masks(self.masks, p1=self.p1)
        _check_space(masks, case)
        return replace(self, **{"N": len(masks), "p1": masks.expected_value, **masks.settings()})

    def cost(self, case: Case) -> Cost:  # noqa: ARG002
        """One forward for each mask, and one for the unmasked image; fewer where the precision is reached."""
        return Cost(1 + self.N)

    def cheaper(self, case: Case) -> RISE | None:  # noqa: ARG002
        """A tenth of the masks, where they are drawn."""
        return None if self.masks is not None else replace(self, N=max(1, self.N // 10))

    def run(self, case: Case) -> RISEResult:
        """Draw the masks and ask about each, for a case that is open."""
        if self.masks is not None:
            return self.run_with(case, load_masks(self.masks, p1=self.p1))
        grids = draw_grids(
            self.N, cells=self.s, keep=self.p1 or KEEP, space=case.space, seed=self.seed, design=self.design
        )
        return self.run_with(case, grids)

    def run_with(self, case: Case, masks: RandomMasks) -> RISEResult:
        """Ask about every mask, or until the precision is reached, for a case that is open."""
        _check_space(masks, case)
        case.objective.check()
        spare = self._spared(case)
        summing = torch.device("cpu") if case.device.type == "mps" else case.device
        measured = self._of_pixels(case) if self.score is None else self._of_segments(case, self.score)
        scores = ScoreTable(
            rows=len(masks), columns=int(case.objective.pixels.sum()) if self.score is None else 1
        )
        moments = Moments(masks, summing)
        fill = self.fill.for_segment(case.segment)
        blend = Blend(masks, case.pixels, fill, case.channels(self.channel), spare)
        block = None if self.precision is None else BLOCK
        done = 0
        for answers in case.ask(blend, len(masks), "RISE", block=block):
            rows = measured(answers)
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
        reached = np.ones(case.space, dtype=bool) if spare is None else ~spare
        maps = Maps(masks, scores, self.estimator, reached, case.device)
        made = case.explanation(
            maps.mean().numpy(),
            meaning=self._meaning(),
            reached=reached,
            measured={"scores": scores.array(), "standard_error": standard_error, **masks.arrays()},
            from_zero=False,
            kind=RISEResult,
        )
        made.take_over(maps, progress=case.progress)
        return made

    @staticmethod
    def _of_pixels(case: Case) -> Callable[[Answers], FloatArray]:
        """How probable what the network said remains, one number for each explained pixel."""
        return lambda answers: case.objective.agreement(answers.probability).cpu().numpy()

    @staticmethod
    def _of_segments(case: Case, score: AnyScore) -> Callable[[Answers], FloatArray]:
        """How alike the segments are, one number for each mask."""
        chosen = as_score(score)
        measure, sign = checked(chosen.prepare(case.reference())), 1 if chosen.higher_is_better else -1

        def alike(answers: Answers) -> FloatArray:
            pairs = zip(answers.probability.cpu().numpy(), answers.segment.cpu().numpy(), strict=True)
            return np.array([[sign * measure(*pair)] for pair in pairs], dtype=np.float32)

        return alike

    def _warn_of_precision(self, moments: Moments, masks: RandomMasks, spare: BoolArray | None) -> None:
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

    def check(self, explanation: Explanation) -> None:
        """The result is one of scores, and the settings are of its image."""
        if not isinstance(explanation, RISEResult):
            raise ValueError(f"its result must be a RISEResult, got {type(explanation).__name__}")  # noqa: TRY004
        for name in ("within", "spare"):
            check_region(getattr(self, name), name, explanation.saliency.shape)
        check_channel(self.channel, explanation)
        self.fill.check_space(explanation.saliency.shape)

    def of_pixels(self, explanation: Explanation, region: BoolArray) -> FloatArray:
        """The mean of the maps of some explained pixels."""
        assert isinstance(explanation, RISEResult)
        return explanation.region(region).numpy()

    @property
    def maps_pixels(self) -> bool:
        """Unless segments were compared as a whole."""
        return self.score is None

    def pixel_maps(self, explanation: Explanation, step: int) -> PixelMaps | None:
        """The maps of all explained pixels, unless segments were compared as a whole."""
        if self.score is not None or not isinstance(explanation, RISEResult):
            return None
        return MatrixOfMaps(explanation, step)

    def silence(self, explanation: Explanation) -> str | None:
        """Why the map says nothing: every mask had the same score."""
        scores = np.asarray(explanation.measured.get("scores", (0, 1)))
        return f"All masks have one score: {self.nothing}." if (scores == scores[:1]).all() else None

    def describe(self, explanation: Explanation) -> str:
        """How the masks were made, and what they show."""
        grid = " x ".join([str(self.s)] * explanation.saliency.ndim)
        fill = told(self.fill, explanation.image, explanation.segment)
        return (
            f"The image was hidden by {self.N} random masks, enlarged from grids of {grid} cells, "
            f"each of which keeps what is under it with probability {self.p1:g}; elsewhere the image fades "
            f"into the fill {fill}. The masks under which the network still drew the segment "
            f"show what it needs (estimator {self.estimator!r})."
        )

    @classmethod
    def contestants(
        cls,
        group: str,
        *,
        masks: int,
        offset: int,  # noqa: ARG003
    ) -> Sequence[Contestant]:
        """Other shares, estimators, merges, designs and scores."""
        from interpret_segmentation.methods.rise.contest import documented, improved  # which are for few

        return documented(masks=masks) if group == "documented" else improved(masks=masks)


def _check_space(masks: RandomMasks, case: Case) -> None:
    if masks.space != case.space:
        raise ValueError(f"the masks are for images of {masks.space} pixels, but this one has {case.space}")


def _as_mask_file(path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"masks must be a file of saved masks, got {named(path)}; their number is N=")
    return str(Path(path).resolve())
