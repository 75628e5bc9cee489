"""Things in films that take another colour or size; what only moves, or is lit otherwise, stays what it is."""

import cv2
import numpy as np
import pytest

from evaluation.consistency.identity_drift import identity_drift
from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput, Finding

T, W, H = 36, 96, 72


def judged(colour: np.ndarray, radius: np.ndarray, light: np.ndarray) -> Finding:
    """Judge a film of a disc that crosses a textured ground, of a colour `[T, 3]`, a radius and a light `[T]`."""
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.normal(0, 60, (H, W, 3)), (0, 0), 4) * 2 + 120
    columns, rows = np.meshgrid(np.arange(W), np.arange(H))
    frames = []
    for t in range(T):
        away = np.hypot(columns - (20 + 1.5 * t), rows - 36)
        disc = np.clip(radius[t] - away + 0.5, 0, 1)[..., None]
        frame = ((1 - disc) * ground + disc * colour[t]) * light[t] + rng.normal(0, 1.5, ground.shape)
        frames.append(frame.clip(0, 255).astype(np.uint8))
    return identity_drift(gather(ClipInput("film", np.stack(frames), 24.0)))


RED, BLUE = np.tile([210.0, 50, 40], (T, 1)), np.tile([50.0, 80, 210], (T, 1))
STEADY, EVEN = np.full(T, 9.0), np.ones(T)


@pytest.mark.parametrize("over", [0, 6])
def test_another_colour_is_found_in_its_frames_and_place(over: int) -> None:
    share = np.clip((np.arange(T) - 17) / (over + 1), 0, 1)[:, None]
    best = max(judged((1 - share) * RED + share * BLUE, STEADY, EVEN).candidates, key=lambda c: c.strength)
    assert best.strength > 1
    assert best.strength > 2 * (judged(RED, STEADY, EVEN).strength or 0.0)
    assert abs(best.start_frame - 18) <= 2
    assert best.box is not None
    assert best.box[0] <= 47 <= best.box[2]
    assert best.box[1] <= 36 <= best.box[3]


@pytest.mark.parametrize("over", [0, 8])
def test_another_size_is_found_in_its_frames_and_place(over: int) -> None:
    radius = STEADY + 5 * np.clip((np.arange(T) - 17) / (over + 1), 0, 1)
    faultless, found = judged(RED, STEADY, EVEN), judged(RED, radius, EVEN)
    best = max(found.candidates, key=lambda c: c.strength)
    assert best.strength > 2 * (faultless.strength or 0.0)
    assert abs(best.start_frame - 18) <= 2
    assert abs(best.end_frame - (18 + over)) <= 3
    assert "size" in best.explanation
    assert best.box is not None
    assert best.box[0] <= 47 <= best.box[2]
    assert best.box[1] <= 36 <= best.box[3]


def test_motion_and_light_are_no_change() -> None:
    dimmed = np.where(np.arange(T) < 18, 1.0, 0.75)
    for finding in (judged(RED, STEADY, EVEN), judged(RED, STEADY, dimmed)):
        assert finding.score == 0
