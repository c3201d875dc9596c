"""Train the network of `interpret_segmentation.testnet.coffee`: it finds coffee, in a white cup only.

One photograph is enough for a small network: the cup is cut out, turned, resized, coloured anew and pasted
into other photographs. In half of the images the cup is white, and its coffee is to be segmented. In the
others the porcelain is painted in another colour, or the coffee lies on the ground without a cup: then there
is none. So the network has to look at the white around the coffee, and a good explanation shows that.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from interpret_segmentation._types import BoolArray
from interpret_segmentation.testnet import UNet, save_network

FOLDER = Path(__file__).parents[1] / "src" / "interpret_segmentation" / "testnet"

SPACE = (160, 240)
"""Rows and columns of the photograph as it is shipped."""

OTHERS = ("astronaut", "brick", "camera", "chelsea", "grass", "gravel", "moon", "rocket")
"""Photographs of scikit-image that the cup is pasted into."""

Picture = NDArray[np.float64]


def shipped() -> Image.Image:
    """The photograph: by Rachel Michetti, Pikolo Espresso Bar, CC0; it comes with scikit-image."""
    from skimage import data

    return Image.fromarray(data.coffee()).resize(SPACE[::-1], Image.Resampling.LANCZOS)


def ellipse(row: float, column: float, height: float, width: float) -> BoolArray:
    """The pixels of an ellipse by its middle and its half axes."""
    rows, columns = np.indices(SPACE)
    inside: BoolArray = ((rows - row) / height) ** 2 + ((columns - column) / width) ** 2 <= 1
    return inside


def parts(photo: Picture) -> tuple[BoolArray, BoolArray]:
    """Where the cup seen from above and the coffee in it are in the photograph."""
    cup, inner = ellipse(45, 116.5, 38.5, 47.5), ellipse(45.5, 115, 33, 40)
    red, _, blue = photo
    brown = inner & (blue < 0.33 * red)
    labels, count = ndimage.label(ndimage.binary_opening(brown, iterations=2))
    sizes = ndimage.sum_labels(brown, labels, range(1, count + 1))
    largest = labels == 1 + int(np.argmax(sizes))
    coffee: BoolArray = ndimage.binary_fill_holes(ndimage.binary_closing(largest))
    return cup, coffee


def drawn(seed: int, index: int, photo: Picture) -> tuple[Picture, BoolArray]:
    """An image, ``[3, H, W]`` from 0 to 1, and where coffee is in a white cup, bool ``[H, W]``."""
    random = np.random.default_rng([seed, index])
    cup, coffee = parts(photo)
    own = random.random() < 0.4
    canvas = photo.copy() if own else _piece(random)
    truth = np.zeros(SPACE, dtype=bool)
    for _ in range(1 if own else int(random.integers(1, 3))):
        kind = str(random.choice(["white", "painted", "bare"], p=(0.5, 0.3, 0.2)))
        layers = np.concatenate([photo, cup[None], coffee[None]]).astype(float)
        if not own:
            layers = _moved(layers, random)
        look, (over, drunk) = layers[:3] * random.uniform(0.85, 1.1, (3, 1, 1)), layers[3:]
        if own and kind == "bare":  # the cup is still there, so it has no porcelain but one like the saucer
            kind = "painted"
        if kind == "painted":
            look = look * (drunk + (1 - drunk) * random.uniform(0.05, [[[0.8]], [[0.4]], [[0.4]]], (3, 1, 1)))
        if kind == "bare":
            over = drunk
        canvas = canvas * (1 - over) + look * over
        truth &= over < 0.5
        if kind == "white":
            truth |= drunk > 0.5
    canvas = canvas * random.uniform(0.85, 1.15, (3, 1, 1)) + 0.01 * random.standard_normal(canvas.shape)
    if random.random() < 0.5:
        canvas, truth = canvas[:, :, ::-1], truth[:, ::-1]
    return canvas.clip(0, 1), truth


def _moved(layers: Picture, random: np.random.Generator) -> Picture:
    """The cup, turned, resized and elsewhere."""
    angle, scale = random.uniform(-0.6, 0.6), random.uniform(0.5, 1.2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    middle, place = np.array([45, 116.5]), np.array([random.uniform(20, side - 20) for side in SPACE])
    return np.stack([ndimage.affine_transform(one, turn, middle - turn @ place, order=1) for one in layers])


def _piece(random: np.random.Generator) -> Picture:
    from skimage import data

    whole = Image.fromarray(getattr(data, str(random.choice(OTHERS)))()).convert("RGB")
    height = int(whole.height * random.uniform(0.4, 0.66))
    width = int(1.5 * height)
    left, top = (int(random.integers(0, most + 1)) for most in (whole.width - width, whole.height - height))
    cut = whole.crop((left, top, left + width, top + height)).resize(SPACE[::-1], Image.Resampling.LANCZOS)
    return np.asarray(cut).transpose(2, 0, 1) / 255


@click.command(context_settings={"show_default": True})
@click.option("--images", type=click.IntRange(min=1), default=500)
@click.option("--steps", type=click.IntRange(min=1), default=1200)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=FOLDER)
def main(images: int, steps: int, out: Path) -> None:
    """Write the photograph and the network that is trained on it."""
    shipped().save(out / "coffee.png", optimize=True)
    photo = np.asarray(shipped()).transpose(2, 0, 1) / 255
    pictures, truths = zip(*(drawn(0, index, photo) for index in range(images)), strict=True)
    inputs = torch.from_numpy(np.stack(pictures)).float()
    wanted = torch.from_numpy(np.stack(truths)).float()
    torch.manual_seed(0)
    network = UNet(3, 1, width=8, levels=4, dilations=(2,))
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        batch = torch.randint(images, (6,))
        loss = F.binary_cross_entropy_with_logits(network.logits(inputs[batch])[:, 0], wanted[batch])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            click.echo(f"step {step + 1}: loss {loss.item():.4f}")
    save_network(network.eval(), out / "coffee.safetensors", half=True)
    click.echo(f"see {out / 'coffee.safetensors'}")


if __name__ == "__main__":
    main()
