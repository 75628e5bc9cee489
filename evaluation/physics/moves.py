"""The paths of all that moves, for those who judge pushes and contacts.

They judge a moment, so they take more than `paths.py` does: what touches others nearly all the time, as its outline
keeps its shape from sight to sight, and what moves while the camera's own path is lost: there, the camera is taken to
shift the picture by what most of the scene does.
"""

from dataclasses import replace

import numpy as np

from evaluation.evidence.camera import Camera
from evaluation.evidence.clip import Evidence
from evaluation.evidence.tracks import Track
from evaluation.physics.mending import Followed, followed
from evaluation.physics.paths import Path, path_of, paths

SPARSE = 4  # pixels between those of the scene whose motion is asked for


def moves(evidence: Evidence) -> tuple[Evidence, tuple[Path, ...]]:
    """Return the paths of all things that keep their outlines, the longest first, and the clip as they see it.

    That has a camera whose motion is known in every frame, if only roughly.
    """
    known: tuple[Evidence, tuple[Path, ...]] | None = evidence.__dict__.get("_moves")
    if known is None:
        seen = _steadied(evidence)
        whose = {id(path.track): path for path in paths(evidence)} if seen.camera is evidence.camera else {}
        both = [(one, _trusted(one)) for one in followed(seen)]
        seen.__dict__["_followed"] = tuple(one for _, one in both)
        found = [
            replace(path, track=trusted.track) if (path := whose.get(id(one.track))) else path_of(seen, trusted)
            for one, trusted in both
        ]
        kept = (path for path in found if path is not None)
        known = evidence.__dict__["_moves"] = seen, tuple(sorted(kept, key=lambda path: -len(path.times)))
    return known


def _steadied(evidence: Evidence) -> Evidence:
    """Return the clip with a camera that shifts the picture as most of the scene moves, where its motion is lost."""
    seen, camera = replace(evidence), evidence.camera
    seen.__dict__.update(evidence.__dict__)
    if camera.reliable.all():
        return seen
    to_next, to_first = camera.to_next.copy(), camera.to_first.copy()
    for t in map(int, np.flatnonzero(~camera.reliable)):
        to_next[t, :2, 2] = np.median(_scene_flow(evidence, t), axis=0)
    for shot in evidence.shots:
        for t in range(shot.start, shot.end):
            to_first[t + 1] = to_first[t] @ np.linalg.inv(to_next[t])
    steadied = Camera(to_next, np.ones_like(camera.reliable), to_first, camera.moves)
    tracks = tuple(replace(track, steady=steadied.steady(track.frames, track.centres)) for track in evidence.tracks)
    seen.__dict__.update(camera=steadied, tracks=tracks)
    for name in ("_followed", "_paths"):
        seen.__dict__.pop(name, None)
    return seen


def _scene_flow(evidence: Evidence, t: int) -> np.ndarray:
    """Return where some pixels that are of no thing go from frame `t` to the next, `[n, 2]`."""
    free = np.ones(evidence.luma.shape[1:], bool)
    for track in evidence.tracks:
        if track.start <= t <= track.end:
            x0, y0, x1, y1 = track.boxes[t - track.start]
            free[y0:y1, x0:x1] &= ~track.masks[t - track.start]
    flow = evidence.flow.forward[t, ::SPARSE, ::SPARSE]
    free = free[::SPARSE, ::SPARSE]
    return np.asarray(flow[free] if free.any() else flow.reshape(-1, 2))


def _trusted(one: Followed) -> Followed:
    """Return a track with a quality that says how well its outline keeps its shape, whatever it touches."""
    fits = [outlines_fit(one.track, i) for i in range(len(one.track.frames) - 1)]
    fit = float(np.mean(fits) * len(fits) / (len(fits) + 2))
    return replace(one, track=replace(one.track, quality=max(one.track.quality, fit)))


def outlines_fit(track: Track, i: int) -> float:
    """Return the intersection over union of a thing's mask in its sight `i` and in the next, laid over one another."""
    by = np.round(track.centres[i + 1] - track.centres[i]).astype(int)
    box, other = track.boxes[i] + np.tile(by, 2), track.boxes[i + 1]
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    if (high <= low).any():
        return 0.0
    one, two = (
        mask[low[1] - at[1] : high[1] - at[1], low[0] - at[0] : high[0] - at[0]]
        for mask, at in ((track.masks[i], box), (track.masks[i + 1], other))
    )
    both = int((one & two).sum())
    return both / max(1, int(track.masks[i].sum() + track.masks[i + 1].sum()) - both)
