"""Motion is followed, and what it does not explain stands out."""

import numpy as np
import pytest

from evaluation.evidence.clip import Evidence, gather
from evaluation.findings import ClipInput
from tests.evaluation.evidence.scenery import disc, grainy, real, seen, shifts, wall

RED = (220, 30, 30)


def evidence(frames: np.ndarray) -> Evidence:
    return gather(ClipInput("a clip", frames, 24.0))


def still(frames: int = 12) -> np.ndarray:
    return np.repeat(wall()[None], frames, axis=0)


def along(frames: int, start: tuple[float, float], step: tuple[float, float]) -> np.ndarray:
    return np.array(start) + np.arange(frames)[:, None] * np.array(step)


def test_flow_is_the_motion():
    path = shifts(along(6, (20, 20), (3.0, -1.5)))
    flow = evidence(grainy(seen(wall(120, 240), path))).flow
    inner = (slice(None), slice(12, -12), slice(12, -12))
    np.testing.assert_allclose(np.median(flow.forward[inner], axis=(1, 2)), [[-3.0, 1.5]] * 5, atol=0.2)
    np.testing.assert_allclose(np.median(flow.backward[inner], axis=(1, 2)), [[3.0, -1.5]] * 5, atol=0.2)
    assert flow.consistent[inner].mean() > 0.97


def test_honest_motion_leaves_little():
    clip = grainy(disc(still(), along(12, (20, 36), (2.5, 0.5)), 8, RED))
    assert np.percentile(evidence(clip).flow.residual, 99.9) < 20


def test_honest_motion_before_a_moving_camera_leaves_little():
    path = shifts(along(12, (20, 20), (4.0, 1.0)))
    clip = grainy(disc(seen(wall(120, 240), path), along(12, (90, 36), (-3, 0)), 8, RED))
    assert np.percentile(evidence(clip).flow.residual, 99.8) < 20


@pytest.mark.parametrize("what", ["appears", "vanishes", "changes colour", "jumps"])
def test_pops_are_left_where_and_when_they_are(what):
    centres, colours = np.tile([[60.0, 40.0]], (12, 1)), [RED] * 12
    if what == "appears":
        centres[:6] = np.nan
    elif what == "vanishes":
        centres[6:] = np.nan
    elif what == "jumps":
        centres[6:] += (30, -12)
    else:
        colours[6:] = [(30, 30, 220)] * 6
    clip = grainy(np.concatenate([disc(wall()[None], c[None], 8, k) for c, k in zip(centres, colours, strict=True)]))
    residual = evidence(clip).flow.residual
    assert residual[5, 36:45, 56:65].mean() > 30
    assert np.delete(residual, 5, axis=0).max() < 15


def test_nothing_is_measured_across_a_cut():
    clip = np.concatenate([still(6), np.repeat(wall(72, 128, 5)[None], 6, axis=0)])
    flow = evidence(clip).flow
    assert not flow.residual.any()
    assert not flow.forward[5].any()
    assert not flow.consistent[5].any()


@pytest.mark.parametrize("levels", [2.0, 6.0])
def test_noise_is_measured(levels):
    assert evidence(grainy(still(), levels)).noise == pytest.approx(0.67 * levels, rel=0.35)  # luma has less than rgb


def test_a_clean_clip_has_the_least_noise():
    assert evidence(still()).noise == 0.5


def test_a_pop_in_a_real_clip_stands_out(shared_media):
    clip = real(shared_media, "street-cars", 30)
    honest = evidence(clip).flow.residual
    popped = disc(clip, np.where(np.arange(30)[:, None] < 15, np.nan, [[30.0, 20.0]]), 6, (250, 250, 20))
    residual = evidence(popped).flow.residual
    assert residual[14, 17:24, 27:34].mean() > 3 * np.percentile(honest, 99.9)


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (5, 8, 8, 3), (5, 1, 9, 3), (3, 720, 40, 3)])
def test_any_size_is_measured(shape):
    clip = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    seen_there = evidence(clip)
    T, h, w, _ = seen_there.rgb.shape
    assert seen_there.flow.forward.shape == (T - 1, h, w, 2)
    assert np.isfinite(seen_there.flow.residual).all()
    assert np.isfinite(seen_there.noise)
