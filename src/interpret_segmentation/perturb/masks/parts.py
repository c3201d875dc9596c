"""Numbered parts of an image, superpixels or organs, hidden one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_positive, as_tensor
from interpret_segmentation.perturb.masks.base import HardMasks


@dataclass(frozen=True, eq=False)
class Parts(HardMasks):
    """A map of labels, of which each is hidden in turn.

    Any such map will do: superpixels, organs, cells.

    Attributes:
        labels: Whole numbers ``[*space]``. They are numbered anew from 0, in ascending order; pixels with a
            negative label belong to no part, are never hidden, and become -1.

    Example:
        >>> parts = Parts(np.array([[7, 7, 30], [-1, 7, 30]]))
        >>> len(parts)
        2
        >>> parts.hidden(np.array([1])).int().tolist()
        [[[0, 0, 1], [0, 0, 1]]]
        >>> parts.spread(np.array([0.5, 2]), np.arange(2))
        array([[0.5, 0.5, 2. ],
               [nan, 0.5, 2. ]])
    """

    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        array: object = self.labels
        if isinstance(array, np.ndarray) and array.dtype == np.uint64 and array.max(initial=0) >= 2**63:
            raise ValueError("labels must be below 2^63; number them anew, with numpy.unique say")
        tensor = as_tensor(self.labels, "labels").detach().cpu()
        if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise TypeError(f"labels must be whole numbers, got {kind}; round them with labels.astype(int)")
        given = tensor.numpy()
        if given.ndim < 2:
            raise ValueError(f"labels must have the axes of the image's space, got shape {given.shape}")
        kept = given >= 0
        if not kept.any():
            raise ValueError("labels hold no part: no pixel has a label of 0 or more")
        labels = np.full(given.shape, -1, dtype=np.int64)
        labels[kept] = np.unique(given[kept], return_inverse=True)[1]
        object.__setattr__(self, "labels", labels)

    @property
    def space(self) -> tuple[int, ...]:
        """The image's size without its channels."""
        return self.labels.shape

    def __len__(self) -> int:
        return int(self.labels.max()) + 1

    def hidden(self, numbers: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
        """Which pixels the parts of these numbers hide, bool ``[n, *space]``."""
        wanted = torch.from_numpy(numbers).to(device)
        return torch.from_numpy(self.labels).to(device) == wanted.view(-1, *(1,) * self.labels.ndim)

    def as_labels(self) -> NDArray[np.int64]:
        """The number of the part that each pixel belongs to, -1 for none ``[*space]``."""
        return self.labels

    def inside(self, region: BoolArray) -> BoolArray:
        """Which parts have at least half of their pixels in a region, bool ``[n]``."""
        kept = self.labels >= 0
        pixels = np.bincount(self.labels[kept], minlength=len(self))
        common = np.bincount(self.labels[kept & region], minlength=len(self))
        inside: BoolArray = 2 * common >= pixels
        return inside

    def spread(
        self,
        values: FloatArray,
        numbers: NDArray[np.int64],
        merge: str = "mean",  # noqa: ARG002
    ) -> FloatArray:
        """Give every pixel the value of its part.

        Args:
            values: One number for each part, ``[n]``.
            numbers: Which parts they are of.
            merge: How the values of masks that overlap are merged. Parts do not: it changes nothing.

        Returns:
            Float ``[*space]``; NaN where no part has a value.
        """
        # Label -1 finds the NaN, at the end.
        of_label = np.full(len(self) + 1, np.nan)
        of_label[numbers] = values
        spread: FloatArray = of_label[self.labels]
        return spread


def slic(image: AnyArray, count: int, compactness: float = 20.0) -> Parts:
    """Patches of similar pixels, by SLIC (https://doi.org/10.1109/TPAMI.2012.120).

    A pixel joins the nearby centre for which ``(colour / compactness)^2 + (distance / step)^2`` is least:
    *colour* is the root mean square difference over the channels, in percent of the image's range (of all
    channels together); *distance* is in pixels and *step* that from one centre to the next. The image is
    first blurred by half a pixel: edges stay where they are, and noise loses fewer patches.

    Args:
        image: ``[C, *space]`` with two or three axes of space; tensor or NumPy array of any range.
        count: About how many there shall be. Where the image is uneven there are fewer.
        compactness: Larger is squarer, smaller follows the image more closely. With 20, patches keep to
            edges and are about equally large, on gray, colour and microscope images alike; with 10 they
            fray and many are lost.

    Raises:
        ImportError: scikit-image is missing.
        TypeError: Not an array of real numbers.
        ValueError: Another number of axes, values that are not finite, or a setting out of its range.
    """
    try:
        from skimage.segmentation import slic as cluster
    except ImportError:
        raise ImportError(
            'superpixels need scikit-image: pip install "interpret-segmentation[superpixels]"'
        ) from None
    count = as_positive(count, "count")
    if not 0 < compactness < float("inf"):
        raise ValueError(f"compactness must be a number above 0, got {compactness!r}")
    tensor = as_tensor(image, "image").detach().cpu()
    if tensor.is_complex():
        raise TypeError("image must hold real numbers, got complex ones")
    if tensor.ndim not in (3, 4) or tensor.numel() == 0:
        shape = " x ".join(map(str, tensor.shape)) or "a single number"
        raise ValueError(f"image must be C x H x W or C x D x H x W, got {shape}")
    pixels = tensor.double().numpy()
    if not np.isfinite(pixels).all():
        raise ValueError("image holds NaN or infinite values; replace them first, with torch.nan_to_num say")
    pixels = pixels - pixels.min()
    pixels /= pixels.max() or 1
    # The sum over channels, which SLIC takes, grows with their number; the mean does not.
    ratio = compactness / 100 * len(pixels) ** 0.5
    # Three channels need not be a photograph's, and on photographs Lab gained nothing.
    labels = cluster(
        pixels,
        n_segments=count,
        compactness=ratio,
        sigma=0.5,
        channel_axis=0,
        start_label=0,
        convert2lab=False,
    )
    return Parts(labels)
