import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from networks import brightness

from interpret_segmentation import Explanation, explain, explain_channels
from interpret_segmentation.show.explanations import in_colour

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def blob(height=23, width=31, channels=1):
    image = torch.zeros(channels, height, width)
    image[:, 5:14, 8:20] = 1
    return image


def occluded(image=None, **settings):
    image = blob() if image is None else image
    return explain(brightness, image, "occlusion", progress=False, **({"score": "mse", "size": 6} | settings))


def pictures(axes):
    return axes.get_images()


def bars(figure):
    return [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]


def made(values, **fields):
    return Explanation(
        np.asarray(values, dtype=float), meaning="change", unit="pixels", method="hdm", **fields
    )


def test_the_map_is_drawn_pixel_on_pixel_with_a_colour_bar_that_says_meaning_and_unit():
    values = np.arange(6.0).reshape(2, 3)
    axes = made(values).plot()
    (drawn,) = pictures(axes)
    np.testing.assert_array_equal(drawn.get_array(), values)
    assert drawn.get_extent() == [-0.5, 2.5, 1.5, -0.5]
    assert drawn.get_clim() == (0, 5)
    (bar,) = bars(axes.figure)
    assert bar.get_ylabel() == "change (pixels)"


def test_the_darkest_colour_of_a_loss_is_no_loss_and_of_a_probability_the_smallest():
    values = np.array([[3.0, 5.0]])
    assert pictures(made(values).plot())[0].get_clim() == (0, 5)
    assert pictures(Explanation(values, from_zero=False).plot())[0].get_clim() == (3, 5)


def test_axes_that_are_passed_in_are_drawn_into_and_given_back():
    figure, (left, right) = plt.subplots(1, 2)
    explanation = occluded()
    assert explanation.plot(left, color_bar=False) is left
    assert explanation.overlay(right) is right
    assert pictures(left)
    assert len(plt.get_fignums()) == 1
    assert len(figure.axes) == 3


def test_colours_diverge_with_white_at_zero_when_the_sign_matters():
    signed = made([[-1.0, 0.0, 4.0]]).plot()
    (drawn,) = pictures(signed)
    assert drawn.get_clim() == (-4, 4)
    zero, one_down = drawn.cmap(drawn.norm(0.0)), drawn.cmap(drawn.norm(-4.0))
    assert min(zero[:3]) > 0.95
    assert one_down[2] > one_down[0]
    assert made([[0.0, 4.0]]).plot().get_images()[0].cmap.name == "viridis"


def test_limits_and_colour_map_can_be_chosen():
    (drawn,) = pictures(made([[0.0, 4.0]]).plot(limits=(0, 10), color_map="Reds"))
    assert (drawn.get_clim(), drawn.cmap.name) == ((0, 10), "Reds")


def test_pixels_that_were_never_hidden_have_no_colour_and_the_bar_says_so():
    explanation = occluded(within=np.pad(np.ones((5, 5)), ((5, 13), (5, 21))))
    axes = explanation.plot()
    drawn = pictures(axes)[0].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(np.ma.masked_invalid(drawn)), ~explanation.reached)
    assert "never hidden" in bars(axes.figure)[0].get_ylabel()
    opacity = pictures(explanation.overlay())[1].get_alpha()
    assert (opacity[~explanation.reached] == 0).all()


def test_over_the_image_a_value_is_the_more_opaque_the_stronger_it_is():
    image = np.linspace(0, 1, 3).reshape(1, 1, 3)
    under, over = pictures(made([[0.0, 1.0, -2.0]], image=image).overlay(alpha=0.8))
    np.testing.assert_array_equal(under.get_array(), image[0])
    np.testing.assert_allclose(over.get_alpha(), [[0, 0.4, 0.8]])


def test_a_map_of_one_value_has_a_bar_with_that_value_only():
    axes = Explanation(np.full((3, 4), 7.0), from_zero=False).plot()
    (bar,) = bars(axes.figure)
    assert [label.get_text() for label in bar.get_yticklabels()] == ["7"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (7, 300), (300, 7), (23, 31)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_every_size_and_number_of_channels_can_be_drawn(shape, channels):
    image = torch.rand(channels, *shape, generator=torch.Generator().manual_seed(0))
    drawn = occluded(image, size=None).figure()
    drawn.canvas.draw()
    assert len(drawn.axes) == 3


@pytest.mark.parametrize("segment", [np.zeros((4, 5), bool), np.ones((4, 5), bool), np.eye(4, 5) > 0])
def test_empty_full_and_thin_segments_have_an_outline_or_none(segment):
    image = np.zeros((1, 4, 5))
    drawn = made(np.arange(20.0).reshape(4, 5), image=image, segment=segment, pixels=segment).figure()
    legend = drawn.axes[0].get_legend()
    assert (legend is not None) == segment.any()


def test_the_legend_names_segment_explained_pixels_and_ground_truth():
    truth = blob()[0].roll(3, dims=0)
    figure = occluded(target=(7, 9), reference=truth).figure()
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == ["segment", "explained", "ground truth"]


def test_of_a_volume_the_strongest_slice_is_shown_unless_another_is_asked_for():
    volume = np.zeros((4, 5, 6))
    volume[2, 1, 1] = -3
    explanation = made(volume, image=np.zeros((1, 4, 5, 6)))
    axes = explanation.plot()
    np.testing.assert_array_equal(pictures(axes)[0].get_array(), volume[2])
    assert "slice 2 of 4" in axes.get_title()
    np.testing.assert_array_equal(pictures(explanation.plot(depth=0))[0].get_array(), volume[0])
    assert "slice 2 of 4" in explanation.figure().axes[0].get_title()


@pytest.mark.parametrize(("factor", "offset"), [(1, 0), (255, 0), (3, -1.5)])
def test_a_colour_image_keeps_its_colours(factor, offset):
    image = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0)).numpy()
    image[0, 0, 0], image[1, 0, 0] = 0, 1
    shown = in_colour(image * factor + offset)
    assert shown.shape == (4, 5, 3)
    spread = np.ptp(image) if offset else 1
    low = image.min() if offset else 0
    np.testing.assert_allclose(shown, np.moveaxis((image - low) / spread, 0, -1), atol=1e-6)


def test_without_an_image_there_is_nothing_to_draw_over():
    with pytest.raises(ValueError, match="built without an image"):
        made([[1.0, 2.0]]).overlay()
    assert len(made([[1.0, 2.0]]).figure().axes) == 3


def test_channels_are_drawn_on_one_scale():
    image = torch.cat([blob(), blob() * 0.6])

    def both(batch):
        return (0.9 * batch[:, :1] + 0.1 * batch[:, 1:]).clamp(0, 1)

    channels = explain_channels(both, image, "occlusion", score="mse", names=("T1", "T2"), progress=False)
    figure = channels.plot()
    panels = [axes for axes in figure.axes if axes.get_images()]
    assert [axes.get_title() for axes in panels] == ["channel T1", "channel T2"]
    limits = {axes.get_images()[0].get_clim() for axes in panels}
    assert limits == {(channels.saliency.min(), channels.saliency.max())}
    assert len(bars(figure)) == 1


@pytest.mark.parametrize("size", [(61, 97), (97, 61), (20, 200)])
def test_the_label_of_the_colour_bar_lies_within_the_figure(size):
    drawn = explain(brightness, blob(*size), "hdm", progress=False).figure()
    drawn.canvas.draw()
    whole = drawn.bbox
    bar = drawn.axes[-1]
    for label in (bar.yaxis.label, bar.xaxis.label):
        box = label.get_window_extent()
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1


def test_a_figure_is_not_kept_by_pyplot_so_that_a_notebook_shows_it_once():
    plt.close("all")
    made = explain(brightness, two_sides(), "occlusion", size=4, progress=False)
    channels = explain_channels(brightness, two_sides(), "occlusion", size=4, progress=False)
    for drawn in (made.figure(), channels.plot()):
        assert plt.get_fignums() == []
        drawn.canvas.draw()
        assert np.asarray(drawn.canvas.buffer_rgba()).std() > 0


@pytest.mark.parametrize("space", [(20, 30), (10, 60)])
def test_the_size_of_a_figure_can_be_chosen(space, tmp_path):
    image = torch.zeros(space)
    image[2:8, 5:15] = 1
    made = explain(brightness, image, "occlusion", size=4, progress=False)
    channels = explain_channels(brightness, image, "occlusion", size=4, progress=False)
    for drawn in (made.figure(figsize=(7, 3)), channels.plot(figsize=(7, 3))):
        assert tuple(drawn.get_size_inches()) == (7, 3)
        drawn.savefig(tmp_path / "a.png", dpi=50)
        assert plt.imread(tmp_path / "a.png").shape[:2] == (150, 350)


def two_sides():
    image = torch.zeros(20, 30)
    image[4:12, 5:15] = 1
    return image
