"""Things followed through time, each with how surely, how it began and how it ended.

Coordinates are pixels of the size of measuring (x right, y down); a frame's number is its index in the clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from evaluation.evidence.endings import ending
from evaluation.evidence.following import ANOTHER_SIZE, FORBIDDEN, follow_shot
from evaluation.evidence.looks import unlike
from evaluation.evidence.segments import find_segments
from evaluation.evidence.things import Sight, Thing

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

EDGE = 1  # pixels: a thing as near to the frame's edge is cut by it
LINKED = 0.45  # unlikeness up to which two tracks may be one thing
LONGEST_GAP = 2.0  # seconds out of sight
HIDDEN = ("occluded", "merged", "blended", "unexplained")  # beginnings and ends within a shot, inside the frame
UNSURE = 0.5  # times the quality of what is told by its motion alone, where the scene behind is not known
TURNS = 16  # directions in which outlines are compared
SAMPLES = 16  # outlines that are
RESHAPED, JAGGED = 0.03, 0.25  # of the radius, and pixels: how far outlines of one shape mostly differ


@dataclass(frozen=True, eq=False)
class Track:
    """One thing in `n` consecutive frames of one shot.

    `begins` and `ends` say why it is not seen before and after: "clip" and "cut" (the first or last frame of the clip,
    of a shot), "border" (it is cut by the frame's edge, or would be beyond it), "occluded" (something that hides it is
    where it would be), "merged" (it came out of another thing, or went into one), "blended" (it is still there, but
    cannot be told from what is around it), "unexplained".
    """

    shot: int  # index of the shot
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
    appears: (
        float  # 0..1: how little of it is in the frame before; 0 if that is the clip's, a shot's or a border's doing
    )
    vanishes: float  # the same of the frame after
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

    @cached_property
    def area(self) -> float:
        """Typical area, of whole views where there are any."""
        return float(np.median(self.areas[self.whole] if self.whole.any() else self.areas))

    @cached_property
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
    """Follow everything that is seen in two frames or more, the earliest and largest first."""
    segments, outlined = find_segments(evidence)
    tracks = []
    for number, shot in enumerate(evidence.shots):
        owners, things = follow_shot(evidence, segments, shot.start, shot.end)
        tracks += [
            _track(evidence, owners, number, thing, 1.0 if outlined else UNSURE)
            for thing in things
            if len(thing.sights) > 1
        ]
    return tuple(sorted(tracks, key=lambda track: (track.start, -track.area)))


def links(tracks: Sequence[Track], fps: float) -> list[tuple[Track, Track, int]]:
    """Return (earlier, later, frames between them) of tracks that may be one thing, out of sight for a while.

    They look the same, and the later begins where the earlier may have come to. A track has at most one link each way.
    """
    before = [track for track in tracks if track.ends in HIDDEN]
    after = [track for track in tracks if track.begins in HIDDEN]
    cost = np.full((len(before), len(after)), FORBIDDEN)
    for i, earlier in enumerate(before):
        for j, later in enumerate(after):
            gap = later.start - earlier.end - 1
            if earlier.shot != later.shot or not 0 <= gap <= LONGEST_GAP * fps:
                continue
            few = earlier.steady[-4:]
            velocity = (few[-1] - few[0]) / max(1, len(few) - 1)
            away = np.hypot(*(later.steady[0] - few[-1] - velocity * (gap + 1)))
            radius = np.sqrt(max(earlier.area, later.area) / np.pi)
            reach = 4 * radius + (radius + np.hypot(*velocity)) * (gap + 1)
            apart = float(unlike(earlier.typical_look, later.typical_look))
            size = abs(np.log(earlier.area / later.area))
            if away < reach and apart < LINKED and size < ANOTHER_SIZE:
                cost[i, j] = apart + away / reach + 0.01 * gap
    rows, columns = linear_sum_assignment(cost)
    pairs = [(before[i], after[j]) for i, j in zip(rows, columns, strict=True) if cost[i, j] < FORBIDDEN]
    return sorted(((a, b, b.start - a.end - 1) for a, b in pairs), key=lambda link: link[0].end)


def _track(evidence: "Evidence", owners: np.ndarray, shot: int, thing: Thing, sure: float) -> Track:
    start, end = evidence.shots[shot].start, evidence.shots[shot].end
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
    whole = ~at_border & ~shared & (areas > 0.8 * np.median(areas))
    begins, appears = ending(evidence, owners, start, end, thing, -1)
    ends, vanishes = ending(evidence, owners, start, end, thing, 1)
    return Track(
        shot=shot,
        frames=frames,
        centres=centres,
        steady=evidence.camera.steady(frames, centres),
        areas=areas,
        boxes=boxes,
        masks=masks,
        look=np.array([sight.look for sight in sights]),
        colours=np.array([sight.colour for sight in sights]),
        at_border=at_border,
        whole=whole,
        innovation=np.array([sight.innovation for sight in sights]),
        begins=begins,
        ends=ends,
        appears=appears,
        vanishes=vanishes,
        quality=_quality(sights) * sure,
        rigid=_rigid([mask for mask, clear in zip(masks, whole, strict=True) if clear]),
    )


def _quality(sights: list[Sight]) -> float:
    fits = np.array([sight.fit for sight in sights[1:]])
    clear = np.mean([not sight.shared for sight in sights])
    return float(np.mean(fits) * clear * len(fits) / (len(fits) + 2)) if len(fits) else 0.0


def _rigid(masks: list[np.ndarray]) -> bool:
    """Say whether outlines agree, but for place, turn and size: their radii in every direction, of the mean one."""
    if len(masks) < 2:
        return False
    chosen = np.unique(np.linspace(0, len(masks) - 1, SAMPLES).round().astype(int))
    outlines = np.stack([outline(masks[i], TURNS) for i in chosen])
    spectra = np.fft.rfft(outlines, axis=1)
    turned = np.fft.irfft(spectra.conj() * spectra[len(chosen) // 2], TURNS, axis=1).argmax(axis=1)
    aligned = np.stack([np.roll(outline, turn) for outline, turn in zip(outlines, turned, strict=True)])
    radius = np.sqrt(np.median([mask.sum() for mask in masks]) / np.pi)
    differs = np.abs(aligned - np.median(aligned, axis=0)).mean(axis=1)
    return bool(np.median(differs) < RESHAPED + JAGGED / radius)


def outline(mask: np.ndarray, turns: int) -> np.ndarray:
    """Return the farthest pixel of a mask from its centre in `turns` directions, in radii of its area, `[turns]`."""
    y, x = np.nonzero(mask)
    dx, dy = x - x.mean(), y - y.mean()
    direction = ((np.arctan2(dy, dx) / (2 * np.pi)) * turns).round().astype(int) % turns
    radii = np.zeros(turns)
    np.maximum.at(radii, direction, np.hypot(dx, dy))
    return np.asarray(radii / np.sqrt(len(x) / np.pi))
