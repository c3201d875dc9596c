"""The answer: a map with its meaning, what was measured for it, and all it takes to make it again."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from interpret_segmentation._settings import Setting, as_data, from_data, same
from interpret_segmentation._types import AnyArray, BoolArray, FloatArray, PathLike
from interpret_segmentation.data.inputs import as_copy, as_region
from interpret_segmentation.results import doors, storage
from interpret_segmentation.results.checks import check_shared_parts
from interpret_segmentation.results.hidden_segments import check_runs, segment_when_hidden
from interpret_segmentation.results.layers import Layer, PixelMaps, Probes
from interpret_segmentation.results.maker import Maker, Unregistered
from interpret_segmentation.results.recipe import Recipe
from interpret_segmentation.results.sentences import sentences
from interpret_segmentation.targets.targets import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MASKS = ("segment", "pixels", "reference", "reached")
"""Sets of pixels that a result has."""


PLAIN: dict[tuple[str, ...], Any] = {
    ("meaning", "unit", "method"): str,
    ("measured", "model", "run"): Mapping,
    ("more",): tuple,
    ("target",): Target | None,
    ("recipe",): Recipe | None,
}
"""What the other parts are, by their names."""


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """What in the image made the network draw this segment.

    Arrays cannot be written to. Two explanations are equal when everything in them is. A kind of results may
    add methods that read these parts, but no parts of its own.

    Attributes:
        saliency: The map, float ``[*space]``. Larger means more important; below 0 that hiding the
            pixel helps. 0 where nothing was hidden (``reached``).
        meaning: What a value of the map says.
        unit: Of the map; empty for a number without one.
        method: ``"hdm"``, ``"rise"``, ``"occlusion"`` or the name of another method.
        image: The explained image, ``[C, *space]``.
        prediction: The network's probability of the explained class for this image, float32 ``[*space]``.
        segment: What it draws as this class, bool ``[*space]``.
        target: What is explained, its class filled in.
        pixels: The explained pixels, bool ``[*space]``.
        reference: What segments were compared with, bool ``[*space]``.
        reached: The pixels that were ever hidden, bool ``[*space]``.
        recipe: All that makes this map again: method, target, ground truth, how the model was asked.
        more: Maps beside this one; `layers` has them all.
        from_zero: A value of 0 says that nothing happens, so that colours begin there.
        measured: What the method measured underneath: distances for each position, scores for each mask.
        model: What was detected or stated about the model: where in its answer the segmentation was, what
            turned it into probabilities and why, classes, device, dtype.
        run: Seconds, forwards, batch size, time and versions.

    Raises:
        TypeError: The map is no array of numbers.
        ValueError: The map has no pixels or values that are not finite, or another part has another size.
    """

    kind: ClassVar[str] = "explanation"
    _kinds: ClassVar[dict[str, type[Explanation]]] = {}

    saliency: FloatArray
    meaning: str = ""
    unit: str = ""
    method: str = ""
    image: FloatArray | None = None
    prediction: FloatArray | None = None
    segment: BoolArray | None = None
    target: Setting | None = None
    pixels: BoolArray | None = None
    reference: BoolArray | None = None
    reached: BoolArray | None = None
    recipe: Recipe | None = None
    more: tuple[Layer, ...] = ()
    from_zero: bool = True
    measured: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):
            Explanation._kinds[cls.kind] = cls

    def __post_init__(self) -> None:
        values = as_copy(self.saliency, "saliency")
        object.__setattr__(self, "saliency", values if values.dtype.kind == "f" else values.astype(float))
        self._check()
        for part in fields(self):
            object.__setattr__(self, part.name, _locked(getattr(self, part.name)))

    def _check(self) -> None:
        """Raise an error unless all parts fit each other; kinds of results check what they read of them."""
        space = self.saliency.shape
        if not self.saliency.size or not np.isfinite(self.saliency).all():
            raise ValueError(
                f"saliency must be finite numbers, one for each pixel, got an array of shape {space}"
                + (" with NaN or infinite values" if self.saliency.size else "")
            )
        for names, kinds in PLAIN.items():
            for name in names:
                if not isinstance(getattr(self, name), kinds):
                    raise TypeError(f"{name} cannot be {getattr(self, name)!r}")
        if not all(isinstance(layer, Layer) for layer in self.more):
            raise TypeError(f"more must be layers, got {self.more!r}")
        for name in MASKS:
            mask = getattr(self, name)
            if mask is not None:
                object.__setattr__(self, name, as_region(mask, space, name=name))
        for name, leading in (("prediction", 0), ("image", 1)):
            array = getattr(self, name)
            size = space if array is None else np.shape(array)[leading:]
            if size != space:
                raise ValueError(f"{name} is {size}, but the map {space}; both must be of the image's size")
        check_shared_parts(self)
        if self.segment is not None and {"turned", "turned_until"} <= set(self.measured):
            check_runs(self.measured, self.segment.size)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and same(self.data(), other.data())

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        state = {part.name: getattr(self, part.name) for part in fields(self)}
        try:
            pickle.dumps(state["recipe"])
        except (pickle.PicklingError, AttributeError, TypeError):  # a function that has no name elsewhere
            state["recipe"] = storage.as_recipe(as_data(self.recipe))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, _locked(value))

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.saliency.shape))
        target = f", {self.target}" if self.target is not None else ""
        return f"{type(self).__name__}({self.method}, {size}{target})"

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe as arguments of `explain`; nothing for a map that was made elsewhere."""
        return {} if self.recipe is None else self.recipe.settings

    @property
    def seed(self) -> int | None:
        """The seed of a random method; None for the others."""
        seed: int | None = self.settings.get("seed")
        return seed

    @property
    def signed(self) -> bool:
        """Whether the map has values on both sides of 0, or only below."""
        return bool((self.saliency < 0).any())

    @property
    def maker(self) -> Maker:
        """The method with its settings, as far as results lean on it."""
        return Maker() if self.recipe is None else self.recipe.method

    @property
    def title(self) -> str:
        """What the method is called above a picture."""
        return self.maker.title or self.method or "map"

    def layers(self) -> tuple[Layer, ...]:
        """All maps of the result, each with its meaning; the first is ``saliency``."""
        values = np.array(self.saliency, dtype=np.float32)
        if self.reached is not None:
            values[~self.reached] = np.nan
        own = Layer("map", self.meaning, self.unit, values, self.signed)
        return (own, *self.more, *self.maker.layers(self))

    def with_layer(self, name: str) -> Explanation:
        """The same with another of its maps in place of ``saliency``: to draw it, or to judge it.

        Args:
            name: Of one of `layers`: ``"lost"``, say.

        Raises:
            ValueError: There is no such layer.

        Example:
            >>> from interpret_segmentation import explain
            >>> image = np.zeros((30, 40))
            >>> image[10:20, 10:20] = 1
            >>> made = explain(lambda batch: batch, image, "occlusion", progress=False)
            >>> [layer.name for layer in made.layers()]
            ['map', 'lost']
            >>> made.with_layer("lost").meaning
            'pixels of the segment that vanish when hidden'
        """
        known = {layer.name: layer for layer in self.layers()}
        if name not in known:
            raise ValueError(f"there is no layer {name!r}; this result has {', '.join(map(repr, known))}")
        chosen = known[name]
        parts = {part.name: getattr(self, part.name) for part in fields(Explanation)}
        return type(self)(
            **parts
            | {
                "saliency": np.nan_to_num(chosen.values, nan=0),
                "meaning": chosen.meaning,
                "unit": chosen.unit,
                "reached": ~np.isnan(chosen.values),
            }
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader has to know before believing the map, in sentences."""
        notes = self.run.get("notes")
        kept = notes if isinstance(notes, list | tuple) else ()
        return tuple(note for note in kept if isinstance(note, str))

    def probes(self) -> Probes | None:
        """What was hidden one after the other, its number, and the segment then.

        None for a method that hides in another way.
        """
        return self.maker.probes(self)

    def of_pixels(self, region: AnyArray) -> FloatArray:
        """The map of some of the explained pixels: the mean of their maps, float ``[*space]``.

        Args:
            region: ``[*space]`` of 0 and 1; pixels in it that were not explained do not count.

        Raises:
            LookupError: No pixel of the region was explained, or the method has one map for all.
            ValueError: Another size than the image's.
        """
        return self.maker.of_pixels(self, as_region(region, self.saliency.shape))

    @property
    def maps_pixels(self) -> bool:
        """Whether every explained pixel has a map of its own, as `of_pixels` and `pixel_maps` need it."""
        return self.pixels is not None and self.maker.maps_pixels

    def pixel_maps(self, step: int = 1) -> PixelMaps | None:
        """The maps of all explained pixels, in blocks of so many pixels; None where there is one for all."""
        return self.maker.pixel_maps(self, step)

    def sentences(self) -> tuple[str, ...]:
        """What was done, what a value says and what it cost, in words."""
        return sentences(self)

    def repeat(
        self, model: Any, image: AnyArray | None = None, *, progress: bool = True, **changes: Any
    ) -> Explanation:
        """Run the same explanation again, from the recipe in it.

        Args:
            model: The network; files do not hold it.
            image: Another image to explain in the same way. None: the one in it.
            progress: Show a progress bar.
            **changes: Arguments of `explain` that shall be different, among them functions, which files do
                not hold either.

        Returns:
            For the same image on the same machine the same map.

        Raises:
            ValueError: There was a function in the recipe that was not saved, or a method that this program
                does not have.
        """
        return doors.repeat(self, model, image, progress=progress, changes=changes)

    def segment_when_hidden(self, index: int) -> BoolArray:
        """The segment that the network drew with one of the masks hidden, bool ``[*space]``.

        Args:
            index: Which mask, in the order of the distances or scores in ``measured``, counted from 0.

        Raises:
            LookupError: The method keeps no segments, or they would have taken too much memory.
            IndexError: There is no such mask.
        """
        if self.segment is None:
            raise LookupError("this explanation was built without a segment")
        return segment_when_hidden(self.segment, self.measured, index)

    def plot(
        self,
        axes: Axes | None = None,
        *,
        color_map: str | Colormap | None = None,
        limits: tuple[float, float] | None = None,
        depth: int | None = None,
        title: str | None = None,
        outline: bool = True,
        color_bar: bool = True,
    ) -> Axes:
        """Draw the map with the edges of the image, the segment's outline, and a colour bar with its unit.

        See `interpret_segmentation.show.plot`, which describes the arguments.
        """
        return doors.plot(
            self,
            axes,
            color_map=color_map,
            limits=limits,
            depth=depth,
            title=title,
            outline=outline,
            color_bar=color_bar,
        )

    def overlay(
        self,
        axes: Axes | None = None,
        *,
        color_map: str | Colormap | None = None,
        limits: tuple[float, float] | None = None,
        alpha: float = 0.8,
        depth: int | None = None,
        title: str | None = None,
        outline: bool = True,
        color_bar: bool = True,
    ) -> Axes:
        """Draw the map over the image; `interpret_segmentation.show.overlay` describes the arguments."""
        return doors.overlay(
            self,
            axes,
            color_map=color_map,
            limits=limits,
            alpha=alpha,
            depth=depth,
            title=title,
            outline=outline,
            color_bar=color_bar,
        )

    def figure(
        self,
        *,
        figsize: tuple[float, float] | None = None,
        color_map: str | Colormap | None = None,
        limits: tuple[float, float] | None = None,
        depth: int | None = None,
        title: str | None = None,
        outline: bool = True,
        color_bar: bool = True,
    ) -> Figure:
        """A figure with the image and the map side by side.

        ``figsize`` is its width and height in inches; the other arguments are those of `plot`.
        """
        return doors.figure(
            self,
            figsize=figsize,
            color_map=color_map,
            limits=limits,
            depth=depth,
            title=title,
            outline=outline,
            color_bar=color_bar,
        )

    def report(
        self,
        path: PathLike,
        *,
        title: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        error: float = 0.02,
        overwrite: bool = False,
    ) -> Path:
        """Write one HTML file in which every pixel can be clicked; it needs no server and no network.

        See `interpret_segmentation.show.report`, which describes the arguments, and takes several
        explanations.
        """
        return doors.report(self, path, title=title, metrics=metrics, error=error, overwrite=overwrite)

    def frame(self, height: int = 800) -> Any:
        """The report as a frame in a notebook. See `interpret_segmentation.show.frame`."""
        return doors.frame(self, height)

    def _repr_html_(self) -> str:
        """What a notebook shows: a picture with its caption."""
        return doors.in_notebook(self)

    def save(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write everything to one safetensors file, whole or not at all.

        Args:
            path: Where; ``.safetensors`` is the usual ending.
            overwrite: Replace an existing file.

        Returns:
            The path.

        Raises:
            FileExistsError: There is such a file, and overwrite is False.
        """
        return storage.write(path, self.kind, self.data(), overwrite=overwrite)

    @staticmethod
    def load(path: PathLike) -> Explanation:
        """Read what `save` wrote; nothing in the file is ever run.

        Functions come back as their names alone, and of a method that this program does not have come its
        name and settings.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, not ours, or of a newer version.
        """
        return storage.read(path, as_explanation)

    def data(self) -> dict[str, Any]:
        """Everything in it as a tree of plain data and arrays."""
        return {part.name: as_data(getattr(self, part.name)) for part in fields(self)}


Explanation._kinds[Explanation.kind] = Explanation


def as_explanation(kind: str, data: Mapping[str, Any]) -> Explanation:
    """The explanation whose `Explanation.data` this is; what is missing in it takes its default.

    Raises:
        OtherKindError: It is a result of another kind.
        ValueError: It has no map, or parts that an explanation does not have.
    """
    if kind == "channels":
        raise storage.OtherKindError("holds a map for each channel; load it with ChannelExplanations.load")
    known = {part.name for part in fields(Explanation)}
    if unknown := sorted(set(data) - known):
        raise ValueError(f"it has a part {unknown[0]!r}, wanted {', '.join(sorted(known))}")
    recipe = storage.as_recipe(data.get("recipe"))
    values = {name: from_data(value) for name, value in data.items() if name != "recipe"}
    if not isinstance(values.get("saliency"), np.ndarray) or values["saliency"].dtype.kind != "f":
        raise ValueError("it has no map")
    made = Explanation._kinds.get(kind)
    if made is None and isinstance(recipe, Recipe) and isinstance(recipe.method, Unregistered):
        made = Explanation
    if made is None:
        raise ValueError(f"there is no result of kind {kind!r}")
    explanation = made(recipe=cast("Recipe | None", recipe), **values)
    explanation.maker.check(explanation)
    return explanation


def _locked(value: Any) -> Any:
    """The value with arrays that cannot be written to; those of others stay as they are."""
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, Setting):
        for part in fields(value):
            inner = getattr(value, part.name)
            if isinstance(inner, np.ndarray):  # a copy of its own
                inner.flags.writeable = False
            elif isinstance(inner, Setting):
                _locked(inner)
        return value
    if isinstance(value, Mapping):
        return {key: _locked(item) for key, item in value.items()}
    return tuple(_locked(item) for item in value) if isinstance(value, tuple) else value
