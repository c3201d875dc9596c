import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from interpret_segmentation.perturb import Windows

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
