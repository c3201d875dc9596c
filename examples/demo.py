"""Explain one testnet image with HDM and RISE and the shipped network; writes pictures and a report."""

from collections.abc import Callable
from pathlib import Path

import click
import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes

from interpret_segmentation import HDMResult, RISEResult, explain, hdm
from interpret_segmentation.show import draw_image, draw_map, report
from interpret_segmentation.testnet import draw_scene, pretrained, sample_of


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default="demo", help="Folder.")
@click.option("--index", type=click.IntRange(min=0), default=1, help="Which image of the series to explain.")
def main(out: Path, index: int) -> None:
    """Explain one testnet image with HDM and RISE and write the pictures to a folder."""
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    model = pretrained().to(device)
    sample = sample_of(draw_scene(seed=1, index=index))
    image, segment = sample["input"], sample["segment"]

    distances = explain(
        model, image, "hdm", reference=segment, distance="hausdorff", circle_size=25, offset=5
    )
    scores = explain(model, image, "rise", N=3000, s=8, p1=0.1, seed=0, estimator="paper")
    assert isinstance(distances, HDMResult)
    assert isinstance(scores, RISEResult)
    rise_max, rise_mean = scores.max(), scores.mean()

    def show_input(axes: Axes) -> None:
        draw_image(axes, image[0], title="image, segment (orange), deciding shape (blue)")
        axes.contour(segment, levels=[0.5], colors="tab:orange")
        axes.contour(sample["cue"], levels=[0.5], colors="tab:blue", linestyles="dashed")

    def show_hdm(axes: Axes, kind: hdm.ResultType, colors: str) -> None:
        values = distances.distances(kind)
        draw_map(
            axes,
            distances.circle_map(kind, color_map=colors),
            image[0],
            title=f"HDM: {kind.name.lower().replace('_', ' ')}" + ("" if values.any() else " (nothing)"),
            label="Hausdorff distance (pixels)",
            color_map=colors,
            limits=(values.min(), values.max()),
        )

    def show_rise(axes: Axes, name: str, saliency: torch.Tensor) -> None:
        draw_map(
            axes,
            saliency,
            image[0],
            title=f"RISE: {name}",
            label="expected probability if the pixel is kept",
            edge_color="white",
        )

    mpl.use("Agg")
    panels: dict[str, Callable[[Axes], None]] = {
        "input": show_input,
        "hdm_raw": lambda axes: show_hdm(axes, hdm.RAW, "Blues"),
        "hdm_better": lambda axes: show_hdm(axes, hdm.BETTER_ONLY, "Greens"),
        "hdm_worse": lambda axes: show_hdm(axes, hdm.WORSE_ONLY, "Reds"),
        "rise_max": lambda axes: show_rise(axes, "maximum over the segment's pixels", rise_max),
        "rise_mean": lambda axes: show_rise(axes, "mean over the segment's pixels", rise_mean),
    }
    out.mkdir(parents=True, exist_ok=True)
    overview, grid = plt.subplots(2, 3, figsize=(16, 9.5), layout="constrained")
    for axes, (name, show) in zip(grid.flat, panels.items(), strict=True):
        show(axes)
        single, single_axes = plt.subplots(figsize=(6, 5), layout="constrained")
        show(single_axes)
        single.savefig(out / f"{name}.png", dpi=150)
        plt.close(single)
    overview.savefig(out / "overview.png", dpi=100)
    for explanation in (distances, scores):
        explanation.save(out / f"testnet.{explanation.method}.safetensors", overwrite=True)
    click.echo(f"Pictures in {out}: overview.png, {', '.join(f'{name}.png' for name in panels)}")
    click.echo(f"Results in {out}: testnet.hdm.safetensors, testnet.rise.safetensors")
    page = report(
        [distances, scores],
        out / "report.html",
        title=f"Testnet image {index}: what makes the network draw this segment?",
        overwrite=True,
    )
    click.echo(f"Open {page} in a browser, and click a pixel of the segment")


if __name__ == "__main__":
    main()
