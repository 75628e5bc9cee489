"""A straight edge that turns wavy under a moving camera is found; one that tilts, shifts or is partly hid is none."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from evaluation.consistency.edges import find_bent_edges, straight_edges
from evaluation.consistency.view_inconsistency import view_inconsistency
from evaluation.evidence.camera import Camera
from evaluation.evidence.clip import gather
from evaluation.evidence.shots import Shot
from evaluation.findings import ClipInput

T, H, W, START = 48, 72, 128, 12
X, Y = np.meshgrid(np.arange(W, dtype=np.float32), np.arange(H, dtype=np.float32))
SWAY = np.sin(2 * np.pi * np.maximum(0, np.arange(T) - START) / 36)  # 24 frames a second


def floor(height):
    """Return a grainy clip `[T, H, W]` of a floor without texture, whose edge is so many pixels down in each frame."""
    grain = np.random.default_rng(0).normal(0, 2, (T, H, W))
    share = np.stack([np.clip(Y - np.broadcast_to(height(t), X.shape) + 0.5, 0, 1) for t in range(T)])
    return (90 + 60 * share + grain).astype(np.float32)


def wavy(pixels):
    return floor(lambda t: 45 + pixels * SWAY[t] * np.sin(2 * np.pi * (X - t) / 70))


def evidence(luma, moves=True):
    still = Camera(np.tile(np.eye(3), (T - 1, 1, 1)), np.ones(T - 1, bool), np.tile(np.eye(3), (T, 1, 1)), moves)
    return SimpleNamespace(luma=luma, camera=still, clip=SimpleNamespace(fps=24.0))


def strongest(luma):
    return max((edge.strength for edge in find_bent_edges(evidence(luma), Shot(0, T - 1))), default=-9.0)


def test_a_straight_edge_is_found_where_it_is():
    (ends,) = straight_edges(floor(lambda t: 30 + 0.2 * X)[0])
    assert ends[:, 1] == pytest.approx(30 + 0.2 * ends[:, 0], abs=1.5)
    assert np.ptp(ends[:, 0]) > 0.8 * W


def test_an_edge_that_turns_wavy_is_found_where_it_begins_and_how_far():
    (edge,) = find_bent_edges(evidence(wavy(3.0)), Shot(0, T - 1))
    assert edge.strength > -0.6
    assert START - 2 <= edge.start <= START + 6
    assert edge.far == pytest.approx(300 / W, rel=0.35)
    assert strongest(wavy(1.2)) > -1.0


def passing():
    luma = floor(lambda t: 45)
    for t in range(T):
        cv2.circle(luma[t], (10 + 2 * t, 42), 9, 200, -1)
    return luma


@pytest.mark.parametrize(
    "luma",
    [
        floor(lambda t: 45),
        floor(lambda t: 45 - 0.1 * t),  # shifts, as what is nearer does
        floor(lambda t: 40 + 0.002 * t * X),  # tilts
        passing(),
    ],
    ids=["rests", "shifts", "tilts", "something passes"],
)
def test_what_stays_straight_is_none(luma):
    assert strongest(luma) < -1.2


def test_it_is_told_of_the_clip_and_of_a_camera_that_rests_nothing_is():
    assert not list(find_bent_edges(evidence(wavy(3.0), moves=False), Shot(0, T - 1)))
    frames = np.repeat(wavy(3.0)[..., None], 3, axis=3).clip(0, 255).astype(np.uint8)
    clip = gather(ClipInput("clip", frames, 24.0))
    clip.__dict__.update(camera=evidence(clip.luma).camera, tracks=())
    strongest = max(view_inconsistency(clip).candidates, key=lambda candidate: candidate.strength)
    assert strongest.strength > 0.5
    assert "an edge of the scene that was straight bends" in strongest.explanation
