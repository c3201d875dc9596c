import gc

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from interpret_segmentation.perturb import draw_grids, load_masks, save_masks
from interpret_segmentation.perturb.masks import grids as grids_module

many_grids = st.builds(
    draw_grids,
    count=st.integers(1, 20),
    cells=st.integers(1, 9),
    keep=st.sampled_from([0.1, 0.5, 1.0]),
    space=st.tuples(st.integers(1, 25), st.integers(1, 25)),
    seed=st.integers(0, 1000),
)


def enlarged_and_cut(grids, index, enlarge):
    """The recipe of the paper, mask by mask."""
    cells = grids.cells.shape[1]
    size = [(cells + 1) * -(-pixels // cells) for pixels in grids.space]
    y, x = grids.shifts[index].tolist()
    return enlarge(grids.cells[index].float(), size)[y : y + grids.space[0], x : x + grids.space[1]]


def by_torch(cells, size):
    return F.interpolate(cells[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]


def by_scipy(cells, size):
    """What scikit-image's resize(order=1, mode="reflect"), used by release 1.0.0, calls."""
    zoom = [wanted / have for wanted, have in zip(size, cells.shape, strict=True)]
    return torch.from_numpy(ndimage.zoom(cells.numpy(), zoom, order=1, mode="reflect", grid_mode=True))


@given(many_grids)
def test_masks_are_grids_enlarged_bilinearly_and_cut(grids):
    masks = grids.render(0, len(grids))
    assert masks.shape == (len(grids), *grids.space)
    for index, mask in enumerate(masks):
        torch.testing.assert_close(mask, enlarged_and_cut(grids, index, by_torch), atol=1e-5, rtol=0)


def test_masks_are_those_that_release_1_0_0_would_have_made():
    grids = draw_grids(20, cells=8, keep=0.3, space=(50, 70), seed=3)
    for index, mask in enumerate(grids.render(0, 20)):
        torch.testing.assert_close(mask, enlarged_and_cut(grids, index, by_scipy), atol=1e-5, rtol=0)


@given(many_grids, st.integers(1, 4), st.data())
def test_combining_is_the_weighted_sum_of_the_rendered_masks(grids, sums, data):
    seed = data.draw(st.integers(0, 1000))
    weights = torch.randn(sums, len(grids), generator=torch.Generator().manual_seed(seed))
    expected = torch.einsum("pn,nhw->phw", weights, grids.render(0, len(grids)))
    torch.testing.assert_close(grids.combine(weights), expected, atol=1e-4, rtol=0)


def brute_force_largest(masks, weights):
    """The sums one by one from rendered masks, in double precision."""
    return (weights.double() @ masks.double().flatten(1)).amax(dim=0).view(masks.shape[1:])


@given(many_grids, st.integers(1, 9), st.data())
def test_the_largest_of_the_weighted_sums_is_that_of_the_rendered_masks(grids, sums, data):
    seed = data.draw(st.integers(0, 1000))
    weights = torch.randn(sums, len(grids), generator=torch.Generator().manual_seed(seed))
    expected = brute_force_largest(grids.render(0, len(grids)), weights)
    torch.testing.assert_close(grids.largest(weights).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("space", [(240, 150), (97, 256), (8, 300), (300, 1), (1, 300), (30, 25, 41)])
@pytest.mark.parametrize("cells", [1, 2, 5, 8, 40])
def test_the_largest_is_exact_to_a_hundred_thousandth_of_the_range_of_the_map(space, cells):
    grids = draw_grids(200, cells=min(cells, 8) if len(space) == 3 else cells, keep=0.5, space=space, seed=7)
    weights = torch.rand(11, 200, generator=torch.Generator().manual_seed(8)) - 0.5
    expected = brute_force_largest(grids.render(0, 200), weights)
    scale = max((expected.max() - expected.min()).item(), expected.abs().max().item() / 10)
    torch.testing.assert_close(grids.largest(weights).double(), expected, atol=1e-5 * scale, rtol=0)


@pytest.mark.parametrize("space", [(19, 31), (31, 19), (7, 11, 9)])
@pytest.mark.parametrize(("budget", "sums"), [(1, 256), (40_000, 256), (40_000, 2), (2**26, 3)])
def test_neither_strips_nor_parts_change_the_largest(monkeypatch, tmp_path, space, budget, sums):
    grids = draw_grids(60, cells=4, keep=0.4, space=space, seed=0)
    save_masks(grids, tmp_path / "masks.npy")
    rendered = load_masks(tmp_path / "masks.npy")
    weights = torch.randn(7, 60, generator=torch.Generator().manual_seed(1))
    expected = brute_force_largest(grids.render(0, 60), weights).float()
    monkeypatch.setattr(grids_module, "BUDGET", budget)
    monkeypatch.setattr(grids_module, "SUMS", sums)
    torch.testing.assert_close(grids.largest(weights), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(rendered.largest(weights), expected, atol=1e-5, rtol=0)


def test_the_largest_of_one_sum_is_that_sum():
    grids = draw_grids(50, cells=6, keep=0.5, space=(40, 33), seed=3)
    weights = torch.randn(1, 50, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(grids.largest(weights), grids.combine(weights)[0], atol=1e-5, rtol=0)


def test_the_largest_leaves_the_weights_alone():
    grids = draw_grids(50, cells=6, keep=0.5, space=(40, 33), seed=3)
    weights = torch.rand(5, 50)
    before = weights.clone()
    grids.largest(weights)
    assert torch.equal(weights, before)


def test_the_chunk_size_changes_nothing(monkeypatch, tmp_path):
    grids = draw_grids(40, cells=5, keep=0.4, space=(19, 31), seed=0)
    save_masks(grids, tmp_path / "masks.npy")
    rendered = load_masks(tmp_path / "masks.npy")
    weights = torch.rand(3, 40)
    expected = grids.combine(weights)
    monkeypatch.setattr(grids_module, "BUDGET", 3 * 4 * 19 * 31)
    torch.testing.assert_close(grids.combine(weights), expected)
    torch.testing.assert_close(rendered.combine(weights), expected)


@given(many_grids, st.data())
def test_parts_of_the_masks_are_parts_of_the_whole(grids, data):
    first = data.draw(st.integers(0, len(grids)))
    last = data.draw(st.integers(first, len(grids)))
    torch.testing.assert_close(grids.render(first, last), grids.render(0, len(grids))[first:last])


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_the_expected_value_of_a_mask_is_the_probability_to_keep_a_cell(keep):
    grids = draw_grids(4000, cells=4, keep=keep, space=(12, 17), seed=0)
    means = grids.render(0, 4000).mean(0)
    # A pixel is at most as uncertain as one cell; 5 standard errors.
    assert (means - grids.expected_value).abs().max() < 5 * np.sqrt(keep * (1 - keep) / 4000)


def test_the_seed_decides_the_masks_and_is_told():
    def draw(seed):
        return draw_grids(50, cells=6, keep=0.5, space=(20, 20), seed=seed)

    def same(a, b):
        return torch.equal(a.render(0, 50), b.render(0, 50))

    assert same(draw(4), draw(4))
    assert not same(draw(4), draw(5))
    unseeded = draw(None)
    assert same(unseeded, draw(unseeded.seed))
    assert not same(unseeded, draw(None))


def test_drawing_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    draw_grids(5, cells=3, keep=0.5, space=(9, 9), seed=1)
    assert torch.equal(torch.get_rng_state(), before)


volumes = st.builds(
    draw_grids,
    count=st.integers(1, 8),
    cells=st.integers(1, 6),
    keep=st.sampled_from([0.1, 0.5, 1.0]),
    space=st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 7)),
    seed=st.integers(0, 1000),
)


def volumes_by_the_paper(grids, enlarge):
    """The recipe of the paper with one more axis, mask by mask."""
    cells = grids.cells.shape[1]
    size = [(cells + 1) * -(-pixels // cells) for pixels in grids.space]
    for own, shifts in zip(grids.cells, grids.shifts.tolist(), strict=True):
        cut = tuple(slice(first, first + side) for first, side in zip(shifts, grids.space, strict=True))
        yield enlarge(own.float(), size)[cut]


def trilinear(cells, size):
    return F.interpolate(cells[None, None], size=size, mode="trilinear", align_corners=False)[0, 0]


@given(volumes)
def test_masks_of_volumes_are_grids_enlarged_trilinearly_and_cut(grids):
    assert grids.cells.shape == (len(grids), *[grids.cells.shape[1]] * 3)
    masks = grids.render(0, len(grids))
    assert masks.shape == (len(grids), *grids.space)
    for enlarge in (trilinear, by_scipy):
        for mask, expected in zip(masks, volumes_by_the_paper(grids, enlarge), strict=True):
            torch.testing.assert_close(mask, expected, atol=1e-5, rtol=0)


@given(volumes, st.integers(1, 4), st.integers(0, 1000))
def test_combining_volumes_is_the_weighted_sum_of_the_rendered_masks(grids, sums, seed):
    weights = torch.randn(sums, len(grids), generator=torch.Generator().manual_seed(seed))
    expected = torch.einsum("pn,ndhw->pdhw", weights, grids.render(0, len(grids)))
    torch.testing.assert_close(grids.combine(weights), expected, atol=1e-4, rtol=0)


@given(volumes | many_grids, st.data())
def test_the_first_masks_are_the_first_of_all(grids, data):
    count = data.draw(st.integers(1, len(grids)))
    few = grids.until(count)
    assert (len(few), few.space, few.expected_value, few.seed) == (count, grids.space, grids.keep, grids.seed)
    torch.testing.assert_close(few.render(0, count), grids.render(0, count))


def test_every_shift_of_a_volume_is_drawn_about_as_often():
    grids = draw_grids(6000, cells=3, keep=0.5, space=(6, 9, 13), seed=0)
    for axis, count in enumerate((2, 3, 5)):
        times = np.bincount(grids.shifts[:, axis], minlength=count)
        assert len(times) == count
        assert abs(times - 6000 / count).max() < 5 * np.sqrt(6000 / count)


@pytest.mark.parametrize("name", ["masks.npz", "masks.npy"])
def test_masks_of_volumes_come_back_from_files(tmp_path, name):
    grids = draw_grids(7, cells=3, keep=0.4, space=(4, 9, 6), seed=5)
    save_masks(grids, tmp_path / name)
    loaded = load_masks(tmp_path / name)
    assert (loaded.space, len(loaded), loaded.expected_value) == ((4, 9, 6), 7, 0.4)
    torch.testing.assert_close(loaded.render(2, 6), grids.render(2, 6))
    weights = torch.rand(2, 7)
    torch.testing.assert_close(loaded.combine(weights), grids.combine(weights))


def test_a_sobol_design_keeps_every_cell_and_every_pair_as_often_as_it_should():
    balanced = draw_grids(256, cells=6, keep=0.5, space=(30, 44), seed=3, design="sobol")
    chance = draw_grids(256, cells=6, keep=0.5, space=(30, 44), seed=3)

    def worst(grids):
        kept = grids.cells.flatten(1).double()
        alone = (kept.mean(0) - 0.5).abs().max()
        together = (kept.T @ kept / len(kept)).fill_diagonal_(0.25)
        return alone, (together - 0.25).abs().mean()

    alone, together = worst(balanced)
    assert alone < 0.005  # a power of 2 of points is balanced along every axis
    assert together < 0.8 * worst(chance)[1]
    assert {len(set(axis.tolist())) for axis in balanced.shifts.T} == {5, 8}


def test_a_sobol_design_is_drawn_again_by_its_seed_and_goes_on_where_a_shorter_one_ended():
    long, short, other = (
        draw_grids(count, cells=4, keep=0.3, space=(20, 21), seed=seed, design="sobol")
        for count, seed in ((50, 1), (20, 1), (20, 2))
    )
    assert torch.equal(long.cells[:20], short.cells)
    assert torch.equal(long.shifts[:20], short.shifts)
    assert not torch.equal(short.cells, other.cells)


def test_a_grid_with_too_many_cells_for_a_sobol_sequence_is_refused():
    with pytest.raises(ValueError, match="at most 21201 dimensions"):
        draw_grids(2, cells=150, keep=0.5, space=(300, 300), seed=0, design="sobol")


def bytes_alive():
    """Of all tensors that Python holds, those in its caches too."""
    gc.collect()
    tensors = [one for one in gc.get_objects() if type(one) is torch.Tensor]
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    return sum(storages.values())


def test_masks_of_sixty_sizes_leave_nothing_in_memory_behind_them():
    before = bytes_alive()
    for at in range(60):
        masks = draw_grids(4, cells=4, keep=0.5, space=(40 + 3 * at, 50 + 2 * at), seed=1)
        masks.render(0, 4)
        masks.combine(torch.rand(2, 4))
        masks.largest(torch.rand(2, 4))
    del masks
    assert bytes_alive() - before < 10_000


def test_the_shifts_of_a_large_image_are_windows_into_one_small_table():
    masks = draw_grids(1, cells=8, keep=0.5, space=(4096, 16), seed=1)
    matrix = masks._enlarging(torch.device("cpu"))[0]
    assert matrix.shape == (512, 4096, 8)
    kept = matrix.untyped_storage().nbytes()
    assert kept == 4 * 9 * 512 * 8
