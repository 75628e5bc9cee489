"""The camera is followed through pans, zooms and turns, and stands still where it does."""

import cv2
import numpy as np
import pytest

from evaluation.evidence.camera import Camera, carry, follow_camera
from evaluation.evidence.shots import Shot
from tests.evaluation.evidence.scenery import disc, grainy, real, seen, shifts, wall

CORNERS = np.array([[0, 0], [127, 0], [127, 71], [0, 71]], dtype=float)


def followed(clip: np.ndarray, *shots: Shot) -> Camera:
    luma = np.stack([cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2GRAY) for frame in clip])
    return follow_camera(luma, shots or (Shot(0, len(clip) - 1),))


def error(camera: Camera, path: list[np.ndarray], corners: np.ndarray = CORNERS) -> float:
    """Return by how many pixels, at most, the frames' corners are misplaced in the first frame."""
    found = [carry(matrix, corners) for matrix in camera.to_first]
    truth = [carry(path[0] @ np.linalg.inv(matrix), corners) for matrix in path]
    return float(np.abs(np.array(found) - truth).max())


def test_a_slow_pan_does_not_drift():
    path = shifts(np.stack([100 + 0.17 * np.arange(120), 40 + 3 * np.sin(np.arange(120) / 9)], axis=1))
    clip = grainy(seen(wall(200, 400), path))
    camera = followed(clip)
    assert camera.moves
    assert camera.reliable.all()
    assert error(camera, path) < 0.8


def test_a_long_pan_is_followed_beyond_the_first_frame():
    path = shifts(np.stack([4.0 * np.arange(80), 20 + 0.3 * np.arange(80)], axis=1))
    camera = followed(grainy(seen(wall(120, 500), path)))
    assert camera.reliable.all()
    assert error(camera, path) < 3.0  # of 316 pixels


def test_zoom_turn_and_perspective_are_followed():
    path = []
    for t in range(40):
        turn = cv2.getRotationMatrix2D((200.0, 150.0), 0.4 * t, 1 + 0.01 * t)
        lean = np.array([[1, 0, 0], [0, 1, 0], [2e-5 * t, 0, 1]])
        path.append(lean @ shifts(np.array([[136.0, 114.0]]))[0] @ np.vstack([turn, [0, 0, 1]]))
    camera = followed(grainy(seen(wall(300, 400), path)))
    assert camera.reliable.all()
    assert error(camera, path) < 1.5


@pytest.mark.parametrize("radius", [8.0, 22.0])
def test_what_moves_before_a_still_camera_does_not_move_it(radius):
    clip = grainy(np.repeat(wall()[None], 40, axis=0))
    thing = wall(72, 128, 9)
    for t in range(40):
        mask = cv2.circle(np.zeros((72, 128), np.uint8), (4 * t - 20, 40), int(radius), 1, -1).astype(bool)
        clip[t][mask] = np.roll(thing, 4 * t, axis=1)[mask]
    camera = followed(clip)
    assert not camera.moves
    assert (camera.to_next == np.eye(3)).all()
    assert camera.reliable.all()


def test_light_does_not_move_the_camera():
    light = np.random.default_rng(0).uniform(0.6, 1.2, (30, 1, 1, 1))
    camera = followed(grainy(np.clip(wall()[None] * light, 0, 255)))
    assert not camera.moves
    assert camera.reliable.all()


def test_a_thing_before_a_plain_wall_says_nothing_of_the_camera():
    clip = disc(
        np.full((30, 72, 128, 3), 90, np.uint8),
        np.stack([20 + 3 * np.arange(30), 40 + 0 * np.arange(30)], 1),
        9,
        (200, 30, 30),
    )
    camera = followed(clip)
    assert not camera.moves
    assert not camera.reliable.any()


def test_small_frames_are_followed():
    path = shifts(np.stack([20 + 0.5 * np.arange(30), 20 + 0 * np.arange(30)], axis=1))
    camera = followed(seen(wall(72, 128), path, (32, 32)))
    assert camera.reliable.mean() > 0.9
    assert error(camera, path, np.array([[0, 0], [31, 31]])) < 1.5


def test_every_shot_has_a_first_frame():
    pan = shifts(np.stack([2.0 * np.arange(10), np.zeros(10)], axis=1))
    clip = np.concatenate([seen(wall(100, 200, 1), pan), seen(wall(100, 200, 2), pan)])
    camera = followed(clip, Shot(0, 9), Shot(10, 19))
    np.testing.assert_array_equal(camera.to_first[10], np.eye(3))
    assert not camera.reliable[9]
    where = camera.steady(np.array([9, 19]), np.array([[50.0, 40.0], [50.0, 40.0]]))
    np.testing.assert_allclose(where, [[68, 40], [68, 40]], atol=0.7)


def test_real_still_cameras_stand_still(shared_media):
    for name in ("dance-room", "parking-lot-car", "ball-toss"):
        assert not followed(real(shared_media, name, 60)).moves, name


def test_a_real_pan_is_known(shared_media):
    camera = followed(real(shared_media, "tennis", 70))
    assert camera.moves
    assert camera.reliable.all()


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (5, 8, 8, 3), (5, 1, 9, 3)])
def test_noise_is_no_motion(shape):
    clip = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    camera = followed(clip)
    assert camera.to_first.shape == (len(clip), 3, 3)
    assert not camera.reliable.any()
