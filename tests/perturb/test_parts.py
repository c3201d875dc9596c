import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from interpret_segmentation.perturb.masks.parts import Parts, slic

label_maps = hnp.arrays(
    st.sampled_from([np.int8, np.int32, np.int64]),
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=5),
    elements=st.integers(-3, 100),
).filter(lambda labels: (labels >= 0).any())


def scene(space, channels):
    """A bright box before a dark background, with a little noise."""
    image = np.random.default_rng(0).normal(scale=0.02, size=(channels, *space))
    inside = np.zeros(space, dtype=bool)
    inside[tuple(slice(side // 3, side - side // 4) for side in space)] = True
    return image + inside, inside


@given(label_maps)
def test_labels_are_numbered_anew_in_their_order(labels):
    superpixels = Parts(labels)
    kept = [label for label in sorted(set(labels.ravel().tolist())) if label >= 0]
    assert len(superpixels) == len(kept)
    assert superpixels.space == labels.shape
    for number, label in enumerate(kept):
        np.testing.assert_array_equal(superpixels.labels == number, labels == label)
    np.testing.assert_array_equal(superpixels.labels == -1, labels < 0)


@given(label_maps, st.data())
def test_each_mask_hides_one_superpixel(labels, data):
    superpixels = Parts(labels)
    first = data.draw(st.integers(0, len(superpixels)))
    last = data.draw(st.integers(first, len(superpixels)))
    hidden = superpixels.hidden(np.arange(first, last))
    assert hidden.shape == (last - first, *labels.shape)
    assert hidden.dtype == torch.bool
    for number in range(first, last):
        np.testing.assert_array_equal(hidden[number - first].numpy(), superpixels.labels == number)


@given(label_maps)
def test_all_masks_together_hide_each_labelled_pixel_once(labels):
    superpixels = Parts(labels)
    times = superpixels.hidden(np.arange(0, len(superpixels))).sum(0).numpy()
    np.testing.assert_array_equal(times, labels >= 0)


@given(label_maps)
def test_spread_gives_each_pixel_the_value_of_its_superpixel(labels):
    superpixels = Parts(labels)
    values = np.random.default_rng(0).normal(size=len(superpixels))
    expected = np.full(labels.shape, np.nan)
    for place, number in np.ndenumerate(superpixels.labels):
        if number >= 0:
            expected[place] = values[number]
    np.testing.assert_array_equal(superpixels.spread(values, np.arange(len(superpixels))), expected)
    np.testing.assert_array_equal(
        superpixels.spread(values, np.arange(len(superpixels)), merge="max"), expected
    )


def test_labels_are_copied():
    labels = np.array([[0, 1]])
    superpixels = Parts(labels)
    labels[:] = 0
    assert len(superpixels) == 2


@pytest.mark.parametrize("labels", [
    torch.tensor([[3, 9]]), np.array([[3, 9]], dtype=np.uint8), np.array([[3, 9]], dtype=np.uint16),
    np.array([[9, 3]])[:, ::-1], np.array([[3, 9]], dtype=">i4"), [[3, 9]],
])  # fmt: skip
def test_whole_numbers_of_any_kind_are_labels(labels):
    np.testing.assert_array_equal(Parts(labels).labels, [[0, 1]])


@pytest.mark.parametrize("labels", [np.ones((2, 3)), np.ones((2, 3), bool), torch.ones(2, 3)])
def test_labels_that_are_not_whole_numbers_are_refused(labels):
    with pytest.raises(
        TypeError, match=r"labels must be whole numbers, got (float64|bool|float32); .*astype"
    ):
        Parts(labels)


def test_labels_that_are_no_array_of_numbers_are_refused():
    with pytest.raises(TypeError, match="labels must be"):
        Parts("labels.png")


@pytest.mark.parametrize("labels", [np.full((2, 3), -1), np.zeros((0, 3), int)])
def test_labels_without_a_superpixel_are_refused(labels):
    with pytest.raises(ValueError, match="labels hold no part"):
        Parts(labels)


def test_labels_without_two_axes_are_refused():
    with pytest.raises(ValueError, match=r"labels must have the axes .* got shape \(3,\)"):
        Parts(np.arange(3))


def test_values_of_some_superpixels_leave_the_others_without():
    spread = Parts(np.array([[0, 1, 2]])).spread(np.array([5.0, 7.0]), np.array([2, 0]))
    np.testing.assert_array_equal(spread, [[7, np.nan, 5]])


def test_a_superpixel_is_inside_with_half_of_its_pixels():
    parts = Parts(np.array([[0, 0, 0, 1], [-1, 1, 1, 1]]))
    region = np.array([[False, True, False, True], [True, True, False, False]])
    assert parts.inside(region).tolist() == [False, True]


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("space", [(60, 90), (12, 24, 20)])
def test_slic_finds_the_edges_of_a_box(space, channels):
    image, inside = scene(space, channels)
    superpixels = slic(image, 60)
    assert superpixels.space == space
    assert 30 <= len(superpixels) <= 90
    hidden = superpixels.hidden(np.arange(0, len(superpixels))).numpy()
    share = hidden[:, inside].sum(1) / hidden.reshape(len(superpixels), -1).sum(1)
    assert np.minimum(share, 1 - share).max() < 0.1
    assert all(ndimage.label(mask)[1] == 1 for mask in hidden)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("space", [(1, 1), (1, 2), (7, 500), (1, 30), (2, 3, 4), (1, 1, 1)])
@pytest.mark.parametrize("constant", [True, False])
def test_slic_copes_with_images_of_any_size(space, channels, constant):
    image = np.full((channels, *space), -3.0) if constant else scene(space, channels)[0]
    for count in (1, 20, 10**6):
        superpixels = slic(image, count)
        assert superpixels.space == space
        assert 1 <= len(superpixels) <= np.prod(space)


def test_slic_asks_for_about_as_many_as_were_wanted():
    image, _ = scene((100, 150), 1)
    counts = [len(slic(image, count)) for count in (10, 50, 250)]
    np.testing.assert_allclose(counts, (10, 50, 250), rtol=0.4)


@pytest.mark.parametrize(("scale", "shift"), [(255, 0), (1e-4, 0), (1, -1000), (4096, -1024)])
def test_slic_does_not_depend_on_the_range_of_values(scale, shift):
    image, _ = scene((40, 60), 3)
    one, other = slic(image, 40), slic(image * scale + shift, 40)
    assert (one.labels == other.labels).mean() > 0.99


@pytest.mark.parametrize("channels", [2, 3, 7])
def test_channels_that_repeat_one_another_change_nothing(channels):
    image, _ = scene((40, 60), 1)
    one, other = slic(image, 40), slic(np.repeat(image, channels, axis=0), 40)
    assert (one.labels == other.labels).mean() > 0.99


def test_slic_is_squarer_when_more_compact():
    image = np.random.default_rng(1).random((1, 60, 90)) + scene((60, 90), 1)[0]

    def border(superpixels):
        labels = superpixels.labels
        return (labels[1:] != labels[:-1]).sum() + (labels[:, 1:] != labels[:, :-1]).sum()

    assert border(slic(image, 50, compactness=1000)) < border(slic(image, 50, compactness=10))


@pytest.mark.parametrize("channels", [1, 3])
def test_strong_noise_still_leaves_patches_that_find_the_box(channels):
    image, inside = scene((120, 90), channels)
    superpixels = slic(image + np.random.default_rng(1).normal(scale=0.3, size=image.shape), 50)
    sizes = np.bincount(superpixels.labels.ravel())
    within = np.bincount(superpixels.labels.ravel(), inside.ravel())
    assert 40 <= len(sizes) <= 60
    assert np.minimum(within, sizes - within).sum() < 0.01 * inside.size


def test_slic_gives_the_same_answer_twice_and_leaves_the_image_and_random_numbers_alone():
    image = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before, state = image.clone(), torch.get_rng_state()
    np.random.seed(0)  # noqa: NPY002
    first = slic(image, 30)
    np.random.seed(1)  # noqa: NPY002
    assert (slic(image.numpy(), 30).labels == first.labels).all()
    assert torch.equal(image, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("image", "settings", "error", "message"), [
    (np.zeros((4, 5)), {}, ValueError, "image must be C x H x W or C x D x H x W, got 4 x 5"),
    (np.zeros((0, 4, 5)), {}, ValueError, "got 0 x 4 x 5"),
    (np.full((1, 4, 5), np.nan), {}, ValueError, "image holds NaN"),
    (torch.zeros(1, 4, 5, dtype=torch.complex64), {}, TypeError, "real numbers"),
    ("cat.png", {}, TypeError, "image must be"),
    (np.zeros((1, 4, 5)), {"count": 0}, ValueError, "count must be at least 1"),
    (np.zeros((1, 4, 5)), {"count": 2.5}, TypeError, "count must be a whole number"),
    (np.zeros((1, 4, 5)), {"compactness": 0}, ValueError, "compactness must be a number above 0, got 0"),
    (np.zeros((1, 4, 5)), {"compactness": np.inf}, ValueError, "compactness must be"),
])  # fmt: skip
def test_slic_refuses_what_it_cannot_use(image, settings, error, message):
    with pytest.raises(error, match=message):
        slic(image, **{"count": 5, **settings})


def test_without_scikit_image_slic_tells_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ImportError, match=r'pip install "interpret-segmentation\[superpixels\]"'):
        slic(np.zeros((1, 4, 5)), 5)


@pytest.mark.parametrize(
    ("space", "count"), [((5, 240, 240), 60), ((4, 2000), 60), ((4, 200), 1), ((30, 40), 60)]
)
def test_a_grid_has_about_as_many_cells_as_it_should_however_flat_the_image(space, count):
    from interpret_segmentation.perturb.pieces import grid

    assert 0.6 * count <= len(grid(space, count)) <= 1.6 * count


def test_labels_too_large_for_whole_numbers_are_refused():
    labels = np.zeros((2, 3), dtype=np.uint64)
    labels[0, 0] = 2**63 + 5
    with pytest.raises(ValueError, match=r"labels must be below 2\^63"):
        Parts(labels)
    assert len(Parts(np.where(labels > 0, 2**63 - 1, labels).astype(np.uint64))) == 2
