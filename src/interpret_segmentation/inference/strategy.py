"""How variations of an image are asked about: what every way has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation.models.network import Network
from interpret_segmentation.models.reading import Reading
from interpret_segmentation.perturb.hiding import Patches, Variations


@dataclass(frozen=True, eq=False)
class Answers:
    """What the model says about a few variations, as to one class.

    Attributes:
        first: Number of the first variation.
        probability: Of the class, float32 ``[b, *space]``.
        segment: The pixels of the class, bool ``[b, *space]``.
    """

    first: int
    probability: Tensor
    segment: Tensor


def joined(parts: Sequence[Answers]) -> Answers:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    maps = [torch.cat([getattr(part, name) for part in parts]) for name in ("probability", "segment")]
    return Answers(parts[0].first, *maps)


@dataclass(frozen=True, eq=False)
class Asked:
    """One network, one image and one class of it: what every way of asking starts from.

    Attributes:
        network: The network, borrowed.
        reading: How its answer is read.
        label: The class.
        image: The unmasked image, ``[C, *space]``.
        unmasked: What the network says about it.
        filled_to: Images that are always asked about together, the last ones with copies; None: any number.
    """

    network: Network
    reading: Reading
    label: int
    image: Tensor
    unmasked: Answers
    filled_to: int | None = None

    def whole(self, images: Tensor, first: int) -> Answers:
        """Ask about whole images ``[b, C, *space]``, of which the first has this number."""
        missing = max(0, (self.filled_to or 0) - len(images))
        if missing:
            images = torch.cat([images, images[-1:].expand(missing, *images.shape[1:])])
        maps = self.network.probabilities(images, self.reading)[: len(images) - missing]
        return Answers(first, maps[:, self.label], self.reading.segments(maps, self.label))

    def filled_up(self, first: int, count: int, which: NDArray[np.int64], answers: Answers | None) -> Answers:
        """Answers to so many variations, of which all but some are those to the unmasked image."""
        wholes = []
        for name in ("probability", "segment"):
            plain = getattr(self.unmasked, name)
            batch = plain.repeat(count, *[1] * (plain.ndim - 1))
            if answers is not None:
                batch[torch.from_numpy(which)] = getattr(answers, name)
            wholes.append(batch)
        return Answers(first, *wholes)


class Strategy(ABC):
    """A way to ask about many variations of one image.

    A strategy writes `ask`, for variations that differ from the unmasked image; about the others nothing has
    to be asked.

    Args:
        asked: Network, image and class.
        variations: What is asked about.
        because: Why this way was chosen, in a few words.

    Attributes:
        unchanged: Variations equal to the unmasked image so far.
        at_once: How many are asked at once; None: as many as the batch size says.
    """

    name: ClassVar[str]

    def __init__(self, asked: Asked, variations: Variations, because: str) -> None:
        self._asked, self._variations, self._because = asked, variations, because
        self.unchanged = 0
        self.at_once: int | None = None

    @abstractmethod
    def ask(self, first: int, last: int, which: NDArray[np.int64], patches: Patches | None) -> Answers:
        """What the model says about some of the variations ``first`` to ``last - 1``.

        Args:
            first: The first of them.
            last: One beyond the last.
            which: Those that are asked about, counted from ``first``.
            patches: All of them, as what differs from the unmasked image; None where that is no patch.
        """

    def answers(self, first: int, last: int) -> Answers:
        """What the model says about the variations ``first`` to ``last - 1``."""
        patches = self._variations.patches(first, last)
        which = np.arange(last - first) if patches is None else np.flatnonzero(patches.differ)
        answers = self.ask(first, last, which, patches) if len(which) else None
        same = last - first - len(which)
        self.unchanged += same
        if answers is not None and not same:
            return answers
        return self._asked.filled_up(first, last - first, which, answers)

    def record(self) -> dict[str, Any]:
        """What a result keeps of it."""
        return {"path": self.name, "because": self._because, "unchanged": self.unchanged}

    def options(self) -> dict[str, bool]:
        """The options of the model with which a repetition goes the same way."""
        return {}
