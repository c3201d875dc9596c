"""The answer: a map with its meaning, what was measured for it, and all it takes to make it again."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from interpret_segmentation._files import written_whole
from interpret_segmentation._settings import Setting, Unrecorded, as_data, from_data, same
from interpret_segmentation._types import BoolArray, FloatArray, PathLike
from interpret_segmentation.data.inputs import as_copy
from interpret_segmentation.results.hidden_segments import segment_when_hidden

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMAT = 1
MODEL_OPTIONS = (
    "output",
    "activation",
    "preprocess",
    "numpy",
    "autocast",
    "incremental",
    "channels_last",
    "dims",
)
COMMON = ("target", "reference", "batch_size", *MODEL_OPTIONS)
SETTLED = ("batch_size", "channels_last", "dims", "incremental", "numpy")
"""Settings that change nothing once the image is the same."""

MARK = "interpret-segmentation explanation"


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """What in the image made the network draw this segment.

    Arrays cannot be written to. Two explanations are equal when everything in them is.

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
        settings: The arguments of `explain` that make this map again.
        measured: What the method measured underneath: distances for each position, scores for each mask.
        model: What was detected or stated about the model: where in its answer the segmentation was, what
            turned it into probabilities and why, classes, device, dtype.
        run: Seconds, forwards, batch size, time and versions.
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
    settings: Mapping[str, Any] = field(default_factory=dict)
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
        for part in fields(self):
            object.__setattr__(self, part.name, _locked(getattr(self, part.name)))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and same(self.data(), other.data())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.saliency.shape))
        target = f", {self.target}" if self.target is not None else ""
        return f"{type(self).__name__}({self.method}, {size}{target})"

    @property
    def seed(self) -> int | None:
        """The seed of a random method; None for the others."""
        seed: int | None = self.settings.get("seed")
        return seed

    @property
    def signed(self) -> bool:
        """Whether the map has values on both sides of 0, or only below."""
        return bool((self.saliency < 0).any())

    def repeat(self, model: Any, **changes: Any) -> Explanation:
        """Run the same explanation again, on the image in it and from the settings in it.

        Args:
            model: The network; files do not hold it.
            changes: Arguments of `explain` that shall be different, among them functions, which files do
                not hold either.

        Returns:
            On the same machine the same map.

        Raises:
            ValueError: The settings have a function in them that was not saved.
        """
        settings = dict(self.settings)
        if hasattr(model, "options"):  # a SegmentationModel brings them along
            settings = {name: value for name, value in settings.items() if name not in MODEL_OPTIONS}
        method = self.settings.get("method")
        if isinstance(method, str) and changes.get("method", method) != method:  # with settings of its own
            settings = {name: value for name, value in settings.items() if name in COMMON}
        settings |= changes
        missing = [name for name, value in settings.items() if _unrecorded(value)]
        if missing:
            raise ValueError(
                f"the setting {missing[0]!r} was a function, {settings[missing[0]]!r}, which a file cannot "
                f"hold; pass it again: repeat(model, {missing[0]}=...)"
            )
        if self.image is None:
            raise ValueError("this explanation was built without an image, so it cannot be repeated")
        explain = import_module("interpret_segmentation.explaining").explain
        repeated: Explanation = explain(model, self.image[None], **settings)
        return repeated

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

    def plot(self, axes: Axes | None = None, **options: Any) -> Axes:
        """Draw the map with the edges of the image, the segment's outline, and a colour bar with its unit.

        See `interpret_segmentation.show.plot`, which has the options.
        """
        return import_module("interpret_segmentation.show").plot(self, axes, **options)  # type: ignore[no-any-return]

    def overlay(self, axes: Axes | None = None, **options: Any) -> Axes:
        """Draw the map over the image. See `interpret_segmentation.show.overlay`, which has the options."""
        return import_module("interpret_segmentation.show").overlay(self, axes, **options)  # type: ignore[no-any-return]

    def figure(self, **options: Any) -> Figure:
        """A figure with the image and the map side by side. See `interpret_segmentation.show.figure`."""
        return import_module("interpret_segmentation.show").figure(self, **options)  # type: ignore[no-any-return]

    def report(self, path: PathLike, **options: Any) -> Path:
        """Write one HTML file in which every pixel can be clicked; it needs no server and no network.

        See `interpret_segmentation.show.report`, which has the options, and takes several explanations.
        """
        return import_module("interpret_segmentation.show").report(self, path, **options)  # type: ignore[no-any-return]

    def frame(self, height: int = 800) -> Any:
        """The report as a frame in a notebook. See `interpret_segmentation.show.frame`."""
        return import_module("interpret_segmentation.show").frame(self, height=height)

    def _repr_html_(self) -> str:
        """What a notebook shows: a picture with its caption."""
        return import_module("interpret_segmentation.show").in_notebook(self)  # type: ignore[no-any-return]

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
        return write(path, self.kind, self.data(), overwrite=overwrite)

    @staticmethod
    def load(path: PathLike) -> Explanation:
        """Read what `save` wrote. Nothing in the file is ever run.

        Returns:
            An equal explanation, of the class that was saved; functions in the settings are left as names.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, not ours, or of a newer version.
        """
        return read(path, _restored)

    def data(self) -> dict[str, Any]:
        """Everything in it as a tree of plain data and arrays."""
        return {part.name: as_data(getattr(self, part.name)) for part in fields(self)}

    @classmethod
    def _from_fields(cls, values: dict[str, Any]) -> Explanation:
        return cls(**values)


Explanation._kinds[Explanation.kind] = Explanation


def versions() -> dict[str, str]:
    """Of everything that a map depends on."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("interpret-segmentation", "torch", "numpy", "scipy")},
    }


def now() -> str:
    """The time, in UTC and ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class OtherKindError(ValueError):
    """A file holds something else than what it was asked for."""


def write(path: PathLike, kind: str, data: Any, *, overwrite: bool) -> Path:
    """Write plain data and arrays to one safetensors file, whole or not at all; see `Explanation.save`."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; save needs the name of a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; choose another name, or pass overwrite=True")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    head = json.dumps(
        {"mark": MARK, "format": FORMAT, "kind": kind, "data": _without_arrays(data, arrays, ())}
    )
    metadata = {"interpret-segmentation": head, "sha256": _digest(head, arrays)}
    with written_whole(path) as unfinished:
        unfinished.touch()
        mode = unfinished.stat().st_mode
        save_file(arrays, unfinished, metadata=metadata)
        unfinished.chmod(mode)  # safetensors makes files that only their owner can read
    return path


Restored = TypeVar("Restored")


def read(path: PathLike, restored: Callable[[str, Any], Restored]) -> Restored:
    """Read what `write` wrote; ``restored`` gets kind and data. See `Explanation.load`."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; load needs a file that save() wrote")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    import_module("interpret_segmentation.explaining")  # its methods add their kinds of results
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            head = _head(path, metadata)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or damaged: {error}") from None
    if metadata.get("sha256") != _digest(metadata["interpret-segmentation"], arrays):
        raise ValueError(f"{path} is damaged: it is not what save() wrote any more")
    try:
        return restored(head["kind"], _with_arrays(head["data"], arrays))
    except OtherKindError as error:
        raise ValueError(f"{path} {error}") from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def check_file(path: Path) -> None:
    """See whether a file is one that `write` wrote, by its head alone.

    Raises:
        ValueError: It is none, or is cut off.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            _head(path, file.metadata())
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or damaged: {error}") from None


def _head(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """The description of what a file holds, checked."""
    foreign = ValueError(f"{path} is a safetensors file, but not an explanation that save() wrote")
    try:
        head = json.loads((metadata or {})["interpret-segmentation"])
        if head["mark"] != MARK or not isinstance(head["format"], int):
            raise foreign
    except (KeyError, TypeError, ValueError):
        raise foreign from None
    if head["format"] > FORMAT:
        raise ValueError(
            f"{path} is of a newer version (format {head['format']}; this one reads up to {FORMAT}): "
            "upgrade interpret-segmentation to load it"
        )
    return dict(head)


def _restored(kind: str, data: Any) -> Explanation:
    if kind == "channels":
        raise OtherKindError("holds a map for each channel; load it with ChannelExplanations.load")
    return restored_explanation(kind, data)


def restored_explanation(kind: str, data: Any) -> Explanation:
    """The explanation whose `Explanation.data` this is."""
    wanted = {part.name for part in fields(Explanation)}
    if set(data) != wanted:
        raise ValueError(f"its parts are {sorted(data)}, wanted {sorted(wanted)}")
    values = from_data(data)
    if not isinstance(values["saliency"], np.ndarray) or values["saliency"].dtype.kind != "f":
        raise ValueError("it has no map")
    if kind not in Explanation._kinds:
        raise ValueError(f"there is no result of kind {kind!r}")
    return Explanation._kinds[kind]._from_fields(values)


def _without_arrays(data: Any, arrays: dict[str, np.ndarray[Any, Any]], place: tuple[str, ...]) -> Any:
    """The tree with every array moved out of it and its name in its place."""
    if isinstance(data, np.ndarray):
        name = ".".join(place)
        if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8:
            raise TypeError(f"a file cannot hold {name}: it is an array of {data.dtype}")
        name += "'" * sum(known.rstrip("'") == name for known in arrays)
        arrays[name] = np.require(data, data.dtype.newbyteorder("="), "C")
        return {"array": name}
    if isinstance(data, Mapping):
        return {key: _without_arrays(item, arrays, (*place, key)) for key, item in data.items()}
    if isinstance(data, list):
        return [_without_arrays(item, arrays, (*place, str(i))) for i, item in enumerate(data)]
    return data


def _with_arrays(data: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(data, Mapping):
        if set(data) == {"array"}:
            return arrays[data["array"]]
        return {key: _with_arrays(item, arrays) for key, item in data.items()}
    if isinstance(data, list):
        return [_with_arrays(item, arrays) for item in data]
    return data


def _digest(head: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """A fingerprint of everything in a file."""
    digest = hashlib.sha256(head.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _locked(value: Any) -> Any:
    """The value with arrays that cannot be written to; those of others stay as they are."""
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, Setting):
        for part in fields(value):
            array = getattr(value, part.name)
            if isinstance(array, np.ndarray):  # a copy of its own
                array.flags.writeable = False
        return value
    if isinstance(value, Mapping):
        return {key: _locked(item) for key, item in value.items()}
    return value


def _unrecorded(value: Any) -> bool:
    return any(isinstance(part, Unrecorded) for part in _parts(value))


def _parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, Setting):
        for part in fields(value):
            yield from _parts(getattr(value, part.name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)
