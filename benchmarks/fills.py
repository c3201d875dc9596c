"""What should hidden pixels become? The fills side by side, on images whose cause is known.

Four parts, each with its own file of rows in ``results/fills``; an interrupted run goes on where it stopped:

- testnet: discs of 15 pixels every 12 walk over the five variants of testnet, and the deciding shape is
  ranked against the background: the chance that it has the larger value, and how often the strongest point
  lies on it;
- scenes: shapes of three classes, textured and in colour, and how far the strongest point lies from the
  segment;
- photos: things pasted into photographs, and which share of the strongest tenth of the map lies on the thing;
- distances: HDM by its distance, in both ways or what is lost alone, on scenes and photos.

The networks of the last two are trained first, in `benchmarks.fill_networks`, in minutes on a processor.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeAlias

import click
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import bootstrap

from benchmarks.fill_networks import Drawn, photo, photo_network, scene, scene_network
from interpret_segmentation import HDM, RISE, Explanation, Occlusion, explain
from interpret_segmentation._types import BoolArray, FloatArray
from interpret_segmentation.benchmark import SEED
from interpret_segmentation.evaluate import localisation
from interpret_segmentation.evaluate.baselines import centred_gaussian, edges, random_map
from interpret_segmentation.explaining import Method
from interpret_segmentation.perturb.fills.background import Background
from interpret_segmentation.perturb.fills.named import FillLike
from interpret_segmentation.scores.registry import dice
from interpret_segmentation.testnet import (
    UNet,
    Variant,
    draw_scene,
    load_network,
    pretrained,
    sample_of,
    save_network,
)

VARIANTS: tuple[Variant, ...] = ("plain", "moved", "textured", "distractors", "shortcut")

RESULTS = Path(__file__).parent / "results" / "fills"

FILLS = ("black", "white", "mean", "background", "blur", "inpaint", "patch")

COMPARED = {
    "scenes": ("black", "mean", "background", "inpaint"),
    "photos": ("black", "background", "inpaint"),
}
"""Fills of scenes and photos."""

NEAR = {"textured": ("black", "mean", "background")}
"""Fills that come near the best on a variant, on all images; on black ground that is black."""

FEW = 3
"""Images on which the others are measured, as they are far off."""

CIRCLES: dict[str, Any] = {"size": 15, "offset": 8, "shape": "circle", "share": "even"}
"""The defaults of the time when fills were compared; see docs/which-method.md for those since then."""

DRAWS = 2
"""Patches from elsewhere that are drawn for every hole; the maps are averaged."""

KEYS = 3
"""Columns that say what was measured."""

Row: TypeAlias = dict[str, Any]

Job: TypeAlias = tuple[Row, Callable[..., Row]]
"""What is measured, and how."""


def patch(segment: BoolArray, seed: int) -> Callable[[FloatArray, BoolArray], FloatArray]:
    """A fill that copies the hole's pixels from another place of the image, outside the segment if it can."""

    def elsewhere(image: FloatArray, hidden: BoolArray) -> FloatArray:
        random = np.random.default_rng([seed, int(hidden.argmax())])
        axes = tuple(range(hidden.ndim))
        for _ in range(50):
            shift = tuple(int(random.integers(side)) for side in hidden.shape)
            taken = np.roll(hidden, tuple(-by for by in shift), axes)
            if not (taken & (segment | hidden)).any():
                break
        return np.roll(image, shift, tuple(axis + 1 for axis in axes))

    return elsewhere


def explain_with(
    network: UNet, image: torch.Tensor, method: Callable[[FillLike], Method], fill: str
) -> Explanation | NDArray[np.floating]:
    """The map of a method with a fill."""

    def run(chosen: FillLike) -> Explanation:
        return explain(network, image, method(chosen), batch_size=4, progress=False)

    if fill != "patch":
        return run(fill)
    segment = drawn_by(network, image)
    return np.mean([run(patch(segment, seed)).saliency for seed in range(DRAWS)], axis=0)


# Testnet


def of_testnet(images: int) -> Iterator[Job]:
    """On every variant the fills that come near the best, and on a few images the others."""
    for variant in sorted(VARIANTS, key=lambda name: name not in NEAR):
        network = pretrained(variant)
        for index in range(images):
            for fill in FILLS:
                if index < FEW or fill in NEAR.get(variant, ("black", "background")):
                    yield {"variant": variant, "image": index, "fill": fill}, partial(_testnet, network)


def _testnet(network: UNet, *, variant: Variant, image: int, fill: str) -> Row:
    drawn = draw_scene(SEED, image, variant=variant)
    pixels, segment = sample_of(drawn)["input"], drawn.segmented.region()
    same = fill == "background" and not any(Background(segment).colour(pixels))  # the pixels of black
    made = explain_with(
        network, pixels, lambda f: Occlusion(**CIRCLES | {"offset": 12}, fill=f), "black" if same else fill
    )
    others = np.any([one.region() for one in drawn.distractors], axis=0)
    judged = localisation(made, segment=segment, cue=drawn.cue.region(), distractor=others)
    return {"auc": judged.cue_auc, "hit": judged.cue_hit}


# Scenes


def of_scenes(images: int) -> Iterator[Job]:
    """HDM with its own score, and every fill."""
    network = kept("scenes", scene_network)
    understood = (index for index in count() if dice_of(network, *scene(SEED, index)) >= UNDERSTOOD)
    for index in islice(understood, images):
        for fill in COMPARED["scenes"]:
            yield {"part": "scenes", "image": index, "fill": fill}, partial(_scene, network)


def _scene(network: UNet, *, part: str, image: int, fill: str) -> Row:  # noqa: ARG001
    pixels, _ = scene(SEED, image)
    made = explain_with(network, pixels, lambda f: HDM(**CIRCLES, fill=f, distance="hausdorff_levels"), fill)
    apart = ndimage.distance_transform_edt(~drawn_by(network, pixels))
    saliency = made if isinstance(made, np.ndarray) else made.saliency
    return {"distance": float(apart[np.unravel_index(saliency.argmax(), saliency.shape)])}


# Photos

METHODS: dict[str, Callable[[FillLike], Method]] = {
    "HDM": lambda fill: HDM(**CIRCLES, fill=fill, distance="hausdorff_levels"),
    "occlusion": lambda fill: Occlusion(**CIRCLES, fill=fill),
    "RISE": lambda fill: RISE(N=200, seed=0, fill=fill),
}

NOTHING: dict[str, Callable[[torch.Tensor], NDArray[np.float64]]] = {
    "random": lambda image: random_map(tuple(image.shape[1:]), 0),
    "centre": lambda image: centred_gaussian(tuple(image.shape[1:])),
    "edges": lambda image: edges(image.numpy()),
}
"""Maps that know nothing of the network."""


def of_photos(images: int) -> Iterator[Job]:
    """Three methods with every fill that they take, and maps that know nothing."""
    network = kept("photos", photo_network)
    understood = (index for index in count() if dice_of(network, *photo(SEED, index)) >= UNDERSTOOD)
    for index in islice(understood, images):
        for name in NOTHING:
            yield {"image": index, "map": name, "fill": ""}, partial(_photo, network)
        for fill in COMPARED["photos"]:
            for name in METHODS if fill in ("black", "background") else ("HDM", "occlusion"):
                yield {"image": index, "map": name, "fill": fill}, partial(_photo, network)


UNDERSTOOD = 0.8
"""Dice coefficient from which the network's segment is about the thing that was pasted."""


def dice_of(network: UNet, image: torch.Tensor, truths: BoolArray) -> float:
    """How much of what a network draws largest is the truth; 0 where it draws nothing."""
    with torch.no_grad():
        segments = (network(image[None])[0] > 0.5).numpy()
    largest = segments.sum((1, 2)).argmax()
    return float(dice(segments[largest], truths[largest])) if segments[largest].any() else 0.0


def _photo(network: UNet, *, image: int, map: str, fill: str) -> Row:  # noqa: A002
    pixels, (thing,) = photo(SEED, image)
    made = explain_with(network, pixels, METHODS[map], fill) if fill else NOTHING[map](pixels)
    saliency = made if isinstance(made, np.ndarray) else made.saliency
    return {"inside": strongest_in(saliency, thing), "thing": float(thing.mean())}


def strongest_in(saliency: NDArray[np.floating], region: BoolArray, share: float = 0.1) -> float:
    """Which share of a map's strongest tenth lies in a region; where pixels tie, each counts in part."""
    most = round(share * saliency.size)
    last = np.partition(saliency, -most, axis=None)[-most]
    above, level = saliency > last, saliency == last
    weights = above + level * (most - above.sum()) / level.sum()
    return float(weights[region].sum() / most)


# HDM by its distance

DISTANCES = ("hausdorff_levels", "directed_hausdorff_levels", "hausdorff", "directed_hausdorff")


def of_distances(images: int) -> Iterator[Job]:
    """Scenes and photos, hidden with the background."""
    for kind, make, draw in (("scenes", scene_network, scene), ("photos", photo_network, photo)):
        network = kept(kind, make)
        understood = (index for index in count() if dice_of(network, *draw(SEED, index)) >= UNDERSTOOD)
        for index in islice(understood, images):
            for distance in DISTANCES:
                key = {"on": kind, "image": index, "distance": distance}
                yield key, partial(_distance, network, draw(SEED, index))


def _distance(network: UNet, drawn: Drawn, *, on: str, image: int, distance: str) -> Row:  # noqa: ARG001
    pixels, truths = drawn
    saliency = explain(network, pixels, HDM(**CIRCLES, distance=distance), progress=False).saliency
    segment = drawn_by(network, pixels)
    apart = ndimage.distance_transform_edt(~segment)
    thing = truths[0] if on == "photos" else segment
    return {
        "far": float(apart[np.unravel_index(saliency.argmax(), saliency.shape)]),
        "inside": strongest_in(saliency, thing),
        "centre": strongest_in(centred_gaussian(saliency.shape), thing),
        "thing": float(thing.mean()),
    }


PARTS = {"testnet": of_testnet, "scenes": of_scenes, "photos": of_photos, "distances": of_distances}


def kept(name: str, make: Callable[[], UNet]) -> UNet:
    """A network that was trained before, or is now."""
    path = RESULTS / f"{name}.safetensors"
    if not path.exists():
        RESULTS.mkdir(parents=True, exist_ok=True)
        save_network(make(), path)
    return load_network(path)


def drawn_by(network: UNet, image: torch.Tensor) -> BoolArray:
    """The largest segment that a network draws, as `explain` takes it."""
    with torch.no_grad():
        segments = (network(image[None])[0] > 0.5).numpy()
    largest: BoolArray = segments[segments.sum((1, 2)).argmax()]
    return largest


def run(part: str, images: int, out: Path) -> list[Row]:
    """Measure what is not in the part's file yet, and read all of it."""
    path = out / f"{part}.csv"
    out.mkdir(parents=True, exist_ok=True)
    known = {tuple(row.values())[:KEYS] for row in read(path)}
    for key, measure in PARTS[part](images):
        if tuple(map(str, key.values())) in known:
            continue
        made = {**key, **measure(**key)}
        new = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(made), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(made)
    return read(path)


def read(path: Path) -> list[Row]:
    """The rows of a file, as text."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# Tables


def mean_of(values: Sequence[float]) -> str:
    """A mean with its 95 % bootstrap interval over the images."""
    found = np.asarray(values, dtype=float)
    low, high = bootstrap((found,), np.mean, random_state=0, method="percentile").confidence_interval
    return f"{found.mean():.3f} [{low:.3f}, {high:.3f}]"


def testnet_table(rows: list[Row]) -> Iterator[str]:
    """Cue AUC and hit for every variant and fill."""
    yield "| variant | fill | images | cue AUC | hit |"
    yield "| --- | --- | --- | --- | --- |"
    for variant in VARIANTS:
        for fill in FILLS:
            of = [row for row in rows if (row["variant"], row["fill"]) == (variant, fill)]
            if len(of) > 1:
                auc, hit = (mean_of([row[name] for row in of]) for name in ("auc", "hit"))
                yield f"| {variant} | {fill} | {len(of)} | {auc} | {hit} |"


def scenes_table(rows: list[Row]) -> Iterator[str]:
    """How far the strongest point is from the segment."""
    yield "| fill | images | in the segment | within 8 px | median (px) | largest (px) |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for fill in COMPARED["scenes"]:
        far = np.array([float(row["distance"]) for row in rows if row["fill"] == fill])
        shares = f"{(far == 0).mean():.0%} | {(far <= 8).mean():.0%}"
        yield f"| {fill} | {len(far)} | {shares} | {np.median(far):.1f} | {far.max():.1f} |"


def photos_table(rows: list[Row]) -> Iterator[str]:
    """Share of the strongest tenth that lies on the thing, and how much more that is than by other maps."""
    others = " | ".join(f"more than {name}" for name in NOTHING)
    yield f"| map | fill | images | inside | times the thing's share | {others} |"
    yield "| --- | --- | --- | --- | --- |" + " --- |" * len(NOTHING)
    by = {(row["map"], row["fill"], row["image"]): row for row in rows}
    images = list(dict.fromkeys(row["image"] for row in rows))
    for name, fill in dict.fromkeys((row["map"], row["fill"]) for row in rows):
        inside = np.array([float(by[name, fill, image]["inside"]) for image in images])
        things = np.array([float(by[name, fill, image]["thing"]) for image in images])
        gains = [
            mean_of(inside - [float(by[other, "", image]["inside"]) for image in images])
            if (name, fill) != (other, "") else ""
            for other in NOTHING
        ]  # fmt: skip
        yield (
            f"| {name} | {fill} | {len(images)} | {mean_of(inside)} | {inside.mean() / things.mean():.1f} | "
            f"{' | '.join(gains)} |"
        )


def distances_table(rows: list[Row]) -> Iterator[str]:
    """Where the strongest point and tenth of HDM lie, by its distance."""
    numbers = "within 8 px | median (px) | largest (px) | times the share | more than centre"
    yield f"| on | distance | images | {numbers} |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for on in ("scenes", "photos"):
        for distance in DISTANCES:
            of = [row for row in rows if (row["on"], row["distance"]) == (on, distance)]
            far, inside, centre, thing = (
                np.array([float(row[name]) for row in of]) for name in ("far", "inside", "centre", "thing")
            )
            yield (
                f"| {on} | {distance} | {len(of)} | {(far <= 8).mean():.0%} | {np.median(far):.1f} | "
                f"{far.max():.1f} | {inside.mean() / thing.mean():.1f} | {mean_of(inside - centre)} |"
            )


TABLES = {
    "testnet": testnet_table,
    "scenes": scenes_table,
    "photos": photos_table,
    "distances": distances_table,
}


@click.command(context_settings={"show_default": True})
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--images", type=click.IntRange(min=1), default=20, help="Of each variant and part.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=RESULTS)
def main(parts: tuple[str, ...], images: int, out: Path) -> None:
    """Measure all parts, or some, and print a table of each."""
    for part in parts or PARTS:
        click.echo("\n".join(TABLES[part](run(part, images, out))))


if __name__ == "__main__":
    main()
