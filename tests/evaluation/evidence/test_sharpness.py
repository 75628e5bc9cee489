"""A picture is blurred if its sharpest edges are wide, whatever its contrast, size and grain."""

import cv2
import numpy as np
import pytest
from scipy.special import erf

from evaluation.evidence.sharpness import blurred, edge_width


def step(width, size=128, low=40.0, high=200.0):
    """Return an upright edge in the middle of a picture, as wide as a Gaussian of `width` pixels."""
    x = np.arange(size) - size / 2 + 0.5
    edge = (erf(x / (width * 2**0.5)) + 1) / 2
    return np.tile(low + (high - low) * edge, (size, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def scene():
    """Tiles of many grey levels with a disc on them, 8 frames of 96 x 128."""
    rng = np.random.default_rng(0)
    ground = np.kron(rng.uniform(60, 180, (12, 16)), np.ones((8, 8)))
    y, x = np.mgrid[:96, :128]
    discs = [(x - 30 - 6 * t) ** 2 + (y - 50) ** 2 < 100 for t in range(8)]
    return np.stack([np.where(disc, 230, ground) for disc in discs]).astype(np.float32)


def softened(frames, share):
    return np.stack([cv2.GaussianBlur(frame, (0, 0), share * max(frame.shape)) for frame in frames])


@pytest.mark.parametrize("width", [1.5, 2.5, 4.0, 6.0])
def test_the_width_of_a_known_edge(width):
    assert edge_width(step(width)) == pytest.approx(width, rel=0.15)
    assert edge_width(step(width, low=20, high=30)) == pytest.approx(width, rel=0.15)


def test_what_is_blurred_until_only_the_layout_is_left(scene):
    rng = np.random.default_rng(1)
    mush = softened(scene, 0.03)
    assert blurred(mush)
    assert blurred(0.2 * mush)
    assert blurred(mush + rng.normal(0, 3, mush.shape).astype(np.float32))
    assert not blurred(scene)
    assert not blurred(0.1 * scene + rng.normal(0, 2, scene.shape).astype(np.float32))
    assert not blurred(softened(scene, 0.008))  # what an autoencoder leaves


def test_one_sharp_thing_before_what_is_out_of_focus(scene):
    out_of_focus = softened(scene, 0.05)
    y, x = np.mgrid[:96, :128]
    assert not blurred(np.where((x - 60) ** 2 + (y - 50) ** 2 < 64, 230, out_of_focus).astype(np.float32))
    dot = np.full_like(scene, 90)
    dot[:, 50:53, 70:73] = 160
    assert not blurred(dot)


def test_small_pictures_are_as_sharp_as_their_pixels(scene):
    small = np.stack([cv2.resize(frame, (32, 24), interpolation=cv2.INTER_AREA) for frame in scene])
    assert not blurred(small)
    assert not blurred(np.stack([cv2.GaussianBlur(frame, (0, 0), 0.8) for frame in small]))
    assert blurred(np.stack([cv2.GaussianBlur(frame, (0, 0), 2.5) for frame in small]))


def test_a_clip_is_not_judged_by_its_blurred_part(scene):
    assert not blurred(np.concatenate([scene, softened(scene, 0.04)]))


def test_what_is_empty_is_not_blurred():
    assert not blurred(np.full((8, 64, 64), 90, np.float32))
    assert edge_width(np.zeros((64, 64), np.float32)) is None


def test_a_sharp_thing_before_broad_shading_that_is_about_as_steep():
    shaded = np.repeat(step(5.0)[None], 8, axis=0)
    assert blurred(shaded)
    shaded[:, 60:70, 10:20] += 90
    assert not blurred(shaded)
