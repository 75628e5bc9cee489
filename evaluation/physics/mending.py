"""Things followed by their pictures where they have no outline of their own, from one whole sight to the next.

Things that touch are one region, and what is guessed of their outlines there is worse than what is known from before.
So each is looked for, frame by frame, as it was last seen whole (`pictures.py`), and this is believed where it comes to
the next whole sight of it. What is found beyond its last whole sight is not: in footage that drifts too often.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from evaluation.evidence.camera import carry
from evaluation.evidence.clip import Evidence
from evaluation.evidence.tracks import Track
from evaluation.physics.pictures import Pose, Stamp, best_pose, differences, shown, stamp_of

LEAST, FEWEST = 40.0, 4  # pixels and whole sights of what is looked for
SLACK = 0.1, 0.8  # difference of the areas' logarithms of a whole sight, and more for a smaller one, by 1 / radius
LEVELS = 20.0  # beside the noise, up to which a pixel is seen
SEEN, TELLS = 0.5, 0.08  # shares of its pixels: seen, and better explained by it than by the scene alone
WHOLLY = 0.7  # of its pixels, from which all of it is seen
STILL = 0.5, 1.0  # pixels a frame, and pixels in all, of what rests, which is a part of the scene
REACH, FARTHEST = 3.0, 8.0  # pixels about where it should be in which it is looked for, and at most
SPUN = 0.5  # radians a frame that it turns at most
LONGEST = 24  # frames from a whole sight, for which it is looked for
AGREE = 1.0, 0.35  # pixels, and radii, by which two sights of it may differ
COVERED, SAME = 0.5, 0.5  # of the sights of another track, and of both masks: it is the same thing
MOST = 0.8  # quality of what is known by its picture alone
NAMES = ("centres", "areas", "boxes", "masks", "look", "at_border", "whole")  # what is another in a mended sight


@dataclass(frozen=True, eq=False)
class Found:
    """Where a thing is found by its picture in a frame, with the share of it that is seen."""

    frame: int
    pose: Pose
    steady: np.ndarray  # float [2]
    share: float


@dataclass(frozen=True, eq=False)
class Followed:
    """A track with the sights that its picture tells, and its steps.

    `steps` (float `[n - 1, 2]`, steady pixels) are from sight to sight where its picture tells them, nan elsewhere;
    `found` (bool `[n]`) says which sights are told by its picture.
    """

    track: Track
    steps: np.ndarray
    found: np.ndarray


@dataclass(eq=False)
class _Mend:
    """What is found of one track, frame by frame: where, its mask `bool [h, w]`, and its steps."""

    shape: tuple[int, int]
    sights: dict[int, tuple[Found, np.ndarray]] = field(default_factory=dict)
    steps: dict[int, np.ndarray] = field(default_factory=dict)


def followed(evidence: Evidence) -> tuple[Followed, ...]:
    """Return all tracks, mended where their pictures tell more than their outlines, those of one thing once."""
    known: tuple[Followed, ...] | None = evidence.__dict__.get("_followed")
    if known is None:
        every = [_mended(evidence, track) for track in evidence.tracks]
        every.sort(key=lambda one: -one.track.quality * len(one.track.frames))
        kept: list[Followed] = []
        for one in every:
            if not any(_same(one.track, other) for other in kept):
                kept.append(one)
        known = evidence.__dict__["_followed"] = tuple(kept)
    return known


def _same(track: Track, other: Followed) -> bool:
    """Say whether a track is mostly what another thing's picture tells of it."""
    both = 0
    for t in other.track.frames[other.found]:
        i, j = int(t) - track.start, int(t) - other.track.start
        if 0 <= i < len(track.frames):
            both += _overlap(track, i, other.track, j) > SAME
    return both >= COVERED * len(track.frames)


def _overlap(one: Track, i: int, other: Track, j: int) -> float:
    """Return the intersection over union of two masks."""
    a, b = one.boxes[i], other.boxes[j]
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    if (high <= low).any():
        return 0.0
    parts = [
        track.masks[k][low[1] - box[1] : high[1] - box[1], low[0] - box[0] : high[0] - box[0]]
        for track, k, box in ((one, i, a), (other, j, b))
    ]
    both = int((parts[0] & parts[1]).sum())
    return both / max(1, int(one.masks[i].sum() + other.masks[j].sum()) - both)


def _mended(evidence: Evidence, track: Track) -> Followed:
    """Return a track with what its picture tells between its whole sights."""
    clear = _clear(track)
    n = len(track.frames)
    mend = _Mend((evidence.luma.shape[1], evidence.luma.shape[2]))
    if len(clear) >= FEWEST and track.area >= LEAST and track.rigid:
        for a, b in pairwise(clear):
            if b - a > 1:
                _between(evidence, track, int(a), int(b), mend)
    if not mend.sights:
        return Followed(track, np.full((n - 1, 2), np.nan), np.zeros(n, bool))
    return _put_together(evidence, track, mend, len(clear))


def _clear(track: Track) -> np.ndarray:
    """Return the sights that show it whole and as large as ever, as those just before and after do."""
    if not track.whole.any():
        return np.zeros(0, int)
    slack = SLACK[0] + SLACK[1] / np.sqrt(track.area / np.pi)
    clear = track.whole & (np.abs(np.log(track.areas / track.area)) < slack)
    around = np.pad(clear, 1, constant_values=True)
    return np.flatnonzero(clear & around[:-2] & around[2:])


def _between(evidence: Evidence, track: Track, a: int, b: int, mend: _Mend) -> None:
    """Look for a thing from one whole sight on until another, or else from that one back."""
    start, end = int(track.frames[a]), int(track.frames[b])
    for one, other, upto, way in ((a, b, end, 1), (b, a, start, -1)):
        stamp, found = _looked_for(evidence, track, one, upto)
        if len(found) < end - start:
            continue
        off = track.centres[other] - found[-1].pose[:2]
        if np.hypot(*off) < AGREE[0] + AGREE[1] * np.sqrt(track.area / np.pi):
            shares = np.arange(1, len(found) + 1) / len(found)
            found = [
                replace(sight, pose=sight.pose + share * np.append(off, 0.0))
                for sight, share in zip(found, shares, strict=True)
            ]
            _add(mend, track, one, way, stamp, found, other)
        return


def _add(mend: _Mend, track: Track, sight: int, way: int, stamp: Stamp, found: list[Found], until: int) -> None:
    """Take what was found from a sight on, until another one; what the frame's edge cuts stays as it was."""
    before = track.steady[sight]
    for one in found:
        i = one.frame - track.start
        if not track.at_border[i]:
            mend.steps[one.frame - 1 if way > 0 else one.frame] = way * (one.steady - before)
            mask = stamp.drawn(one.pose, *mend.shape)
            if i != until and mask.any():
                mend.sights[one.frame] = one, mask
        before = one.steady


def _looked_for(evidence: Evidence, track: Track, sight: int, upto: int) -> tuple[Stamp, list[Found]]:
    """Look for a thing from a whole sight on, as it looks there, until a frame or until it is lost."""
    stamp = stamp_of(evidence, track, sight)
    way = 1 if upto > track.frames[sight] else -1
    few = [k for k in range(sight - 3 * way, sight + way, way) if 0 <= k < len(track.frames)]
    place, spin = track.steady[sight], 0.0
    pose = np.array([*track.centres[sight], 0.0])
    velocity = (track.steady[few[-1]] - track.steady[few[0]]) / max(1, len(few) - 1)
    rests = float(np.hypot(*velocity)) < STILL[0]
    limit = LEVELS + 3 * evidence.noise
    found: list[Found] = []
    first = int(track.frames[sight])
    for t in list(range(first + way, upto + way, way))[:LONGEST]:
        to_first = evidence.camera.to_first[t]
        guesses = carry(np.linalg.inv(to_first), np.stack([place + velocity, place]))
        reach = min(FARTHEST, REACH + 0.3 * float(np.hypot(*velocity)))
        turned, off = best_pose(shown(evidence, t, limit), stamp, guesses, pose[2] + spin, reach, limit)
        now = carry(to_first, turned[None, :2])[0]
        scene = differences(
            np.dstack([evidence.background.rgb[t], np.ones_like(evidence.luma[t])]), stamp, turned[None]
        )[0]
        off, scene = off[stamp.inside], scene[stamp.inside]
        told = float(((off < limit) & (scene > off + 8)).mean()) >= TELLS
        still = rests and float(np.hypot(*(now - track.steady[sight]))) < STILL[1]
        share = float((off < limit).mean())
        if share < SEEN or not (told or still):
            break
        velocity, place = now - place, now
        spin, pose = float(np.clip(turned[2] - pose[2], -SPUN, SPUN)), turned
        found.append(Found(t, pose, now, share))
    return stamp, found


def _put_together(evidence: Evidence, track: Track, mend: _Mend, clear: int) -> Followed:
    """Return a track with the sights that were found put in."""
    h, w = evidence.luma.shape[1:]
    columns: dict[str, list[Any]] = {name: list(getattr(track, name)) for name in NAMES}
    for t, (one, mask) in mend.sights.items():
        x, y, wide, high = cv2.boundingRect(mask.astype(np.uint8))
        at_border = min(x, y, w - x - wide, h - y - high) < 1
        sight = {
            "centres": one.pose[:2], "areas": float(mask.sum()), "boxes": np.array([x, y, x + wide, y + high]),
            "masks": mask[y : y + high, x : x + wide], "look": track.typical_look, "at_border": at_border,
            "whole": one.share >= WHOLLY and not at_border,
        }  # fmt: skip
        for name, value in sight.items():
            columns[name][t - track.start] = value
    found = np.isin(track.frames, list(mend.sights))
    arrays: dict[str, Any] = {name: np.array(values) for name, values in columns.items() if name != "masks"}
    sure = MOST * (clear + len(mend.sights)) / (len(found) + 2)
    whole = replace(
        track,
        steady=evidence.camera.steady(track.frames, arrays["centres"]),
        masks=tuple(columns["masks"]),
        quality=max(track.quality, min(MOST, sure)),
        **arrays,
    )
    unknown = np.full(2, np.nan)
    return Followed(whole, np.array([mend.steps.get(int(t), unknown) for t in track.frames[:-1]]), found)
