"""Sees whether a model's answer is a function of the one image, as every map takes for granted.

A model can answer otherwise the second time: dropout that stays on, state kept from one question to the next,
statistics over all images of a batch. One check sees them all: the unmasked image is asked about again, alone
and beside others, before the work begins, and once more at its end.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interpret_segmentation.models.devices import is_out_of_memory
from interpret_segmentation.models.network import Network

TOLERANCE = 1e-4
"""How far apart two answers may be that are rounded otherwise: probabilities, and, as a share of the largest,
the numbers that they are made of."""

COARSE = 2e-2
"""The same where numbers have fewer digits: in half precision, and on devices that shorten them."""

BESIDE = 2
"""Images that are asked about together."""

Question = Callable[[Tensor], Tensor]
"""Images ``[B, C, *space]`` to what the model says of the class, ``[B, 2, pixels]``: the number that
it returns, and the probability that follows, in which a large number does not show whether it changes."""


@dataclass(frozen=True)
class Unsteady:
    """How a model's answers are no function of the one image.

    Attributes:
        kind: ``"random"``, ``"state"``, ``"batch"`` or ``"single"``.
        by: The largest difference between two answers, in words.
        hidden: No network was found in the function that was handed over.
        because: Of ``"single"`` what the model says to several images.
    """

    kind: str
    by: str
    hidden: bool
    because: str = ""

    @property
    def is_cured(self) -> bool:
        """Whether answers are a function of the image when it is asked about by itself."""
        return self.kind in ("batch", "single")

    def __str__(self) -> str:
        network = (
            "; if a network inside the function is in training mode, name it: network=net"
            if self.hidden
            else ""
        )
        if self.kind == "single":
            return (
                f"the model takes one image at a time only (to several it says: {self.because}), and is "
                "asked so, as batch_size=1 says"
            )
        if self.kind == "batch":
            return (
                f"the model's answer for an image depends on the images beside it, by up to {self.by}, "
                "as statistics over the whole batch do: it is asked about one image at a time, "
                f"as batch_size=1 says{network}"
            )
        told = f"the model's answers for one and the same image differ, by up to {self.by}"
        if self.kind == "random":
            return (
                f"{told}: it draws random numbers, as dropout does that evaluation mode does not switch off "
                "(F.dropout(..., training=self.training) is); the map holds this noise until it is switched "
                f"off{network}"
            )
        return (
            f"{told}: it keeps something from one question to the next, such as recurrent state, a counter "
            "or moving statistics; the map depends on the order of questions until it is reset before each "
            f"one, in a function that resets and asks{network}"
        )


def unsteady_alone(question: Question, network: Network, image: Tensor) -> tuple[Unsteady | None, Tensor]:
    """Whether the model answers otherwise when it is asked again, after another image.

    Args:
        question: Asks the model.
        network: The model.
        image: ``[C, *space]``.

    Returns:
        How, and what it answered first, ``[2, pixels]``.
    """
    generators = _random_states(network.device)
    first = question(image[None].clone())[0]
    with suppress(Exception):  # it may not take such an image
        question(_of_less_contrast(image)[None])
    by = _apart(question(image[None].clone())[0], first, network)
    if by is None:
        return None, first
    _set_random_states(generators, network.device)
    alike = _apart(question(image[None].clone())[0], first, network) is None
    return Unsteady("random" if alike else "state", by, _is_hidden(network)), first


def unsteady_beside(
    question: Question,
    network: Network,
    image: Tensor,
    alone: Tensor,
    masked: Callable[[], Tensor],
    batch_size: int,
) -> Unsteady | None:
    """Whether the answer for an image depends on the images beside it.

    The image and another are asked about beside copies of themselves and beside each other, in batches of
    one size, so that rounding is the same. The other has less contrast, which statistics of the batch cannot
    overlook, or, for a model that does not take that, it is a masked one.

    Args:
        question: Asks the model.
        network: The model.
        image: ``[C, *space]``.
        alone: What the model answers for it alone, ``[2, pixels]``.
        masked: Makes one of the masked images, ``[C, *space]``.
        batch_size: Images that will be asked about together.
    """
    count = network.fixed_batch or (batch_size if network.is_compiled else min(batch_size, BESIDE))
    hidden = _is_hidden(network)
    try:
        copies = question(_repeated(image, count))
    except Exception as error:  # noqa: BLE001  models raise anything
        if is_out_of_memory(error):
            return None  # it is asked about fewer then
        question(image[None].clone())  # its own error, where it fails on one image, too
        cause = error.__cause__ or error
        return Unsteady("single", "", False, f"{type(cause).__name__}: {cause}".splitlines()[0])
    if by := _apart(copies, copies[:1].expand_as(copies), network) or _apart(
        copies[0], alone, network, COARSE
    ):
        return Unsteady("batch", by, hidden)
    for make in (partial(_of_less_contrast, image), masked):
        try:
            other = make()
            among_others = question(_repeated(other, count))
            batch = torch.cat([image[None], _repeated(other, count - 1)])
            together = question(batch)
            again = question(_repeated(image, count))
        except Exception as error:  # noqa: BLE001  it may not take such an image, and the masked one shows it
            if is_out_of_memory(error):
                return None
            continue
        if by := _apart(again, copies, network):
            return Unsteady("state", by, hidden)
        apart = torch.cat([copies[:1], among_others[1:]])
        by = _apart(together, apart, network)
        return None if by is None else Unsteady("batch", by, hidden)
    return None


def unsteady_at_the_end(
    question: Question, network: Network, image: Tensor, first: Tensor
) -> Unsteady | None:
    """Whether the model answers otherwise after all that it was asked; see `unsteady_alone`."""
    by = _apart(question(image[None].clone())[0], first, network)
    return None if by is None else Unsteady("state", by, _is_hidden(network))


def _of_less_contrast(image: Tensor) -> Tensor:
    """Another image, of values that this one has."""
    middle = (image.amin() + image.amax()) / 2
    return middle + (image - middle) / 2


def _repeated(image: Tensor, count: int) -> Tensor:
    return image.repeat(count, *[1] * image.ndim)


def _apart(one: Tensor, other: Tensor, network: Network, tolerance: float | None = None) -> str | None:
    """How far apart two answers are, in words; None where it is rounding.

    Args:
        one: ``[..., 2, pixels]``.
        other: Of the same shape.
        network: Says how many digits answers have.
        tolerance: How far apart they may be. None: what that says.
    """
    exact = network.dtype in (torch.float32, torch.float64) and not network.options.mixed_precision
    usual = TOLERANCE if exact and network.device.type == "cpu" else COARSE
    allowed = usual if tolerance is None else max(usual, tolerance)
    difference = torch.where(one == other, 0, (one - other).abs()).nan_to_num(torch.inf)
    numbers, probabilities = (float(part.max()) for part in difference.unbind(-2))
    if probabilities > allowed and tolerance is None:  # rounding of large numbers can look so, too
        return f"{probabilities:.2g} in probability"
    known = other.select(-2, 0)
    known = known[torch.isfinite(known)]
    largest = float(known.abs().max()) if known.numel() else 1.0
    return f"{numbers:.2g} in the numbers that it returns" if numbers > allowed * largest else None


def _is_hidden(network: Network) -> bool:
    """Whether there may be a network in a function that was not found."""
    return not network.modules and not network.is_file


def _random_states(device: torch.device) -> tuple[Any, ...]:
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), cuda, np.random.get_state(), random.getstate()  # noqa: NPY002  what models use


def _set_random_states(states: tuple[Any, ...], device: torch.device) -> None:
    cpu, cuda, of_numpy, of_python = states
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state(cuda, device)
    np.random.set_state(of_numpy)  # noqa: NPY002
    random.setstate(of_python)
