"""The two names of torchvision that release 1.0.0 imports, where torchvision itself has no build.

The benchmark puts this file into 1.0.0's environment as ``torchvision/transforms.py``. For what 1.0.0 hands
over, grey pictures and their tensors, both do what torchvision's do.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image


class ToTensor:
    """A grey picture of 0 to 255 as float32 ``[1, H, W]`` of 0 to 1."""

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        """Convert one."""
        return torch.from_numpy(np.array(picture, dtype=np.uint8))[None].float().div(255)


class Normalize:
    """Subtract a mean and divide by a standard deviation, one of each for every channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = torch.tensor(mean), torch.tensor(std)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Normalise ``[C, H, W]``."""
        return (image - self.mean[:, None, None]) / self.std[:, None, None]
