"""Shapes are named from single views; their ideal moments match integration."""

import cv2
import numpy as np
import pytest

from evaluation.fidelity.shapes import SQUARE_M4, TRIANGLE_M3, classify_shape
from evaluation.objects.segmentation import measuring_size, segment

SHAPES = ("circle", "square", "triangle")


def figure(shape, draw, rng, blur, noise):
    """Return one figure of about 12 pixels at a random place and angle, blurred and noisy."""
    radius = {"circle": 6.0, "square": 7.5, "triangle": 8.0}[shape]
    x, y, turn = *rng.uniform(11, 21, 2), rng.uniform(0, 7)
    clip = draw([{"at": lambda t: (x, y), "radius": radius, "shape": shape, "angle": lambda t: turn}], frames=1)
    clip = np.stack([cv2.GaussianBlur(frame, (0, 0), blur) for frame in clip]) if blur else clip
    return np.clip(clip + rng.normal(0, noise, clip.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("blur", "noise", "least"), [(0, 0, 0.97), (1.0, 5, 0.95)])
def test_single_views_are_named_rightly(draw, blur, noise, least):
    rng = np.random.default_rng(0)
    right = []
    for i in range(90):
        blobs = segment(measuring_size(figure(SHAPES[i % 3], draw, rng, blur, noise))).blobs[0]
        right.append(classify_shape(blobs[:1])[0] == SHAPES[i % 3])
    assert np.mean(right) >= least


def test_ideal_moments_match_integration_over_the_figures():
    grid = np.linspace(-1.1, 1.1, 1501)
    x, y = np.meshgrid(grid, grid)
    cell = (grid[1] - grid[0]) ** 2
    for sides, order, ideal in ((3, 3, TRIANGLE_M3), (4, 4, SQUARE_M4)):
        turns = 0.3 + 2 * np.pi * np.arange(sides) / sides
        inside = np.all([x * np.cos(a) + y * np.sin(a) < np.cos(np.pi / sides) for a in turns], axis=0)
        z = (x + 1j * y)[inside]
        moment = abs(((z - z.mean()) ** order).sum() * cell) / (inside.sum() * cell) ** (1 + order / 2)
        assert moment == pytest.approx(ideal, rel=0.01)


def test_no_view_has_no_shape():
    assert classify_shape([]) == (None, 0.0)
