"""A photograph, and a small network that finds something in it: what a first explanation is tried on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from interpret_segmentation.testnet.networks import load_network
from interpret_segmentation.testnet.unet import UNet

FOLDER = Path(__file__).parent


def coffee() -> tuple[UNet, Tensor]:
    """A network that finds coffee, and a photograph of a cup.

    The network was trained on cut-outs of this photograph, pasted into others: coffee is coffee only in a
    white cup. In a painted cup, or without one, it is none; so the white around it decides. MODEL_CARD.md
    tells more.

    The photograph is by Rachel Michetti, courtesy of Pikolo Espresso Bar, and in the public domain (CC0); it
    comes from scikit-image.

    Returns:
        The network, on the CPU, and the image, float32 ``[3, 160, 240]`` from 0 to 1.

    Example:
        >>> network, image = coffee()
        >>> segment = network(image[None])[0, 0] > 0.5
        >>> image.shape, 0.03 < segment.float().mean().item() < 0.08
        (torch.Size([3, 160, 240]), True)
    """
    with Image.open(FOLDER / "coffee.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    image = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32)) / 255
    return load_network(FOLDER / "coffee.safetensors"), image
