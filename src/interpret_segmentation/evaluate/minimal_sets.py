"""Minimal sets: the fewest parts found that are enough for a segment, or that it cannot do without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._types import AnyArray, BoolArray
from interpret_segmentation.data.inputs import as_positive, as_seed
from interpret_segmentation.evaluate.removal import Played, Removal
from interpret_segmentation.inference.coalitions import smallest_sufficient
from interpret_segmentation.models.network import Model
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.fills.named import FillLike
from interpret_segmentation.perturb.masks.parts import Parts
from interpret_segmentation.perturb.pieces import draw_orders
from interpret_segmentation.targets.words import AnyTarget

KINDS = ("sufficient", "necessary")


@dataclass(frozen=True, eq=False)
class MinimalSet:
    """A set of parts that decides, and the proof that none of them can be spared.

    Attributes:
        kind: ``"sufficient"``: shown alone it brings the segment back; ``"necessary"``: hidden alone it turns
            the segment over.
        parts: The numbers of its parts, ascending, as in the labels that were given.
        labels: The number of the part that each pixel belongs to, -1 for none, ``[*space]``; None: the parts
            are channels.
        value: Mean probability of the explained pixels when the set alone is shown, or hidden.
        without: For each of its parts the same when that part is left out of the set: on the other side of
            ``turns_at``, each.
        turns_at: What the mean probability has to cross.
        whole: Mean probability in the image.
        nothing: The same with all parts hidden.
        forwards: Images that the network was asked about.
    """

    kind: str
    parts: tuple[int, ...]
    labels: NDArray[np.int64] | None
    value: float
    without: tuple[float, ...]
    turns_at: float
    whole: float
    nothing: float
    forwards: int

    @property
    def region(self) -> BoolArray:
        """Its pixels, bool ``[*space]``.

        Raises:
            ValueError: The parts are channels, which have no place.
        """
        if self.labels is None:
            raise ValueError("the parts are channels, which have no place in the image; see its parts")
        return np.isin(self.labels, self.parts)

    def __str__(self) -> str:
        named = ", ".join(map(str, self.parts))
        one = len(self.parts) == 1
        does = {
            "sufficient": "alone brings the segment back" if one else "alone bring the segment back",
            "necessary": "hidden turns the segment over" if one else "hidden turn the segment over",
        }[self.kind]
        said = f"{len(self.parts)} {'part' if one else 'parts'} ({named}) {does}: the mean probability is "
        if one:
            return f"{said}{self.value:.2f}."
        return (
            f"{said}{self.value:.2f}; with any of them left out it is {self._nearest:.2f} at the nearest. "
            f"Smaller sets may exist; {self.forwards} forwards found none."
        )

    @property
    def _nearest(self) -> float:
        return min(self.without, key=lambda value: abs(value - self.turns_at))


def minimal_set(
    model: Model | SegmentationModel,
    image: AnyArray | Image.Image,
    target: AnyTarget = None,
    *,
    kind: str = "sufficient",
    parts: str | AnyArray | Parts = "superpixels",
    count: int | None = None,
    fill: FillLike = "background",
    spare: AnyArray | str | None = None,
    reference: AnyArray | None = None,
    orders: int = 12,
    turns_at: float = THRESHOLD,
    seed: int | None = 0,
    dims: int | None = None,
    batch_size: int | None = None,
    progress: bool = True,
) -> MinimalSet:
    """Find a smallest set of parts whose presence is enough for the segment, or whose removal turns it over.

    Greedy over random orders: the shortest beginning of an order that is enough is found by bisection, its
    last part is kept, and the search goes on for what has to come before it. The best sets are polished: what
    the others can do without is dropped. What comes out is proved by forwards, and no part of it can be
    spared; that no smaller set exists is not proved. In the words of Ignatiev et al. 2019 (arXiv:1811.10656)
    it is an abductive (sufficient) or contrastive (necessary) explanation, for one fill.

    It costs about ``orders x size of the set x log2(parts)`` forwards. All other arguments are those of
    `power`.

    Args:
        model: The network.
        image: The image.
        target: What is explained.
        kind: ``"sufficient"``: parts that are enough when all others are hidden. ``"necessary"``: parts
            without which the segment is gone, though all others are there.
        parts: What the image is taken apart into.
        count: Superpixels or cells, about.
        fill: What hidden parts become.
        spare: Pixels that are never hidden.
        reference: The ground truth.
        orders: How many random orders are tried.
        turns_at: Where the segment is there.
        seed: Of the orders.
        dims: Axes of space.
        batch_size: Images asked at once.
        progress: Show progress bars.

    Raises:
        ValueError: An argument that does not fit, or hiding all parts does not turn the segment over.

    Example:
        >>> image = np.array([[0.9, 0, 0.4, 0.4], [0, 0, 0.4, 0.4]])
        >>> parts = np.array([[-1, -1, 0, 1], [-1, -1, 2, 3]])
        >>> # draws its first pixel when most of the light on the right is there
        >>> network = lambda batch: (batch[..., 2:].mean(dim=(-2, -1), keepdim=True) > 0.25) * (batch > 0.5)
        >>> found = minimal_set(network, image, parts=parts, fill=0, progress=False)
        >>> len(found.parts)  # three of four are 0.3 on average, two only 0.2
        3
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, got {kind!r}")
    orders = as_positive(orders, "orders")

    def run(played: Played) -> MinimalSet:
        game, labels = played.game, played.labels
        if not played.turns_over:
            raise ValueError(
                f"no set of these parts decides: with all {len(game)} of them hidden the mean probability of "
                f"the explained pixels is {played.nothing:.2f} (in the image {played.whole:.2f}), which does "
                f"not cross {turns_at:g}; take other parts, another fill=, or turns_at= between the two"
            )
        drawn = draw_orders(orders, len(game), seed=as_seed(seed))
        sizes = np.ones(len(game)) if labels is None else np.bincount(labels[labels >= 0])
        found = smallest_sufficient(game, drawn, sizes.astype(np.int64), hiding=kind == "necessary")
        return MinimalSet(
            kind=kind,
            parts=tuple(game.pieces.names[found.chosen].tolist()),
            labels=None if labels is None else np.append(game.pieces.names, -1)[labels],
            value=found.value,
            without=tuple(found.without.tolist()),
            turns_at=asked.turns_at,
            whole=played.whole,
            nothing=played.nothing,
            forwards=played.case.forwards,
        )

    asked = Removal(
        model, image, target, parts, count, fill, spare, reference, turns_at, batch_size, progress, dims
    )
    return asked.play(run, name="Minimal set")
