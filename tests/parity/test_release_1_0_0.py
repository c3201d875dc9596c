"""The answers of release 1.0.0, where it was right or where we offer its way under a name of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from interpret_segmentation import hdm
from interpret_segmentation.rise import SegmentationRISE

CASES = sorted((Path(__file__).parent / "golden").glob("*.npz"))


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request):
    with np.load(request.param, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture
def model(case):
    a_weight, a_bias, b_weight, b_bias = (
        torch.from_numpy(case[name]) for name in ("a_weight", "a_bias", "b_weight", "b_bias")
    )

    def two_convolutions(images):
        hidden = F.relu(F.conv2d(images, a_weight, a_bias, padding=2))
        return torch.sigmoid(F.conv2d(hidden, b_weight, b_bias, padding=2)).squeeze(1)

    return two_convolutions


@pytest.fixture
def explainer(case):
    height, width = case["segment"].shape
    explainer = hdm.HausdorffDistanceMasks(width, height, distance="hausdorff_of_rows")
    explainer.generate_masks(int(case["circle_size"]), int(case["offset"]), bool(case["normalize"]))
    return explainer


@pytest.fixture
def result(case, model, explainer):
    return explainer.explain(
        model, case["image"], case["segment"], "cpu", int(case["channel"]), progress=False
    )


def test_there_are_three_cases():
    assert len(CASES) == 3


def test_the_circle_masks_are_equal(case, explainer):
    rows, columns = case["hdm_masks"].shape[:2]
    masks = np.array([[explainer.mask(row, column) for column in range(columns)] for row in range(rows)])
    np.testing.assert_array_equal(masks * 255, case["hdm_masks"])


def test_the_baseline_and_all_three_kinds_of_distances_are_equal(case, result):
    assert result.baseline == pytest.approx(float(case["baseline"]), abs=1e-6)
    for kind, name in ((hdm.RAW, "raw"), (hdm.BETTER_ONLY, "better"), (hdm.WORSE_ONLY, "worse")):
        np.testing.assert_allclose(result.distances(kind), case[f"hdm_{name}"], atol=1e-6)


def test_the_circle_maps_are_the_same_pictures(case, result):
    for kind, name in ((hdm.RAW, "raw"), (hdm.BETTER_ONLY, "better"), (hdm.WORSE_ONLY, "worse")):
        picture = np.asarray(result.circle_map(kind, color_map="Blues"))
        np.testing.assert_array_equal(picture, case[f"hdm_circle_map_{name}"])


@pytest.mark.parametrize("p1", [None, 0.25])
def test_the_rise_maps_are_equal_up_to_the_expected_mask_value(case, model, tmp_path, p1):
    np.save(tmp_path / "masks.npy", case["rise_masks"])
    height, width = case["segment"].shape
    explainer = SegmentationRISE(model, (width, height), "cpu", progress=False)
    explainer.load_masks(tmp_path / "masks.npy", p1=p1)
    result = explainer(case["image"], target=case["output"] > case["output"].mean())

    factor = case["rise_masks"].mean(dtype=np.float64) if p1 is None else p1
    np.testing.assert_allclose(result.max() * factor, case["rise_max"], atol=1e-5)
    np.testing.assert_allclose(result.mean() * factor, case["rise_mean"], atol=1e-5)
