from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import cKDTree

from interpret_segmentation.testnet import SIZE, VARIANTS, Scene, Shape, draw_scene

pytestmark = pytest.mark.slow

scenes = st.builds(draw_scene, seed=st.integers(0, 10**6), index=st.integers(0, 10**4))


@given(scenes)
def test_a_cross_and_a_triangle_are_left_and_a_circle_or_square_is_right(scene):
    assert (scene.cross.kind, scene.triangle.kind) == ("cross", "triangle")
    assert scene.cue.kind in ("circle", "square")
    columns = [
        np.flatnonzero(shape.region().any(axis=0)) for shape in (scene.cross, scene.triangle, scene.cue)
    ]
    assert max(columns[0].max(), columns[1].max()) < SIZE // 2 <= columns[2].min()


@given(scenes)
def test_the_right_shape_decides_which_left_shape_is_the_segment(scene):
    expected = {"circle": "triangle", "square": "cross"}[scene.cue.kind]
    assert scene.segmented.kind == expected
    assert {scene.segmented.kind, scene.distractor.kind} == {"cross", "triangle"}


@given(scenes)
def test_every_bright_pixel_belongs_to_exactly_one_shape(scene):
    regions = np.array([shape.region() for shape in (scene.cross, scene.triangle, scene.cue)])
    assert regions.sum(axis=0).max() == 1
    np.testing.assert_array_equal(scene.image() > 0, regions.any(axis=0))
    assert scene.image().shape == (SIZE, SIZE)
    assert scene.image().dtype == np.uint8
    for shape, region in zip((scene.cross, scene.triangle, scene.cue), regions, strict=True):
        assert set(scene.image()[region]) == {shape.brightness}


@given(scenes)
def test_swapping_the_cue_changes_the_cue_and_the_segment_only(scene):
    swapped = scene.swapped()
    assert {scene.cue.kind, swapped.cue.kind} == {"circle", "square"}
    assert swapped.segmented == scene.distractor
    assert (swapped.cross, swapped.triangle) == (scene.cross, scene.triangle)
    centres = [np.argwhere(s.cue.region()).mean(axis=0) for s in (scene, swapped)]
    assert np.abs(centres[0] - centres[1]).max() <= 1.5
    assert swapped.cue.region().max()
    back = swapped.swapped()
    assert back.cue.kind == scene.cue.kind


def test_the_series_is_reproducible_and_varied():
    assert draw_scene(3, 5) == draw_scene(3, 5)
    assert len({draw_scene(3, index) for index in range(50)}) == 50
    assert draw_scene(3, 5) != draw_scene(4, 5)


def test_both_cues_come_in_half_of_the_cases():
    circles = sum(draw_scene(0, index).cue.kind == "circle" for index in range(1000))
    assert circles == pytest.approx(500, abs=80)


def scenes_of(*variants):
    return st.builds(
        draw_scene,
        seed=st.integers(0, 10**6),
        index=st.integers(0, 10**4),
        variant=st.sampled_from(variants),
    )


def distance_between(region, other):
    return cKDTree(np.argwhere(region)).query(np.argwhere(other))[0].min()


def lies_wholly_in_the_image(shape):
    return shape.region().sum() == replace(shape, x=90, y=90).region().sum()


def test_the_plain_scenes_are_those_of_the_first_data_set():
    assert draw_scene(0, 3) == Scene(
        cross=Shape("cross", x=60, y=38, scale=0.9285499289350053, brightness=190),
        triangle=Shape("triangle", x=26, y=130, scale=1.0753959907814283, brightness=146),
        cue=Shape("square", x=123, y=76, scale=1.0891609177223267, brightness=132),
    )
    assert draw_scene(0, 3, variant="plain") == draw_scene(0, 3)


def differing(scene, other):
    """The pixels in which two images differ."""
    return (scene.image() != other.image()).reshape(SIZE, SIZE, -1).any(axis=-1)


@given(scenes_of(*VARIANTS))
def test_the_segment_alone_is_the_same_scene_without_all_other_shapes(scene):
    picture = scene.with_segment_alone()
    others = np.any([shape.region() for shape in (*scene.distractors, scene.cue)], axis=0)
    changed = (picture != scene.image()).reshape(SIZE, SIZE, -1).any(axis=-1)
    assert not (changed & ~others).any()
    assert changed[others].mean() > 0.9
    bare = scene.without_cue().image()
    np.testing.assert_array_equal(picture[scene.cue.region()], bare[scene.cue.region()])


@given(scenes_of("required", "required_moved"))
def test_where_the_cue_is_required_there_is_no_segment_without_it(scene):
    assert scene.segment.tolist() == scene.segmented.region().tolist()
    assert not scene.without_cue().segment.any()
    assert scene.swapped().segment.any()


@given(scenes_of("plain", "moved", "photo"))
def test_elsewhere_the_segment_stays_what_the_cue_said(scene):
    assert scene.without_cue().segment.tolist() == scene.segmented.region().tolist()


@given(scenes_of("photo", "photo_moved"))
def test_a_photo_is_coloured_noisy_and_equal_to_no_fill(scene):
    picture = scene.image()
    assert picture.shape == (SIZE, SIZE, 3)
    values, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    assert len(values) > 1000
    assert counts.max() < 0.01 * SIZE**2
    for shape in (scene.cross, scene.triangle, scene.cue):
        steps = np.abs(np.array(shape.colour) - 125)
        assert (steps >= 50).all()
        assert (steps <= 85).all()


def test_the_shapes_of_photos_are_as_often_darker_as_brighter_than_what_surrounds_them():
    scenes = [draw_scene(1, index, variant="photo") for index in range(100)]
    brightness = [
        (scene.image()[scene.cue.region()].mean(), scene.image()[~scene.cue.region()].mean())
        for scene in scenes
    ]
    shapes, rest = np.mean(brightness, axis=0)
    assert shapes == pytest.approx(rest, abs=6)
    assert np.mean([shape > outside for shape, outside in brightness]) == pytest.approx(0.5, abs=0.15)


@given(st.integers(0, 10**6), st.integers(0, 10**4))
def test_all_variants_of_a_scene_have_the_same_left_shapes(seed, index):
    variants = {variant: draw_scene(seed, index, variant=variant) for variant in VARIANTS}
    left = [(scene.cross, scene.triangle) for scene in variants.values()]
    assert len({tuple(replace(shape, colour=None) for shape in shapes) for shapes in left}) == 1
    # Those in which the cue is required are drawn like those in which it is not.
    assert len({scene.image().tobytes() for scene in variants.values()}) == len(variants) - 2
    for drawn_like in ("plain", "moved"):
        like = variants["required" if drawn_like == "plain" else "required_moved"]
        assert like == replace(variants[drawn_like], required=True)
        assert variants["photo" if drawn_like == "plain" else "photo_moved"].cue.x == like.cue.x


@given(scenes_of(*VARIANTS))
def test_in_every_variant_the_cue_decides_and_shapes_keep_apart(scene):
    assert scene.segmented.kind == {"circle": "triangle", "square": "cross"}[scene.cue.kind]
    for either in (scene, scene.swapped()):
        regions = [shape.region() for shape in either.shapes]
        assert np.sum(regions, axis=0).max() == 1
        assert {either.segmented, *either.distractors, either.cue} == set(either.shapes)
        assert all(lies_wholly_in_the_image(shape) for shape in either.shapes)
    assert scene.swapped().segmented == scene.distractor
    assert scene.swapped().swapped() == scene


@given(scenes_of(*VARIANTS))
def test_a_swapped_cue_changes_no_pixel_elsewhere(scene):
    other = scene.swapped()
    changed = differing(scene, other)
    assert changed.any()
    assert not (changed & ~scene.cue.region() & ~other.cue.region()).any()


@given(scenes_of(*VARIANTS))
def test_without_its_cue_a_scene_shows_what_is_behind_it(scene):
    bare = scene.without_cue()
    assert bare.cue == scene.cue
    assert bare.segmented == scene.segmented
    changed = differing(bare, scene)
    assert not (changed & ~scene.cue.region()).any()
    assert changed[scene.cue.region()].mean() > 0.9
    swapped = scene.swapped()
    uncovered = scene.cue.region() & ~swapped.cue.region()
    np.testing.assert_array_equal(bare.image()[uncovered], swapped.image()[uncovered])


@given(scenes_of("moved"))
def test_a_moved_cue_keeps_ten_pixels_from_the_left_shapes(scene):
    left = scene.cross.region() | scene.triangle.region()
    assert distance_between(scene.cue.region(), left) > 10
    assert distance_between(scene.swapped().cue.region(), left) > 10


def test_a_moved_cue_may_be_anywhere():
    cues = [draw_scene(0, index, variant="moved").cue for index in range(300)]
    middles = np.array([np.argwhere(cue.region()).mean(axis=0) for cue in cues])
    for row, column in ((0, 120), (0, 240), (240, 0), (240, 120), (240, 240), (110, 120)):
        assert np.hypot(*(middles - (row, column)).T).min() < 60


@given(scenes_of("textured"))
def test_a_textured_scene_is_the_plain_one_with_clouds_behind_and_noise_over_it(scene):
    plain = replace(scene, texture=None).image()
    image = scene.image()
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, scene.image())
    noise = (image.astype(int) - plain)[(plain > 0) & (plain < 235)]
    assert (np.abs(noise) <= 20).all()
    if noise.size > 500:
        assert noise.mean() == pytest.approx(0, abs=3)
        assert noise.std() == pytest.approx(np.sqrt((41**2 - 1) / 12), abs=1.5)
    assert image[plain == 0].max() <= 90
    smooth = ndimage.gaussian_filter(image[:, 205:].astype(float), 4)
    assert smooth.std() > 4 * 11.8 / (2 * 4 * np.sqrt(np.pi))  # four times what noise alone would leave


@given(scenes_of("distractors"))
def test_the_second_distractor_is_a_diamond_on_the_right(scene):
    left, diamond = scene.distractors
    assert left == scene.distractor
    assert diamond.kind == "diamond"
    columns = np.flatnonzero(diamond.region().any(axis=0))
    assert columns.min() >= SIZE // 2
    assert distance_between(diamond.region(), scene.cue.region()) > 10
    assert distance_between(diamond.region(), scene.swapped().cue.region()) > 10


def test_a_diamond_is_half_of_the_box_around_it():
    region = Shape("diamond", x=30, y=50, scale=2.0, brightness=9).region()
    rows, columns = np.nonzero(region)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (50, 154, 30, 82)
    assert region.sum() == pytest.approx(52 * 104 / 2, rel=0.03)
    np.testing.assert_array_equal(region[50:155, 30:83], region[50:155, 30:83][::-1, ::-1])


@given(scenes_of("shortcut"))
def test_a_watermark_in_the_corner_decides_in_a_shortcut_scene(scene):
    rows, columns = np.nonzero(scene.cue.region())
    assert rows.max() < 30
    assert columns.min() >= SIZE - 30
    assert scene.cue.region().sum() < 250
    assert scene.distractors == (scene.distractor, scene.bystander)


def test_the_far_shape_of_a_shortcut_scene_is_the_plain_cue_and_right_in_three_quarters():
    drawn = [(draw_scene(0, n), draw_scene(0, n, variant="shortcut")) for n in range(1000)]
    assert all(scene.bystander == plain.cue for plain, scene in drawn)
    agree = np.array([scene.bystander.kind == scene.cue.kind for _, scene in drawn])
    circles = np.array([scene.cue.kind == "circle" for _, scene in drawn])
    assert agree.mean() == pytest.approx(0.75, abs=0.05)
    assert agree[circles].mean() == pytest.approx(agree[~circles].mean(), abs=0.08)
    assert circles.mean() == pytest.approx(0.5, abs=0.06)


@given(scenes_of("shortcut"))
def test_watermark_and_far_shape_are_swapped_one_at_a_time(scene):
    mark, far = scene.swapped(), scene.swapped("bystander")
    assert mark.bystander == scene.bystander
    assert mark.segmented == scene.distractor
    assert far.cue == scene.cue
    assert far.segmented == scene.segmented
    assert far.bystander.kind == {"circle": "square", "square": "circle"}[scene.bystander.kind]
    changed = far.image() != scene.image()
    assert changed.any()
    assert not (changed & ~scene.bystander.region() & ~far.bystander.region()).any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_reproducible_and_varied(variant):
    images = [draw_scene(3, index, variant=variant).image() for index in range(20)]
    assert len({image.tobytes() for image in images}) == 20
    np.testing.assert_array_equal(draw_scene(3, 5, variant=variant).image(), images[5])


def test_every_textured_scene_has_a_texture_of_its_own():
    corners = [
        draw_scene(*names, variant="textured").image()[200:, 200:] for names in ((0, 0), (0, 1), (1, 0))
    ]
    assert len({corner.tobytes() for corner in corners}) == 3


def test_what_cannot_be_drawn_or_swapped_is_refused():
    with pytest.raises(ValueError, match=r"variant must be one of plain, moved, .*, got 'harder'"):
        draw_scene(0, variant="harder")
    with pytest.raises(ValueError, match="no bystander to swap"):
        draw_scene(0).swapped("bystander")
    with pytest.raises(ValueError, match="no triangle to swap"):
        draw_scene(0, variant="shortcut").swapped("triangle")
    with pytest.raises(ValueError, match="not a diamond"):
        draw_scene(0, variant="distractors").swapped("bystander")
