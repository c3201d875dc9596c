import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from interpret_segmentation.perturb import Windows
from interpret_segmentation.perturb.masks.windows import suitable_offset, suitable_size

sizes = st.integers(1, 30)


def drawn(circles, row, column):
    """The circle as Pillow draws it straight onto an image, the way release 1.0.0 did."""
    picture = Image.new("L", circles.space[::-1])
    x, y = column * circles.offset, row * circles.offset
    ImageDraw.Draw(picture).ellipse((x, y, x + circles.size, y + circles.size), fill=255)
    return np.asarray(picture) > 0


@given(st.builds(Windows, space=st.tuples(sizes, sizes), size=st.integers(1, 80), offset=st.integers(1, 40)))
def test_every_circle_is_where_it_would_be_drawn(circles):
    hidden = circles.hidden(np.arange(len(circles))).numpy()
    expected = [
        drawn(circles, row, column) for row in range(circles.grid[0]) for column in range(circles.grid[1])
    ]
    np.testing.assert_array_equal(hidden, expected)


@given(st.builds(Windows, space=st.tuples(sizes, sizes), size=sizes, offset=st.integers(3, 20)), st.data())
def test_chunks_of_positions_are_parts_of_the_whole(circles, data):
    first = data.draw(st.integers(0, len(circles)))
    last = data.draw(st.integers(first, len(circles)))
    whole = circles.hidden(np.arange(len(circles)))
    assert (circles.hidden(np.arange(first, last)) == whole[first:last]).all()


@pytest.mark.parametrize(("height", "width", "offset", "rows", "columns"), [
    (240, 240, 5, 48, 48), (48, 40, 7, 7, 6), (1, 1, 1, 1, 1), (10, 3, 100, 1, 1),
])  # fmt: skip
def test_positions_start_at_every_multiple_of_the_offset(height, width, offset, rows, columns):
    circles = Windows((height, width), size=5, offset=offset)
    assert (circles.grid, len(circles)) == ((rows, columns), rows * columns)


def test_a_circle_larger_than_the_image_costs_no_more_than_the_image():
    assert Windows(space=(20, 30), size=10**6, offset=5).kernel.shape == (20, 30)


@given(
    st.builds(Windows, space=st.tuples(sizes, sizes), size=st.integers(1, 12), offset=st.integers(1, 9)),
    st.integers(0, 2**32 - 1),
)
def test_spread_gives_each_pixel_the_largest_value_among_its_circles(circles, seed):
    values = np.random.default_rng(seed).normal(size=len(circles))
    hidden = circles.hidden(np.arange(len(circles))).numpy()
    expected = np.where(hidden, values.reshape(-1, 1, 1), -np.inf).max(axis=0)
    expected[~hidden.any(axis=0)] = np.nan
    np.testing.assert_array_equal(circles.spread(values, np.arange(len(circles)), "max"), expected)


any_space = st.tuples(st.integers(1, 12), st.integers(1, 12)) | st.tuples(*[st.integers(1, 6)] * 3)
any_windows = st.builds(
    Windows,
    space=any_space,
    size=st.integers(1, 9),
    offset=st.integers(1, 6),
    shape=st.sampled_from(["circle", "square"]),
    start=st.integers(-7, 3),
)


def by_loops(windows, number):
    """Which pixels a window hides, pixel by pixel."""
    grid = [-(-side // windows.offset) for side in windows.space]
    corner = [place * windows.offset + windows.start for place in np.unravel_index(number, grid)]
    side = windows.size + (windows.shape == "circle")
    if windows.shape == "circle" and len(grid) == 2:
        disc = np.asarray(drawn(Windows((side, side), windows.size, side), 0, 0))
    hidden = np.zeros(windows.space, dtype=bool)
    for pixel in np.ndindex(windows.space):
        inside = tuple(int(at - first) for at, first in zip(pixel, corner, strict=True))
        if not all(0 <= at < side for at in inside):
            continue
        if windows.shape == "square":
            hidden[pixel] = True
        elif len(grid) == 2:
            hidden[pixel] = disc[inside]
        else:
            hidden[pixel] = sum((at - windows.size / 2) ** 2 for at in inside) <= (side / 2) ** 2
    return hidden


@settings(max_examples=60)
@given(any_windows)
def test_windows_of_every_shape_and_start_are_where_loops_find_them(windows):
    hidden = windows.hidden(np.arange(len(windows))).numpy()
    np.testing.assert_array_equal(hidden, [by_loops(windows, number) for number in range(len(windows))])


@settings(max_examples=60)
@given(any_windows, st.sampled_from(["mean", "max"]), st.integers(0, 2**32 - 1))
def test_spread_merges_the_windows_that_hide_a_pixel_whatever_their_shape_and_start(windows, merge, seed):
    random = np.random.default_rng(seed)
    numbers = np.flatnonzero(random.random(len(windows)) < 0.7)
    values = random.normal(size=len(numbers))
    spread = windows.spread(values, numbers, merge)
    hidden = windows.hidden(numbers).numpy()
    for pixel in np.ndindex(windows.space):
        own = values[hidden[(slice(None), *pixel)]]
        if len(own):
            assert spread[pixel] == pytest.approx(own.mean() if merge == "mean" else own.max())
        else:
            assert np.isnan(spread[pixel])


@settings(max_examples=60)
@given(any_windows, st.integers(0, 2**32 - 1))
def test_a_window_lies_in_a_region_when_its_centre_does(windows, seed):
    region = np.random.default_rng(seed).random(windows.space) < 0.5
    side = windows.size + (windows.shape == "circle")
    for number, inside in enumerate(windows.inside(region)):
        corner = np.array(np.unravel_index(number, windows.grid)) * windows.offset + windows.start
        centre = [
            min(max(0, at + side // 2), whole - 1) for at, whole in zip(corner, windows.space, strict=True)
        ]
        assert inside == region[tuple(centre)]


@settings(max_examples=60)
@given(any_space, st.integers(1, 9), st.integers(1, 6))
def test_squares_that_cover_the_image_reach_its_first_pixels_as_often_as_its_last(space, size, offset):
    windows = Windows.covering(space, size, offset, "square")
    times = windows.hidden(np.arange(len(windows))).sum(0).numpy()
    assert len(windows) == np.prod([-(-side // offset) for side in space])
    if size >= offset:
        assert times.min() >= 1
    for axis, side in enumerate(space):
        if side % offset == 0 and (size - offset) % 2 == 0 and size >= offset:
            np.testing.assert_array_equal(times, np.flip(times, axis))


def test_the_default_offset_is_the_smallest_with_about_a_thousand_positions():
    for whole in range(1, 40):
        assert suitable_offset((32 * whole, 32 * whole)) == whole
        assert suitable_offset((32 * whole + 1, 32 * whole)) == whole + 1


@pytest.mark.parametrize("space", [
    (240, 240), (1, 1), (7, 500), (1, 10000), (3, 5000), (10, 512, 512), (4, 400, 400), (64, 64, 64),
])  # fmt: skip
def test_the_default_windows_leave_no_gaps_and_are_no_more_than_they_need_be(space):
    size, offset = suitable_size(space), suitable_offset(space)
    assert size >= offset
    windows = Windows.covering(space, size, offset, "square")
    assert len(windows) <= 1024 or offset == size


@pytest.mark.parametrize(
    ("space", "size"), [((240, 240), 11), ((1, 1), 1), ((7, 500), 3), ((50, 50, 50), 10)]
)
def test_the_default_size_is_a_share_of_the_image(space, size):
    assert suitable_size(space) == size


def test_an_unknown_shape():
    with pytest.raises(ValueError, match="shape must be one of circle, square, got 'star'"):
        Windows((5, 5), 3, 3, "star")


@given(
    st.sampled_from(["circle", "square"]),
    st.integers(1, 30),
    st.integers(1, 9),
    st.lists(st.integers(1, 17), min_size=2, max_size=3),
)
def test_a_window_cut_out_of_the_image_hides_the_same_pixels(shape, size, offset, space):
    for windows in (
        Windows(tuple(space), size, offset, shape),
        Windows.covering(tuple(space), size, offset, shape),
    ):
        numbers = np.arange(len(windows))[:50]
        boxed, corners = windows.boxed(numbers)
        whole = torch.zeros(len(numbers), *space, dtype=torch.bool)
        for mask, part, corner in zip(whole, boxed, corners, strict=True):
            mask[tuple(slice(at, at + side) for at, side in zip(corner, part.shape, strict=True))] = part
        assert torch.equal(whole, windows.hidden(numbers))
