"""Trains the U-Net on testnet, one line of figures for each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._files import write_whole
from interpret_segmentation._types import PathLike
from interpret_segmentation.models.devices import usable_device
from interpret_segmentation.scores.registry import HausdorffTo, dice
from interpret_segmentation.testnet.dataset import TestnetDataset
from interpret_segmentation.testnet.networks import save_network
from interpret_segmentation.testnet.unet import UNet

COLUMNS = "epoch\ttrain_loss\ttrain_hausdorff\ttrain_dice\tval_loss\tval_hausdorff\tval_dice\tseconds"


@dataclass
class Figures:
    """Means over the images seen so far: loss, Hausdorff distance in pixels, Dice coefficient."""

    losses: list[float] = field(default_factory=list)
    hausdorffs: list[float] = field(default_factory=list)
    dices: list[float] = field(default_factory=list)

    def add(self, loss: float, outputs: Tensor, segments: Tensor) -> None:
        """Take in a batch: its loss, probabilities ``[B, 1, H, W]`` and segments ``[B, H, W]``."""
        predictions = (outputs[:, 0] > THRESHOLD).cpu().numpy()
        for prediction, segment in zip(predictions, segments.cpu().numpy(), strict=True):
            self.losses.append(loss)
            self.hausdorffs.append(HausdorffTo(segment)(prediction))
            self.dices.append(dice(prediction, segment))

    def __str__(self) -> str:
        loss, hausdorff, dices = map(np.mean, (self.losses, self.hausdorffs, self.dices))
        return f"{loss:.5f}\t{hausdorff:.3f}\t{dices:.5f}"


def train(
    folder: PathLike,
    *,
    network: UNet | None = None,
    epochs: int = 10,
    batch_size: int = 10,
    learning_rate: float = 2e-3,
    seed: int = 0,
    device: str | torch.device = "cpu",
    resume: bool = False,
    progress: bool = True,
) -> UNet:
    """Train a network on ``folder/dataset`` with binary cross-entropy.

    AdamW, with a learning rate that falls from its start to zero along half a cosine wave. Each epoch prints
    one line (loss, Hausdorff distance in pixels and Dice, on training and validation images), appends it to
    ``folder/results/testnet.txt`` and saves the network's weights as ``folder/testnet_<epoch>.pth``. An
    interrupted run that is resumed ends with the network that it would have had.

    Args:
        folder: Holds ``dataset/``; everything is written here.
        network: What to train. Default: width 8 and two dilated convolutions, like the shipped network.
        epochs: Passes over the training images, in all (also when resuming).
        batch_size: Images for each step.
        learning_rate: At the start.
        seed: Decides the initial weights (when ``network`` is None) and the order of the images.
        device: Where to train.
        resume: Go on after the last finished epoch of an earlier run.
        progress: Show a progress bar for each epoch.

    Returns:
        The trained network, in evaluation mode.

    Raises:
        FileExistsError: An earlier run is there and ``resume`` was not asked for.
        FileNotFoundError: There is no data set, or nothing to resume.
        ValueError: Options that are not positive, no such device, too few images, or a resumed run with
            other options than it was started with.
    """
    if min(epochs, batch_size) < 1 or not learning_rate > 0:
        raise ValueError("epochs, batch_size and learning_rate must be positive")
    folder, device = Path(folder), usable_device(device)
    results, checkpoint = folder / "results" / "testnet.txt", folder / "results" / "resume.pt"
    if resume and not checkpoint.exists():
        raise FileNotFoundError(f"nothing to resume: {checkpoint} does not exist")
    if not resume and results.exists():
        raise FileExistsError(f"{results} holds an earlier run; resume it, or remove {results.parent}")

    images = TestnetDataset(folder / "dataset", "train")
    validation = DataLoader(TestnetDataset(folder / "dataset", "validation"), batch_size)
    if not len(images):
        raise ValueError(f"there is only one image in {images.path}; draw at least two")
    torch.manual_seed(seed)
    network = (network or UNet(width=8, dilations=(2, 4))).to(device)
    steps = epochs * math.ceil(len(images) / batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    plan = {
        "epochs": epochs,
        "batch size": batch_size,
        "learning rate": learning_rate,
        "seed": seed,
        "images": len(images),
        **network.settings,
    }
    lines = [COLUMNS]
    if resume:
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        other = [f"{name} {value}" for name, value in state["plan"].items() if plan[name] != value]
        if other:
            raise ValueError(f"the run was started with {', '.join(other)}; resume it with the same options")
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        lines = state["lines"]

    print("\n".join(lines))
    for epoch in range(len(lines) - 1, epochs):
        start = time.perf_counter()
        order = torch.Generator().manual_seed(1_000_003 * seed + epoch)
        loader = DataLoader(images, batch_size, shuffle=True, generator=order)
        trained = _train_epoch(
            network, _batches(loader, device, f"Epoch {epoch}", progress), optimizer, schedule
        )
        validated = evaluate(network, validation, device)
        lines.append(f"{epoch}\t{trained}\t{validated}\t{time.perf_counter() - start:.1f}")
        print(lines[-1])

        save_network(network, folder / f"testnet_{epoch:04d}.pth")
        state = {
            "plan": plan,
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "lines": lines,
        }
        with write_whole(checkpoint) as path:
            torch.save(state, path)
        with write_whole(results) as path:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return network.eval()


def _train_epoch(
    network: UNet,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> Figures:
    network.train()
    figures = Figures()
    for inputs, segments in batches:
        logits = network.logits(inputs)
        loss = F.binary_cross_entropy_with_logits(logits[:, 0], segments.float())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        figures.add(loss.item(), logits.detach().sigmoid(), segments)
    return figures


@torch.no_grad()
def evaluate(network: UNet, loader: DataLoader[object], device: str | torch.device) -> Figures:
    """The figures of a network on images that it is not trained on."""
    network.eval()
    figures = Figures()
    for inputs, segments in _batches(loader, device):
        logits = network.logits(inputs)
        loss = F.binary_cross_entropy_with_logits(logits[:, 0], segments.float())
        figures.add(loss.item(), logits.sigmoid(), segments)
    return figures


def _batches(
    loader: DataLoader[object], device: str | torch.device, label: str = "", progress: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    for batch in tqdm(loader, desc=label, unit="batch", leave=False, disable=not progress):
        yield batch["input"].to(device), batch["segment"].to(device)
