"""Draw docs/images/methods.png: what each method makes of three images with a known cause. Takes minutes."""

from pathlib import Path

import click
import matplotlib.pyplot as plt
import torch

from interpret_segmentation import HDM, RISE, Occlusion, explain
from interpret_segmentation.benchmark import SEED
from interpret_segmentation.explaining import Method
from interpret_segmentation.show.explanations import plot
from interpret_segmentation.show.plots import draw_image
from interpret_segmentation.testnet import draw_scene, pretrained, sample_of

SCENES = (0, 1, 4)
"""A square, a large circle, a small square."""

TO_TRUTH: dict[str, Method] = {
    "HDM as documented": HDM(circle_size=25, offset=5, distance="hausdorff"),
    "HDM, distance of 1.0.0": HDM(circle_size=25, offset=5, distance="hausdorff_of_rows"),
}
TO_OUTPUT: dict[str, Method] = {
    "HDM by default": HDM(),
    "occlusion by default": Occlusion(),
    "RISE as documented, mean": RISE(N=3000, s=8, p1=0.1, estimator="paper", seed=0),
    "RISE by default": RISE(seed=0),
    "RISE, the segment spared": RISE(design="sobol", spare="segment", score="dice", seed=0),
}


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).with_name("methods.png"))
def main(out: Path) -> None:
    """Explain each image with each method, and lay the maps side by side."""
    network = pretrained()
    figure, rows = plt.subplots(
        len(SCENES), 1 + len(TO_TRUTH | TO_OUTPUT), figsize=(22, 9.4), layout="constrained"
    )
    for row, number in zip(rows, SCENES, strict=True):
        scene = draw_scene(SEED, number)
        sample = sample_of(scene)
        image, truth = sample["input"], scene.segmented.region()
        draw_image(row[0], image[0], title=f"{scene.segmented.kind}, for the {scene.cue.kind}")
        for axes, (name, method) in zip(row[1:], (TO_TRUTH | TO_OUTPUT).items(), strict=True):
            reference = torch.from_numpy(truth) if name in TO_TRUTH else None
            made = explain(network, image, method, reference=reference, progress=False)
            plot(made, axes, title=name, color_bar=False, outline=False)
            low, high = made.saliency.min(), made.saliency.max()
            axes.text(0.5, -0.02, f"{low:.2g} to {high:.2g} {made.unit}", transform=axes.transAxes,
                      ha="center", va="top", fontsize=9)  # fmt: skip
        for axes in row:
            axes.contour(truth, [0.5], colors="tab:orange", linewidths=1)
            axes.contour(scene.cue.region(), [0.5], colors="white", linewidths=1, linestyles="dotted")
    figure.savefig(out, dpi=90)
    click.echo(f"see {out}")


if __name__ == "__main__":
    main()
