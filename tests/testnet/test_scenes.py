import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpret_segmentation.testnet import SIZE, draw_scene

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
