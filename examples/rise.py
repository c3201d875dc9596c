"""Explain a testnet image with RISE; writes rise_max.png and rise_mean.png beside this script."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch

from interpret_segmentation.rise import SegmentationRISE
from interpret_segmentation.show import draw_map
from interpret_segmentation.testnet import TestnetDataset, load_network

HERE = Path(__file__).parent


def main() -> None:
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        model = load_network(HERE / "testnet" / "testnet.pth").to(device)
        sample = TestnetDataset(HERE / "testnet" / "dataset").get_sample("1")
    except FileNotFoundError as error:
        raise SystemExit(f"{error}\nRun this first: python3 examples/testnet/download.py") from None

    explainer = SegmentationRISE(model, (240, 240), device)
    masks_path = HERE / "rise_masks.npz"
    if not masks_path.exists():
        explainer.generate_masks(N=3000, s=8, p1=0.1, savepath=masks_path, seed=0)
    else:
        explainer.load_masks(masks_path)
    result = explainer(sample["input"])

    mpl.use("Agg")
    for name, saliency in (("max", result.max()), ("mean", result.mean())):
        figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
        draw_map(
            axes,
            saliency,
            sample["input"][0],
            title=f"RISE: {name} over the segment's pixels",
            label="expected probability, given that the pixel is kept",
            edge_color="white",
        )
        figure.savefig(HERE / f"rise_{name}.png", dpi=150)
        plt.close(figure)
        print(f"rise_{name}.png generated")


if __name__ == "__main__":
    main()
