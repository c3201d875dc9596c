"""Every way that leads to a Hausdorff distance, against SciPy's distance transform."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from interpret_segmentation.scores import hausdorff_distance as distances
from interpret_segmentation.scores import hausdorff_on_device as device_distances
from interpret_segmentation.scores.hausdorff_on_device import DeviceHausdorffTo, squared_distances
from interpret_segmentation.scores.registry import HausdorffTo
from interpret_segmentation.scores.surface import SurfaceTo

SPACES = [(61, 83), (40, 40), (17, 150), (13, 21, 30)]


def blob(space, seed, smooth=4):
    """A smooth random shape, about a third of the image."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=space), smooth)
    return noise > np.quantile(noise, 0.65)


def changed(mask, kind, seed):
    """Another mask: little changed, far moved, noisy, or something else entirely."""
    random = np.random.default_rng(seed + 1000)
    other = mask.copy()
    if kind == "hole":
        at = np.argwhere(mask)[random.integers(mask.sum())]
        other[tuple(slice(max(0, a - 5), a + 6) for a in at)] = False
    elif kind == "moved":
        other = np.roll(mask, 1 + random.integers(12), axis=random.integers(mask.ndim))
    elif kind == "speckle":
        other ^= random.random(mask.shape) < 0.05
    elif kind == "noise":
        other = random.random(mask.shape) < random.choice([0.02, 0.5, 0.98])
    elif kind == "stray":
        other[tuple(random.integers(side) for side in mask.shape)] ^= True
    elif kind == "half":
        other[: mask.shape[0] // 2] = False
    else:
        other = blob(mask.shape, seed + 1)
    return other


KINDS = ["hole", "moved", "speckle", "noise", "stray", "half", "other"]


def expected(a, b, spacing):
    if not a.any() or not b.any():
        apart = np.linalg.norm((np.array(a.shape) - 1) * spacing)
        return apart if a.any() or b.any() else 0.0
    to_a, to_b = (ndimage.distance_transform_edt(~mask, sampling=spacing) for mask in (a, b))
    return max(to_b[a].max(), to_a[b].max())


@pytest.mark.parametrize("small", [0, distances.SMALL])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(SPACES), st.integers(0, 10**6), st.sampled_from([(1, 1, 1), (0.5, 2.5, 1), (3, 1, 0.25)])
)
def test_however_the_mask_changed_the_distance_is_the_definitions(small, kind, space, seed, spacing):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "SMALL", small)
        patch.setattr(distances, "PER_LOST", 0 if not small else distances.PER_LOST)
        patch.setattr(distances, "FULL_TILES", 1 if seed % 2 else distances.FULL_TILES)
        spacing = tuple(map(float, spacing[: len(space)]))
        reference = blob(space, seed)
        mask = changed(reference, kind, seed)
        wanted = expected(mask, reference, spacing)
        assert HausdorffTo(reference, spacing=spacing)(mask) == pytest.approx(wanted, rel=1e-12)
        on_device = DeviceHausdorffTo(torch.from_numpy(reference), spacing=spacing)
        assert on_device(torch.from_numpy(mask)[None]).item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", SPACES)
def test_distances_of_surfaces_are_those_of_scipys_transform(kind, space):
    for seed in range(4):
        reference = blob(space, seed)
        mask = changed(reference, kind, seed)
        edges = [part & ~ndimage.binary_erosion(part) for part in (mask, reference)]
        if not all(part.any() for part in edges):
            continue
        there, back = SurfaceTo(reference).distances(mask)
        to_mask, to_reference = (ndimage.distance_transform_edt(~part) for part in edges)
        np.testing.assert_allclose(there, to_reference[edges[0]])
        np.testing.assert_allclose(back, to_mask[edges[1]])
        wanted = max(np.percentile(there, 95), np.percentile(back, 95))
        assert SurfaceTo(reference).hausdorff95(mask) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("at_once", [1, 2**24])
def test_a_batch_on_a_device_is_measured_like_one_mask_after_the_other(monkeypatch, at_once):
    monkeypatch.setattr(device_distances, "AT_ONCE", at_once)
    reference = blob((41, 52), 3)
    masks = np.stack([reference, np.zeros_like(reference), *(changed(reference, kind, 5) for kind in KINDS)])
    one_by_one = [HausdorffTo(reference)(mask) for mask in masks]
    got = DeviceHausdorffTo(torch.from_numpy(reference))(torch.from_numpy(masks))
    np.testing.assert_allclose(got, one_by_one, rtol=1e-12)
    empty = DeviceHausdorffTo(torch.zeros(41, 52, dtype=torch.bool))
    diagonal = np.hypot(40, 51)
    assert empty(torch.from_numpy(masks[:2])).tolist() == pytest.approx([diagonal, 0])


@pytest.mark.parametrize("space", [(1, 1), (1, 37), (50, 3), (5, 6, 7)])
def test_the_distance_transform_on_a_device_is_scipys(space):
    random = np.random.default_rng(0)
    masks = random.random((6, *space)) < 0.1
    masks.reshape(6, -1)[:, 0] = True
    spacing = (0.5, 3.0, 1.0)[: len(space)]
    wanted = [ndimage.distance_transform_edt(~mask, sampling=spacing) ** 2 for mask in masks]
    np.testing.assert_allclose(squared_distances(torch.from_numpy(masks), spacing), wanted, rtol=1e-12)
