"""What stains a thing rests near it before and after; what moves along, is far, or is everywhere stains nothing."""

import numpy as np

from evaluation.evidence.clip import gather
from evaluation.evidence.stains import far, nearest, newest, shades, stained
from evaluation.findings import ClipInput

T, W, H = 24, 96, 72
RED = np.array([200, 40, 40])
MASK = np.ones((9, 9), bool)


def has_source(patch: tuple[slice, slice], moves: int = 0) -> bool:
    rng = np.random.default_rng(2)
    frames = (rng.normal(110, 2, (T, H, W, 3))).clip(0, 255).astype(np.uint8)
    for t in range(T):
        frames[t][patch[0], slice(patch[1].start + moves * t, patch[1].stop + moves * t)] = RED
    evidence = gather(ClipInput("film", frames, 24.0))
    colour = shades(RED[None].astype(np.float32))[0]
    return stained(evidence, 11, 12, MASK, np.array([48.0, 40.0]), colour)


def test_patch_that_rests_beside_is_a_source() -> None:
    assert has_source((slice(48, 52), slice(42, 54)))


def test_far_patch_moving_patch_and_ground_are_none() -> None:
    assert not has_source((slice(64, 68), slice(42, 54)))
    assert not has_source((slice(48, 52), slice(10, 22)), moves=3)
    assert not has_source((slice(48, 72), slice(0, 96)))


def test_newest_colours_are_those_that_were_not_there() -> None:
    was = np.array([[10.0, 0, 0], [20.0, 5, 5]])
    now = np.concatenate([was, [[60.0, 30, -20], [60.0, 30, -20], [60.0, 30, -20]]])
    assert np.allclose(newest(was, now), [60, 30, -20])
    assert np.allclose(nearest(now, was)[:3], [0, 0, np.linalg.norm([40, 25, 25])])


def test_shades_halve_lightness() -> None:
    assert np.allclose(shades(np.full((1, 3), 255, np.float32)), [[50, 0, 0]], atol=0.1)


def test_light_does_not_make_another_colour() -> None:
    lit, dim, other = shades(np.array([[220.0, 60, 40], [160, 44, 29], [60, 40, 220]], np.float32))
    assert far(dim[None], lit) < 8 < np.linalg.norm(dim - lit)
    assert far(other[None], lit) > 40
