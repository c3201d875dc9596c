"""Networks on disk: saved with their settings, loaded without running code, one for each variant shipped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from interpret_segmentation._conventions import THRESHOLD
from interpret_segmentation._files import write_whole
from interpret_segmentation._types import BoolArray, PathLike
from interpret_segmentation.scores.registry import dice
from interpret_segmentation.testnet.dataset import as_input
from interpret_segmentation.testnet.more import NETWORKS, find_data, networks_of
from interpret_segmentation.testnet.scenes import VARIANTS, Scene, Shape, Variant, draw_scene
from interpret_segmentation.testnet.unet import UNet

PRETRAINED = Path(__file__).parent / "testnet.safetensors"
"""The shipped weights, of the plain variant; MODEL_CARD.md beside them tells how all of them were made."""


def save_network(network: UNet, path: PathLike, *, half: bool = False) -> None:
    """Save weights and settings: as safetensors when the path ends so, else with ``torch.save``.

    Args:
        network: What to save.
        path: Where.
        half: Round the weights to float16, for a file of half the size. They are loaded as float32.
    """
    weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    if half:
        weights = {name: w.half() if w.is_floating_point() else w for name, w in weights.items()}
    if Path(path).suffix == ".safetensors":
        with write_whole(Path(path)) as unfinished:
            safetensors.torch.save_file(weights, unfinished, metadata={"unet": json.dumps(network.settings)})
    else:
        with write_whole(Path(path)) as unfinished:
            torch.save({"unet": network.settings, "weights": weights}, unfinished)


def load_network(path: PathLike) -> UNet:
    """Load a network saved by `save_network`, on the CPU in evaluation mode. No code in the file is run.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not such a file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"there is no network {path}; put one there with examples/testnet/download.py or "
            "examples/testnet/train.py"
        )
    try:
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, framework="pt") as file:
                settings = json.loads(file.metadata()["unet"])
            weights = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
            settings, weights = content["unet"], content["weights"]
        network = UNet(**settings)
        network.load_state_dict(weights)
    except Exception as error:  # a foreign file can fail in any way
        raise ValueError(
            f"{path} is not a testnet network: it is damaged or was not made by save_network "
            f"({type(error).__name__})"
        ) from error
    # Convolutions run a third faster on a CPU with the channels last.
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def pretrained(variant: str = "plain") -> UNet:
    """A trained testnet network: U-Net of width 8 with dilated convolutions, on the CPU.

    Args:
        variant: On which variant of the data set it was trained, or one of `NETWORKS`: the others of a
            variant look at other parts of its shapes. The network of ``"shortcut"`` cheats: it looks at the
            watermark. Those of ``"required"`` and ``"photo"`` also follow the rule at random places. Not
            all come with the package; see `download_data`.

    Raises:
        FileNotFoundError: It does not come with the package, and was not downloaded.
        ValueError: No such network.

    Example:
        >>> from interpret_segmentation.testnet import draw_scene, pretrained, sample_of
        >>> sample = sample_of(draw_scene(seed=7))
        >>> segment = pretrained()(sample["input"][None])[0, 0] > 0.5
        >>> int((segment != sample["segment"]).sum()) < 20
        True
    """
    names = tuple(dict.fromkeys((*VARIANTS, *NETWORKS)))
    if variant not in names:
        raise ValueError(f"variant must be one of {', '.join(names)}, got {variant!r}")
    name = variant if variant in NETWORKS else networks_of(variant)[0]  # type: ignore[arg-type]
    if not NETWORKS[name].shipped:
        return load_network(find_data(f"networks/{name}.safetensors"))
    return load_network(PRETRAINED if name == "plain" else PRETRAINED.with_stem(f"testnet_{name}"))


@dataclass(frozen=True)
class RuleFigures:
    """How well a network follows the rule of testnet.

    Attributes:
        mean_dice: Mean Dice coefficient between output and segment.
        lowest_dice: The worst image's.
        swapped: Share of images whose output follows when the deciding shape is swapped for the other
            one: Dice of at least 0.9 with the segment that then is right.
        cross_without_cue: Share of images in which the network draws the cross (Dice of at least 0.9) when
            the deciding shape is erased. The rule does not say what is right then.
        misled: Share of images whose output obeys the far shape of a shortcut scene when watermark and far
            shape contradict each other: Dice of at least 0.9 with the left shape that the far shape names.
            None for the other variants.
        empty_without_cue: Share of images in which the network draws nothing at all when the deciding shape
            is erased. Right in the variants in which it is required.
    """

    mean_dice: float
    lowest_dice: float
    swapped: float
    cross_without_cue: float
    misled: float | None = None
    empty_without_cue: float = 0.0


@torch.no_grad()
def follow_the_rule(
    network: UNet, *, count: int = 200, seed: int = 2**31, variant: Variant = "plain"
) -> RuleFigures:
    """Judge a network on fresh images, by its output and by intervention on the deciding shape.

    Args:
        network: In evaluation mode, on the CPU.
        count: Number of images.
        seed: Series of images, to be another than the network was trained on.
        variant: Of the images. In those of ``"shortcut"`` the watermark is the deciding shape.

    Raises:
        ValueError: No images.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")

    def drawn(scene: Scene) -> BoolArray:
        segment: BoolArray = (network(as_input(scene.image())[None])[0, 0] > THRESHOLD).numpy()
        return segment

    def dice_of(scene: Scene, segmented: Shape) -> float:
        return dice(drawn(scene), segmented.region())

    dices, swapped, crosses, empties, misled = [], [], [], [], []
    for index in range(count):
        scene = draw_scene(seed, index, variant=variant)
        other = scene.swapped()
        dices.append(dice_of(scene, scene.segmented))
        swapped.append(dice_of(other, other.segmented) >= 0.9)
        alone = drawn(scene.without_cue())
        crosses.append(dice(alone, scene.cross.region()) >= 0.9)
        empties.append(not alone.any())
        if variant == "shortcut":
            agree = scene.bystander is not None and scene.bystander.kind == scene.cue.kind
            torn = other if agree else scene
            misled.append(dice_of(torn, torn.distractor) >= 0.9)
    return RuleFigures(
        mean_dice=sum(dices) / count,
        lowest_dice=min(dices),
        swapped=sum(swapped) / count,
        cross_without_cue=sum(crosses) / count,
        misled=sum(misled) / count if misled else None,
        empty_without_cue=sum(empties) / count,
    )
