"""Jumps in films whose truth is known; what only moves, turns, bounces or is filmed by a moving camera jumps not."""

import cv2
import numpy as np
import pytest

from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput, Finding
from evaluation.physics.steps import excess
from evaluation.physics.teleport import teleport

T, W, H, RADIUS = 24, 96, 72, 8.0


def found(path: np.ndarray, camera: np.ndarray | None = None, grain: float = 1.5) -> Finding:
    """Judge a film of a striped disc on a textured ground."""
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.normal(0, 60, (H + 80, W + 80, 3)), (0, 0), 4) * 3 + 120
    x, y = np.meshgrid(np.arange(W), np.arange(H))
    frames = []
    for t, (px, py) in enumerate(path):
        left, top = (40, 40) if camera is None else (40 + camera[t]).round().astype(int)
        frame = ground[top : top + H, left : left + W].copy()
        dx, dy = x - px, y - py
        disc = np.clip(RADIUS - np.hypot(dx, dy) + 0.5, 0, 1)[..., None]
        colour = np.array([210.0, 50, 40]) + 35 * np.sign(np.sin(dx / 2))[..., None]
        frame = (1 - disc) * frame + disc * colour + rng.normal(0, grain, frame.shape)
        frames.append(frame.clip(0, 255).astype(np.uint8))
    return teleport(gather(ClipInput("film", np.stack(frames), 24.0)))


def strongest(finding: Finding) -> float:
    return max((c.strength for c in finding.candidates), default=0.0)


def straight() -> np.ndarray:
    return np.stack([np.linspace(20, 66, T), np.full(T, 36.0)], axis=1)


@pytest.mark.parametrize("away", [(0, 20), (-24, -14), (22, 0)])
def test_jump_is_found_in_its_frame_and_place(away: tuple[int, int]) -> None:
    path = straight()
    path[12:] += away
    path[12:, 0] = path[12:, 0].clip(RADIUS, W - RADIUS)
    finding = found(path)
    best = max(finding.candidates, key=lambda c: c.strength)
    assert best.strength > 1
    assert best.start_frame == best.end_frame == 12
    for x, y in path[11:13]:
        assert best.box is not None
        x0, y0, x1, y1 = best.box
        assert x0 - 2 <= x <= x1 + 2
        assert y0 - 2 <= y <= y1 + 2
    assert "pixels into frame 12" in best.explanation


def test_motion_bounce_and_moving_camera_are_no_jumps() -> None:
    there = straight()
    back = there.copy()
    back[12:, 0] = there[12, 0] - (there[12:, 0] - there[12, 0])
    fast = np.stack([np.linspace(12, 84, T)[::-1], 36 + 22 * np.sin(np.arange(T) / 4)], axis=1)
    camera = np.stack([np.linspace(0, 25, T), np.linspace(0, -9, T)], axis=1)
    for finding in (found(there), found(back), found(fast), found(there, camera)):
        assert finding.score is not None
        assert strongest(finding) < 0.1, finding.candidates


def test_a_fall_that_gains_speed_and_bounces_is_no_jump() -> None:
    y, speed, heights = 12.0, 0.0, []
    for _ in range(T):
        heights.append(y)
        speed += 2.6
        y += speed
        if y > H - RADIUS - 6:
            y, speed = 2 * (H - RADIUS - 6) - y, -0.8 * speed
    assert strongest(found(np.stack([np.linspace(20, 70, T), np.array(heights)], axis=1))) < 0.1


def test_one_of_a_row_that_is_covered_as_another_is_uncovered_did_not_jump() -> None:
    rng = np.random.default_rng(5)
    ground = cv2.GaussianBlur(rng.normal(0, 60, (H, W, 3)), (0, 0), 4) * 2 + 90
    for left in (14, 38, 62):
        ground[30:42, left : left + 12] = 235
    x, y = np.meshgrid(np.arange(W), np.arange(H))
    frames = []
    for t in range(T):
        disc = np.clip(11 - np.hypot(x - (t - 8) * 24 - 10, y - 36) + 0.5, 0, 1)[..., None]
        frame = (1 - disc) * ground + disc * np.array([40.0, 60, 220]) + rng.normal(0, 1.5, ground.shape)
        frames.append(frame.clip(0, 255).astype(np.uint8))
    assert strongest(teleport(gather(ClipInput("film", np.stack(frames), 24.0)))) < 0.1


def test_too_short_is_not_measured() -> None:
    assert found(straight()[:3]).score is None


def test_excess_is_what_neither_pace_explains() -> None:
    before, after = np.array([[3.0, 0.0]]), np.array([[0.0, 2.0]])
    assert excess(np.array([1.5, 1.0]), before, after) == pytest.approx(0)  # a collision half way
    assert excess(np.array([3.0, 5.0]), before, before) == pytest.approx(5)


def test_what_hesitates_for_a_frame_has_not_gone_far() -> None:
    path = np.stack([np.linspace(10, 86, T), np.full(T, 36.0)], axis=1)
    step = path[1, 0] - path[0, 0]
    late = path.copy()
    late[12:, 0] -= 1.8 * step
    gone = path.copy()
    gone[12:, 1] -= 18.0
    assert strongest(found(late)) < 0.25 * strongest(found(gone))
