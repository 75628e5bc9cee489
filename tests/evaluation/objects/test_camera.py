"""The camera's motion is found from the background, whatever moves in front of it."""

import cv2
import numpy as np
import pytest

from evaluation.objects.camera import find_camera

SIDE, FRAMES = 48, 9


def panned(pan, zoom, texture=12.0):
    """Return the luma of a textured background under a moving camera, a disc that moves by itself, and its mask."""
    rng = np.random.default_rng(0)
    cloth = cv2.GaussianBlur(rng.normal(0, 1, (200, 200)).astype(np.float32), (0, 0), 4)
    u, v = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    frames, background = [], []
    for t in range(FRAMES):
        x = SIDE / 2 + (u - SIDE / 2 - pan[0] * t) / np.exp(zoom * t) + 70
        y = SIDE / 2 + (v - SIDE / 2 - pan[1] * t) / np.exp(zoom * t) + 70
        frame = 110 + texture / cloth.std() * cv2.remap(
            cloth, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR
        )
        disc = (u - 12 - 2.5 * t) ** 2 + (v - 24) ** 2 < 60
        frames.append(np.where(disc, 220, frame) + rng.normal(0, 2, frame.shape))
        background.append(~disc)
    return np.array(frames), np.array(background)


@pytest.mark.parametrize(("pan", "zoom"), [((1.5, -0.7), 0.0), ((0.0, 0.0), 0.02), ((-1.2, 0.4), -0.012)])
def test_pan_and_zoom_are_measured(pan, zoom):
    camera = find_camera(*panned(pan, zoom))
    assert camera.pans[-1] == pytest.approx(np.array(pan) * (FRAMES - 1), abs=0.3)
    assert camera.zooms[-1] == pytest.approx(zoom * (FRAMES - 1), abs=0.01)
    fixed = np.array([[20.0, 30.0]])
    seen = SIDE / 2 + np.exp(zoom * (FRAMES - 1)) * (fixed - SIDE / 2) + np.array(pan) * (FRAMES - 1)
    assert camera.steady(np.array([FRAMES - 1]), seen) == pytest.approx(fixed, abs=0.4)


@pytest.mark.parametrize("texture", [12.0, 0.0])
def test_a_camera_at_rest_and_a_plain_background_stay_where_they_are(texture):
    camera = find_camera(*panned((0.0, 0.0), 0.0, texture))
    assert not camera.pans.any()
    assert not camera.zooms.any()
    assert camera.shared(SIDE, SIDE) == 1.0


def test_what_stays_in_view_is_the_world_s_frame():
    camera = find_camera(*panned((1.5, 0.0), 0.0))
    assert camera.shared(SIDE, SIDE) == pytest.approx(1 - 1.5 * (FRAMES - 1) / SIDE, abs=0.01)
