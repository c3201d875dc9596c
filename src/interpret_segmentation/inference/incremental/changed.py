"""A tensor type that carries only what differs from a known activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interpret_segmentation.perturb.hiding import window_at
from interpret_segmentation.perturb.masks.base import channels_last, cut

WHOLE = (slice(None), slice(None))
"""All images and all channels."""

Corners = NDArray[np.int64]
"""The first pixel of each image's window, ``[N, axes]``."""


class RefusedError(Exception):
    """The network does something that cannot be carried as windows; the message says what."""


class Baseline:
    """An activation of the unmasked image, ``[1, C, *space]``, with a margin around it when one is needed.

    Args:
        tensor: The activation.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.shape = tensor.shape
        self.was_read = False
        self._tensor: Tensor | None = tensor
        self._padded: dict[float, tuple[Tensor, int]] = {}

    @property
    def tensor(self) -> Tensor:
        """The activation itself."""
        if self._tensor is None:
            raise RefusedError("an activation is needed that was not kept")
        return self._tensor

    @property
    def space(self) -> tuple[int, ...]:
        """Its size in pixels."""
        return tuple(self.shape[2:])

    @property
    def storages(self) -> dict[int, int]:
        """Bytes of every block of memory that it holds, by address."""
        held = [tensor for tensor, _ in self._padded.values()]
        held += [] if self._tensor is None else [self._tensor]
        return {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in held}

    def forget(self) -> None:
        """Give the memory back."""
        self._tensor = None
        self._padded.clear()

    def windows(self, corners: Corners, size: Sequence[int], fill: float = 0.0) -> Tensor:
        """A copy of one window for each corner, ``[N, C, *size]``; beyond the image there is the fill."""
        self.was_read = True
        ends = corners + np.asarray(size)
        beyond = max(0, -int(corners.min()), int((ends - self.space).max()))
        tensor, margin = self._with_margin(beyond, fill)
        return cut(tensor, corners + margin, size)

    def _with_margin(self, beyond: int, fill: float) -> tuple[Tensor, int]:
        if not beyond:
            return self.tensor, 0
        tensor, margin = self._padded.get(fill, (self.tensor, 0))
        if margin < beyond:
            margin = beyond
            dims = len(self.space)
            padded = self.tensor.new_full(
                (1, self.shape[1], *[side + 2 * margin for side in self.space]), fill
            ).contiguous(memory_format=_memory_format(self.tensor))
            inner = padded[WHOLE + (slice(margin, -margin),) * dims]
            inner.copy_(self.tensor)
            tensor = padded
            self._padded[fill] = padded, margin
            self._tensor = inner
        return tensor, margin


def _memory_format(tensor: Tensor) -> torch.memory_format:
    if not channels_last(tensor):
        return torch.contiguous_format
    return {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.ndim, torch.contiguous_format)


@dataclass(frozen=True, eq=False)
class Part:
    """Some channels of an activation: what they were, and a window of what they are now.

    Attributes:
        baseline: What they were.
        values: What they are inside the window, one for each image, ``[N, c, *size]``.
        corners: Where each image's window begins; windows lie inside the image.
    """

    baseline: Baseline
    values: Tensor
    corners: Corners

    @property
    def size(self) -> tuple[int, ...]:
        """The window's size, the same for all images."""
        return tuple(self.values.shape[2:])

    @property
    def ends(self) -> Corners:
        """The first pixel after each image's window, ``[N, axes]``."""
        ends: Corners = self.corners + np.asarray(self.size)
        return ends


@dataclass(eq=False)
class Tape:
    """What the network computed for the unmasked image, one operation after the other.

    Attributes:
        budget: Bytes that activations may take.
    """

    budget: int
    steps: list[tuple[str, Baseline]] = field(default_factory=list)
    is_recording: bool = True
    _next: int = 0

    def begin(self) -> None:
        """Go back to the first operation, before another batch."""
        self._next = 0

    def baseline(self, name: str, compute: Callable[[], Tensor]) -> Baseline:
        """What the next operation gave for the unmasked image; computed in the recording only."""
        if self.is_recording:
            self.steps.append((name, Baseline(compute())))
            self._check_budget(self.steps[-1][1])
        if self._next == len(self.steps) or self.steps[self._next][0] != name:
            raise RefusedError("the network does not take the same steps every time")
        self._next += 1
        return self.steps[self._next - 1][1]

    def keep_what_was_read(self) -> None:
        """End the recording; activations that no window was taken from are given back."""
        self.is_recording = False
        for _, baseline in self.steps:
            if not baseline.was_read:
                baseline.forget()

    @property
    def nbytes(self) -> int:
        """Bytes that the activations take; several may share a block of memory."""
        blocks: dict[int, int] = {}
        for _, baseline in self.steps:
            blocks |= baseline.storages
        return sum(blocks.values())

    def _check_budget(self, latest: Baseline) -> None:
        del latest
        if self.nbytes > self.budget:
            raise RefusedError(
                f"the activations of one image need more than {self.budget / 2**20:.0f} MiB, "
                "the memory that they may take"
            )


class Changed(Tensor):
    """Activations of N images, each equal to the unmasked image's outside of a window.

    To the network it looks like a tensor ``[N, C, *space]``. It has no values of its own: reading one is
    refused.

    Attributes:
        parts: Its channels, in groups that were changed in different windows.
        tape: What the network computed for the unmasked image.
        dropped: The axis of channels, which has one, is left out: ``[N, *space]``.
        is_view: It shares memory with another tensor, as far as the network knows.
    """

    parts: tuple[Part, ...]
    tape: Tape
    dropped: bool
    is_view: bool

    @staticmethod
    def __new__(  # noqa: PYI034  Self is not in Python 3.10
        cls, parts: Sequence[Part], tape: Tape, *, dropped: bool = False
    ) -> Changed:
        """A tensor without memory of its own."""
        first = parts[0]
        channels = sum(part.baseline.shape[1] for part in parts)
        space = first.baseline.space
        shape = (len(first.values), *space) if dropped else (len(first.values), channels, *space)
        return torch.Tensor._make_wrapper_subclass(
            cls, shape, dtype=first.values.dtype, device=first.values.device
        )

    def __init__(self, parts: Sequence[Part], tape: Tape, *, dropped: bool = False) -> None:
        super().__init__()
        self.parts, self.tape, self.dropped, self.is_view = tuple(parts), tape, dropped, False
        self._merged: Baseline | None = None

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Changed({' x '.join(map(str, self.shape))}, windows of {self.parts[0].size})"

    def tolist(self) -> NoReturn:
        """Refused, like every look at the values."""
        raise RefusedError("the network looks at single values")

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry the windows through one operation, or refuse."""
        from interpret_segmentation.inference.incremental.operations import carried

        del types
        return carried(func, args, kwargs or {})

    @property
    def space(self) -> tuple[int, ...]:
        """Its size in pixels."""
        return self.parts[0].baseline.space

    def become(self, other: Changed) -> None:
        """Have the values of another one of the same shape."""
        self.parts, self._merged = other.parts, other._merged

    def one_part(self) -> Part:
        """All channels with one window each."""
        if len(self.parts) == 1:
            return self.parts[0]
        corners, size = union(self.parts, self.space)
        return Part(self._joined(), self.windows(corners, size), corners)

    def windows(self, corners: Corners, size: Sequence[int], fill: float = 0.0) -> Tensor:
        """What it is inside other windows, ``[N, C, *size]``; beyond the image there is the fill.

        The tensor may be the part's own: it must not be written to.
        """
        baseline, first = self._joined(), self.parts[0]
        if len(self.parts) == 1 and first.size == tuple(size) and np.array_equal(first.corners, corners):
            baseline.was_read = True
            return first.values
        windows, begin = baseline.windows(corners, size, fill), 0
        for part in self.parts:
            end = begin + part.values.shape[1]
            overlay(windows[:, begin:end], part.values, part.corners - corners)
            begin = end
        return windows

    def _joined(self) -> Baseline:
        """What all channels were, side by side: one look is faster than one for each part."""
        if len(self.parts) == 1:
            return self.parts[0].baseline
        if self._merged is None:
            self._merged = self.tape.baseline("join", self.of_baseline)
        return self._merged

    def of_baseline(self) -> Tensor:
        """The whole of the unmasked image's activation; in the recording only."""
        tensors = [part.baseline.tensor for part in self.parts]
        return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=1)


def check_channels(x: Changed) -> None:
    """Refuse maps whose axis of channels was left out."""
    if x.dropped:
        raise RefusedError("maps without an axis of channels are processed further")


def whole_of(part: Part, x: Changed, name: str, compute: Callable[[Tensor], Tensor]) -> Baseline:
    """What an operation makes of the unmasked image's activation."""
    return x.tape.baseline(name, lambda: compute(part.baseline.tensor))


def overlay(windows: Tensor, values: Tensor, offsets: Corners) -> None:
    """Write each image's values into its window, from an offset on; what lies outside is cut off."""
    alike = bool((offsets == offsets[0]).all())
    for image, offset in enumerate(offsets[:1] if alike else offsets):
        inner, outer = [], []
        for first, have, wanted in zip(offset.tolist(), values.shape[2:], windows.shape[2:], strict=True):
            begin, end = max(0, first), min(wanted, first + have)
            if begin >= end:
                break
            inner.append(slice(begin, end))
            outer.append(slice(begin - first, end - first))
        else:
            images = slice(None) if alike else slice(image, image + 1)
            where = images, slice(None)
            windows[where + tuple(inner)] = values[where + tuple(outer)]


def uniform(first: Corners, last: Corners, space: Sequence[int]) -> tuple[Corners, tuple[int, ...]]:
    """Windows of one size that lie inside the image and hold what is from first to last - 1.

    Args:
        first: ``[N, axes]``; may lie outside the image.
        last: ``[N, axes]``.
        space: The image's size.

    Returns:
        Corners ``[N, axes]``, and the size, at least one pixel.
    """
    sides = np.asarray(space)
    first, last = first.clip(0, sides), last.clip(0, sides)
    size = (last - first).max(axis=0).clip(1)
    corners: Corners = np.minimum(first, sides - size)
    return corners, tuple(int(side) for side in size)


def union(parts: Sequence[Part], space: Sequence[int]) -> tuple[Corners, tuple[int, ...]]:
    """Windows that hold those of all parts."""
    first = np.minimum.reduce([part.corners for part in parts])
    return uniform(first, np.maximum.reduce([part.ends for part in parts]), space)


def sliced(values: Tensor, offsets: Corners, size: Sequence[int]) -> Tensor:
    """From each image's values ``[N, C, *]`` the window that begins at its offset, ``[N, C, *size]``."""
    sizes = tuple(size)
    if tuple(values.shape[2:]) == sizes:
        return values
    if (offsets == offsets[0]).all():
        return values[WHOLE + window_at(offsets[0], sizes)]
    out = torch.empty((*values.shape[:2], *sizes), dtype=values.dtype, device=values.device).contiguous(
        memory_format=_memory_format(values)
    )
    for image, offset in enumerate(offsets):
        out[image] = values[image][WHOLE[:1] + window_at(offset, sizes)]
    return out
