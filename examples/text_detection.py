"""Explain a line of text that a real network detects; writes text_detection.png beside this script."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.typing import NDArray

from interpret_segmentation import Preprocess, SegmentationModel, explain
from interpret_segmentation.show import draw_image

HERE = Path(__file__).parent
INSTALL = (
    'pip install "interpret-segmentation[onnx,superpixels]" && '
    "pip install --no-deps rapidocr-onnxruntime==1.4.4"
)

# As in ch_ppocr_det/utils.py and config.yaml of the package, which also enlarges small pages. A grey page is
# the same in BGR as in RGB: one channel three times.
PREPROCESS = Preprocess(scale=1 / 255, mean=0.5, std=0.5, channels=(0, 0, 0), multiple=32)


@click.command(context_settings={"show_default": True})
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=HERE / "text_detection.png")
@click.option("--at", nargs=2, type=int, default=(179, 100), help="Row and column of a pixel of the line.")
@click.option("--size", type=click.IntRange(min=1), default=20, help="Diameter of the circles in pixels.")
@click.option("--offset", type=click.IntRange(min=1), default=8, help="Pixels from one circle to the next.")
def main(out: Path, at: tuple[int, int], size: int, offset: int) -> None:
    """Hide circles of a page of text and see how far a detected line moves and how weak it becomes."""
    page, model = page_of_text(), detector()
    probability = model.probabilities(torch.tensor(page, dtype=torch.float32)[None, None])[0, 0].numpy()
    segment = probability > 0.5
    if not segment[at]:
        raise SystemExit(f"there is no text at {at}: the probability is {probability[at]:.2f}")

    # Ink hidden by paper: black circles would be ink themselves.
    circles: dict[str, Any] = {"fill": "inpaint", "size": size, "offset": offset}
    line = f"component:{at[0]},{at[1]}"
    moved = explain(model, page, "occlusion", target=line, score="hausdorff", **circles)
    weaker = explain(model, page, "occlusion", target=line, score="probability", **circles)

    mpl.use("Agg")
    explained = weaker.pixels
    assert explained is not None
    rows = np.flatnonzero(explained.any(axis=1))
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(8, 8.4), height_ratios=[2, 1, 1], layout="constrained"
    )
    draw_image(top, page, title="What is text (orange), and the line that is explained (red)")
    top.contour(segment, levels=[0.5], colors="tab:orange", linewidths=1.2)
    top.contour(explained, levels=[0.5], colors="tab:red", linewidths=1.6)
    for axes, explanation, title in [
        (middle, moved, "What decides where the line ends?"),
        (bottom, weaker, "What makes it a line of text?"),
    ]:
        explanation.overlay(axes, title=title, outline=False)
        axes.contour(explained, levels=[0.5], colors="black", linewidths=0.8)
        axes.set_ylim(min(rows[-1] + 30, len(page)) - 0.5, max(rows[0] - 30, 0) - 0.5)
    figure.savefig(out, dpi=80)
    click.echo(f"{out} generated")


def page_of_text() -> NDArray[np.uint8]:
    """A photograph of a page, grey ``[H, W]`` from 0 to 255."""
    try:
        from skimage.data import page
    except ImportError as error:
        raise SystemExit(f"{error}; {INSTALL}") from None
    pixels: NDArray[np.uint8] = page()  # type: ignore[no-untyped-call]
    return pixels


def detector() -> SegmentationModel:
    """PP-OCRv4's text detection. Its package is not imported: that would need others besides."""
    package = find_spec("rapidocr_onnxruntime")
    if package is None or not package.submodule_search_locations:
        raise SystemExit(f"the network is in a package that is not installed; {INSTALL}")
    file = Path(package.submodule_search_locations[0]) / "models" / "ch_PP-OCRv4_det_infer.onnx"
    try:
        return SegmentationModel(file, preprocess=PREPROCESS)
    except (ImportError, FileNotFoundError) as error:
        raise SystemExit(f"{error}; {INSTALL}") from None


if __name__ == "__main__":
    main()
