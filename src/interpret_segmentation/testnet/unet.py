"""The U-Net that segments testnet images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interpret_segmentation._types import Sequence


def _block(in_channels: int, out_channels: int, residual: bool = False) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch norm and ReLU; the size of the image stays."""
    layers = (*_layer(in_channels, out_channels), *_layer(out_channels, out_channels))
    return _Residual(*layers, nn.Conv2d(in_channels, out_channels, 1)) if residual else nn.Sequential(*layers)


def _layer(in_channels: int, out_channels: int, dilation: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


class _Residual(nn.Sequential):
    """What the layers but the last answer, and beside it what the last answers to the same input."""

    def forward(self, x: Tensor) -> Tensor:
        *layers, shortcut = self
        out = x
        for layer in layers:
            out = layer(out)
        both: Tensor = out + shortcut(x)
        return both


class _Attention(nn.Module):
    """Adds to every place what it finds at all others: self-attention, at first of no weight."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        nn.init.zeros_(self.attention.out_proj.weight)

    def forward(self, x: Tensor) -> Tensor:
        places = self.norm(x.flatten(2).transpose(1, 2))
        found, _ = self.attention(places, places, places, need_weights=False)
        out: Tensor = x + found.transpose(1, 2).reshape(x.shape)
        return out


class _Up(nn.Module):
    """Double the size, put the skip connection beside it, convolve."""

    def __init__(self, in_channels: int, out_channels: int, residual: bool) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.block = _block(2 * out_channels, out_channels, residual)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.enlarge(x)
        missing = [skip.shape[-1] - x.shape[-1], skip.shape[-2] - x.shape[-2]]
        if any(missing):  # pooling an odd size drops its last row or column
            x = F.pad(x, (0, missing[0], 0, missing[1]), mode="replicate")
        out: Tensor = self.block(torch.cat([skip, x], dim=1))
        return out


class UNet(nn.Module):
    """U-Net (https://arxiv.org/abs/1505.04597) with padded convolutions and batch norm.

    The output has the size of the input, whatever that is, as long as each side has at least
    ``2 ** (levels - 1)`` pixels.

    Args:
        in_channels: Channels of the image.
        out_channels: Output maps; each is an independent (sigmoid) probability.
        width: Channels of the first level; every level below has twice as many. 64 is the paper's.
        levels: Resolutions, counting the input's own. 5 is the paper's.
        dilations: One more 3x3 convolution at the lowest resolution for each entry, with that
            dilation. They widen the receptive field cheaply: the paper's network sees 188 to 204 pixels
            across, so that the output at one side of a 240 pixel image hardly knows the other side;
            ``(2, 4)`` brings it to 380 and more.
        residual: Whether each block adds a 1x1 convolution of its input to its output
            (https://arxiv.org/abs/1512.03385).
        attention: Heads of the self-attention at the lowest resolution
            (https://arxiv.org/abs/1706.03762), with which every place sees every other. 0: none.

    Example:
        >>> import torch
        >>> network = UNet(width=4, levels=3).eval()
        >>> network(torch.zeros(2, 1, 37, 50)).shape
        torch.Size([2, 1, 37, 50])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        width: int = 64,
        levels: int = 5,
        dilations: Sequence[int] = (),
        residual: bool = False,
        attention: int = 0,
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels, width, levels, *dilations, 1) < 1:
            raise ValueError("in_channels, out_channels, width, levels and dilations must be positive")
        self.settings: dict[str, object] = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "width": width,
            "levels": levels,
            "dilations": list(dilations),
        }
        if residual:
            self.settings["residual"] = True
        if attention:
            self.settings["attention"] = attention
        widths = [width * 2**level for level in range(levels)]
        if attention < 0 or (attention and widths[-1] % attention):
            raise ValueError(
                f"attention must be a number of heads that divides {widths[-1]}, got {attention}"
            )
        self.down = nn.ModuleList(
            _block(before, after, residual)
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        deepest = [layer for dilation in dilations for layer in _layer(widths[-1], widths[-1], dilation)]
        if attention:
            deepest.append(_Attention(widths[-1], attention))
        self.bottleneck = nn.Sequential(*deepest)
        self.up = nn.ModuleList(_Up(2 * channels, channels, residual) for channels in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, out_channels, 1)

    def logits(self, x: Tensor) -> Tensor:
        """The output before the sigmoid, ``[B, out_channels, H, W]``, as the loss wants it."""
        skips = []
        for block in self.down[:-1]:
            x = block(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottleneck(self.down[-1](x))
        for up in self.up:
            x = up(x, skips.pop())
        out: Tensor = self.head(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities ``[B, out_channels, H, W]`` for images ``[B, in_channels, H, W]``."""
        return torch.sigmoid(self.logits(x))
