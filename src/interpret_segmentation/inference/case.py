"""One network, one image, one objective: everything that is known before a method begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from interpret_segmentation._types import AnyArray, BoolArray, FloatArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import as_copy, as_region, as_tensor, as_whole
from interpret_segmentation.inference.batches import ask, fastest_batch_size, too_large
from interpret_segmentation.inference.choosing import choose_strategy
from interpret_segmentation.inference.dense import Dense
from interpret_segmentation.inference.estimate import Estimate
from interpret_segmentation.inference.steadiness import (
    Unsteady,
    unsteady_alone,
    unsteady_at_the_end,
    unsteady_beside,
)
from interpret_segmentation.inference.strategy import Answers, Asked, Strategy
from interpret_segmentation.inference.whitebox import (
    Activation,
    check_differentiable,
    differentiate,
    differentiate_layers,
)
from interpret_segmentation.models.devices import is_out_of_memory
from interpret_segmentation.models.network import Network
from interpret_segmentation.models.reading import Reading
from interpret_segmentation.perturb.hiding import Function, Variations
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.layers import Layer
from interpret_segmentation.results.maker import Maker
from interpret_segmentation.results.provenance import now, versions
from interpret_segmentation.results.recipe import Recipe
from interpret_segmentation.scores.registry import Reference
from interpret_segmentation.targets.objective import Objective
from interpret_segmentation.targets.targets import Target

Result = TypeVar("Result", bound=Explanation)
Part = TypeVar("Part")


@dataclass(eq=False)
class Case:
    """What every method starts from, and all that it asks.

    A method never sees batches, devices, memory that runs out, or progress; all that it asks is counted.

    Attributes:
        network: The network, borrowed.
        reading: How its answer is read.
        pixels: The image on the network's device, ``[C, *space]``.
        objective: What is explained.
        probability: Of the class for the unmasked image, float32 ``[*space]``.
        segment: What the network draws as this class, bool ``[*space]``.
        truth: The ground truth as the user gave it.
        batch_size: Images asked at once.
        progress: Show a progress bar.
        finds_batch_size: A smaller batch may be chosen, when it turns out to be faster.
        method: What runs, its settings filled in.
        forwards: Images asked so far.
        backwards: Images differentiated so far.
        strategy: How variations were asked; None before the first.
        ignore: Labels of the ground truth for pixels that do not count; None: 255.
        notes: What the reader of the result has to know, in sentences.
        saving: Gives a cheaper setting in words, where the work is long.
    """

    network: Network
    reading: Reading
    pixels: Tensor
    objective: Objective
    probability: FloatArray
    segment: BoolArray
    truth: AnyArray | None
    batch_size: int
    progress: bool
    finds_batch_size: bool = False
    method: Maker = field(default_factory=Maker)
    forwards: int = 1
    backwards: int = 0
    strategy: Strategy | None = None
    ignore: tuple[int, ...] | None = None
    notes: list[str] = field(default_factory=list)
    _checks: int = 0
    _unsteady: Unsteady | None = None
    _first: Tensor | None = None
    saving: Callable[[], str] | None = None
    _began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        # What a method does to its case stays there; results get these.
        self._image = self.pixels.cpu().numpy().copy()
        self._drawn = self.probability.copy(), self.segment.copy()

    @property
    def space(self) -> tuple[int, ...]:
        """The image's size."""
        return tuple(self.pixels.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.device

    # Asking

    def ask(
        self,
        variations: Variations | Callable[[int, int], Tensor],
        count: int,
        name: str,
        *,
        block: int | None = None,
        again: bool = False,
    ) -> Iterator[Answers]:
        """Ask about variations of the image, in order.

        Args:
            variations: ``(first, last) -> images [last - first, C, *space]``.
            count: How many there are.
            name: What the progress bar calls the work.
            block: No batch goes beyond a multiple of this number.
            again: The work goes on with further questions; what the first were told of stays as it is.
        """
        if not isinstance(variations, Variations):
            variations = Function(variations, self.pixels)
        self._check_steadiness(variations if count else None)
        estimate = Estimate(count, self.saving) if self.progress and not again else None
        if self.finds_batch_size:
            self.batch_size = fastest_batch_size(self._trial(estimate), self.batch_size, count)
            self.finds_batch_size = False
        unmasked = Answers(0, *(self._on_device(part)[None] for part in (self.probability, self.segment)))
        filled_to = self.batch_size if self.network.is_compiled else None
        label = self.objective.label
        asked = Asked(self.network, self.reading, label, self.pixels, unmasked, filled_to)
        if again and isinstance(self.strategy, Dense):
            strategy: Strategy = Dense(asked, variations, "so were the others", batch_size=self.batch_size)
        else:
            strategy = choose_strategy(
                asked,
                variations,
                count,
                self.batch_size,
                steady=self._unsteady is None or self._unsteady.kind == "single",
            )
        if not again or self.strategy is None:
            self.strategy = strategy
        before, answered = self.forwards, 0
        if estimate is not None:
            estimate.restart()
        for answers in ask(
            strategy.answers,
            count,
            device=self.device,
            batch_size=strategy.at_once or self.batch_size,
            name=name,
            progress=self.progress,
            block=block,
            estimate=estimate,
        ):
            answered += len(answers.probability)
            self.forwards = before + answered - strategy.unchanged
            yield answers

    def gradient(
        self, images: Tensor | None = None, of: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The objective's number for some images, and its gradient with respect to each of them.

        Args:
            images: ``[B, C, *space]``. None: the image itself.
            of: Another number than the objective's: of probabilities of the class, ``[b, *space]``, that
                returns ``[b]``.

        Returns:
            ``[B]`` and ``[B, C, *space]``, where the network is.

        Raises:
            NoGradientError: The model has no gradients.
        """
        check_differentiable(self.network, self.reading)
        self._check_steadiness(None)
        given = self._given(images)

        def differentiated(first: int, last: int) -> tuple[Tensor, Tensor]:
            return differentiate(self.network, self.reading, self._number(of), given[first:last])

        parts = list(self._in_batches(differentiated, len(given), "gradient"))
        self._count(len(given))
        values, gradients = zip(*parts, strict=True)
        return torch.cat(values), torch.cat(gradients)

    def activations(
        self,
        layers: Sequence[str],
        images: Tensor | None = None,
        of: Callable[[Tensor], Tensor] | None = None,
    ) -> dict[str, Activation]:
        """What layers of the network answer, and how the objective's number depends on it.

        Args:
            layers: Names of modules, as in ``named_modules()``.
            images: ``[B, C, *space]``. None: the image itself.
            of: Another number than the objective's, as for `gradient`.

        Returns:
            By the layers' names, values and gradients ``[B, K, *any]``.

        Raises:
            NoGradientError: The model has no gradients.
            TypeError: The model is no module.
            ValueError: There is no such layer.
        """
        check_differentiable(self.network, self.reading)
        if isinstance(layers, str) or not layers:
            raise ValueError(f"layers must be one or more names of modules, in a list; got {layers!r}")
        self._check_steadiness(None)
        given = self._given(images)

        def looked_at(first: int, last: int) -> dict[str, Activation]:
            number, part = self._number(of), given[first:last]
            return differentiate_layers(self.network, self.reading, number, part, layers)

        parts = list(self._in_batches(looked_at, len(given), "activations"))
        self._count(len(given))
        return {
            name: Activation(
                torch.cat([part[name].values for part in parts]),
                torch.cat([part[name].gradient for part in parts]),
            )
            for name in layers
        }

    def note(self, sentence: str) -> None:
        """Warn of something that the result tells, too."""
        warn(sentence)
        self.notes.append(sentence[:1].upper() + sentence[1:] + ".")

    @property
    def is_steady(self) -> bool:
        """Whether the model's answers, as it is asked, are a function of the image, as far as was seen."""
        return self._unsteady is None or self._unsteady.is_cured

    def note_full_segment(self) -> None:
        """Say when the segment is the whole image: often the network gets pixels of another range."""
        if not self.segment.all() or self.segment.size == 1 or not self.objective.pixels.all():
            return
        low, high = self.pixels.amin().item(), self.pixels.amax().item()
        scale = next((top for top in (255, 65535) if 1.5 < high <= top and low >= 0), None)
        cure = f", with preprocess=Preprocess(scale=1 / {scale}), say" if scale else ""
        self.note(
            "the segment fills the whole image, so that little can be told of it; see that the network gets "
            f"the range of pixels that it was trained on (here they run from {low:g} to {high:g}){cure}"
        )

    def _check_steadiness(self, variations: Variations | None) -> None:
        """See, before the first question, whether the model's answer is a function of the one image.

        A model whose answer depends on the images beside it is asked about one at a time.
        """
        if self._checks:
            return
        alone, self._first = unsteady_alone(self._question, self.network, self.pixels)
        self._take(alone)
        if variations is None or alone is not None or self.batch_size < 2:
            return
        beside = unsteady_beside(
            self._question,
            self.network,
            self.pixels,
            self._first,
            lambda: variations(0, 1)[0],
            self.batch_size,
        )
        self._take(beside)
        if beside is not None and not self.network.fixed_batch:
            self.batch_size, self.finds_batch_size = 1, False

    def _question(self, images: Tensor) -> Tensor:
        """What the model says of the class, ``[B, 2, pixels]``: the number it returns, and probability."""
        self._checks += len(images)
        try:
            numbers, probabilities = self.network.numbers(images, self.reading)
        except (RuntimeError, MemoryError) as error:
            if len(images) == 1 and is_out_of_memory(error):
                raise too_large(error) from error
            raise
        label = self.objective.label
        both = [part[:, label].float().flatten(1) for part in (numbers, probabilities)]
        return torch.stack(both, dim=1).cpu()

    def _take(self, found: Unsteady | None) -> None:
        if found is not None and self._unsteady is None:
            self._unsteady = found
            self.note(str(found))

    def _given(self, images: Tensor | None) -> Tensor:
        """The images that are meant, where the network is."""
        if images is None:
            return self.pixels[None]
        given = as_tensor(images, "images").to(self.pixels)
        if given.shape[1:] != self.pixels.shape or not len(given):
            wanted = " x ".join(map(str, ("B", *self.pixels.shape)))
            raise ValueError(f"images must be a batch, {wanted}, got {' x '.join(map(str, given.shape))}")
        return given

    def _number(self, of: Callable[[Tensor], Tensor] | None) -> Callable[[Tensor], Tensor]:
        number = of or self.objective.value

        def checked(maps: Tensor) -> Tensor:
            value: object = number(maps[:, self.objective.label])
            if not isinstance(value, Tensor) or value.shape != (len(maps),):
                got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(
                    f"of= must return one number for each of the {len(maps)} maps it gets, a tensor of shape "
                    f"({len(maps)},); got {got}"
                )
            return value

        return checked

    def _in_batches(self, run: Callable[[int, int], Part], count: int, name: str) -> Iterator[Part]:
        return ask(run, count, device=self.device, batch_size=self.batch_size, name=name, progress=False)

    def _count(self, images: int) -> None:
        self.forwards += images
        self.backwards += images

    def _trial(self, estimate: Estimate | None) -> Callable[[int], None]:
        """Asks about the unmasked image again, so many times at once; what that takes is a first estimate."""
        asked = 0

        def ask_about(count: int) -> None:
            nonlocal asked
            self.network.probabilities(self.pixels.repeat(count, *[1] * self.pixels.ndim), self.reading)
            asked += count
            if estimate is not None:
                estimate.after(asked, trial=True)

        return ask_about

    def _on_device(self, array: FloatArray | BoolArray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    # What settings mean in this image

    def reference(self, spacing: tuple[float, ...] | None = None) -> Reference:
        """What segmentations of masked images are compared with."""
        graded = self.probability if self.truth is None else self.objective.reference.astype(np.float32)
        return Reference(self.objective, graded, spacing)

    def region(self, region: AnyArray | str | None, name: str) -> BoolArray | None:
        """A region of this image, bool ``[*space]``; ``"segment"`` is what the network draws."""
        if region is None:
            return None
        if isinstance(region, str):
            if region != "segment":
                raise ValueError(f"{name} must be 'segment' or a region of 0 and 1, got {region!r}")
            return self.segment
        return as_region(region, self.space, name=name)

    def channels(self, channel: object) -> slice:
        """The channels that masks hide: one, or all for None and -1.

        Raises:
            ValueError: There is no such channel.
        """
        count = len(self.pixels)
        whole = isinstance(channel, int | np.integer) and not isinstance(channel, bool)
        if channel is None or (whole and channel == -1):
            return slice(None)
        if not whole or channel not in range(count):
            raise ValueError(
                f"channel must be -1 for all, or 0 to {count - 1} for this image; got {channel!r}"
            )
        first = as_whole(channel, "channel")
        return slice(first, first + 1)

    # The result

    def explanation(
        self,
        saliency: AnyArray,
        *,
        meaning: str,
        unit: str = "",
        measured: Mapping[str, Any] | None = None,
        reached: BoolArray | None = None,
        more: Sequence[Layer] = (),
        from_zero: bool = True,
        kind: type[Result] = Explanation,  # type: ignore[assignment]
        method: str | None = None,
    ) -> Result:
        """The result of the method that runs.

        Args:
            saliency: The map, ``[*space]``.
            meaning: What a value of the map says.
            unit: Of the map.
            measured: What was measured underneath: plain data and arrays.
            reached: The pixels that the map says something about. None: all.
            more: Maps beside this one.
            from_zero: A value of 0 says that nothing happens.
            kind: Of the result.
            method: What made it. None: the method that runs.

        Raises:
            ValueError: The map has another size than the image, or values that are not finite.
        """
        values = as_copy(saliency, "saliency")
        if values.shape != self.space:
            raise ValueError(f"saliency must be of the image's size, {self.space}, got {values.shape}")
        return kind(
            saliency=values,
            meaning=meaning,
            unit=unit,
            measured=measured or {},
            reached=np.ones(self.space, dtype=bool) if reached is None else reached,
            more=tuple(more),
            from_zero=from_zero,
            **self.record(method or self.method.kind),
        )

    def recipe(self) -> Recipe:
        """All that makes the result again."""
        options = self.network.options.settled(self.reading)
        found: dict[str, Any] = {} if self.strategy is None else self.strategy.options()
        target = self.objective.target
        assert isinstance(target, Target)
        return Recipe(
            method=self.method,
            target=target,
            reference=self.truth,
            model=replace(options, dims=len(self.space), **found),
            batch_size=self.batch_size,
            ignore=self.ignore,
        )

    def record(self, method: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:  # noqa: ARG002
        """What an explanation knows of the case, whatever the method; `explanation` makes one of it.

        Args:
            method: What the method calls itself.
            settings: No longer needed: the method itself is in the recipe.
        """
        if self._first is not None:
            self._take(unsteady_at_the_end(self._question, self.network, self.pixels, self._first))
        dense = {"path": "dense", "because": "there was nothing to ask", "unchanged": 0}
        counted = {"forwards": self.forwards} | ({"backwards": self.backwards} if self.backwards else {})
        return {
            "method": method,
            "image": self._image,
            "prediction": self._drawn[0],
            "segment": self._drawn[1],
            "target": self.objective.target,
            "pixels": self.objective.pixels,
            "reference": self.objective.reference,
            "recipe": self.recipe(),
            "model": self.network.describe(self.reading),
            "run": {
                "seconds": round(time.perf_counter() - self._began, 3),
                **counted,
                "checks": self._checks,
                "notes": list(self.notes),
                "batch_size": self.batch_size,
                "inference": dense if self.strategy is None else self.strategy.record(),
                "finished": now(),
                "versions": versions(),
            },
        }
