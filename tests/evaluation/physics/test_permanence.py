"""Things that vanish, come from nothing, or go and come back are found and located; what leaves or rests is not."""

import cv2
import numpy as np
import pytest

from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput
from evaluation.physics.appearance import appearance
from evaluation.physics.disappearance import disappearance
from evaluation.physics.permanence import permanence
from evaluation.physics.vanishing import overlap

RED, BLUE = (200, 40, 40), (40, 80, 215)
DETECTORS = {"appearance": appearance, "disappearance": disappearance, "permanence": permanence}
FPS = 12.0


@pytest.fixture(scope="module")
def scene():
    """Return a textured scene, float `[64, 96, 3]`."""
    rng = np.random.default_rng(3)
    coarse = rng.uniform(60, 190, (8, 12, 3)).astype(np.float32)
    return cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC)


def film(scene, things, frames=30, grain=1.5):
    """Return frames of discs over a scene: each thing is a path t -> (x, y, share), a radius and a colour."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: scene.shape[0], : scene.shape[1]]
    clip = []
    for t in range(frames):
        frame = scene.copy()
        for path, radius, colour in things:
            cx, cy, share = path(t)
            inside = np.clip(radius + 0.5 - np.hypot(x - cx, y - cy), 0, 1)[..., None] * share
            frame = frame * (1 - inside) + np.array(colour) * inside
        clip.append(frame + rng.normal(0, grain, frame.shape))
    return np.clip(np.round(clip), 0, 255).astype(np.uint8)


def strengths(frames):
    evidence = gather(ClipInput("clip", frames, FPS))
    return {kind: detector(evidence) for kind, detector in DETECTORS.items()}


def strongest(finding):
    return max(finding.candidates, key=lambda candidate: candidate.strength)


def moving(share):
    return lambda t: (14 + 2 * t, 30, share(t))


@pytest.fixture(scope="module")
def faultless(scene):
    return strengths(film(scene, [(moving(lambda t: 1.0), 6, RED), (lambda t: (70, 50, 1.0), 5, BLUE)]))


@pytest.mark.parametrize("fade", [0, 4])
def test_a_thing_that_vanishes_is_found_where_and_when_it_does(scene, faultless, fade):
    going = moving(lambda t: float(np.clip(1 - (t - 14) / (fade + 1), 0, 1)))
    found = strengths(film(scene, [(going, 6, RED)]))["disappearance"]
    best = strongest(found)
    assert found.strength > 2 * faultless["disappearance"].strength
    assert abs(best.start_frame - 15) <= 2
    assert abs(best.end_frame - 15 - fade) <= 2
    assert overlap(best.box, (36, 24, 51, 37))
    assert f"is gone from frame {best.start_frame} on" in best.explanation


@pytest.mark.parametrize("fade", [0, 4])
def test_a_thing_that_comes_from_nothing_is_found_where_and_when_it_does(scene, faultless, fade):
    coming = moving(lambda t: float(np.clip((t - 11) / (fade + 1), 0, 1)))
    found = strengths(film(scene, [(coming, 6, RED)]))["appearance"]
    best = strongest(found)
    assert found.strength > 2 * faultless["appearance"].strength
    assert abs(best.start_frame - 12) <= 2
    assert abs(best.end_frame - 12 - fade) <= 2
    assert overlap(best.box, (30, 24, 45, 37))


def test_what_vanishes_does_not_appear(scene):
    found = strengths(film(scene, [(moving(lambda t: float(t < 15)), 6, RED)]))
    assert found["appearance"].strength < 0.6 * found["disappearance"].strength


def test_a_thing_that_is_gone_for_a_while_returns(scene, faultless):
    found = strengths(film(scene, [(moving(lambda t: float(not 12 <= t < 18)), 6, RED)]))
    best = strongest(found["permanence"])
    assert found["permanence"].strength > 2 * faultless["permanence"].strength
    assert (best.start_frame, best.end_frame) == (12, 17)
    assert "gone from frame 12 to 17" in best.explanation


def test_a_thing_that_is_gone_for_one_frame_is_not_gone_from_a_frame_to_the_one_before(scene):
    found = strengths(film(scene, [(moving(lambda t: float(t != 14)), 6, RED)]))["permanence"]
    assert all(c.start_frame <= c.end_frame for c in found.candidates)
    assert "is not there in frame 14" in strongest(found).explanation


@pytest.mark.parametrize(
    "path",
    [lambda t: (60 + 4 * t, 30, 1.0), lambda t: (-20 + 4 * t, 30, 1.0), lambda t: (48, 40 - 3 * t, 1.0)],
    ids=["leaves", "enters", "leaves upward"],
)
def test_the_edge_of_the_frame_explains(scene, path):
    gone = strengths(film(scene, [(moving(lambda t: float(t < 15)), 6, RED)]))["disappearance"].strength
    for finding in strengths(film(scene, [(path, 6, RED)])).values():
        assert finding.strength < 0.4 * gone


def test_an_occluder_explains(scene):
    pillar = scene.copy()
    behind = film(pillar, [(moving(lambda t: 1.0), 6, RED)], grain=0)
    behind[:, :, 34:52] = (90, 160, 60)
    gone = film(pillar, [(moving(lambda t: float(t < 8)), 6, RED)], grain=0)
    gone[:, :, 34:52] = (90, 160, 60)
    hidden, vanished = strengths(behind), strengths(gone)
    assert hidden["disappearance"].strength < 0.5 * vanished["disappearance"].strength
    assert hidden["permanence"].strength < 0.5 * vanished["disappearance"].strength


def test_a_cut_is_nobodys_end(scene):
    frames = film(scene, [(moving(lambda t: 1.0), 6, RED)])
    frames[15:] = film(scene[::-1, ::-1] * 0.6, [(moving(lambda t: 1.0), 6, BLUE)])[15:]
    gone = strengths(film(scene, [(moving(lambda t: float(t < 15)), 6, RED)]))["disappearance"].strength
    for finding in strengths(frames).values():
        assert finding.strength < 0.5 * gone


@pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)
def test_what_nobody_could_tell_is_not_measurable_and_due_only_with_a_prompt(detector, noise):
    grey, tiny = np.full((9, 32, 32, 3), 128, np.uint8), noise[:, :8, :8]
    for frames in (noise, grey, tiny, grey[:1], noise[:2]):
        bare = detector(gather(ClipInput("clip", frames, 8.0)))
        assert bare.score is None
        assert bare.reason
        assert not bare.due
    assert detector(gather(ClipInput("clip", grey, 8.0, "A red circle falls on a grey background."))).due


def test_whatever_comes_in_there_is_an_answer(scene, recwarn):
    still = film(scene, [(lambda t: (30, 30, 1.0), 6, RED)], frames=12)
    flash, wide, cut = still.copy(), still[:, 20:37], still.copy()
    flash[5] = 255
    cut[6:] = 255 - cut[6:]
    large = np.stack([cv2.resize(frame, (1500, 1000)) for frame in still[:6]])
    for frames in (flash, wide, cut, large, np.where(np.arange(12)[:, None, None, None] % 2, still, 255 - still)):
        for finding in strengths(frames.astype(np.uint8)).values():
            assert finding.reason or np.isfinite(finding.strength)
    assert not recwarn.list
