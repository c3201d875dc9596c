"""Methods of other packages as contestants; nothing here is needed by anything else."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.benchmark.entering import Contestant

__all__ = ["captum"]


class _MeanOfSegment(nn.Module):
    """What Captum explains: one number for each image, the mean probability of the segment."""

    def __init__(self, network: nn.Module, target: BoolArray) -> None:
        super().__init__()
        self.network, self.target = network, torch.from_numpy(target)

    def forward(self, batch: Tensor) -> Tensor:
        probability: Tensor = self.network(batch)[:, 0]
        return probability[:, self.target.to(batch.device)].mean(dim=1)


def captum(*, size: int = 25, offset: int = 5, steps: int = 50) -> tuple[Contestant, ...]:
    """Captum's Occlusion and Integrated Gradients (Sundararajan et al. 2017, arXiv:1703.01365).

    Args:
        size: Side of the square that Occlusion hides, in pixels.
        offset: Pixels from one square to the next.
        steps: Of Integrated Gradients, from a black image; each costs a forward and a backward pass.

    Raises:
        ImportError: Captum is not installed.
    """
    try:
        import_module("captum.attr")
    except ImportError as error:
        raise ImportError("this contestant is Captum's: pip install captum") from error
    return (
        Contestant((f"Captum Occlusion {size}/{offset}",), partial(_occlusion, size, offset)),
        Contestant(("Captum Integrated Gradients",), partial(_gradients, steps)),
    )


def _occlusion(size: int, offset: int, model: nn.Module, image: Tensor, target: BoolArray) -> FloatArray:
    attr: Any = import_module("captum.attr")
    with torch.no_grad():
        return _map(
            attr.Occlusion(_MeanOfSegment(model, target)).attribute(
                image[None],
                sliding_window_shapes=(len(image), size, size),
                strides=(len(image), offset, offset),
                perturbations_per_eval=4,
            )
        )


def _gradients(steps: int, model: nn.Module, image: Tensor, target: BoolArray) -> FloatArray:
    attr: Any = import_module("captum.attr")
    asked = attr.IntegratedGradients(_MeanOfSegment(model, target))
    return _map(asked.attribute(image[None], n_steps=steps, internal_batch_size=4))


def _map(attribution: Tensor) -> FloatArray:
    values: FloatArray = attribution.detach()[0].sum(dim=0).cpu().numpy()
    return values
