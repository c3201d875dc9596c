import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from interpret_segmentation import hdm
from interpret_segmentation.show import draw_edges, draw_image, draw_map


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture
def image():
    image = torch.zeros(20, 30)
    image[5:12, 8:20] = 0.7
    return image


def colorbar_of(axes):
    (bar,) = [other for other in axes.figure.axes if other is not axes]
    return bar


def test_edges_lie_where_the_brightness_jumps_and_nowhere_else(axes, image):
    draw_edges(axes, image)
    (drawn,) = axes.images
    edges = ~np.ma.getmaskarray(drawn.get_array())
    rows, columns = np.nonzero(edges)
    assert edges.any()
    assert set(rows) <= set(range(4, 13))
    assert set(columns) <= set(range(7, 21))
    assert not edges[7:10, 10:18].any()


def test_a_flat_image_has_no_edges(axes):
    draw_edges(axes, np.full((5, 5), 3.0))
    assert not axes.images


def test_the_colours_run_over_the_values_of_the_map_and_the_bar_says_so(axes, image):
    saliency = np.linspace(-2, 5, 600).reshape(20, 30)
    saliency[0, 3] = np.nan
    draw_map(axes, saliency, image, title="a map", label="pixels")
    assert axes.images[0].get_clim() == (-2, 5)
    bar = colorbar_of(axes)
    assert bar.get_ylim() == (-2, 5)
    assert bar.get_ylabel() == "pixels"
    assert axes.get_title() == "a map"


def test_map_and_edges_share_the_pixels_of_the_image(axes, image):
    draw_map(axes, image.numpy(), image)
    extents = {tuple(shown.get_extent()) for shown in axes.images}
    assert extents == {(-0.5, 29.5, 19.5, -0.5)}


def test_a_map_of_one_value_has_one_tick(axes, image):
    draw_map(axes, np.full((20, 30), 4.0), image)
    assert colorbar_of(axes).get_yticks().tolist() == [4.0]


def test_a_circle_map_is_shown_as_it_is_with_the_limits_given(axes, image):
    result = hdm.HDMResult([[0.0, 3.0], [1.0, 2.0]], 0, 30, 20, circle_size=9, offset=15)
    picture = result.circle_map(hdm.RAW, "Blues")
    draw_map(axes, picture, image, limits=(0, 3), color_map="Blues")
    np.testing.assert_array_equal(axes.images[0].get_array(), np.asarray(picture))
    assert colorbar_of(axes).get_ylim() == (0, 3)
    with pytest.raises(ValueError, match="needs limits"):
        draw_map(axes, picture, image)


def test_an_image_is_shown_without_axes(axes, image):
    draw_image(axes, image, title="input")
    np.testing.assert_array_equal(axes.images[0].get_array(), image.numpy())
    assert not axes.axison
