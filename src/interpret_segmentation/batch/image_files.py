"""Explains one image file after the other; what is done is skipped, what fails is told, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from interpret_segmentation._files import write_whole
from interpret_segmentation._methods import DEFAULT
from interpret_segmentation._settings import same
from interpret_segmentation._telling import tell
from interpret_segmentation._types import AnyArray
from interpret_segmentation.data.files import ENDINGS, read_image, read_reference
from interpret_segmentation.explaining import explain
from interpret_segmentation.inference.opening import open_case
from interpret_segmentation.methods import as_method
from interpret_segmentation.models import ModelOptions, Network
from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.results.recipe import shown
from interpret_segmentation.targets import FalseNegatives, FalsePositives, Target, as_target

__all__ = ["Outcome", "Request", "explain_files", "find_images"]

ALIKE = 0.01
"""Probabilities that far apart are those of one network: devices round differently."""

ENDING = ".safetensors"
"""Of a result."""

FEW = 4
"""Names that a sentence lists."""


@dataclass(frozen=True)
class Request:
    """What is asked about every image.

    Attributes:
        model: File or ``package.module:function``.
        options: Further arguments of `SegmentationModel`.
        method: By name.
        settings: Of the method.
        target: Words; see `as_target`.
        quantity: What number of it is explained; see `Target`.
        reference: A ground truth, or a folder with one for each image, of the same name but for the ending.
        ignore: Labels of the ground truth for pixels that do not count; None: 255.
        mode: As for `read_image`.
        raw: As for `read_image`.
        batch_size: Images asked at once.
        out: Folder for the results.
        overwrite: Replace what is there.
        progress: Show a progress bar for each image.
    """

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    method: str = DEFAULT
    settings: dict[str, Any] = field(default_factory=dict)
    target: str | None = None
    quantity: str = "probability"
    reference: Path | None = None
    ignore: tuple[int, ...] | None = None
    mode: str = "keep"
    raw: bool = False
    batch_size: int | None = None
    out: Path = Path("explanations")
    overwrite: bool = False
    progress: bool = True


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes:
        image: Its file.
        state: ``"explained"``, ``"skipped"`` or ``"failed"``.
        note: Where the result is, or the reason, in one line.
    """

    image: Path
    state: str
    note: str


@dataclass(frozen=True)
class Errand:
    """One image, its ground truths (there should be one where one is wanted), and the files to write."""

    image: Path
    references: Sequence[Path]
    result: Path
    picture: Path


def explain_files(request: Request, images: Sequence[Path]) -> Iterator[Outcome]:
    """Explain every image, in order, and write ``<name>.<method>.safetensors`` and ``.png`` for each.

    A result that is there already is kept when it answers the same request: same image, method, settings,
    target, ground truth, and, asked once about the unmasked image, the same answer of the network.

    Raises:
        ValueError: Before anything is explained: an option, two images of one name, a result that would
            replace an input, or a model that cannot be used.
    """
    try:
        as_method(request.method, request.settings)
        if (
            isinstance(as_target(request.target), FalsePositives | FalseNegatives)
            and request.reference is None
        ):
            raise ValueError(f"the target {request.target} needs the ground truth: pass --reference")
        errands = _errands(request, images)
        network = Network(request.model, ModelOptions(**request.options))
        request.out.mkdir(parents=True, exist_ok=True)
    except Exception as error:
        raise ValueError(str(error).strip() or type(error).__name__) from error
    mpl.use("Agg")
    return (_outcome(request, network, errand) for errand in errands)


def find_images(paths: Sequence[Path], say: Callable[[str], None] = tell) -> list[Path]:
    """The images that files and folders are: of a folder, the files in it that can be read, by name.

    Folders in a folder, hidden files and pictures of results are left out; what else is left out is said.

    Args:
        paths: Files, which are taken as they are, and folders.
        say: Gets the sentence about a folder of which something is left out.

    Raises:
        ValueError: A folder without images.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
        files = [entry for entry in inside if entry.is_file() and not _belongs_to_a_result(entry)]
        images = [entry for entry in files if entry.suffix.lower() in ENDINGS]
        others = [entry.name for entry in files if entry not in images and entry.suffix != ENDING]
        others += [f"{entry.name}/" for entry in inside if entry.is_dir()]
        if not images:
            there = f": there is {_few(others)}" if others else ""
            raise ValueError(f"the folder {path} has no images ({', '.join(ENDINGS)}){there}")
        if others:
            say(f"{path}: of this folder {_few(others)} {'is' if len(others) == 1 else 'are'} left out")
        found += images
    return found


def _belongs_to_a_result(path: Path) -> bool:
    """Whether this is the picture of a map that lies beside it."""
    return path.suffix == ".png" and path.with_suffix(ENDING).exists()


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def _errands(request: Request, images: Sequence[Path]) -> list[Errand]:
    named: dict[str, Path] = {}
    for image in images:
        if image.stem in named:
            raise ValueError(
                f"{named[image.stem]} and {image} would both become {image.stem}.{request.method}.*; "
                "explain them in two runs, each with its own --out"
            )
        named[image.stem] = image
    truths = _truths(request.reference)
    errands = []
    for name, image in named.items():
        references = truths if request.reference and request.reference.is_file() else None
        if references is None:
            references = [path for path in truths if path.stem == name and path.resolve() != image.resolve()]
        result, picture = (request.out / f"{name}.{request.method}.{end}" for end in ("safetensors", "png"))
        errands.append(Errand(image, references, result, picture))
    _check_inputs_stay(request, errands)
    return errands


def _truths(reference: Path | None) -> list[Path]:
    if reference is None or not reference.is_dir():
        return [] if reference is None else [reference]
    return sorted(path for path in reference.iterdir() if path.suffix.lower() in ENDINGS)


def _check_inputs_stay(request: Request, errands: Sequence[Errand]) -> None:
    inputs = {Path(request.model).resolve()}
    for errand in errands:
        inputs |= {path.resolve() for path in (errand.image, *errand.references)}
    for errand in errands:
        for path in (errand.result, errand.picture):
            if path.resolve() in inputs:
                raise ValueError(
                    f"{path} is an input and would be replaced by a result; choose another --out"
                )


def _outcome(request: Request, network: Network, errand: Errand) -> Outcome:
    try:
        state = _fulfil(request, network, errand)
    except Exception as error:  # noqa: BLE001 - models of other people raise anything
        return Outcome(errand.image, "failed", _reason(error))
    return Outcome(errand.image, state, str(errand.result))


def _fulfil(request: Request, network: Network, errand: Errand) -> str:
    pixels = read_image(errand.image, dims=network.dims, mode=request.mode, raw=request.raw)
    reference = None if request.reference is None else read_reference(_only(errand), dims=network.dims)
    cure = "pass --overwrite to replace it, or another --out"
    if errand.result.exists() and not request.overwrite:
        try:
            saved = Explanation.load(errand.result)
        except ValueError as error:
            raise ValueError(f"{error}; {cure}") from error
        if other := _difference(request, network, pixels, reference, saved):
            raise ValueError(f"{errand.result} exists already, made with another {other}; {cure}")
        if not errand.picture.exists():
            _draw(saved, errand.picture)
        return "skipped"
    if errand.picture.exists() and not request.overwrite:
        raise ValueError(f"{errand.picture} exists already, without the result that it belongs to; {cure}")
    explanation = explain(
        network,
        pixels,
        request.method,
        target=_target(request),
        reference=reference,
        ignore=request.ignore,
        batch_size=request.batch_size,
        progress=request.progress,
        **request.settings,
    )
    explanation.save(errand.result, overwrite=request.overwrite)
    _draw(explanation, errand.picture)
    return "explained"


def _target(request: Request) -> Target:
    return replace(as_target(request.target), quantity=request.quantity)


def _only(errand: Errand) -> Path:
    if len(errand.references) != 1:
        found = ", ".join(path.name for path in errand.references) or "none"
        raise ValueError(
            f"wanted one ground truth named {errand.image.stem} in the folder of references, found {found}"
        )
    return errand.references[0]


def _difference(
    request: Request,
    network: Network,
    pixels: AnyArray,
    reference: AnyArray | None,
    saved: Explanation,
) -> str:
    """What was different when a result was made, in a few words; empty when nothing was.

    The network is asked once about the unmasked image, so that a network trained anew under the old name is
    noticed, and a default that means something else by now.
    """
    if Path(str(saved.model.get("model"))).name != Path(network.source).name:
        return f"model ({saved.model.get('model')})"
    options = network.options
    if options.activation is None and saved.model.get("activation_because") != "stated":
        # What a masked image showed about the activation, the unmasked one need not show again.
        options = replace(options, activation=saved.settings.get("activation"))
    method = as_method(request.method, request.settings)
    asked = network.with_options(options)
    target, size = _target(request), request.batch_size
    with open_case(asked, pixels, target, reference, batch_size=size, ignore=request.ignore) as case:
        case.method = method.resolve(case)
        recipe, image, prediction = case.recipe(), case.pixels.cpu().numpy(), case.probability
    if saved.image is None or not same(saved.image, image):
        return "image"
    if saved.recipe is None:
        return "way: nothing is told of it"
    any_seed = ("seed",) if getattr(method, "seed", None) is None else ()
    if other := recipe.difference(saved.recipe, but=any_seed):
        name, now, before = other
        return f"{name} ({shown(before)}, now {shown(now)})"
    if saved.prediction is None or not np.allclose(saved.prediction, prediction, atol=ALIKE):
        return "network: its answer for the image was different"
    return ""


def _draw(explanation: Explanation, path: Path) -> None:
    figure = explanation.figure()
    with write_whole(path) as unfinished:
        figure.savefig(unfinished, format="png")


def _reason(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
