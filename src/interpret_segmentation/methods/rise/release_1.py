"""RISE as release 1.0.0 has it: an explainer for a network and images of one size."""

from __future__ import annotations

import torch

from interpret_segmentation._types import AnyArray, PathLike
from interpret_segmentation.data.inputs import as_positive, as_probability, as_seed
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.methods.rise.method import RISE
from interpret_segmentation.methods.rise.result import RISEResult
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.masks.files import check_savepath, load_masks, save_masks
from interpret_segmentation.perturb.masks.grids import RandomMasks, draw_grids
from interpret_segmentation.targets.words import AnyTarget


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
        self._masks: RandomMasks | None = None

    @property
    def masks(self) -> RandomMasks:
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
        known = {"N": len(masks), "p1": masks.expected_value, "masks": masks.file, **masks.settings()}
        method = RISE(**known, estimator="paper", fill="black")

        def run(case: Case) -> RISEResult:
            case.method = method  # as it is: these masks need not be those that a seed would draw
            return method.run_with(case, masks)

        return run_case(
            run,
            self.model,
            image,
            target,
            reference,
            space=(self.height, self.width),
            batch_size=self.batch_size,
            progress=self.progress,
        )
