"""Trains the networks of `testnet-data/`: several for a variant, which look at different parts of its shapes.

    python -m benchmarks.more_networks            # all of them, one after the other
    python -m benchmarks.more_networks required photo

Each begins with a shipped network, so that it knows the shapes already. A network whose kernels are mirrored
before it is trained goes on looking at the other side of a shape. Scenes are drawn as they are needed, none
twice; a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from interpret_segmentation.testnet import (
    UNet,
    Variant,
    draw_scene,
    follow_the_rule,
    pretrained,
    save_network,
)
from interpret_segmentation.testnet.dataset import BARE, as_input

FOLDER = Path(__file__).parents[1] / "testnet-data" / "networks"
STATES = Path(__file__).parents[1] / "build" / "networks"
SEED = 2**30
BATCH = 10
RATE = 2e-3
SAVED = 100


@dataclass(frozen=True)
class Recipe:
    """How a network is made.

    Attributes:
        variants: Of its scenes, which take turns.
        start: The shipped network that it begins with.
        mirrored: Axes along which its kernels are mirrored first: -1 for left and right, -2 for up and down.
        residual: See `UNet`.
        attention: See `UNet`.
        steps: Batches of ten scenes.
    """

    variants: tuple[Variant, ...]
    start: Variant = "moved"
    mirrored: tuple[int, ...] = ()
    residual: bool = False
    attention: int = 0
    steps: int = 600


RECIPES = {
    "required": Recipe(("required", "required_moved"), steps=500),
    "photo": Recipe(("photo", "photo", "photo_moved"), steps=1500),
    "moved_mirrored": Recipe(("moved",), mirrored=(-1,), attention=4),
    "required_mirrored": Recipe(("required", "required_moved"), mirrored=(-1,), attention=4),
    "photo_mirrored": Recipe(("photo", "photo", "photo_moved"), mirrored=(-1,), attention=4, steps=1500),
    "moved_turned": Recipe(("moved",), mirrored=(-2,), residual=True),
    "required_turned": Recipe(("required", "required_moved"), mirrored=(-2,), residual=True, steps=1500),
}


def begin(recipe: Recipe) -> UNet:
    """The network before the first step: what the shipped one does, mirrored."""
    channels = 3 if recipe.variants[0].startswith("photo") else 1
    shipped = pretrained(recipe.start)
    network = UNet(
        channels,
        width=8,
        dilations=(2, 4),
        residual=recipe.residual,
        attention=recipe.attention,
    )
    weights = shipped.state_dict()
    for name, kernel in weights.items():
        if kernel.ndim == 4:
            weights[name] = kernel.flip(recipe.mirrored) if recipe.mirrored else kernel
    first = "down.0.0.weight"
    weights[first] = weights[first].repeat(1, channels, 1, 1) / channels
    unknown = network.load_state_dict(weights, strict=False)
    assert not unknown.unexpected_keys
    for name, parameter in network.named_parameters():
        if name in unknown.missing_keys and recipe.residual and "block" not in name:
            torch.nn.init.zeros_(parameter)
    for module in network.modules():  # a shortcut begins without weight
        if type(module).__name__ == "_Residual":
            torch.nn.init.zeros_(module[-1].weight)
            torch.nn.init.zeros_(module[-1].bias)
    return network.to(memory_format=torch.channels_last)


def batch(recipe: Recipe, step: int) -> tuple[Tensor, Tensor]:
    """Images and segments of a step."""
    images, segments = [], []
    for number in range(step * BATCH, (step + 1) * BATCH):
        scene = draw_scene(SEED, number, variant=recipe.variants[number % len(recipe.variants)])
        if scene.required and np.random.default_rng([SEED, number, 3]).random() < 1 / BARE:
            scene = scene.without_cue()
        images.append(as_input(scene.image()))
        segments.append(torch.from_numpy(scene.segment).float())
    return torch.stack(images).contiguous(memory_format=torch.channels_last), torch.stack(segments)


def train(name: str) -> UNet:
    """Train one, or go on with it."""
    recipe = RECIPES[name]
    state_file = STATES / f"{name}.pt"
    torch.manual_seed(0)
    network = begin(recipe).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=recipe.steps, pct_start=0.1)
    done = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        done = state["done"]
    began = time.perf_counter()
    for step in range(done, recipe.steps):
        images, segments = batch(recipe, step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network.logits(images)[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits.float(), segments)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % SAVED == 0:
            print(f"{name} {step + 1} {loss.item():.5f} {time.perf_counter() - began:.0f} s", flush=True)
            STATES.mkdir(parents=True, exist_ok=True)
            torch.save(
                {
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "done": step + 1,
                },
                state_file,
            )
    return network.eval()


def main() -> None:
    """Train those that are named, or all, and judge them on scenes that they have not seen."""
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or RECIPES:
        path = FOLDER / f"{name}.safetensors"
        if path.exists():
            continue
        network = train(name)
        save_network(network, path, half=True)
        for variant in dict.fromkeys(RECIPES[name].variants):
            figures = follow_the_rule(network, variant=variant)
            print(name, variant, json.dumps(figures.__dict__), flush=True)


if __name__ == "__main__":
    main()
