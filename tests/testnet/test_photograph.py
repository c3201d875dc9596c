import numpy as np
import torch
from benchmarks.coffee_network import parts

from interpret_segmentation import explain
from interpret_segmentation.scores.registry import dice
from interpret_segmentation.testnet import coffee


def drawn(network, image):
    with torch.no_grad():
        return (network(image[None])[0, 0] > 0.5).numpy()


def test_the_network_finds_the_coffee_and_none_in_a_cup_that_is_painted():
    network, image = coffee()
    assert image.shape == (3, 160, 240)
    assert (image.min(), image.max()) == (0, 1) or 0 <= image.min() < image.max() <= 1
    cup, drunk = parts(image.double().numpy())
    assert dice(drawn(network, image), drunk) > 0.9
    painted = image.clone()
    painted[:, cup & ~drunk] *= torch.tensor([0.4, 0.12, 0.08])[:, None]
    assert drawn(network, painted).sum() < 0.1 * drunk.sum()


def test_its_explanation_points_at_the_cup_and_not_at_the_table():
    network, image = coffee()
    made = explain(network, image, "occlusion", offset=16, progress=False)
    cup, _ = parts(image.double().numpy())
    strong = made.saliency >= np.quantile(made.saliency, 0.9)
    assert (strong & cup).sum() > 0.6 * strong.sum()
