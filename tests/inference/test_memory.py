"""Memory is bounded: the peak does not grow with the number of masks."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

resource = pytest.importorskip("resource", reason="the peak of a process is read where there is getrusage")

SCRIPT = """
import resource, sys
import torch
from interpret_segmentation import hdm
from interpret_segmentation.rise import SegmentationRISE

method, count, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
network = lambda images: images[:, :1]
image = torch.zeros(1, 256, 256)
image[:, 100:130, 100:130] = 1
if method == "hdm":
    explainer = hdm.HausdorffDistanceMasks(256, 256)
    explainer.generate_masks(circle_size=9, offset=256 // int(count**0.5))
    explainer.explain(network, image, None, "cpu", progress=False)
else:
    explainer = SegmentationRISE(network, (256, 256), "cpu", progress=False)
    explainer.generate_masks(count, 8, 0.5, savepath=path or None, seed=0)
    if path:
        explainer.load_masks(path)
    result = explainer(image)
    result.max(), result.mean(), result.pixel(110, 110)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(*arguments):
    """Peak memory of a fresh process, in MiB."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(run.stdout) * unit / 2**20


def test_four_times_the_circles_do_not_raise_the_peak_of_hdm():
    one, four = (peak("hdm", count, "") for count in (1024, 4096))
    # A thousand masked images of 256 x 256 are 256 MiB.
    assert four < one + 60


@pytest.mark.parametrize("name", ["", pytest.param("masks.npy", marks=pytest.mark.long), "masks.npz"])
def test_twice_the_masks_do_not_raise_the_peak_of_rise(tmp_path, name):
    one, two = (peak("rise", count, name and tmp_path / f"{count}{name}") for count in (1000, 2000))
    # A thousand masks of 256 x 256 are 250 MiB; so are the masked images.
    assert two < one + 60
