"""Objects found in RGB have the area, centre and colour of the geometry that was drawn."""

import cv2
import numpy as np
import pytest

from evaluation.objects.segmentation import measuring_size, segment


def segmented(frames):
    return segment(measuring_size(frames))


@pytest.mark.parametrize("blur", [0.0, 0.9])
@pytest.mark.parametrize("background", [(128, 128, 128), (240, 240, 240), (25, 25, 35)])
def test_area_and_centroid_match_the_geometry(draw, blur, background):
    where = (13.3, 17.8)
    clip = draw([{"at": lambda t: where, "radius": 6}], frames=1, background=background)
    if blur:
        clip = np.stack([cv2.GaussianBlur(frame, (0, 0), blur) for frame in clip])
    (blob,) = segmented(clip).blobs[0]
    assert (blob.x, blob.y) == pytest.approx(where, abs=0.1)
    assert blob.area == pytest.approx(np.pi * 36, rel=0.06)
    assert not blob.cut


def test_colours_are_found_in_the_clip(draw):
    clip = draw(
        [{"at": lambda t: (8, 8), "colour": (215, 40, 40)}, {"at": lambda t: (24, 24), "colour": (40, 80, 215)}]
    )
    scene = segmented(clip)
    found = sorted(tuple(np.round(blob.rgb)) for blob in scene.blobs[0])
    assert found == [(40, 80, 215), (215, 40, 40)]
    assert scene.background[0] == pytest.approx((128, 128, 128), abs=1)


def test_objects_that_touch_are_told_apart_by_colour(draw):
    clip = draw([{"at": lambda t: (10, 16)}, {"at": lambda t: (21, 16), "colour": (40, 80, 215)}])
    assert [len(blobs) for blobs in segmented(clip).blobs] == [2] * 17


def test_an_object_at_the_edge_is_cut(draw):
    clip = draw([{"at": lambda t: (3, 16)}], frames=1)
    assert segmented(clip).blobs[0][0].cut


def test_a_clip_of_nothing_but_background_has_no_objects():
    scene = segmented(np.full((5, 32, 32, 3), 128, np.uint8))
    assert scene.plain
    assert not any(scene.blobs)


def test_noise_is_not_a_plain_scene(noise):
    assert not segmented(noise).plain


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 200), (2, 500, 17), (4, 480, 640), (1, 1, 1)])
def test_any_size_is_measured_without_complaint(shape):
    clip = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert len(segmented(clip).blobs) == shape[0]
