"""Explain a testnet image with Hausdorff Distance Masks; writes hdm_*.png beside this script."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch

from interpret_segmentation import hdm
from interpret_segmentation.show import draw_map
from interpret_segmentation.testnet import TestnetDataset, load_network

HERE = Path(__file__).parent
KINDS = [("raw", hdm.RAW, "Blues"), ("better", hdm.BETTER_ONLY, "Greens"), ("worse", hdm.WORSE_ONLY, "Reds")]


def main() -> None:
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        model = load_network(HERE / "testnet" / "testnet.pth").to(device)
        sample = TestnetDataset(HERE / "testnet" / "dataset").get_sample("1")
    except FileNotFoundError as error:
        raise SystemExit(f"{error}\nRun this first: python3 examples/testnet/download.py") from None

    explainer = hdm.HausdorffDistanceMasks(240, 240)
    explainer.generate_masks(circle_size=25, offset=5)
    result = explainer.explain(model, sample["input"], sample["segment"], device)

    mpl.use("Agg")
    for name, kind, colors in KINDS:
        values = result.distances(kind)
        figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
        draw_map(
            axes,
            result.circle_map(kind, color_map=colors),
            sample["input"][0],
            title=f"Hausdorff Distance Masks: {name}",
            label="Hausdorff distance (pixels)",
            color_map=colors,
            limits=(values.min(), values.max()),
        )
        figure.savefig(HERE / f"hdm_{name}.png", dpi=150)
        plt.close(figure)
        print(f"hdm_{name}.png generated")


if __name__ == "__main__":
    main()
