"""Things followed through time, each with how surely, how it began and how it ended.

Coordinates are pixels of the size of measuring (x right, y down); a frame's number is its index in the clip.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evaluation.evidence.endings import ending
from evaluation.evidence.following import Sight, Thing, follow_shot
from evaluation.evidence.looks import unlike
from evaluation.evidence.segments import find_segments

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

EDGE = 1  # pixels: a thing as near to the frame's edge is cut by it
LINKED = 0.45  # unlikeness up to which two tracks may be one thing
LONGEST_GAP = 1.5  # seconds out of sight


@dataclass(frozen=True, eq=False)
class Track:
    """One thing in `n` consecutive frames of one shot.

    `begins` and `ends` say why it is not seen before and after: "clip" and "cut" (the first or last frame of the clip,
    of a shot), "border" (it is cut by the frame's edge, or would be beyond it), "occluded" (something that hides it is
    where it would be), "merged" (it came out of another thing, or went into one), "blended" (it is still there, but
    cannot be told from what is around it), "unexplained".
    """

    frames: np.ndarray  # int [n]
    centres: np.ndarray  # float [n, 2]
    steady: np.ndarray  # float [n, 2], the centres in the pixels of the shot's first frame
    areas: np.ndarray  # float [n], pixels that are seen
    boxes: np.ndarray  # int [n, 4]: x0, y0, x1, y1, the last two exclusive
    masks: tuple[np.ndarray, ...]  # bool, one a frame, of its box
    look: np.ndarray  # float [n, LOOK], `looks.py`
    colours: np.ndarray  # float [n, 3], mean RGB of the inside
    at_border: np.ndarray  # bool [n]: the frame's edge may cut it
    whole: np.ndarray  # bool [n]: all of it is seen, with its own outline
    innovation: np.ndarray  # float [n]: distance from the predicted centre, in standard deviations of it; 0 at first
    begins: str
    ends: str
    appears: float  # 0..1: how little of it is to be found in the frame before; 0 where the frame's edge or a cut explains it
    vanishes: float  # the same in the frame after
    quality: float  # 0..1, how surely this is one thing, followed well
    rigid: bool  # its outline keeps its shape, but for place, turn and size

    @property
    def start(self) -> int:
        """First frame in which it is seen."""
        return int(self.frames[0])

    @property
    def end(self) -> int:
        """Last frame in which it is seen."""
        return int(self.frames[-1])

    @property
    def area(self) -> float:
        """Typical area, of whole views where there are any."""
        return float(np.median(self.areas[self.whole] if self.whole.any() else self.areas))

    @property
    def typical_look(self) -> np.ndarray:
        """Typical look `[LOOK]`, of whole views where there are any."""
        return np.asarray(np.median(self.look[self.whole] if self.whole.any() else self.look, axis=0))

    def mask(self, index: int, height: int, width: int) -> np.ndarray:
        """Return the mask of its frame `index` in a whole frame, `bool [h, w]`."""
        whole = np.zeros((height, width), bool)
        x0, y0, x1, y1 = self.boxes[index]
        whole[y0:y1, x0:x1] = self.masks[index]
        return whole


def follow(evidence: "Evidence") -> tuple[Track, ...]:
    """Follow everything that can be followed, the earliest and largest first."""
    segments = find_segments(evidence)
    tracks = []
    for shot in evidence.shots:
        owners, things = follow_shot(evidence, segments, shot.start, shot.end)
        tracks += [_track(evidence, owners, shot.start, shot.end, thing) for thing in things]
    return tuple(sorted(tracks, key=lambda track: (track.start, -track.area)))


def links(tracks: tuple[Track, ...], fps: float) -> list[tuple[Track, Track, int]]:
    """Return (earlier, later, frames between them) of tracks that may be one thing, out of sight for a while."""
    found = []
    for earlier in tracks:
        for later in tracks:
            gap = later.start - earlier.end - 1
            if 0 <= gap <= LONGEST_GAP * fps and unlike(earlier.typical_look, later.typical_look) < LINKED:
                found.append((earlier, later, gap))
    return found


def _track(evidence: "Evidence", owners: np.ndarray, start: int, end: int, thing: Thing) -> Track:
    h, w = evidence.luma.shape[1:]
    sights = thing.sights
    frames = np.array([sight.frame for sight in sights])
    boxes = np.array([sight.box for sight in sights])
    masks = tuple(
        owners[t - start, y0:y1, x0:x1] == thing.number for t, (x0, y0, x1, y1) in zip(frames, boxes, strict=True)
    )
    centres = np.array([sight.centre for sight in sights])
    at_border = (boxes[:, :2].min(axis=1) < EDGE) | (boxes[:, 2] > w - EDGE) | (boxes[:, 3] > h - EDGE)
    areas = np.array([sight.area for sight in sights])
    shared = np.array([sight.shared for sight in sights])
    begins, appears = ending(evidence, owners, start, end, thing, -1)
    ends, vanishes = ending(evidence, owners, start, end, thing, 1)
    return Track(
        frames=frames,
        centres=centres,
        steady=evidence.camera.steady(frames, centres),
        areas=areas,
        boxes=boxes,
        masks=masks,
        look=np.array([sight.look for sight in sights]),
        colours=np.array([sight.colour for sight in sights]),
        at_border=at_border,
        whole=~at_border & ~shared & (areas > 0.8 * np.median(areas)),
        innovation=np.array([sight.innovation for sight in sights]),
        begins=begins,
        ends=ends,
        appears=appears,
        vanishes=vanishes,
        quality=_quality(sights),
        rigid=_rigid(masks, ~at_border & ~shared),
    )


def _quality(sights: list[Sight]) -> float:
    fits = np.array([sight.fit for sight in sights[1:]])
    clear = np.mean([not sight.shared for sight in sights])
    return float(np.mean(fits) * clear * len(fits) / (len(fits) + 2)) if len(fits) else 0.0


def _rigid(masks: tuple[np.ndarray, ...], clear: np.ndarray) -> bool:
    """Say whether the outlines agree, after alignment by centre, principal axis and size."""
    chosen = np.flatnonzero(clear)
    return len(chosen) > 1
