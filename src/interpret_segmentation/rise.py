"""RISE for segmentation: keep random parts of the image, average the masks that let the segment survive.

RISE (Petsiuk, Das, Saenko 2018, https://arxiv.org/abs/1806.07421) multiplies the image with random masks
M_i and estimates the importance of image pixel x for a score f by

    S(x) = 1 / (N E[M]) * sum_i f(image * M_i) * M_i(x),

which reads as the expected score, given that x is kept. For segmentation every pixel of the output is
a score of its own: its probability. So there is one map for each explained pixel, and `RISEResult`
merges them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray, PathLike
from interpret_segmentation.inference.batched import ask, batch_size_for
from interpret_segmentation.inference.score_table import ScoreTable
from interpret_segmentation.inputs import as_image, as_positive, as_probability, as_region, as_seed
from interpret_segmentation.model import Model, borrowed, device_of, foreground, on_model
from interpret_segmentation.perturb.grids import BUDGET, Masks, draw_grids
from interpret_segmentation.perturb.mask_files import check_savepath, load_masks, save_masks
from interpret_segmentation.scores import THRESHOLD

__all__ = ["RISEResult", "SegmentationRISE"]


@dataclass(frozen=True, eq=False, repr=False)
class RISEResult:
    """The scores of a RISE run; maps are made from them when asked for.

    Attributes:
        masks: The masks that the image was multiplied with.
        scores: The probability of every explained pixel under every mask, ``[N, P]``; the pixels in the
            order of ``numpy.argwhere(target)``.
        target: The explained pixels, bool ``[H, W]``.
        prediction: The network's probabilities for the unmasked image, float32 ``[H, W]``.
        device: Where maps are computed.
        progress: Show a progress bar when `max` takes more than two seconds.
    """

    masks: Masks
    scores: ScoreTable
    target: BoolArray
    prediction: FloatArray
    device: torch.device
    progress: bool = True

    def __repr__(self) -> str:
        return f"RISEResult({len(self.masks)} masks, {self.scores.columns} explained pixels)"

    def max(self) -> Tensor:
        """Merge the maps of all explained pixels by their maximum.

        Returns:
            Float32 ``[H, W]`` on the CPU: the expected probability of the pixel that gains most, given that
            this input pixel is kept.
        """
        chunk = max(1, BUDGET // (8 * self.masks.height * self.masks.width))
        merged = torch.full((self.masks.height, self.masks.width), -torch.inf, device=self.device)
        explained = self.scores.columns
        with tqdm(
            total=explained, desc="RISE maximum", unit="pixel", delay=2, disable=not self.progress
        ) as bar:
            for first in range(0, explained, chunk):
                last = min(first + chunk, explained)
                merged = torch.maximum(merged, self._maps(self.scores.read(first, last)).amax(0))
                bar.update(last - first)
        return merged.cpu()

    def mean(self) -> Tensor:
        """Merge the maps of all explained pixels by their mean.

        Returns:
            Float32 ``[H, W]`` on the CPU: the expected mean probability of the explained pixels, given
            that this input pixel is kept.
        """
        return self._maps(self.scores.row_means[:, None])[0].cpu()

    def pixel(self, row: int, column: int) -> Tensor:
        """The map of one output pixel.

        Returns:
            Float32 ``[H, W]`` on the CPU.

        Raises:
            IndexError: The pixel was not explained.
        """
        height, width = self.target.shape
        inside = row in range(height) and column in range(width)
        if not inside or not self.target[int(row), int(column)]:
            raise IndexError(
                f"pixel ({row}, {column}) is not among the {self.scores.columns} explained pixels; "
                "run the explainer with a target= that includes it"
            )
        index = int(np.count_nonzero(self.target.ravel()[: int(row) * width + int(column)]))
        return self._maps(self.scores.read(index, index + 1))[0].cpu()

    def _maps(self, scores: FloatArray) -> Tensor:
        """Maps ``[p, H, W]`` for scores ``[N, p]``."""
        weights = torch.from_numpy(np.ascontiguousarray(scores.T)).to(self.device)
        return self.masks.combine(weights) / (len(self.masks) * self.masks.expected_value)


class SegmentationRISE:
    """Explain a segmentation with random masks.

    Args:
        model: A PyTorch module, or a function, that returns probabilities ``[B, 1, H, W]`` or ``[B, H, W]``
            for images ``[B, C, H, W]``. It is put in evaluation mode for each run and given back as it was.
        input_size: Width and height of the images to explain.
        device: Where the model is. None: wherever it is.
        batch_size: Images asked at once. None: what suits the device and the images' size.
        progress: Show progress bars.

    Raises:
        ValueError: A size that is not positive, or a model on another device.

    Example:
        >>> import torch
        >>> from interpret_segmentation.rise import SegmentationRISE
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
        model: Model,
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
        self.model = model
        self.device = device_of(model, device)
        self.batch_size = batch_size_for(self.device, self.height * self.width, batch_size)
        self.progress = progress
        self._masks: Masks | None = None

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
        masks = draw_grids(N, cells=s, keep=p1, height=self.height, width=self.width, seed=seed)
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
        if (masks.height, masks.width) != (self.height, self.width):
            raise ValueError(
                f"the masks in {filepath} are for images of {masks.height} rows and {masks.width} columns, "
                f"but the explainer was built for {self.height} rows and {self.width} columns"
            )
        self._masks = masks

    def __call__(self, image: AnyArray, target: AnyArray | None = None) -> RISEResult:
        """Explain one image: ask the model once for every mask.

        Args:
            image: ``[H, W]``, ``[C, H, W]`` or ``[1, C, H, W]``; tensor or NumPy array.
            target: The output pixels to explain, ``[H, W]`` of 0 and 1. None: the segment, those whose
                probability is above 0.5.

        Returns:
            The scores, from which the merged maps and those of single pixels are made.

        Raises:
            RuntimeError: There are no masks yet.
            ValueError: Image or target do not fit, the target is empty, or the model's output is no
                probability map of the image's size.
        """
        masks = self.masks
        pixels = on_model(self.model, as_image(image, self.height, self.width), self.device)
        region = None if target is None else as_region(target, self.height, self.width, name="target")
        with borrowed(self.model):
            prediction = foreground(self.model, pixels[None].clone())[0].cpu().numpy()
            region = prediction > THRESHOLD if region is None else region
            if not region.any():
                raise ValueError(
                    "target is empty: it must hold at least one pixel"
                    if target is not None
                    else "the network puts no pixel in the segment (the highest probability is "
                    f"{prediction.max():.3g}), so there is nothing to explain; pass target= to choose pixels"
                )
            where = torch.from_numpy(np.flatnonzero(region)).to(self.device)
            scores = ScoreTable(rows=len(masks), columns=len(where))
            outputs = ask(
                self.model,
                lambda first, last: pixels * masks.render(first, last, self.device)[:, None].to(pixels.dtype),
                len(masks),
                batch_size=self.batch_size,
                label="RISE",
                progress=self.progress,
            )
            for _, batch in outputs:
                scores.append(batch.flatten(1)[:, where].cpu().numpy())
        return RISEResult(masks, scores, region, prediction, self.device, self.progress)
