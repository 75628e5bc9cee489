"""What turns slowly into something else is a candidate, and what is only lit otherwise is none."""

import cv2
import numpy as np

from evaluation.evidence.clip import gather
from evaluation.evidence.turning import Turn, find_turns
from evaluation.findings import ClipInput

T, W, H = 36, 96, 72


def slow_turns(light: np.ndarray, share: np.ndarray) -> list[Turn]:
    """Return what takes more than a frame to turn where a disc crosses a scene, whose light and blueness change."""
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.normal(0, 60, (H, W, 3)), (0, 0), 4) * 2 + 120
    x, y = np.meshgrid(np.arange(W), np.arange(H))
    frames = []
    for t in range(T):
        disc = np.clip(12.5 - np.hypot(x - 20 - 1.5 * t, y - 36), 0, 1)[..., None]
        colour = (1 - share[t]) * np.array([210.0, 190, 60]) + share[t] * np.array([50.0, 80, 210])
        frame = ((1 - disc) * ground + disc * colour) * light[t] + rng.normal(0, 1, ground.shape)
        frames.append(frame.clip(0, 255).astype(np.uint8))
    evidence = gather(ClipInput("film", np.stack(frames), 24.0))
    return [turn for turn in find_turns(evidence) if turn.b - turn.a > 1]


def on_disc(turn: Turn) -> bool:
    return bool(np.hypot(turn.at[0] - 20 - 1.5 * turn.b, turn.at[1] - 36) < 8) and turn.mask.sum() > 100


def test_what_drifts_is_a_candidate_and_what_light_leaves_is_none() -> None:
    moments = np.arange(T)
    drifts, dims = np.clip((moments - 14) / 10, 0, 1), 1 - 0.4 * np.clip((moments - 8) / 20, 0, 1)
    assert any(on_disc(turn) for turn in slow_turns(np.ones(T), drifts))
    assert any(on_disc(turn) for turn in slow_turns(dims, drifts))
    assert not any(on_disc(turn) for turn in slow_turns(dims, np.zeros(T)))
