"""Smooth gradients, told from scenes that are blurred until only their layout is left."""

import cv2
import numpy as np

from evaluation.evidence.gradients import gradients, left_by_surface

Y, X = np.mgrid[:72, :96] / 96
RAMP = np.stack([255 * X, 200 * Y, np.full_like(X, 120)], axis=-1)


def test_a_ramp_is_a_gradient_however_grainy_and_a_surface_leaves_nothing_of_it():
    grain = np.random.default_rng(0).normal(0, 6, (5, *RAMP.shape))
    assert left_by_surface(RAMP) < 1e-6
    assert gradients((RAMP + grain).clip(0, 255).astype(np.uint8))
    assert gradients(np.full((3, 72, 96, 3), 90, np.uint8))


def test_a_scene_is_none_sharp_or_blurred_nor_is_a_gradient_in_which_a_thing_appears():
    rng = np.random.default_rng(1)
    scene = np.kron(rng.uniform(60, 180, (9, 12, 3)), np.ones((8, 8, 1)))
    assert not gradients(scene[None].astype(np.uint8))
    assert not gradients(cv2.GaussianBlur(scene, (0, 0), 3)[None].astype(np.uint8))
    clip = np.repeat(RAMP[None], 9, axis=0)
    clip[5][np.hypot(X - 0.4, Y - 0.3) < 0.1] = 250, 30, 30
    assert not gradients(clip.astype(np.uint8))
