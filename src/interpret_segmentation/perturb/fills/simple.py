"""With what hidden pixels are replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from interpret_segmentation._settings import Unrecorded
from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation.data.inputs import as_seed, as_tensor
from interpret_segmentation.perturb.fills.base import Fill, StaticFill, everywhere, sides_of
from interpret_segmentation.perturb.fills.imputation import imputed
from interpret_segmentation.perturb.fills.inpainting import inpainted
from interpret_segmentation.perturb.fills.ranges import white_of


@dataclass(frozen=True, eq=False, repr=False)
class Constant(StaticFill):
    """One colour.

    Attributes:
        value: One number, or one for each channel. 0, black, by default.

    Example:
        >>> Constant((1, 0.5)).picture(torch.zeros(2, 1, 3)).tolist()
        [[[1.0, 1.0, 1.0]], [[0.5, 0.5, 0.5]]]
    """

    kind: ClassVar[str] = "constant"
    value: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        wanted = "a constant fill must be a finite number, or a sequence of them with one for each channel"
        try:
            numbers = np.asarray(self.value)
        except ValueError:
            raise TypeError(f"{wanted}, got {self.value!r}") from None
        if numbers.dtype.kind not in "iuf" or numbers.ndim > 1:
            raise TypeError(f"{wanted}, got {self.value!r}")
        if numbers.size == 0 or not np.isfinite(numbers).all():
            raise ValueError(f"{wanted}, got {self.value!r}")
        plain = numbers.astype(float).tolist()
        object.__setattr__(self, "value", tuple(plain) if numbers.ndim else plain)

    def picture(self, image: Tensor) -> Tensor:
        """The colour everywhere.

        Raises:
            ValueError: Neither one number nor one for each channel.
        """
        colour = image.new_tensor(self.value).reshape(-1)
        channels = len(image)
        if len(colour) not in (1, channels):
            raise ValueError(
                f"fill has {len(colour)} values, but the image has {_channels(channels)}; "
                f"give one number{f' or {channels} of them' if channels > 1 else ''}"
            )
        return everywhere(colour.expand(channels), image)


@dataclass(frozen=True, eq=False, repr=False)
class White(StaticFill):
    """The brightest value that the image can have: 1, 255, 65535, or the brightest that is in it.

    See `white_of`: an image with negative values, normalised or of Hounsfield units, has no white but its
    own brightest value.
    """

    kind: ClassVar[str] = "white"

    def picture(self, image: Tensor) -> Tensor:
        """White everywhere."""
        return everywhere(white_of(image), image)


@dataclass(frozen=True, eq=False, repr=False)
class Mean(StaticFill):
    """The mean of each channel."""

    kind: ClassVar[str] = "mean"

    def picture(self, image: Tensor) -> Tensor:
        """The mean everywhere."""
        return everywhere(image.flatten(1).mean(1), image)


@dataclass(frozen=True, eq=False, repr=False)
class LocalMean(Fill):
    """The mean, per channel, of the pixels that the mask hides; 0 where it hides none."""

    kind: ClassVar[str] = "local_mean"
    static: ClassVar[bool] = False

    def values(self, image: Tensor, hidden: Tensor) -> Tensor:
        """The mean under each mask, ``[B, C, *space]``."""
        under = torch.where(hidden[:, None], image, image.new_zeros(())).flatten(2).sum(2)
        means = under / hidden.flatten(1).sum(1).clamp(min=1)[:, None]
        ones = (1,) * (image.ndim - 1)
        return means.view(*means.shape, *ones).expand(len(hidden), *image.shape)


@dataclass(frozen=True, eq=False, repr=False)
class Noise(StaticFill):
    """Gaussian noise with the image's mean and standard deviation per channel, the same for all masks.

    Attributes:
        seed: The same seed draws the same noise, on every device. 0 by default.
    """

    kind: ClassVar[str] = "noise"
    seed: int = 0

    def __post_init__(self) -> None:
        seed = as_seed(self.seed)
        if seed is None:
            raise ValueError(
                "seed of a noise fill must be a whole number, so that all masks get the same noise"
            )
        object.__setattr__(self, "seed", seed)

    def picture(self, image: Tensor) -> Tensor:
        """The noise."""
        random = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(image.shape, generator=random, dtype=torch.float32).to(image.dtype)
        # Where the image is, means would differ in the last digit from one device to the next.
        channels = image.detach().cpu().flatten(1)
        mean, spread = channels.mean(1), channels.std(1, correction=0)
        return (everywhere(mean, noise) + everywhere(spread, noise) * noise).to(image.device)


@dataclass(frozen=True, eq=False, repr=False)
class Blur(StaticFill):
    """The image, blurred: it keeps where things are, without their details.

    Attributes:
        sigma: Standard deviation of the Gaussian, in pixels. None: a 24th of the geometric mean of the
            image's sides, at least 1; that is 10 at 240 x 240.
    """

    kind: ClassVar[str] = "blur"
    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.sigma is None:
            return
        # What users give may be anything.
        sigma: object = self.sigma
        number = isinstance(sigma, int | float | np.number) and not isinstance(sigma, bool)
        if not number or not 0 < self.sigma < float("inf"):
            raise ValueError(f"sigma of a blur must be None or a number of pixels above 0, got {sigma!r}")
        object.__setattr__(self, "sigma", float(self.sigma))

    def picture(self, image: Tensor) -> Tensor:
        """The blurred image; beyond its edges, the outermost pixels go on."""
        space = image.shape[1:]
        sigma = self.sigma or max(1.0, float(np.prod(space, dtype=float)) ** (1 / len(space)) / 24)
        pixels = image.detach().cpu().numpy()
        blurred = ndimage.gaussian_filter(pixels, (0,) + (sigma,) * len(space), mode="nearest")
        return torch.from_numpy(blurred).to(image)


@dataclass(frozen=True, eq=False, repr=False)
class Inpaint(Fill):
    """Harmonic inpainting: the smoothest surface that continues what is seen around the hole.

    Each hidden pixel is the mean of its neighbours across faces, hidden or not; a neighbour outside the
    image does not exist. These are as many linear equations as hidden pixels; they are solved directly or,
    for a large hole in a volume, step by step to about 8 digits.
    Where everything is hidden there is nothing to continue: the mean of each channel.

    Example:
        >>> ramp = torch.arange(5.0).expand(1, 3, 5)
        >>> hidden = torch.zeros(1, 3, 5, dtype=torch.bool)
        >>> hidden[..., 1:4] = True
        >>> Inpaint().values(ramp, hidden)[0, 0, 0, 1:4].round(decimals=3)
        tensor([1., 2., 3.])
    """

    kind: ClassVar[str] = "inpaint"
    static: ClassVar[bool] = False

    def values(self, image: Tensor, hidden: Tensor) -> Tensor:
        """The inpainted pixels, ``[B, C, *space]``, and 0 where nothing is hidden."""
        return _solved(inpainted, image, hidden)


@dataclass(frozen=True, eq=False, repr=False)
class NoisyLinear(Fill):
    """Noisy linear imputation: hidden pixels continue what is seen around them, so that no edge betrays them.

    Each hidden pixel is the weighted mean of all its neighbours, hidden or not: those across a face count
    1/6, diagonal ones 1/12; in a volume 1/14, those across an edge 1/28, across a corner 1/56, half for each
    further axis. A neighbour outside the image does not exist, and the others count for it. Gaussian noise
    is added to the solution of these equations. Rong et al. 2022 (https://arxiv.org/abs/2202.00449).
    Where everything is hidden there is nothing to continue: the mean of each channel, and the noise.

    Attributes:
        noise: Standard deviation, as a share of each channel's range (largest value less smallest). 0.01 by
            default, as in the authors' code, whose images run from 0 to 1.
        seed: The same seed draws the same noise, for every mask and on every device. 0 by default.

    Example:
        >>> ramp = torch.arange(5.0).expand(1, 3, 5)
        >>> hidden = torch.zeros(1, 3, 5, dtype=torch.bool)
        >>> hidden[..., 1:4] = True
        >>> NoisyLinear(noise=0).values(ramp, hidden)[0, 0, 0, 1:4].round(decimals=3)
        tensor([1., 2., 3.])
    """

    kind: ClassVar[str] = "noisy_linear"
    static: ClassVar[bool] = False
    noise: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        # What users give may be anything.
        noise: object = self.noise
        number = isinstance(noise, int | float | np.number) and not isinstance(noise, bool)
        if not number or not 0 <= self.noise < float("inf"):
            raise ValueError(f"noise must be a share of the image's range, 0 or more; got {noise!r}")
        object.__setattr__(self, "noise", float(self.noise))
        seed = as_seed(self.seed)
        if seed is None:
            raise ValueError(
                "seed of a noisy fill must be a whole number, so that all masks get the same noise"
            )
        object.__setattr__(self, "seed", seed)

    def values(self, image: Tensor, hidden: Tensor) -> Tensor:
        """The imputed pixels, ``[B, C, *space]``, and the noise alone where nothing is hidden."""
        random = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(image.shape, generator=random, dtype=torch.float32).to(image)
        lowest, highest = image.detach().flatten(1).aminmax(dim=1)
        return _solved(imputed, image, hidden) + everywhere(self.noise * (highest - lowest), image) * noise


@dataclass(frozen=True, eq=False, repr=False)
class Picture(StaticFill):
    """Another image.

    Attributes:
        image: ``[C, *space]``, or ``[*space]`` for all channels. Copied.
    """

    kind: ClassVar[str] = "picture"
    image: AnyArray

    def __post_init__(self) -> None:
        tensor = as_tensor(self.image, "fill").detach().cpu()
        if tensor.is_complex():
            raise TypeError("fill must hold real numbers, got complex ones")
        if tensor.is_floating_point() and tensor.dtype != torch.float64:
            tensor = tensor.float()
        if not torch.isfinite(tensor).all():
            raise ValueError(
                "fill holds NaN or infinite values; replace them first, with numpy.nan_to_num say"
            )
        object.__setattr__(self, "image", tensor.numpy().copy())

    def picture(self, image: Tensor) -> Tensor:
        """The other image, in the type of this one.

        Raises:
            ValueError: It has another size.
        """
        shape, wanted = tuple(self.image.shape), tuple(image.shape)
        if shape not in (wanted, wanted[1:]):
            last = shape == (*wanted[1:], wanted[0])
            cure = "move the channels first with numpy.moveaxis(fill, -1, 0)" if last else "resize it first"
            raise ValueError(
                f"fill must be a picture of the image's size, {sides_of(wanted)} or {sides_of(wanted[1:])}, "
                f"got {sides_of(shape)}; {cure}"
            )
        return torch.tensor(self.image, dtype=image.dtype, device=image.device).expand(wanted)


@dataclass(frozen=True, eq=False, repr=False)
class Custom(Fill):
    """What a function makes of the image.

    Attributes:
        function: Called once for every mask with the image, float ``[C, *space]``, and what is hidden, bool
            ``[*space]``, both NumPy arrays of its own; returns an image of the same shape. A result's file
            holds its name only.

    Example:
        >>> darker = Custom(lambda image, hidden: image / 2)
        >>> darker.values(torch.ones(1, 1, 2), torch.ones(1, 1, 2, dtype=torch.bool)).tolist()
        [[[[0.5, 0.5]]]]
    """

    kind: ClassVar[str] = "custom"
    static: ClassVar[bool] = False
    function: Callable[[FloatArray, BoolArray], AnyArray] | Unrecorded

    def __post_init__(self) -> None:
        if not callable(self.function) and not isinstance(self.function, Unrecorded):
            raise TypeError(f"a custom fill must be a function of (image, hidden), got {self.function!r}")

    def values(self, image: Tensor, hidden: Tensor) -> Tensor:
        """What the function returns, ``[B, C, *space]``.

        Raises:
            TypeError: The function returns something other than an array of real numbers, or was not saved.
            ValueError: It returns another shape, or values that are not finite.
        """
        function = self.function
        if isinstance(function, Unrecorded):
            raise TypeError(f"fill is {function!r}: files hold no functions; give it again, as `fill`")
        name = getattr(function, "__qualname__", type(function).__name__)
        pixels = image.detach().cpu().numpy()
        filled = np.empty((len(hidden), *image.shape), pixels.dtype)
        for number, mask in enumerate(hidden.cpu().numpy()):
            tensor = as_tensor(function(pixels.copy(), mask.copy()), f"what fill {name} returns")
            if tensor.is_complex():
                raise TypeError(f"what fill {name} returns must hold real numbers, got complex ones")
            if tensor.shape != image.shape:
                raise ValueError(
                    f"fill {name} must return an image of the shape it gets, {sides_of(image.shape)}, "
                    f"got {sides_of(tensor.shape)}"
                )
            filled[number] = tensor.detach().cpu().to(image.dtype).numpy()
            if not np.isfinite(filled[number]).all():
                raise ValueError(f"fill {name} returned NaN or infinite values; every pixel must be finite")
        return torch.from_numpy(filled).to(image.device)


def _solved(
    solve: Callable[[NDArray[np.float64], BoolArray], NDArray[np.float64]], image: Tensor, hidden: Tensor
) -> Tensor:
    """What equations for the hidden pixels of each mask give, ``[B, C, *space]``; 0 where nothing is hidden.

    Args:
        solve: From the image, channels last, and one mask to the values ``[hidden pixels, C]``.
        image: ``[C, *space]``.
        hidden: Bool ``[B, *space]``.
    """
    pixels = np.ascontiguousarray(image.detach().cpu().double().movedim(0, -1).numpy())
    painted = [np.empty((0, len(image))), *(solve(pixels, mask) for mask in hidden.cpu().numpy())]
    values = image.new_zeros(len(hidden), *image.shape[1:], len(image))
    values[hidden] = torch.from_numpy(np.concatenate(painted)).to(image)
    return values.movedim(-1, 1)


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
