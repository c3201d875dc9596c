"""A bridge to the metrics of Quantus (Hedström et al. 2023, arXiv:2202.06861), which judge classifiers.

What is explained becomes one class of a classifier, its number the mean probability of the explained
pixels, so that our maps and networks can be judged there. Nothing of Quantus is imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interpret_segmentation.evaluate.subject import Subject
from interpret_segmentation.inference.case import Case
from interpret_segmentation.models.borrowing import borrow
from interpret_segmentation.models.network import Network
from interpret_segmentation.models.reading import Reading
from interpret_segmentation.targets.objective import Objective


class ExplainedClass(nn.Module):
    """A classifier of two classes: what the network said, and anything else.

    Args:
        network: The network; it is borrowed for every question.
        reading: How its answer is read.
        objective: What is explained.
    """

    def __init__(self, network: Network, reading: Reading, objective: Objective) -> None:
        super().__init__()
        self._network, self._reading, self._objective = network, reading, objective
        if isinstance(network.module, nn.Module):
            self.network = network.module  # so that its weights are found, and can be drawn anew

    def train(self, mode: bool = True) -> ExplainedClass:
        """Change no mode of the network, which is the user's."""
        self.training = mode
        return self

    def forward(self, batch: Tensor) -> Tensor:
        """The two probabilities, ``[B, 2]``, for images ``[B, C, *space]``."""
        with borrow(self._network.modules, compiled=self._network.is_compiled):
            maps = self._network.probabilities(batch.to(self._network.device), self._reading)
        held = self._objective.agreement(maps[:, self._objective.label]).mean(dim=1)
        return torch.stack([held, 1 - held], dim=1)


def as_quantus(subject: Subject) -> dict[str, Any]:
    """The arguments with which a metric of Quantus judges a map.

    ``quantus.PixelFlipping(...)(**as_quantus(subject))``. The batch has one image, and one map for all of its
    channels; the class that is explained is number 0 of two. Metrics that explain again want an
    ``explain_func``, which is theirs to be told; the classifier has no gradients.

    Args:
        subject: With a model; with a region, for metrics that want one.

    Returns:
        ``model``, ``x_batch`` float32 ``[1, C, *space]``, ``y_batch`` ``[1]``, ``a_batch`` ``[1, 1,
        *space]``, ``s_batch`` bool ``[1, 1, *space]`` or None, ``softmax``, ``channel_first`` and
        ``device``.

    Raises:
        TypeError: No subject, or one without a model.

    Example:
        >>> from interpret_segmentation.evaluate import as_subject
        >>> image = np.array([[1, 0.8, 0.6, 0], [0, 0, 0, 0]])
        >>> brightness = lambda batch: batch  # a network that segments what is bright
        >>> told = as_quantus(as_subject(image, image, model=brightness, progress=False))
        >>> told["x_batch"].shape, told["a_batch"].shape, told["model"](torch.ones(1, 1, 2, 4)).tolist()
        ((1, 1, 2, 4), (1, 1, 2, 4), [[1.0, 0.0]])
    """
    if not isinstance(subject, Subject):
        raise TypeError(f"as_quantus takes a Subject, as_subject(...), got {type(subject).__name__}")

    def run(case: Case) -> dict[str, Any]:
        case.objective.check()
        region = None if subject.region is None else subject.region[None, None]
        return {
            "model": ExplainedClass(case.network, case.reading, case.objective).eval(),
            "x_batch": case.pixels.cpu().numpy()[None].astype(np.float32),
            "y_batch": np.zeros(1, dtype=np.int64),
            "a_batch": subject.saliency[None, None].astype(np.float32),
            "s_batch": region,
            "softmax": False,
            "channel_first": True,
            "device": str(case.device),
        }

    return subject.run_case(run)
