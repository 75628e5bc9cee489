"""Things that jump: gone from one place and in another from one frame to the next, though they neither came nor left.

Two places of one thing in successive frames are suspected where a thing that is followed steps farther than its pace
before and after allows, where the flow does, and where a frame shows what motion does not explain. The pixels decide:
the thing is found at the new place as it was at the old one, and not where its motion, before or after, would have it.
A collision changes the pace, not the place; what moves fast goes on as fast, or as evenly accelerated. What is no more
alike from frame to frame elsewhere is not known by its look, and what rests and is seen again is the scene.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.camera import carry
from evaluation.evidence.clip import Evidence
from evaluation.evidence.flow import largest, sample
from evaluation.evidence.tracks import Track
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.parts import FEWEST, Part, cut, inside, regions, sight
from evaluation.physics.steps import excess, pace_after, pace_before

TYPE = "teleport"
SHORTEST = 4  # frames
SUSPECTS = 6  # of each kind that are looked at closely
SIGHTS = 5  # that tell a pace
LEAST = 1.5  # pixels, beside a tenth of the radius, that motion must leave unexplained
GAP = 3  # frames between two tracks of what may be one thing
ANOTHER_SIZE = 0.9  # difference of the areas' logarithms from which it is another
CLEAR, NOISES = 8.0, 4.0  # levels, and times the noise, that motion does not explain
JERK = 3.0  # pixels by which the flow of a frame differs from that before and after
JOLT = 0.3  # of the frame: where more is out of step the camera is, or all is another
REACH, FARTHEST = 2, 40  # pixels about a place within which a thing is found; farthest that a pace is searched for
OFF = 4.0  # levels that a thing may look otherwise
FAR = 1.3  # radii from which a step is as far as it needs to be
LITTLE = 25.0  # pixels, of which half as much is known as of a large thing
STILL = 0.5  # pixels a frame, of what rests
COVERED = 6  # frames in which it may be seen again where it rested
KERNEL = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class Jump:
    """A step of a thing from the part `before` to the part `after`, of a length in pixels, the camera's motion aside.

    `found` and `missed` say by how many levels, root mean square, it differs at the new place and where it should be.
    """

    before: Part
    after: Part
    length: float
    found: float
    missed: float
    strength: float


def teleport(evidence: Evidence) -> Finding:
    """Find things that are suddenly elsewhere."""
    if len(evidence.rgb) < SHORTEST:
        return unmeasurable(TYPE, f"in fewer than {SHORTEST} frames no motion is seen before and after", due=False)
    clip = _Clip(evidence)
    jumps = [jump for before, after in clip.suspects() if (jump := clip.jump(before, after)) is not None]
    strongest = sorted(jumps, key=lambda jump: -jump.strength)[:SUSPECTS]
    return calibrated(TYPE, [_candidate(evidence, jump) for jump in strongest])


def _candidate(evidence: Evidence, jump: Jump) -> Candidate:
    corners = np.array([jump.before.box, jump.after.box])
    box = evidence.box(*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0))
    t, length = jump.after.frame, jump.length / evidence.scale
    text = f"Something jumps by {length:.0f} pixels into frame {t}: there it differs by {jump.found:.0f} levels from"
    text += f" what it was, and by {jump.missed:.0f} where its motion would have it."
    return Candidate(t, t, jump.strength, text, box)


class _Clip:
    """The frames of a clip, joined where a jump was taken for a cut or left the camera lost."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.rgb = evidence, evidence.rgb
        self.limit = CLEAR + NOISES * evidence.noise
        self.residual = evidence.flow.residual
        lost = {shot.start for shot in evidence.shots[1:]}
        if evidence.camera.moves:
            lost |= set((np.flatnonzero(~evidence.camera.reliable) + 1).tolist())
        unlike = {t: _outside(self.rgb[t], self.rgb[t - 1]) for t in lost}
        self.joined = {t: levels for t, levels in unlike.items() if (levels > self.limit).mean() < JOLT}
        self.lost = np.zeros(len(self.rgb), bool)
        self.lost[list(lost - set(self.joined))] = True

    def unexplained(self, t: int) -> np.ndarray:
        """Return the levels of frame t, 1 or later, that what was in the frame before does not explain."""
        return np.asarray(self.joined.get(t, self.residual[t - 1]))

    def known(self, earlier: int, later: int) -> bool:
        """Say whether it is known where the camera carries one frame of the clip in another."""
        return 0 <= earlier <= later < len(self.rgb) and not self.lost[earlier + 1 : later + 1].any()

    def carried(self, part: Part, frame: int) -> np.ndarray:
        """Return by how much the camera carries a part to another frame, x and y."""
        matrix, to_next = np.eye(3), self.evidence.camera.to_next
        for t in range(min(part.frame, frame), max(part.frame, frame)):
            matrix = to_next[t] @ matrix
        middle = part.middle[None]
        return np.asarray(carry(matrix if frame >= part.frame else np.linalg.inv(matrix), middle)[0] - middle[0])

    def suspects(self) -> Iterator[tuple[Part, Part]]:
        """Yield parts of successive frames that may be one thing that jumped."""
        yield from self._followed()
        regions = sorted([*self._unexplained(), *self._out_of_step()], key=lambda region: -region[0])
        for _, after, step in regions[: 2 * SUSPECTS]:
            if step is not None:
                yield after.moved(after.frame - 1, step), after
                continue
            unlike, corner = self._distances(after, after.frame - 1, after.corner, max(self.rgb.shape))
            y, x = np.unravel_index(int(unlike.argmin()), unlike.shape)
            yield after.moved(after.frame - 1, np.array([x, y]) + corner - after.corner), after

    def _followed(self) -> Iterator[tuple[Part, Part]]:
        tracks = self.evidence.tracks
        steps = [self._step(k, i - 1, k, i) for k in tracks for i in range(2, len(k.frames) - 1)]
        steps.sort(key=lambda step: -step[0])
        ends = [k for k in tracks if k.ends != "clip" and len(k.frames) > 2]
        begins = [k for k in tracks if k.begins != "clip" and len(k.frames) > 2]
        breaks = [
            (self._step(k, len(k.frames) - 1, q, 0), float(np.linalg.norm(k.look[-1] - q.look[0])))
            for k in ends
            for q in begins
            if 1 <= q.start - k.end <= GAP and abs(np.log(q.areas[:3].max() / k.areas[-3:].max())) < ANOTHER_SIZE
        ]
        breaks = sorted((b for b in breaks if b[0][0] > 0), key=lambda b: b[1])
        for beyond, before, after in [*steps[:SUSPECTS], *(b[0] for b in breaks[:SUSPECTS])]:
            if beyond > 0:
                yield before, after

    def _step(self, k: Track, i: int, q: Track, j: int) -> tuple[float, Part, Part]:
        """Return how far a step from a sight to another is beyond both paces, in radii, 0 if it is not; and both."""
        parts = [sight(k, i), sight(q, j)]
        gap = parts[1].frame - parts[0].frame
        paces = pace_before(k.steady, i, SIGHTS) * gap, pace_after(q.steady, j, SIGHTS) * gap
        step = q.steady[j] - k.steady[i] if k.shot == q.shot else q.centres[j] - k.centres[i]
        beyond = excess(step, *paces)
        radius = np.sqrt(max(k.areas[i], q.areas[j]) / np.pi)
        clear = beyond > LEAST and self.known(parts[0].frame, parts[1].frame)
        return (beyond / (radius + 3) if clear else 0.0), parts[0], parts[1]

    def _unexplained(self) -> Iterator[tuple[float, Part, None]]:
        """Yield regions that motion does not explain, how surely, and that it is not known where they were."""
        for t in range(1, len(self.rgb)):
            if not self.known(t - 1, t):
                continue
            levels = self.unexplained(t)
            mask = (levels > self.limit).astype(np.uint8)
            if cv2.countNonZero(mask) < FEWEST:
                continue
            smooth = cv2.morphologyEx(cv2.medianBlur(mask, 3), cv2.MORPH_CLOSE, KERNEL)
            beside = [self.unexplained(s) for s in (t - 1, t + 1) if 1 <= s < len(self.rgb)]
            for part in regions(smooth, t):
                x0, y0, x1, y1 = part.box
                here, *around = (float(some[y0:y1, x0:x1][part.mask].sum()) for some in (levels, *beside))
                yield here - max(around, default=0.0), part, None

    def _out_of_step(self) -> Iterator[tuple[float, Part, np.ndarray]]:
        """Yield regions whose flow from the frame before is like that of neither neighbour, and where they were."""
        flow = self.evidence.flow
        h, w = flow.residual.shape[1:]
        grid = np.stack(np.meshgrid(np.arange(0, w, 2), np.arange(0, h, 2)), axis=-1).astype(np.float32)
        for t in range(2, len(self.rgb) - 1):
            if not self.known(t - 2, t + 1) or any(s in self.joined for s in (t - 1, t, t + 1)):
                continue
            back = flow.backward[t - 1][::2, ::2]
            earlier = sample(flow.backward[t - 2], grid + back)
            off = cv2.min(_length(back - earlier), _length(back + flow.forward[t][::2, ::2]))
            mask = (off > JERK).astype(np.uint8)
            if not mask.any() or mask.mean() > JOLT:
                continue
            whole = cv2.resize(cv2.medianBlur(mask, 3), (w, h), interpolation=cv2.INTER_NEAREST)
            for part in regions(whole, t):
                x0, y0, x1, y1 = part.box
                step = np.median(flow.backward[t - 1][y0:y1, x0:x1][part.mask], axis=0)
                yield float(np.hypot(*step)) * 255 / JERK * np.sqrt(part.mask.sum()), part, step

    def _distances(self, part: Part, t: int, place: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
        """Return by how many levels a part differs from frame t, its box's corner being at places near one (x, y).

        With the map, empty where none of them is in the frame, comes the place of its upper left corner.
        """
        picture, mask = cut(self.rgb[part.frame], part)
        (h, w), (height, width) = mask.shape, self.rgb.shape[1:3]
        x, y = (round(float(v)) for v in place)
        left, top = max(0, x - reach), max(0, y - reach)
        right, bottom = min(width - w, x + reach), min(height - h, y + reach)
        if right < left or bottom < top:
            return np.zeros((0, 0), np.float32), np.array([left, top])
        weight = np.repeat(mask.astype(np.float32)[..., None], 3, axis=-1)
        there = self.rgb[t, top : bottom + h, left : right + w].astype(np.float32)
        squares = cv2.matchTemplate(there, picture, cv2.TM_SQDIFF, mask=weight)
        return np.sqrt(np.maximum(squares, 0) / max(1, 3 * mask.sum())), np.array([left, top])

    def _least(self, part: Part, t: int, place: np.ndarray, reach: int, outside: float) -> float:
        """Return the least difference near a place, and `outside` where that is off the frame."""
        some, _ = self._distances(part, t, place, reach)
        return float(some.min()) if some.size else outside

    def _found(self, part: Part, t: int, reach: int, guess: np.ndarray) -> tuple[np.ndarray, float] | None:
        """Return by how much a part is elsewhere in frame t than the camera alone has it, and how unlike it is there.

        It is looked for about a guess. None if nobody knows.
        """
        if not self.known(min(t, part.frame), max(t, part.frame)):
            return None
        at = part.corner + self.carried(part, t)
        unlike, corner = self._distances(part, t, at + guess, reach)
        if not unlike.size:
            return None
        y, x = np.mgrid[: unlike.shape[0], : unlike.shape[1]]
        away = np.stack([x, y], axis=-1) + corner - at
        best = int(np.argmin(unlike + 0.02 * np.linalg.norm(away - guess, axis=-1)))
        return np.asarray(away.reshape(-1, 2)[best]), float(unlike.ravel()[best])

    def _drift(self, part: Part, way: int, pace: np.ndarray) -> np.ndarray:
        """Return the pace that a part had before those along a way in time, 1 or -1, evenly accelerated."""
        second = self._found(part, part.frame + 2 * way, 2 + int(np.hypot(*pace)), 2 * pace)
        return pace if second is None else 3 * pace - second[0]

    def _rests(self, part: Part, frames: range) -> float:
        """Return by how many levels what rests differs where it is, in some frames, from what it was, at least."""
        places = [(t, part.corner + self.carried(part, t)) for t in frames]
        return min((self._least(part, t, place, 1, np.inf) for t, place in places), default=np.inf)

    def jump(self, start: Part, end: Part) -> Jump | None:
        """Return what the pixels say of a step, None if it is none."""
        before, after = (inside(part, *self.rgb.shape[1:3]) for part in (start, end))
        if before is None or after is None or not self.known(before.frame, after.frame):
            return None
        gap = after.frame - before.frame
        there, back = self.carried(before, after.frame), self.carried(after, before.frame)
        step = after.middle - before.middle - there
        length = float(np.hypot(*step))
        reach = int(min(FARTHEST, length + 4))
        came = self._found(before, before.frame - 1, reach, np.zeros(2))
        goes = self._found(after, after.frame + 1, reach, np.zeros(2))
        if came is None or goes is None:
            return None
        least = LEAST + 0.1 * np.sqrt(before.mask.sum() / np.pi)
        paces = -gap * came[0][None], gap * goes[0][None]
        if excess(step, *paces) < least:
            return None
        drifts = -gap * self._drift(before, -1, came[0]), gap * self._drift(after, 1, goes[0])
        beyond = excess(step, *(np.stack([pace[0], drift]) for pace, drift in zip(paces, drifts, strict=True)))
        if beyond < least:
            return None

        def differs(way: np.ndarray, reach: int, outside: float = 0.0) -> tuple[float, float]:
            return (
                self._least(before, after.frame, before.corner + there + way, reach, outside),
                self._least(after, before.frame, after.corner + back - way, reach, outside),
            )

        found = max(differs(step, REACH))
        near = int(np.clip(beyond / 3, 1, 4))
        ways = [paces[0][0] + share * (paces[1][0] - paces[0][0]) for share in (0.0, 0.5, 1.0)]
        # Off the frame it may have left, or have come in: so far as its pace goes, not as it may have been accelerated.
        missed = min(*(min(differs(way, near)) for way in ways), *(min(differs(way, near, np.inf)) for way in drifts))
        # What is covered for a while, and what was, is the scene where something else goes by.
        if np.hypot(*came[0]) < STILL:
            missed = min(missed, self._rests(before, self._known_from(after.frame, 1)))
        if np.hypot(*goes[0]) < STILL:
            missed = min(missed, self._rests(after, self._known_from(before.frame, -1)))
        unlike = max(found, came[1], goes[1]) + OFF + self.evidence.noise
        area = float(before.mask.sum())
        # What hesitates for a frame is off its path too, but has not gone anywhere.
        far = min(beyond, length) / (FAR * float(np.sqrt(area / np.pi)))
        sure = min(1.0, far) * area / (area + LITTLE)
        return Jump(before, after, length, found, missed, sure * max(0.0, float(np.log(max(missed / unlike, 1e-3)))))

    def _known_from(self, frame: int, way: int) -> range:
        """Return the next frames along a way in time, 1 or -1, in which the camera is known."""
        last = frame
        while abs(last - frame) < COVERED and self.known(min(last, last + way), max(last, last + way)):
            last += way
        return range(frame + way, last + way, way)


def _outside(frame: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return by how many levels a frame lies beyond what another shows around each pixel, float32 `[h, w]`."""
    beyond = cv2.max(cv2.subtract(frame, cv2.dilate(seen, KERNEL)), cv2.subtract(cv2.erode(seen, KERNEL), frame))
    return largest(beyond).astype(np.float32)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(vectors, axis=-1), np.float32)
