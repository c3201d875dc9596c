"""The networks of the benchmarks: torch alone builds them, so that every environment has the same.

Weights are random and fixed by a seed. Batch norm is calibrated on the image that is explained, so that
activations keep sane scales through every layer, and the last convolution is fitted by least squares to what
is bright in it: the segment is compact and sure, as that of a trained network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BRIGHT = 0.25
"""Grey value above which a pixel is segment to an untrained network."""

CONFIDENCE = 6.0
"""Its logit of the segment."""


def layer(in_channels: int, out_channels: int, dilation: int = 1, stride: int = 1) -> list[nn.Module]:
    """A 3x3 convolution with batch norm and ReLU."""
    convolution = nn.Conv2d(
        in_channels, out_channels, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
    )
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


def block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two of them."""
    return nn.Sequential(*layer(in_channels, out_channels), *layer(out_channels, out_channels))


UPS: dict[str, Callable[[int, int], tuple[nn.Module, int]]] = {
    "transposed": lambda low, high: (nn.ConvTranspose2d(low, high, 2, stride=2), high),
    "nearest": lambda low, _: (nn.Upsample(scale_factor=2, mode="nearest"), low),
    "bilinear": lambda low, _: (nn.Upsample(scale_factor=2, mode="bilinear"), low),
    "align_corners": lambda low, _: (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), low),
}
"""How a U-Net doubles the size of ``low`` channels: the module, and the channels that come out of it."""


class Up(nn.Module):
    """Double the size, put the skip connection beside it, convolve."""

    def __init__(self, low: int, high: int, up: str) -> None:
        super().__init__()
        self.enlarge, enlarged = UPS[up](low, high)
        self.block = block(high + enlarged, high)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Features of the skip connection's size."""
        x = self.enlarge(x)
        if x.shape[2:] != skip.shape[2:]:  # pooling an odd size drops its last row or column
            x = F.pad(x, (0, skip.shape[-1] - x.shape[-1], 0, skip.shape[-2] - x.shape[-2]), mode="replicate")
        out: Tensor = self.block(torch.cat([skip, x], dim=1))
        return out


class UNet(nn.Module):
    """The plain U-Net (https://arxiv.org/abs/1505.04597) with padded convolutions and batch norm.

    With ``up="transposed"`` it is that of `interpret_segmentation.testnet`, whose weights it takes.
    """

    def __init__(
        self, *, width: int = 16, levels: int = 5, up: str = "transposed", dilations: Sequence[int] = ()
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            block(before, after) for before, after in zip([1, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = nn.Sequential(
            *(part for dilation in dilations for part in layer(widths[-1], widths[-1], dilation))
        )
        self.up = nn.ModuleList(Up(2 * high, high, up) for high in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities ``[B, 1, H, W]`` for images of the same shape."""
        skips = []
        for down in self.down[:-1]:
            x = down(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottleneck(self.down[-1](x))
        for up in self.up:
            x = up(x, skips.pop())
        return torch.sigmoid(self.head(x))


class DilatedNet(nn.Module):
    """Like DeepLab v3 (https://arxiv.org/abs/1706.05587), without its pooling over the whole image.

    A quarter of the size, dilated convolutions side by side, and one bilinear enlargement at the end.
    """

    def __init__(self, *, width: int = 16, dilations: Sequence[int] = (1, 2, 4, 6)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *layer(1, width, stride=2),
            *layer(width, 2 * width, stride=2),
            *layer(2 * width, 4 * width),
            *layer(4 * width, 4 * width),
        )
        self.branches = nn.ModuleList(
            nn.Sequential(*layer(4 * width, 2 * width, dilation)) for dilation in dilations
        )
        self.merge = nn.Sequential(
            nn.Conv2d(2 * width * len(dilations), 2 * width, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Conv2d(2 * width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities ``[B, 1, H, W]`` for images of the same shape."""
        small = self.stem(x)
        merged = self.merge(torch.cat([branch(small) for branch in self.branches], dim=1))
        return torch.sigmoid(F.interpolate(self.head(merged), size=x.shape[2:], mode="bilinear"))


class Residual(nn.Module):
    """Two convolutions with a way around them (https://arxiv.org/abs/1512.03385)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *layer(in_channels, out_channels, stride=stride), *layer(out_channels, out_channels)[:2]
        )
        self.around = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same size, or of half of it."""
        return F.relu(self.body(x) + self.around(x))


class ResidualNet(nn.Module):
    """Residual blocks down to an eighth of the size; the levels are enlarged and added up."""

    def __init__(self, *, width: int = 16) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.down = nn.ModuleList(
            Residual(before, after, 1 if before == 1 else 2)
            for before, after in zip([1, *widths], widths, strict=False)
        )
        self.side = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in widths)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities ``[B, 1, H, W]`` for images of the same shape."""
        levels = []
        for down, side in zip(self.down, self.side, strict=True):
            x = down(x)
            levels.append(side(x))
        total = levels.pop()
        while levels:
            finer = levels.pop()
            total = finer + F.interpolate(total, size=finer.shape[2:], mode="bilinear")
        return torch.sigmoid(self.head(F.relu(total)))


class Probabilities(nn.Module):
    """The sigmoid of another network's logits."""

    def __init__(self, logits: nn.Module) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities ``[B, 1, H, W]`` for images of the same shape."""
        return torch.sigmoid(self.logits(x))


def monai_basic_unet(*, width: int = 16) -> nn.Module:
    """MONAI's BasicUNet with batch norm; five levels, transposed convolutions, leaky ReLU."""
    from monai.networks.nets import BasicUNet

    features = (width, width, 2 * width, 4 * width, 8 * width, width)
    return Probabilities(BasicUNet(2, 1, 1, features, norm="batch"))


class Nothing(nn.Module):
    """A network that costs nothing: what is bright is segment."""

    def forward(self, x: Tensor) -> Tensor:
        """The image."""
        return x.clamp(0, 1)


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "unet": UNet,
    "dilated": DilatedNet,
    "residual": ResidualNet,
    "monai_basic_unet": monai_basic_unet,
    "nothing": Nothing,
}


@torch.no_grad()
def built(
    kind: str,
    image: Tensor,
    *,
    weights: Path | str | None = None,
    channels_last: bool = True,
    **settings: object,
) -> nn.Module:
    """A network by name, in evaluation mode.

    Args:
        kind: One of `NETWORKS`.
        image: ``[1, H, W]``; what an untrained network is calibrated on.
        weights: A file of trained ones, made by ``torch.save``.
        channels_last: Its weights have the channels last in memory, which suits CPUs; False: as PyTorch makes
            them.
        **settings: Of the network.
    """
    torch.manual_seed(0)
    network = NETWORKS[kind](**settings)
    if weights is not None:
        network.load_state_dict(torch.load(weights, weights_only=True))
    elif list(network.parameters()):
        _calibrate(network, image)
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval()


def _calibrate(network: nn.Module, image: Tensor) -> None:
    """Give batch norm the statistics of the image, and let the last convolution find what is bright in it."""
    noise = torch.rand(2, *image.shape, generator=torch.Generator().manual_seed(0))
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean over all batches, and there is one
    network.train()
    network(torch.cat([image[None], 0.5 * image[None] + 0.5 * noise]))
    network.eval()
    for norm in norms:
        norm.momentum = 0.1
    last = [part for part in network.modules() if isinstance(part, nn.Conv2d)][-1]
    _fit(last, _input_of(last, network, image), image)


def _input_of(part: nn.Module, network: nn.Module, image: Tensor) -> Tensor:
    """What reaches a part of a network, ``[C, H, W]``."""
    seen: list[Tensor] = []
    handle = part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(image[None])
    handle.remove()
    return seen[0][0]


def _fit(last: nn.Conv2d, features: Tensor, image: Tensor) -> None:
    """Least squares: ``CONFIDENCE`` where the image is bright, and its negative elsewhere."""
    assert last.bias is not None
    bright = F.interpolate((image > BRIGHT).double()[None], features.shape[1:], mode="area").flatten()
    columns = torch.cat([features.flatten(1), torch.ones(1, bright.numel())]).double()
    weighted = columns * (bright / bright.mean() + (1 - bright) / (1 - bright).mean())
    solution = torch.linalg.lstsq(
        weighted @ columns.T + 1e-3 * bright.numel() * torch.eye(len(columns)).double(),
        weighted @ (CONFIDENCE * (2 * bright - 1)),
    ).solution
    last.weight.copy_(solution[:-1].view_as(last.weight))
    last.bias.copy_(solution[-1:])
