"""How the objective fares when only some pieces of the image are shown, and which piece turns it over.

Pieces are shown in a random order. The *turning piece* is the one with which the objective comes back:
its number crosses a threshold. How often a piece is the turning one, over all orders, is its Shapley-Shubik
index (Shapley and Shubik 1954, doi:10.2307/1951053): the Shapley value of the game that is won when the
segment is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._types import BoolArray
from interpret_segmentation.inference.case import Case
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.pieces import Pieces

CHECKS = 1
"""Prefixes of every order that are asked about beside those of the bisection, to see that it is right.

As long as these contradict the bisection somewhere, as many more are asked of every order.
"""


class Game:
    """The objective's number for any coalition of pieces, each coalition asked about once.

    Args:
        case: The network, the image and the objective.
        pieces: What is shown and hidden.
        fill: What hidden pieces become.
        turns_at: The number above which the objective counts as there.
        name: What progress bars call the work.
    """

    def __init__(
        self, case: Case, pieces: Pieces, fill: Fill, *, turns_at: float = THRESHOLD, name: str = "Coalitions"
    ) -> None:
        case.objective.check()
        self._case, self.pieces, self._fill = case, pieces, fill.for_segment(case.segment)
        self.turns_at, self._name = turns_at, name
        self._known: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self.pieces)

    def values(self, shown: BoolArray) -> NDArray[np.float64]:
        """The objective's number when only some pieces are shown, ``[n]`` for bool ``[n, pieces]``."""
        keys = [row.tobytes() for row in np.packbits(shown, axis=1)]
        new = {key: number for number, key in enumerate(keys) if key not in self._known}
        if new:
            hides = ~shown[list(new.values())]
            variations = self.pieces.variations(hides, self._case.pixels, self._fill)
            found = np.empty(len(new))
            for answers in self._case.ask(variations, len(new), self._name):
                numbers = self._case.objective.value(answers.probability).cpu().numpy()
                found[answers.first : answers.first + len(numbers)] = numbers
            self._known.update(zip(new, map(float, found), strict=True))
        return np.array([self._known[key] for key in keys])

    def holds(self, shown: BoolArray) -> BoolArray:
        """Whether the objective is there, bool ``[n]``."""
        there: BoolArray = self.values(shown) > self.turns_at
        return there


@dataclass(frozen=True, eq=False)
class Turned:
    """What each piece did in each order.

    Attributes:
        gains: 1 where the objective came back with the piece, -1 where it went away again with it, 0
            elsewhere; ``[orders, pieces]``. Every order sums to 1.
        turned_back: Orders found in which showing more made the objective go away again.
    """

    gains: NDArray[np.int64]
    turned_back: int


def forwards_for(pieces: int, orders: int) -> int:
    """The most forwards of a case that `turning_pieces` takes, where showing more never turns back.

    The first is that of the image itself.

    Example:
        >>> forwards_for(64, 48)
        339
    """
    steps = ceil(log2(pieces)) if pieces > 1 else 0
    most = 3 + orders * (steps + (CHECKS if pieces > steps + 1 else 0))
    return most if _are_many(pieces, most) else 1 + 2**pieces


def _are_many(pieces: int, forwards: int) -> bool:
    """Whether there are more coalitions than so many forwards could ask about."""
    return pieces > log2(forwards)


def turning_pieces(game: Game, orders: NDArray[np.int64], *, seed: int | None = 0) -> Turned:
    """Find the turning piece of every order, by bisection of all orders at once.

    A bisection is right where showing more never turns the objective back. One more prefix of every order,
    at random, tells where that is not so; as long as any does, one more of every order is asked. Such an
    order is walked through piece by piece, and every piece that turns the objective over counts, back as -1,
    as in the Shapley value. What no check finds is missed, so that the orders that turn back are at least so
    many. Where there are few coalitions in all, every order is walked through, and nothing is missed.

    Args:
        game: The objective must not hold with nothing shown, and must hold with everything.
        orders: Piece numbers ``[orders, pieces]``.
        seed: Of the prefixes that check.

    Raises:
        ValueError: The objective holds with nothing shown, or does not with everything.
    """
    count, pieces = orders.shape
    ends = game.holds(np.array([[False] * pieces, [True] * pieces]))
    if ends[0] or not ends[1]:
        raise ValueError("the objective must hold with everything shown, and must not with nothing")
    rank = np.argsort(orders, axis=1)

    def holds(which: NDArray[np.int64], lengths: NDArray[np.int64]) -> BoolArray:
        return game.holds(rank[which] < lengths[:, None])

    low, high = np.zeros(count, dtype=np.int64), np.full(count, pieces)
    seen = np.zeros((count, pieces + 1), dtype=bool)
    seen[:, [0, pieces]] = True
    few = not _are_many(pieces, forwards_for(pieces, count))
    while not few and len(open_ := np.flatnonzero(high - low > 1)):
        middle = (low + high)[open_] // 2
        seen[open_, middle] = True
        there = holds(open_, middle)
        high[open_[there]] = middle[there]
        low[open_[~there]] = middle[~there]
    gains = np.zeros((count, pieces), dtype=np.int64)
    gains[np.arange(count), orders[np.arange(count), low]] = 1
    odd = np.ones(count, dtype=bool) if few else _contradicted(holds, seen, high, np.random.default_rng(seed))
    for number in np.flatnonzero(odd):
        lengths = np.arange(pieces + 1)
        there = holds(np.full(pieces + 1, number), lengths).astype(np.int64)
        gains[number, orders[number]] = np.diff(there)
    return Turned(gains, int((gains < 0).any(axis=1).sum()))


def _contradicted(
    holds: Callable[[NDArray[np.int64], NDArray[np.int64]], BoolArray],
    seen: BoolArray,
    turning: NDArray[np.int64],
    random: np.random.Generator,
) -> BoolArray:
    """In which orders a prefix not seen yet is on the wrong side of the turning one, bool ``[n]``."""
    odd = np.zeros(len(seen), dtype=bool)
    while True:
        found = False
        for _ in range(CHECKS):
            which = np.flatnonzero(~seen.all(axis=1) & ~odd)
            if not len(which):
                return odd
            lengths = np.array([random.choice(np.flatnonzero(~row)) for row in seen[which]])
            seen[which, lengths] = True
            contradicts = holds(which, lengths) != (lengths >= turning[which])
            odd[which] = contradicts
            found |= bool(contradicts.any())
        if not found:
            return odd


@dataclass(frozen=True, eq=False)
class Sufficient:
    """A set of pieces that is enough, and the proof.

    Attributes:
        chosen: The pieces, bool ``[pieces]``.
        value: The objective's number with them alone.
        without: For each of them, in ascending order, the number when it is left out, ``[chosen]``: none is
            above the threshold.
    """

    chosen: BoolArray
    value: float
    without: NDArray[np.float64]


def smallest_sufficient(
    game: Game, orders: NDArray[np.int64], sizes: NDArray[np.int64], *, hiding: bool = False
) -> Sufficient:
    """The smallest set found that is enough: greedy over orders, then polished.

    In each order the shortest prefix that is enough is found by bisection, its last piece is kept, and the
    search goes on for what has to come before, until the kept ones are enough by themselves. Then each piece
    of the smallest sets that the rest can do without is dropped.

    Args:
        game: As for `turning_pieces`.
        orders: Piece numbers ``[orders, pieces]``.
        sizes: Pixels of each piece; of sets with equally many pieces the one with the fewest wins.
        hiding: Search for a set whose removal is enough to turn the objective over, in place of one whose
            presence is enough for it.

    Raises:
        ValueError: The objective holds with nothing shown, or does not with everything.
    """
    pieces = orders.shape[1]

    def enough(chosen: BoolArray) -> BoolArray:
        return ~game.holds(~chosen) if hiding else game.holds(chosen)

    ends = enough(np.array([[False] * pieces, [True] * pieces]))
    if ends[0] or not ends[1]:
        raise ValueError("the objective must hold with everything shown, and must not with nothing")
    kept = _greedy(enough, orders)
    candidates = np.unique(kept, axis=0)
    cost = [(int(one.sum()), int(sizes[one].sum())) for one in candidates]
    best = sorted(range(len(candidates)), key=lambda number: cost[number])[:3]
    polished = [_polish(enough, candidates[number]) for number in best]
    chosen = min(polished, key=lambda one: (int(one.sum()), int(sizes[one].sum())))
    left_out = np.repeat(chosen[None], chosen.sum(), axis=0)
    left_out[np.arange(len(left_out)), np.flatnonzero(chosen)] = False
    shown = ~np.vstack([chosen[None], left_out]) if hiding else np.vstack([chosen[None], left_out])
    value, *without = game.values(shown)
    return Sufficient(chosen, float(value), np.array(without))


def _greedy(enough: Callable[[BoolArray], BoolArray], orders: NDArray[np.int64]) -> BoolArray:
    """For each order a set that is enough, bool ``[orders, pieces]``, all searched side by side."""
    count, pieces = orders.shape
    rank = np.argsort(orders, axis=1)
    kept = np.zeros((count, pieces), dtype=bool)
    limit = np.full(count, pieces)  # so many of the first pieces are enough together with those kept
    active = np.arange(count)
    while len(active):
        low, high = np.full(len(active), -1), limit[active]
        while len(open_ := np.flatnonzero(high - low > 1)):
            middle = (low + high)[open_] // 2
            which = active[open_]
            there = enough(kept[which] | (rank[which] < middle[:, None]))
            high[open_[there]] = middle[there]
            low[open_[~there]] = middle[~there]
        goes_on = high > 0
        active, high = active[goes_on], high[goes_on]
        limit[active] = high - 1
        kept[active, orders[active, high - 1]] = True
    return kept


def _polish(enough: Callable[[BoolArray], BoolArray], chosen: BoolArray) -> BoolArray:
    """Drop pieces one by one, until none can be spared."""
    chosen = chosen.copy()
    while True:
        members = np.flatnonzero(chosen)
        less = np.repeat(chosen[None], len(members), axis=0)
        less[np.arange(len(members)), members] = False
        spared = np.flatnonzero(enough(less)) if len(members) else members
        if not len(spared):
            return chosen
        chosen[members[spared[0]]] = False
