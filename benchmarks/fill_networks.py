"""Images in colour whose cause is the thing itself, and small networks for `benchmarks.fills`.

A scene has shapes of three classes, smooth, striped and speckled, on a cloudy background. A photo is a piece
of one of the photographs that scikit-image brings, into which things are pasted: dark, shaded balls and
rough stones are the class, bright smooth balls are not. A black hole is a smooth shape, and a dark disc: so
it can be segmented itself, as on photographs that people take.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from interpret_segmentation._types import BoolArray
from interpret_segmentation.testnet import UNet

SPACE = (128, 128)

Picture: TypeAlias = NDArray[np.float64]
"""An image in colour, ``[3, H, W]`` from 0 to 1."""

Drawn: TypeAlias = tuple[Tensor, BoolArray]
"""An image, float32 ``[3, H, W]``, and its classes, bool ``[classes, H, W]``."""

PHOTOGRAPHS = (
    "astronaut", "camera", "chelsea", "coffee", "grass", "moon", "rocket", "stereo_motorcycle",
)  # fmt: skip
"""The photographs that scikit-image brings with it, but for those of stones."""


def clouds(random: np.random.Generator, smooth: float, channels: int = 3) -> Picture:
    """Smoothed noise with a mean of 0 and a standard deviation of 1."""
    noise = ndimage.gaussian_filter(
        random.standard_normal((channels, *SPACE)), (0, smooth, smooth), mode="wrap"
    )
    return noise / noise.std()


def distance_from(random: np.random.Generator, kind: str, size: float) -> NDArray[np.float64]:
    """How far each pixel is from the middle of a shape somewhere in the image; 1 at the shape's border."""
    row, column = (random.uniform(0.7 * size, side - 0.7 * size) for side in SPACE)
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = np.indices(SPACE)
    x = (np.cos(angle) * (columns - column) + np.sin(angle) * (rows - row)) / size
    y = (np.cos(angle) * (rows - row) - np.sin(angle) * (columns - column)) / size
    if kind == "square":
        return np.maximum(abs(x), abs(y)) / 0.85
    if kind == "triangle":
        turns = [2 * np.pi * corner / 3 for corner in range(3)]
        return np.max([np.cos(turn) * x + np.sin(turn) * y for turn in turns], axis=0) / 0.6
    return np.hypot(x, y * random.uniform(1, 1.5)) if kind == "ball" else np.hypot(x, y)


# Scenes: the surface is the class.

SURFACES = ("smooth", "striped", "speckled")


def scene(seed: int, index: int) -> Drawn:
    """Two to four shapes on a cloudy background; the classes are smooth, striped and speckled ones."""
    random = np.random.default_rng([seed, index, 1])
    image = random.uniform(0.2, 0.9, (3, 1, 1)) + 0.08 * clouds(random, 6) + 0.03 * clouds(random, 1)
    classes = np.zeros((len(SURFACES), *SPACE), dtype=bool)
    taken = np.zeros(SPACE, dtype=bool)
    for _ in range(int(random.integers(2, 5))):
        kind, outline = (
            int(random.integers(len(SURFACES))),
            str(random.choice(["disc", "square", "triangle"])),
        )
        shape = distance_from(random, outline, random.uniform(5, 24)) <= 1
        look = random.uniform(0, 1, (3, 1, 1)) + 0.05 * clouds(random, 6) + _surface(random, SURFACES[kind])
        around = ndimage.binary_dilation(shape, iterations=3)
        apart = abs(image[:, shape].mean(1) - look[:, shape].mean(1)).max() > 0.2
        if apart and not (taken & around).any():
            image[:, shape], taken = look[:, shape], taken | around
            classes[kind] |= shape
    return torch.from_numpy(image.clip(0, 1)).float(), classes


def _surface(random: np.random.Generator, kind: str) -> Picture:
    if kind == "speckled":
        return 0.15 * clouds(random, 0.5)
    if kind == "smooth":
        return np.zeros((3, *SPACE))
    angle, (rows, columns) = random.uniform(0, np.pi), np.indices(SPACE)
    waves: Picture = 0.2 * np.sin((np.cos(angle) * rows + np.sin(angle) * columns) * 2 * np.pi / 5)
    return np.repeat(waves[None], 3, axis=0)


# Photos: what it is made of is the class.


@cache
def photograph(name: str) -> Image.Image:
    """One of the photographs that scikit-image brings, in colour."""
    from skimage import data

    found = getattr(data, name)()
    found = found[0] if name == "stereo_motorcycle" else found
    return Image.fromarray(found).convert("RGB")


STONES = ("brick", "gravel")
"""What stones are made of."""


def piece(random: np.random.Generator, *, seen: bool, names: tuple[str, ...] = PHOTOGRAPHS) -> Picture:
    """A piece of a photograph: of its left half while training, of its right half afterwards."""
    whole = photograph(names[int(random.integers(len(names)))])
    side = int(min(whole.width // 2, whole.height) * random.uniform(0.5, 1))
    left = int(random.integers(0, whole.width // 2 - side + 1)) + (0 if seen else whole.width // 2)
    top = int(random.integers(0, whole.height - side + 1))
    cut = whole.crop((left, top, left + side, top + side)).resize(SPACE[::-1], Image.Resampling.LANCZOS)
    pixels = np.asarray(cut).transpose(2, 0, 1) / 255
    pixels = pixels[:, :, ::-1] if random.random() < 0.5 else pixels
    return pixels * random.uniform(0.8, 1.15, (3, 1, 1))


def photo(
    seed: int,
    index: int,
    *,
    seen: bool = False,
    share: tuple[float, float] | None = (0.05, 0.25),
    flat_too: bool = False,
) -> Drawn:
    """A photograph with one thing in it that fills a share of the image, and maybe a bright ball.

    Args:
        seed: Names the series.
        index: Which of its images. Even ones have a dark ball, odd ones a stone.
        seen: Of the halves of the photographs that networks are trained on.
        share: The smallest and the largest share. None: no to three things of any size.
        flat_too: Half of the dark balls are flat, and have no noise: as holes look.
    """
    random = np.random.default_rng([seed, index, 2])
    image = piece(random, seen=seen)
    things, taken = np.zeros((1, *SPACE), dtype=bool), np.zeros(SPACE, dtype=bool)
    kinds = (
        [("dark", "stone")[index % 2]]
        if share
        else list(random.choice(["dark", "stone"], random.integers(4)))
    )
    for kind in [*kinds, *["bright"] * int(random.integers(2))]:
        for _ in range(100):
            inside = random.uniform(3, 40)
            shape = distance_from(random, "ball", inside)
            ball = shape <= 1
            fits = share is None or kind == "bright" or share[0] <= ball.mean() <= share[1]
            if fits and not (taken & ball).any():
                break
        else:
            continue
        height = np.sqrt((1 - shape**2).clip(0))
        if kind == "stone":
            look = piece(random, seen=seen, names=STONES) * (0.6 + 0.4 * height)
            look = look * random.uniform(0.8, 1.2, (3, 1, 1))
        else:
            dark = kind == "dark"
            flat = dark and flat_too and bool(random.random() < 0.5)
            base = random.uniform(0.0, 0.15, (3, 1, 1)) if dark else random.uniform(0.7, 0.95, (3, 1, 1))
            shade = 0.02 * clouds(random, 2) + (0.15 * height if dark else 0.25 * height - 0.2)
            look = np.broadcast_to(base * 0.6, (3, *SPACE)) if flat else base + shade
        edge = ((1 - shape) * inside).clip(0, 1)  # a pixel wide, as a lens draws it
        image = image * (1 - edge) + look * edge
        taken |= ndimage.binary_dilation(ball, iterations=2)
        if kind != "bright":
            things[0] |= ball
    noise = 0.01 * random.standard_normal(image.shape) * ~(things[0] & flat_too)
    return torch.from_numpy((image + noise).clip(0, 1)).float(), things


# Networks


def trained(
    draw: Callable[[int, int], Drawn],
    network: UNet,
    *,
    images: int,
    steps: int,
    rate: float = 4e-3,
    seed: int = 0,
) -> UNet:
    """A network that has learnt to segment what is drawn, in evaluation mode."""
    pictures, truths = zip(*(draw(seed, index) for index in range(images)), strict=True)
    inputs, wanted = torch.stack(pictures), torch.from_numpy(np.stack(truths))
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = torch.randint(images, (8,))
        axes = [axis for axis in (2, 3) if torch.rand(()) < 0.5]
        logits = network.logits(inputs[batch].flip(axes))
        loss = F.binary_cross_entropy_with_logits(logits, wanted[batch].flip(axes).float())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return network.eval()


def fresh(classes: int) -> UNet:
    """A small network that has learnt nothing yet."""
    torch.manual_seed(0)
    return UNet(3, classes, width=8, levels=4)


def scene_network(images: int = 400, steps: int = 500) -> UNet:
    """A network that tells smooth, striped and speckled shapes; the smooth ones it learns at last."""
    network = trained(scene, fresh(len(SURFACES)), images=images, steps=steps)
    torch.manual_seed(1)
    return trained(scene, network, images=images + 100, steps=steps + 200, rate=3e-3, seed=1)


def photo_network(images: int = 800, steps: int = 1500) -> UNet:
    """A network that finds dark balls and stones in photographs, at last also dark ones that are flat."""

    def draw(flat_too: bool) -> Callable[[int, int], Drawn]:
        return lambda seed, index: photo(seed, index, seen=True, share=None, flat_too=flat_too)

    network = trained(draw(False), fresh(1), images=images, steps=steps)
    torch.manual_seed(1)
    return trained(draw(True), network, images=images // 4, steps=steps // 10, rate=1e-3, seed=1)
