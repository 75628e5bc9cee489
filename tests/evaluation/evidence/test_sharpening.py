"""Outlines told by a thing's colours: the disc itself, without the halo that its segment has."""

from dataclasses import replace

import cv2
import numpy as np

from evaluation.evidence.clip import Evidence, gather
from evaluation.evidence.sharpening import sharpened
from evaluation.evidence.tracks import Track
from evaluation.findings import ClipInput

T, W, H, RADIUS = 14, 96, 72, 9


def disc(t: int) -> np.ndarray:
    """Return where the disc is, bool `[H, W]`."""
    y, x = np.mgrid[:H, :W]
    return np.asarray(np.hypot(x - (24 + 3 * t), y - 34) <= RADIUS)


def filmed(colour: tuple[int, int, int]) -> tuple[Evidence, Track]:
    """Return the evidence of a disc that crosses a textured ground, and its track with a halo, wider below."""
    rng = np.random.default_rng(5)
    ground = cv2.GaussianBlur(rng.normal(0, 40, (H, W, 3)), (0, 0), 3) * 2 + (90, 140, 90)
    frames = []
    for t in range(T):
        frame = ground.copy()
        frame[disc(t)] = colour
        frames.append((frame + rng.normal(0, 2, frame.shape)).clip(0, 255).astype(np.uint8))
    evidence = gather(ClipInput("film", np.stack(frames), 24.0))
    track = max(evidence.tracks, key=lambda k: len(k.frames) * k.area)
    masks, boxes = [], []
    for t in track.frames:
        wide = cv2.dilate((disc(t) | np.roll(disc(t), (4, 1), axis=(0, 1))).astype(np.uint8), np.ones((5, 5), np.uint8))
        x, y, w, h = cv2.boundingRect(wide)
        masks.append(wide[y : y + h, x : x + w] > 0)
        boxes.append((x, y, x + w, y + h))
    areas = np.array([float(mask.sum()) for mask in masks])
    return evidence, replace(track, masks=tuple(masks), boxes=np.array(boxes), areas=areas)


def agreement(track: Track) -> float:
    """Return how much of the disc and of the masks is both, the least of all frames."""
    found = []
    for i, t in enumerate(track.frames):
        mask = track.mask(i, H, W)
        found.append((mask & disc(t)).sum() / (mask | disc(t)).sum())
    return float(min(found))


def test_the_halo_is_left_out() -> None:
    evidence, track = filmed((215, 50, 40))
    sharp = sharpened(evidence, track)
    assert len(track.frames) > 8
    assert agreement(track) < 0.65
    assert agreement(sharp) > 0.85
    assert np.allclose(sharp.areas, np.pi * RADIUS**2, rtol=0.12)


def test_a_thing_of_the_ground_s_colours_keeps_its_outlines() -> None:
    evidence, track = filmed((215, 50, 40))
    plain = replace(evidence, rgb=np.full_like(evidence.rgb, 120))
    assert sharpened(plain, track) is track
