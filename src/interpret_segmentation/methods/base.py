"""What a method is, how it is found by its name, and what is checked of every result."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol, TypeVar, cast, runtime_checkable

import numpy as np

from interpret_segmentation._methods import entry_point, method_names
from interpret_segmentation._settings import Setting, as_data, same
from interpret_segmentation._types import AnyArray
from interpret_segmentation._warnings import warn
from interpret_segmentation.data.inputs import named
from interpret_segmentation.inference.case import Case
from interpret_segmentation.inference.opening import run_case
from interpret_segmentation.inference.whitebox import check_differentiable
from interpret_segmentation.methods.contestant import Contestant
from interpret_segmentation.models.network import Model, Network
from interpret_segmentation.models.stated import SegmentationModel
from interpret_segmentation.perturb.fills.base import Fill
from interpret_segmentation.perturb.fills.named import called
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.maker import Maker, Unregistered
from interpret_segmentation.results.recipe import shown
from interpret_segmentation.targets.words import AnyTarget


@dataclass(frozen=True)
class Cost:
    """What a method will ask.

    Attributes:
        forwards: Images that the network is asked about.
        backwards: Images that its answer is differentiated for.
    """

    forwards: int
    backwards: int = 0


class Method(Maker, ABC):
    """A way to explain a segmentation: a handful of settings and a formula.

    A subclass is a frozen dataclass. It has a ``kind``, which is its public name, writes `run`, and little
    else; that name then works in `explain`, on the command line, in files, reports and the benchmark. Another
    package names its class in the entry points of the group ``interpret_segmentation.methods``.

    Attributes:
        title: What it is called in a sentence or above a picture. Empty: its kind.
        family: The kind of methods that it is one of: ``"perturbation"``, ``"gradients"``, ...
        needs: What it needs of the model beyond answers: ``"gradients"``, ``"module"``, ``"layers"``.
        spellings: Other names that some of its settings can be told by.

    Example:
        >>> @dataclass(frozen=True)
        ... class Brightness(Method):
        ...     kind: ClassVar[str] = "brightness"
        ...     power: float = 1.0
        ...
        ...     def run(self, case: Case) -> Explanation:
        ...         values = case.pixels.mean(dim=0).cpu().numpy() ** self.power
        ...         return case.explanation(values, meaning="brightness", unit="")
        >>> image = np.full((4, 6), 0.5)
        >>> made = Brightness(power=2).explain(lambda batch: batch.round(), image, target=(1, 2))
        >>> float(made.saliency.max())
        0.25
    """

    family: ClassVar[str] = "other"
    needs: ClassVar[frozenset[str]] = frozenset()
    spellings: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def run(self, case: Case) -> Explanation:
        """Explain a case that is open; ``case.explanation(...)`` makes the result."""

    def resolve(self, case: Case) -> Method:  # noqa: ARG002
        """The same method with all that follows from the image filled in: sizes, positions, a seed."""
        return self

    def cost(self, case: Case) -> Cost | None:  # noqa: ARG002
        """How many forwards and backwards it will take; None where nobody can say."""
        return None

    def cheaper(self, case: Case) -> Method | None:  # noqa: ARG002
        """The same method, its settings filled in, with one changed so that it asks about a tenth; or None.

        Work that takes long is announced with what this one would ask.
        """
        return None

    @classmethod
    def contestants(
        cls,
        group: str,  # noqa: ARG003
        *,
        masks: int,  # noqa: ARG003
        offset: int,  # noqa: ARG003
    ) -> Sequence[Contestant]:
        """Settings of the method that the benchmark compares, with the names of their maps.

        Args:
            group: ``"documented"`` or ``"improved"``.
            masks: Of methods with random masks.
            offset: Pixels from one position to the next, of methods that walk over the image.
        """
        return ()

    def explain(
        self,
        model: Model | SegmentationModel | Network,
        image: AnyArray,
        target: AnyTarget = None,
        reference: AnyArray | None = None,
        *,
        dims: int | None = None,
        batch_size: int | None = None,
        progress: bool = True,
    ) -> Explanation:
        """Explain one image.

        Args:
            model: The network; see `SegmentationModel` for what it may be.
            image: ``[*space]``, ``[C, *space]`` or ``[1, C, *space]``; tensor, NumPy array or PIL image.
            target: What is explained; see `as_target`.
            reference: The ground truth, ``[*space]`` of 0 and 1 or labels. None compares with the
                network's own output for the unmasked image.
            dims: Axes of space: 3 for volumes. None: as many as the model's convolutions have.
            batch_size: Images asked at once. None: what suits the device and the image's size.
            progress: Show a progress bar.
        """
        _check_class(type(self))
        return run_case(
            lambda case: run_method(self, case),
            model,
            image,
            target,
            reference,
            dims=dims,
            batch_size=batch_size,
            progress=progress,
        )


Made = TypeVar("Made", bound=Explanation)


def run_method(method: Method, case: Case, run: Callable[[Case], Made] | None = None) -> Made:
    """Fill in a method's settings, run it for a case that is open, and check what comes out.

    Args:
        method: The method.
        case: The case.
        run: What is done in place of ``method.run``.
    """
    if "gradients" in method.needs:
        check_differentiable(case.network, case.reading)
    case.method = resolved = method.resolve(case)
    case.note_full_segment()
    case.saving = lambda: _saving(resolved, case)
    made = (run or cast("Callable[[Case], Made]", resolved.run))(case)
    _check(made, resolved, case)
    return made


def _saving(method: Method, case: Case) -> str:
    """A cheaper setting in words, with the forwards that it takes; empty where there is none."""
    other = method.cheaper(case)
    now, then = method.cost(case), None if other is None else other.cost(case)
    if now is None or then is None or 2 * then.forwards > now.forwards:
        return ""
    changed = [
        f"{part.name}={shown(getattr(other, part.name))}"
        for part in fields(method)
        if not same(as_data(getattr(method, part.name)), as_data(getattr(other, part.name)))
    ]
    return f"{' and '.join(changed)} gives {then.forwards}"


def _check(made: object, method: Method, case: Case) -> None:
    """Raise an error unless a method has made a result that everybody can rely on."""
    name = type(method).__name__ if not isinstance(method, Own) else type(method.method).__name__
    if not isinstance(made, Explanation):
        got = f"an array of {made.shape}" if isinstance(made, np.ndarray) else type(made).__name__
        raise TypeError(
            f"{name}.run(case) must return an Explanation, got {got}; return "
            "case.explanation(saliency, meaning=...)"
        )
    if made.saliency.shape != case.space:
        raise ValueError(
            f"{name}.run(case) must return a map of the image's size, {case.space}, got {made.saliency.shape}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Own(Method):
    """Any object with ``run(case)``, in place of a method with a name; a file holds its name only.

    Args:
        method: The object.
        settings: What its ``run`` is told beside the case.
    """

    kind: ClassVar[str] = "own"

    method: Any
    settings: Mapping[str, Any] = field(default_factory=dict)

    def run(self, case: Case) -> Explanation:
        """What the object makes of the case."""
        made: Explanation = self.method.run(case, **self.settings)
        return made

    def arguments(self) -> dict[str, Any]:
        """The object itself."""
        return {"method": self.method, **self.settings}


@runtime_checkable
class StandsForMethod(Protocol):
    """An object that has the settings of a method, such as an explainer of release 1.0.0."""

    def as_method(self, channel: int | None = None) -> Method:
        """The method, hiding one channel only or all."""


NEEDS = {"gradients", "layers", "module"}
"""What a method can need of a model beyond answers."""

RESERVED = (
    "model", "image", "method", "target", "reference", "model_options", "batch_size", "progress", "output",
    "activation", "preprocess", "numpy", "device", "autocast", "incremental", "channels_last", "dims",
    "threshold", "network", "ignore",
)  # fmt: skip
"""Arguments of `explain`, which no setting of a method can be called."""


def find_method(kind: str) -> type[Method] | None:
    """The class of the method of a name: ours, one that was imported, or one that a package says it has.

    Raises:
        ImportError: A package says that it has the method, but cannot be imported.
    """
    if kind not in Setting._kinds and (there := entry_point(kind)) is not None:
        try:
            loaded = there.load()
        except Exception as error:
            raise ImportError(
                f"the method {kind!r} is said to be {there.value}, which cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error
        if getattr(loaded, "kind", None) != kind:
            raise ImportError(
                f"the method {kind!r} is said to be {there.value}, whose kind is "
                f"{getattr(loaded, 'kind', None)!r}; the entry point and the kind must have one name"
            )
    found = Setting._kinds.get(kind)
    return found if found is not None and issubclass(found, Method) and found is not Own else None


def all_methods() -> dict[str, type[Method]]:
    """Every method by name: of installed packages, and those that were imported.

    A package that cannot be imported is left out with a warning.
    """
    found = {}
    for name in sorted({*method_names(), *Setting._kinds}):
        try:
            method = find_method(name)
        except ImportError as error:
            warn(f"left out: {error}")
            continue
        if method is not None:
            found[name] = method
    return found


def settings_of(method: type[Method]) -> dict[str, inspect.Parameter]:
    """The settings of a method, in each of their spellings."""
    return dict(inspect.signature(method).parameters)


def as_method(method: object, settings: Mapping[str, Any]) -> Method:
    """A method by name with its settings, or as it is.

    Args:
        method: A name, a `Method`, or an object with ``run(case)``.
        settings: Of a method by name.

    Raises:
        TypeError: Settings that the method does not have, or for a method that has its own.
        ValueError: There is no method of that name.
    """
    if isinstance(method, str):
        return _named(method, settings)
    is_class = isinstance(method, type)
    if not is_class and isinstance(method, StandsForMethod) and set(settings) <= {"channel"}:
        return method.as_method(settings.get("channel"))
    if isinstance(method, Unregistered):
        if find_method(method.name) is not None:
            return _named(method.name, {**method.settings, **settings})
        raise ValueError(
            f"there is no method {method.name!r} in this program; import the module or install the package "
            "that has it, or choose another one with method="
        )
    if is_class or not hasattr(method, "run"):
        raise TypeError(
            f"method must be one of {', '.join(map(repr, all_methods()))} or have run(case); got "
            f"{named(method)}"
        )
    if settings:
        raise TypeError(f"{sorted(settings)} must be set in the method itself, not beside it")
    if not isinstance(method, Method):
        return Own(method)
    _check_class(type(method))
    return method


def _named(name: str, settings: Mapping[str, Any]) -> Method:
    found = find_method(name)
    if found is None:
        known = list(all_methods())
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no method {name!r}; use one of {', '.join(map(repr, known))}{hint}")
    _check_class(found)
    known_settings = settings_of(found)
    if unknown := sorted(set(settings) - set(known_settings)):
        raise TypeError(f"{name!r} has no setting {unknown[0]!r}; it has {', '.join(sorted(known_settings))}")
    return found(**settings)


def _check_class(method: type[Method]) -> None:
    """Raise an error for a class that cannot be saved or called, with its cure."""
    if issubclass(method, Own):
        return
    kind: object = getattr(method, "kind", None)
    if not isinstance(kind, str) or not re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", kind):
        raise TypeError(
            f"{method.__name__} must have a kind, the name that it is called by, of small letters, digits, - "
            f"and _: kind: ClassVar[str] = 'my-method'; got {kind!r}"
        )
    owner = Setting._kinds[kind]
    if (owner.__module__, owner.__qualname__) != (method.__module__, method.__qualname__):
        raise TypeError(
            f"{method.__name__} must have a kind of its own: {kind!r} is {owner.__name__}, which files would "
            "make of it"
        )
    if unknown := sorted(set(method.needs) - NEEDS):
        raise TypeError(
            f"{method.__name__}.needs has {unknown[0]!r}; there are {', '.join(map(repr, sorted(NEEDS)))}"
        )
    own = [name for name, kind in inspect.get_annotations(method).items() if "ClassVar" not in str(kind)]
    if (own or "__init__" in vars(method)) and "__dataclass_fields__" not in vars(method):
        raise TypeError(
            f"{method.__name__} has settings ({', '.join(own) or 'in __init__'}), but is no dataclass: write "
            "them as fields, and @dataclass(frozen=True) above it"
        )
    if lost := sorted({part.name for part in fields(method)} - set(settings_of(method))):
        raise TypeError(
            f"{method.__name__}.__init__ must take every setting by its name, but not {lost[0]!r}; leave "
            "__init__ to @dataclass, and write checks into __post_init__"
        )
    if taken := [name for name in settings_of(method) if name in RESERVED]:
        raise TypeError(
            f"{method.__name__} cannot have a setting {taken[0]!r}, for that is an argument of explain; call "
            "it otherwise"
        )


def described_settings(name: str) -> list[tuple[str, str]]:
    """The settings of a method by name, each with its default and what its docstring says of it."""
    found = find_method(name)
    said = _arguments(inspect.getdoc(found) or "")
    rows = []
    for setting, parameter in settings_of(found).items() if found else ():
        given, text = parameter.default, _complete(said.get(setting, ""), setting)
        if given is None:
            text = re.sub(r"\bNone: ", "Default: ", text, count=1)
        default = (
            ""
            if given is None or callable(given) or "Default: " in text
            else f" [default: {_in_words(given)}]"
        )
        rows.append((setting, text.replace("``", "") + default))
    return rows


def _complete(text: str, setting: str) -> str:
    """What a docstring says of a setting, with what it refers to in another method's."""
    other = re.search(r"as for `(\w+)`", text, flags=re.IGNORECASE)
    if other is None:
        return text
    for method in all_methods().values():
        if method.__name__ == other[1] and (more := _arguments(inspect.getdoc(method) or "").get(setting)):
            return f"{text} These are: {more.partition(': ')[2] or more}"
    return text


def _in_words(value: object) -> str:
    """A setting's value for help."""
    return called(value) if isinstance(value, Fill) else shown(value)


def _arguments(docstring: str) -> dict[str, str]:
    """What the section Args of a Google-style docstring says of each argument."""
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)*)", docstring, flags=re.MULTILINE)
    found: dict[str, str] = {}
    name = ""
    for line in (section.group(1) if section else "").splitlines():
        start = re.match(r" {4}(\w+): (.*)", line)
        name = start.group(1) if start else name
        text = start.group(2) if start else line.strip()
        found[name] = f"{found.get(name, '')} {text}".strip()
    return found


def of_channel(method: Method, channel: int) -> Method:
    """The same method, hiding one channel.

    Raises:
        TypeError: It has no setting of that name.
    """
    if "channel" not in {part.name for part in fields(method)}:
        known = [name for name, one in all_methods().items() if "channel" in settings_of(one)]
        raise TypeError(
            f"{method.title or type(method).__name__} has no setting 'channel', so that it cannot hide one "
            f"channel after the other; use one of {', '.join(map(repr, known))}"
        )
    return replace(method, channel=channel)  # type: ignore[call-arg]
