"""Objects followed through time: the blobs of a segmentation linked into tracks.

A track is one object in consecutive frames. Where a track begins or ends inside the frame, `ends_hidden` and
`begins_hidden` say whether that is excused: at the frame's edge, or where another object could cover it.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from evaluation.objects.segmentation import Blob, Segmentation

REACH = 0.4  # an object moves at most this share of the shorter side, plus its own radius, between two frames
ANOTHER_COLOUR = 60.0  # RGB distance from which a blob cannot be the same object
FORBIDDEN = 1e6


@dataclass
class Track:
    """One object in consecutive frames."""

    blobs: list[Blob] = field(default_factory=list)

    @property
    def start(self) -> int:
        """First frame in which it is seen."""
        return self.blobs[0].frame

    @property
    def end(self) -> int:
        """Last frame in which it is seen."""
        return self.blobs[-1].frame

    @property
    def frames(self) -> np.ndarray:
        """Frame numbers `[n]`."""
        return np.array([blob.frame for blob in self.blobs])

    @property
    def centres(self) -> np.ndarray:
        """Centroids `[n, 2]`: x, y in pixels, y downward."""
        return np.array([(blob.x, blob.y) for blob in self.blobs])

    @property
    def whole(self) -> list[Blob]:
        """The blobs of frames that show all of the object."""
        return [blob for blob in self.blobs if not blob.cut]

    @property
    def area(self) -> float:
        """Typical area in pixels, from whole views where there are any."""
        return float(np.median([blob.area for blob in self.whole or self.blobs]))

    @property
    def rgb(self) -> np.ndarray:
        """Typical colour `[3]`."""
        return np.asarray(np.median([blob.rgb for blob in self.whole or self.blobs], axis=0))

    def step(self, *, forward: bool) -> np.ndarray:
        """Return the motion a frame `[2]` in pixels at the track's end (or, backward, before its start)."""
        if len(self.blobs) < 2:
            return np.zeros(2)
        ends = self.centres[-3:] if forward else self.centres[:3][::-1]
        return np.asarray(ends[-1] - ends[0]) / (len(ends) - 1)

    def expected(self, frame: int) -> np.ndarray:
        """Return where the object would be `[2]` in a frame after its end, moving on as it did."""
        position: np.ndarray = self.centres[-1] + self.step(forward=True) * (frame - self.end)
        return position


def follow(scene: Segmentation) -> list[Track]:
    """Link blobs of successive frames, by position, colour and size, into tracks; the earliest and largest first."""
    tracks: list[Track] = []
    active: list[Track] = []
    for blobs in scene.blobs:
        costs = [[_cost(track, blob, scene) for blob in blobs] for track in active]
        cost = np.array(costs).reshape(len(active), len(blobs))
        rows, columns = linear_sum_assignment(cost)
        linked = {int(c): active[r] for r, c in zip(rows, columns, strict=True) if cost[r, c] < FORBIDDEN}
        active = []
        for index, blob in enumerate(blobs):
            track = linked.get(index)
            if track is None:
                track = Track()
                tracks.append(track)
            track.blobs.append(blob)
            active.append(track)
    return sorted(tracks, key=lambda track: (track.start, -track.area))


def _cost(track: Track, blob: Blob, scene: Segmentation) -> float:
    last = track.blobs[-1]
    colour = float(np.linalg.norm(last.rgb - blob.rgb))
    if colour > ANOTHER_COLOUR and last.colour != blob.colour:
        return FORBIDDEN
    centre = np.array([blob.x, blob.y])
    distance = min(
        float(np.linalg.norm(centre - track.expected(blob.frame))),
        float(np.linalg.norm(centre - track.centres[-1])),
    )
    reach = REACH * min(scene.width, scene.height) + last.radius
    if distance > reach:
        return FORBIDDEN
    size = abs(float(np.log(blob.area / last.area)))
    return distance / reach + 0.3 * min(size, 2.0) + colour / 255


def ends_hidden(track: Track, tracks: list[Track], scene: Segmentation) -> bool:
    """Say whether an object that is not seen after `track.end` may have left the frame or be covered."""
    return _hidden(track.blobs[-1], track.step(forward=True), tracks, scene, track.end + 1)


def begins_hidden(track: Track, tracks: list[Track], scene: Segmentation) -> bool:
    """Say whether an object that is not seen before `track.start` may have entered the frame or been covered."""
    return _hidden(track.blobs[0], track.step(forward=False), tracks, scene, track.start - 1)


def _hidden(blob: Blob, step: np.ndarray, tracks: list[Track], scene: Segmentation, frame: int) -> bool:
    # The step may be a frame old, and gravity adds to it: half as much again is allowed for.
    x, y = np.array([blob.x, blob.y]) + 1.5 * step
    inside = min(x, y, scene.width - x, scene.height - y)
    if blob.cut or inside < blob.radius:
        return True
    others = [o for t in tracks for o in t.blobs if o.frame in (blob.frame, frame) and o is not blob]
    return any(o.area >= 0.5 * blob.area and _outside(o, x, y) < 0.5 * blob.radius for o in others)


def _outside(blob: Blob, x: float, y: float) -> float:
    """Return how far a point lies outside a blob, taken for its box within its disc or, if long, its box alone."""
    x0, y0, x1, y1 = blob.box
    box = float(np.hypot(max(x0 - x, 0.0, x - x1), max(y0 - y, 0.0, y - y1)))
    return box if blob.cut else max(box, float(np.hypot(blob.x - x, blob.y - y)) - blob.radius)
