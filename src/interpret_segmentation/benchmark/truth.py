"""The truth about testnet images, measured by intervention, and kept in files that are shipped with it.

The counterfactual of a scene is the same scene with only the segment's shape left, on its true background.
Tiles of 6 x 6 pixels in which the two differ are put back in random orders; how often a tile is the one
with which the segment comes back is its power (see `interpret_segmentation.evaluate.intervention`). For the
contrast the counterfactual is the scene with the other deciding shape: why this and not that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._types import BoolArray, UInt8Array
from interpret_segmentation.evaluate.intervention import NOTHING_TO_FIND
from interpret_segmentation.evaluate.power_figures import POWERFUL
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.coalitions import Game, turning_pieces
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.perturb.fills.simple import Picture
from interpret_segmentation.perturb.masks.parts import Parts
from interpret_segmentation.perturb.pieces import PixelPieces, draw_orders, tiles
from interpret_segmentation.testnet.dataset import as_input
from interpret_segmentation.testnet.more import find_data
from interpret_segmentation.testnet.scenes import Scene, draw_scene

__all__ = ["TILE", "Measured", "Truth", "Truths", "measure_truth", "read_truths", "scene_tiles"]

SEED = 2**31 + 5
"""Names the benchmark's series of scenes; no network was trained on it."""

TILE = 6
"""Side of a tile in pixels."""

ORDERS = 32
"""Of each of two independent sets, half of them the reverses of the others."""

CONTRASTED = 16
"""The same for the contrast, which fewer tiles decide."""

EFFECT = 0.5
"""A smaller effect is no turning over, and has no power map."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured against one counterfactual.

    Attributes:
        labels: The number of the tile of each pixel that differs, -1 elsewhere ``[*space]``.
        gains: Sum over all orders of a set of what each tile did, ``[2 sets, tiles]``.
        squares: Sum over the pairs of a set of the square of what each tile did in both orders of the pair,
            ``[2 sets, tiles]``.
        orders: In each set.
        turned_back: Orders of both sets in which more tiles made the segment go away again.
        without: Mean probability of the segment with all tiles that have any power hidden, and no other.
        without_powerful: The same with the powerful ones alone hidden, those above a tenth of the largest.
        alone: The same with the powerful tiles alone shown, of all that differ.
    """

    labels: NDArray[np.int64]
    gains: NDArray[np.int64]
    squares: NDArray[np.int64]
    orders: int
    turned_back: int
    without: float
    without_powerful: float
    alone: float

    @property
    def power(self) -> NDArray[np.float64]:
        """Of each tile, over both sets, ``[tiles]``."""
        power: NDArray[np.float64] = self.gains.sum(axis=0) / (2 * self.orders)
        return power

    @property
    def standard_error(self) -> NDArray[np.float64]:
        """Of each tile, over both sets, from the spread over pairs, ``[tiles]``."""
        pairs = self.orders  # of both sets together
        mean = self.power
        spread = self.squares.sum(axis=0) / 4 / pairs - mean**2
        error: NDArray[np.float64] = np.sqrt(np.maximum(spread, 0) / (pairs - 1))
        return error

    @property
    def map(self) -> NDArray[np.float64]:
        """The power of its tile for every pixel, ``[*space]``."""
        return self._painted(self.power)

    @property
    def halves(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The map of each set of orders by itself: no method can agree more with the truth than they do."""
        first, second = (self._painted(gains / self.orders) for gains in self.gains)
        return first, second

    def _painted(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.append(values, 0.0)[self.labels]


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of one image and network.

    Attributes:
        variant: Of the scene.
        image: Its number.
        whole: Mean probability of the segment in the image.
        removed: The same with only the segment's shape left.
        power: Against the scene with only the segment's shape left; None where that does not turn the segment
            over.
        contrast: Against the scene with the other deciding shape; None where the network does not follow it.
    """

    variant: str
    image: int
    whole: float
    removed: float
    power: Measured | None
    contrast: Measured | None

    @property
    def effect(self) -> float:
        """What the context is worth."""
        return self.whole - self.removed

    @property
    def nothing_to_find(self) -> bool:
        """There is no removable cause in the context: a map is judged by what it claims."""
        return abs(self.effect) < NOTHING_TO_FIND

    @property
    def kind(self) -> str:
        """``"power"``, ``"nothing"`` to find, or neither: ``"between"``."""
        return "power" if self.power is not None else "nothing" if self.nothing_to_find else "between"


def scene_tiles(image: UInt8Array, other: UInt8Array) -> NDArray[np.int64]:
    """The tiles in which two pictures differ: their number for each pixel that does, else -1 ``[*space]``."""
    differs = (image != other).reshape(*image.shape[:2], -1).any(axis=-1)
    return Parts(np.where(differs, tiles(differs.shape, TILE), -1)).labels


def measure_truth(
    network: nn.Module, scene: Scene, *, seed: int = 0, orders: int = ORDERS
) -> tuple[float, float, Measured | None, Measured | None]:
    """Measure the truth about a scene: what the `Truth` attributes from ``whole`` on say.

    Args:
        network: In evaluation mode.
        scene: Of testnet.
        seed: Of the orders.
        orders: In each of the two sets.
    """
    image, target = scene.image(), scene.segmented.region()
    whole, removed, power = _against(network, image, scene.with_segment_alone(), target, seed, orders)
    fewer = min(orders, CONTRASTED)
    _, _, contrast = _against(network, image, scene.swapped().image(), target, seed, fewer)
    return whole, removed, power, contrast


def _against(
    network: nn.Module, image: UInt8Array, other: UInt8Array, target: BoolArray, seed: int, orders: int
) -> tuple[float, float, Measured | None]:
    """Mean probability in both pictures, and what decides between them."""
    labels = scene_tiles(image, other)

    def run(case: Case) -> tuple[float, float, Measured | None]:
        game = Game(case, PixelPieces(Parts(labels)), Picture(as_input(other)))
        everything = np.ones((1, len(game)), dtype=bool)
        removed, whole = game.values(np.vstack([~everything, everything])).tolist()
        if not removed <= THRESHOLD < whole or whole - removed < EFFECT:
            return whole, removed, None
        sets = [
            turning_pieces(game, draw_orders(orders, len(game), seed=2 * seed + half), seed=seed)
            for half in (0, 1)
        ]
        gains = np.stack([one.gains.sum(axis=0) for one in sets])
        pairs = np.stack([one.gains.reshape(-1, 2, len(game)).sum(axis=1) for one in sets])
        power = gains.sum(axis=0)
        strong, any_power = power > POWERFUL * power.max(), gains.any(axis=0)
        hidden = game.values(np.stack([~any_power, ~strong, strong])).tolist()
        back = sum(one.turned_back for one in sets)
        squares = (pairs**2).sum(axis=1)
        return whole, removed, Measured(labels, gains, squares, orders, back, *hidden)

    return run_case(run, network, as_input(image), target, dims=2, progress=False)


# Files: one line for each image, so that a run that was interrupted goes on where it stopped.


def as_line(truth: Truth) -> str:
    """A truth as one line of JSON; the tiles follow from the scene."""
    told: dict[str, Any] = {
        "variant": truth.variant,
        "image": truth.image,
        "whole": round(truth.whole, 4),
        "removed": round(truth.removed, 4),
    }
    for name, one in (("power", truth.power), ("contrast", truth.contrast)):
        if one is None:
            continue
        used = np.flatnonzero(one.gains.any(axis=0) | one.squares.any(axis=0))
        told[name] = {
            "orders": one.orders,
            "turned_back": one.turned_back,
            "without": round(one.without, 4),
            "without_powerful": round(one.without_powerful, 4),
            "alone": round(one.alone, 4),
            "tiles": used.tolist(),
            "gains": one.gains[:, used].tolist(),
            "squares": one.squares[:, used].tolist(),
        }
    return json.dumps(told, separators=(",", ":"))


def from_line(line: str, seed: int) -> Truth:
    """The truth that a line of JSON tells.

    Raises:
        ValueError: It does not fit the scene.
    """
    told = json.loads(line)
    scene = draw_scene(seed, told["image"], variant=told["variant"])
    others = {"power": scene.with_segment_alone, "contrast": scene.swapped().image}
    found: dict[str, Measured | None] = {"power": None, "contrast": None}
    for name, other in others.items():
        if name in told:
            found[name] = _measured(told[name], scene_tiles(scene.image(), other()))
    return Truth(told["variant"], told["image"], told["whole"], told["removed"], **found)


def _measured(told: Mapping[str, Any], labels: NDArray[np.int64]) -> Measured:
    count, used = int(labels.max()) + 1, told["tiles"]
    if used and max(used) >= count:
        raise ValueError(f"the truth tells of tile {max(used)}, but the scene has {count}")
    gains, squares = np.zeros((2, 2, count), dtype=np.int64)
    gains[:, used], squares[:, used] = told["gains"], told["squares"]
    values = (told[name] for name in ("orders", "turned_back", "without", "without_powerful", "alone"))
    return Measured(labels, gains, squares, *values)


def read_truths(path: Path, seed: int) -> Mapping[int, Truth]:
    """The truths of a file, all of one variant, by the number of the image.

    A last line that was not written to its end is left out.

    Args:
        path: One line for each image.
        seed: Names the series of scenes.
    """
    lines: Sequence[str] = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else ()
    truths = [from_line(line, seed) for line in lines]
    return {one.image: one for one in truths}


class Truths:
    """The truths about a network, as far as they are there; each is read when it is wanted.

    Args:
        network: Name of one of `interpret_segmentation.testnet.NETWORKS`.
        seed: Names the series of scenes. Truths are there for that of the benchmark.
    """

    def __init__(self, network: str, seed: int) -> None:
        self._seed, self._lines = seed, dict[tuple[str, int], str]()
        if seed != SEED:
            return
        try:
            path = find_data(f"truth/{network}.jsonl")
        except FileNotFoundError:
            return
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            told = json.loads(line)
            self._lines[told["variant"], told["image"]] = line

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, variant: str, image: int) -> Truth | None:
        """The truth about one image; None where it was not measured."""
        line = self._lines.get((variant, image))
        return None if line is None else from_line(line, self._seed)


def load_lines(path: Path) -> set[tuple[str, int]]:
    """Which variants and images a file tells of."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return {(told["variant"], told["image"]) for told in map(json.loads, lines)}
